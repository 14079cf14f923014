//! How far the audit of a scope is: the content of `checkpoint.json`.

use std::time::Duration;

use daybook_schema::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::audit::{AuditOutcome, AuditSettings, Checkpoint, Repairs, Scope, Statement, Tally};

/// The form of the state. Another one is not gone on from.
const VERSION: u32 = 1;

/// An audit of a scope, the one under way or the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    v: u32,
    /// When the schedule wanted it.
    pub asked_at: Timestamp,
    /// When it began.
    pub began_at: Timestamp,
    /// How far it is.
    pub checkpoint: Checkpoint,
    /// Whether the bucket was listed by version; none before its first page.
    pub by_version: Option<bool>,
    /// What a person said of recording what is missing. It holds until the audit is finished.
    pub repair_by_hand: Option<bool>,
    /// The repairs of what is missing.
    #[serde(flatten)]
    pub repairs: Repairs,
    /// Lines that are not part of a part yet.
    pub lines: String,
    /// Parts of the report so far.
    pub parts: u32,
    /// The last part, unless a later state has seen it published.
    pub sealed: Option<String>,
    /// Rounds that have worked on it.
    pub rounds: u32,
    /// When all was judged and repaired.
    pub finished_at: Option<Timestamp>,
    /// Whether statement and summary are there.
    pub is_published: bool,
    /// What the audit before this one came to.
    pub last: Option<Ended>,
}

/// What a finished audit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub finished_at: Timestamp,
    /// Missing and not known to be in the ledger.
    pub missing_left: u64,
    /// Objects of which nothing is known.
    pub unknown: u64,
    /// Objects whose notifications may still wait in the intake.
    #[serde(default)]
    pub may_wait: u64,
}

/// What is to be done about a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A new audit.
    Begin,
    /// The one under way.
    GoOn,
    /// Nothing before that time.
    Wait(Timestamp),
}

/// What could be read of a state.
#[derive(Debug)]
pub(super) enum Read {
    State(Box<State>),
    /// It is of another release.
    OtherForm(u32),
    Damaged(String),
}

/// Decides what is to be done, at the time that the schedule wants. An audit that is under way always goes on: however often a
/// person asks to begin, or an invocation is repeated, what was done is not thrown away.
pub fn next(state: Option<&State>, asked_at: Timestamp, every: Duration, begins: bool) -> Next {
    let Some(state) = state else {
        return Next::Begin;
    };
    // By the schedule's times and not by ours, which are later by seconds that differ: a day would become a day and one tick.
    let due_at = state.asked_at.plus(every);
    if !state.is_published {
        Next::GoOn
    } else if begins || asked_at >= due_at {
        Next::Begin
    } else {
        Next::Wait(due_at)
    }
}

impl State {
    /// A new audit, after the one that `before` is of.
    pub fn begun(
        settings: &AuditSettings,
        asked_at: Timestamp,
        began_at: Timestamp,
        repair_by_hand: Option<bool>,
        before: Option<&State>,
    ) -> Self {
        Self {
            v: VERSION,
            asked_at,
            began_at,
            checkpoint: Checkpoint {
                scope: settings.scope.clone(),
                since: settings.since,
                until: settings.until,
                inventory: None,
                marker: None,
                is_complete: false,
                tally: Tally::default(),
                statement: Statement::new(settings.depth, settings.max_lines),
                gone: 0,
                unreadable: 0,
                outside: 0,
            },
            by_version: None,
            repair_by_hand,
            repairs: Repairs::default(),
            lines: String::new(),
            parts: 0,
            sealed: None,
            rounds: 0,
            finished_at: None,
            is_published: false,
            last: before.and_then(State::ended),
        }
    }

    pub(super) fn read(text: &[u8], scope: &Scope) -> Read {
        #[derive(Deserialize)]
        struct Form {
            v: u32,
        }
        match serde_json::from_slice::<Form>(text) {
            Ok(Form { v: VERSION }) => {}
            Ok(Form { v }) => return Read::OtherForm(v),
            Err(error) => return Read::Damaged(error.to_string()),
        }
        match serde_json::from_slice::<Self>(text) {
            Ok(state) if state.checkpoint.scope == *scope => Read::State(Box::new(state)),
            Ok(_) => Read::Damaged("it is of another bucket or prefix".into()),
            Err(error) => Read::Damaged(error.to_string()),
        }
    }

    /// Whether it is not through, and the next audit should have begun by that time.
    pub(super) fn is_late(&self, now: Timestamp, every: Duration) -> bool {
        !self.is_published && now > self.asked_at.plus(every)
    }

