//! Watches from outside: what S3 sent, what executions ran, what AWS did on the wire, what is in the tables as raw JSON.
//! It uses none of the ledger's own code, which could share its errors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use daybook_local::{ExecutionStatus, ExecutionView};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::actors::SentByS3;
use super::{FIRST_DELAY, PER_WINDOW, WINDOW};
use crate::notifications::Upload;
use crate::stage::Stage;

/// A payload in the intake queue that is no notification.
pub(crate) const GARBAGE: &str = "{\"Records\": \"not a list\"";

/// What the checker saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must never be. Empty in a good run.
    pub violations: Vec<String>,
    /// Uploads that S3 told of.
    pub uploads: usize,
    /// Uploads for which a success was reported.
    pub succeeded: usize,
    /// Uploads whose rows wait for a person.
    pub parked: usize,
    /// Uploads that a newer upload of the same key stands for.
    pub covered: usize,
    /// Executions that were started.
    pub executions: usize,
    /// Attempts that failed.
    pub failed_attempts: usize,
    /// Messages sent to the dispatch queue.
    pub sent: u64,
    /// Rows whose messages were sent more than once for one attempt.
    pub redelivered: usize,
}

/// Messages put on the dispatch queue, by window and by (event, attempt).
#[derive(Default)]
struct SentMessages {
    per_window: BTreeMap<u128, u64>,
    per_attempt: BTreeMap<(String, u64), u64>,
}

pub(crate) struct Checker {
    sent_by_s3: SentByS3,
    messages: Arc<Mutex<SentMessages>>,
    drained: Result<(), String>,
}

impl Checker {
    pub(crate) fn watch(stage: &Stage) -> Self {
        let messages = Arc::new(Mutex::new(SentMessages::default()));
        let seen = messages.clone();
        let begun = Instant::now();
        stage.wire.observe(move |request, answer| {
            if request.operation != "SendMessageBatch" {
                return;
            }
            let mut seen = seen.lock().unwrap();
            let window = begun.elapsed().as_secs() as u128 / u128::from(WINDOW.as_secs());
            for entry in answer["Successful"].as_array().into_iter().flatten() {
                *seen.per_window.entry(window).or_default() += 1;
                let sent = request.body["Entries"].as_array().into_iter().flatten();
                for message in sent.filter(|message| message["Id"] == entry["Id"]) {
                    let body: Value = serde_json::from_str(message["MessageBody"].as_str().unwrap()).unwrap();
                    let id = body["input"]["id"].as_str().unwrap().to_owned();
                    let attempt = body["input"]["attempt"].as_u64().unwrap();
                    *seen.per_attempt.entry((id, attempt)).or_default() += 1;
                }
            }
        });
        Self {
            sent_by_s3: SentByS3::default(),
            messages,
            drained: Ok(()),
        }
    }

    pub(crate) fn sent_by_s3(&self) -> SentByS3 {
        self.sent_by_s3.clone()
    }

