//! Nothing that was acknowledged is lost, and nothing is done twice but in the documented cases.

use std::collections::BTreeMap;

use daybook_reconciler::audit::SETTLES;
use serde_json::{Value, json};

use super::runs::Runs;
use super::{Checker, Findings, Property, status};
use crate::simulation::scenario::{GRACE, SKEW};
use crate::simulation::shadow::{Insert, Shadow};
use crate::simulation::world::{History, S3Event};

/// What is known of one event of S3's.
struct Fate<'a> {
    /// The row of its notification, if one was ever written.
    own: Option<&'a str>,
    /// The rows that repairs wrote for the object that it made.
    repairs: Vec<&'a str>,
}

/// Which rows belong to which event.
struct Fates<'a> {
    own: BTreeMap<(&'a str, Option<&'a str>, bool, &'a str), &'a str>,
    repairs: Vec<(&'a str, &'a Insert)>,
}

impl<'a> Fates<'a> {
    fn of(shadow: &'a Shadow) -> Self {
        let mut own = BTreeMap::new();
        let mut repairs = Vec::new();
        for (id, insert) in &shadow.inserts {
            match &insert.sequencer {
                Some(sequencer) => {
                    let version = insert.version.as_deref();
                    // Daybook pads sequencers; what S3 sent is the front of it.
                    let front = &sequencer[..sequencer.len().min(16)];
                    own.insert((insert.key.as_str(), version, insert.removed, front), id.as_str());
                }
                None => repairs.push((id.as_str(), insert)),
            }
        }
        Self { own, repairs }
    }

    fn fate(&self, event: &S3Event) -> Fate<'a> {
        let key = (
            event.key.as_str(),
            event.version.as_deref(),
            event.removed,
            event.sequencer.as_str(),
        );
        let own = self
            .own
            .iter()
            .find(|(there, _)| **there == key)
            .map(|(_, id)| *id);
        let is_its = |insert: &Insert| {
            !event.removed
                && insert.key == event.key
                && insert.version == event.version
                && insert.etag == event.etag
                && insert
                    .event_millis
                    .is_some_and(|at| at / 1000 == event.at_millis / 1000)
        };
        let repairs = self
            .repairs
            .iter()
            .filter(|(_, insert)| is_its(insert))
            .map(|(id, _)| *id);
        Fate {
            own,
            repairs: repairs.collect(),
        }
    }
}

/// Whether the bucket still holds what the event made.
fn is_current(event: &S3Event, events: &[S3Event]) -> bool {
    let newer = |other: &&S3Event| other.sequencer > event.sequencer && other.key == event.key;
    !event.removed
        && match &event.version {
            // A version stays until that version is deleted.
            Some(version) => !events
                .iter()
                .any(|other| other.removed && other.version.as_ref() == Some(version)),
            None => !events.iter().any(|other| newer(&other)),
        }
}

/// Whether a row ended well: a success, or a person's word.
fn is_done(id: &str, runs: &Runs, history: &History) -> bool {
    runs.successes(id) > 0 || history.closed.contains(id)
}

/// Whether a newer event of the same object is done, which in a bucket without versions stands for this one; or the object was found
/// by an audit, with the same content, after this event.
fn is_covered(event: &S3Event, fates: &Fates<'_>, runs: &Runs, history: &History, shadow: &Shadow) -> bool {
    let same_object =
        |other: &&S3Event| other.object() == event.object() && other.sequencer > event.sequencer;
    let newer = history.events.iter().filter(same_object).any(|other| {
        let fate = fates.fate(other);
        let done = |id: &str| is_done(id, runs, history);
        fate.own.is_some_and(done) || (other.etag == event.etag && fate.repairs.iter().any(|id| done(id)))
    });
    let fate = fates.fate(event);
    let by_repair = fate.repairs.iter().any(|id| is_done(id, runs, history));
    let by_older_repair = fates.repairs.iter().any(|(id, insert)| {
        insert.key == event.key
            && insert.version == event.version
            && insert.etag == event.etag
            && shadow
                .inserts
                .get(*id)
                .is_some_and(|insert| insert.at_millis >= event.at_millis)
            && is_done(id, runs, history)
    });
    newer || by_repair || (by_older_repair && !event.removed)
}

