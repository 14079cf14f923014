//! Lambda on loopback: the Runtime API, a function's real binary as its execution environment, and AWS behind one port, with faults.
//!
//! Real time and real processes: these tests wait for what happens, never for a while.

mod aws;
mod environment;
mod runtime_api;
mod told;

pub use aws::FaultyAws;
pub use environment::{Environment, fails_to_start};
pub use runtime_api::{Answer, RuntimeApi};
pub use told::Told;

use serde_json::{Value, json};

/// What is wrong with a world.
pub type Trouble = fn(&FaultyAws);

/// Variables beyond the usual ones.
pub type Variables = &'static [(&'static str, &'static str)];

/// A queue's batch as Lambda gives it to a function.
pub fn batch<'a>(messages: impl IntoIterator<Item = (&'a str, String)>) -> Value {
    let record = |(id, body): (&str, String)| {
        json!({
            "messageId": id,
            "receiptHandle": format!("handle of {id}"),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1795251268758",
                "SenderId": "AIDAEXAMPLE",
                "ApproximateFirstReceiveTimestamp": "1795251268759",
                "AWSTraceHeader": trace_of(id),
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:queue",
            "awsRegion": "us-east-1",
        })
    };
    json!({"Records": messages.into_iter().map(record).collect::<Vec<_>>()})
}

/// The X-Ray header that message has in [`batch`].
pub fn trace_of(message_id: &str) -> String {
    format!("Root=1-00000000-{message_id}")
}

/// The ids of the messages that a function's answer returns to its queue.
pub fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().expect("a batch's answer");
    let id = |failure: &Value| failure["itemIdentifier"].as_str().map(|_| ());
    assert!(failures.iter().all(|failure| id(failure).is_some()), "{answer}");
    failures
        .iter()
        .filter_map(|failure| failure["itemIdentifier"].as_str())
        .collect()
}
