//! What an invoker and complete do at their next await.

use super::{
    At, BatchDefect as D, Batches, End, Execution, Line, Message, Name, Named, Row, Set, Writes, each, has,
    only,
};
use crate::world::Status;

/// What comes after a step: another one, an acknowledgement, or the message's return.
pub(super) enum Then {
    On(At),
    Acknowledge,
    Return,
}

impl Named {
    /// Those of them.
    pub(super) fn only(self, events: Set) -> Self {
        let mut named = Self {
            events: self.events & events,
            ..self
        };
        for event in (0..).take(named.attempts.len()) {
            if !has(named.events, event) {
                (
                    named.attempts[usize::from(event)],
                    named.lives[usize::from(event)],
                ) = (0, 0);
            }
        }
        named
    }

    pub(super) fn attempt(&self, event: u8) -> u8 {
        self.attempts[usize::from(event)]
    }
}

impl Line {
    pub(super) fn row(&self, event: u8) -> Option<Row> {
        self.rows[usize::from(event)]
    }

    pub(super) fn execution(&self, name: Name) -> Option<Execution> {
        self.executions.iter().find(|one| one.name == name).copied()
    }
}

impl Batches {
    /// The invoker's next step.
    pub(super) fn invoke(&self, line: &mut Line, message: Message, at: At, blind: bool) -> Option<Then> {
        let name = message.name;
        let found = line.execution(name);
        Some(match at {
            _ if blind && !matches!(at, At::Describe(..)) => return None,
            At::Look => {
                let kept = |event: &u8| {
                    let row = line.row(*event);
                    row.is_some_and(|row| {
                        row.status == Status::Claimed
                            && row.attempt == message.rows.attempt(*event)
                            && row.batch == name.batch()
                    })
                };
                match each(message.rows.events).filter(kept).map(only).sum() {
                    0 => Then::Acknowledge,
                    kept => Then::On(At::Start(kept)),
                }
            }
            At::Start(rows) => {
                let input = message.rows.only(rows);
                match found {
                    _ if self.invalid.is_some_and(|invalid| has(rows, invalid)) => {
                        self.invalid(message, rows)
                    }
                    None => {
                        self.start(line, name, input);
                        self.started(message, rows)
                    }
                    Some(same) if same.end.is_none() && same.input == input => self.started(message, rows),
                    Some(_) => Then::On(At::Describe(rows, false)),
                }
            }
            At::Occupy(rows) => {
                if found.is_none() {
                    line.executions.push(Execution {
                        name,
                        input: Named::default(),
                        end: None,
                    });
                }
                Then::On(At::Describe(rows, true))
            }
            At::Describe(rows, invalid) => {
                let execution = found?;
                let mut named = execution.input.events;
                if blind {
                    match self.has(D::UnreadableNamesNobody) {
                        true => named = 0,
                        false => return Some(Then::Return),
                    }
                }
                let learned = match named {
                    0 => Writes::default(),
                    _ => self.learned(line, execution, rows, blind),
                };
                Then::On(At::Write(Writes {
                    release: match self.has(D::UnnamedIsLeft) || self.has(D::SettlesTheMessage) {
                        true => 0,
                        false => rows & !named,
                    },
                    released: message.rows.attempts,
                    alone: invalid,
                    ..learned
                }))
            }
            At::Write(writes) => self.write(line, name, writes),
        })
    }

    /// Complete's next step.
    pub(super) fn complete(&self, line: &mut Line, name: Name, at: At, blind: bool) -> Option<Then> {
        Some(match at {
            At::Describe(..) => {
                let execution = line.execution(name)?;
                if blind && !self.has(D::UnreadableIsSuccess) {
                    return Some(Then::Return);
                }
                Then::On(At::Write(self.learned(line, execution, 0, blind)))
            }
            At::Write(writes) if !blind => self.write(line, name, writes),
            _ => return None,
        })
    }

    /// What is invalid by itself is parked. Otherwise the name is taken first, by an input that names nobody, since a subset of
    /// these rows may be on its way under it.
    fn invalid(&self, message: Message, rows: Set) -> Then {
        let attempts = message.rows.attempts;
        match rows.count_ones() {
            1 => Then::On(At::Write(Writes {
                park: rows,
                attempts,
                ..Writes::default()
            })),
            _ if self.has(D::InvalidParksAll) => Then::On(At::Write(Writes {
                park: rows,
                attempts,
                company: true,
                ..Writes::default()
            })),
            _ if self.has(D::InvalidPutsBack) => Then::On(At::Write(Writes {
                release: rows,
                released: attempts,
                alone: true,
                ..Writes::default()
            })),
            _ => Then::On(At::Occupy(rows)),
        }
    }

    fn started(&self, message: Message, rows: Set) -> Then {
        match message.first {
            true => Then::On(At::Write(Writes::default())),
            false => Then::On(At::Write(Writes {
                renew: rows,
                attempts: message.rows.attempts,
                ..Writes::default()
            })),
        }
    }

