//! What doctor finds and what the last audit came to, as a part of Now.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use daybook_inspect::checks::deployment::DoctorOutput;
use daybook_inspect::checks::finding::{Item, Level};
use daybook_schema::Timestamp;

use crate::pages::audit::BriefView;
use crate::pages::{json as as_json, unavailable};
use crate::snapshot::Health;
use crate::state;
use crate::text::{When, shown};

/// A check that did not pass.
pub struct FindingView {
    /// `bad` or `warn`.
    pub tone: &'static str,
    pub level: &'static str,
    pub check: String,
    pub finding: String,
    pub remedy: String,
}

/// Findings and the last audit.
pub struct HealthView {
    pub findings: Vec<FindingView>,
    pub says: String,
    pub at: Option<When>,
    pub audit: Option<BriefView>,
    pub audit_says: String,
}

impl HealthView {
    /// `None` is not looked at yet.
    pub fn of(health: Option<&Health>, now: Timestamp) -> Self {
        let Some(health) = health else {
            return Self {
                findings: Vec::new(),
                says: "Not looked at yet.".to_owned(),
                at: None,
                audit: None,
                audit_says: "Not looked at yet.".to_owned(),
            };
        };
        let (audit, audit_says) = match &health.audits {
            Ok(kept) => match &kept.audits {
                Some(audits) => (
                    audits.first().map(|brief| BriefView::of(brief, now)),
                    "No audit is kept yet.".to_owned(),
                ),
                None => (None, "Not known here.".to_owned()),
            },
            Err(why) => (None, format!("Not known: {}", shown(why))),
        };
        let (findings, says) = match &health.findings {
            Ok(items) => (findings(items), says(items)),
            Err(why) => (Vec::new(), format!("Not known: {}", shown(why))),
        };
        Self {
            findings,
            says,
            // It may be newer than the counts.
            at: Some(When::of(health.at, now.max(health.at))),
            audit,
            audit_says,
        }
    }
}

impl HealthView {
    /// What should be seen first: problems, and objects that are missing.
    pub fn alarms(&self) -> impl Iterator<Item = String> {
        let problems = self.findings.iter().filter(|finding| finding.tone == "bad");
        let problems = problems.map(|problem| format!("{}: {}", problem.check, problem.finding));
        let missing = self.audit.iter().filter(|audit| audit.tone == "bad");
        problems.chain(missing.map(|audit| format!("The last audit of {}: {}", audit.scope, audit.says)))
    }
}

fn findings(items: &[Item]) -> Vec<FindingView> {
    let wrong = items.iter().filter(|item| item.level != Level::Ok);
    let view = |item: &Item| FindingView {
        tone: if item.level == Level::Problem {
            "bad"
        } else {
            "warn"
        },
        level: item.level.word(),
        check: shown(&item.check.to_string()),
        finding: shown(&item.finding),
        remedy: shown(&item.remedy),
    };
    wrong.map(view).collect()
}

fn says(items: &[Item]) -> String {
    let passed = items.iter().filter(|item| item.level == Level::Ok).count();
    match items.len() - passed {
        0 => format!("All {passed} checks passed."),
        wrong => format!("{wrong} of {} checks did not pass.", items.len()),
    }
}

/// What `daybook doctor --output json` says, but for the write that it tries.
pub async fn json(State(state): State<Arc<state::State>>) -> Response {
    let health = match state.snapshots.health().await {
        Ok(health) => health,
        Err(why) => return unavailable(&state.settings, &why),
    };
    match &health.findings {
        Ok(items) => as_json(&DoctorOutput::of(&health.name, items)),
        Err(why) => unavailable(&state.settings, why),
    }
}
