//! The port: notifications, health, and on loopback the AWS services. Whoever connects is a stranger.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::prelude::{BASE64_STANDARD, Engine};
use daybook_console::snapshot::Snapshots;
use daybook_ledger::Recorded;
use daybook_local::LocalAws;
use daybook_manager::{Ingested, Payload};
use http_body_util::BodyExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

use crate::commands::run::up::arguments::Token;
use crate::commands::run::up::connections::{Ends, Limits};
use crate::commands::run::up::intake::{Backlog, Intake};
use crate::commands::run::up::refusal::Refusal;
use crate::commands::run::up::{binary_mode, body, connections, scrape};
use crate::deployment::door;
use crate::deployment::lock::Credential;

/// The longest notification: what fits into an SQS message.
pub const MAX_BODY: usize = 1024 * 1024;

/// The longest AWS request: DynamoDB's 16 MB.
const MAX_AWS_BODY: usize = 16 * 1024 * 1024;

/// The bodies of all requests together, until they are recorded or answered.
const MAX_BODIES: usize = 64 * 1024 * 1024;

/// How the token is given. SNS gives the password of its URL only when it is asked for Basic.
const CHALLENGE: &str = "Bearer, Basic realm=\"daybook\"";

/// And in words.
const HOW: &str = "as Authorization: Bearer TOKEN, or as the password of Basic";

/// What every request needs.
pub struct ServerState {
    /// Where bodies go.
    pub intake: Intake,
    /// Whether there is room for more.
    pub backlog: Arc<Backlog>,
    /// What senders must know.
    pub token: Option<Token>,
    /// The AWS services behind the port.
    pub services: Services,
    /// How the ledger is, as a sentence if it is not well.
    pub trouble: watch::Receiver<Option<String>>,
    /// Where events stand, for `GET /metrics`.
    pub snapshots: Arc<Snapshots>,
}

/// DynamoDB, SQS and Step Functions behind the port.
pub struct Services {
    /// They themselves.
    pub aws: LocalAws,
    /// Whether AWS clients are answered: not where the port can be reached by other machines.
    pub for_clients: bool,
    /// What the verbs beside this process bear.
    pub credential: Credential,
}

struct Inner {
    state: ServerState,
    aws: Router,
    memory: Arc<Semaphore>,
    body_patience: Duration,
}

/// Serves until `stop` is true; then finishes the requests that run.
pub async fn serve(listener: TcpListener, state: ServerState, limits: Limits, stop: watch::Receiver<bool>) {
    let aws = state.services.aws.router(stop.clone());
    let inner = Arc::new(Inner {
        state,
        aws,
        memory: Arc::new(Semaphore::new(MAX_BODIES)),
        body_patience: limits.body,
    });
    let router = Router::new()
        .route("/events", get(not_allowed).head(probe).post(events))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(elsewhere)
        .method_not_allowed_fallback(not_allowed)
        .layer(axum::middleware::from_fn(no_browsers))
        .with_state(inner);
    connections::serve(listener, router, limits, stop).await;
}

/// A web page that somebody looks at on this machine could send events otherwise: browsers say where a request comes from.
async fn no_browsers(request: Request, next: axum::middleware::Next) -> Result<Response, Refusal> {
    if request.headers().contains_key(header::ORIGIN) {
        let error = "requests of web pages (with an Origin header) are not served";
        return Err(Refusal::new(StatusCode::FORBIDDEN, error));
    }
    Ok(next.run(request).await)
}

/// Some senders ask whether anybody is there before they send.
async fn probe() -> StatusCode {
    StatusCode::OK
}

async fn health(State(inner): State<Arc<Inner>>) -> Response {
    let trouble = inner.state.trouble.borrow().clone();
    match trouble {
        None => axum::Json(json!({"status": "ok"})).into_response(),
        Some(error) => Refusal::come_again(StatusCode::SERVICE_UNAVAILABLE, error).into_response(),
    }
}

async fn metrics(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Result<Response, Refusal> {
    scrape::check(&headers, inner.state.token.is_some())?;
    let given = given_token(&headers);
    allowed(&inner, given.as_deref(), HOW)?;
    Ok(daybook_console::metrics::answer(&inner.state.snapshots).await)
}

async fn not_allowed(method: Method, uri: Uri) -> Refusal {
    let allowed = match uri.path() {
        "/health" | "/metrics" => "GET, HEAD",
        _ => "POST, HEAD",
    };
    let error =
        format!("{method} is not for this path: POST notifications to /events, GET /health and /metrics");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error).with(header::ALLOW, allowed)
}