/// Whether no audit came to its end while receipts of the object's time were still kept: what is older than receipts reach an audit
/// does not judge.
fn is_out_of_reach(event: &S3Event, checker: &Checker, history: &History, now: i64) -> bool {
    let millis = |duration: std::time::Duration| duration.as_millis() as i64;
    // The intake counts as drained of what arrived so long before it was seen empty.
    let grace = millis(GRACE + SETTLES + SKEW);
    let until = event.at_millis + millis(checker.scenario.receipts_keep()) - grace;
    // A restore makes the ledger forget what it knew.
    let restored = history.restores.iter().map(|restore| restore.at).max();
    let since = event.at_millis.max(restored.unwrap_or(0)) + grace;
    let audited = history.audited.iter().any(|at| *at > since && *at < until);
    !audited && now > until
}

/// Objects that are in the bucket and of which nothing is known: the audit has not found them yet.
pub(super) fn unaccounted(checker: &Checker, runs: &Runs, now: i64) -> Vec<String> {
    if !checker.scenario.has_receipts() {
        return Vec::new();
    }
    let (history, shadow) = (checker.world.lock(), checker.shadows.lock());
    let fates = Fates::of(&shadow);
    let taken = |id: &str| history.restores.iter().any(|restore| restore.taken.contains(id));
    let missing = history.events.iter().filter(|event| {
        let fate = fates.fate(event);
        let was_told = event.told && !fate.own.is_some_and(taken);
        let is_open = |id: &str| shadow.rows.contains_key(id);
        let rows = fate.own.into_iter().chain(fate.repairs.iter().copied());
        let is_known = rows.clone().any(|id| is_open(id) || is_done(id, runs, &history));
        !was_told
            && is_current(event, &history.events)
            && !is_known
            && !is_covered(event, &fates, runs, &history, &shadow)
            && !is_out_of_reach(event, checker, &history, now)
    });
    missing.map(|event| event.key.clone()).collect()
}

/// Every event that S3 told of: a success was reported for it, its row is parked, a person took it out, or a newer event of its
/// object stands for it. Every object that S3 did not tell of and still has: the same, by a repair.
pub(super) fn nothing_is_lost(
    checker: &Checker,
    (rows, now): (&[Value], i64),
    runs: &Runs,
    findings: &mut Findings,
) {
    let (history, shadow) = (checker.world.lock(), checker.shadows.lock());
    let fates = Fates::of(&shadow);
    let is_parked = |id: &str| {
        rows.iter()
            .any(|row| row["id"]["S"] == json!(id) && status(row) == "PARKED")
    };
    for event in &history.events {
        let fate = fates.fate(event);
        let all = || fate.own.into_iter().chain(fate.repairs.iter().copied());
        findings.uploads += usize::from(event.told);
        let covered = is_covered(event, &fates, runs, &history, &shadow);
        let successes: usize = all().map(|id| runs.successes(id)).sum();
        let was_taken = fate
            .own
            .is_some_and(|id| history.restores.iter().any(|restore| restore.taken.contains(id)));
        let current = is_current(event, &history.events);
        match event.told {
            true if fate.own.is_some_and(|id| runs.successes(id) > 0) => findings.succeeded += 1,
            true if all().any(is_parked) => findings.parked += 1,
            true if covered || all().any(|id| history.closed.contains(id)) => findings.covered += 1,
            // What a restore took away only an audit can find, as far as it is in the bucket.
            true if was_taken && !current => findings.restored_away += 1,
            true if was_taken && !checker.scenario.has_receipts() => findings.restored_away += 1,
            true if was_taken && is_out_of_reach(event, checker, &history, now) => findings.out_of_reach += 1,
            true => findings.violate(Property::Lost, format!("lost: {event:?}")),
            false if successes > 0 || all().any(is_parked) => findings.repaired += 1,
            false if !current || covered || all().any(|id| history.closed.contains(id)) => {}
            false if !checker.scenario.has_receipts() => {}
            false if is_out_of_reach(event, checker, &history, now) => findings.out_of_reach += 1,
            false => findings.violate(Property::Lost, format!("never found by an audit: {event:?}")),
        }
        if successes > 1 {
            // A worker, or an Express state machine, may run one row twice; that two rows of one event run needs another reason.
            let of_one_row = all().any(|id| runs.successes(id) == successes);
            let is_again = |id: &str| {
                let insert = shadow.inserts.get(id);
                insert.is_some_and(|insert| insert.last_millis > insert.at_millis)
            };
            let is_batched = checker.scenario.batching().is_some() && all().any(is_again);
            let unprotected = checker.scenario.has_workers() || checker.scenario.has_express() || is_batched;
            let by_worker = unprotected && !checker.scenario.faults.is_empty() && of_one_row;
            // The name of a batch's execution protects from nothing: what waited at the restored point, and was done since, runs again.
            let waited_at = |id: &str, to: i64| {
                shadow
                    .inserts
                    .get(id)
                    .is_some_and(|insert| insert.at_millis <= to)
            };
            let by_restore = checker.scenario.batching().is_some()
                && all().any(|id| history.restores.iter().any(|restore| waited_at(id, restore.to)));
            let by = By {
                worker: by_worker,
                restore: by_restore,
            };
            duplicate(event, &fate, (successes, by), &history, &shadow, findings);
        }
    }
}

