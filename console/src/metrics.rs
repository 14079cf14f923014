//! `GET /metrics`: what Prometheus scrapes, on the console and on the port of `daybook up`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_inspect::metrics;

use crate::snapshot::Snapshots;
use crate::state;

/// The metrics of the newest snapshot.
pub async fn page(State(state): State<Arc<state::State>>) -> Response {
    answer(&state.snapshots).await
}

/// The metrics of the newest snapshot, and what the process counts; 503 with the reason where the deployment cannot be opened.
pub async fn answer(snapshots: &Snapshots) -> Response {
    match snapshots.status().await {
        Ok(snapshot) => {
            let counted = snapshots.source().counted();
            let counters = counted.map(|counted| metrics::counters(&counted));
            let text = snapshot.gauges.clone() + &counters.unwrap_or_default();
            ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    }
}
