//! What a scheduler and a sweep do at their next await.

use crate::bounds::Rules;
use crate::budget::{Asker, Control, Request, decide};
use crate::defects::Defect;
use crate::receipts::is_covered;
use crate::rows;
use crate::steps::{How, Next};
use crate::world::{Broken, DispatchAt, Event, Message, Process, Progress, Row, Status, View, World};

/// One conditional write to the control item, repeated until nobody was faster; whether one is granted. An answer that is lost
/// is a budget spent for nothing.
pub(crate) fn grant(
    rules: &Rules,
    world: &mut World,
    run: (u8, Asker),
    seen: Option<Control>,
    how: How,
) -> Option<bool> {
    let (window, asker) = run;
    let request = Request {
        window,
        per_window: rules.bounds.per_window,
        wanted: 1,
        asker,
        // A clock that is far ahead tells schedule and ledger the same.
        now: window.max(world.clock),
    };
    // What was read first matters only to a write without a condition.
    let Some((next, granted)) = decide(&seen.unwrap_or(world.control), &request, rules.flaw()) else {
        note_asked(rules, world, run, false);
        return (how == How::Answered).then_some(false);
    };
    world.control = next;
    note_asked(rules, world, run, granted > 0);
    Some(granted > 0 && how == How::Answered)
}

/// A clock that is far ahead costs everybody a window: there it proves nothing that two in a row have no budget. Beside newcomers, the
/// model of the budget asks it.
fn note_asked(rules: &Rules, world: &mut World, (window, asker): (u8, Asker), granted: bool) {
    if !rules.bounds.far_ahead && rules.bounds.immediate.is_none() {
        world.asked(asker == Asker::Sweep, window, granted);
    }
}

/// A scheduler's next step.
pub(crate) fn schedule(rules: &Rules, world: &mut World, process: Process, how: How) -> Next {
    let Process::Schedule {
        window,
        event,
        view,
        seen: backlog,
        at,
    } = process
    else {
        return None;
    };
    let then = |view, at| {
        Some(Some(Process::Schedule {
            window,
            event,
            view,
            seen: backlog,
            at,
        }))
    };
    match (at, how) {
        (DispatchAt::Grant(seen), How::Answered | How::AnswerLost) => {
            let granted = grant(rules, world, (window, Asker::Scheduler), seen, how)?;
            match granted {
                _ if rules.bounds.immediate.is_some() && (backlog.behind || !granted) => {
                    then(view, DispatchAt::Note(granted))
                }
                true if backlog.note.is_some() => then(view, DispatchAt::TakeOff),
                true => then(view, DispatchAt::Claim),
                false => Some(None),
            }
        }
        // Written or not, it goes on.
        (DispatchAt::Note(granted), How::Answered | How::Refused) => {
            if how == How::Answered {
                world.control.backlog = Some(world.clock);
            }
            match granted {
                true => then(view, DispatchAt::Claim),
                false => Some(None),
            }
        }
        (DispatchAt::TakeOff, How::Answered | How::Refused) => {
            if how == How::Answered && world.control.backlog == backlog.note {
                world.control.backlog = None;
            }
            then(view, DispatchAt::Claim)
        }
        (DispatchAt::Claim, How::Answered | How::AnswerLost) => {
            let row = world.row(event);
            let claimed = row.and_then(|row| rows::claim(row, view, rules));
            if let Some(claimed) = claimed {
                if row.is_some_and(|row| !row.due) {
                    world.note(Broken::TooEarly);
                }
                world.write(event, Some(claimed), true);
                let ours = |fresh| View { fresh, mine: true };
                return match how {
                    // The index's due_at is what a retry asks for, and it is gone.
                    How::AnswerLost => then(ours(false), DispatchAt::Claim),
                    _ => then(ours(true), DispatchAt::Send(claimed.attempt)),
                };
            }
            let attempt = retried(rules, world, row, view, how)?;
            let view = View { fresh: true, ..view };
            match attempt {
                Some(attempt) => then(view, DispatchAt::Send(attempt)),
                None => Some(None),
            }
        }
        (DispatchAt::Send(_), How::Refused) => then(view, DispatchAt::GiveBack),
        (DispatchAt::Send(attempt), How::Answered | How::AnswerLost) => {
            put_on_queue(world, window, (event, attempt), |_| view.mine);
            match (how, rules.has(Defect::UnknownIsNotSent)) {
                (How::AnswerLost, true) => then(view, DispatchAt::GiveBack),
                (How::AnswerLost, false) => None,
                _ => Some(None),
            }
        }
        (DispatchAt::GiveBack, How::Answered) => {
            if let Some(released) = world.row(event).and_then(|row| rows::release(row, view)) {
                world.write(event, Some(released), false);
            }
            Some(None)
        }
        _ => None,
    }
}