    /// Waits until nothing is open but what is parked, no message waits and no execution runs, or the time is up.
    pub(crate) async fn drain(&mut self, stage: &Stage, limit: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            tokio::time::sleep(Duration::from_secs(600)).await;
            let open = scan(stage, "ledger")
                .await
                .iter()
                .filter(|row| is_row(row) && status(row) != "PARKED")
                .count();
            let queues = [&stage.intake, &stage.dispatch_queue, &stage.completion];
            let waiting: usize = queues
                .iter()
                .map(|url| stage.aws.sqs().depth(url).unwrap())
                .map(|depth| depth.visible + depth.in_flight + depth.delayed)
                .sum();
            let running = stage
                .aws
                .executions()
                .all()
                .iter()
                .any(|one| one.status == ExecutionStatus::Running);
            if open == 0 && waiting == 0 && !running {
                self.drained = Ok(());
                return;
            }
            self.drained = Err(format!(
                "{open} rows open, {waiting} messages waiting, executions running: {running}"
            ));
        }
    }

    pub(crate) async fn findings(&self, stage: &Stage) -> Findings {
        let rows = scan(stage, "ledger").await;
        let receipts = scan(stage, "receipts").await;
        let executions = stage.aws.executions().all();
        let mut findings = Findings {
            executions: executions.len(),
            ..Findings::default()
        };
        if let Err(left) = &self.drained {
            findings.violations.push(format!("not drained: {left}"));
        }
        self.nothing_is_lost(&rows, &receipts, &executions, &mut findings);
        attempts_are_honest(&rows, &executions, &mut findings);
        self.the_budget_holds(&mut findings);
        counts_are_true(stage, &rows, &mut findings).await;
        for queue in [
            "intake-dead",
            "dispatch-dead",
            "dispatch-dead.fifo",
            "completion-dead",
        ] {
            let url = stage.intake.replace("intake", queue);
            let dead = stage.aws.sqs().depth(&url).map_or(0, |depth| depth.visible);
            if dead > 0 {
                findings.violations.push(format!("{dead} messages in {queue}"));
            }
        }
        findings
    }

    /// Every upload that S3 told of: a success was reported for it, or its row is parked, or a newer upload of its key, which
    /// in a bucket without versions replaced it, stands for it.
    fn nothing_is_lost(
        &self,
        rows: &[Value],
        receipts: &[Value],
        executions: &[ExecutionView],
        findings: &mut Findings,
    ) {
        let uploads: BTreeSet<Upload> = self.sent_by_s3.lock().unwrap().iter().cloned().collect();
        findings.uploads = uploads.len();
        let successes = |upload: &Upload| {
            let same = |one: &&ExecutionView| {
                let input: Value = serde_json::from_str(&one.input).unwrap();
                one.status == ExecutionStatus::Succeeded && is_upload(&input, upload)
            };
            executions.iter().filter(same).count()
        };
        for upload in &uploads {
            let newer_done = uploads.iter().any(|newer| {
                newer.key == upload.key && newer.sequencer > upload.sequencer && successes(newer) > 0
            });
            let parked = rows
                .iter()
                .any(|row| status(row) == "PARKED" && is_upload(&plain(row), upload));
            match successes(upload) {
                1 => findings.succeeded += 1,
                0 if parked => findings.parked += 1,
                0 if newer_done => findings.covered += 1,
                0 => findings.violations.push(format!("lost: {upload:?}")),
                n => findings.violations.push(format!("{n} successes for {upload:?}")),
            }
            let receipt = receipts.iter().any(|receipt| {
                receipt["key"]["S"] == json!(upload.key)
                    && receipt["sequencer"]["S"].as_str() >= upload.sequencer.as_deref()
            });
            if successes(upload) > 0 && !receipt {
                findings
                    .violations
                    .push(format!("done without a receipt: {upload:?}"));
            }
        }
        let garbage = rows
            .iter()
            .filter(|row| row["raw"]["S"] == json!(GARBAGE))
            .count();
        if garbage != 1 {
            findings
                .violations
                .push(format!("{garbage} rows keep the payload that nobody can read"));
        }
    }

    /// Never more than N in a window, redeliveries included.
    fn the_budget_holds(&self, findings: &mut Findings) {
        let messages = self.messages.lock().unwrap();
        for (window, sent) in &messages.per_window {
            if *sent > u64::from(PER_WINDOW) {
                findings.violations.push(format!(
                    "{sent} messages sent in window {window}, N is {PER_WINDOW}"
                ));
            }
        }
        findings.sent = messages.per_window.values().sum();
        findings.redelivered = messages.per_attempt.values().filter(|sent| **sent > 1).count();
    }
}

