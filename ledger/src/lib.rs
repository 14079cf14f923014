//! Every read and write of the ledger and receipts tables.
