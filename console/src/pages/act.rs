//! An action on rows: what it would do, asked with a count and examples, then begun.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use daybook_inspect::operate::action::Action;
use daybook_inspect::operate::driver::no_canaries;
use daybook_inspect::operate::selected::{Seen, Selected};
use daybook_inspect::views::status_word;

use crate::ask::{self, Ask, Which};
use crate::look::{Counter, Rendered};
use crate::pages::operator::Operator;
use crate::pages::rows::RowView;
use crate::pages::{Frame, fields, looking, not_answered, trouble, unavailable, written};
use crate::running;
use crate::source::Deployment;
use crate::state;
use crate::task::Order;
use crate::text::{count, shown};

/// So many rows are counted; where there are more, the page says "at least".
const ENOUGH: usize = 1000;

/// So many of what was named and is not meant are told.
const TOLD: usize = 10;

#[derive(Template)]
#[template(path = "act.html")]
struct Act {
    frame: Frame,
    verb: String,
    imperative: &'static str,
    meaning: &'static str,
    count: String,
    events: String,
    any: bool,
    sample: Vec<RowView>,
    more: bool,
    notes: Vec<String>,
    unreadable: usize,
    hidden: Vec<(&'static str, String)>,
    is_redrive: bool,
    /// Why canaries could tell nothing now, if so.
    no_canaries: Option<String>,
    /// How many are proposed; none where rows were chosen one by one.
    canary: String,
    wait: &'static str,
    by: String,
    command: String,
}

fn meaning(action: Action) -> &'static str {
    match action {
        Action::Redrive { .. } => "Each gets another round of attempts, due now.",
        Action::Release => {
            "Each is due again, and no attempt is used. For events for which you know that nothing runs."
        }
        Action::Fail { .. } => {
            "The attempt counts as failed: the event is retried later, or parked when no attempt is left."
        }
        Action::Cancel => "Each is parked, and what runs for it is stopped.",
        Action::Complete => "Each gets a receipt with who and why, as if it had been processed.",
        Action::Remove => {
            "Each is taken out for good, unprocessed, with a receipt that says who and why. `daybook replay` brings an object back."
        }
    }
}

/// What it would do.
pub async fn page(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let ask = match Ask::read(&query) {
        Ok(ask) => ask,
        Err(why) => return trouble(&state.settings, StatusCode::BAD_REQUEST, &why),
    };
    let asking = looking::Asking {
        title: ask.action.imperative(),
        asked: ask.what(),
    };
    looking::page(&state, asking, &query, |rows| look(state.clone(), ask, rows)).await
}

async fn look(state: Arc<state::State>, mut ask: Ask, rows: Counter) -> Rendered {
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return not_answered(&state.settings, &why),
    };
    let parts = deployment.parts();
    let ledger = &parts.ledger.counting(rows);
    let mut hindrance = None;
    if matches!(ask.action, Action::Redrive { .. }) {
        hindrance = match no_canaries(&parts).await {
            Ok(hindrance) => hindrance,
            Err(error) => return not_answered(&state.settings, &daybook_ledger::chain(&error)),
        };
        ask.propose_canaries(hindrance.is_none());
    }
    let statuses = ask.statuses();
    match Selected::read(ledger, &ask.selection(Some(ENOUGH)), &statuses, &|_, _| {}).await {
        Ok(selected) => written(&page_of((&ask, hindrance), &selected, &*deployment, &state)),
        Err(failure) => not_answered(&state.settings, &failure.to_string()),
    }
}

fn page_of(
    (ask, hindrance): (&Ask, Option<String>),
    selected: &Selected,
    deployment: &dyn Deployment,
    state: &state::State,
) -> Act {
    let now = deployment.parts().ledger.clock().now();
    let n = selected.rows.len();
    let status = match ask.statuses().as_slice() {
        [status] => format!("{} ", status_word(*status)),
        _ => String::new(),
    };
    let mut hidden = ask.hidden();
    if matches!(ask.which, Which::Named(_) | Which::Seen(_)) {
        hidden.extend(
            selected
                .rows
                .iter()
                .map(|seen: &Seen| ("row", ask::row_field(seen))),
        );
    }
    let notes = selected.passed_over.iter().take(TOLD);
    Act {
        frame: Frame::of(ask.action.imperative(), &deployment.name(), &state.settings),
        verb: ask.verb(),
        imperative: ask.action.imperative(),
        meaning: meaning(ask.action),
        count: count(n as u64, !selected.more),
        events: format!("{status}{}", if n == 1 { "event" } else { "events" }),
        any: n > 0,
        sample: selected.sample.iter().map(|row| RowView::of(row, now)).collect(),
        more: selected.more || n > selected.sample.len(),
        notes: notes.map(|note| shown(note)).collect(),
        unreadable: selected.unreadable.len(),
        hidden,
        is_redrive: matches!(ask.action, Action::Redrive { .. }),
        no_canaries: hindrance.as_deref().map(shown),
        canary: ask
            .canary
            .map(|canary| canary.events.to_string())
            .unwrap_or_default(),
        wait: ask::CANARY_WAIT,
        by: state.settings.by.clone(),
        command: shown(&ask.command(&deployment.flags(), "REASON")),
    }
}

/// Begins it, and leads to the page that says how far it is.
pub async fn begin(State(state): State<Arc<state::State>>, body: String) -> Response {
    let refused = |status, why: &str| trouble(&state.settings, status, why);
    let asked = Ask::read(&body).and_then(|ask| Ok((ask, Operator::read(&fields(&body), &state.settings)?)));
    let (mut ask, operator) = match asked {
        Ok(asked) => asked,
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    };
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return unavailable(&state.settings, &why),
    };
    if let Err((status, why)) = check(&ask, &*deployment).await {
        return refused(status, &format!("nothing was changed: {why}"));
    }
    ask.action = ask
        .action
        .in_deployment(deployment.max_attempts(), deployment.retry());
    let order = Order {
        action: ask.action,
        what: ask.what(),
        place: deployment.name(),
        command: ask.command(&deployment.flags(), &operator.why),
        again: ask.again(),
        by: operator.by,
        why: operator.why,
    };
    match running::begin(&state, deployment, ask, order) {
        Some(task) => Redirect::to(&format!("/operations/{}", task.id)).into_response(),
        None => refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "nothing was changed: too many actions run; wait for one to end",
        ),
    }
}

/// What must be so before anything is changed.
async fn check(ask: &Ask, deployment: &dyn Deployment) -> Result<(), (StatusCode, String)> {
    let parts = deployment.parts();
    let ledger = parts.ledger;
    let failed = |error| (StatusCode::SERVICE_UNAVAILABLE, daybook_ledger::chain(&error));
    if ask.action.leaves_receipts() {
        ledger.check_receipts().await.map_err(failed)?;
        if ledger.receipts_kept_for().is_none() && !parts.is_local() {
            let why = "no receipts table is named, so who and why could not be kept";
            return Err((StatusCode::CONFLICT, why.to_owned()));
        }
    }
    if ask.canary.is_some()
        && let Some(why) = no_canaries(&parts).await.map_err(failed)?
    {
        let why = format!("the outcome of canaries would not become known, because {why}");
        return Err((StatusCode::CONFLICT, why));
    }
    Ok(())
}