    /// StartExecution under a name that is free.
    fn start(&self, line: &mut Line, name: Name, input: Named) {
        for event in each(input.events) {
            let place = usize::from(event);
            for other in &line.executions {
                let same = has(other.input.events, event) && other.input.lives[place] == input.lives[place];
                if same && other.input.attempts[place] == input.attempts[place] {
                    line.broken = Some("an attempt is in the inputs of two executions");
                } else if same && !has(line.judged, event) && !failed(*other, event) {
                    line.broken = Some("an event runs beside another run of it, or after a success");
                }
            }
        }
        let end = None;
        line.executions.push(Execution { name, input, end });
    }

    /// What an execution's input and end mean for the rows that it names; with a message's rows where one found it.
    fn learned(&self, line: &Line, execution: Execution, rows: Set, blind: bool) -> Writes {
        let Execution { name, input, end } = execution;
        let bears = |event: &u8| line.row(*event).is_some_and(|row| row.batch == name.batch());
        let mut attempts = input.attempts;
        let named = match self.defect {
            Some(D::SettlesAllOfBatch) => input.events | each(7).filter(bears).map(only).sum::<Set>(),
            Some(D::SettlesTheMessage) => input.events | rows,
            _ => input.events,
        };
        for event in each(named & !input.events) {
            attempts[usize::from(event)] = line.row(event).map_or(0, |row| row.attempt);
        }
        let company = named.count_ones() > 1;
        let writes = Writes {
            attempts,
            company,
            ..Writes::default()
        };
        let all_failed = Writes {
            fail: named,
            parkable: if company { 0 } else { named },
            ..writes
        };
        match end {
            None => Writes {
                renew: named,
                ..writes
            },
            Some(End::Succeeded(_)) if blind => Writes {
                complete: named,
                ..writes
            },
            Some(End::Succeeded(failed)) => Writes {
                complete: named & !failed,
                fail: named & failed,
                parkable: failed,
                ..writes
            },
            Some(End::Malformed) if self.has(D::MalformedIsSuccess) || blind => Writes {
                complete: named,
                ..writes
            },
            Some(End::Malformed | End::Failed) => all_failed,
        }
    }

    /// One row's write.
    fn write(&self, line: &mut Line, name: Name, mut writes: Writes) -> Then {
        let all = writes.renew | writes.complete | writes.fail | writes.park | writes.release;
        let Some(event) = each(all).next() else {
            return Then::Acknowledge;
        };
        let this = only(event);
        let row = line.row(event);
        let attempt = writes.attempts[usize::from(event)];
        let at = |attempt, without| row.filter(|row| self.is_at(row, name, attempt, without));
        if has(writes.complete, event) {
            if row.is_some()
                && !line
                    .executions
                    .iter()
                    .any(|one| one.name == name && done(*one, event))
            {
                line.broken = Some("an event is completed by an execution that did not do it");
            }
            line.set(event, None);
        } else if has(writes.renew, event) {
            if let Some(row) = at(attempt, D::RenewOfAnyBatch) {
                line.set(event, Some(Self::renew(row)));
                self.judge(line, name, event, row);
            }
        } else if has(writes.fail, event) {
            if let Some(row) = at(attempt, D::FailOfAnyBatch) {
                let parkable = has(writes.parkable, event);
                line.set(event, Some(self.fail(row, writes.company, parkable)));
                self.judge(line, name, event, row);
                let parked = line.row(event).is_some_and(|row| row.status == Status::Parked);
                if parked && !parkable {
                    line.broken = Some("a row is parked that has not failed by itself");
                }
            }
        } else if has(writes.park, event) {
            if let Some(row) = at(attempt, D::FailOfAnyBatch) {
                line.set(event, Some(self.park(row)));
                if writes.company {
                    line.broken = Some("a row is parked that has not failed by itself");
                }
            }
        } else if let Some(row) = at(writes.released[usize::from(event)], D::ReleaseOfAnyBatch) {
            if row.batch != name.batch() {
                line.broken = Some("a row is released by a message of another batch");
            }
            line.set(event, Some(self.release(row, writes.alone)));
        }
        for set in [
            &mut writes.renew,
            &mut writes.complete,
            &mut writes.fail,
            &mut writes.park,
            &mut writes.release,
            &mut writes.parkable,
        ] {
            *set &= !this;
        }
        Then::On(At::Write(writes))
    }

    /// A row that is renewed or failed is one that the execution names.
    fn judge(&self, line: &mut Line, name: Name, event: u8, row: Row) {
        let place = usize::from(event);
        let names = |one: &Execution| {
            one.name == name
                && has(one.input.events, event)
                && one.input.attempts[place] == row.attempt
                && one.input.lives[place] == line.lives[place]
        };
        if !line.executions.iter().any(names) {
            line.broken = Some("a row is settled, or renewed, by an execution that does not name it");
        }
    }
}

/// Whether it named the event, and did it.
pub(super) fn done(execution: Execution, event: u8) -> bool {
    let named = has(execution.input.events, event);
    named && matches!(execution.end, Some(End::Succeeded(failed)) if !has(failed, event))
}

/// Whether it named the event, and ended without doing it.
pub(super) fn failed(execution: Execution, event: u8) -> bool {
    has(execution.input.events, event) && execution.end.is_some() && !done(execution, event)
}
