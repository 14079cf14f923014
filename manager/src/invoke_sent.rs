//! Attempts that are done as soon as the target has them: the rows follow at once.

use daybook_ledger::{Deadline, Success};
use daybook_schema::{ExecutionInput, ObjectEvent};

use crate::invoke::{Invoked, Invoker, returned};
use crate::settle_batch::SettledBatch;
use crate::settle_execution::Settled;

impl Invoker {
    /// Completes the events that the target certainly has. When that fails, or this process dies before it, the message comes again and
    /// the target gets it once more: what is done stays done.
    pub(crate) async fn settle_sent(
        &self,
        inputs: &[&ExecutionInput],
        by: &str,
        deadline: Deadline,
    ) -> Invoked {
        let events: Vec<ObjectEvent> = inputs.iter().map(|input| input.event()).collect();
        let successes: Vec<Success<'_>> = inputs
            .iter()
            .zip(&events)
            .map(|(input, event)| Success {
                event,
                attempt: input.attempt,
                by,
            })
            .collect();
        let deleted = match successes.as_slice() {
            [one] => vec![self.ledger.complete(one.event, one.attempt, one.by).await],
            many => self.ledger.complete_many(many, deadline).await,
        };
        let mut settled = SettledBatch::default();
        let mut first_error = None;
        for outcome in deleted {
            match outcome {
                Ok(deleted) => settled = settled.and(Settled::from(deleted).into()),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Invoked::Sent(settled), returned)
    }
}
