//! How far an action is, or how it ended.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use daybook_inspect::operate::log::Rows;

use crate::pages::{Frame, field, fields, render, trouble, unavailable};
use crate::state;
use crate::task::Task;
use crate::text::{When, count, shown};

/// A line of what came of it: what, how many rows, and what that means.
struct Line {
    what: &'static str,
    rows: String,
    meaning: String,
}

#[derive(Template)]
#[template(path = "operation.html")]
struct Operation {
    frame: Frame,
    id: String,
    imperative: &'static str,
    by: String,
    why: String,
    command: String,
    begun: When,
    ended: Option<When>,
    says: String,
    read: String,
    selected: Option<String>,
    all: usize,
    through: usize,
    lines: Vec<Line>,
    canaries: Option<String>,
    failures: Vec<String>,
    notes: Vec<String>,
    again: Option<String>,
}

/// Rows, with their thousands apart.
fn rows(n: usize) -> String {
    count(n as u64, true)
}

fn lines(task: &Task) -> Vec<Line> {
    let (progress, action) = (task.progress(), task.order.action);
    let mut lines: Vec<Line> = action
        .outcomes()
        .iter()
        .zip(&progress.outcomes)
        .map(|(outcome, n)| Line {
            what: outcome.label,
            rows: rows(*n),
            meaning: action.meaning(outcome),
        })
        .collect();
    let rest = [
        (
            "refused",
            progress.refused,
            "changed since they were selected, and were left alone",
        ),
        (
            "unreadable",
            progress.unreadable,
            "rows of another release, left alone",
        ),
        ("failed", progress.failed, "may not have been done"),
        ("left", progress.left(), "as they were"),
    ];
    lines.extend(rest.map(|(what, n, meaning)| Line {
        what,
        rows: rows(n),
        meaning: meaning.to_owned(),
    }));
    lines
}

pub async fn page(State(state): State<Arc<state::State>>, Path(id): Path<String>) -> Response {
    let Some(task) = state.tasks.get(&id) else {
        return recorded(&state, &id).await;
    };
    let progress = task.progress();
    let now = task.clock.now();
    render(&Operation {
        frame: Frame::of("Operation", &task.order.place, &state.settings),
        id: task.id.clone(),
        imperative: task.order.action.imperative(),
        by: shown(&task.order.by),
        why: shown(&task.order.why),
        command: shown(&task.order.command),
        begun: When::of(task.begun, now),
        ended: progress.ended.map(|ended| When::of(ended, now)),
        says: shown(&progress.says),
        read: rows(progress.read),
        selected: progress.selected.map(rows),
        all: progress.selected.unwrap_or_default().max(1),
        through: progress.through(),
        lines: lines(&task),
        canaries: progress.canaries.clone(),
        failures: progress.failures.iter().map(|failure| shown(failure)).collect(),
        // Untrusted parts are escaped in it.
        notes: progress.notes.clone(),
        again: task.order.again.clone(),
    })
}

#[derive(Template)]
#[template(path = "recorded.html")]
struct Recorded {
    frame: Frame,
    what: String,
    by: String,
    why: String,
    begun: When,
    at: When,
    rows: String,
    ended: Option<String>,
}

/// What the log keeps of an action that is not this process's, or not any more.
async fn recorded(state: &state::State, id: &str) -> Response {
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return unavailable(&state.settings, &why),
    };
    let kept = deployment.log().map(|log| log.read());
    let entry = match kept {
        Some(Ok(kept)) => kept.into_iter().find(|entry| entry.id == id),
        Some(Err(error)) => {
            let why = format!("the log in the folder cannot be read: {error}");
            return unavailable(&state.settings, &why);
        }
        None => None,
    };
    let Some(entry) = entry else {
        let why = "no such operation is known here: it may be one of an earlier process. How far that came is in the rows; to begin it again \
                   is safe, because each row is read again before it is changed";
        return trouble(&state.settings, StatusCode::NOT_FOUND, why);
    };
    let now = deployment.parts().ledger.clock().now();
    render(&Recorded {
        frame: Frame::of("Operation", &deployment.name(), &state.settings),
        what: shown(&entry.what),
        by: shown(&entry.by),
        why: shown(entry.why.as_deref().unwrap_or_default()),
        begun: When::of(entry.begun, now),
        at: When::of(entry.at, now),
        rows: entry.rows.map(Rows::words).unwrap_or_default(),
        ended: entry.ended.as_deref().map(shown),
    })
}

/// Asks it to stop.
pub async fn stop(State(state): State<Arc<state::State>>, body: String) -> Response {
    let fields = fields(&body);
    match state.tasks.get(field(&fields, "id").unwrap_or_default()) {
        Some(task) => {
            task.stop();
            Redirect::to(&format!("/operations/{}", task.id)).into_response()
        }
        None => trouble(
            &state.settings,
            StatusCode::NOT_FOUND,
            "no such operation runs in this process",
        ),
    }
}
