//! What is around the pipeline of a story: its wire, its state machine and its worker's target, which do what a key says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_local::{Outcome, StartedExecution};
use daybook_manager::worker::{Run, Target, TargetAnswer};
use daybook_tests::Stage;
use daybook_tests::wire::{Fault, Request};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::points::{Fate, Points, Side};
use crate::world::MAX_ATTEMPTS;

/// Events that were sent, by the second of the story and by key and attempt.
#[derive(Default)]
pub struct Sent {
    pub by_second: BTreeMap<u64, u64>,
    /// Keys whose message was refused once.
    pub refused: BTreeSet<String>,
}

/// One run of a worker's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRun {
    pub key: String,
    pub attempt: u32,
    pub has_ended: bool,
}

/// What an execution's input, or a dispatch message, says of each of its events.
pub fn events(text: &str) -> Vec<Value> {
    let given: Value = serde_json::from_str(text).unwrap();
    let event = |one: &Value| one.get("input").unwrap_or(one).clone();
    match given["events"].as_array() {
        Some(events) => events.iter().map(event).collect(),
        None => vec![event(&given)],
    }
}

fn key_of(event: &Value) -> &str {
    event["key"].as_str().unwrap()
}

/// Requests die as planned. The queue refuses the first message that it is given for a key with `refused` in it.
pub fn die_on_the_wire(stage: &Stage, points: &Points, sent: Arc<Mutex<Sent>>) {
    let points = points.clone();
    stage
        .wire
        .inject(move |request| match points.meet(&request.operation) {
            Fate::Dies(Side::Before) => Fault::Hang,
            Fate::Dies(Side::After) => Fault::HangAfter,
            Fate::Lives => refusal(request, &mut sent.lock().unwrap()),
        });
}

fn refusal(request: &Request, sent: &mut Sent) -> Fault {
    if request.operation != "SendMessageBatch" {
        return Fault::None;
    }
    let mut positions = Vec::new();
    for (position, entry) in request.body["Entries"].as_array().unwrap().iter().enumerate() {
        let events = events(entry["MessageBody"].as_str().unwrap());
        let mut keys = events.iter().map(key_of).filter(|key| key.contains("refused"));
        if keys.any(|key| sent.refused.insert(key.to_owned())) {
            positions.push(position);
        }
    }
    match positions.is_empty() {
        true => Fault::None,
        false => Fault::Partial(positions),
    }
}

pub fn watch_sends(stage: &Stage, sent: Arc<Mutex<Sent>>, begun: Instant) {
    stage.wire.observe(move |request, answer| {
        if request.operation == "SendMessageBatch" {
            let entries = request.body["Entries"].as_array().unwrap();
            let has_sent = |entry: &&Value| {
                let mut sent = answer["Successful"].as_array().into_iter().flatten();
                sent.any(|one| one["Id"] == entry["Id"])
            };
            let sent_now = entries.iter().filter(has_sent);
            let messages: usize = sent_now
                .map(|entry| events(entry["MessageBody"].as_str().unwrap()).len())
                .sum();
            let second = begun.elapsed().as_secs();
            *sent.lock().unwrap().by_second.entry(second).or_default() += messages as u64;
        }
    });
}

/// The events of executions for keys with `silent` in them never come.
pub fn status_events(stage: &Stage) {
    let (sqs, url) = (stage.aws.sqs().clone(), stage.completion.clone());
    stage
        .aws
        .executions()
        .set_status_sink(Arc::new(move |event: Value| {
            let detail = &event["detail"];
            let is_silent = detail["input"]
                .as_str()
                .is_some_and(|input| input.contains("silent"));
            if detail["status"] != json!("RUNNING") && !is_silent {
                sqs.send(&url, &event.to_string()).unwrap();
            }
        }));
}

/// How an attempt for that key ends.
fn succeeds(key: &str, attempt: u64) -> bool {
    let failures = match key {
        _ if key.contains("poison") => u64::from(MAX_ATTEMPTS),
        _ if key.contains("twice") => 1,
        _ => 0,
    };
    attempt > failures
}

/// The state machine: 30 seconds of work, or more than a lease. Keys with `twice` fail once, with `poison` until they are parked; a
/// batch lists them.
pub struct Machine;

impl daybook_local::Target for Machine {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome> {
        let events = events(&execution.input);
        let is_batch = execution.name.starts_with("b-");
        Box::pin(async move {
            let is_long = events.iter().any(|event| key_of(event).contains("long"));
            tokio::time::sleep(Duration::from_secs(if is_long { 480 } else { 30 })).await;
            let has_failed = |event: &&Value| !succeeds(key_of(event), event["attempt"].as_u64().unwrap());
            let failed = events.iter().filter(has_failed);
            let failed: Vec<Value> = failed
                .map(|event| json!({"itemIdentifier": event["id"]}))
                .collect();
            match is_batch || failed.is_empty() {
                true => Outcome::Succeeded {
                    output: json!({ "batchItemFailures": failed }).to_string(),
                },
                false => Outcome::Failed {
                    error: "Work.Failed".into(),
                    cause: "the story says so".into(),
                },
            }
        })
    }
}

/// A worker's target: 90 seconds of work, so that a lease is extended once.
#[derive(Clone)]
pub struct Hands {
    pub runs: Arc<Mutex<Vec<WorkerRun>>>,
    pub at_once: Arc<Mutex<usize>>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hands")
    }
}

impl Target for Hands {
    fn run(&self, run: Run) -> BoxFuture<'_, TargetAnswer> {
        Box::pin(async move {
            let input = &run.input.events()[0];
            let (key, attempt) = (input.key.to_string(), input.attempt.0);
            *self.at_once.lock().unwrap() += 1;
            let (position, is_first) = {
                let mut runs = self.runs.lock().unwrap();
                let is_first = !runs.iter().any(|one| one.key == key && one.has_ended);
                runs.push(WorkerRun {
                    key: key.clone(),
                    attempt,
                    has_ended: false,
                });
                (runs.len() - 1, is_first)
            };
            tokio::time::sleep(Duration::from_secs(90)).await;
            self.runs.lock().unwrap()[position].has_ended = true;
            *self.at_once.lock().unwrap() -= 1;
            if key.contains("later") && is_first {
                let why = "not now".to_owned();
                return TargetAnswer::Later { after: None, why };
            }
            match succeeds(&key, attempt.into()) {
                true => TargetAnswer::Success,
                false => TargetAnswer::Failed {
                    why: "the story says so".into(),
                },
            }
        })
    }
}
