//! The Lambda Runtime API ("Lambda runtime API", AWS Lambda Developer Guide): one invocation at a time.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a function said of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Its answer.
    Response(Value),
    /// It failed: `errorType` and `errorMessage`.
    Error(Value),
}

impl Answer {
    /// The answer of a function that did not fail.
    pub fn response(&self) -> &Value {
        match self {
            Self::Response(answer) => answer,
            Self::Error(error) => panic!("the function failed: {error}"),
        }
    }

    /// `errorType: errorMessage` of one that failed.
    pub fn error(&self) -> String {
        match self {
            Self::Response(answer) => panic!("the function did not fail: {answer}"),
            Self::Error(error) => {
                let text = |key: &str| error[key].as_str().expect("a text").to_owned();
                format!("{}: {}", text("errorType"), text("errorMessage"))
            }
        }
    }
}

/// One invocation, as it is handed out.
struct Invocation {
    request_id: String,
    deadline_millis: i64,
    body: String,
}

/// The API. It stops with the process.
pub struct RuntimeApi {
    address: SocketAddr,
    invocations: UnboundedSender<Invocation>,
    answers: Receiver<(String, Answer)>,
}

struct Served {
    waiting: tokio::sync::Mutex<UnboundedReceiver<Invocation>>,
    /// The invocation that is not answered yet.
    under_way: Mutex<Option<String>>,
    answers: Sender<(String, Answer)>,
}

impl RuntimeApi {
    /// Serves on a free port.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (invocations, waiting) = unbounded_channel();
        let (told, answers) = channel();
        let served = Arc::new(Served {
            waiting: tokio::sync::Mutex::new(waiting),
            under_way: Mutex::default(),
            answers: told,
        });
        std::thread::spawn(move || super::aws::runtime().block_on(serve(listener, served)));
        Self {
            address,
            invocations,
            answers,
        }
    }

    /// `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Hands an invocation out.
    pub fn invoke(&self, request_id: &str, event: &Value, deadline_millis: i64) {
        let invocation = Invocation {
            request_id: request_id.to_owned(),
            deadline_millis,
            body: event.to_string(),
        };
        self.invocations.send(invocation).unwrap();
    }

    /// What the function says of that invocation; `None` when it said nothing for so long.
    pub fn answer(&self, request_id: &str, patience: Duration) -> Option<Answer> {
        match self.answers.recv_timeout(patience) {
            Ok((answered, answer)) => {
                assert_eq!(answered, request_id, "another invocation was answered");
                Some(answer)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the Runtime API has ended"),
        }
    }
}

async fn serve(listener: std::net::TcpListener, served: Arc<Served>) {
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(served);
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    axum::serve(listener, router).await.unwrap();
}

async fn next(State(served): State<Arc<Served>>) -> Response {
    if served.under_way.lock().unwrap().is_some() {
        let why = "the invocation before is not answered";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let Some(invocation) = served.waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    *served.under_way.lock().unwrap() = Some(invocation.request_id.clone());
    let headers = AppendHeaders([
        ("Lambda-Runtime-Trace-Id", super::trace_of(&invocation.request_id)),
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
        (
            "Lambda-Runtime-Deadline-Ms",
            invocation.deadline_millis.to_string(),
        ),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:000000000000:function:it".to_owned(),
        ),
        ("Content-Type", "application/json".to_owned()),
    ]);
    (headers, invocation.body).into_response()
}

async fn response(State(served): State<Arc<Served>>, Path(id): Path<String>, body: String) -> StatusCode {
    served.answered(id, serde_json::from_str(&body).map(Answer::Response))
}

async fn error(State(served): State<Arc<Served>>, Path(id): Path<String>, body: String) -> StatusCode {
    served.answered(id, serde_json::from_str(&body).map(Answer::Error))
}

impl Served {
    fn answered(&self, id: String, answer: Result<Answer, serde_json::Error>) -> StatusCode {
        let mut under_way = self.under_way.lock().unwrap();
        let Ok(answer) = answer else {
            return StatusCode::BAD_REQUEST;
        };
        if under_way.as_deref() != Some(&id) {
            return StatusCode::BAD_REQUEST;
        }
        *under_way = None;
        let _ = self.answers.send((id, answer));
        StatusCode::ACCEPTED
    }
}
