//! The sweep: what the cron repairs.
