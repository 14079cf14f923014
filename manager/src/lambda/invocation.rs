//! One invocation, from its event to its answer, with an end.

use std::time::Duration;

use daybook_ledger::{Clock, Deadline, Ledger};
use daybook_schema::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;

use super::metric::{self, FAILURES};
use super::{Event, Failure, Function};

/// So long before Lambda ends the process a function stops, if it has so much time at all.
const MARGIN: Duration = Duration::from_secs(1);

/// When to stop. Lambda kills a function that is late, and its answer is lost: a queue would deliver the whole batch again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    /// Until then the function works.
    work: Deadline,
    /// Then it is cut off, should it still be at it.
    cut: Deadline,
}

impl Ends {
    /// By when Lambda ends the process, and what it is now: a second, or a quarter of what is left, is for the answer.
    fn of(killed: Timestamp, clock: &Clock) -> Self {
        let left = killed.since(clock.now());
        let margin = MARGIN.min(left / 4);
        Self {
            work: Deadline::after(clock, left - margin),
            cut: Deadline::after(clock, left - margin / 2),
        }
    }
}

/// Handles it. A failure, or a cut, is in the log once, and counted.
pub(super) async fn handle<F: Function>(
    function: &F,
    ledger: &Ledger,
    event: LambdaEvent<Value>,
) -> Result<Value, Diagnostic> {
    let clock = ledger.clock();
    let killed = i64::try_from(event.context.deadline)
        .ok()
        .and_then(Timestamp::from_unix_millis);
    let Some(killed) = killed else {
        return failed(Failure::new("InvalidEvent", "the invocation has no deadline"));
    };
    let ends = Ends::of(killed, clock);
    let event = match F::Event::read(event.payload) {
        Ok(event) => event,
        Err(why) => return failed(Failure::new("InvalidEvent", why)),
    };
    let answer = match tokio::time::timeout(ends.cut.left(clock), function.handle(&event, ends.work)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => return failed(failure),
        Err(_) => {
            tracing::error!(
                "the function was cut off at its deadline: what it was at is not known, and comes again"
            );
            metric::count(FAILURES, 1u64);
            function.cut(&event)
        }
    };
    serde_json::to_value(answer).or_else(|error| failed(Failure::new("InvalidAnswer", error)))
}

fn failed(failure: Failure) -> Result<Value, Diagnostic> {
    tracing::error!("the invocation failed: {failure}");
    metric::count(FAILURES, 1u64);
    Err(failure.into())
}
