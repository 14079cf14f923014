//! What every process does at its next await. One request is one step: it is applied as a whole, and then its process goes on, or
//! has no answer and tries again, or is not heard of any more.

use crate::bounds::Rules;
use crate::defects::Defect;
use crate::dispatch::{schedule, sweep};
use crate::ingest::ingest;
use crate::receipts::{Receipt, is_newer};
use crate::rows;
use crate::world::{
    Broken, CancelAt, Event, Execution, InvokeAt, Message, Process, Progress, SettleAt, Status, StatusEvent,
    World, take_one,
};

/// How a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum How {
    /// Applied (or its condition was false) and answered.
    Answered,
    /// Applied, and the answer is lost: the SDK tries again, or the process ends.
    AnswerLost,
    /// Certainly not applied. Of a look: what is there was not shown.
    Refused,
    /// The sweep takes the message for one that waits in a slow queue.
    Waits,
}

/// The step that this process takes; `None` where there is no such step.
pub fn step(rules: &Rules, world: &World, process: Process, how: How) -> Option<World> {
    let mut world = world.clone();
    take_one(&mut world.processes, &process);
    let next = match process {
        Process::Ingest { .. } => ingest(rules, &mut world, process, how)?,
        Process::Schedule { .. } => schedule(rules, &mut world, process, how)?,
        Process::Sweep { .. } => sweep(rules, &mut world, process, how)?,
        Process::Invoke { message, at } => match invoke(rules, &mut world, message, at, how)? {
            InvokeAt::Settle(SettleAt::Acknowledge) => {
                acknowledge(&mut world.queue, &message, how);
                None
            }
            InvokeAt::Settle(SettleAt::Return) => None,
            // The message comes again: what was done is found done then.
            _ if how == How::AnswerLost => None,
            at => Some(Process::Invoke { message, at }),
        },
        Process::Complete { status, at } => {
            match settle(rules, &mut world, (status.event, status.attempt), at, how)? {
                SettleAt::Acknowledge => {
                    acknowledge(&mut world.statuses, &status, how);
                    None
                }
                SettleAt::Return => None,
                _ if how == How::AnswerLost => None,
                at => Some(Process::Complete { status, at }),
            }
        }
        Process::Remove { event, receipt } => remove(rules, &mut world, event, receipt, how)?,
        Process::Cancel { event, attempt, at } => cancel(rules, &mut world, (event, attempt), at, how)?,
    };
    world.processes.extend(next);
    world.sort();
    Some(world)
}

/// The process after its step, if it goes on; `None` where there is no such step.
pub(crate) type Next = Option<Option<Process>>;

/// The last step of a message: it is done with, unless the process dies before it can say so.
fn acknowledge<T: PartialEq>(queue: &mut Vec<T>, message: &T, how: How) {
    if how == How::Answered {
        take_one(queue, message);
    }
}

fn invoke(rules: &Rules, world: &mut World, message: Message, at: InvokeAt, how: How) -> Option<InvokeAt> {
    let Message {
        event,
        attempt,
        first,
    } = message;
    let execution = world.execution(event, attempt);
    let acknowledge = InvokeAt::Settle(SettleAt::Acknowledge);
    let is_newer = world.row(event).is_some_and(|row| !rows::is_known(row));
    if how != How::Answered && how != How::AnswerLost {
        return None;
    }
    Some(match at {
        // What it cannot read it cannot judge.
        InvokeAt::Look if is_newer => InvokeAt::Settle(SettleAt::Return),
        InvokeAt::Look => {
            let row = world.row(event);
            let waits = row.is_some_and(|row| row.status == Status::Claimed && row.attempt == attempt);
            if waits { InvokeAt::Start } else { acknowledge }
        }
        InvokeAt::Start => {
            let ended = execution.is_some_and(|execution| execution.progress != Progress::Running);
            let again = rules.has(Defect::RandomNames) && execution.is_some();
            if execution.is_none() || again {
                begin(world, event, attempt);
            }
            match ended && !again {
                true if rules.has(Defect::AlreadyExistsIsDone) => InvokeAt::Settle(SettleAt::Receipt),
                true => InvokeAt::Describe,
                false if first => acknowledge,
                false => InvokeAt::Renew,
            }
        }
        InvokeAt::Describe => match execution?.progress {
            Progress::Running => InvokeAt::Renew,
            Progress::Succeeded => InvokeAt::Settle(success(rules)),
            Progress::Failed => InvokeAt::Settle(SettleAt::Read),
        },
        InvokeAt::Renew => {
            if let Some(renewed) = world.row(event).and_then(|row| rows::renew(row, attempt)) {
                world.write(event, Some(renewed), false);
            }
            acknowledge
        }
        InvokeAt::Settle(at) => InvokeAt::Settle(settle(rules, world, (event, attempt), at, how)?),
    })
}

/// StartExecution under a name that is not taken.
fn begin(world: &mut World, event: Event, attempt: u8) {
    let lives = world.memory(event).lives;
    let beside = |other: &&Execution| other.event == event && other.progress != Progress::Failed;
    for other in world.executions.clone().iter().filter(beside) {
        match world.by_person(event, attempt) || world.by_person(event, other.attempt) {
            true => world.memory(event).ran_beside = true,
            false => world.note(Broken::Duplicate),
        }
    }
    let named = |one: &&mut Execution| (one.event, one.attempt) == (event, attempt);
    match world.executions.iter_mut().find(named) {
        Some(again) => {
            again.starts += 1;
            again.progress = Progress::Running;
        }
        None => world.executions.push(Execution {
            event,
            attempt,
            progress: Progress::Running,
            life: lives,
            starts: 1,
        }),
    }
}