/// The condition was false: a retry that finds its own write goes on with that attempt, everybody else has lost.
fn retried(rules: &Rules, world: &mut World, row: Option<Row>, view: View, how: How) -> Option<Option<u8>> {
    if how != How::Answered {
        return None;
    }
    let believed = row.filter(|row| rows::is_ours(*row, view, rules));
    if believed.is_some_and(|row| row.status != Status::Claimed || !view.mine) {
        world.note(Broken::FalseClaim);
    }
    Some(believed.map(|row| row.attempt))
}

/// The first message of an attempt. Noted where the row, if it is the one that it speaks of, has had one.
pub(crate) fn put_on_queue(
    world: &mut World,
    window: u8,
    (event, attempt): (Event, u8),
    is_ours: impl Fn(&Row) -> bool,
) {
    send(world, window, event, attempt, true);
    let ours = |row: &Row| is_ours(row) && row.status == Status::Claimed && row.attempt == attempt;
    if let Some(row) = world.row(event).filter(ours) {
        let queued = row.queued + 1;
        world.rows[usize::from(event)] = Some(Row { queued, ..row });
        if queued > 1 {
            world.note(Broken::QueuedTwice);
        }
    }
}

fn send(world: &mut World, window: u8, event: Event, attempt: u8, first: bool) {
    world.queue.push(Message {
        event,
        attempt,
        first,
    });
    let window = usize::from(window);
    if world.sent.len() <= window {
        world.sent.resize(window + 1, 0);
    }
    world.sent[window] += 1;
}

/// A sweep's next step.
pub(crate) fn sweep(rules: &Rules, world: &mut World, process: Process, how: How) -> Next {
    let Process::Sweep {
        window,
        event,
        view,
        attempt,
        at,
    } = process
    else {
        return None;
    };
    let then = |view, at| {
        Some(Some(Process::Sweep {
            window,
            event,
            view,
            attempt,
            at,
        }))
    };
    let row = world.row(event);
    match (at, how) {
        (DispatchAt::Plan, How::Answered | How::Refused | How::Waits) => {
            if row.is_some_and(|row| !rows::is_known(row)) && !rules.has(Defect::NewerNotPassedOver) {
                return (how == How::Answered).then_some(None);
            }
            let shown = how != How::Refused;
            let running = world
                .execution(event, attempt)
                .is_some_and(|execution| execution.progress == Progress::Running);
            if shown && is_covered(rules, world, event) {
                return (how == How::Answered).then(|| then(view, DispatchAt::DeleteDone))?;
            }
            if shown && running {
                return (how == How::Answered).then(|| then(view, DispatchAt::Renew))?;
            }
            if how == How::Waits {
                // What counts is the number that was read; while `due_at` is as it was, so is the number.
                let moves = row.map_or(0, |row| row.lease_moves);
                return (moves < rows::LEASE_MOVES).then(|| then(view, DispatchAt::MoveLease))?;
            }
            if rules.has(Defect::SweepNeverRedelivers) {
                return Some(None);
            }
            then(
                view,
                match rules.has(Defect::SweepWithoutBudget) {
                    true => DispatchAt::Claim,
                    false => DispatchAt::Grant(rules.seen(world.control)),
                },
            )
        }
        (DispatchAt::Renew, How::Answered) => {
            if let Some(renewed) = row.and_then(|row| rows::renew(row, attempt)) {
                world.write(event, Some(renewed), false);
            }
            Some(None)
        }
        (DispatchAt::DeleteDone, How::Answered) => {
            world.delete(event, rules);
            Some(None)
        }
        (DispatchAt::MoveLease, How::Answered) => {
            if let Some(moved) = row.and_then(|row| rows::move_lease(row, view)) {
                world.write(event, Some(moved), false);
            }
            Some(None)
        }
        (DispatchAt::Grant(seen), How::Answered | How::AnswerLost) => {
            match grant(rules, world, (window, Asker::Sweep), seen, how)? {
                true => then(view, DispatchAt::Claim),
                false => Some(None),
            }
        }
        (DispatchAt::Claim, How::Answered | How::AnswerLost) => {
            if let Some(redelivered) = row.and_then(|row| rows::redeliver(row, view, rules)) {
                if row.is_some_and(|row| !row.due) {
                    world.note(Broken::TooEarly);
                }
                world.write(event, Some(redelivered), true);
                let ours = |fresh| View { fresh, mine: true };
                return match how {
                    How::AnswerLost => then(ours(false), DispatchAt::Claim),
                    _ => then(ours(true), DispatchAt::Send(redelivered.attempt)),
                };
            }
            let attempt = retried(rules, world, row, view, how)?;
            let view = View { fresh: true, ..view };
            match attempt {
                Some(attempt) => then(view, DispatchAt::Send(attempt)),
                None => Some(None),
            }
        }
        (DispatchAt::Send(_), How::Refused) => then(view, DispatchAt::GiveBack),
        (DispatchAt::Send(attempt), How::Answered) => {
            send(world, window, event, attempt, false);
            Some(None)
        }
        (DispatchAt::GiveBack, How::Answered) => {
            if let Some(unsent) = row.and_then(|row| rows::unsend(row, view)) {
                world.write(event, Some(unsent), false);
            }
            Some(None)
        }
        _ => None,
    }
}
