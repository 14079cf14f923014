//! An object or an event: why in a sentence, and what became of it so far.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_inspect::object_ref::Wanted;
use daybook_inspect::parts::Parts;
use daybook_inspect::why::observe::{Question, observe};
use daybook_inspect::why::output;
use daybook_inspect::why::verdict::facts::{Fact, Observed, Seen, Verdict};
use daybook_inspect::why::verdict::verdict;
use daybook_inspect::wording::shell::quoted;
use daybook_schema::{Kind, Receipt, Row, Status, Timestamp};

use crate::look::{Counter, Rendered};
use crate::pages::looking::{self, Asking};
use crate::pages::replay::query_of;
use crate::pages::rows::{actions, subject};
use crate::pages::{Frame, field, fields, json as as_json, not_answered, trouble, unavailable, written};
use crate::source::Deployment;
use crate::state;
use crate::text::{When, shown};

/// A place of the row's state machine.
struct Step {
    word: &'static str,
    /// `past`, `here` or `ahead`.
    tone: &'static str,
    when: Option<When>,
    note: String,
}

/// An open event.
struct OpenView {
    id: String,
    object: String,
    steps: Vec<Step>,
    facts: Vec<(&'static str, String)>,
    raw: Option<String>,
    /// What can be done to it.
    verbs: Vec<&'static str>,
}

/// A finished event.
struct ReceiptView {
    id: String,
    outcome: String,
    when: When,
    by: String,
    attempt: String,
    why: String,
    /// The query of the page that asks to replay it, of an object that is done.
    replay: Option<String>,
}

/// What is known.
struct Answer {
    subject: String,
    situation: String,
    says: String,
    next: String,
    unknown: Vec<String>,
    open: Vec<OpenView>,
    receipts: Vec<ReceiptView>,
    command: String,
}

#[derive(Template)]
#[template(path = "object.html")]
struct Object {
    frame: Frame,
    asked: String,
    answer: Option<Answer>,
}

/// What is asked for; `None` where nothing is.
fn wanted(query: Option<String>) -> Result<Option<(String, Wanted)>, String> {
    let fields = fields(&query.unwrap_or_default());
    let Some(text) = field(&fields, "q").map(str::trim) else {
        return Ok(None);
    };
    Ok(Some((text.to_owned(), text.parse()?)))
}

async fn look(
    deployment: &dyn Deployment,
    what: &Wanted,
    rows: Counter,
) -> Result<(Observed, Verdict), String> {
    let question = Question {
        what,
        source: None,
        scan_receipts: false,
        per_window: None,
        rate: deployment.rate(),
        event: None,
        s3: deployment.s3(),
        intake: deployment.intake(),
    };
    let parts = deployment.parts();
    let parts = Parts {
        ledger: &parts.ledger.counting(rows),
        ..parts
    };
    let seen = observe(&parts, &question).await;
    let seen = seen.map_err(|error| daybook_ledger::chain(&error))?;
    let verdict = verdict(&seen);
    Ok((seen, verdict))
}

pub async fn page(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    let wanted = match wanted(query) {
        Ok(wanted) => wanted,
        Err(why) => return trouble(&state.settings, StatusCode::BAD_REQUEST, &why),
    };
    let asked = wanted.as_ref().map(|(text, _)| text.clone()).unwrap_or_default();
    let asking = Asking {
        title: "Object",
        asked: asked.clone(),
    };
    looking::page(&state, asking, &asked, |rows| answer(state.clone(), wanted, rows)).await
}

async fn answer(state: Arc<state::State>, wanted: Option<(String, Wanted)>, rows: Counter) -> Rendered {
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return not_answered(&state.settings, &why),
    };
    let frame = Frame::of("Object", &deployment.name(), &state.settings);
    let (asked, answer) = match wanted {
        None => (String::new(), None),
        Some((text, wanted)) => match look(&*deployment, &wanted, rows).await {
            Ok((seen, verdict)) => {
                let command = format!("daybook why {} {}", quoted(&text), deployment.flags());
                (text, Some(Answer::of(&seen, &verdict, &command)))
            }
            Err(why) => return not_answered(&state.settings, &why),
        },
    };
    written(&Object { frame, asked, answer })
}

/// What `daybook why --output json` says.
pub async fn json(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    let wanted = match wanted(query) {
        Ok(Some((_, wanted))) => wanted,
        Ok(None) => {
            return trouble(
                &state.settings,
                StatusCode::BAD_REQUEST,
                "q is needed: s3://bucket/key or an event id",
            );
        }
        Err(why) => return trouble(&state.settings, StatusCode::BAD_REQUEST, &why),
    };
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return unavailable(&state.settings, &why),
    };
    match look(&*deployment, &wanted, Counter::default()).await {
        Ok((seen, verdict)) => as_json(&output::output(&seen, &verdict, &deployment.name())),
        Err(why) => unavailable(&state.settings, &why),
    }
}

