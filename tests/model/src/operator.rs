//! What a person does, as `ledger/src/operator.rs` and the command line have it.

use crate::bounds::Verb;
use crate::checks::events;
use crate::defects::Defect;
use crate::protocol::{Action, Protocol};
use crate::rows;
use crate::world::{CancelAt, Event, Process, Row, Status, World};

impl Protocol {
    /// What a person may do next.
    pub(crate) fn persons(&self, world: &World, actions: &mut Vec<Action>) {
        if world.operator == 0 {
            return;
        }
        for &verb in self.rules.bounds.operator.0 {
            match verb {
                Verb::Pause if !world.control.paused => actions.push(Action::Person(verb, 0)),
                Verb::Resume if world.control.paused => actions.push(Action::Person(verb, 0)),
                Verb::Pause | Verb::Resume => {}
                _ => actions.extend(
                    events(world)
                        .filter(|event| world.row(*event).is_some())
                        .map(|event| Action::Person(verb, event)),
                ),
            }
        }
    }

    /// A person does it.
    pub(crate) fn person(&self, world: &mut World, verb: Verb, event: Event) -> Option<()> {
        world.operator -= 1;
        let round = self.rules.bounds.max_attempts;
        let changed = match verb {
            Verb::Pause | Verb::Resume => {
                let paused = verb == Verb::Pause;
                world.control.paused = paused;
                return Some(());
            }
            Verb::Remove => {
                world.row(event).filter(|row| rows::is_known(*row))?;
                world.memory(event).removed = true;
                world.processes.push(Process::Remove {
                    event,
                    receipt: false,
                });
                world.sort();
                return Some(());
            }
            Verb::Cancel => {
                let is_claimed = |row: &Row| rows::is_known(*row) && row.status == Status::Claimed;
                let row = world.row(event).filter(is_claimed)?;
                world.processes.push(Process::Cancel {
                    event,
                    attempt: row.attempt,
                    at: match self.rules.has(Defect::CancelStopsFirst) {
                        true => CancelAt::Stop,
                        false => CancelAt::Park,
                    },
                });
                world.sort();
                return Some(());
            }
            Verb::Redrive => {
                let redriven = rows::redrive(world.row(event)?, round)?;
                match self.rules.has(Defect::RedriveWithoutRound) {
                    true => Row {
                        max_attempts: world.row(event)?.max_attempts,
                        ..redriven
                    },
                    false => redriven,
                }
            }
            Verb::Free => rows::free(world.row(event)?)?,
            Verb::Fail => {
                let row = world.row(event)?;
                world.memory(event).failed_by_person |= 1 << row.attempt;
                let ended = (row.attempt >= row.max_attempts, row.max_attempts);
                rows::fail(row, row.attempt, row.life, ended, &self.rules)?
            }
        };
        world.write(event, Some(changed), false);
        Some(())
    }
}