/// A name runs once, an attempt begins only after the one before it failed, and a parked row has as many attempts as
/// executions of it failed.
fn attempts_are_honest(rows: &[Value], executions: &[ExecutionView], findings: &mut Findings) {
    let mut by_event: BTreeMap<String, BTreeMap<u64, &ExecutionView>> = BTreeMap::new();
    for one in executions {
        if one.runs != 1 {
            findings
                .violations
                .push(format!("{} ran {} times", one.name, one.runs));
        }
        let (id, attempt) = one.name.rsplit_once('-').unwrap();
        by_event
            .entry(id.to_owned())
            .or_default()
            .insert(attempt.parse().unwrap(), one);
    }
    for (id, attempts) in &by_event {
        let failed = attempts.values().filter(|one| has_failed(one)).count();
        findings.failed_attempts += failed;
        let mut before: Option<DateTime<Utc>> = None;
        for (position, (attempt, one)) in attempts.iter().enumerate() {
            if *attempt != position as u64 + 1 {
                findings
                    .violations
                    .push(format!("{id}: attempt {attempt} began without the one before it"));
            }
            // Jitter takes up to half of the backoff away.
            let backoff = FIRST_DELAY.mul_f64(2f64.powf(position as f64 - 1.0)) / 2;
            if before.is_some_and(|ended| one.started_at < ended + backoff) {
                let text =
                    format!("{id}: attempt {attempt} began before the backoff of the last one was over");
                findings.violations.push(text);
            }
            if position + 1 < attempts.len() && !has_failed(one) {
                findings.violations.push(format!(
                    "{id}: an attempt after attempt {attempt}, which had not failed"
                ));
            }
            before = one.stopped_at;
        }
        for row in rows.iter().filter(|row| row["id"]["S"] == json!(id)) {
            if row["attempt"]["N"] != json!(failed.to_string()) {
                let counted = &row["attempt"]["N"];
                findings.violations.push(format!(
                    "{id} counts {counted} attempts, {failed} executions failed"
                ));
            }
        }
    }
}

/// What the ledger says of itself at rest is what is there.
async fn counts_are_true(stage: &Stage, rows: &[Value], findings: &mut Findings) {
    for wanted in daybook_schema::Status::ALL {
        let there = rows
            .iter()
            .filter(|row| is_row(row) && status(row) == wanted.as_str())
            .count() as u64;
        match stage.ledger.count(wanted, None, None).await {
            Ok(count) if count.rows == there && count.exact => {}
            other => findings
                .violations
                .push(format!("{there} rows are {wanted}, the ledger says {other:?}")),
        }
    }
}

fn has_failed(one: &ExecutionView) -> bool {
    !matches!(one.status, ExecutionStatus::Running | ExecutionStatus::Succeeded)
}

fn is_upload(event: &Value, upload: &Upload) -> bool {
    let sequencer = event["sequencer"].as_str().unwrap_or_default();
    event["key"] == json!(upload.key)
        && event["bucket"] == json!(upload.bucket)
        && upload
            .sequencer
            .as_deref()
            .is_some_and(|sent| sequencer.starts_with(sent))
}

/// `{"key": {"S": "a"}}` → `{"key": "a"}`.
fn plain(row: &Value) -> Value {
    let fields = row.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| (name.clone(), value["S"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn is_row(item: &Value) -> bool {
    item["id"]["S"] != json!("control")
}

fn status(item: &Value) -> &str {
    item["status"]["S"].as_str().unwrap_or_default()
}

/// A table's items as they are, without the ledger, the SDK or the faulty wire.
async fn scan(stage: &Stage, table: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut request = json!({"TableName": table, "ConsistentRead": true});
    loop {
        let answer = stage
            .aws
            .handle("DynamoDB_20120810.Scan", request.to_string().as_bytes())
            .await;
        let mut page: Value = serde_json::from_slice(&answer.body).unwrap();
        items.append(page["Items"].as_array_mut().unwrap());
        match page.get("LastEvaluatedKey") {
            Some(key) => request["ExclusiveStartKey"] = key.clone(),
            None => return items,
        }
    }
}
