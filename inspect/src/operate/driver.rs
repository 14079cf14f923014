//! The whole of it: a few rows first where that is asked for, and the others, until it is done or asked to stop.

use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::time::Duration;

use daybook_ledger::{Cause, LedgerError};
use daybook_schema::{EventId, ObjectEvent};
use futures::FutureExt;
use tokio::time::Instant;

use crate::lookup::rows;
use crate::lookup::rows::RowRead;
use crate::operate::action::Applied;
use crate::operate::apply::{Doing, Tally, Telling, Told, apply, apply_to};
use crate::operate::canary::{Canary, Decision, Fate, Trial, decide, judge};
use crate::operate::selected::Seen;
use crate::parts::{Parts, UpState};
use crate::wording::{dispatch, time};

/// The shortest and the longest pause between two looks at canaries.
const LOOKS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How many rows are redriven first, and how long their outcomes are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanarySettings {
    /// So many at most.
    pub events: usize,
    /// So long at most.
    pub wait: Duration,
}

/// Why no canary could tell anything there, if so: nothing would run it, or no receipt would say that it succeeded.
///
/// # Errors
/// When the ledger does not say whether dispatch is paused.
pub async fn no_canaries(parts: &Parts<'_>) -> Result<Option<String>, LedgerError> {
    let ledger = parts.ledger;
    let control = ledger.control().await?;
    let pause = control.pause(ledger.clock().now());
    Ok(match (pause, parts.up(), ledger.receipts_kept_for()) {
        (Some(pause), ..) => Some(format!("dispatch is paused {}", dispatch::paused(&pause))),
        (_, Some(UpState::NotRunning), _) => Some("no `daybook up` runs on the folder".to_owned()),
        (_, Some(UpState::Collecting), _) => Some("the `daybook up` of the folder has no target".to_owned()),
        (.., None) => Some("receipts are off or not named, so success could not be told".to_owned()),
        (None, ..) => None,
    })
}

/// Does it to the rows, as [`apply`] does. With canaries: a few events first; the others follow when those have succeeded, and are left as
/// they are otherwise.
pub async fn drive(
    doing: Doing<'_>,
    rows: &[Seen],
    canary: Option<CanarySettings>,
    tally: &mut Tally,
    (stop, end): (impl Future<Output = ()>, impl Future<Output = ()>),
    told: Telling<'_>,
) -> Option<Trial> {
    let mut stop = pin!(stop.fuse());
    let mut end = pin!(end.fuse());
    let Some(canary) = canary else {
        apply(doing, rows, tally, (stop.as_mut(), end.as_mut()), told).await;
        return None;
    };
    let events = rows.iter().filter(|seen| seen.is_event);
    let first: Vec<Seen> = events.take(canary.events).copied().collect();
    let chosen: BTreeSet<EventId> = first.iter().map(|seen| seen.id).collect();
    let trial = {
        let mut ending = pin!(async {
            futures::future::select(stop.as_mut(), end.as_mut()).await;
        });
        // Redriven to the end whatever is asked: what was sent is to be known.
        let mut trial = send(doing, &first, tally, told).await;
        if trial.stopped.is_none() {
            watch(doing, &mut trial, canary.wait, ending.as_mut()).await;
        }
        trial
    };
    if trial.interrupted {
        tally.interrupted = true;
    }
    if trial.went_on() {
        let others: Vec<Seen> = rows
            .iter()
            .filter(|seen| !chosen.contains(&seen.id))
            .copied()
            .collect();
        told(Told::GoesOn(others.len()));
        apply(doing, &others, tally, (stop.as_mut(), end.as_mut()), told).await;
    }
    Some(trial)
}

