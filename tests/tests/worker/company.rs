//! A target for batches that does what a test says, and the messages of batches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_ledger::{Claim, Hand};
use daybook_manager::worker::{Run, RunInput, Target, TargetAnswer, WorkerSettings};
use daybook_schema::{BatchId, BatchMessage, EventId, Row, RunName, Timestamp};
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;
use futures::future::BoxFuture;

use crate::acting::{LEASE, Running, start_target};

/// One call as the target saw it.
#[derive(Clone, Debug)]
pub struct Call {
    pub batch: Option<BatchId>,
    /// Sorted.
    pub keys: Vec<String>,
    pub started: Timestamp,
    /// None while it lasts.
    pub ended: Option<Timestamp>,
}

type Script = dyn Fn(&RunInput) -> (Duration, TargetAnswer) + Send + Sync;

/// Works as long as the script says, and answers what it says. Clones are one target.
#[derive(Clone)]
pub struct Company {
    stage: Stage,
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl std::fmt::Debug for Company {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Company")
    }
}

impl Company {
    pub fn new(
        stage: &Stage,
        script: impl Fn(&RunInput) -> (Duration, TargetAnswer) + Send + Sync + 'static,
    ) -> Self {
        Self {
            stage: stage.clone(),
            script: Arc::new(script),
            calls: Arc::default(),
        }
    }

    pub fn succeeding(stage: &Stage, after: Duration) -> Self {
        Self::new(stage, move |_| (after, TargetAnswer::Success))
    }

    /// A second each; those of that key are listed as failed.
    pub fn listing(stage: &Stage, key: &'static str) -> Self {
        Self::new(stage, move |input| {
            let failed = input.events().iter().filter(|event| event.key.as_str() == key);
            let failed: std::collections::BTreeSet<EventId> = failed.map(|event| event.id).collect();
            let why = "as it was told".to_owned();
            let answer = match failed.is_empty() {
                true => TargetAnswer::Success,
                false => TargetAnswer::Listed { failed, why },
            };
            (Duration::from_secs(1), answer)
        })
    }

    /// A second each; a call with that key fails.
    pub fn poisoned(stage: &Stage, key: &'static str) -> Self {
        Self::new(stage, move |input| {
            let is_poisoned = input.events().iter().any(|event| event.key.as_str() == key);
            let answer = match is_poisoned {
                true => TargetAnswer::Failed { why: "no".into() },
                false => TargetAnswer::Success,
            };
            (Duration::from_secs(1), answer)
        })
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The keys of each call, in their order.
    pub fn keys(&self) -> Vec<Vec<String>> {
        self.calls().into_iter().map(|call| call.keys).collect()
    }

    /// Whether a call with that key lasts.
    pub fn is_running(&self, key: &str) -> bool {
        let calls = self.calls();
        let mut running = calls.iter().filter(|call| call.ended.is_none());
        running.any(|call| call.keys.iter().any(|one| one == key))
    }

    /// That no two calls with one event overlapped.
    pub fn assert_no_overlap(&self) {
        let mut ends: BTreeMap<String, Timestamp> = BTreeMap::new();
        for call in self.calls() {
            for key in &call.keys {
                let end = call.ended.expect("a call lasts");
                let before = ends.insert(key.clone(), end);
                assert!(before.is_none_or(|before| before <= call.started), "{key}");
            }
        }
    }
}

struct Ending {
    company: Company,
    position: usize,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let now = self.company.stage.now();
        self.company.calls.lock().unwrap()[self.position].ended = Some(now);
    }
}

impl Target for Company {
    fn run(&self, mut run: Run) -> BoxFuture<'_, TargetAnswer> {
        Box::pin(async move {
            let mut keys: Vec<String> = run
                .input
                .events()
                .iter()
                .map(|event| event.key.to_string())
                .collect();
            keys.sort();
            let batch = match &run.input {
                RunInput::Single(_) => None,
                RunInput::Batch(batch) => {
                    assert!(batch.events.is_sorted_by_key(|event| event.id));
                    Some(batch.batch)
                }
            };
            let position = {
                let mut calls = self.calls.lock().unwrap();
                calls.push(Call {
                    batch,
                    keys,
                    started: self.stage.now(),
                    ended: None,
                });
                calls.len() - 1
            };
            let _ending = Ending {
                company: self.clone(),
                position,
            };
            let (takes, answer) = (self.script)(&run.input);
            tokio::select! {
                biased;
                () = tokio::time::sleep(takes) => answer,
                () = run.stop.requested() => TargetAnswer::Success,
            }
        })
    }
}

/// Uploads of those keys.
pub fn keyed(keys: &[&str]) -> Vec<Upload> {
    keys.iter().map(|key| Upload::new(key, 1, "e")).collect()
}

/// Records them, and sends them as one batch.
pub async fn sent(stage: &Stage, keys: &[&str]) -> BatchId {
    stage.record(&keyed(keys)).await;
    dispatch(stage, 100).await[0]
}

/// Claims what is due into batches of that size, and sends their messages, as the scheduler does.
pub async fn dispatch(stage: &Stage, size: u32) -> Vec<BatchId> {
    let keys = stage.due_keys().await;
    let claims = stage
        .ledger
        .claim(&keys, Hand::Batches(size), LEASE, stage.deadline())
        .await;
    let mut messages: BTreeMap<RunName, Vec<Row>> = BTreeMap::new();
    for claim in claims {
        if let Claim::Claimed(row) = claim {
            messages.entry(row.run_name()).or_default().push(*row);
        }
    }
    let mut batches = Vec::new();
    for (name, rows) in &messages {
        let RunName::Batch(name) = name else {
            panic!("{name} is no batch");
        };
        batches.push(name.batch);
        send(stage, &BatchMessage::for_rows(*name, rows).unwrap()).await;
    }
    batches
}

/// Puts a message on the dispatch queue.
pub async fn send(stage: &Stage, message: &BatchMessage) {
    let send = stage.sqs.send_message().queue_url(&stage.dispatch_queue);
    send.message_body(message.to_json()).send().await.unwrap();
}

/// The row of that key, if it is there.
pub async fn row_of(stage: &Stage, key: &str) -> Option<Row> {
    stage.row(keyed(&[key])[0].event().id).await
}

/// How many messages the dispatch queue holds, hidden or not.
pub fn queued(stage: &Stage) -> u64 {
    let depth = stage.aws.sqs().depth(&stage.dispatch_queue).unwrap();
    (depth.visible + depth.in_flight + depth.delayed)
        .try_into()
        .unwrap()
}

/// A worker that can be killed.
pub fn start(stage: &Stage, target: &Company, settings: WorkerSettings) -> Running {
    start_target(stage, Arc::new(target.clone()), settings)
}
