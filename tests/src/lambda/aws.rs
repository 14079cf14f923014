//! The embedded AWS behind one port, with faults by operation.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use daybook_ledger::{Claim, Clock, Deadline, Hand, Ledger, NewRow, Random, ReceiptSettings, Recorded};
use daybook_local::{LocalAws, QueueAttributes};
use daybook_schema::{DispatchMessage, Row, Status};
use serde_json::{Value, json};

use crate::lambda_service::{LambdaService, TARGET_FUNCTION};
use crate::notifications::Upload;
use crate::privileges::Call;
use crate::stage::create_tables;

/// AWS as a function sees it: tables `ledger` and `receipts`, a dispatch queue, a state machine that runs nothing.
pub struct FaultyAws {
    /// The embedded AWS.
    pub aws: LocalAws,
    /// The ledger, reached directly: faults are for functions alone.
    pub ledger: Ledger,
    /// The dispatch queue's URL.
    pub dispatch_queue: String,
    /// The state machine's ARN.
    pub state_machine: String,
    /// Lambda, as functions invoke others.
    pub functions: LambdaService,
    endpoint: String,
    faults: Faults,
    calls: Calls,
    runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
enum Fault {
    Answer(u16, Value),
    /// After so many requests that are answered.
    HangAfter(u32),
}

type Faults = Arc<Mutex<BTreeMap<String, Fault>>>;
type Calls = Arc<Mutex<BTreeSet<Call>>>;

/// A runtime for the thread that asks.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

impl FaultyAws {
    /// With everything in its place.
    pub fn start() -> Self {
        let world = Self::without_tables();
        world.runtime.block_on(create_tables(&world.aws));
        world
    }

