//! An operator: pauses, resumes, sets N, redrives, releases, fails, completes and removes, and one who cancels; each command may die on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_ledger::Person;
use daybook_schema::{Outcome, Row, Status};

use super::Cast;
use crate::simulation::world::History;
use crate::stage::Stage;

/// Who it is.
const OPERATOR: Person<'static> = Person {
    by: "maria",
    why: Some("the simulation asks for it"),
};

/// A person at work every few hours.
pub(super) async fn operator(cast: Cast) {
    let mut rng = cast.chaos.stream("operator");
    let stage = cast.as_seen_by("operator", 0);
    while cast.chaos.is_on() {
        let wait = Duration::from_secs(rng.u64(1800..4 * 3600));
        // The worst moment to give a row back is while a run waits for the answer to its claim.
        let command = tokio::select! {
            biased;
            () = cast.chaos.statements_hang() => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                4
            }
            () = tokio::time::sleep(wait) => rng.u8(0..8),
        };
        let chance = rng.fork();
        cast.process("operator", None, act(&cast, &stage, command, chance))
            .await;
    }
    // Before going home: what was paused goes on, and N is as configured.
    while stage.ledger.resume().await.is_err() {}
    while stage.ledger.set_per_window(None, OPERATOR).await.is_err() {}
}

/// A person who cancels what runs, every few hours: its row is parked, and then its execution is stopped, if these credentials may. Some
/// time later they redrive what is parked; what is left is the operator's.
pub(super) async fn canceller(cast: Cast) {
    let mut rng = cast.chaos.stream("canceller");
    let stage = cast.as_seen_by("canceller", 0);
    while cast.chaos.is_on() {
        tokio::time::sleep(Duration::from_secs(rng.u64(3600..8 * 3600))).await;
        let may_stop = rng.bool();
        cast.process("canceller", None, cancel(&cast, &stage, may_stop))
            .await;
        if rng.bool() {
            tokio::time::sleep(Duration::from_secs(rng.u64(1..1800))).await;
            cast.process("canceller", None, act(&cast, &stage, 3, rng.fork()))
                .await;
        }
    }
}

async fn cancel(cast: &Cast, stage: &Stage, may_stop: bool) {
    let rows = rows_in(stage, Status::Claimed, 1).await;
    note(cast, &rows, |world| &mut world.cancelled);
    let cancelled = stage.ledger.cancel_rows(&rows, OPERATOR, stage.deadline()).await;
    for (row, cancelled) in rows.iter().zip(cancelled) {
        cast.line(|| format!("a person cancels {}: {cancelled:?}", row.id));
        let is_stopped = may_stop && row.batch.is_none() && !cast.scenario.has_workers();
        if is_stopped && matches!(cancelled, Ok(true)) {
            drop(
                stage
                    .executions()
                    .stop(row.run_name(), "cancelled by a person")
                    .await,
            );
        }
    }
}

/// A person who sees to it that dead letters go back to where they came from, hours later.
pub(super) async fn dead_letters(cast: Cast) {
    let mut rng = cast.chaos.stream("dead letters");
    loop {
        tokio::time::sleep(Duration::from_secs(rng.u64(3600..8 * 3600))).await;
        let stage = &cast.stage;
        for queue in [&stage.intake, &stage.dispatch_queue, &stage.completion] {
            let dead = stage.dead_letters_of(queue);
            let waiting = stage.aws.sqs().depth(&dead).unwrap().visible;
            if waiting == 0 {
                continue;
            }
            cast.line(|| format!("{waiting} dead letters go back to {queue}"));
            if *queue == stage.intake {
                cast.world.lock().intake_letters += waiting;
            }
            let name = dead.rsplit('/').next().unwrap_or_default();
            if *queue == stage.intake {
                cast.world.lock().redrove_intake = true;
            }
            let start = stage.sqs.start_message_move_task();
            let start = start.source_arn(stage.aws.sqs().arn(name)).send();
            if let Some(Ok(_)) = cast.process("operator", None, start).await {
                *cast
                    .world
                    .lock()
                    .counts
                    .entry("dead letters sent back")
                    .or_default() += waiting as u64;
            }
        }
    }
}

async fn act(cast: &Cast, stage: &Stage, command: u8, mut rng: fastrand::Rng) {
    let ledger = &stage.ledger;
    let person = OPERATOR;
    match command {
        0 => {
            let hours = Duration::from_secs(rng.u64(600..3 * 3600));
            let until = rng.bool().then(|| stage.now().plus(hours));
            drop(ledger.pause(until, person.by, "maintenance").await);
            tokio::time::sleep(hours).await;
            if until.is_none() {
                drop(ledger.resume().await);
            }
        }
        1 => drop(ledger.resume().await),
        2 => drop(
            ledger
                .set_per_window(rng.bool().then(|| rng.u32(4..12)), OPERATOR)
                .await,
        ),
        3 => {
            let rows = rows_in(stage, Status::Parked, 5).await;
            cast.line(|| format!("operator redrives {} rows", rows.len()));
            ledger
                .redrive_rows(&rows, 2, Some(person), stage.deadline())
                .await;
        }
        4 => {
            // Under Step Functions the same attempt has the same execution: a release is always safe.
            let rows = rows_in(stage, Status::Claimed, 2).await;
            note(cast, &rows, |world| &mut world.freed);
            ledger.free_rows(&rows, person, stage.deadline()).await;
        }
        5 => {
            let rows = rows_in(stage, Status::Claimed, 1).await;
            note(cast, &rows, |world| &mut world.failed_by_person);
            let policy = stage.options.dispatch.retry;
            ledger.fail_rows(&rows, person, &policy, stage.deadline()).await;
        }
        6 => close(cast, stage, Outcome::Removed, person, &mut rng).await,
        _ => close(cast, stage, Outcome::Succeeded, person, &mut rng).await,
    }
}

async fn close(cast: &Cast, stage: &Stage, outcome: Outcome, person: Person<'_>, rng: &mut fastrand::Rng) {
    let status = [Status::Pending, Status::Parked][rng.usize(0..2)];
    let mut rows = rows_in(stage, status, 1).await;
    // The payload that nobody can read stays: the checker looks for it.
    rows.retain(|row| row.event().is_some());
    note(cast, &rows, |world| &mut world.closed);
    stage
        .ledger
        .close_rows(&rows, outcome, person, stage.deadline())
        .await;
}

/// Before it is done: nobody knows how far a command comes.
fn note(cast: &Cast, rows: &[Row], whose: fn(&mut History) -> &mut BTreeSet<String>) {
    let mut world = cast.world.lock();
    whose(&mut world).extend(rows.iter().map(|row| row.id.to_string()));
}

/// Some rows of that status, read consistently.
async fn rows_in(stage: &Stage, status: Status, most: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut pages = stage.ledger.open_rows();
    while let Ok(Some(page)) = pages.next().await {
        rows.extend(page.into_iter().flatten().filter(|row| row.status == status));
    }
    rows.truncate(most);
    rows
}
