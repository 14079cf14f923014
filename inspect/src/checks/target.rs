//! A function or a queue as the target: it must be there, and a function must tell how each attempt ended, before its lease does.

use std::time::Duration;

use aws_sdk_lambda::Client;

use crate::aws::answer::Answer;
use crate::aws::queues::Attributes;
use crate::checks::check::Check;
use crate::checks::finding::Item;
use crate::wording::time;

/// What Lambda does where a function says nothing ("Configuring error handling settings for asynchronous invocation", Lambda Developer Guide).
const USUAL_RETRIES: u32 = 2;
const USUAL_AGE: Duration = Duration::from_secs(6 * 3600);

/// What attempts are handed to, where that is neither a state machine nor a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherTarget {
    /// A function, by its ARN.
    Function(String),
    /// A queue, by its URL.
    Queue(String),
}

/// How a function is set up for asynchronous invocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSeen {
    /// How long it may run.
    pub timeout: Duration,
    /// How often Lambda tries an event again whose function failed.
    pub retries: u32,
    /// How long Lambda keeps an event that it has no room to run.
    pub age: Duration,
    /// Where records of successes go.
    pub on_success: Option<String>,
    /// Where records of failures go.
    pub on_failure: Option<String>,
}

/// Asks Lambda for it.
pub async fn ask_function(lambda: &Client, arn: &str) -> Answer<FunctionSeen> {
    let (function, invocations) = tokio::join!(
        lambda.get_function_configuration().function_name(arn).send(),
        lambda
            .get_function_event_invoke_config()
            .function_name(arn)
            .send(),
    );
    let function = Answer::of(function, "lambda:GetFunctionConfiguration");
    let invocations = Answer::of(invocations, "lambda:GetFunctionEventInvokeConfig");
    function.and_then(|function| {
        let seen = FunctionSeen {
            timeout: seconds(function.timeout).unwrap_or_default(),
            retries: USUAL_RETRIES,
            age: USUAL_AGE,
            on_success: None,
            on_failure: None,
        };
        let config = match invocations {
            Answer::Known(config) => config,
            // It has no settings of its own.
            Answer::Absent => return Answer::Known(seen),
            Answer::Unknown(refusal) => return Answer::Unknown(refusal),
        };
        let destinations = config.destination_config;
        let (success, failure) = match destinations {
            Some(both) => (both.on_success, both.on_failure),
            None => (None, None),
        };
        let retries = config.maximum_retry_attempts.and_then(|n| n.try_into().ok());
        Answer::Known(FunctionSeen {
            retries: retries.unwrap_or(USUAL_RETRIES),
            age: seconds(config.maximum_event_age_in_seconds).unwrap_or(USUAL_AGE),
            on_success: success.and_then(|success| success.destination),
            on_failure: failure.and_then(|failure| failure.destination),
            ..seen
        })
    })
}

fn seconds(number: Option<i32>) -> Option<Duration> {
    number?.try_into().ok().map(Duration::from_secs)
}

/// The function. `completion` is the completion queue's ARN, if known.
pub fn function(
    arn: &str,
    seen: &Answer<FunctionSeen>,
    completion: Option<&str>,
    lease: Duration,
) -> Vec<Item> {
    let check = &Check::Target;
    let function = match seen {
        Answer::Known(function) => function,
        Answer::Absent => {
            return vec![Item::problem(
                check,
                format!("there is no function {arn}: nothing can be invoked"),
                "region and account of the stack's TargetFunctionArn name another one",
            )];
        }
        Answer::Unknown(refusal) => return vec![Item::refused(check, refusal)],
    };
    let config = format!("aws lambda put-function-event-invoke-config --function-name {arn}");
    let mut items = silences(arn, function, completion, &config);
    items.extend(delays(arn, function, lease, &config));
    if items.is_empty() {
        items.push(Item::ok(
            check,
            "a function whose destinations are the completion queue",
        ));
    }
    items
}

/// Ends that nobody learns of.
fn silences(arn: &str, function: &FunctionSeen, completion: Option<&str>, config: &str) -> Vec<Item> {
    let check = &Check::Target;
    let mut items = Vec::new();
    let queue = completion.unwrap_or("QUEUE_ARN");
    for (what, destination) in [
        ("success", &function.on_success),
        ("failure", &function.on_failure),
    ] {
        let is_right = match (destination, completion) {
            (Some(destination), Some(completion)) => destination == completion,
            (destination, _) => destination.is_some(),
        };
        if !is_right {
            let found = match destination {
                None => format!("{arn} has no destination for {what}"),
                Some(other) => {
                    format!("the destination for {what} of {arn} is {other}, not the completion queue")
                }
            };
            items.push(Item::problem(
                check,
                format!("{found}: nobody learns of such an end, and the attempt runs again"),
                format!(
                    "`{config} --maximum-retry-attempts 0 --maximum-event-age-in-seconds 300 --destination-config \
                     '{{\"OnSuccess\":{{\"Destination\":\"{queue}\"}},\"OnFailure\":{{\"Destination\":\"{queue}\"}}}}'`, and let its role \
                     send there"
                ),
            ));
        }
    }
    items
}

