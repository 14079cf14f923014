//! The embedded AWS behind a port of its own, with other answers to some requests, or another date.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use daybook_local::LocalAws;
use serde_json::{Value, json};

#[derive(Clone)]
pub struct Proxy {
    pub endpoint: String,
    aws: LocalAws,
    state: Arc<Mutex<Answers>>,
    requests: Arc<Mutex<Vec<(String, Value)>>>,
}

#[derive(Default)]
struct Answers {
    instead: BTreeMap<String, (u16, Value)>,
    lost: BTreeSet<String>,
    ahead_seconds: i64,
}

impl Proxy {
    pub fn start(aws: &LocalAws) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let proxy = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            aws: aws.clone(),
            state: Arc::default(),
            requests: Arc::default(),
        };
        let served = proxy.clone();
        std::thread::spawn(move || {
            super::runtime().block_on(async move {
                let router = axum::Router::new().fallback(answer).with_state(served);
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        proxy
    }

    /// From now on that operation is answered so.
    pub fn answer(&self, operation: &str, status: u16, body: Value) {
        let mut state = self.state.lock().unwrap();
        state.instead.insert(operation.to_owned(), (status, body));
    }

    /// From now on that operation is not allowed.
    pub fn refuse(&self, operation: &str) {
        let error = json!({"__type": "AccessDeniedException", "message": format!("not authorized to perform {operation}")});
        self.answer(operation, 400, error);
    }

    /// From now on that operation is done, and whoever asked does not learn it.
    pub fn lose(&self, operation: &str) {
        self.state.lock().unwrap().lost.insert(operation.to_owned());
    }

    /// What it was asked: each request's target and body.
    pub fn requests(&self) -> Vec<(String, Value)> {
        self.requests.lock().unwrap().clone()
    }

    /// As before.
    pub fn restore(&self) {
        *self.state.lock().unwrap() = Answers::default();
    }

    /// From now on its clock is so much ahead.
    pub fn set_ahead(&self, seconds: i64) {
        self.state.lock().unwrap().ahead_seconds = seconds;
    }
}

async fn answer(State(proxy): State<Proxy>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let asked = serde_json::from_slice(&body).unwrap_or_default();
    proxy.requests.lock().unwrap().push((target.clone(), asked));
    let operation = target.rsplit('.').next().unwrap();
    let (instead, is_lost, ahead) = {
        let state = proxy.state.lock().unwrap();
        let instead = state.instead.get(operation).cloned();
        (instead, state.lost.contains(operation), state.ahead_seconds)
    };
    let (status, body) = match instead {
        Some((status, body)) => (status, body.to_string().into_bytes()),
        None => {
            let answer = proxy.aws.handle(&target, &body).await;
            match is_lost {
                true => (500, b"{}".to_vec()),
                false => (answer.status, answer.body),
            }
        }
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    let date = super::now().unix_millis() + ahead * 1000;
    let date = chrono::DateTime::from_timestamp_millis(date).unwrap();
    let headers = response.headers_mut();
    headers.insert("content-type", "application/x-amz-json-1.0".parse().unwrap());
    headers.insert(
        "date",
        date.format("%a, %d %b %Y %H:%M:%S GMT")
            .to_string()
            .parse()
            .unwrap(),
    );
    response
}