/// Redrives the canaries.
async fn send(doing: Doing<'_>, first: &[Seen], tally: &mut Tally, told: Telling<'_>) -> Trial {
    let ids: Vec<EventId> = first.iter().map(|seen| seen.id).collect();
    let (mut read, _) = rows::read(doing.ledger, &ids).await;
    let (applied, still_running) = apply_to(doing, first).await;
    tally.still_running.add(still_running);
    let n = applied.len();
    let mut canaries: Vec<Canary> = first
        .iter()
        .map(|seen| Canary {
            seen: *seen,
            event: match read.remove(&seen.id) {
                Some(RowRead::Row(row)) => row.event().cloned(),
                _ => None,
            },
            fate: Fate::Unknown,
        })
        .collect();
    let mut uncertain = 0;
    for (id, applied) in applied {
        uncertain += usize::from(matches!(applied, Applied::Failed(_)));
        if let Some(canary) = canaries.iter_mut().find(|canary| canary.seen.id == id)
            && matches!(applied, Applied::MovedOn | Applied::Unreadable(_))
        {
            canary.fate = Fate::NotRedriven;
        }
        tally.add(id, applied);
    }
    told(Told::Changed(n, tally));
    let trial = Trial {
        canaries,
        stopped: (uncertain > 0).then(|| format!("{uncertain} of the canaries may not have been redriven")),
        interrupted: false,
    };
    if trial.redriven() > 0 && trial.stopped.is_none() {
        told(Told::CanariesSent(trial.redriven()));
    }
    trial
}

/// Looks at the canaries until it is known whether the others follow, or `ending` ends.
async fn watch<E: Future<Output = ()>>(
    doing: Doing<'_>,
    trial: &mut Trial,
    wait: Duration,
    mut ending: Pin<&mut E>,
) {
    let begun = Instant::now();
    let mut pause = LOOKS.0;
    loop {
        let trouble = look(doing, trial).await;
        let left = wait.saturating_sub(begun.elapsed());
        let fates = trial.canaries.iter().map(|canary| &canary.fate);
        match decide(fates, left.is_zero(), &time::span(wait)) {
            Decision::Go => return,
            Decision::Stop(why) => {
                let trouble = trouble.map(|cause| format!(" (the last look failed: {cause})"));
                trial.stopped = Some(why + &trouble.unwrap_or_default());
                return;
            }
            Decision::Wait => {}
        }
        tokio::select! {
            biased;
            () = &mut ending => {
                trial.interrupted = true;
                return;
            }
            () = tokio::time::sleep(pause.min(left)) => {}
        }
        pause = (pause * 2).min(LOOKS.1);
    }
}

/// Looks once at those that have not ended; why that failed, if it did.
async fn look(doing: Doing<'_>, trial: &mut Trial) -> Option<Cause> {
    let waiting = |canary: &&mut Canary| canary.fate == Fate::Unknown;
    let ids: Vec<EventId> = trial
        .canaries
        .iter_mut()
        .filter(waiting)
        .map(|canary| canary.seen.id)
        .collect();
    if ids.is_empty() {
        return None;
    }
    let (read, failures) = rows::read(doing.ledger, &ids).await;
    let mut trouble = failures.into_iter().next().map(|failure| failure.cause);
    let gone = trial.canaries.iter().filter(|canary| {
        canary.fate == Fate::Unknown && matches!(read.get(&canary.seen.id), Some(RowRead::Gone))
    });
    let objects: Vec<_> = gone
        .filter_map(|canary| canary.event.as_ref().map(ObjectEvent::object_id))
        .collect();
    let receipts = match objects.is_empty() {
        true => Default::default(),
        false => doing.ledger.look_up_receipts(objects).await,
    };
    for canary in trial.canaries.iter_mut().filter(waiting) {
        let Some((event, row)) = canary.event.as_ref().zip(read.get(&canary.seen.id)) else {
            continue;
        };
        let receipt = receipts.get(&event.object_id());
        if let Some(daybook_ledger::Lookup::Unknown(cause)) = receipt {
            trouble = Some(cause.clone());
        }
        canary.fate = judge(&canary.seen, event, row, receipt);
    }
    trouble
}
