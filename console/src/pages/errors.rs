//! Errors: of two thousand parked events there are three causes.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use daybook_inspect::errors::Group;
use daybook_inspect::wording::shell::quoted;
use daybook_schema::Timestamp;

use crate::look::{Counter, Rendered};
use crate::pages::looking::{self, Asking};
use crate::pages::{Frame, json as as_json, not_answered, unavailable, written};
use crate::snapshot::Causes;
use crate::state;
use crate::text::{self, When, query, shown};

/// Groups on the page.
const SHOWN: usize = 50;

struct GroupView {
    error: String,
    parked: String,
    failing: String,
    oldest: When,
    newest: When,
    example: String,
    example_id: String,
    example_error: String,
    /// Where its rows are listed.
    rows: Option<String>,
    others: Option<String>,
    command: Option<String>,
    /// The query that asks for its redrive.
    redrive: Option<String>,
}

impl GroupView {
    fn of(group: &Group, flags: &str, now: Timestamp) -> Self {
        let parked = group.parked > 0;
        let status = if parked { "parked" } else { "" };
        let text = group.text.as_deref();
        let example = match (&group.example.bucket, &group.example.key) {
            (Some(bucket), Some(key)) => shown(&format!("s3://{bucket}/{key}")),
            _ => group
                .example
                .about
                .as_deref()
                .map_or_else(|| "a notification that cannot be read".to_owned(), shown),
        };
        Self {
            error: shown(&group.error),
            parked: text::count(group.parked, true),
            failing: text::count(group.failing, true),
            oldest: When::of(group.oldest, now),
            newest: When::of(group.newest, now),
            example,
            example_id: group.example.id.to_string(),
            example_error: shown(&group.example.error),
            rows: text.map(|text| query(&[("status", status), ("error", text)])),
            others: (group.others_with_text > 0).then(|| text::count(group.others_with_text, true)),
            command: text
                .filter(|_| parked)
                .map(|text| format!("daybook redrive {flags} --error {}", quoted(text))),
            redrive: text
                .filter(|_| parked)
                .map(|text| query(&[("verb", "redrive"), ("error", text)])),
        }
    }
}

#[derive(Template)]
#[template(path = "errors.html")]
struct ErrorsPage {
    frame: Frame,
    at: When,
    rows: String,
    groups: Vec<GroupView>,
    hidden: usize,
    ungrouped: u64,
    unreadable: u64,
    incomplete: Option<String>,
}

pub async fn page(State(state): State<Arc<state::State>>) -> Response {
    let asking = Asking {
        title: "Errors",
        asked: String::new(),
    };
    looking::page(&state, asking, "", |rows| look(state.clone(), rows)).await
}

async fn look(state: Arc<state::State>, rows: Counter) -> Rendered {
    match state.snapshots.causes(rows).await {
        Ok(causes) => written(&page_of(&causes, &state)),
        Err(why) => not_answered(&state.settings, &why),
    }
}

fn page_of(causes: &Causes, state: &state::State) -> ErrorsPage {
    let errors = &causes.errors;
    let groups = errors.groups.iter().take(SHOWN);
    ErrorsPage {
        frame: Frame::of("Errors", &causes.name, &state.settings),
        at: When::of(causes.at, causes.at),
        rows: text::count(errors.rows, errors.incomplete.is_none()),
        groups: groups
            .map(|group| GroupView::of(group, &causes.flags, causes.at))
            .collect(),
        hidden: errors.groups.len().saturating_sub(SHOWN),
        ungrouped: errors.ungrouped,
        unreadable: errors.unreadable,
        incomplete: errors.incomplete.as_deref().map(shown),
    }
}

/// What `daybook errors --output json` says.
pub async fn json(State(state): State<Arc<state::State>>) -> Response {
    match state.snapshots.causes(Counter::default()).await {
        Ok(causes) => as_json(&causes.errors),
        Err(why) => unavailable(&state.settings, &why),
    }
}