impl Answer {
    fn of(seen: &Observed, verdict: &Verdict, command: &str) -> Self {
        let receipts = match &seen.receipts {
            Fact::Known(receipts) => receipts.as_slice(),
            Fact::Unknown(_) | Fact::NotAsked(_) => &[],
        };
        Self {
            subject: shown(&seen.subject),
            situation: verdict.situation.word().replace('_', " "),
            says: shown(&verdict.says),
            next: shown(&verdict.next),
            unknown: verdict.unknown.iter().map(|unknown| shown(unknown)).collect(),
            open: seen.open.iter().map(|one| OpenView::of(one, seen.now)).collect(),
            receipts: receipts
                .iter()
                .map(|receipt| ReceiptView::of(receipt, seen.open.is_empty(), seen.now))
                .collect(),
            command: shown(command),
        }
    }
}

impl OpenView {
    fn of(seen: &Seen, now: Timestamp) -> Self {
        let row = &seen.row;
        Self {
            id: row.id.to_string(),
            object: subject(row),
            steps: steps(row, seen.is_done, now),
            facts: facts(row),
            raw: match &row.subject {
                daybook_schema::Subject::Raw { payload, .. } => Some(shown(payload)),
                daybook_schema::Subject::Event(_) => None,
            },
            verbs: verbs(row),
        }
    }
}

/// The actions on that row. No receipt can say that a notification without an object is done.
fn verbs(row: &Row) -> Vec<&'static str> {
    let mut verbs = actions(Some(row.status));
    verbs.retain(|verb| row.event().is_some() || *verb != "complete");
    verbs
}

/// The row's way: recorded, pending, claimed, and done or parked.
fn steps(row: &Row, is_done: bool, now: Timestamp) -> Vec<Step> {
    let step = |word, tone, when: Option<Timestamp>, note: String| Step {
        word,
        tone,
        when: when.map(|at| When::of(at, now)),
        note,
    };
    let at = row.event().and_then(|event| event.event_time);
    let used = format!("{} of {} attempts used", row.attempt, row.max_attempts);
    let (pending, claimed, parked) = match row.status {
        Status::Pending => ("here", "ahead", "ahead"),
        Status::Claimed => ("past", "here", "ahead"),
        Status::Parked if row.attempt.0 == 0 => ("past", "ahead", "here"),
        Status::Parked => ("past", "past", "here"),
    };
    let due = |status| Some(row.due_at).filter(|_| row.status == status);
    let note = |status, text: &str| match row.status == status {
        true => text.to_owned(),
        false => String::new(),
    };
    let mut steps = vec![
        step("happened", "past", at, String::new()),
        step("recorded", "past", Some(row.recorded_at), String::new()),
        step(
            "pending",
            pending,
            due(Status::Pending),
            note(Status::Pending, &format!("due then; {used}")),
        ),
        step(
            "claimed",
            claimed,
            due(Status::Claimed),
            note(
                Status::Claimed,
                &format!(
                    "its lease ends then; attempt {} of {}",
                    row.attempt, row.max_attempts
                ),
            ),
        ),
    ];
    match row.status {
        Status::Parked => steps.push(step(
            "parked",
            parked,
            due(Status::Parked),
            format!("since then; {used}"),
        )),
        Status::Pending | Status::Claimed if is_done => {
            steps.push(step("done", "here", None, "a receipt says so".to_owned()));
        }
        Status::Pending | Status::Claimed => steps.push(step("done", "ahead", None, String::new())),
    }
    steps
}

fn facts(row: &Row) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut say = |name, text: Option<String>| facts.extend(text.map(|text| (name, shown(&text))));
    say("last error", row.last_error.clone());
    say("note", row.note.clone());
    say("caveat", row.caveat.clone());
    say("batch", row.batch.map(|batch| batch.to_string()));
    if let Some(event) = row.event() {
        say("source", Some(event.source.to_string()));
        say(
            "event",
            Some(event.event_name.clone()).filter(|name| !name.is_empty()),
        );
        say("size", event.size.map(|size| format!("{size} bytes")));
        say("etag", event.etag.clone());
        say("sequencer", event.sequencer.as_ref().map(ToString::to_string));
    }
    facts
}

impl ReceiptView {
    fn of(receipt: &Receipt, is_done: bool, now: Timestamp) -> Self {
        let version = receipt.version_id.as_ref();
        let version = version.map(|version| format!("?versionId={version}"));
        let (bucket, key) = (&receipt.bucket, &receipt.key);
        let object = format!("s3://{bucket}/{key}{}", version.unwrap_or_default());
        let can_replay = is_done && receipt.is_of_object() && receipt.kind == Kind::Created;
        Self {
            replay: can_replay.then(|| query_of(&object, Some(&receipt.source))),
            id: receipt.event_id.to_string(),
            outcome: format!("{:?}", receipt.outcome).to_lowercase(),
            when: When::of(receipt.completed_at, now),
            by: shown(&receipt.by),
            attempt: receipt.attempt.to_string(),
            why: shown(receipt.why.as_deref().unwrap_or_default()),
        }
    }
}
