//! What a `daybook up` says of its own health, asked at its port.

use std::time::Duration;

use axum::body::Bytes;
use daybook_inspect::parts::Running;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use crate::deployment::door;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much of its answer is read, in bytes.
const MOST: usize = 16 * 1024;

#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
}

/// What is wrong with it, as `GET /health` says. `None` where it is well, or does not answer within 2 seconds, or needs another address.
pub async fn trouble(running: &Running) -> Option<String> {
    let address = door::from_here(&running.url).ok()?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{address}/health").parse().ok()?;
    let asked = async {
        let body = client.get(uri).await.ok()?.into_body();
        let body = Limited::new(body, MOST).collect().await.ok()?;
        serde_json::from_slice::<Answer>(&body.to_bytes()).ok()?.error
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()?
}
