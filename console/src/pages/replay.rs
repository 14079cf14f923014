//! An object once more, on purpose: asked with what is known of it, then recorded as a new event.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use daybook_inspect::object_ref::ObjectText;
use daybook_inspect::operate::replay::{self, Known};
use daybook_inspect::wording::shell::quoted;
use daybook_ledger::{Ledger, Recorded};
use daybook_schema::{EventId, ObjectEvent, SourceName};

use crate::look::{Counter, Rendered};
use crate::pages::looking::{self, Asking};
use crate::pages::operator::Operator;
use crate::pages::{Frame, field, fields, not_answered, trouble, written};
use crate::state;
use crate::text::{query, shown};

/// Which object.
struct Asked {
    object: ObjectText,
    source: Option<SourceName>,
}

impl Asked {
    /// From the fields of a form or a query.
    ///
    /// # Errors
    /// Which field is invalid, and what it should be.
    fn read(fields: &[(String, String)]) -> Result<Self, String> {
        let object = field(fields, "object").unwrap_or_default();
        let source = field(fields, "source").map(str::parse::<SourceName>);
        Ok(Self {
            object: object.parse()?,
            source: source.transpose().map_err(|error| format!("source: {error}"))?,
        })
    }

    /// The object and its source, as arguments of the command line.
    fn arguments(&self) -> String {
        let source = self
            .source
            .as_ref()
            .filter(|source| **source != SourceName::default());
        let source = source.map(|source| format!(" --source {}", quoted(&source.to_string())));
        quoted(&self.object.to_string()) + &source.unwrap_or_default()
    }

    /// The object's newest event, as far as it is known.
    async fn find(&self, ledger: &Ledger) -> Result<(ObjectEvent, Known), String> {
        let objects = [self.object.clone()];
        let found = replay::find(ledger, &objects, self.source.as_ref()).await;
        let found = found.map_err(|failure| failure.to_string())?;
        let found = found.into_iter().next();
        found.ok_or_else(|| format!("{} could not be looked up", self.object))
    }
}

#[derive(Template)]
#[template(path = "replay.html")]
struct Replay {
    frame: Frame,
    object: String,
    facts: Vec<(&'static str, String)>,
    known: &'static str,
    hidden: [(&'static str, String); 2],
    by: String,
    command: String,
}

/// Where what is said of the object is from.
fn words(known: Known) -> &'static str {
    match known {
        Known::Row => "As an open event of it says",
        Known::Receipt => "As its receipt says",
        Known::Notification => "As its notification says",
        Known::Name => "Neither an event nor a receipt is about it: the new event has no size and no etag",
    }
}

/// What it would do.
pub async fn page(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let asked = match Asked::read(&fields(&query)) {
        Ok(asked) => asked,
        Err(why) => return trouble(&state.settings, StatusCode::BAD_REQUEST, &why),
    };
    let asking = Asking {
        title: "Replay",
        asked: asked.object.to_string(),
    };
    looking::page(&state, asking, &query, |rows| look(state.clone(), asked, rows)).await
}

async fn look(state: Arc<state::State>, asked: Asked, rows: Counter) -> Rendered {
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return not_answered(&state.settings, &why),
    };
    let ledger = &deployment.parts().ledger.counting(rows);
    let (event, known) = match asked.find(ledger).await {
        Ok(found) => found,
        Err(why) => return not_answered(&state.settings, &why),
    };
    // Drawn here: the form that is sent twice records nothing twice.
    let nonce = replay::random_nonce(ledger);
    let mut facts = Vec::new();
    let mut say = |name, text: Option<String>| facts.extend(text.map(|text| (name, shown(&text))));
    say("size", event.size.map(|size| format!("{size} bytes")));
    say("etag", event.etag.clone());
    say("version", event.version_id.clone());
    say("source", Some(event.source.to_string()));
    let command = format!(
        "daybook replay {} {} --nonce {nonce} --why REASON",
        asked.arguments(),
        deployment.flags()
    );
    // As a query: a browser would send a line break in a key as another one.
    let of = query_of(&asked.object.to_string(), asked.source.as_ref());
    written(&Replay {
        frame: Frame::of("Replay", &deployment.name(), &state.settings),
        object: shown(&asked.object.to_string()),
        facts,
        known: words(known),
        hidden: [("of", of), ("nonce", nonce)],
        by: state.settings.by.clone(),
        command: shown(&command),
    })
}

/// Records it, and leads to the new event. It is done to its end when the tab is closed meanwhile.
pub async fn begin(State(state): State<Arc<state::State>>, body: String) -> Response {
    let recording = {
        let state = state.clone();
        async move { record(&state, &fields(&body)).await }
    };
    #[allow(
        clippy::disallowed_methods,
        reason = "what is recorded is kept in the log when the request that began it has ended, too"
    )]
    let recorded = tokio::spawn(recording).await;
    let recorded = recorded.unwrap_or_else(|error| {
        let why = format!("the event may not be in the ledger: {error}");
        Err((StatusCode::INTERNAL_SERVER_ERROR, why))
    });
    match recorded {
        Ok(id) => Redirect::to(&format!("/object?q={id}")).into_response(),
        Err((status, why)) => trouble(&state.settings, status, &why),
    }
}

async fn record(state: &state::State, form: &[(String, String)]) -> Result<EventId, (StatusCode, String)> {
    let invalid = |why: String| (StatusCode::BAD_REQUEST, why);
    let unavailable = |why: String| {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("nothing was changed: {why}"),
        )
    };
    let asked = Asked::read(&fields(field(form, "of").unwrap_or_default()));
    let asked = asked.map_err(invalid)?;
    let nonce = replay::nonce(field(form, "nonce").unwrap_or_default());
    let nonce = nonce.map_err(|why| invalid(format!("nonce: {why}")))?;
    let operator = Operator::read(form, &state.settings).map_err(invalid)?;
    let deployment = state.open().await.map_err(unavailable)?;
    let ledger = deployment.parts().ledger;
    let checked = ledger.check_receipts().await;
    checked.map_err(|error| unavailable(daybook_ledger::chain(&error)))?;
    let (event, _) = asked.find(ledger).await.map_err(unavailable)?;
    let event = event.replayed(&nonce);
    let id = event.id;
    let attempts = deployment.max_attempts();
    let recorded = replay::record(ledger, vec![event], attempts, operator.person()).await;
    match recorded.into_iter().next() {
        Some(Recorded::Recorded) => {
            let what = format!("replay {} --nonce {nonce}", asked.arguments());
            let person = (operator.by.as_str(), Some(operator.why.as_str()));
            state.keep(&*deployment, &what, person, &format!("recorded as event {id}"));
            state.forget().await;
            Ok(id)
        }
        // The form was sent twice.
        Some(Recorded::AlreadyThere) => Ok(id),
        Some(Recorded::Covered) => Err((
            StatusCode::CONFLICT,
            format!("nothing was changed: event {id} of this replay is done already"),
        )),
        Some(Recorded::Rejected(cause) | Recorded::Throttled(cause)) => {
            Err(unavailable(format!("the event is not in the ledger: {cause}")))
        }
        Some(Recorded::Unknown(cause)) => Err((
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "the event may not be in the ledger: {cause}. Go back and send the form once more: it records nothing twice"
            ),
        )),
        None => Err(unavailable("the ledger did not say what came of it".to_owned())),
    }
}

/// The query of the page that asks for it.
pub fn query_of(object: &str, source: Option<&SourceName>) -> String {
    let source = source.map(ToString::to_string).unwrap_or_default();
    query(&[("object", object), ("source", &source)])
}
