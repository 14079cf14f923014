//! Checks of the parts of a deployment: each finding with what to do about it. `daybook init`, `attach` and `redrive-queue` make
//! some of them too.

pub mod buckets;
pub mod check;
pub mod deployment;
pub mod finding;
pub mod flow;
pub mod folder;
pub mod observe;
pub mod queues;
pub mod role;
pub mod tables;
pub mod target;
