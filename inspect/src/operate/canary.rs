//! A few rows are redriven first: how each of them ended, and whether the others follow. Pure functions of what was read.

use daybook_ledger::Lookup;
use daybook_schema::{EventId, ObjectEvent, Outcome, Receipt, Row, Status};
use schemars::JsonSchema;
use serde::Serialize;

use crate::lookup::rows::RowRead;
use crate::operate::selected::Seen;

/// How a canary ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not known, or not yet.
    Unknown,
    /// A receipt says so.
    Succeeded,
    /// Its attempt failed, with this error.
    Failed(String),
    /// A person completed or removed it meanwhile: nothing is known of whether it can be processed.
    TakenOut,
    /// It was not redriven: it changed meanwhile, or this release cannot read it.
    NotRedriven,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Their outcomes are waited for.
    Wait,
    /// The others are redriven.
    Go,
    /// The others are left as they are, and why.
    Stop(String),
}

/// How a row that was redriven as it was `seen` ended. `row` is a consistent read, `receipt` what is known of its object's receipt, where
/// the row is gone.
pub fn judge(seen: &Seen, event: &ObjectEvent, row: &RowRead, receipt: Option<&Lookup<Receipt>>) -> Fate {
    let row = match row {
        RowRead::Row(row) => row,
        RowRead::Unreadable(_) => return Fate::Unknown,
        RowRead::Gone => {
            return match receipt {
                Some(Lookup::Found(receipt)) if receipt.covers(event) => ended(receipt),
                _ => Fate::Unknown,
            };
        }
    };
    let is_untouched = (row.status, row.attempt, row.due_at) == (seen.status, seen.attempt, seen.due_at);
    // An attempt is counted when the row is claimed, and not again when it is given back unused.
    let attempts = row.attempt.0.saturating_sub(seen.attempt.0);
    let has_failed = match row.status {
        Status::Parked => !is_untouched,
        Status::Pending => attempts > 0,
        Status::Claimed => attempts > 1,
    };
    match has_failed {
        true => Fate::Failed(error(row)),
        false => Fate::Unknown,
    }
}

fn error(row: &Row) -> String {
    row.last_error.clone().unwrap_or_default()
}

/// A machine's receipt gives no reason.
fn ended(receipt: &Receipt) -> Fate {
    match receipt.outcome == Outcome::Succeeded && receipt.why.is_none() {
        true => Fate::Succeeded,
        false => Fate::TakenOut,
    }
}

/// Whether the others follow. All that were redriven must have succeeded, at least one; before their time is over, those that have not
/// ended are waited for.
pub fn decide<'a>(fates: impl IntoIterator<Item = &'a Fate>, is_over: bool, waited: &str) -> Decision {
    let sent: Vec<&Fate> = fates
        .into_iter()
        .filter(|fate| **fate != Fate::NotRedriven)
        .collect();
    let count = |is: fn(&Fate) -> bool| sent.iter().filter(|fate| is(fate)).count();
    let unknown = count(|fate| *fate == Fate::Unknown);
    let failed = count(|fate| matches!(fate, Fate::Failed(_)));
    let taken_out = count(|fate| *fate == Fate::TakenOut);
    let of = match sent.len() {
        1 => "1 canary".to_owned(),
        n => format!("{n} canaries"),
    };
    match (sent.len(), unknown, failed, taken_out) {
        (0, ..) => {
            Decision::Stop("no canary was redriven: they changed meanwhile, or are no events".to_owned())
        }
        (_, 1.., ..) if !is_over => Decision::Wait,
        (_, 0, 1.., _) => Decision::Stop(format!("{failed} of {of} failed")),
        (_, _, 1.., _) => Decision::Stop(format!(
            "{failed} of {of} failed; the outcome of {unknown} was not known after {waited}"
        )),
        (_, 1.., ..) => Decision::Stop(format!(
            "the outcome of {unknown} of {of} was not known after {waited}"
        )),
        (_, _, _, 1..) => Decision::Stop(format!(
            "a person completed or removed {taken_out} of {of} meanwhile"
        )),
        _ => Decision::Go,
    }
}