/// What makes an attempt last longer than it should.
fn delays(arn: &str, function: &FunctionSeen, lease: Duration, config: &str) -> Vec<Item> {
    let check = &Check::Target;
    let mut items = Vec::new();
    if function.age + function.timeout >= lease {
        items.push(Item::warning(
            check,
            format!(
                "an event may wait for {} and run for {}, and a lease lasts {}: it is then invoked once more while it waits or runs",
                time::span(function.age),
                time::span(function.timeout),
                time::span(lease)
            ),
            format!("a longer Lease, or `{config} --maximum-event-age-in-seconds 300` with the function's other settings"),
        ));
    }
    if function.retries > 0 {
        items.push(Item::warning(
            check,
            format!(
                "Lambda runs an attempt of {arn} that failed {} more before it says so",
                match function.retries {
                    1 => "once".to_owned(),
                    n => format!("{n} times"),
                }
            ),
            format!("`{config} --maximum-retry-attempts 0` with its other settings: Daybook tries again, and counts"),
        ));
    }
    items
}

/// The queue.
pub fn queue(url: &str, attributes: &Answer<Attributes>) -> Item {
    let check = &Check::Target;
    match attributes {
        Answer::Known(_) => Item::ok(check, "a queue that is there"),
        Answer::Absent => Item::problem(
            check,
            format!("there is no queue {url}: nothing can be sent"),
            "region and account of the stack's TargetQueueUrl name another one",
        ),
        Answer::Unknown(refusal) => Item::refused(check, refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::finding::Level;

    const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:work";
    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:completion";
    const LEASE: Duration = Duration::from_secs(15 * 60);

    fn good() -> FunctionSeen {
        FunctionSeen {
            timeout: Duration::from_secs(300),
            retries: 0,
            age: Duration::from_secs(300),
            on_success: Some(QUEUE.into()),
            on_failure: Some(QUEUE.into()),
        }
    }

    fn found(seen: FunctionSeen, completion: Option<&str>) -> Vec<(Level, String)> {
        let items = function(ARN, &Answer::Known(seen), completion, LEASE);
        items.into_iter().map(|item| (item.level, item.finding)).collect()
    }

    #[test]
    fn a_function_must_tell_both_ends_to_the_completion_queue() {
        let ok = (
            Level::Ok,
            "a function whose destinations are the completion queue".to_owned(),
        );
        for completion in [Some(QUEUE), None] {
            assert_eq!(found(good(), completion), std::slice::from_ref(&ok));
        }
        let silent = FunctionSeen {
            on_success: None,
            on_failure: Some(format!("{QUEUE}-other")),
            ..good()
        };
        let [(Level::Problem, success), (Level::Problem, failure)] = &found(silent, Some(QUEUE))[..] else {
            panic!("two problems");
        };
        assert!(success.contains("has no destination for success"), "{success}");
        assert!(
            failure.contains("completion-other, not the completion queue"),
            "{failure}"
        );
    }

    #[test]
    fn it_must_end_within_the_lease_and_not_be_run_again_by_lambda() {
        let slow = FunctionSeen {
            timeout: Duration::from_secs(600),
            ..good()
        };
        let [(Level::Warning, slow)] = &found(slow, Some(QUEUE))[..] else {
            panic!("one warning");
        };
        assert!(slow.contains("invoked once more"), "{slow}");
        let eager = FunctionSeen { retries: 2, ..good() };
        let [(Level::Warning, eager)] = &found(eager, Some(QUEUE))[..] else {
            panic!("one warning");
        };
        assert!(eager.contains("2 times more"), "{eager}");
    }

    #[test]
    fn one_that_is_missing_is_a_problem() {
        let items = function(ARN, &Answer::Absent, Some(QUEUE), LEASE);
        assert_eq!(items[0].level, Level::Problem);
        assert_eq!(queue("https://q", &Answer::Absent).level, Level::Problem);
        assert_eq!(
            queue("https://q", &Answer::Known(Attributes::new())).level,
            Level::Ok
        );
    }
}
