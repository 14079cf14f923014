//! What must be true at the end of a story, by what S3 sent, what ran, and the tables as they are. None of the ledger's own code
//! has a say, except where its word is held against the tables.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_local::{ExecutionStatus, ExecutionView, Outcome};
use daybook_schema::Status;
use daybook_tests::notifications::Upload;
use serde_json::{Value, json};

use crate::outside::events;
use crate::world::{MAX_ATTEMPTS, PER_WINDOW, StoryPipeline};

/// How an upload must have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A receipt, no row, and exactly these attempts ran: all failed but the last.
    Done(&'static [u64]),
    /// A row that waits for a person, after exactly these attempts failed.
    Parked(&'static [u64]),
    /// A receipt that says that a person took it out.
    Removed,
    /// A receipt that a person's word made.
    DoneByWord,
}

/// Checks all; what is wrong goes to the world's violations.
pub async fn check(world: &StoryPipeline, ends: &[(&Upload, End)], payloads: usize) {
    let rows = world.raw("ledger").await;
    let receipts = world.raw("receipts").await;
    let executions = world.stage.aws.executions().all();
    for (upload, end) in ends {
        let row = rows.iter().find(|row| is_about(row, upload));
        let receipt = receipts.iter().find(|receipt| is_about(receipt, upload));
        match end {
            End::Done(attempts) => {
                done(world, upload, row, receipt);
                match world.has_worker {
                    true => worked(world, upload, attempts),
                    false => ran(world, upload, attempts, true, &executions),
                }
            }
            End::Parked(attempts) => {
                let failed = attempts.len().to_string();
                match row {
                    Some(row)
                        if row["status"]["S"] == json!("PARKED")
                            && row["attempt"]["N"] == json!(failed)
                            && row["last_error"]["S"].as_str().is_some_and(|why| !why.is_empty()) => {}
                    other => world.violation(format!("{} is not parked: {other:?}", upload.key)),
                }
                match world.has_worker {
                    true => worked(world, upload, attempts),
                    false => ran(world, upload, attempts, false, &executions),
                }
            }
            End::Removed | End::DoneByWord => {
                let outcome = match end {
                    End::Removed => "removed",
                    _ => "succeeded",
                };
                let is_said = receipt.is_some_and(|receipt| {
                    receipt["outcome"]["S"] == json!(outcome) && receipt["by"]["S"] == json!("ann")
                });
                if row.is_some() || !is_said {
                    let text = format!("{} is not {outcome} by ann: {row:?} {receipt:?}", upload.key);
                    world.violation(text);
                }
                ran(world, upload, &[], false, &executions);
            }
        }
    }
    let kept = rows.iter().filter(|row| row.get("raw").is_some()).count();
    if kept != payloads {
        world.violation(format!(
            "{kept} rows keep payloads that nobody can read, not {payloads}"
        ));
    }
    let strangers = rows
        .iter()
        .filter(|row| row.get("key").is_some())
        .filter(|row| !ends.iter().any(|(upload, _)| is_about(row, upload)))
        .count();
    if strangers > 0 {
        world.violation(format!("{strangers} rows are about no upload of the story"));
    }
    counts_are_true(world, &rows).await;
    budget_holds(world);
    for queue in ["intake-dead", "dispatch-dead", "completion-dead"] {
        let url = world.stage.intake.replace("intake", queue);
        let dead = world.stage.aws.sqs().depth(&url).unwrap().visible;
        if dead > 0 {
            world.violation(format!("{dead} messages in {queue}"));
        }
    }
}

/// The object's receipt must be that of its newest upload.
pub async fn newest_receipt(world: &StoryPipeline, upload: &Upload) {
    let receipt = world.stage.receipt(&upload.event()).await;
    if receipt.as_ref().map(|receipt| receipt.event_id) != Some(upload.event().id) {
        world.violation(format!(
            "{} has an older upload's receipt: {receipt:?}",
            upload.key
        ));
    }
}

fn done(world: &StoryPipeline, upload: &Upload, row: Option<&Value>, receipt: Option<&Value>) {
    let is_receipt = receipt.is_some_and(|receipt| receipt["outcome"]["S"] == json!("succeeded"));
    if row.is_some() || !is_receipt {
        world.violation(format!("{} is not done: {row:?} {receipt:?}", upload.key));
    }
}

/// One execution for each attempt and no other, run once; all failed, but the last when `last_succeeded`.
fn ran(
    world: &StoryPipeline,
    upload: &Upload,
    attempts: &[u64],
    last_succeeded: bool,
    executions: &[ExecutionView],
) {
    let mut seen: BTreeMap<u64, (&ExecutionView, bool)> = BTreeMap::new();
    for one in executions {
        for event in events(&one.input)
            .iter()
            .filter(|event| event["key"] == json!(upload.key))
        {
            let attempt = event["attempt"].as_u64().unwrap();
            let is_done = one.status == ExecutionStatus::Succeeded && !lists(one, &event["id"]);
            if one.runs != 1 || seen.insert(attempt, (one, is_done)).is_some() {
                world.violation(format!("an attempt for {} ran twice: {one:?}", upload.key));
            }
        }
    }
    if !seen.keys().eq(attempts) {
        let ran = seen.keys();
        world.violation(format!(
            "attempts {ran:?} ran for {}, not {attempts:?}",
            upload.key
        ));
    }
    for (attempt, (one, succeeded)) in seen {
        let is_last = Some(&attempt) == attempts.last();
        if succeeded != (is_last && last_succeeded) {
            world.violation(format!("attempt {attempt} for {} is {one:?}", upload.key));
        }
    }
}

/// Whether an execution's output lists that event among those that failed.
fn lists(execution: &ExecutionView, id: &Value) -> bool {
    let Some(Outcome::Succeeded { output }) = &execution.outcome else {
        return false;
    };
    let output: Value = serde_json::from_str(output).unwrap();
    let mut failed = output["batchItemFailures"].as_array().into_iter().flatten();
    failed.any(|item| item["itemIdentifier"] == *id)
}

/// A worker's target runs once for each attempt, and once more for each death of its worker.
fn worked(world: &StoryPipeline, upload: &Upload, attempts: &[u64]) {
    let runs = world.runs.lock().unwrap().clone();
    let runs: Vec<_> = runs.into_iter().filter(|run| run.key == upload.key).collect();
    let deaths = world.counted().deaths.len();
    let put_off = usize::from(upload.key.contains("later"));
    let tried: std::collections::BTreeSet<u64> = runs.iter().map(|run| run.attempt.into()).collect();
    if !tried.iter().eq(attempts) {
        world.violation(format!(
            "attempts {tried:?} ran for {}, not {attempts:?}",
            upload.key
        ));
    }
    if runs.len() > attempts.len() + put_off + deaths {
        let count = runs.len();
        world.violation(format!("{count} runs for {} and {deaths} deaths", upload.key));
    }
    if deaths == 0 && runs.len() != attempts.len() + put_off {
        world.violation(format!("{runs:?} without a death"));
    }
}

/// What the ledger says of itself is what is there.
async fn counts_are_true(world: &StoryPipeline, rows: &[Value]) {
    for status in Status::ALL {
        let there = rows
            .iter()
            .filter(|row| row["status"]["S"] == json!(status.as_str()))
            .count() as u64;
        match world.stage.ledger.count(status, None, None).await {
            Ok(count) if count.rows == there && count.exact => {}
            other => world.violation(format!("{there} rows are {status}, the ledger says {other:?}")),
        }
    }
    for row in rows.iter().filter(|row| row.get("attempt").is_some()) {
        let attempts: u32 = row["attempt"]["N"].as_str().unwrap().parse().unwrap();
        if attempts > MAX_ATTEMPTS {
            world.violation(format!("too many attempts: {row:?}"));
        }
    }
}

/// No more than N in a window, redeliveries included. Messages that are granted late in one may leave in the next.
fn budget_holds(world: &StoryPipeline) {
    let sent = world.sent.lock().unwrap();
    let mut windows: BTreeMap<u64, u64> = BTreeMap::new();
    for (second, messages) in &sent.by_second {
        *windows.entry(second / 60).or_default() += messages;
    }
    for (window, messages) in windows {
        if messages > u64::from(PER_WINDOW) {
            let at = Duration::from_secs(window * 60);
            world.violation(format!("{messages} messages in the window at {at:?}"));
        }
    }
}

/// Whether a row or receipt is about that upload.
fn is_about(item: &Value, upload: &Upload) -> bool {
    item["key"]["S"] == json!(upload.key) && item["bucket"]["S"] == json!(upload.bucket)
}
