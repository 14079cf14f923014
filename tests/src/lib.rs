//! What crosses crates: a stage with all parts wired to the embedded AWS, faults at the wire, and the simulation.
//!
//! Everything runs on tokio's paused clock, so hours pass in milliseconds and the same seed gives the same run.
#![allow(
    clippy::disallowed_methods,
    reason = "tests spawn actors; production code is held to the rule"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

pub mod dynoxide;
pub mod lambda;
pub mod lambda_service;
pub mod latency;
pub mod notifications;
pub mod privileges;
pub mod relay_ratio;
pub mod rows;
pub mod s3;
pub mod simulation;
pub mod stage;
pub mod template;
pub mod wire;

pub use lambda_service::{Invoking, LambdaService};
pub use s3::S3;
pub use stage::{Queues, Stage, StageOptions, StageTarget};
pub use wire::{Fault, Request, Wire};
