//! Audits: which days of which prefixes are complete, and what is missing by name.

mod grid;

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_inspect::audits::{AuditBrief, KeptAudit, KeptAudits, StatementRecord};
use daybook_inspect::wording::shell::quoted;
use daybook_schema::Timestamp;

use crate::pages::audit::grid::{Grid, Report};
use crate::pages::{Frame, field, fields, json as as_json, render, trouble, unavailable};
use crate::source::Deployment;
use crate::state;
use crate::text::{self, When, query, shown};

/// Missing objects on the page.
const NAMED: usize = 200;

/// An audit in short.
pub struct BriefView {
    pub id: String,
    pub scope: String,
    pub when: When,
    /// `bad`, `warn` or `good`.
    pub tone: &'static str,
    pub says: String,
}

impl BriefView {
    pub fn of(brief: &AuditBrief, now: Timestamp) -> Self {
        let (tone, says) = verdict(brief);
        Self {
            id: brief.id.clone(),
            scope: shown(&format!("s3://{}/{}", brief.bucket, brief.prefix)),
            when: When::of(brief.ended_at, now),
            tone,
            says,
        }
    }
}

fn verdict(brief: &AuditBrief) -> (&'static str, String) {
    let objects = text::count(brief.objects, true);
    let count = |n| text::count(n, true);
    match brief {
        brief if brief.missing_left > 0 => (
            "bad",
            format!("{} of {objects} objects are missing", count(brief.missing_left)),
        ),
        brief if !brief.finished => ("warn", format!("not finished: {objects} objects were judged")),
        brief if brief.complete => ("good", format!("complete: {objects} objects")),
        brief if brief.unknown + brief.may_wait > 0 => (
            "warn",
            format!(
                "nothing is missing for certain; of {objects} objects {} are not known and {} may wait in the intake",
                count(brief.unknown),
                count(brief.may_wait)
            ),
        ),
        _ => (
            "warn",
            format!("nothing is missing of {objects} objects, and not all of them are accounted for"),
        ),
    }
}

/// A missing object.
struct MissingView {
    query: String,
    object: String,
    when: When,
}

/// The audit that is shown.
struct AuditView {
    brief: BriefView,
    counts: Vec<(&'static str, String)>,
    failures: Vec<String>,
    grid: Grid,
    missing: Vec<MissingView>,
    /// Missing objects that are not named on the page.
    unnamed: Option<String>,
    report: Option<String>,
}

impl AuditView {
    fn of(kept: &KeptAudit, now: Timestamp) -> Result<Self, String> {
        let report = Report::of(&kept.report)?;
        let missing = kept.missing.iter().take(NAMED).map(|object| {
            let uri = format!("s3://{}/{}", kept.brief.bucket, object.key.as_str());
            MissingView {
                query: query(&[("q", &uri)]),
                object: shown(&match &object.version_id {
                    Some(version) => format!("{uri}?versionId={version}"),
                    None => uri,
                }),
                when: When::of(object.last_modified, now),
            }
        });
        let missing: Vec<MissingView> = missing.collect();
        let unnamed = report.missing().saturating_sub(missing.len() as u64);
        Ok(Self {
            brief: BriefView::of(&kept.brief, now),
            counts: report.counts(),
            failures: report.failures.iter().map(|failure| shown(failure)).collect(),
            grid: Grid::of(&report.statement),
            missing,
            unnamed: (unnamed > 0).then(|| text::count(unnamed, true)),
            report: report.report.as_deref().map(shown),
        })
    }
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    place: Option<String>,
    is_known: bool,
    kept: Vec<BriefView>,
    audit: Option<AuditView>,
    command: String,
}

/// What is kept, and the audit that is asked for: the newest, unless a name is given.
async fn look(
    deployment: &dyn Deployment,
    query: Option<String>,
) -> Result<(KeptAudits, Option<KeptAudit>), String> {
    let kept = deployment.audits().await?;
    let fields = fields(&query.unwrap_or_default());
    let newest = || Some(kept.audits.as_ref()?.first()?.id.clone());
    let audit = match field(&fields, "id").map(str::to_owned).or_else(newest) {
        Some(id) => deployment.audit(id).await?,
        None => None,
    };
    Ok((kept, audit))
}

pub async fn page(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    let deployment = match state.open().await {
        Ok(deployment) => deployment,
        Err(why) => return unavailable(&state.settings, &why),
    };
    let (kept, audit) = match look(&*deployment, query).await {
        Ok(found) => found,
        Err(why) => return unavailable(&state.settings, &why),
    };
    let now = deployment.parts().ledger.clock().now();
    let command = match &audit {
        Some(audit) => {
            let scope = format!("s3://{}/{}", audit.brief.bucket, audit.brief.prefix);
            format!("daybook audit {} {}", quoted(&scope), deployment.flags())
        }
        None => format!("daybook audit s3://BUCKET {}", deployment.flags()),
    };
    let audit = audit.map(|audit| AuditView::of(&audit, now)).transpose();
    match audit {
        Ok(audit) => render(&AuditPage {
            frame: Frame::of("Audit", &deployment.name(), &state.settings),
            place: kept.place.as_deref().map(shown),
            is_known: kept.audits.is_some(),
            kept: kept
                .audits
                .iter()
                .flatten()
                .map(|brief| BriefView::of(brief, now))
                .collect(),
            audit,
            command: shown(&command),
        }),
        Err(why) => unavailable(&state.settings, &why),
    }
}

/// The audit that is asked for; 404 where there is none.
async fn asked(state: &state::State, query: Option<String>) -> Result<KeptAudit, Response> {
    let refused = |why: &str| unavailable(&state.settings, why);
    let deployment = state.open().await.map_err(|why| refused(&why))?;
    let (_, audit) = look(&*deployment, query).await.map_err(|why| refused(&why))?;
    audit.ok_or_else(|| {
        trouble(
            &state.settings,
            StatusCode::NOT_FOUND,
            "no such audit is kept here",
        )
    })
}

/// The audit as it is kept: in short, what `daybook audit --output json` said, and what was missing by name.
pub async fn json(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    match asked(&state, query).await {
        Ok(audit) => as_json(&audit),
        Err(response) => response,
    }
}

/// Its statement of completeness.
pub async fn csv(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    let audit = match asked(&state, query).await {
        Ok(audit) => audit,
        Err(response) => return response,
    };
    let statement = Report::of(&audit.report).map(|report| StatementRecord::csv(&report.statement));
    match statement {
        Ok(text) => {
            let name = format!("attachment; filename=\"audit-{}.csv\"", audit.brief.id);
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (headers, text).into_response()
        }
        Err(why) => unavailable(&state.settings, &why),
    }
}
