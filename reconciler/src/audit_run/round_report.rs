//! The report of a round: where each audited scope stands, and what alarms look at.

use daybook_schema::Timestamp;
use serde::Serialize;

use super::state::{Ended, State};
use crate::audit::AuditCounts;

/// The report of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RoundReport {
    /// The report of each audited scope, in the order of the settings.
    pub audits: Vec<ScopeReport>,
    /// Whether those were all that the settings name.
    #[serde(skip)]
    pub is_whole: bool,
}

/// Where the audit of a scope stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The last one is finished, and the next one not due.
    Waits,
    /// The next round goes on.
    UnderWay,
    /// It was finished in this round.
    Finished,
    /// Another round works on it; this one has stopped.
    Yielded,
    /// It is not known.
    Unknown,
}

/// The report of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeReport {
    /// `s3://bucket/prefix`.
    pub audit: String,
    /// Where it stands.
    pub standing: Standing,
    /// What went wrong. Whatever it says, the next round goes on where this one could not.
    pub failures: Vec<String>,
    /// The audit under way, or the last one.
    #[serde(flatten)]
    pub status: Option<AuditStatus>,
    /// Objects that were listed in this round.
    pub listed_now: u64,
    /// Objects that were recorded in this round.
    pub recorded_now: u64,
    /// When the next audit begins, if it waits for that.
    pub next_at: Option<Timestamp>,
    /// Whether the next audit should have begun, and this one is still under way.
    #[serde(skip)]
    pub(super) is_late: bool,
    #[serde(skip)]
    pub(super) ended: Option<Ended>,
}

impl ScopeReport {
    /// Where a scope stands, before anything is known of it in this round.
    pub(super) fn new(audit: String, standing: Standing) -> Self {
        Self {
            audit,
            standing,
            failures: Vec::new(),
            status: None,
            listed_now: 0,
            recorded_now: 0,
            next_at: None,
            is_late: false,
            ended: None,
        }
    }
}

/// How far an audit is, over all its rounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditStatus {
    /// When it began.
    pub began_at: Timestamp,
    /// When it was finished.
    pub finished_at: Option<Timestamp>,
    /// Its counts so far.
    #[serde(flatten)]
    pub counts: AuditCounts,
    /// Where its findings, statement and summary are.
    pub report: String,
}

/// The results of finished audits over all scopes: what an alarm looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    /// Missing and not known to be in the ledger.
    pub missing: u64,
    /// Objects of which nothing is known.
    pub unknown: u64,
    /// Objects whose notifications may still wait in the intake.
    pub may_wait: u64,
}

impl AuditStatus {
    pub(super) fn of(state: &State, report: String) -> Self {
        Self {
            began_at: state.began_at,
            finished_at: state.finished_at,
            counts: state.outcome().counts(),
            report,
        }
    }
}

impl RoundReport {
    /// The sums of the last finished audit of each scope; never of one that is under way.
    ///
    /// Every round gives it, not only one that finishes an audit: an alarm that sees one number a day, or numbers of one scope
    /// after the other, would forget what it was raised for. None while no audit has ever been finished, when some scopes were
    /// left out, and when it would say zero of a scope that is not known.
    pub fn gauge(&self) -> Option<Gauge> {
        let ended = || self.audits.iter().filter_map(|report| report.ended);
        let gauge = Gauge {
            missing: ended().map(|ended| ended.missing_left).sum(),
            unknown: ended().map(|ended| ended.unknown).sum(),
            may_wait: ended().map(|ended| ended.may_wait).sum(),
        };
        let is_known = self
            .audits
            .iter()
            .all(|report| report.standing != Standing::Unknown);
        let says = ended().next().is_some() && (is_known || gauge != Gauge::default());
        (self.is_whole && says).then_some(gauge)
    }

    /// Audits that were finished in this round.
    pub fn finished(&self) -> u64 {
        let finished = |report: &&ScopeReport| report.standing == Standing::Finished;
        self.audits.iter().filter(finished).count() as u64
    }

