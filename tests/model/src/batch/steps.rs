//! What each act does; `None` where it cannot happen.

use super::invoke::Then;
use super::{
    Act, At, BatchDefect as D, Batches, Claimed, End, Line, MOVES, Message, Name, Named, Process, Row, Set,
    each, has, only,
};
use crate::world::{Status, take_one};

impl Line {
    /// Writes a row with a new `due_at`: who saw it before has lost it.
    pub(super) fn set(&mut self, event: u8, row: Option<Row>) {
        self.rows[usize::from(event)] = row;
        for process in &mut self.processes {
            match process {
                Process::Schedule { fresh, .. } => *fresh &= !only(event),
                Process::Late { event: of, fresh, .. } if *of == event => *fresh = false,
                _ => {}
            }
        }
    }

    fn named(&self, events: Set) -> Named {
        let mut named = Named {
            events,
            ..Named::default()
        };
        for event in each(events) {
            named.attempts[usize::from(event)] = self.row(event).map_or(0, |row| row.attempt);
            named.lives[usize::from(event)] = self.lives[usize::from(event)];
        }
        named
    }
}

impl Batches {
    /// What the line is after that.
    pub(super) fn after(&self, line: &Line, act: Act) -> Option<Line> {
        let mut next = line.clone();
        match act {
            Act::Claim(rows, other, batch) => self.claims(&mut next, rows, other, batch)?,
            Act::Send(process, name) => self.send(&mut next, process, name)?,
            Act::Surplus(process, event) => self.surplus(&mut next, process, event)?,
            Act::Arrives(process) => {
                take_one(&mut next.processes, &process).then_some(())?;
                let Process::Late { batch, event, fresh } = process else {
                    return None;
                };
                let row = next.row(event).filter(|_| fresh)?;
                next.set(event, Some(Self::claim(row, batch)?));
            }
            Act::Step(process) => self.step(&mut next, process, false)?,
            Act::Blind(process) => self.step(&mut next, process, true)?,
            Act::Dies(process) => take_one(&mut next.processes, &process).then_some(())?,
            Act::Receive(message) => {
                let room = next.working() < self.at_once && next.messages.contains(&message);
                room.then_some(())?;
                let at = match message.first {
                    true => At::Start(message.rows.events),
                    false => At::Look,
                };
                next.processes.push(Process::Invoke(message, at));
            }
            Act::Told(name) => {
                (next.working() < self.at_once && next.statuses.contains(&name)).then_some(())?;
                next.processes
                    .push(Process::Complete(name, At::Describe(0, false)));
            }
            Act::Double(message) => {
                next.faults = next.faults.checked_sub(1)?;
                next.messages.push(message);
            }
            Act::Redeliver(rows) => self.redeliver(&mut next, rows)?,
            Act::SeenRunning(event) => {
                let row = next.row(event).filter(|row| row.status == Status::Claimed)?;
                let execution = next.execution(self.name(event, &row))?;
                let moved = Row {
                    moves: row.moves + 1,
                    ..row
                };
                let counts = row.batch != 0 && !self.has(D::RunningRenews);
                (execution.end.is_none() && (!counts || row.moves < MOVES)).then_some(())?;
                next.set(event, Some(if counts { moved } else { Self::renew(row) }));
            }
            Act::Ends(execution, end) => {
                let ended = next.executions.iter_mut().find(|one| **one == execution)?;
                ended.end = Some(end);
                next.statuses.push(execution.name);
            }
            Act::Again(event) => {
                next.faults = next.faults.checked_sub(1)?;
                next.row(event).is_none().then_some(())?;
                next.lives[usize::from(event)] += 1;
                next.judged &= !only(event);
                next.set(event, Some(self.new_row()));
            }
            Act::Release(event) | Act::Fail(event) | Act::Remove(event) | Act::Redrive(event) => {
                next.person = next.person.checked_sub(1)?;
                self.person(&mut next, act, event)?;
            }
        }
        self.forget(&mut next);
        Some(next)
    }

    pub(super) fn new_row(&self) -> Row {
        Row {
            status: Status::Pending,
            attempt: 0,
            max_attempts: self.max_attempts,
            batch: 0,
            alone: false,
            moves: 0,
        }
    }

