//! Operations: pause, resume, N.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use daybook_inspect::wording::dispatch;
use daybook_ledger::{Control, Ledger, LedgerError, Person};
use daybook_schema::Timestamp;

use crate::pages::{Frame, field, fields, render, trouble, unavailable};
use crate::state;
use crate::task::Task;
use crate::text::{When, shown};

#[derive(Template)]
#[template(path = "operations.html")]
struct Operations {
    frame: Frame,
    paused: bool,
    pause: String,
    per_window: String,
    by: String,
    flags: String,
    tasks: Vec<TaskView>,
}

/// An action of this process.
struct TaskView {
    id: String,
    begun: When,
    what: &'static str,
    by: String,
    why: String,
    says: String,
}

impl TaskView {
    fn of(task: &Task, now: Timestamp) -> Self {
        Self {
            id: task.id.clone(),
            begun: When::of(task.begun, now),
            what: task.order.action.imperative(),
            by: shown(&task.order.by),
            why: shown(&task.order.why),
            says: shown(&task.progress().says),
        }
    }
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
    render(&Operations {
        frame: Frame::of("Operations", &deployment.name(), &state.settings),
        paused: control.pause(now).is_some(),
        pause: shown(&dispatch::pause_words(&control, now)),
        per_window: shown(&dispatch::per_window_words(&control)),
        by: state.settings.by.clone(),
        flags: shown(&deployment.flags()),
        tasks: state
            .tasks
            .all()
            .iter()
            .map(|task| TaskView::of(task, now))
            .collect(),
    })
}

/// Who does it, and why.
pub struct Asking {
    pub by: String,
    pub why: String,
}

impl Asking {
    /// From the fields of a form.
    ///
    /// # Errors
    /// When no reason is given.
    pub fn read(fields: &[(String, String)], state: &state::State) -> Result<Self, String> {
        let why = field(fields, "why").map(str::trim);
        Ok(Self {
            by: field(fields, "by").map_or_else(|| state.settings.by.clone(), |by| by.trim().to_owned()),
            why: why.ok_or("nothing was changed: a reason is needed")?.to_owned(),
        })
    }

    /// The person at whose word it is done.
    pub fn person(&self) -> Person<'_> {
        Person {
            by: &self.by,
            why: Some(&self.why),
        }
    }
}

/// A change of the control item.
enum Change {
    Pause(Option<Duration>),
    Resume,
    PerWindow(Option<u32>),
}

impl Change {
    async fn write(&self, ledger: &Ledger, asking: &Asking) -> Result<(), LedgerError> {
        match self {
            Self::Pause(length) => {
                let until = length.map(|length| ledger.clock().now().plus(length));
                ledger.pause(until, &asking.by, &asking.why).await
            }
            Self::Resume => ledger.resume().await,
            Self::PerWindow(n) => ledger.set_per_window(*n, asking.person()).await,
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
    let asking = match Asking::read(fields, state) {
        Ok(asking) => asking,
        Err(why) => return trouble(&state.settings, StatusCode::BAD_REQUEST, &why),
    };
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return unavailable(&state.settings, &why),
    };
    match change.write(deployment.parts().ledger, &asking).await {
        Ok(()) => {
            state.snapshots.forget().await;
            Redirect::to("/operations").into_response()
        }
        Err(error) => unavailable(&state.settings, &daybook_ledger::chain(&error)),
    }
}
