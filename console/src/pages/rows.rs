//! Rows: the filters of `daybook list`, all in the URL.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use daybook_inspect::lookup::filter::Filter;
use daybook_inspect::lookup::list::{Cursor, List, Narrowed, Which, list};
use daybook_inspect::lookup::rows::Listed;
use daybook_inspect::wording::shell::quoted;
use daybook_ledger::{Ledger, RowFilter};
use daybook_schema::{BatchId, Row, Status, Timestamp};

use crate::look::{Counter, Rendered};
use crate::pages::looking::{self, Asking};
use crate::pages::{Frame, field, fields, json as as_json, not_answered, trouble, unavailable, written};
use crate::state;
use crate::text::{When, query, shown};

/// Rows on a page.
const PAGE: usize = 50;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub status: Option<Status>,
    pub filter: Filter,
    batch: Option<BatchId>,
    after: Option<Cursor>,
    /// As it was typed: prefix, subject, error, age and batch.
    pub prefix: String,
    pub subject: String,
    pub error: String,
    pub older_than: String,
    batch_text: String,
}

impl Asked {
    /// From the fields of a form or a query.
    ///
    /// # Errors
    /// Which field is invalid, and what it should be.
    pub fn read(fields: &[(String, String)]) -> Result<Self, String> {
        let text = |name| field(fields, name).unwrap_or_default().to_owned();
        let wrong = |name: &str, why: &str| format!("{name}: {why}");
        let status = field(fields, "status").map(str::parse::<Status>).transpose();
        let older_than = field(fields, "older_than").map(|age| humantime::parse_duration(age.trim()));
        let batch = field(fields, "batch").map(|batch| {
            let batch = batch.trim().to_lowercase();
            batch.strip_prefix("b-").unwrap_or(&batch).parse::<BatchId>()
        });
        Ok(Self {
            status: status.map_err(|_| wrong("status", "pending, claimed or parked is needed"))?,
            filter: Filter {
                prefix: field(fields, "prefix").map(str::parse).transpose()?,
                subject: field(fields, "subject").map(str::to_owned),
                error: field(fields, "error").map(str::to_owned),
                older_than: older_than
                    .transpose()
                    .map_err(|_| wrong("older than", "a length of time such as 2h or 7d is needed"))?,
            },
            batch: batch
                .transpose()
                .map_err(|_| wrong("batch", "32 hexadecimal digits are needed"))?,
            after: field(fields, "after").map(str::parse).transpose()?,
            prefix: text("prefix"),
            subject: text("subject"),
            error: text("error"),
            older_than: text("older_than"),
            batch_text: text("batch"),
        })
    }

    /// The status in a word; empty where any is asked for.
    pub fn status_word(&self) -> String {
        self.status
            .map(daybook_inspect::views::status_word)
            .unwrap_or_default()
    }

    /// The filter's fields that are filled, status and batch left out where they are not.
    pub fn filled(&self) -> Vec<(&'static str, String)> {
        let mut filled = vec![("status", self.status_word())];
        filled.extend(self.texts().map(|(name, text)| (name, text.to_owned())));
        filled.retain(|(_, value)| !value.is_empty());
        filled
    }

    /// Whether it asks for a batch.
    pub fn has_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// The filter's fields as they were typed.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("prefix", self.prefix.as_str()),
            ("subject", self.subject.as_str()),
            ("error", self.error.as_str()),
            ("older_than", self.older_than.as_str()),
        ]
        .into_iter()
    }

    /// The same as a query, after that row.
    fn query(&self, after: &str) -> String {
        query(&[
            ("status", &self.status_word()),
            ("prefix", &self.prefix),
            ("subject", &self.subject),
            ("error", &self.error),
            ("older_than", &self.older_than),
            ("batch", &self.batch_text),
            ("after", after),
        ])
    }

    /// The flags of the command line that ask for the same.
    pub fn flags(&self) -> String {
        let flags = [
            ("prefix", &self.prefix),
            ("subject", &self.subject),
            ("error", &self.error),
            ("older-than", &self.older_than),
            ("batch", &self.batch_text),
        ];
        let given = flags.iter().filter(|(_, value)| !value.is_empty());
        given
            .map(|(name, value)| format!(" --{name} {}", quoted(value)))
            .collect()
    }

    fn command(&self, flags: &str) -> String {
        let status = self.status.map(|_| format!(" --status {}", self.status_word()));
        format!(
            "daybook list {flags}{}{}",
            status.unwrap_or_default(),
            self.flags()
        )
    }

    async fn list(&self, ledger: &Ledger) -> List {
        let now = ledger.clock().now();
        let in_batch = |row: &Row| self.batch.is_none_or(|batch| row.batch == Some(batch));
        let covers = |row: &Row, now| in_batch(row) && self.filter.covers(row, now);
        let rows = RowFilter {
            batch: self.batch,
            ..self.filter.rows(self.status, now)
        };
        let narrowed = Narrowed {
            rows: &rows,
            covers: &covers,
        };
        let which = Which {
            status: self.status,
            limit: PAGE,
            after: self.after.filter(|_| self.status.is_some()),
            filter: (!self.filter.is_empty() || self.batch.is_some()).then_some(narrowed),
        };
        list(ledger, which).await
    }
}

