//! `daybook doctor`'s checks of the parts of a deployment; `init`, `attach` and `redrive-queue` make some of them too.

pub mod buckets;
pub mod finding;
pub mod flow;
pub mod observe;
pub mod queues;
pub mod tables;
