//! What is asked of single services, and what their answers mean.

pub mod answer;
pub mod failure;
pub mod notifications;
pub mod queue_policy;
pub mod queues;
pub mod reports;
pub mod s3;
pub mod trouble;
