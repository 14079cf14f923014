//! `daybook up` as a process, and everything that a hostile world does to it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests own their processes, their clock and their tasks"
)]

#[path = "up/backlog.rs"]
mod backlog;
#[path = "up/batches.rs"]
mod batches;
#[path = "up/beside.rs"]
mod beside;
#[path = "up/bodies.rs"]
mod bodies;
#[path = "up/cancel.rs"]
mod cancel;
#[path = "up/completed.rs"]
mod completed;
#[path = "up/console.rs"]
mod console;
#[path = "up/crowds.rs"]
mod crowds;
#[path = "up/damage.rs"]
mod damage;
#[path = "up/disk.rs"]
mod disk;
#[path = "up/door.rs"]
mod door;
#[path = "up/drills.rs"]
mod drills;
#[path = "up/encodings.rs"]
mod encodings;
#[path = "up/ends.rs"]
mod ends;
#[path = "up/events.rs"]
mod events;
#[path = "up/folder.rs"]
mod folder;
#[path = "up/gate.rs"]
mod gate;
#[path = "up/keys.rs"]
mod keys;
#[path = "up/killed_in_bulk.rs"]
mod killed_in_bulk;
#[path = "up/kills.rs"]
mod kills;
#[path = "up/limits.rs"]
mod limits;
#[path = "up/lock_file.rs"]
mod lock_file;
#[path = "up/log.rs"]
mod log;
#[path = "up/machine.rs"]
mod machine;
#[path = "up/metrics.rs"]
mod metrics;
#[path = "up/notices.rs"]
mod notices;
#[path = "up/one_process.rs"]
mod one_process;
mod stand_in;
#[path = "up/targets.rs"]
mod targets;