    /// Without the tables.
    pub fn without_tables() -> Self {
        let aws = LocalAws::builder().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let faults = Faults::default();
        let calls = Calls::default();
        let functions = LambdaService::default();
        let state = (aws.clone(), faults.clone(), calls.clone(), functions.clone());
        std::thread::spawn(move || {
            runtime().block_on(async move {
                let router = axum::Router::new().fallback(answer).with_state(state);
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self {
            ledger: ledger_of(&aws),
            dispatch_queue: aws
                .sqs()
                .create_queue("dispatch", QueueAttributes::default())
                .unwrap(),
            state_machine: aws.executions().create_state_machine("work"),
            functions,
            aws,
            endpoint,
            faults,
            calls,
            runtime: runtime(),
        }
    }

    /// All variables that any of Daybook's functions takes, with the usual settings; then these.
    pub fn variables<'a>(&self, more: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        let mut variables: Vec<(&str, String)> = vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("DAYBOOK_STACK", "stack".into()),
            ("DAYBOOK_LEDGER_TABLE", "ledger".into()),
            ("DAYBOOK_RECEIPTS_TABLE", "receipts".into()),
            ("DAYBOOK_DISPATCH_QUEUE_URL", self.dispatch_queue.clone()),
            ("DAYBOOK_STATE_MACHINE_ARN", self.state_machine.clone()),
        ];
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        variables
    }

    /// The variables by which a function of [`FaultyAws::functions`] is the target, instead of the state machine.
    pub fn of_function(&self) -> Vec<(&'static str, String)> {
        let more = [
            ("DAYBOOK_STATE_MACHINE_ARN", ""),
            ("DAYBOOK_TARGET_FUNCTION_ARN", TARGET_FUNCTION),
        ];
        self.variables(&more)
    }

    /// The variables by which a new queue is the target, of which events are done then (`sent` or `reported`); and its URL.
    pub fn of_queue(&self, completion: &str) -> (Vec<(&'static str, String)>, String) {
        let queue = self
            .aws
            .sqs()
            .create_queue("work", QueueAttributes::default())
            .unwrap();
        let more = [
            ("DAYBOOK_STATE_MACHINE_ARN", ""),
            ("DAYBOOK_TARGET_QUEUE_URL", &*queue),
            ("DAYBOOK_TARGET_COMPLETION", completion),
        ];
        (self.variables(&more), queue)
    }

    /// From now on that operation is answered with this error.
    pub fn refuse(&self, operation: &str, code: &str, message: &str) {
        let error = json!({"__type": format!("com.amazonaws#{code}"), "message": message});
        self.set(operation, Fault::Answer(400, error));
    }

    /// From now on that operation is throttled.
    pub fn throttle(&self, operation: &str) {
        self.refuse(operation, "ThrottlingException", "Rate exceeded");
    }

    /// From now on that operation is not allowed.
    pub fn deny(&self, operation: &str) {
        let message = format!(
            "User: arn:aws:sts::000000000000:assumed-role/it is not authorized to perform: {operation}"
        );
        self.refuse(operation, "AccessDeniedException", &message);
    }

    /// So many requests of that operation are still answered; the others hang.
    pub fn hang_after(&self, operation: &str, answered: u32) {
        self.set(operation, Fault::HangAfter(answered));
    }

    fn set(&self, operation: &str, fault: Fault) {
        self.faults.lock().unwrap().insert(operation.to_owned(), fault);
    }

    /// What functions asked for so far, refused or not, as IAM sees it.
    pub fn calls(&self) -> BTreeSet<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// No faults from now on.
    pub fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// Does something on this thread.
    pub fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// A person did something to every row.
    pub fn note_all(&self) {
        for row in self.rows() {
            let note = json!({
                "TableName": "ledger", "Key": {"id": {"S": row.id.to_string()}}, "UpdateExpression": "SET note = :note",
                "ExpressionAttributeValues": {":note": {"S": "2026-11-21T09:00:00.000Z redriven by kim: mended"}},
            });
            let note = note.to_string();
            let noted = self.aws.handle("DynamoDB_20120810.UpdateItem", note.as_bytes());
            assert_eq!(self.block_on(noted).status, 200);
        }
    }

    /// The open rows, by id.
    pub fn rows(&self) -> Vec<Row> {
        self.block_on(async {
            let mut pages = self.ledger.open_rows();
            let mut rows = Vec::new();
            while let Some(page) = pages.next().await.unwrap() {
                rows.extend(page.into_iter().map(Result::unwrap));
            }
            rows.sort_by_key(|row| row.id);
            rows
        })
    }

    /// Records these uploads.
    pub fn record(&self, uploads: &[Upload]) {
        let row = |upload: &Upload| NewRow::Event {
            event: upload.event(),
            max_attempts: 5,
            trace: Some(super::trace_of(&upload.key)),
            caveat: None,
            at_once: false,
        };
        let deadline = Deadline::after(self.ledger.clock(), Duration::from_secs(30));
        let recorded = self.block_on(self.ledger.record(uploads.iter().map(row).collect(), deadline));
        assert!(
            recorded.iter().all(|row| *row == Recorded::Recorded),
            "{recorded:?}"
        );
    }

    /// Claims all that is due, for that lease; the rows in the order of their keys, each with the message that would be sent.
    pub fn claim(&self, lease: Duration) -> Vec<(Row, String)> {
        self.block_on(async {
            let now = self.ledger.clock().now();
            let due = self.ledger.due(Status::Pending, Some(now), 1000).next(1000).await;
            let deadline = Deadline::after(self.ledger.clock(), Duration::from_secs(30));
            let mut claimed = Vec::new();
            for claim in self.ledger.claim(&due, Hand::Queue, lease, deadline).await {
                let Claim::Claimed(row) = claim else {
                    panic!("{claim:?}")
                };
                let body = DispatchMessage::for_row(&row).unwrap().to_json();
                claimed.push((*row, body));
            }
            claimed.sort_by_key(|(row, _)| row.event().unwrap().key.as_str().to_owned());
            claimed
        })
    }

    /// Names of the executions that were started.
    pub fn executions(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .aws
            .executions()
            .all()
            .into_iter()
            .map(|one| one.name)
            .collect();
        names.sort();
        names
    }

    /// Messages that wait in the dispatch queue, as they were sent.
    pub fn dispatched(&self) -> Vec<String> {
        let messages = self.aws.sqs().messages(&self.dispatch_queue).unwrap();
        messages.into_iter().map(|message| message.body).collect()
    }
}

fn ledger_of(aws: &LocalAws) -> Ledger {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://embedded.invalid")
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
        .http_client(aws.http_client())
        .build();
    let receipts = ReceiptSettings {
        table: "receipts".parse().unwrap(),
        keep: Duration::from_secs(14 * 24 * 3600),
    };
    Ledger::new(
        aws_sdk_dynamodb::Client::from_conf(config),
        "ledger".parse().unwrap(),
        Some(receipts),
        Clock::system(),
        Random::from_os(),
    )
}

async fn answer(
    State((aws, faults, calls, functions)): State<(LocalAws, Faults, Calls, LambdaService)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(target) = header("x-amz-target").map(str::to_owned) else {
        let Some((status, error, answer)) = functions.answer(uri.path(), header, &body) else {
            return pending().await;
        };
        calls
            .lock()
            .unwrap()
            .insert(Call::new("lambda:InvokeFunction", TARGET_FUNCTION));
        let status = StatusCode::from_u16(status).unwrap();
        return (status, [("x-amzn-errortype", error)], answer).into_response();
    };
    let asked = Call::of_request(&target, &serde_json::from_slice(&body).unwrap());
    calls.lock().unwrap().extend(asked);
    let operation = target.rsplit('.').next().unwrap_or_default();
    let fault = match faults.lock().unwrap().get_mut(operation) {
        Some(Fault::HangAfter(0)) => Some(None),
        Some(Fault::HangAfter(answered)) => {
            *answered -= 1;
            None
        }
        Some(Fault::Answer(status, error)) => Some(Some((*status, error.to_string().into_bytes()))),
        None => None,
    };
    let (status, body) = match fault {
        Some(None) => pending().await,
        Some(Some(answer)) => answer,
        None => {
            let answer = aws.handle(&target, &body).await;
            (answer.status, answer.body)
        }
    };
    let headers = [("content-type", "application/x-amz-json-1.0")];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}
