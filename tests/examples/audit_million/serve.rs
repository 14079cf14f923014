//! The stand-ins: an S3 whose objects are computed as they are listed, and a DynamoDB in memory with rows and receipts.

use std::time::Duration;

use daybook_ledger::Clock;
use daybook_local::LocalAws;
use daybook_schema::identity::EventBasis;
use daybook_schema::{
    Attempt, ObjectEvent, Outcome, Receipt, Row, SourceName, Timestamp, notification, tables,
};
use daybook_tests::S3;
use daybook_tests::s3::{Synthetic, Version};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const HOUR: i64 = 3600 * 1000;

/// Items per request.
const BATCH: usize = 25;

/// Plants everything, prints the two addresses, and serves until it is killed.
pub fn serve(objects: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let now = Clock::system().now();
        let modified = hours_before(now, 10).truncated_to_seconds();
        let aws = LocalAws::builder().build().unwrap();
        plant(&aws, objects, now, modified).await;
        let s3 = S3::new(Clock::system());
        let object = move |n| (key(n), version(n, modified));
        s3.create_synthetic("data", Synthetic::new(objects, object));
        let (for_s3, for_aws) = (listener().await, listener().await);
        for listener in [&for_s3, &for_aws] {
            println!("http://{}", listener.local_addr().unwrap());
        }
        let served = aws.serve(for_aws, std::future::pending());
        let (served, ()) = tokio::join!(served, s3.serve(for_s3));
        served.unwrap();
    });
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn hours_before(now: Timestamp, hours: i64) -> Timestamp {
    Timestamp::from_unix_millis(now.unix_millis() - hours * HOUR).unwrap()
}

/// Ten thousand under each prefix.
fn key(n: u64) -> String {
    format!("plant/sensor-{:04}/2026-11-20/reading-{n:09}.json", n / 10_000)
}

fn version(n: u64, modified: Timestamp) -> Version {
    Version {
        id: None,
        etag: Some(format!("{n:032x}")),
        size: 4096,
        last_modified: modified,
    }
}

async fn plant(aws: &LocalAws, objects: u64, now: Timestamp, modified: Timestamp) {
    for definition in [tables::LEDGER, tables::RECEIPTS] {
        call(aws, "CreateTable", &definition.create_table(definition.role)).await;
    }
    let installed = json!({"id": {"S": "control"}, "installed_at": {"S": hours_before(now, 24)}});
    call(aws, "PutItem", &json!({"TableName": "ledger", "Item": installed})).await;
    let template = template();
    let keep = Duration::from_secs(14 * 24 * 3600);
    let (mut rows, mut receipts) = (Vec::new(), Vec::new());
    for n in 0..objects {
        let event = || event(&template, n, modified);
        match n {
            n if n % 10 == 0 => rows.push(item(&Row::recorded(event(), 5, None, now))),
            n if n % 1000 == 1 => {}
            _ => {
                let by = "worker:1".to_owned();
                let receipt = Receipt::new(&event(), Attempt(1), Outcome::Succeeded, by, None, now, keep);
                receipts.push(item(&receipt));
            }
        }
        for (table, items) in [("ledger", &mut rows), ("receipts", &mut receipts)] {
            if items.len() == BATCH || n + 1 == objects && !items.is_empty() {
                let puts: Vec<Value> = items
                    .drain(..)
                    .map(|item| json!({"PutRequest": {"Item": item}}))
                    .collect();
                call(aws, "BatchWriteItem", &json!({"RequestItems": {table: puts}})).await;
            }
        }
    }
}

async fn call(aws: &LocalAws, operation: &str, request: &Value) {
    let target = format!("DynamoDB_20120810.{operation}");
    let answer = aws.handle(&target, request.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn template() -> ObjectEvent {
    let body = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": "2026-11-20T10:15:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "data"}, "object": {"key": "x", "size": 4096, "sequencer": "0068B5C2F4A10000"}},
    }]});
    let read = notification::read(&body.to_string(), &SourceName::default());
    read.events.into_iter().next().unwrap()
}

fn event(template: &ObjectEvent, n: u64, modified: Timestamp) -> ObjectEvent {
    let mut event = template.clone();
    event.key = key(n).parse().unwrap();
    event.etag = Some(format!("{n:032x}"));
    event.event_time = Some(modified);
    let sequencer = event.sequencer.clone().unwrap();
    event.id = event.object_parts().event_id(EventBasis::Sequencer {
        sequencer: &sequencer,
        etag: event.etag.as_deref(),
    });
    event
}

/// As DynamoDB has it: texts and numbers.
fn item(what: &impl serde::Serialize) -> Value {
    let Value::Object(fields) = serde_json::to_value(what).unwrap() else {
        panic!("an item has fields");
    };
    let attribute = |value: Value| match value {
        Value::String(text) => json!({"S": text}),
        Value::Number(number) => json!({"N": number.to_string()}),
        other => panic!("no such attribute here: {other}"),
    };
    fields
        .into_iter()
        .map(|(name, value)| (name, attribute(value)))
        .collect()
}
