//! Operations: pause, resume, N, dead-letter queues, and what people did.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use daybook_inspect::operate::log::{Entry, Rows};
use daybook_inspect::wording::dispatch;
use daybook_ledger::{Control, Ledger, LedgerError};
use daybook_schema::Timestamp;

use crate::pages::dead_letters::{LettersView, overview};
use crate::pages::operator::Operator;
use crate::pages::{Frame, field, fields, render, trouble, unavailable};
use crate::source::Deployment;
use crate::state;
use crate::task::Task;
use crate::text::{When, count, shown};

/// So many of what people did are shown.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "operations.html")]
struct Operations {
    frame: Frame,
    paused: bool,
    pause: String,
    per_window: String,
    by: String,
    flags: String,
    letters: Vec<LettersView>,
    log: Vec<EntryView>,
    is_kept: bool,
    trouble: Option<String>,
}

/// What somebody did.
struct EntryView {
    /// The page that says how far it is, of an action on rows.
    page: Option<String>,
    begun: When,
    what: String,
    by: String,
    why: String,
    rows: String,
    says: String,
}

impl EntryView {
    fn of_task(task: &Task, now: Timestamp) -> Self {
        let progress = task.progress();
        let left = progress.left();
        Self {
            page: Some(task.id.clone()),
            begun: When::of(task.begun, now),
            what: shown(&task.order.what),
            by: shown(&task.order.by),
            why: shown(&task.order.why),
            rows: format!(
                "{} done, {} refused, {left} left",
                progress.done(),
                progress.refused
            ),
            says: shown(&progress.says),
        }
    }

    fn of_entry(entry: &Entry, now: Timestamp) -> Self {
        let unknown = "no end was written: it runs elsewhere, or was cut off";
        Self {
            page: entry.rows.map(|_| entry.id.clone()),
            begun: When::of(entry.begun, now),
            what: shown(&entry.what),
            by: shown(&entry.by),
            why: shown(entry.why.as_deref().unwrap_or_default()),
            rows: entry.rows.map(Rows::words).unwrap_or_default(),
            says: shown(entry.ended.as_deref().unwrap_or(unknown)),
        }
    }
}

/// What people did, the newest first: what runs in this process, and what is kept. And why that cannot be read, if it cannot.
fn did(
    deployment: &dyn Deployment,
    state: &state::State,
    now: Timestamp,
) -> (Vec<EntryView>, Option<String>) {
    let (kept, trouble) = match deployment.log().map(|log| log.read()) {
        Some(Ok(kept)) => (kept, None),
        Some(Err(error)) => (Vec::new(), Some(shown(&error.to_string()))),
        None => (state.noted(), None),
    };
    let tasks = state.tasks.all();
    let is_task = |entry: &&Entry| tasks.iter().any(|task| task.id == entry.id);
    let mut views: Vec<(Timestamp, EntryView)> = tasks
        .iter()
        .map(|task| (task.begun, EntryView::of_task(task, now)))
        .collect();
    let others = kept.iter().filter(|entry| !is_task(entry));
    views.extend(others.map(|entry| (entry.begun, EntryView::of_entry(entry, now))));
    views.sort_by_key(|(begun, _)| std::cmp::Reverse(*begun));
    let views = views.into_iter().take(SHOWN).map(|(_, view)| view);
    (views.collect(), trouble)
}

pub async fn page(State(state): State<Arc<state::State>>) -> Response {
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return unavailable(&state.settings, &why),
    };
    let ledger = deployment.parts().ledger;
    let control: Control = match ledger.control().await {
        Ok(control) => control,
        Err(error) => return unavailable(&state.settings, &daybook_ledger::chain(&error)),
    };
    let now = ledger.clock().now();
    let (log, trouble) = did(&*deployment, &state, now);
    let letters = match state.settings.read_only {
        true => Vec::new(),
        false => overview(&*deployment).await,
    };
    let configured = deployment.rate().per_window;
    let configured = configured.filter(|_| control.per_window.is_none());
    let configured = configured.map(|n| format!(": {}", count(n.into(), true)));
    let per_window = dispatch::per_window_words(&control) + &configured.unwrap_or_default();
    render(&Operations {
        frame: Frame::of("Operations", &deployment.name(), &state.settings),
        paused: control.pause(now).is_some(),
        pause: shown(&dispatch::pause_words(&control, now)),
        per_window: shown(&per_window),
        by: state.settings.by.clone(),
        flags: shown(&deployment.flags()),
        letters,
        log,
        is_kept: deployment.log().is_some(),
        trouble,
    })
}

/// A change of the control item.
enum Change {
    Pause(Option<Duration>),
    Resume,
    PerWindow(Option<u32>),
}

impl Change {
    async fn write(&self, ledger: &Ledger, operator: &Operator) -> Result<(), LedgerError> {
        match self {
            Self::Pause(length) => {
                let until = length.map(|length| ledger.clock().now().plus(length));
                ledger.pause(until, &operator.by, &operator.why).await
            }
            Self::Resume => ledger.resume().await,
            Self::PerWindow(n) => ledger.set_per_window(*n, operator.person()).await,
        }
    }
}

impl Change {
    fn words(&self) -> String {
        match self {
            Self::Pause(None) => "pause".to_owned(),
            Self::Pause(Some(length)) => format!("pause for {}", humantime::format_duration(*length)),
            Self::Resume => "resume".to_owned(),
            Self::PerWindow(None) => "set N as configured".to_owned(),
            Self::PerWindow(Some(n)) => format!("set {n} per window"),
        }
    }
}

pub async fn pause(State(state): State<Arc<state::State>>, body: String) -> Response {
    let fields = fields(&body);
    let length = field(&fields, "for").map(|text| humantime::parse_duration(text.trim()));
    match length.transpose() {
        Ok(length) => {
            let length = length.filter(|length| !length.is_zero());
            change(&state, &fields, Change::Pause(length)).await
        }
        Err(_) => {
            let why = "nothing was changed: a length of time such as 30m or 2h is needed";
            trouble(&state.settings, StatusCode::BAD_REQUEST, why)
        }
    }
}

pub async fn resume(State(state): State<Arc<state::State>>, body: String) -> Response {
    change(&state, &fields(&body), Change::Resume).await
}

pub async fn per_window(State(state): State<Arc<state::State>>, body: String) -> Response {
    let fields = fields(&body);
    let n = field(&fields, "n").map(|text| text.trim().parse::<u32>());
    match n.transpose() {
        Ok(n) if n != Some(0) => change(&state, &fields, Change::PerWindow(n)).await,
        _ => {
            let why = "nothing was changed: N is a whole number, at least 1; pause stops dispatch";
            trouble(&state.settings, StatusCode::BAD_REQUEST, why)
        }
    }
}

/// Changes the control item at a person's word, and shows the page again.
async fn change(state: &state::State, fields: &[(String, String)], change: Change) -> Response {
    let operator = match Operator::read(fields, &state.settings) {
        Ok(operator) => operator,
        Err(why) => return trouble(&state.settings, StatusCode::BAD_REQUEST, &why),
    };
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return unavailable(&state.settings, &why),
    };
    match change.write(deployment.parts().ledger, &operator).await {
        Ok(()) => {
            let person = (operator.by.as_str(), Some(operator.why.as_str()));
            state.keep(&*deployment, &change.words(), person, "done");
            state.forget().await;
            Redirect::to("/operations").into_response()
        }
        Err(error) => unavailable(&state.settings, &daybook_ledger::chain(&error)),
    }
}
