//! One invocation, from its event to its answer, with an end.

use std::time::Duration;

use daybook_ledger::{Clock, Deadline};
use daybook_schema::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;

use super::failure::Failure;
use super::function::{Event, Function};
use super::metric::{self, FAILURES, OLDEST_RETURNED_SECONDS};

/// So long before Lambda ends the process nothing new is begun, if there is so much time at all. Half a second later nothing is
/// waited for any more ([`Deadline::bound`]), and a second after that the function is cut off.
const MARGIN: Duration = Duration::from_secs(2);

/// When to stop. Lambda kills a function that is late, and its answer is lost: a queue would deliver the whole batch again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    /// Until then the function begins work.
    work: Deadline,
    /// Then it is cut off, should it still be at it.
    cut: Deadline,
}

impl Ends {
    /// For a process that Lambda ends then.
    fn of(killed: Timestamp, clock: &Clock) -> Self {
        let left = killed.since(clock.now());
        let margin = MARGIN.min(left / 4);
        Self {
            work: Deadline::after(clock, left - margin),
            cut: Deadline::after(clock, left - margin / 4),
        }
    }
}

/// Handles it. A failure, or a cut, is in the log once, and counted.
pub(super) async fn handle<F: Function>(
    function: &F,
    clock: &Clock,
    event: LambdaEvent<Value>,
) -> Result<Value, Diagnostic> {
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
            event.cut()
        }
    };
    if let Some(sent_at) = event.oldest_returned(&answer) {
        let age = clock.now().since(sent_at).as_secs_f64();
        metric::gauge_by_function(OLDEST_RETURNED_SECONDS, age);
    }
    serde_json::to_value(answer).or_else(|error| failed(Failure::new("InvalidAnswer", error)))
}

fn failed(failure: Failure) -> Result<Value, Diagnostic> {
    tracing::error!("the invocation failed: {failure}");
    metric::count(FAILURES, 1u64);
    Err(failure.into())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use aws_lambda_events::event::sqs::SqsBatchResponse;
    use lambda_runtime::Context;
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::lambda::{Aws, Batch, LedgerArguments};

    /// A function that never comes to an end.
    struct Hanging;

    #[derive(clap::Parser)]
    struct Settings {
        #[command(flatten)]
        ledger: LedgerArguments,
    }

    impl Function for Hanging {
        const NAME: &'static str = "hanging";
        type Settings = Settings;
        type Event = Batch;

        fn stack(settings: &Settings) -> &str {
            &settings.ledger.stack
        }

        fn new(_: Settings, _: &Aws, _: &Clock) -> Result<Self, String> {
            Ok(Self)
        }

        async fn handle(&self, _: &Batch, _: Deadline) -> Result<SqsBatchResponse, Failure> {
            pending().await
        }
    }

    fn clock() -> Clock {
        let start = Instant::now();
        Clock::new(move || {
            let millis = 1_795_251_268_758 + start.elapsed().as_millis() as i64;
            Timestamp::from_unix_millis(millis).expect("a time")
        })
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_before_the_cut_and_the_cut_before_lambda_ends_the_process() {
        let clock = &clock();
        for (timeout, work, cut) in [(30.0, 28.0, 29.5), (4.0, 3.0, 3.75), (0.0, 0.0, 0.0)] {
            let ends = Ends::of(clock.now().plus(Duration::from_secs_f64(timeout)), clock);
            let left = (ends.work.left(clock), ends.cut.left(clock));
            assert_eq!(
                left,
                (Duration::from_secs_f64(work), Duration::from_secs_f64(cut))
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_function_that_hangs_is_cut_off_in_time_and_returns_every_message() {
        for (timeout, cut_after) in [(30.0, 29.5), (4.0, 3.75), (0.0, 0.0)] {
            let clock = clock();
            let message = |id: &str| json!({"messageId": id, "body": "b", "eventSource": "aws:sqs"});
            let payload = json!({"Records": [message("a"), message("b")]});
            let mut context = Context::default();
            let killed = clock.now().plus(Duration::from_secs_f64(timeout));
            context.deadline = u64::try_from(killed.unix_millis()).expect("a time after 1970");
            let begin = Instant::now();
            let answer = handle(&Hanging, &clock, LambdaEvent::new(payload, context)).await;
            assert_eq!(
                answer.expect("an answer"),
                json!({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]})
            );
            let waited = begin.elapsed().as_secs_f64();
            assert!((waited - cut_after).abs() < 0.01, "{timeout} s: {waited}");
        }
    }
}