/// A canary, and how it ended.
#[derive(Clone, Debug)]
pub struct Canary {
    /// As it was selected.
    pub seen: Seen,
    /// Its event; `None` where its row could not be read before it was redriven.
    pub event: Option<ObjectEvent>,
    /// How it ended, as far as it is known.
    pub fate: Fate,
}

/// The canaries, and what followed.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// Each of them.
    pub canaries: Vec<Canary>,
    /// Why the others did not follow, if they did not.
    pub stopped: Option<String>,
    /// Whether it was stopped by a person before the outcomes were known.
    pub interrupted: bool,
}

/// A canary, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CanaryOutput {
    /// Its event.
    id: EventId,
    /// `succeeded`, `failed`, `taken_out` (a person completed or removed it), `not_redriven` or `unknown`.
    outcome: &'static str,
    /// Why its attempt failed.
    error: Option<String>,
}

/// The canaries, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrialOutput {
    /// Canaries that were redriven, or may have been.
    redriven: usize,
    /// Those with a receipt of success.
    succeeded: usize,
    /// Those whose attempt failed.
    failed: usize,
    /// Those whose outcome is not known.
    unknown: usize,
    /// Whether the others followed.
    went_on: bool,
    /// Why they did not.
    stopped_because: Option<String>,
    /// Each of them.
    events: Vec<CanaryOutput>,
}

impl Trial {
    /// How many were redriven, or may have been.
    pub fn redriven(&self) -> usize {
        self.canaries.len() - self.count(|fate| *fate == Fate::NotRedriven)
    }

    /// How many ended so.
    pub fn count(&self, is: impl Fn(&Fate) -> bool) -> usize {
        self.canaries.iter().filter(|canary| is(&canary.fate)).count()
    }

    /// Whether the others follow.
    pub fn went_on(&self) -> bool {
        self.stopped.is_none() && !self.interrupted
    }

    /// Why the first that failed did.
    pub fn first_error(&self) -> Option<&str> {
        self.canaries.iter().find_map(|canary| match &canary.fate {
            Fate::Failed(error) => Some(error.as_str()),
            _ => None,
        })
    }

    /// `5 redriven: 3 succeeded, 2 failed, 0 not known`.
    pub fn words(&self) -> String {
        format!(
            "{} redriven: {} succeeded, {} failed, {} not known",
            self.redriven(),
            self.count(|fate| *fate == Fate::Succeeded),
            self.count(|fate| matches!(fate, Fate::Failed(_))),
            self.count(|fate| *fate == Fate::Unknown),
        )
    }

