//! What people do to open events, on a folder and on an endpoint: redrive, release, fail, cancel, complete, remove; and to dispatch as a
//! whole: pause, resume, set.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "operate/asking.rs"]
mod asking;
#[path = "operate/canary.rs"]
mod canary;
#[path = "operate/cancel.rs"]
mod cancel;
#[path = "operate/dispatch.rs"]
mod dispatch;
#[path = "operate/killed.rs"]
mod killed;
#[path = "operate/log.rs"]
mod log;
#[path = "operate/races.rs"]
mod races;
#[path = "operate/replay.rs"]
mod replay;
#[path = "operate/selecting.rs"]
mod selecting;
#[path = "operate/settings.rs"]
mod settings;
mod stand_in;
#[path = "operate/thousands.rs"]
mod thousands;
#[path = "operate/verbs.rs"]
mod verbs;
#[path = "operate/world.rs"]
mod world;