    /// One claim call, all its rows with one token.
    fn claims(&self, line: &mut Line, rows: Set, other: Option<(u8, Claimed)>, batch: bool) -> Option<()> {
        (line.calls < self.calls).then_some(())?;
        line.calls += 1;
        let token = if batch { line.calls } else { 0 };
        let mut known = 0;
        for event in each(rows) {
            let row = line.row(event)?;
            let how = other.filter(|(of, _)| *of == event).map(|(_, how)| how);
            let claimed = Self::claim(row, token)?;
            match how {
                None | Some(Claimed::Known) => {
                    line.set(event, Some(claimed));
                    known |= only(event);
                }
                Some(Claimed::Unknown) => line.set(event, Some(claimed)),
                Some(Claimed::Late) => line.processes.push(Process::Late {
                    batch: token,
                    event,
                    fresh: true,
                }),
            }
        }
        let mut named = line.named(known);
        if let Some((event, _)) = other.filter(|_| self.has(D::UnprovenIsSent)) {
            let place = usize::from(event);
            let claimed = u8::from(line.row(event)?.status == Status::Pending);
            named.events |= only(event);
            named.attempts[place] = line.row(event)?.attempt + claimed;
            named.lives[place] = line.lives[place];
        }
        if named.events != 0 {
            let is_alone = |event: &u8| line.row(*event).is_some_and(|row| row.alone);
            let alone = each(named.events).filter(is_alone).map(only).sum();
            line.processes.push(Process::Schedule {
                batch: token,
                rows: named,
                alone,
                fresh: known,
            });
        }
        Some(())
    }

    /// The names of the messages that a claim call has to send, by what its rows say of themselves.
    pub(super) fn groups(&self, batch: u8, rows: Named, alone: Set) -> Vec<(Name, Set)> {
        let mut groups: Vec<(Name, Set)> = Vec::new();
        for event in each(rows.events) {
            let alone = has(alone, event);
            let name = match batch {
                0 => Name::Single(event, rows.attempt(event)),
                _ if alone && !self.has(D::AloneIsIgnored) => Name::Alone(batch, event),
                _ => Name::Batch(batch),
            };
            match groups.iter_mut().find(|(of, _)| *of == name) {
                Some((_, group)) => *group |= only(event),
                None => groups.push((name, only(event))),
            }
        }
        groups
    }

    fn send(&self, line: &mut Line, process: Process, name: Name) -> Option<()> {
        take_one(&mut line.processes, &process).then_some(())?;
        let Process::Schedule {
            batch,
            rows,
            alone,
            fresh,
        } = process
        else {
            return None;
        };
        let groups = self.groups(batch, rows, alone);
        let (_, group) = groups.into_iter().find(|(of, _)| *of == name)?;
        line.messages.push(Message {
            name,
            rows: rows.only(group),
            first: true,
        });
        let rest = Process::Schedule {
            batch,
            rows: rows.only(!group),
            alone: alone & !group,
            fresh: fresh & !group,
        };
        if rows.events != group {
            line.processes.push(rest);
        }
        Some(())
    }

    /// CLAIMED, our token, due_at as claimed → PENDING, due now, the attempt unused.
    fn surplus(&self, line: &mut Line, process: Process, event: u8) -> Option<()> {
        take_one(&mut line.processes, &process).then_some(())?;
        let Process::Schedule {
            batch,
            rows,
            alone,
            fresh,
        } = process
        else {
            return None;
        };
        let asked = has(fresh, event) || self.has(D::ReleaseWithoutDueAt);
        let row = line
            .row(event)
            .filter(|row| row.status == Status::Claimed && row.batch == batch && asked);
        if let Some(row) = row {
            line.set(event, Some(self.release(row, false)));
        }
        if rows.events != only(event) {
            line.processes.push(Process::Schedule {
                batch,
                rows: rows.only(!only(event)),
                alone: alone & !only(event),
                fresh: fresh & !only(event),
            });
        }
        Some(())
    }