    /// For programs.
    pub fn output(&self) -> TrialOutput {
        let events = self.canaries.iter().map(|canary| CanaryOutput {
            id: canary.seen.id,
            outcome: match &canary.fate {
                Fate::Unknown => "unknown",
                Fate::Succeeded => "succeeded",
                Fate::Failed(_) => "failed",
                Fate::TakenOut => "taken_out",
                Fate::NotRedriven => "not_redriven",
            },
            error: match &canary.fate {
                Fate::Failed(error) => Some(error.clone()),
                _ => None,
            },
        });
        TrialOutput {
            redriven: self.redriven(),
            succeeded: self.count(|fate| *fate == Fate::Succeeded),
            failed: self.count(|fate| matches!(fate, Fate::Failed(_))),
            unknown: self.count(|fate| *fate == Fate::Unknown),
            went_on: self.went_on(),
            stopped_because: self.stopped.clone(),
            events: events.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use daybook_schema::{Attempt, SourceName, notification};

    use super::*;

    const PARKED_AT: &str = "2026-11-21T00:00:00Z";
    const LATER: &str = "2026-11-21T00:10:00Z";

    fn parked() -> Row {
        let body = r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-11-20T10:15:00.000Z",
            "s3":{"bucket":{"name":"data"},"object":{"key":"in/a.json","sequencer":"01"}}}]}"#;
        let event = notification::read(body, &SourceName::default()).events.remove(0);
        Row {
            status: Status::Parked,
            attempt: Attempt(5),
            last_error: Some("FAILED: no such column".to_owned()),
            ..Row::recorded(event, 5, None, PARKED_AT.parse().unwrap())
        }
    }

    fn fate(status: Status, attempt: u32, due_at: &str) -> Fate {
        let parked = parked();
        let row = Row {
            status,
            attempt: Attempt(attempt),
            due_at: due_at.parse().unwrap(),
            ..parked.clone()
        };
        let row = RowRead::Row(Box::new(row));
        judge(&Seen::of(&parked), parked.event().unwrap(), &row, None)
    }

    #[test]
    fn a_canary_fails_with_its_first_attempt_and_not_before() {
        let failed = Fate::Failed("FAILED: no such column".to_owned());
        assert_eq!(fate(Status::Parked, 5, PARKED_AT), Fate::Unknown, "as it was");
        assert_eq!(fate(Status::Pending, 5, LATER), Fate::Unknown, "redriven");
        assert_eq!(fate(Status::Claimed, 6, LATER), Fate::Unknown, "it runs");
        assert_eq!(fate(Status::Pending, 6, LATER), failed, "it waits for the next");
        assert_eq!(fate(Status::Claimed, 7, LATER), failed, "the next runs");
        assert_eq!(fate(Status::Parked, 6, LATER), failed);
        assert_eq!(fate(Status::Parked, 5, LATER), failed, "cancelled before it ran");
    }

    #[test]
    fn a_row_that_is_gone_has_succeeded_if_a_machines_receipt_says_so() {
        let parked = parked();
        let event = parked.event().unwrap();
        let judged = |receipt: Option<Lookup<Receipt>>| {
            judge(&Seen::of(&parked), event, &RowRead::Gone, receipt.as_ref())
        };
        let receipt = |outcome, why: Option<&str>| {
            let (now, keep) = (LATER.parse().unwrap(), std::time::Duration::from_secs(60));
            let why = why.map(str::to_owned);
            let receipt = Receipt::new(event, Attempt(6), outcome, "by".to_owned(), why, now, keep);
            Some(Lookup::Found(Box::new(receipt)))
        };
        assert_eq!(judged(receipt(Outcome::Succeeded, None)), Fate::Succeeded);
        assert_eq!(judged(receipt(Outcome::Succeeded, Some("x"))), Fate::TakenOut);
        assert_eq!(judged(receipt(Outcome::Removed, Some("x"))), Fate::TakenOut);
        assert_eq!(judged(Some(Lookup::Absent)), Fate::Unknown);
        assert_eq!(judged(Some(Lookup::Unknown("throttled".into()))), Fate::Unknown);
        assert_eq!(judged(None), Fate::Unknown);
    }

    #[test]
    fn the_others_follow_only_when_all_have_succeeded() {
        let failed = Fate::Failed("x".to_owned());
        let of = |fates: &[&Fate], is_over| decide(fates.iter().copied(), is_over, "10m");
        let stop = |why: &str| Decision::Stop(why.to_owned());
        assert_eq!(of(&[&Fate::Succeeded, &Fate::NotRedriven], false), Decision::Go);
        assert_eq!(of(&[&Fate::Succeeded, &Fate::Unknown], false), Decision::Wait);
        assert_eq!(of(&[&failed, &Fate::Unknown], false), Decision::Wait);
        assert_eq!(
            of(&[&failed, &Fate::Succeeded], false),
            stop("1 of 2 canaries failed")
        );
        assert_eq!(
            of(&[&failed, &Fate::Unknown], true),
            stop("1 of 2 canaries failed; the outcome of 1 was not known after 10m")
        );
        assert_eq!(
            of(&[&Fate::Unknown], true),
            stop("the outcome of 1 of 1 canary was not known after 10m")
        );
        assert_eq!(
            of(&[&Fate::Succeeded, &Fate::TakenOut], false),
            stop("a person completed or removed 1 of 2 canaries meanwhile")
        );
        let none = stop("no canary was redriven: they changed meanwhile, or are no events");
        assert_eq!(of(&[&Fate::NotRedriven], false), none);
        assert_eq!(of(&[], true), none);
    }
}