    /// Audits that are still under way though the next ones should have begun.
    pub fn late(&self) -> u64 {
        self.audits.iter().filter(|report| report.is_late).count() as u64
    }

    /// Objects that were listed in this round.
    pub fn listed(&self) -> u64 {
        self.audits.iter().map(|report| report.listed_now).sum()
    }

    /// Objects that were recorded in this round.
    pub fn recorded(&self) -> u64 {
        self.audits.iter().map(|report| report.recorded_now).sum()
    }

    /// How much went wrong.
    pub fn failures(&self) -> u64 {
        self.audits
            .iter()
            .map(|report| report.failures.len() as u64)
            .sum()
    }

    /// Whether something was to be done, and nothing could be.
    pub fn is_lost(&self) -> bool {
        let is_lost = |report: &ScopeReport| {
            !report.failures.is_empty()
                && report.listed_now + report.recorded_now == 0
                && matches!(report.standing, Standing::Unknown | Standing::UnderWay)
        };
        !self.audits.is_empty() && self.audits.iter().all(is_lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(standing: Standing, missing_left: Option<u64>) -> ScopeReport {
        ScopeReport {
            ended: missing_left.map(|missing_left| Ended {
                finished_at: "2026-11-21T00:00:00Z".parse().unwrap(),
                missing_left,
                unknown: 0,
                may_wait: 0,
            }),
            ..ScopeReport::new("s3://data/".into(), standing)
        }
    }

    fn missing(audits: &[ScopeReport]) -> Option<u64> {
        let (audits, is_whole) = (audits.to_vec(), true);
        RoundReport { audits, is_whole }
            .gauge()
            .map(|gauge| gauge.missing)
    }

    #[test]
    fn the_gauge_holds_what_the_last_finished_audits_have_found() {
        use Standing::{Finished, UnderWay, Unknown, Waits};
        assert_eq!(missing(&[]), None);
        assert_eq!(missing(&[report(UnderWay, None)]), None, "nothing is finished");
        assert_eq!(
            missing(&[report(UnderWay, Some(2))]),
            Some(2),
            "the one before is"
        );
        let both = [report(Waits, Some(5)), report(Finished, Some(0))];
        assert_eq!(
            missing(&both),
            Some(5),
            "another scope's end does not clear the alarm"
        );
        assert_eq!(
            missing(&[report(Waits, Some(0)), report(UnderWay, None)]),
            Some(0)
        );
        assert_eq!(missing(&[report(Waits, Some(0)), report(Unknown, None)]), None);
        assert_eq!(missing(&[report(Waits, Some(1)), report(Unknown, None)]), Some(1));
        let audits = vec![report(Waits, Some(1))];
        let is_whole = false;
        assert_eq!(
            RoundReport { audits, is_whole }.gauge(),
            None,
            "others were left out"
        );
    }

    #[test]
    fn a_round_is_lost_if_every_audit_has_failed_and_none_has_done_anything() {
        use Standing::{Finished, UnderWay, Unknown, Waits};
        let failed = |standing, listed_now, recorded_now| ScopeReport {
            failures: vec!["no".into()],
            listed_now,
            recorded_now,
            ..report(standing, None)
        };
        let is_lost = |audits: &[ScopeReport]| {
            let (audits, is_whole) = (audits.to_vec(), true);
            RoundReport { audits, is_whole }.is_lost()
        };
        assert!(is_lost(&[failed(Unknown, 0, 0), failed(UnderWay, 0, 0)]));
        for (listed, recorded) in [(1, 0), (0, 1), (3, 3)] {
            assert!(
                !is_lost(&[failed(UnderWay, listed, recorded)]),
                "{listed} {recorded}"
            );
        }
        assert!(!is_lost(&[failed(Unknown, 0, 0), report(Waits, None)]));
        assert!(!is_lost(&[failed(Finished, 0, 0)]));
        assert!(!is_lost(&[report(UnderWay, None)]), "nothing went wrong");
        assert!(!is_lost(&[]));
    }
}