/// Where the settling of a success begins.
pub fn success(rules: &Rules) -> SettleAt {
    match rules.has(Defect::DeleteBeforeReceipt) {
        true => SettleAt::Delete,
        false => SettleAt::Receipt,
    }
}

fn settle(rules: &Rules, world: &mut World, of: (Event, u8), at: SettleAt, how: How) -> Option<SettleAt> {
    let (event, attempt) = of;
    let is_newer = world.row(event).is_some_and(|row| !rows::is_known(row));
    if how != How::Answered && how != How::AnswerLost {
        return None;
    }
    Some(match at {
        SettleAt::Receipt | SettleAt::ReceiptLast => {
            put_receipt(rules, world, event, false);
            match at {
                SettleAt::Receipt => SettleAt::Delete,
                _ => SettleAt::Acknowledge,
            }
        }
        SettleAt::Delete => {
            // A row of a newer release stays; its receipt is there, and the newer release finds both.
            world.delete(event, rules);
            match rules.has(Defect::DeleteBeforeReceipt) {
                true => SettleAt::ReceiptLast,
                false => SettleAt::Acknowledge,
            }
        }
        SettleAt::Read | SettleAt::Fail { .. } if is_newer => SettleAt::Return,
        SettleAt::Read => {
            let life = world.execution(event, attempt)?.life;
            let row = world.row(event);
            match row.and_then(|row| rows::read_for_fail(row, attempt, life, rules)) {
                Some((park, max_attempts)) => {
                    let life = row?.life;
                    SettleAt::Fail {
                        park,
                        max_attempts,
                        life,
                    }
                }
                None => SettleAt::Acknowledge,
            }
        }
        SettleAt::Fail {
            park,
            max_attempts,
            life,
        } => {
            let row = world.row(event);
            let failed = row.and_then(|row| rows::fail(row, attempt, life, (park, max_attempts), rules));
            if let Some(failed) = failed {
                let is_of_this_row = world.execution(event, attempt)?.life >= life;
                if is_of_this_row && world.memory(event).stopped & (1 << attempt) != 0 {
                    world.note(Broken::StopSettled);
                }
                world.write(event, Some(failed), false);
            }
            SettleAt::Acknowledge
        }
        SettleAt::Acknowledge | SettleAt::Return => return None,
    })
}

/// Writes a receipt if there is none, or an older one.
fn put_receipt(rules: &Rules, world: &mut World, event: Event, removed: bool) {
    let uploads = rules.bounds.uploads;
    let object = usize::from(uploads[usize::from(event)].object);
    let stored = world.receipts[object];
    let newer = stored.is_none_or(|stored| is_newer(uploads, stored.event, event));
    if newer || rules.has(Defect::ReceiptsOverwritten) {
        if stored.is_some_and(|stored| is_newer(uploads, event, stored.event)) {
            world.note(Broken::OlderReceipt);
        }
        world.receipts[object] = Some(Receipt { event, removed });
    }
}

fn remove(rules: &Rules, world: &mut World, event: Event, receipt: bool, how: How) -> Next {
    match (receipt, how) {
        (false, How::Answered) => {
            put_receipt(rules, world, event, true);
            Some(Some(Process::Remove { event, receipt: true }))
        }
        (true, How::Answered) => {
            world.delete(event, rules);
            Some(None)
        }
        _ => None,
    }
}

/// `daybook cancel`: the row first, as it was seen, and then what runs for it.
fn cancel(rules: &Rules, world: &mut World, (event, attempt): (Event, u8), at: CancelAt, how: How) -> Next {
    let stops_first = rules.has(Defect::CancelStopsFirst);
    let then = |at: CancelAt| Process::Cancel { event, attempt, at };
    match (at, how) {
        (CancelAt::Park, How::Answered | How::AnswerLost) => {
            let parked = world.row(event).and_then(|row| rows::cancel(row, attempt, rules));
            if parked.is_some() {
                world.memory(event).cancelled |= 1 << attempt;
                world.write(event, parked, false);
            }
            let stops = parked.is_some() && how == How::Answered && !stops_first;
            Some(stops.then(|| then(CancelAt::Stop)))
        }
        (CancelAt::Stop, How::Answered) => {
            let execution = world.execution(event, attempt);
            if let Some(running) = execution.filter(|one| one.progress == Progress::Running) {
                world.memory(event).stopped |= 1 << attempt;
                end(world, running, false, 1);
            }
            Some(stops_first.then(|| then(CancelAt::Park)))
        }
        (CancelAt::Stop, How::Refused) => Some(None),
        _ => None,
    }
}

/// An execution ends, and its status event comes that often.
pub fn end(world: &mut World, execution: Execution, ok: bool, events: u8) {
    let Execution { event, attempt, .. } = execution;
    let named = |one: &&mut Execution| **one == execution;
    if let Some(execution) = world.executions.iter_mut().find(named) {
        execution.progress = if ok { Progress::Succeeded } else { Progress::Failed };
    }
    for _ in 0..events {
        world.statuses.push(StatusEvent { event, attempt, ok });
    }
    world.sort();
}
