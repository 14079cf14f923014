//! The movers: ingest, schedule, invoke and complete.
