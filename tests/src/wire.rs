//! The wire between the SDK and the embedded AWS: where faults happen, and where a run is traced.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use daybook_local::LocalAws;
use serde_json::{Value, json};
use tokio::time::Instant;

mod fault;
mod partly;
mod process;

pub use fault::Fault;
pub use process::Process;

/// An index is behind its table by at most so much. (AWS's is behind by less than a second, usually.)
const STALE_FOR: Duration = Duration::from_secs(600);

/// One request on the wire.
#[derive(Clone, Debug)]
pub struct Request {
    /// `DynamoDB_20120810`, `AmazonSQS` or `AWSStepFunctions`.
    pub service: String,
    /// The API call.
    pub operation: String,
    /// Its JSON.
    pub body: Value,
    /// The how-manieth request of the stage it is, from 0.
    pub number: u64,
    /// Who makes it, where that is known.
    pub process: Option<Process>,
}

impl Request {
    /// How many statements or entries a batch has; 0 for what is no batch.
    pub fn batch_size(&self) -> usize {
        match self.operation.as_str() {
            "SendMessageBatch" | "BatchExecuteStatement" => partly::size(&self.operation, &self.body),
            _ => 0,
        }
    }

    /// How many keys a BatchGetItem asks for.
    pub fn keys(&self) -> usize {
        let tables = self.body["RequestItems"].as_object().into_iter().flatten();
        tables
            .map(|(_, wanted)| wanted["Keys"].as_array().map_or(0, Vec::len))
            .sum()
    }
}

type Policy = Box<dyn FnMut(&Request) -> Fault + Send>;
type Observer = Box<dyn FnMut(&Request, &Value) + Send>;

/// The wire. Clones are one wire.
#[derive(Clone)]
pub struct Wire {
    aws: LocalAws,
    state: Arc<Mutex<State>>,
    started: Instant,
}

struct State {
    policy: Option<Policy>,
    observer: Option<Observer>,
    latency: Option<fastrand::Rng>,
    requests: u64,
    hash: DefaultHasher,
    lines: Option<Vec<String>>,
    faults: BTreeMap<&'static str, u64>,
    operations: BTreeMap<String, u64>,
    index_answers: BTreeMap<String, (Instant, Vec<u8>)>,
    log: Option<Vec<(Request, u16, Value)>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// A wire to that AWS, without faults or latency.
    pub fn new(aws: LocalAws) -> Self {
        let state = State {
            policy: None,
            observer: None,
            latency: None,
            requests: 0,
            hash: DefaultHasher::new(),
            lines: None,
            faults: BTreeMap::new(),
            operations: BTreeMap::new(),
            index_answers: BTreeMap::new(),
            log: None,
        };
        Self {
            aws,
            state: Arc::new(Mutex::new(state)),
            started: Instant::now(),
        }
    }

    /// From now on every request asks `policy` for its fate.
    pub fn inject(&self, policy: impl FnMut(&Request) -> Fault + Send + 'static) {
        self.state.lock().unwrap().policy = Some(Box::new(policy));
    }

    /// No faults from now on.
    pub fn heal(&self) {
        self.state.lock().unwrap().policy = None;
    }

    /// From now on `observer` sees every request that AWS did or refused, with what it answered, whether or not the answer arrived;
    /// a refusal has a `__type`.
    pub fn observe(&self, observer: impl FnMut(&Request, &Value) + Send + 'static) {
        self.state.lock().unwrap().observer = Some(Box::new(observer));
    }

    /// From now on a request takes a few milliseconds there and back, by that seed, so that requests cross.
    pub fn with_latency(&self, seed: u64) {
        self.state.lock().unwrap().latency = Some(fastrand::Rng::with_seed(seed));
    }

    /// Keeps a line per request from now on; [`Wire::lines`] gives them.
    pub fn keep_lines(&self) {
        self.state.lock().unwrap().lines = Some(Vec::new());
    }

    /// The trace, a line per request.
    pub fn lines(&self) -> Vec<String> {
        self.state.lock().unwrap().lines.clone().unwrap_or_default()
    }

    /// Keeps every request with its answer from now on.
    pub fn keep_log(&self) {
        self.state.lock().unwrap().log = Some(Vec::new());
    }

    /// The requests since [`Wire::keep_log`], each with its status and answer.
    pub fn log(&self) -> Vec<(Request, u16, Value)> {
        self.state.lock().unwrap().log.clone().unwrap_or_default()
    }

    /// The hash of all requests, their order, times and fates.
    pub fn hash(&self) -> String {
        format!("{:016x}", self.state.lock().unwrap().hash.finish())
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.state.lock().unwrap().requests
    }

