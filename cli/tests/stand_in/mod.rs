//! The embedded AWS on a free loopback port, and the real binary in front of it.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod console;
pub mod gate;
pub mod proxy;
pub mod rows;
pub mod s3;
pub mod terminal;

use std::process::{Command, Output};
use std::thread::JoinHandle;
use std::time::Duration;

use daybook_ledger::{Clock, Deadline, Ledger, NewRow, Random, ReceiptSettings, Recorded};
use daybook_local::{LocalAws, QueueAttributes};
use daybook_schema::{SourceName, Timestamp, notification, tables};
use tokio::sync::oneshot;

/// The binary with an environment in which it finds no real configuration and no real credentials.
pub fn daybook(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
    command
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent")
        // Its port is one for all processes of a machine.
        .env("DAYBOOK_CONSOLE", "off")
        .args(arguments);
    command
}

/// The same with dummy credentials, for that endpoint.
pub fn daybook_at(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = daybook(arguments);
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

/// How it ended: code, stdout, stderr.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The embedded AWS, served until it is dropped.
pub struct StandIn {
    pub aws: LocalAws,
    pub endpoint: String,
    pub queue_url: String,
    pub state_machine: String,
    pub ledger: Ledger,
    runtime: tokio::runtime::Runtime,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl StandIn {
    /// With tables `ledger` and `receipts`, a queue and a state machine that runs nothing.
    pub fn start() -> Self {
        let aws = LocalAws::builder().build().unwrap();
        let runtime = runtime();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let listener = listener.into_std().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = aws.clone();
        let serving = std::thread::spawn(move || {
            runtime_and_serve(served, listener, stopped);
        });
        let queue = aws
            .sqs()
            .create_queue("dispatch", QueueAttributes::default())
            .unwrap();
        let state_machine = aws.executions().create_state_machine("work");
        let path = queue.splitn(4, '/').nth(3).unwrap().to_owned();
        for definition in [tables::LEDGER, tables::RECEIPTS] {
            let request = definition.create_table(definition.role).to_string();
            let answer = runtime.block_on(aws.handle("DynamoDB_20120810.CreateTable", request.as_bytes()));
            assert_eq!(answer.status, 200);
        }
        Self {
            ledger: ledger_of(&aws, "ledger"),
            queue_url: format!("{endpoint}/{path}"),
            endpoint,
            state_machine,
            aws,
            runtime,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// Records so many events.
    pub fn record(&self, n: u32) {
        let record = |i: u32| {
            let body = format!(
                r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1",
                "eventTime":"2026-11-20T10:15:00.000Z","eventName":"ObjectCreated:Put","s3":{{"bucket":{{"name":"data"}},
                "object":{{"key":"reading-{i}.json","size":10,"eTag":"{i:032x}","sequencer":"0068B5C2F4A1{i:04X}"}}}}}}]}}"#
            );
            let event = notification::read(&body, &SourceName::default())
                .events
                .pop()
                .unwrap();
            NewRow::Event {
                event,
                max_attempts: 5,
                trace: None,
                caveat: None,
                at_once: false,
            }
        };
        let deadline = self.deadline();
        let outcomes = self
            .runtime
            .block_on(self.ledger.record((0..n).map(record).collect(), deadline));
        assert!(outcomes.iter().all(|outcome| *outcome == Recorded::Recorded));
    }

    /// Puts rows and receipts there as they are.
    pub fn fill(&self, what: impl AsyncFnOnce(rows::Fixtures<'_>)) {
        let fixtures = rows::Fixtures {
            aws: &self.aws,
            ledger: "ledger",
            receipts: "receipts",
        };
        self.runtime.block_on(what(fixtures));
    }

    /// Starts the execution of that row's attempt.
    pub fn start_execution(&self, row: &daybook_schema::Row) -> String {
        let input = daybook_schema::ExecutionInput::new(row.event().unwrap(), row.attempt);
        let request = serde_json::json!({
            "stateMachineArn": self.state_machine, "name": input.name().to_string(), "input": input.to_json(),
        });
        self.handle("AWSStepFunctions.StartExecution", &request.to_string());
        let execution = self.state_machine.replace(":stateMachine:", ":execution:");
        format!("{execution}:{}", input.name())
    }

    /// Does something with the ledger.
    pub fn with_ledger<T>(&self, what: impl AsyncFnOnce(&Ledger) -> T) -> T {
        self.runtime.block_on(what(&self.ledger))
    }

    /// One request; it must succeed.
    pub fn handle(&self, target: &str, request: &str) {
        let answer = self.runtime.block_on(self.aws.handle(target, request.as_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The queue's messages.
    pub fn queued(&self) -> usize {
        let url = self
            .aws
            .sqs()
            .create_queue("dispatch", QueueAttributes::default())
            .unwrap();
        self.aws.sqs().depth(&url).unwrap().visible
    }

    /// Takes them all away.
    pub fn lose_the_queue(&self) {
        let url = self
            .aws
            .sqs()
            .create_queue("dispatch", QueueAttributes::default())
            .unwrap();
        self.aws.sqs().purge(&url).unwrap();
    }

    pub fn deadline(&self) -> Deadline {
        Deadline::after(&Clock::system(), Duration::from_secs(30))
    }

    /// The binary, with this stand-in's tables and queue, for that verb.
    pub fn daybook(&self, verb: &str, more: &[&str]) -> Command {
        let mut arguments = vec![verb, "--ledger-table", "ledger", "--receipts-table", "receipts"];
        arguments.extend(["--dispatch-queue-url", &self.queue_url]);
        arguments.extend(more);
        daybook_at(&self.endpoint, &arguments)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.serving.take().map(JoinHandle::join));
    }
}

/// An instant, for `--at`.
pub fn now() -> Timestamp {
    Clock::system().now()
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn runtime_and_serve(aws: LocalAws, listener: std::net::TcpListener, stopped: oneshot::Receiver<()>) {
    runtime().block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let stopped = async move {
            let _ = stopped.await;
        };
        aws.serve(listener, stopped).await.unwrap();
    });
}

/// The ledger in that table of an embedded AWS.
pub fn ledger_of(aws: &LocalAws, table: &str) -> Ledger {
    ledger_with(aws, table, None)
}

/// The same with receipts, where they are kept.
pub fn ledger_with(aws: &LocalAws, table: &str, receipts: Option<ReceiptSettings>) -> Ledger {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
        .endpoint_url("http://stand-in.invalid")
        .credentials_provider(aws_credential_types::Credentials::new(
            "a", "b", None, None, "test",
        ))
        .http_client(aws.http_client())
        .build();
    Ledger::new(
        aws_sdk_dynamodb::Client::from_conf(config),
        table.parse().unwrap(),
        receipts,
        Clock::system(),
        Random::from_os(),
    )
}
