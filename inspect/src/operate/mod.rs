//! What people do to open events, one or thousands: redrive, release, fail, cancel, complete, remove.
//!
//! Select rows ([`selected`]), show them, ask, then change them chunk by chunk ([`driver`]). Each row is read again right before it is
//! changed, and one that went on meanwhile is left alone, so all of it can be repeated. The caller shows, asks and reports.
//!
//! And what they do to objects and queues: [`replay`] an object, move the messages of [`dead_letters`] back.

pub mod action;
pub mod apply;
pub mod canary;
pub mod dead_letters;
pub mod driver;
pub mod log;
pub mod replay;
pub mod selected;
pub mod still_running;