async fn elsewhere(State(inner): State<Arc<Inner>>, request: Request) -> Result<Response, Refusal> {
    if !request.headers().contains_key("x-amz-target") {
        let error = "nothing is here: POST notifications to /events, GET /health and /metrics";
        return Err(Refusal::new(StatusCode::NOT_FOUND, error));
    }
    let services = &inner.state.services;
    if let Some(given) = request.headers().get(door::HEADER) {
        // A verb's.
        if let Err((status, kind, message)) = beside(services, given, &request) {
            return Ok(aws_error(status, kind, message));
        }
    } else {
        if !services.for_clients {
            let error = "AWS calls are answered on a loopback address only: this port can be reached by other machines";
            return Err(Refusal::new(StatusCode::FORBIDDEN, error));
        }
        if let Err(refusal) = allowed(&inner, access_key(request.headers()), "as AWS access key id") {
            return Ok(aws_error(
                refusal.status,
                door::UNKNOWN_CREDENTIAL,
                &refusal.error,
            ));
        }
    }
    let (parts, body) = request.into_parts();
    let (body, _memory) = read(body, MAX_AWS_BODY, &inner).await?;
    let request = Request::from_parts(parts, Body::from(body));
    match inner.aws.clone().oneshot(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// Whether a verb of this machine that has read the lock file is asking for the ledger. The credential opens nothing else, from
/// nowhere else, whether a token is set or not.
fn beside(
    services: &Services,
    given: &HeaderValue,
    request: &Request,
) -> Result<(), (StatusCode, &'static str, &'static str)> {
    if !same_secret(given.as_bytes(), services.credential.secret().as_bytes()) {
        let message =
            "this is not the credential of the process that answers here: up.lock of its folder has it";
        return Err((StatusCode::UNAUTHORIZED, door::UNKNOWN_CREDENTIAL, message));
    }
    let denied = |message| Err((StatusCode::FORBIDDEN, "AccessDeniedException", message));
    if !request
        .extensions()
        .get::<Ends>()
        .is_some_and(Ends::are_one_machine)
    {
        return denied("a folder's credential is taken from its own machine only");
    }
    let target = request.headers().get("x-amz-target");
    match target.is_some_and(|target| target.as_bytes().starts_with(b"DynamoDB_")) {
        true => Ok(()),
        false => denied("a folder's credential is for its ledger only"),
    }
}

/// An error in the form in which AWS clients read them.
fn aws_error(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, axum::Json(json!({"__type": kind, "message": message}))).into_response()
}

async fn events(State(inner): State<Arc<Inner>>, request: Request) -> Result<Response, Refusal> {
    let given = given_token(request.headers());
    allowed(&inner, given.as_deref(), HOW)?;
    if inner.state.backlog.refuses() {
        let error =
            "too many events wait already (--max-backlog); nothing was recorded, send this again later";
        return Err(Refusal::come_again(StatusCode::TOO_MANY_REQUESTS, error));
    }
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let trace = headers
        .get("x-amzn-trace-id")
        .and_then(|trace| trace.to_str().ok())
        .map(str::to_owned);
    body::check_encoding(&headers)?;
    let (body, mut memory) = read(body, MAX_BODY, &inner).await?;
    let body = body::text(&headers, body, MAX_BODY, |bytes| {
        memory.merge(take(&inner.memory, bytes)?);
        Ok(())
    })?;
    // Some MinIO releases ask with these whether anybody is there.
    let is_empty_batch = binary_mode::is_batch(&headers) && body.trim() == "[]";
    if matches!(body.trim(), "" | "{}") || is_empty_batch {
        return Ok(answer(&Ingested::default()));
    }
    // What is JSON and not understood is kept for a person to see. What is no JSON at all says nothing about any event.
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("the body is not JSON ({error}); nothing was recorded"),
        ));
    }
    let payload = Payload {
        body,
        trace,
        message_id: None,
        again: false,
    };
    let Some(ingested) = inner.state.intake.record(payload, memory).await else {
        let error = "this Daybook is shutting down; send this again";
        return Err(Refusal::come_again(StatusCode::SERVICE_UNAVAILABLE, error));
    };
    match ingested.rows.iter().find(|row| !row.is_safe()) {
        None => Ok(answer(&ingested)),
        Some(unsafe_row) => Err(not_safe(&ingested, unsafe_row)),
    }
}

