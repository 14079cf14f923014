//! The pipeline of a story: its triggers, and what keys do by their names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_local::{ExecutionStatus, Outcome, StartedExecution};
use daybook_manager::worker::{Run, Target, TargetAnswer, Worker, WorkerSettings};
use daybook_manager::{Dispatch, Executions, Started};
use daybook_schema::{DispatchMessage, Row, Status, Timestamp};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use daybook_tests::s3::Versioning;
use daybook_tests::wire::{Fault, Request};
use daybook_tests::{S3, Stage, StageOptions};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::points::{Counted, Fate, Function, Plan, Points, Side};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const PER_WINDOW: u32 = 3;
pub const MAX_ATTEMPTS: u32 = 2;
pub const BUCKET: &str = "data";

/// Crashes included, everything is at rest after so long.
const LIMIT: Duration = Duration::from_secs(12 * 3600);

/// Messages that were sent, by the second of the story and by key and attempt.
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

pub struct World {
    pub stage: Stage,
    pub s3: S3,
    pub points: Points,
    pub uploads: Mutex<Vec<Upload>>,
    pub sent: Arc<Mutex<Sent>>,
    pub runs: Arc<Mutex<Vec<WorkerRun>>>,
    pub violations: Mutex<Vec<String>>,
    /// Whether a worker of this process takes the place of Step Functions.
    pub has_worker: bool,
    /// Whether the queue is gone when a run dies, as on one machine.
    pub is_one_machine: bool,
    /// Until then nobody receives from the dispatch queue.
    pub invokes_from: Mutex<Timestamp>,
    must_restart: Mutex<bool>,
}

impl World {
    /// Counts the requests of these functions.
    pub async fn new(plan: Plan, dispatch: Dispatch, watched: &[Function]) -> Self {
        let stage = Stage::new(StageOptions {
            dispatch,
            max_receive_count: 20,
            ..StageOptions::default()
        })
        .await;
        let points = Points::new(plan);
        points.watch(watched);
        let sent = Arc::new(Mutex::new(Sent::default()));
        let begun = Instant::now();
        die_on_the_wire(&stage, &points, sent.clone());
        watch_sends(&stage, sent.clone(), begun);
        stage
            .aws
            .executions()
            .set_target(&stage.state_machine, Arc::new(Machine));
        status_events(&stage);
        let s3 = S3::new(stage.clock.clone());
        s3.create_bucket(BUCKET, Versioning::Never);
        Self {
            invokes_from: Mutex::new(stage.now()),
            stage,
            s3,
            points,
            uploads: Mutex::default(),
            sent,
            runs: Arc::default(),
            violations: Mutex::default(),
            has_worker: false,
            is_one_machine: false,
            must_restart: Mutex::new(false),
        }
    }

    /// N of 3 in a minute, leases of 5 minutes, 2 attempts.
    pub fn dispatch() -> Dispatch {
        Dispatch {
            per_window: PER_WINDOW,
            window: MINUTE,
            lease: 5 * MINUTE,
            max_attempts: MAX_ATTEMPTS,
            max_in_flight: None,
            retry: RetryPolicy {
                first_delay: Duration::from_secs(30),
                longest_delay: Duration::from_secs(120),
            },
        }
    }

    pub fn violation(&self, text: impl Into<String>) {
        self.violations.lock().unwrap().push(text.into());
    }

    /// An upload of that key, the story's next.
    pub fn upload(&self, key: &str) -> Upload {
        let mut uploads = self.uploads.lock().unwrap();
        let upload = Upload::new(key, uploads.len() as u64 + 1, "e");
        uploads.push(upload.clone());
        upload
    }

    /// An upload of that key, whose row waits.
    pub fn pending(&self, key: &str) -> Upload {
        let upload = self.upload(key);
        let row = Row {
            max_attempts: MAX_ATTEMPTS,
            ..row_in(Status::Pending, &upload, self.stage.now())
        };
        self.stage.put_rows([&row]);
        upload
    }

    /// A row at its first attempt, with so much of its lease left.
    pub fn claimed(&self, upload: &Upload, left: Duration) -> Row {
        Row {
            max_attempts: MAX_ATTEMPTS,
            recorded_at: self.stage.now(),
            ..row_in(Status::Claimed, upload, self.stage.now().plus(left))
        }
    }

    /// The row's message is put on the dispatch queue.
    pub fn send(&self, row: &Row) {
        let message = DispatchMessage::for_row(row).unwrap().to_json();
        let url = &self.stage.dispatch_queue;
        self.stage.aws.sqs().send(url, &message).unwrap();
    }

