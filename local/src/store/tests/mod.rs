//! The store in a file, on disks of all kinds.

mod behaviour;
mod crashes;
mod disk;
mod faults;
mod life;
mod opening;
