//! The clients of AWS, and what is asked of single services.

pub mod answer;
pub mod clients;
pub mod encoding;
pub mod failure;
pub mod notifications;
pub mod queue_policy;
pub mod s3;
pub mod trouble;