    /// CLAIMED, due_at as seen (over then) → a new lease, the same T, and the same message for those rows.
    fn redeliver(&self, line: &mut Line, rows: Set) -> Option<()> {
        line.sends = line.sends.checked_sub(1)?;
        let mut name = None;
        for event in each(rows) {
            let row = line.row(event).filter(|row| row.status == Status::Claimed)?;
            let of = self.name(event, &row);
            (name.is_none() || name == Some(of)).then_some(())?;
            name = Some(of);
        }
        let mut name = name?;
        if self.has(D::RedeliveryIsNew) {
            line.calls += 1;
            name = Name::Batch(line.calls);
        }
        for event in each(rows) {
            let row = line.row(event)?;
            let batch = if self.has(D::RedeliveryIsNew) {
                line.calls
            } else {
                row.batch
            };
            line.set(event, Some(Row { batch, ..row }));
        }
        let first = false;
        let rows = line.named(rows);
        line.messages.push(Message { name, rows, first });
        Some(())
    }

    fn step(&self, line: &mut Line, process: Process, blind: bool) -> Option<()> {
        take_one(&mut line.processes, &process).then_some(())?;
        match process {
            Process::Invoke(message, at) => match self.invoke(line, message, at, blind)? {
                Then::On(at) => line.processes.push(Process::Invoke(message, at)),
                Then::Acknowledge => drop(take_one(&mut line.messages, &message)),
                Then::Return => {}
            },
            Process::Complete(name, at) => match self.complete(line, name, at, blind)? {
                Then::On(at) => line.processes.push(Process::Complete(name, at)),
                Then::Acknowledge => drop(take_one(&mut line.statuses, &name)),
                Then::Return => {}
            },
            Process::Schedule { .. } | Process::Late { .. } => return None,
        }
        Some(())
    }

    fn person(&self, line: &mut Line, act: Act, event: u8) -> Option<()> {
        let row = line.row(event)?;
        let claimed = row.status == Status::Claimed;
        let written = match act {
            // Only its lease ends: the sweep sends it again, and the name decides.
            Act::Release(_) if claimed => {
                let back = match row.batch {
                    0 => self.has(D::SinglePutBack),
                    _ => self.has(D::PersonPutsBack),
                };
                Some(if back { self.release(row, false) } else { row })
            }
            Act::Fail(_) if claimed => {
                line.judged |= only(event);
                Some(self.fail(row, false, true))
            }
            Act::Remove(_) => {
                line.judged |= only(event);
                None
            }
            Act::Redrive(_) if row.status == Status::Parked => Some(Row {
                status: Status::Pending,
                max_attempts: row.attempt + self.max_attempts,
                alone: false,
                ..row
            }),
            _ => return None,
        };
        line.set(event, written);
        Some(())
    }

    /// Lines that differ only in what nobody will ask for any more are one.
    fn forget(&self, line: &mut Line) {
        line.processes
            .retain(|process| !matches!(process, Process::Late { fresh: false, .. }));
        if line.faults == 0 {
            // What is gone stays gone: there is nothing to say of it.
            let rows = line.rows;
            let is_there = |event: u8| rows[usize::from(event)].is_some();
            let executions = &line.executions;
            let named = |name: &Name| {
                executions
                    .iter()
                    .find(|one| one.name == *name)
                    .map_or(0, |one| one.input.events)
            };
            line.statuses.retain(|name| each(named(name)).any(is_there));
        }
        line.messages.sort_unstable();
        line.executions.sort_unstable();
        line.statuses.sort_unstable();
        line.statuses.dedup();
        line.processes.sort_unstable();
    }

    /// How an execution may end.
    pub(super) fn ends(&self, input: Set) -> Vec<End> {
        if self.poison.is_some_and(|poison| has(input, poison)) {
            return vec![End::Failed];
        }
        let mut ends = vec![End::Succeeded(0)];
        if self.failures {
            ends.push(End::Failed);
        }
        if self.lists && input != 0 {
            ends.push(End::Malformed);
            ends.extend(each(input).map(|event| End::Succeeded(only(event))));
        }
        ends
    }
}

impl Line {
    /// Invokers and completes in mid-step.
    pub(super) fn working(&self) -> usize {
        let works = |process: &&Process| matches!(process, Process::Invoke(..) | Process::Complete(..));
        self.processes.iter().filter(works).count()
    }
}