    /// The row's execution is started.
    pub async fn start(&self, row: &Row) {
        let input = DispatchMessage::for_row(row).unwrap().input;
        let executions = Executions::new(self.stage.sfn.clone(), &self.stage.state_machine);
        assert_eq!(executions.start(&input, None).await, Started::Running);
    }

    /// S3 tells the intake queue.
    pub fn notify(&self, body: &str) {
        self.stage.aws.sqs().send(&self.stage.intake, body).unwrap();
    }

    /// One run of a function; whether it lived.
    pub async fn run(&self, function: Function, run: impl Future<Output = ()>) -> bool {
        let lived = self.points.run(function, run).await.is_some();
        if !lived && self.is_one_machine {
            *self.must_restart.lock().unwrap() = true;
        }
        lived
    }

    /// A person's command, given again until it comes to its end.
    pub async fn command<F: Future<Output = ()>>(&self, command: impl Fn() -> F) {
        for _ in 0..5 {
            if self.run(Function::Person, command()).await {
                return;
            }
        }
        self.violation("a person's command never came to its end");
    }

    /// Every trigger that has something to do, once. With `idle` the others too.
    pub async fn tick(&self, idle: bool) {
        self.restart_if_due().await;
        while self.visible(&self.stage.intake) > 0 || idle {
            let run = self.run(Function::Ingest, async {
                self.stage.pump_ingest().await;
            });
            if !run.await || idle {
                break;
            }
        }
        let rows = self.raw("ledger").await;
        let now = self.stage.now().to_string();
        let is_due = |row: &Value, status: &str| {
            row["status"]["S"] == json!(status) && row["due_at"]["S"].as_str() <= Some(&now)
        };
        if idle || rows.iter().any(|row| is_due(row, "PENDING")) {
            let run = self.run(Function::Schedule, async {
                let _ = self
                    .stage
                    .scheduler()
                    .run(self.stage.window(), self.stage.deadline())
                    .await;
            });
            run.await;
        }
        self.work_on_messages(idle).await;
        let is_owed = rows
            .iter()
            .any(|row| row["owed"]["N"].as_str().is_some_and(|owed| owed != "0"));
        if idle || is_owed || rows.iter().any(|row| is_due(row, "CLAIMED")) {
            let run = self.run(Function::Sweep, async {
                let _ = self
                    .stage
                    .sweeper()
                    .run(self.stage.window(), self.stage.deadline())
                    .await;
            });
            run.await;
        }
    }

    async fn work_on_messages(&self, idle: bool) {
        let is_received = self.stage.now() >= *self.invokes_from.lock().unwrap();
        if self.has_worker {
            if is_received && self.visible(&self.stage.dispatch_queue) > 0 {
                self.run(Function::Worker, self.work()).await;
            }
            return;
        }
        while is_received && self.visible(&self.stage.dispatch_queue) > 0 || idle {
            let run = self.run(Function::Invoke, async {
                self.stage.pump_invoke().await;
            });
            if !run.await || idle {
                break;
            }
        }
        while self.visible(&self.stage.completion) > 0 || idle {
            let run = self.run(Function::Complete, async {
                self.stage.pump_complete().await;
            });
            if !run.await || idle {
                break;
            }
        }
    }

