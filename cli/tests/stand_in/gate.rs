//! An endpoint that lets requests through to the embedded AWS until it is told to hold or refuse one kind of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_local::LocalAws;
use tokio::sync::Semaphore;

/// What happens to requests of one operation, after so many were let through.
#[derive(Clone, Copy)]
pub enum Then {
    /// They wait until the gate is opened.
    Hold,
    /// They are refused.
    Refuse,
    /// They wait until the gate is opened, and are refused then.
    HoldAndRefuse,
}

pub struct Gate {
    pub endpoint: String,
    held: mpsc::Receiver<()>,
    open: Arc<Semaphore>,
}

struct Rule {
    aws: LocalAws,
    operation: &'static str,
    let_through: AtomicUsize,
    then: Then,
    holds: mpsc::Sender<()>,
    open: Arc<Semaphore>,
}

impl Gate {
    /// In front of that AWS, as long as the process lives. Without an operation all are meant but DescribeTable, with which a verb finds
    /// out who answers.
    pub fn new(aws: &LocalAws, operation: &'static str, let_through: usize, then: Then) -> Self {
        let (holds, held) = mpsc::channel();
        let open = Arc::new(Semaphore::new(0));
        let rule = Arc::new(Rule {
            aws: aws.clone(),
            operation,
            let_through: let_through.into(),
            then,
            holds,
            open: open.clone(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            crate::stand_in::runtime().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = Router::new().fallback(pass).with_state(rule);
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { endpoint, held, open }
    }

    /// Returns when so many requests wait.
    pub fn wait_for(&self, n: usize) {
        for _ in 0..n {
            self.held
                .recv_timeout(Duration::from_secs(60))
                .expect("a request that waits");
        }
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.open.add_permits(1_000_000);
    }
}

async fn pass(State(rule): State<Arc<Rule>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap();
    let is_meant = match rule.operation {
        "" => !target.ends_with(".DescribeTable"),
        operation => target.ends_with(&format!(".{operation}")),
    };
    let count_down = |left: usize| left.checked_sub(1);
    let is_held = is_meant
        && rule
            .let_through
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down)
            .is_err();
    let json = [(header::CONTENT_TYPE, "application/x-amz-json-1.0")];
    if is_held && matches!(rule.then, Then::Hold | Then::HoldAndRefuse) {
        let _ = rule.holds.send(());
        rule.open.acquire().await.unwrap().forget();
    }
    match rule.then {
        Then::Refuse | Then::HoldAndRefuse if is_held => {
            let body = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not you"}"#;
            return (StatusCode::BAD_REQUEST, json, body).into_response();
        }
        Then::Hold | Then::Refuse | Then::HoldAndRefuse => {}
    }
    let answer = rule.aws.handle(target, &body).await;
    (StatusCode::from_u16(answer.status).unwrap(), json, answer.body).into_response()
}