/// What may have run an event twice, beside what its own history shows.
#[derive(Clone, Copy)]
struct By {
    worker: bool,
    restore: bool,
}

/// A success too many: which documented case is it?
fn duplicate(
    event: &S3Event,
    fate: &Fate<'_>,
    (successes, by): (usize, By),
    history: &History,
    shadow: &Shadow,
    findings: &mut Findings,
) {
    let own_at = fate
        .own
        .and_then(|id| shadow.inserts.get(id))
        .map(|own| own.at_millis);
    let rows = fate.own.into_iter().chain(fate.repairs.iter().copied());
    let expired_at = history.receipts_expired.get(&event.key);
    let was_recorded_again = rows
        .clone()
        .filter_map(|id| shadow.inserts.get(id))
        .any(|insert| expired_at.is_some_and(|at| insert.last_millis >= *at));
    let by_person = rows.clone().any(|id| history.failed_by_person.contains(id));
    let is_cancelled = rows.clone().any(|id| history.cancelled.contains(id));
    let was_restored = rows
        .clone()
        .any(|id| history.restores.iter().any(|restore| restore.taken.contains(id)));
    let looked_at = fate
        .repairs
        .iter()
        .filter_map(|id| shadow.inserts.get(*id).and_then(|insert| insert.looked_at))
        .min();
    // It was in the intake within the grace, and waited there when the repair looked: nothing is recorded that may wait.
    let in_time = event.at_millis + GRACE.as_millis() as i64;
    let arrived = history.arrived.get(&event.sequencer);
    let waited =
        !history.redrove_intake && arrived.is_some_and(|arrived| arrived.iter().any(|at| *at <= in_time));
    let case = if history.receipts_removed.contains(&event.key) {
        Some("a receipt was gone before its time")
    } else if was_restored {
        Some("the ledger was restored while it ran")
    } else if by.restore {
        Some("the ledger was restored to when it waited, and it ran in another batch")
    } else if by_person {
        Some("a person called a running attempt failed")
    } else if is_cancelled {
        Some("a person cancelled an attempt that ran on, and redrove it")
    } else if !waited && own_at.zip(looked_at).is_some_and(|(own, looked)| own >= looked) {
        Some("a repair raced with a notification later than the grace")
    } else if by.worker && was_recorded_again {
        Some("an event was told of again after its receipt had expired")
    } else if by.worker {
        Some("a worker or an Express execution did not report its work in time")
    } else {
        None
    };
    match case {
        Some(case) => *findings.duplicates.entry(case).or_default() += successes as u64 - 1,
        None => {
            let text = format!(
                "{successes} successes for {event:?}, own row at {own_at:?}, repair's look {looked_at:?}, arrived at \
                 {arrived:?}"
            );
            findings.violate(Property::Duplicates, text);
        }
    }
}
