//! The audit: a bucket on an S3 at the wire, compared with ledger and receipts, repaired, and audited again.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "audit/bad_inventories.rs"]
mod bad_inventories;
#[path = "audit/classes.rs"]
mod classes;
#[path = "audit/gone.rs"]
mod gone;
#[path = "audit/inventories.rs"]
mod inventories;
#[path = "audit/inventories_in_parts.rs"]
mod inventories_in_parts;
#[path = "audit/limits.rs"]
mod limits;
#[path = "audit/listings.rs"]
mod listings;
#[path = "audit/repairs.rs"]
mod repairs;
#[path = "audit/resuming.rs"]
mod resuming;
#[path = "audit/unknowns.rs"]
mod unknowns;
#[path = "audit/world.rs"]
mod world;