/// A row on a page.
pub struct RowView {
    pub id: String,
    pub status: String,
    pub object: String,
    pub due: When,
    pub recorded: Option<When>,
    pub attempts: String,
    pub error: String,
}

impl RowView {
    pub fn of(listed: &Listed, now: Timestamp) -> Self {
        let status = daybook_inspect::views::status_word(listed.status());
        let due = When::of(listed.due_at(), now);
        match listed {
            Listed::Row(row) => Self {
                id: row.id.to_string(),
                status,
                object: subject(row),
                due,
                recorded: Some(When::of(row.recorded_at, now)),
                attempts: format!("{} of {}", row.attempt, row.max_attempts),
                error: shown(row.last_error.as_deref().unwrap_or_default()),
            },
            Listed::Unreadable { key, why } => Self {
                id: key.id.to_string(),
                status,
                object: "this release cannot read the row".to_owned(),
                due,
                recorded: None,
                attempts: String::new(),
                error: shown(why),
            },
        }
    }
}

/// What a row is about: an object as a URI, a general event, or a notification that cannot be read.
pub fn subject(row: &Row) -> String {
    match (row.object_event(), row.cloud_event()) {
        (Some(event), _) => object(
            event.bucket.as_str(),
            event.key.as_str(),
            event.version_id.as_deref(),
        ),
        (None, Some(event)) => shown(&event.to_string()),
        (None, None) => "a notification that cannot be read".to_owned(),
    }
}

/// An object as a URI.
fn object(bucket: &str, key: &str, version_id: Option<&str>) -> String {
    let version = version_id.map(|version| format!("?versionId={version}"));
    shown(&format!("s3://{bucket}/{key}{}", version.unwrap_or_default()))
}

#[derive(Template)]
#[template(path = "rows.html")]
struct Rows {
    frame: Frame,
    asked: Asked,
    status: String,
    rows: Vec<RowView>,
    next: Option<String>,
    more: bool,
    failures: Vec<String>,
    command: String,
    /// The actions that the filter's status allows.
    verbs: Vec<&'static str>,
    /// The filter's fields.
    filter: Vec<(&'static str, String)>,
    has_batch: bool,
}

/// The actions on rows of that status, or of any.
pub fn actions(status: Option<Status>) -> Vec<&'static str> {
    match status {
        Some(Status::Parked) => vec!["redrive", "complete", "remove"],
        Some(Status::Claimed) => vec!["cancel", "release", "fail", "complete", "remove"],
        Some(Status::Pending) => vec!["complete", "remove"],
        None => vec!["redrive", "cancel", "release", "fail", "complete", "remove"],
    }
}

pub async fn page(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::read(&fields(&query.unwrap_or_default())) {
        Ok(asked) => asked,
        Err(why) => return trouble(&state.settings, StatusCode::BAD_REQUEST, &why),
    };
    let asking = Asking {
        title: "Rows",
        asked: asked.flags().trim().to_owned(),
    };
    let query = asked.query(&asked.after.map(|after| after.to_string()).unwrap_or_default());
    looking::page(&state, asking, &query, |rows| look(state.clone(), asked, rows)).await
}

async fn look(state: Arc<state::State>, asked: Asked, rows: Counter) -> Rendered {
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return not_answered(&state.settings, &why),
    };
    let ledger = &deployment.parts().ledger.counting(rows);
    let found = asked.list(ledger).await;
    let now = ledger.clock().now();
    let cursor = found.cursor().filter(|_| asked.status.is_some());
    written(&Rows {
        frame: Frame::of("Rows", &deployment.name(), &state.settings),
        status: asked.status_word(),
        rows: found.rows.iter().map(|row| RowView::of(row, now)).collect(),
        next: cursor.map(|cursor| asked.query(&cursor.to_string())),
        more: found.more,
        failures: found
            .failures
            .iter()
            .map(|failure| shown(&failure.to_string()))
            .collect(),
        command: shown(&asked.command(&deployment.flags())),
        verbs: actions(asked.status),
        filter: asked.filled(),
        has_batch: asked.has_batch(),
        asked,
    })
}

/// What `daybook list --output json` says.
pub async fn json(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    let asked = match Asked::read(&fields(&query.unwrap_or_default())) {
        Ok(asked) => asked,
        Err(why) => return trouble(&state.settings, StatusCode::BAD_REQUEST, &why),
    };
    match state.open().await {
        Ok(deployment) => {
            let parts = deployment.parts();
            as_json(&asked.list(parts.ledger).await.output(parts.runs()))
        }
        Err(why) => unavailable(&state.settings, &why),
    }
}
