//! Audits in rounds: killed, cut off, overlapping and refused, and in the end every object is told of once.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "audit_run/failures.rs"]
mod failures;
#[path = "audit_run/house.rs"]
mod house;
#[path = "audit_run/intake.rs"]
mod intake;
#[path = "audit_run/interrupted.rs"]
mod interrupted;
#[path = "audit_run/intervals.rs"]
mod intervals;
#[path = "audit_run/rounds.rs"]
mod rounds;
#[allow(dead_code, reason = "it is the audit's world")]
#[path = "audit/world.rs"]
mod world;
