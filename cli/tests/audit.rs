//! `daybook audit`: a folder against a bucket on a loopback port.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "audit/both.rs"]
mod both;
#[path = "audit/errors.rs"]
mod errors;
#[path = "audit/files.rs"]
mod files;
#[path = "audit/going_on.rs"]
mod going_on;
#[path = "audit/inventories.rs"]
mod inventories;
#[path = "audit/mending.rs"]
mod mending;
mod stand_in;
#[path = "audit/telling.rs"]
mod telling;
#[path = "audit/twins.rs"]
mod twins;
#[path = "audit/world.rs"]
mod world;