/// Every row of the notification is on the disk.
fn answer(ingested: &Ingested) -> Response {
    let (events, unreadable) = ingested.rows.split_at(ingested.rows.len() - ingested.unreadable);
    let count = |outcome: Recorded| events.iter().filter(|row| **row == outcome).count();
    let mut answer = json!({
        "recorded": count(Recorded::Recorded),
        "already_there": count(Recorded::AlreadyThere),
        "done_before": count(Recorded::Covered),
        "unreadable": unreadable.len(),
        "test_events": ingested.test_events,
    });
    if !unreadable.is_empty() {
        answer["note"] =
            "what could not be read as an event is kept as a PARKED row, for a person to see".into();
    }
    axum::Json(answer).into_response()
}

fn not_safe(ingested: &Ingested, row: &Recorded) -> Refusal {
    let safe = ingested.count(Recorded::is_safe);
    let of = ingested.rows.len();
    match row {
        Recorded::Rejected(cause) => Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("an event does not fit into the ledger ({cause}); {safe} of {of} are recorded"),
        ),
        Recorded::Throttled(cause) | Recorded::Unknown(cause) => Refusal::come_again(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("some events may not be recorded ({safe} of {of} are): {cause}; send this again"),
        ),
        Recorded::Recorded | Recorded::AlreadyThere | Recorded::Covered => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "what is recorded was taken for lost",
        ),
    }
}

/// The body, and its share of the memory for bodies. A body that comes slowly holds no more memory than what has come.
async fn read(body: Body, most: usize, inner: &Inner) -> Result<(Vec<u8>, OwnedSemaphorePermit), Refusal> {
    let too_large = || {
        let error = format!("the body is longer than {most} bytes; nothing was recorded");
        // What is left of it is not read.
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error).with(header::CONNECTION, "close")
    };
    let size = axum::body::HttpBody::size_hint(&body);
    if size.lower() > most as u64 {
        return Err(too_large());
    }
    let memory = &inner.memory;
    let mut held = take(memory, 0)?;
    let mut bytes = Vec::new();
    let reading = async {
        let mut body = body;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    format!("the body did not arrive whole: {error}"),
                )
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(too_large());
            }
            held.merge(take(memory, data.len())?);
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    match tokio::time::timeout(inner.body_patience, reading).await {
        Ok(Ok(())) => Ok((bytes, held)),
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => {
            let seconds = inner.body_patience.as_secs_f64();
            let error = format!("the body did not arrive within {seconds} seconds; nothing was recorded");
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error).with(header::CONNECTION, "close"))
        }
    }
}

/// A share of the memory for bodies.
fn take(memory: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    memory.clone().try_acquire_many_owned(bytes).map_err(|_| {
        let error = "too many bodies are being read at once; nothing was recorded, send this again";
        Refusal::come_again(StatusCode::SERVICE_UNAVAILABLE, error).with(header::CONNECTION, "close")
    })
}

/// Whether they are the same. How long the comparison takes tells nothing about them.
fn same_secret(given: &[u8], secret: &[u8]) -> bool {
    let pairs = Sha256::digest(given).into_iter().zip(Sha256::digest(secret));
    pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Whether the sender knows the token.
fn allowed(inner: &Inner, given: Option<&str>, how: &str) -> Result<(), Refusal> {
    let Some(token) = &inner.state.token else {
        return Ok(());
    };
    let error = match given {
        Some(given) if same_secret(given.as_bytes(), token.secret().as_bytes()) => return Ok(()),
        Some(_) => format!("the token is wrong; it is given {how}"),
        None => format!("a token is needed, {how}"),
    };
    Err(Refusal::new(StatusCode::UNAUTHORIZED, error).with(header::WWW_AUTHENTICATE, CHALLENGE))
}

/// `Bearer TOKEN`, or `Basic` with the token as the password: senders that know no tokens (SNS, for one) have it in their URL,
/// as `http://daybook:TOKEN@host`.
fn given_token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, given) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(given.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64_STANDARD.decode(given.trim()).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    Some(password.to_owned())
}

/// `AWS4-HMAC-SHA256 Credential=KEY/date/…`
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    credential.split(['/', ',']).next()
}
