//! What one Lambda function is, and what it is invoked with.

use std::future::Future;

use daybook_ledger::{Clock, Consumed, Deadline};
use daybook_schema::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::aws::Aws;
use super::failure::Failure;

/// What a function is invoked with.
pub trait Event: Sized + Send + Sync {
    /// What is answered to it.
    type Answer: Serialize;

    /// Reads it from an invocation's payload.
    ///
    /// # Errors
    /// Says what the payload is not. The invocation fails with it: nothing that is not understood is acknowledged.
    fn read(payload: Value) -> Result<Self, String>;

    /// The answer when handling had to be cut off after its deadline: nothing is known.
    fn cut(&self) -> Self::Answer;

    /// When the oldest part of it was sent that, by that answer, comes again.
    fn oldest_returned(&self, _: &Self::Answer) -> Option<Timestamp> {
        None
    }
}

/// One Lambda function.
pub trait Function: Sized + Send + Sync {
    /// Its name: the dimension `Function` of its metrics.
    const NAME: &'static str;
    /// Its settings.
    type Settings: clap::Parser;
    /// What it is invoked with.
    type Event: Event;

    /// The CloudFormation stack: a dimension of all metrics.
    fn stack(settings: &Self::Settings) -> &str;

    /// Makes it, once per process.
    ///
    /// # Errors
    /// When settings contradict each other: names the variables.
    fn new(settings: Self::Settings, aws: &Aws, clock: &Clock) -> Result<Self, String>;

    /// Capacity units that it has used since it was made; none where it has no ledger.
    fn consumed(&self) -> Consumed {
        Consumed::default()
    }

    /// Handles one invocation, until the deadline.
    fn handle(
        &self,
        event: &Self::Event,
        deadline: Deadline,
    ) -> impl Future<Output = Result<<Self::Event as Event>::Answer, Failure>> + Send;
}
