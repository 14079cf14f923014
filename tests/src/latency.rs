//! How long the movers wait for AWS when every request takes the same time and nothing else takes any: many rows at once, beside one
//! request at a time, and beside the bound requests × latency ÷ concurrency.
//!
//! tokio's clock is paused, so what is measured is waiting alone, and the same on every machine.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_manager::{Batching, Completed, Delivered, Dispatch, Payload, Settled, Start};
use daybook_schema::tables::attribute::ID;
use daybook_schema::{Attempt, DispatchMessage, ExecutionInput, ExecutionName, ObjectEvent, Row, Status};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::notifications::{Upload, uploads};
use crate::rows::delivered;
use crate::stage::{Stage, StageOptions};
use crate::wire::Fault;

/// How long every request takes.
pub const LATENCY: Duration = Duration::from_millis(5);

/// What is asked of tokio for it: a timer ends with the millisecond after its time.
pub(crate) const SLEEP: Duration = Duration::from_micros(4500);

/// Events per notification.
const PER_PAYLOAD: usize = 100;

/// What one mover did with all rows.
#[derive(Debug)]
pub struct Measured {
    /// The mover.
    pub name: &'static str,
    /// How many rows.
    pub rows: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Its requests, by API call.
    pub requests: Vec<Requests>,
    /// What is done one at a time.
    pub one_by_one: &'static str,
    /// How long that took for each row.
    pub one_row: Duration,
}

/// The requests of one API call.
#[derive(Debug)]
pub struct Requests {
    /// The API call.
    pub operation: String,
    /// How many there were.
    pub count: usize,
    /// How many were under way at once, at most.
    pub peak: usize,
    /// How many may be under way at once by the limits in the code.
    pub limit: usize,
}

impl Measured {
    /// How many requests there were.
    pub fn count(&self) -> usize {
        self.requests.iter().map(|one| one.count).sum()
    }

    /// Rows per second.
    pub fn rate(&self) -> f64 {
        self.rows as f64 / self.elapsed.as_secs_f64()
    }

    /// How long one at a time takes for as many rows.
    pub fn sequential(&self) -> Duration {
        self.one_row.mul_f64(self.rows as f64)
    }

    /// How many times as fast as one at a time.
    pub fn gain(&self) -> f64 {
        self.sequential().as_secs_f64() / self.elapsed.as_secs_f64()
    }

    /// Requests × latency ÷ concurrency, each API call by its own limit, one call after the other.
    pub fn bound(&self) -> Duration {
        let of = |one: &Requests| LATENCY.mul_f64(one.count as f64 / one.limit as f64);
        self.requests.iter().map(of).sum()
    }

    /// How many times the bound it took.
    pub fn over_bound(&self) -> f64 {
        self.elapsed.as_secs_f64() / self.bound().as_secs_f64()
    }
}

/// When requests began.
#[derive(Default)]
struct Begun {
    under_way: BTreeMap<String, VecDeque<Instant>>,
    counts: BTreeMap<String, (usize, usize)>,
}

impl Begun {
    fn see(&mut self, operation: &str) {
        let now = Instant::now();
        let under_way = self.under_way.entry(operation.to_owned()).or_default();
        under_way.push_back(now);
        while under_way.front().is_some_and(|first| now - *first >= LATENCY) {
            under_way.pop_front();
        }
        let (count, peak) = self.counts.entry(operation.to_owned()).or_default();
        *count += 1;
        *peak = under_way.len().max(*peak);
    }
}

/// A stage on which every request takes its time.
async fn slow_stage(start: Start, per_window: usize) -> Stage {
    let stage = Stage::new(StageOptions {
        dispatch: Dispatch {
            per_window: u32::try_from(per_window).unwrap(),
            start,
            ..Dispatch::default()
        },
        ..StageOptions::default()
    })
    .await;
    stage.wire.inject(|_| Fault::Slow(SLEEP));
    stage
}

/// Runs something on a stage; how long it took, and its requests, each with the limit of its API call.
async fn watched(
    stage: &Stage,
    limits: &[(&str, usize)],
    work: impl AsyncFnOnce(&Stage),
) -> (Duration, Vec<Requests>) {
    let begun = Arc::new(Mutex::new(Begun::default()));
    let seen = begun.clone();
    stage.wire.inject(move |request| {
        seen.lock().unwrap().see(&request.operation);
        Fault::Slow(SLEEP)
    });
    let start = Instant::now();
    work(stage).await;
    let elapsed = start.elapsed();
    let counts = std::mem::take(&mut begun.lock().unwrap().counts);
    let requests = counts.into_iter().map(|(operation, (count, peak))| {
        let limit = limits.iter().find(|(name, _)| *name == operation);
        let limit = limit
            .unwrap_or_else(|| panic!("no limit is named for {operation}"))
            .1;
        Requests {
            operation,
            count,
            peak,
            limit,
        }
    });
    (elapsed, requests.collect())
}

