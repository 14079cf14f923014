//! Rows brought into a state directly, and what tests look at.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use daybook_ledger::{Claim, Hand, IndexKey, Moved, NewRow, Recorded};
use daybook_local::{ExecutionStatus, MessageView, Outcome};
use daybook_manager::{Delivered, Disposition, ScheduleReport, batch_response};
use daybook_schema::{
    Attempt, DispatchMessage, EventId, ExecutionName, NEWEST_ROW_VERSION, ObjectEvent, Receipt, Row, Status,
    Timestamp,
};
use futures::FutureExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::notifications::Upload;
use crate::stage::Stage;
use crate::wire::{Fault, Wire};

/// A row as the ledger's table holds it, in DynamoDB's JSON.
pub fn row_item(row: &Row) -> Value {
    item(serde_json::to_value(row).unwrap())
}

/// An item of plain strings, numbers and truth values, in DynamoDB's JSON.
pub fn item(attributes: Value) -> Value {
    let attribute = |value: &Value| match value {
        Value::String(text) => json!({ "S": text }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::Bool(value) => json!({ "BOOL": value }),
        other => panic!("neither a string, a number nor a truth value: {other}"),
    };
    let Value::Object(attributes) = attributes else {
        panic!("no item: {attributes}");
    };
    attributes
        .iter()
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

/// The row as a newer release would have written it: with a version and an attribute that this one does not know.
pub fn newer_item(row: &Row) -> Value {
    let mut newer = serde_json::to_value(row).unwrap();
    newer["v"] = (NEWEST_ROW_VERSION + 1).into();
    newer["novelty"] = "kept".into();
    item(newer)
}

/// The row of an upload in that status: claimed rows are at attempt 1 with a lease that ends at `due_at`, parked ones
/// have used one attempt.
pub fn row_in(status: Status, upload: &Upload, due_at: Timestamp) -> Row {
    let row = Row::recorded(upload.event(), 5, None, due_at);
    match status {
        Status::Pending => row,
        Status::Claimed => Row {
            status,
            attempt: Attempt(1),
            deliveries: 1,
            claim_token: Some(Uuid::from_u128(0x5EED)),
            ..row
        },
        Status::Parked => Row {
            status,
            attempt: Attempt(5),
            deliveries: 1,
            claim_token: Some(Uuid::from_u128(0x5EED)),
            last_error: Some("FAILED: States.TaskFailed".into()),
            ..row
        },
    }
}

impl Stage {
    /// Puts rows into the ledger's table as they are, past the wire.
    pub fn put_rows<'a>(&self, rows: impl IntoIterator<Item = &'a Row>) {
        self.put_items("ledger", rows.into_iter().map(row_item).collect());
    }

    /// Puts items into a table as they are, past the wire; fast for many.
    pub fn put_items(&self, table: &str, items: Vec<Value>) {
        let imported = self.aws.import(table, items).now_or_never();
        imported.expect("in memory it is done at once").unwrap();
    }

    /// The item of that key, past the wire.
    async fn stored(&self, table: &str, id: &str) -> Option<Value> {
        let request =
            serde_json::json!({"TableName": table, "Key": {"id": {"S": id}}, "ConsistentRead": true});
        let answer = self
            .aws
            .handle("DynamoDB_20120810.GetItem", request.to_string().as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        Some(plain(answer.get("Item")?))
    }

    /// The row as it stands in the table, whoever can read it, past the wire.
    pub async fn row_as_stored(&self, id: EventId) -> Option<Value> {
        self.stored("ledger", &id.to_string()).await
    }

    /// The row as it stands, past the wire.
    pub async fn row(&self, id: EventId) -> Option<Row> {
        let item = self.stored("ledger", &id.to_string()).await?;
        Some(serde_json::from_value(item).unwrap())
    }

    /// The control item as it stands, past the wire.
    pub async fn control_item(&self) -> Option<Value> {
        self.stored("ledger", "control").await
    }

    /// The receipt of that event's object, past the wire.
    pub async fn receipt(&self, event: &ObjectEvent) -> Option<Receipt> {
        let item = self.stored("receipts", &event.object_id().to_string()).await?;
        Some(serde_json::from_value(item).unwrap())
    }

    /// All rows, past the wire, by id.
    pub async fn rows(&self) -> BTreeMap<EventId, Row> {
        let request = serde_json::json!({"TableName": "ledger", "ConsistentRead": true});
        let answer = self
            .aws
            .handle("DynamoDB_20120810.Scan", request.to_string().as_bytes())
            .await;
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(
            answer.get("LastEvaluatedKey").is_none(),
            "more than a page of rows"
        );
        let items = answer["Items"].as_array().unwrap().iter().map(plain);
        items
            .filter(|item| item["id"] != "control")
            .map(|item| serde_json::from_value::<Row>(item).unwrap())
            .map(|row| (row.id, row))
            .collect()
    }

    /// How many rows have that status, by the index.
    pub async fn rows_in(&self, status: Status) -> u64 {
        self.ledger.count(status, None, None).await.unwrap().rows
    }

    /// Records uploads by the ledger's own step.
    pub async fn record(&self, uploads: &[Upload]) -> Vec<Recorded> {
        let row = |upload: &Upload| NewRow::Event {
            event: upload.event(),
            max_attempts: self.options.dispatch.max_attempts,
            trace: None,
            caveat: None,
            at_once: false,
        };
        let rows = uploads.iter().map(row).collect();
        self.ledger.record(rows, self.deadline()).await
    }

    /// The keys of due rows as the index shows them.
    pub async fn due_keys(&self) -> Vec<IndexKey> {
        let mut due = self.ledger.due(Status::Pending, Some(self.now()), 100);
        due.next(100).await
    }

    /// Claims everything that is due by the ledger's own step; every claim must succeed.
    pub async fn claim_due(&self) -> Vec<Row> {
        let keys = self.due_keys().await;
        let claims = self
            .ledger
            .claim(&keys, Hand::Queue, self.options.dispatch.lease, self.deadline())
            .await;
        let row = |claim| match claim {
            Claim::Claimed(row) => *row,
            other => panic!("not claimed: {other:?}"),
        };
        claims.into_iter().map(row).collect()
    }

    /// Renews one row by the ledger's own step.
    pub async fn renew(&self, name: ExecutionName) -> Moved {
        let lease = self.options.dispatch.lease;
        self.ledger
            .renew(&[name], None, lease, self.deadline())
            .await
            .remove(0)
    }

    /// One run of the scheduler in the window of now.
    pub async fn schedule(&self) -> ScheduleReport {
        self.scheduler()
            .run(self.window(), self.deadline())
            .await
            .unwrap()
    }

    /// One sweep in the window of now.
    pub async fn sweep(&self) -> daybook_reconciler::SweepReport {
        self.sweeper().run(self.window(), self.deadline()).await.unwrap()
    }

    /// A sweep every minute for that long.
    pub async fn sweep_for(&self, duration: Duration) -> Vec<daybook_reconciler::SweepReport> {
        self.sweep_every(Duration::from_secs(60), duration).await
    }

    /// A sweep whenever `interval` has passed, for that long.
    pub async fn sweep_every(
        &self,
        interval: Duration,
        duration: Duration,
    ) -> Vec<daybook_reconciler::SweepReport> {
        let mut reports = Vec::new();
        let until = self.now().plus(duration);
        while self.now() < until {
            self.pass(interval).await;
            reports.push(self.sweep().await);
        }
        reports
    }

    /// The dispatch queue's messages, oldest first, without receiving them.
    pub fn dispatched(&self) -> Vec<DispatchMessage> {
        let read = |message: &MessageView| DispatchMessage::from_json(&message.body).unwrap();
        let messages = self.aws.sqs().messages(&self.dispatch_queue).unwrap();
        messages.iter().map(read).collect()
    }

    /// Receives and invokes until the dispatch queue offers nothing.
    pub async fn invoke_all(&self) {
        while self.pump_invoke().await.unwrap() > 0 {}
    }

    /// Receives and completes until the completion queue offers nothing.
    pub async fn complete_all(&self) {
        while self.pump_complete().await.unwrap() > 0 {}
    }

    /// Ends every running execution with success; how many.
    pub fn succeed_running(&self) -> usize {
        self.end_running(&|| Outcome::Succeeded { output: "{}".into() })
    }

    /// Ends every running execution with an error; how many.
    pub fn fail_running(&self) -> usize {
        self.end_running(&|| Outcome::Failed {
            error: "States.TaskFailed".into(),
            cause: "the target said no".into(),
        })
    }

    fn end_running(&self, outcome: &dyn Fn() -> Outcome) -> usize {
        let executions = self.aws.executions();
        let running: Vec<_> = executions
            .all()
            .into_iter()
            .filter(|execution| execution.status == ExecutionStatus::Running)
            .collect();
        for execution in &running {
            executions.close(&execution.arn, outcome()).unwrap();
        }
        running.len()
    }

    /// The names of all executions ever started, in their order.
    pub fn execution_names(&self) -> Vec<String> {
        let all = self.aws.executions().all();
        all.into_iter().map(|execution| execution.name).collect()
    }

    /// Loses every status event that waits; how many.
    pub fn lose_status_events(&self) -> usize {
        self.aws.sqs().lose(&self.completion, |_| true)
    }
}

/// DynamoDB's JSON of an item as plain JSON; strings and numbers only.
fn plain(item: &Value) -> Value {
    let attribute = |value: &Value| match value.get("N") {
        _ if value.get("BOOL").is_some() => value["BOOL"].clone(),
        Some(number) => serde_json::from_str(number.as_str().unwrap()).unwrap(),
        None => value["S"].clone(),
    };
    let attributes = item.as_object().unwrap().iter();
    attributes
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

/// A message as a poll gives it.
pub fn delivered(id: &str, body: impl Into<String>) -> Delivered {
    Delivered {
        message_id: id.into(),
        body: body.into(),
        receive_count: 1,
        trace: None,
    }
}

/// Messages that were received once, by their ids.
pub fn all_delivered<'a>(messages: impl IntoIterator<Item = (&'a str, String)>) -> Vec<Delivered> {
    messages
        .into_iter()
        .map(|(id, body)| delivered(id, body))
        .collect()
}

/// The ids that Lambda would be told to return.
pub fn returned(messages: &[Delivered], dispositions: impl IntoIterator<Item = Disposition>) -> Vec<String> {
    let dispositions: Vec<Disposition> = dispositions.into_iter().collect();
    let failures = batch_response(messages, &dispositions).batch_item_failures;
    failures
        .into_iter()
        .map(|failure| failure.item_identifier)
        .collect()
}

impl Wire {
    /// The next requests of that operation meet these faults, one each; all others none.
    pub fn inject_next(&self, operation: &'static str, faults: impl IntoIterator<Item = Fault>) {
        let mut faults: VecDeque<Fault> = faults.into_iter().collect();
        self.inject(move |request| match request.operation == operation {
            true => faults.pop_front().unwrap_or(Fault::None),
            false => Fault::None,
        });
    }

    /// From now on faults of every kind that whoever claims and sends may meet, by a seed.
    pub fn inject_faults_of_dispatch(&self, seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        self.inject(move |request| {
            let dice = rng.u32(0..100);
            let position = rng.usize(0..10);
            match (request.operation.as_str(), dice) {
                ("Query", 0..30) => Fault::Stale,
                ("BatchExecuteStatement", 0..12) => Fault::AnswerLost,
                ("BatchExecuteStatement", 12..24) => Fault::Partial(vec![position]),
                ("UpdateItem", 0..20) => Fault::AnswerLost,
                ("SendMessageBatch", 0..10) => Fault::AnswerLost,
                ("SendMessageBatch", 10..30) => Fault::Partial(vec![position % 3]),
                ("SendMessageBatch", 30..35) => Fault::NotSent,
                _ => Fault::None,
            }
        });
    }

    /// Every request of that operation meets this fault.
    pub fn inject_always(&self, operation: &'static str, fault: Fault) {
        self.inject(move |request| match request.operation == operation {
            true => fault.clone(),
            false => Fault::None,
        });
    }
}