    /// As it is stored.
    pub(super) fn text(&self) -> Vec<u8> {
        // Writing strings and numbers into memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The last finished audit: this one, or the one before.
    pub fn ended(&self) -> Option<Ended> {
        match self.finished_at {
            Some(finished_at) => Some(Ended {
                finished_at,
                missing_left: self.outcome().missing_left(),
                unknown: self.checkpoint.tally.unknown,
                may_wait: self.outcome().may_wait(),
            }),
            None => self.last,
        }
    }

    /// What it came to, so far.
    pub fn outcome(&self) -> AuditOutcome<'_> {
        AuditOutcome {
            tally: &self.checkpoint.tally,
            gone: self.checkpoint.gone,
            unreadable: self.checkpoint.unreadable,
            repair: self.repairs.counts,
            backfill: None,
            is_finished: self.finished_at.is_some(),
        }
    }
}

/// Where everything of a scope is, without a slash at its end. A prefix may be longer than what is left of a key, so it is
/// hashed; the summary names it.
pub(super) fn folder(scope: &Scope) -> String {
    let named = format!("{}\n{}", scope.source, scope.prefix);
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_URL, named.as_bytes());
    format!("audits/{}/{}", scope.bucket, hash.simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn scope(prefix: &str) -> Scope {
        Scope {
            source: Default::default(),
            bucket: "data".parse().unwrap(),
            prefix: prefix.into(),
        }
    }

    fn state(asked_at: &str) -> State {
        let settings = AuditSettings::new(scope(""));
        State::begun(&settings, at(asked_at), at(asked_at), None, None)
    }

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn an_audit_begins_when_there_was_none_or_the_last_one_is_old_enough() {
        let tick = at("2026-11-22T00:00:00Z");
        assert_eq!(next(None, tick, DAY, false), Next::Begin);
        let mut last = state("2026-11-21T00:15:00Z");
        last.is_published = true;
        let due = at("2026-11-22T00:15:00Z");
        assert_eq!(next(Some(&last), tick, DAY, false), Next::Wait(due));
        assert_eq!(next(Some(&last), due, DAY, false), Next::Begin);
        assert_eq!(next(Some(&last), tick, DAY, true), Next::Begin);
        assert_eq!(next(Some(&last), tick, Duration::ZERO, false), Next::Begin);
    }

    #[test]
    fn an_audit_under_way_goes_on_whatever_the_time_and_whoever_asks() {
        let mut under_way = state("2026-11-21T00:00:00Z");
        for asked_at in ["2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z"] {
            for begins in [false, true] {
                assert_eq!(next(Some(&under_way), at(asked_at), DAY, begins), Next::GoOn);
            }
        }
        under_way.finished_at = Some(at("2026-11-21T00:01:00Z"));
        let unpublished = next(Some(&under_way), at("2026-11-21T00:15:00Z"), DAY, false);
        assert_eq!(unpublished, Next::GoOn);
    }

    #[test]
    fn an_audit_is_late_when_the_next_one_should_have_begun() {
        let mut under_way = state("2026-11-21T00:00:00Z");
        assert!(!under_way.is_late(at("2026-11-21T23:45:00Z"), DAY));
        assert!(!under_way.is_late(at("2026-11-22T00:00:00Z"), DAY));
        assert!(under_way.is_late(at("2026-11-22T00:15:00Z"), DAY));
        under_way.finished_at = Some(at("2026-11-22T00:01:00Z"));
        assert!(
            under_way.is_late(at("2026-11-22T00:15:00Z"), DAY),
            "nobody can read it yet"
        );
        under_way.is_published = true;
        assert!(!under_way.is_late(at("2026-12-22T00:15:00Z"), DAY));
    }

    #[test]
    fn a_state_is_read_as_it_was_written_and_nothing_else_is() {
        let state = state("2026-11-21T00:00:00Z");
        let text = state.text();
        assert!(matches!(State::read(&text, &scope("")), Read::State(read) if *read == state));
        assert!(matches!(State::read(&text, &scope("a/")), Read::Damaged(_)));
        assert!(matches!(State::read(&text[..100], &scope("")), Read::Damaged(_)));
        assert!(matches!(State::read(b"", &scope("")), Read::Damaged(_)));
        assert!(matches!(State::read(br#"{"v":1}"#, &scope("")), Read::Damaged(_)));
        assert!(matches!(
            State::read(br#"{"v":2}"#, &scope("")),
            Read::OtherForm(2)
        ));
    }

    #[test]
    fn every_scope_has_a_folder_of_its_own() {
        let folders = ["", "a", "a/", "b"].map(|prefix| folder(&scope(prefix)));
        assert_eq!(folders[0], "audits/data/78b62c757d725e04a24aa7ecd4776f83");
        let distinct: std::collections::BTreeSet<_> = folders.iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