/// How long each row takes, one request after the other.
async fn one_by_one<T>(items: &[T], mut of_one: impl AsyncFnMut(&T)) -> Duration {
    let start = Instant::now();
    for item in items {
        of_one(item).await;
    }
    start.elapsed() / u32::try_from(items.len()).unwrap()
}

/// Events are recorded: notifications of 100 events, in one call.
///
/// # Panics
/// When an event is not recorded.
pub async fn ingest(rows: usize, sample: usize) -> Measured {
    // 4 reads of 100 receipts, 8 inserts of 25 rows.
    let limits = [("BatchGetItem", 4), ("BatchExecuteStatement", 8)];
    let stage = slow_stage(Start::Scheduled, rows).await;
    let payloads = payloads(rows);
    let (elapsed, requests) = watched(&stage, &limits, async |stage| {
        recorded(stage, &payloads, rows).await;
    })
    .await;
    let one_row = put_each(&sequential_stage(0).await, sample).await;
    Measured {
        name: "ingest",
        rows,
        elapsed,
        requests,
        one_by_one: "put one",
        one_row,
    }
}

/// Events are recorded and sent at once.
///
/// # Panics
/// When an event is not recorded, or not sent.
pub async fn ingest_immediately(rows: usize, sample: usize) -> Measured {
    // As above; 8 messages of 10 rows; and the budget is asked once for some 4,000 rows.
    let limits = [
        ("BatchGetItem", 4),
        ("BatchExecuteStatement", 8),
        ("SendMessageBatch", 8),
        ("GetItem", 1),
        ("UpdateItem", 1),
    ];
    let stage = slow_stage(Start::Immediate, rows).await;
    let payloads = payloads(rows);
    let (elapsed, requests) = watched(&stage, &limits, async |stage| {
        recorded(stage, &payloads, rows).await;
    })
    .await;
    assert_eq!(stage.dispatched().len(), rows);
    let one_by_one_stage = sequential_stage(0).await;
    let one_row = put_each(&one_by_one_stage, sample).await;
    let sent = one_by_one(&new_rows(&one_by_one_stage, sample), async |row| {
        send(&one_by_one_stage, row).await;
    })
    .await;
    Measured {
        name: "ingest, dispatched at once",
        rows,
        elapsed,
        requests,
        one_by_one: "put one, send one",
        one_row: one_row + sent,
    }
}

/// Due rows are claimed and sent: one run of the scheduler.
///
/// # Panics
/// When a row is not sent.
pub async fn dispatch(rows: usize, sample: usize) -> Measured {
    dispatched("dispatch", None, rows, sample).await
}

/// The same in batches of 100.
///
/// # Panics
/// When a row is not sent.
pub async fn dispatch_in_batches(rows: usize, sample: usize) -> Measured {
    let batching = Batching::of(100, Duration::ZERO).unwrap();
    dispatched("dispatch, in batches of 100", batching, rows, sample).await
}

async fn dispatched(name: &'static str, batching: Option<Batching>, rows: usize, sample: usize) -> Measured {
    // 4 chunks of 200 rows: each has 8 claims of 25 rows, then 8 requests with 10 messages, or one with those of two batches. One query
    // per shard; the others are alone.
    let limits = [
        ("BatchExecuteStatement", 4 * 8),
        ("SendMessageBatch", if batching.is_some() { 4 } else { 4 * 8 }),
        ("Query", 16),
        ("BatchGetItem", 1),
        ("GetItem", 1),
        ("UpdateItem", 1),
    ];
    let mut stage = slow_stage(Start::Scheduled, rows).await;
    stage.options.dispatch.batching = batching;
    stage.wire.heal();
    recorded(&stage, &payloads(rows), rows).await;
    let (elapsed, requests) = watched(&stage, &limits, async |stage| {
        let report = stage.schedule().await;
        assert_eq!(report.sent as usize, rows, "{report:?}");
    })
    .await;
    Measured {
        name,
        rows,
        elapsed,
        requests,
        one_by_one: "send one, delete one",
        one_row: send_and_delete_each(&sequential_stage(sample).await, sample).await,
    }
}

