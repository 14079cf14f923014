//! The pipeline of a story: its triggers, and what keys do by their names.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_local::ExecutionStatus;
use daybook_manager::worker::{Worker, WorkerSettings};
use daybook_manager::{Dispatch, Executions, Started};
use daybook_schema::{Attempt, DispatchMessage, Row, Status, Timestamp};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use daybook_tests::s3::Versioning;
use daybook_tests::{Queues, S3, Stage, StageOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::outside::{self, Hands, Machine, Sent, WorkerRun};
use crate::points::{Counted, Function, Plan, Points};

pub const MINUTE: Duration = Duration::from_secs(60);
pub const PER_WINDOW: u32 = 3;
pub const MAX_ATTEMPTS: u32 = 2;
pub const BUCKET: &str = "data";

/// Crashes included, everything is at rest after so long.
const LIMIT: Duration = Duration::from_secs(12 * 3600);

pub struct StoryPipeline {
    pub stage: Stage,
    pub s3: S3,
    pub points: Points,
    pub uploads: Mutex<Vec<Upload>>,
    pub sent: Arc<Mutex<Sent>>,
    pub runs: Arc<Mutex<Vec<WorkerRun>>>,
    pub violations: Mutex<Vec<String>>,
    /// Whether a worker of this process takes the place of Step Functions.
    pub has_worker: bool,
    /// How much that worker does at once.
    pub workers: usize,
    /// Whether the queue is gone when a run dies, as on one machine.
    pub is_one_machine: bool,
    /// Until then nobody receives from the dispatch queue.
    pub invokes_from: Mutex<Timestamp>,
    must_restart: Mutex<bool>,
}

impl StoryPipeline {
    /// Counts the requests of these functions.
    pub async fn new(plan: Plan, dispatch: Dispatch, watched: &[Function]) -> Self {
        let stage = Stage::new(StageOptions {
            dispatch,
            queues: Queues::default().received_at_most(20),
            ..StageOptions::default()
        })
        .await;
        let points = Points::new(plan);
        points.watch(watched);
        let sent = Arc::new(Mutex::new(Sent::default()));
        let begun = Instant::now();
        outside::die_on_the_wire(&stage, &points, sent.clone());
        outside::watch_sends(&stage, sent.clone(), begun);
        stage
            .aws
            .executions()
            .set_target(&stage.state_machine, Arc::new(Machine));
        outside::status_events(&stage);
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
            workers: 1,
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
            start: daybook_manager::Start::Scheduled,
            batching: None,
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

    /// The upload was done before.
    pub async fn complete(&self, upload: &Upload) {
        let event = upload.event();
        let completed = self.stage.ledger.complete(&event, Attempt(1), "somebody");
        completed.await.unwrap();
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
            workers: self.workers,
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
                daybook_reconciler::recover(&self.stage.ledger, &retry, None, self.stage.deadline()).await;
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