    /// Ticks, minute by minute, until that is so.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, is_so: impl Fn() -> F) {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if is_so().await {
                return;
            }
            tokio::time::sleep(MINUTE).await;
            self.tick(false).await;
        }
        self.violation(format!("in {LIMIT:?} it never came to this: {what}"));
    }

    /// Ticks until nothing is open but what is parked, no message waits and no execution runs.
    pub async fn settle(&self) {
        self.until("everything at rest", || self.is_at_rest()).await;
    }

    pub async fn is_at_rest(&self) -> bool {
        let is_open =
            |row: &Value| row["id"]["S"] != json!("control") && row["status"]["S"] != json!("PARKED");
        let stage = &self.stage;
        let is_waiting = |url: &String| {
            let depth = stage.aws.sqs().depth(url).unwrap();
            depth.visible + depth.in_flight + depth.delayed > 0
        };
        let executions = stage.aws.executions().all();
        !*self.must_restart.lock().unwrap()
            && !self.raw("ledger").await.iter().any(is_open)
            && ![&stage.intake, &stage.dispatch_queue, &stage.completion]
                .into_iter()
                .any(is_waiting)
            && !executions
                .iter()
                .any(|one| one.status == ExecutionStatus::Running)
    }

    fn visible(&self, url: &str) -> usize {
        self.stage.aws.sqs().depth(url).unwrap().visible
    }

    /// Works until the queue offers nothing and nothing runs.
    async fn work(&self) {
        let settings = WorkerSettings {
            workers: 1,
            lease: 3 * MINUTE,
            retry: self.stage.options.dispatch.retry,
            ..WorkerSettings::new("worker")
        };
        let target = Hands {
            runs: self.runs.clone(),
            at_once: Arc::default(),
        };
        let worker = Worker::new(
            self.stage.ledger.clone(),
            self.stage.sqs.clone(),
            &self.stage.dispatch_queue,
            Arc::new(target.clone()),
            settings.checked().unwrap(),
        );
        worker
            .run(async {
                loop {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    if *target.at_once.lock().unwrap() == 0 && self.visible(&self.stage.dispatch_queue) == 0 {
                        return;
                    }
                }
            })
            .await;
    }

    /// The machine starts again, its queue gone.
    pub fn restart(&self) {
        *self.must_restart.lock().unwrap() = true;
    }

    async fn restart_if_due(&self) {
        for _ in 0..5 {
            if !*self.must_restart.lock().unwrap() {
                return;
            }
            self.stage.aws.sqs().purge(&self.stage.dispatch_queue).unwrap();
            *self.must_restart.lock().unwrap() = false;
            let retry = self.stage.options.dispatch.retry;
            let recovery = async {
                daybook_reconciler::recover(&self.stage.ledger, &retry, self.stage.deadline()).await;
            };
            self.run(Function::Recover, recovery).await;
        }
    }

    /// A table's items as they are, past ledger, SDK and wire.
    pub async fn raw(&self, table: &str) -> Vec<Value> {
        let request = json!({"TableName": table, "ConsistentRead": true});
        let answer = self
            .stage
            .aws
            .handle("DynamoDB_20120810.Scan", request.to_string().as_bytes())
            .await;
        let mut answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(
            answer.get("LastEvaluatedKey").is_none(),
            "more than a page of rows"
        );
        match answer["Items"].take() {
            Value::Array(items) => items,
            other => panic!("{other}"),
        }
    }

    pub fn counted(&self) -> Counted {
        self.points.counted()
    }
}

/// The key that a dispatch message is about.
fn key_of(body: &str) -> String {
    let message: Value = serde_json::from_str(body).unwrap();
    message["input"]["key"].as_str().unwrap().to_owned()
}

/// Requests die as planned. The queue refuses the first message that it is given for a key with `refused` in it.
fn die_on_the_wire(stage: &Stage, points: &Points, sent: Arc<Mutex<Sent>>) {
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
        let key = key_of(entry["MessageBody"].as_str().unwrap());
        if key.contains("refused") && sent.refused.insert(key) {
            positions.push(position);
        }
    }
    match positions.is_empty() {
        true => Fault::None,
        false => Fault::Partial(positions),
    }
}

fn watch_sends(stage: &Stage, sent: Arc<Mutex<Sent>>, begun: Instant) {
    stage.wire.observe(move |request, answer| {
        if request.operation == "SendMessageBatch" {
            let messages = answer["Successful"].as_array().map_or(0, Vec::len);
            let second = begun.elapsed().as_secs();
            *sent.lock().unwrap().by_second.entry(second).or_default() += messages as u64;
        }
    });
}

/// The events of executions for keys with `silent` in them never come.
fn status_events(stage: &Stage) {
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

/// The state machine: 30 seconds of work, or more than a lease. Keys with `twice` fail once, with `poison` until they are parked.
struct Machine;

impl daybook_local::Target for Machine {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome> {
        let input: Value = serde_json::from_str(&execution.input).unwrap();
        Box::pin(async move {
            let key = input["key"].as_str().unwrap().to_owned();
            let seconds = if key.contains("long") { 480 } else { 30 };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            match succeeds(&key, input["attempt"].as_u64().unwrap()) {
                true => Outcome::Succeeded { output: "{}".into() },
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
struct Hands {
    runs: Arc<Mutex<Vec<WorkerRun>>>,
    at_once: Arc<Mutex<usize>>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hands")
    }
}

impl Target for Hands {
    fn run(&self, run: Run) -> BoxFuture<'_, TargetAnswer> {
        Box::pin(async move {
            let (key, attempt) = (run.input.key.to_string(), run.input.attempt.0);
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