/// Executions have succeeded: one batch of status events.
///
/// # Panics
/// When a row is not deleted.
pub async fn complete(rows: usize, sample: usize) -> Measured {
    // 8 chunks of 25 rows: each has one request for its receipts, then one for its deletions.
    let limits = [("BatchExecuteStatement", 8)];
    let stage = slow_stage(Start::Scheduled, rows).await;
    stage.wire.heal();
    recorded(&stage, &payloads(rows), rows).await;
    let ends: Vec<Delivered> = uploads(rows)
        .iter()
        .map(|upload| succeeded(&stage, &upload.event()))
        .collect();
    let (elapsed, requests) = watched(&stage, &limits, async |stage| {
        let completed = stage.completer().handle(&ends, stage.deadline()).await;
        let is_done = |one: &Completed| matches!(one, Completed::Settled(Settled::Completed));
        assert!(completed.iter().all(is_done), "{completed:?}");
    })
    .await;
    let one_by_one_stage = sequential_stage(sample).await;
    let one_row = one_by_one(&new_rows(&one_by_one_stage, sample), async |row| {
        delete(&one_by_one_stage, row).await;
    })
    .await;
    Measured {
        name: "completion",
        rows,
        elapsed,
        requests,
        one_by_one: "delete one",
        one_row,
    }
}

fn payloads(rows: usize) -> Vec<Payload> {
    let body = |uploads: &[Upload]| {
        let records: Vec<_> = uploads.iter().map(Upload::record).collect();
        json!({"Records": records}).to_string()
    };
    let payload = |uploads: &[Upload]| Payload {
        body: body(uploads),
        ..Payload::default()
    };
    uploads(rows).chunks(PER_PAYLOAD).map(payload).collect()
}

async fn recorded(stage: &Stage, payloads: &[Payload], rows: usize) {
    let ingested = stage.ingest().ingest(payloads, stage.deadline()).await;
    assert!(ingested.iter().all(|one| one.is_safe()), "{ingested:?}");
    assert_eq!(ingested.iter().map(|one| one.rows.len()).sum::<usize>(), rows);
}

/// The status event of an execution that did an event's first attempt.
fn succeeded(stage: &Stage, event: &ObjectEvent) -> Delivered {
    let attempt = Attempt(1);
    let name = ExecutionName {
        id: event.id,
        attempt,
    };
    let state_machine = &stage.state_machine;
    let arn = format!(
        "{}:{name}",
        state_machine.replace(":stateMachine:", ":execution:")
    );
    let body = json!({
        "version": "0", "id": name.to_string(), "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states", "account": "123456789012", "time": "2026-11-21T00:00:00Z", "region": "us-east-1",
        "resources": [arn],
        "detail": {
            "executionArn": arn, "stateMachineArn": state_machine, "name": name.to_string(),
            "status": "SUCCEEDED", "input": ExecutionInput::new(event, attempt).to_json(),
            "inputDetails": {"included": true}, "output": "{}", "outputDetails": {"included": true},
        },
    });
    delivered(&name.to_string(), body.to_string())
}

/// A stage with so many rows, for what is done one at a time.
async fn sequential_stage(rows: usize) -> Stage {
    let stage = slow_stage(Start::Scheduled, rows).await;
    stage.put_rows(&new_rows(&stage, rows));
    stage
}

fn new_rows(stage: &Stage, rows: usize) -> Vec<Row> {
    let row = |upload: &Upload| Row::recorded(upload.event(), 5, None, stage.now());
    uploads(rows).iter().map(row).collect()
}

/// The plain way into the table.
async fn put_each(stage: &Stage, rows: usize) -> Duration {
    one_by_one(&new_rows(stage, rows), async |row| {
        let put = stage.dynamodb.put_item().table_name("ledger");
        put.set_item(Some(item_of(row))).send().await.unwrap();
    })
    .await
}

fn item_of(row: &Row) -> HashMap<String, AttributeValue> {
    let attribute = |value: &Value| match value {
        Value::Number(number) => AttributeValue::N(number.to_string()),
        text => AttributeValue::S(text.as_str().unwrap().to_owned()),
    };
    let row = serde_json::to_value(row).unwrap();
    let attributes = row.as_object().unwrap().iter();
    attributes
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

/// The plain way out of it: read what is due, then for each row send a message and delete the row. That a row is lost or sent twice where
/// this ends in between is not the point here; reading is not counted.
async fn send_and_delete_each(stage: &Stage, rows: usize) -> Duration {
    let mut due = stage.ledger.due(Status::Pending, Some(stage.now()), rows);
    let ids: Vec<_> = due.next(rows).await.into_iter().map(|key| key.id).collect();
    let due: Vec<Row> = stage
        .ledger
        .get_many(&ids)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(due.len(), rows);
    one_by_one(&due, async |row| {
        send(stage, row).await;
        delete(stage, row).await;
    })
    .await
}

async fn send(stage: &Stage, row: &Row) {
    let body = DispatchMessage::for_row(row).unwrap().to_json();
    let message = stage.sqs.send_message().queue_url(&stage.dispatch_queue);
    message.message_body(body).send().await.unwrap();
}

async fn delete(stage: &Stage, row: &Row) {
    let deletion = stage.dynamodb.delete_item().table_name("ledger");
    let id = AttributeValue::S(row.id.to_string());
    deletion.key(ID, id).send().await.unwrap();
}