    /// How many there were of each API call.
    pub fn operations(&self) -> BTreeMap<String, u64> {
        self.state.lock().unwrap().operations.clone()
    }

    /// How many faults there were of each kind.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().unwrap().faults.clone()
    }

    /// This wire as the SDK's HTTP client.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    async fn exchange(&self, target: String, body: Vec<u8>) -> Result<HttpResponse, ConnectorError> {
        let process = Process::current();
        if process.as_ref().is_some_and(Process::is_dead) {
            std::future::pending::<()>().await;
        }
        let (service, operation) = target.split_once('.').unwrap_or(("", ""));
        let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (request, fault, there, back) = {
            let mut state = self.state.lock().unwrap();
            let request = Request {
                service: service.to_owned(),
                operation: operation.to_owned(),
                body: parsed,
                number: state.requests,
                process,
            };
            state.requests += 1;
            *state.operations.entry(operation.to_owned()).or_default() += 1;
            let fault = state
                .policy
                .as_mut()
                .map_or(Fault::None, |policy| policy(&request));
            let latency = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(1..8));
            let there = state.latency.as_mut().map(latency);
            let back = state.latency.as_mut().map(latency);
            (request, fault, there, back)
        };
        sleep(there).await;
        let (status, answer) = self.answer(&target, &body, &request, &fault).await;
        self.trace(&request, status, &fault, &answer);
        match fault {
            Fault::DiesBefore | Fault::DiesAfter => {
                if let Some(process) = &request.process {
                    process.kill();
                }
                // Without a process to kill, this is a hang: it is dropped with its caller.
                std::future::pending::<()>().await;
            }
            Fault::Hang | Fault::HangAfter => {
                tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
                return Err(ConnectorError::io("the connection was closed".into()));
            }
            Fault::NotSent | Fault::AnswerLost => {
                sleep(back).await;
                return Err(ConnectorError::io("connection reset by peer".into()));
            }
            Fault::Slow(for_so_long) => tokio::time::sleep(for_so_long).await,
            Fault::None
            | Fault::Throttled
            | Fault::Invalid
            | Fault::InvalidInput
            | Fault::ServerError
            | Fault::ServerErrorAfter
            | Fault::Stale
            | Fault::Partial(_)
            | Fault::PartialAfter(_)
            | Fault::PartialError(_)
            | Fault::Unprocessed(_) => {}
        }
        sleep(back).await;
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(answer));
        response
            .headers_mut()
            .insert("content-type", "application/x-amz-json-1.0");
        Ok(response)
    }

    async fn answer(&self, target: &str, body: &[u8], request: &Request, fault: &Fault) -> (u16, Vec<u8>) {
        match fault {
            fault if fault.is_before() => (0, Vec::new()),
            Fault::Throttled => {
                let throttled = json!({"__type": "ThrottlingException", "message": "Rate exceeded"});
                (400, throttled.to_string().into_bytes())
            }
            Fault::Invalid => {
                let invalid = json!({"__type": "ValidationException", "message": "not valid"});
                (400, invalid.to_string().into_bytes())
            }
            Fault::InvalidInput => {
                let invalid = json!({"__type": "InvalidExecutionInput", "message": "not valid"});
                (400, invalid.to_string().into_bytes())
            }
            Fault::ServerError => server_error(),
            Fault::ServerErrorAfter => {
                self.handle(target, body, request).await;
                server_error()
            }
            Fault::Stale => match self.stale_answer(request) {
                Some(answer) => (200, answer),
                None => self.handle(target, body, request).await,
            },
            Fault::Partial(positions) => {
                let code = match request.operation.as_str() {
                    "SendMessageBatch" => "ServiceUnavailable",
                    _ => "ThrottlingError",
                };
                self.partial(target, request, positions, code).await
            }
            Fault::PartialError(positions) => {
                self.partial(target, request, positions, "InternalServerError")
                    .await
            }
            Fault::PartialAfter(positions) => {
                let (status, answer) = self.handle(target, body, request).await;
                if status != 200 {
                    return (status, answer);
                }
                let code = match request.operation.as_str() {
                    "SendMessageBatch" => "InternalError",
                    _ => "InternalServerError",
                };
                let answer = serde_json::from_slice(&answer).unwrap();
                let answer =
                    partly::failing(&request.operation, &request.body, answer, positions, code, true);
                (200, answer.to_string().into_bytes())
            }
            Fault::Unprocessed(positions) => self.unprocessed(target, body, request, positions).await,
            _ => self.handle(target, body, request).await,
        }
    }

    async fn handle(&self, target: &str, body: &[u8], request: &Request) -> (u16, Vec<u8>) {
        let answer = self.aws.handle(target, body).await;
        if let Some(key) = index_query(request)
            && answer.status == 200
        {
            let taken = (Instant::now(), answer.body.clone());
            self.state.lock().unwrap().index_answers.insert(key, taken);
        }
        if let Some(observer) = &mut self.state.lock().unwrap().observer {
            observer(request, &serde_json::from_slice(&answer.body).unwrap_or_default());
        }
        (answer.status, answer.body)
    }

    fn stale_answer(&self, request: &Request) -> Option<Vec<u8>> {
        let key = index_query(request)?;
        let state = self.state.lock().unwrap();
        let (at, answer) = state.index_answers.get(&key)?;
        (at.elapsed() <= STALE_FOR).then(|| answer.clone())
    }

    /// Does the batch without what is at `positions`, and says of those that they failed with that code.
    async fn partial(
        &self,
        target: &str,
        request: &Request,
        positions: &[usize],
        code: &str,
    ) -> (u16, Vec<u8>) {
        let operation = &request.operation;
        let mut answer = json!({});
        if let Some(body) = partly::without(operation, &request.body, positions) {
            let part = Request {
                body,
                ..request.clone()
            };
            let (status, bytes) = self.handle(target, part.body.to_string().as_bytes(), &part).await;
            if status != 200 {
                return (status, bytes);
            }
            answer = serde_json::from_slice(&bytes).unwrap();
        }
        let answer = partly::failing(operation, &request.body, answer, positions, code, false);
        (200, answer.to_string().into_bytes())
    }

    async fn unprocessed(
        &self,
        target: &str,
        body: &[u8],
        request: &Request,
        positions: &[usize],
    ) -> (u16, Vec<u8>) {
        let Some((rest, left)) = partly::unprocessed(&request.body, positions) else {
            return self.handle(target, body, request).await;
        };
        let mut answer = json!({"Responses": {}});
        if let Some(body) = rest {
            let part = Request {
                body,
                ..request.clone()
            };
            let (status, bytes) = self.handle(target, part.body.to_string().as_bytes(), &part).await;
            if status != 200 {
                return (status, bytes);
            }
            answer = serde_json::from_slice(&bytes).unwrap();
        }
        answer["UnprocessedKeys"] = left;
        (200, answer.to_string().into_bytes())
    }

    fn trace(&self, request: &Request, status: u16, fault: &Fault, answer: &[u8]) {
        let name = fault.name();
        let at = (Instant::now() - self.started).as_millis();
        let head = format!(
            "{at:>10} {:>5} {} {status} {name}",
            request.number, request.operation
        );
        // The SDK's maps have no order of their own; serde_json's have.
        let canonical = request.body.to_string();
        let mut state = self.state.lock().unwrap();
        head.hash(&mut state.hash);
        canonical.hash(&mut state.hash);
        if !name.is_empty() {
            *state.faults.entry(name).or_default() += 1;
        }
        if let Some(lines) = &mut state.lines {
            let who = request
                .process
                .as_ref()
                .map_or(String::new(), |one| format!("{}#{} ", one.name, one.number));
            let start: String = canonical.chars().take(160).collect();
            lines.push(format!("{head} {who}{start}"));
        }
        if let Some(log) = &mut state.log {
            log.push((
                request.clone(),
                status,
                serde_json::from_slice(answer).unwrap_or_default(),
            ));
        }
    }
}

async fn sleep(duration: Option<Duration>) {
    if let Some(duration) = duration {
        tokio::time::sleep(duration).await;
    }
}

/// What a query of an index asks for, without the times in it.
fn index_query(request: &Request) -> Option<String> {
    if request.operation != "Query" || request.body.get("IndexName").is_none() {
        return None;
    }
    let start = request
        .body
        .get("ExclusiveStartKey")
        .map(Value::to_string)
        .unwrap_or_default();
    let key = &request.body["ExpressionAttributeValues"][":key"];
    Some(format!(
        "{key} {} {} {start}",
        request.body["Select"], request.body["Limit"]
    ))
}

fn server_error() -> (u16, Vec<u8>) {
    let error = json!({"__type": "InternalServerError", "message": "try again"});
    (500, error.to_string().into_bytes())
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request
                .headers()
                .get("x-amz-target")
                .unwrap_or_default()
                .to_owned();
            let body = request.body().bytes().unwrap_or_default().to_vec();
            wire.exchange(target, body).await
        })
    }
}
