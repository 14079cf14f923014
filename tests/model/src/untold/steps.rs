//! What each act does; `None` where it cannot happen.

use super::{Act, At, End, Express, Invoker, Line, MOST_UNTOLD, Message, Row, Run, UntoldDefect};
use crate::world::{Status, take_one};

impl Express {
    /// What the line is after that.
    pub(super) fn after(&self, line: &Line, act: Act) -> Option<Line> {
        let mut next = line.clone();
        match act {
            Act::Dispatch => {
                let row = next.row.filter(|row| row.status == Status::Pending && row.due)?;
                next.row = Some(Row {
                    status: Status::Claimed,
                    due: false,
                    attempt: row.attempt + 1,
                    deliveries: 1,
                    ..row
                });
                next.ended = 0;
                send(&mut next)?;
            }
            Act::Sweep => {
                let row = next.row.filter(|row| row.status == Status::Claimed && row.due)?;
                let counts = u8::from(self.has(UntoldDefect::DeliveriesAreDeaths));
                next.row = Some(Row {
                    due: false,
                    deliveries: row.deliveries + 1,
                    deaths: row.deaths + counts,
                    ..row
                });
                new_token(&mut next);
                send(&mut next)?;
            }
            Act::Due => {
                let row = next.row.filter(|row| !row.due && row.status != Status::Parked)?;
                let guarded = |run: &Run| run.guarded && run.attempt == row.attempt;
                if row.status == Status::Claimed && next.runs.iter().any(guarded) {
                    return None;
                }
                next.row = Some(Row { due: true, ..row });
            }
            Act::Receive(message) => {
                let room = next.invokers.len() < self.invokers && next.messages.contains(&message);
                room.then_some(())?;
                next.invokers.push(self.invoker(message));
            }
            Act::Lose(message) => drop(take_one(&mut next.messages, &message)),
            Act::Double(message) => {
                next.copies = next.copies.checked_sub(1)?;
                next.messages.push(message);
            }
            Act::Step(invoker) | Act::Unanswered(invoker) | Act::Dies(invoker) => {
                take_one(&mut next.invokers, &invoker).then_some(())?;
                let then = match act {
                    Act::Dies(_) => None,
                    _ => self.invoke(&mut next, invoker)?,
                };
                match (act, then) {
                    (Act::Step(_), Some(then)) => next.invokers.push(then),
                    (Act::Step(_), None) => drop(take_one(&mut next.messages, &invoker.message)),
                    _ => {}
                }
            }
            Act::Ends(run, end) => {
                take_one(&mut next.runs, &run).then_some(())?;
                if next.row.is_some_and(|row| row.attempt == run.attempt) {
                    next.ended = (next.ended + 1).min(MOST_UNTOLD);
                }
                next.succeeded |= end == End::Success;
                let report = (run.attempt, end == End::Success);
                // A second one that says the same changes nothing.
                if end != End::Untold && !next.reports.contains(&report) {
                    next.reports.push(report);
                }
            }
            Act::Settle(attempt, ok) => {
                take_one(&mut next.reports, &(attempt, ok)).then_some(())?;
                let of = next
                    .row
                    .filter(|row| row.status == Status::Claimed && row.attempt == attempt);
                match (ok, of) {
                    (true, _) => next.row = None,
                    (false, Some(row)) => self.fail(&mut next, row),
                    (false, None) => {}
                }
            }
        }
        forget(&mut next);
        Some(next)
    }

    /// An invoker before its first request: a first delivery is worth no read.
    pub(super) fn invoker(&self, message: Message) -> Invoker {
        let first = message.delivery == 1;
        let at = match first {
            true => At::Start {
                counted: self.has(UntoldDefect::FirstCounts),
            },
            false => At::Look,
        };
        Invoker {
            at,
            message,
            seen: 0,
            fresh: first,
        }
    }

    /// What an invoker, which is out of the line meanwhile, does next; nothing when it is done with its message.
    fn invoke(&self, line: &mut Line, invoker: Invoker) -> Option<Option<Invoker>> {
        let Message { attempt, delivery } = invoker.message;
        let row = line
            .row
            .filter(|row| row.status == Status::Claimed && row.attempt == attempt);
        let then = |at| Some(Invoker { at, ..invoker });
        Some(match invoker.at {
            At::Look => {
                let Some(row) = row else { return Some(None) };
                let arrives = row.deliveries == delivery;
                let at = match row.deaths >= MOST_UNTOLD {
                    true if arrives || self.has(UntoldDefect::FailWithoutDelivery) => At::Fail,
                    true => return Some(None),
                    false => At::Start { counted: arrives },
                };
                Some(Invoker {
                    at,
                    seen: row.deaths,
                    fresh: true,
                    ..invoker
                })
            }
            At::Start { counted } => {
                (line.runs.len() < self.runs).then_some(())?;
                let guarded = false;
                line.runs.push(Run { attempt, guarded });
                if counted { then(At::Count) } else { None }
            }
            At::Count => {
                let asked = |row: &Row| row.deliveries == delivery && invoker.fresh;
                if let Some(row) = row.filter(asked) {
                    let counts = u8::from(!self.has(UntoldDefect::RenewalForgets));
                    line.wasted |= delivery == 1;
                    line.row = Some(Row {
                        due: false,
                        deliveries: 1,
                        deaths: invoker.seen + counts,
                        ..row
                    });
                    let own = Run {
                        attempt,
                        guarded: false,
                    };
                    if take_one(&mut line.runs, &own) {
                        line.runs.push(Run { guarded: true, ..own });
                    }
                }
                None
            }
            At::Fail => {
                let asked = |row: &Row| row.deliveries == delivery && invoker.fresh;
                let row = row.filter(|row| asked(row) || self.has(UntoldDefect::FailWithoutDelivery));
                if let Some(row) = row {
                    line.honest &= line.ended >= MOST_UNTOLD;
                    self.fail(line, row);
                }
                None
            }
        })
    }

    fn fail(&self, line: &mut Line, row: Row) {
        let parked = row.attempt >= self.max_attempts;
        line.row = Some(Row {
            status: if parked { Status::Parked } else { Status::Pending },
            due: false,
            deliveries: 0,
            deaths: 0,
            ..row
        });
    }
}

fn send(line: &mut Line) -> Option<()> {
    let row = line.row?;
    line.sends = line.sends.checked_sub(1)?;
    line.messages.push(Message {
        attempt: row.attempt,
        delivery: row.deliveries,
    });
    Some(())
}

fn new_token(line: &mut Line) {
    line.invokers.iter_mut().for_each(|invoker| invoker.fresh = false);
}

/// Lines that differ only in what nobody will ask for any more are one.
fn forget(line: &mut Line) {
    if line.row.is_none_or(|row| row.status != Status::Claimed) {
        new_token(line);
    }
    if line.row.is_none_or(|row| row.status == Status::Parked) {
        // Nothing that is still on its way changes a row that is gone, or waits for a person.
        (line.sends, line.copies, line.ended) = (0, 0, 0);
        (line.messages, line.invokers) = (Vec::new(), Vec::new());
        (line.runs, line.reports) = (Vec::new(), Vec::new());
    }
    line.messages.sort_unstable();
    line.invokers.sort_unstable();
    line.runs.sort_unstable();
    line.reports.sort_unstable();
}
