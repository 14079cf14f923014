//! What must hold in every state. The checks look at what S3 was told and what executions ran, not at what the ledger believes.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use stateright::{Model, Property};

use crate::protocol::{Action, Protocol};
use crate::receipts::{is_covered, is_newer};
use crate::steps::How;
use crate::world::{Broken, Event, IngestAt, Process, Progress, Row, Status, World};

/// So many rounds of every function are enough for a row to end: each round settles one attempt, or replays one.
const ROUNDS: usize = 24;

/// The properties, by name.
pub fn properties() -> Vec<Property<Protocol>> {
    vec![
        Property::always(
            "no acknowledged event is lost",
            |model: &Protocol, world: &World| events(world).all(|event| is_kept(model, world, event)),
        ),
        Property::always("one execution per event and attempt", |_, world: &World| {
            world.executions.iter().all(|execution| execution.starts == 1)
        }),
        Property::always("attempts are honest", |model: &Protocol, world: &World| {
            events(world).all(|event| is_honest(model, world, event))
        }),
        Property::always(
            "never more than N per window",
            |model: &Protocol, world: &World| {
                world
                    .sent
                    .iter()
                    .all(|sent| *sent <= model.rules.bounds.per_window)
            },
        ),
        Property::always(
            "neither scheduler nor sweep starves beside the other",
            |_, world: &World| world.broken != Some(Broken::Starved),
        ),
        Property::always(
            "what is gone has left a receipt, and receipts get no older",
            |model: &Protocol, world: &World| {
                world.broken != Some(Broken::OlderReceipt)
                    && events(world).all(|event| has_receipt(model, world, event))
            },
        ),
        Property::always(
            "a claim is believed by its maker only, and never before its time",
            |_, world: &World| !matches!(world.broken, Some(Broken::FalseClaim | Broken::TooEarly)),
        ),
        Property::always(
            "an attempt is put on the queue again by the sweep only",
            |_, world: &World| world.broken != Some(Broken::QueuedTwice),
        ),
        Property::always(
            "a notification takes one grant at most, however often it is received",
            |_, world: &World| world.broken != Some(Broken::GrantedAgain),
        ),
        Property::always("what a person stops uses no attempt", |_, world: &World| {
            world.broken != Some(Broken::StopSettled)
        }),
        Property::always("a row of a newer release stays as it is", |_, world: &World| {
            world.broken != Some(Broken::NewerChanged)
        }),
        Property::always("runs are repeated as documented only", |_, world: &World| {
            world.broken != Some(Broken::Duplicate)
        }),
        Property::always(
            "everything drains when faults stop",
            |model: &Protocol, world: &World| !world.processes.is_empty() || model.drains(world),
        ),
        Property::sometimes("an event is completed", |_, world: &World| {
            events(world).any(|event| is_gone(world, event) && succeeded(world, event))
        }),
        Property::sometimes("an event is recorded as claimed", |_, world: &World| {
            world.processes.iter().any(|process| {
                matches!(
                    process,
                    Process::Ingest {
                        at: IngestAt::Send,
                        ..
                    }
                )
            })
        }),
        Property::sometimes("a row is parked", |_, world: &World| {
            world
                .rows
                .iter()
                .flatten()
                .any(|row| row.status == Status::Parked)
        }),
        Property::sometimes("a message is redelivered", |_, world: &World| {
            world.queue.iter().any(|message| !message.first)
        }),
        Property::sometimes(
            "an event is recorded again and replays an old attempt",
            |model: &Protocol, world: &World| {
                let most = model.rules.bounds.max_attempts;
                world
                    .rows
                    .iter()
                    .flatten()
                    .any(|row| row.rounds == 0 && row.max_attempts > most)
            },
        ),
        Property::sometimes(
            "an event runs beside an attempt that a person called failed",
            |_, world: &World| world.memory.iter().any(|memory| memory.ran_beside),
        ),
        Property::sometimes("an execution is stopped for a person", |_, world: &World| {
            world.memory.iter().any(|memory| memory.stopped != 0)
        }),
        Property::sometimes(
            "an event that was cancelled succeeds all the same, and is done",
            |_, world: &World| {
                let is_cancelled = |event: Event| world.memory[usize::from(event)].cancelled != 0;
                let on_its_own = |event: Event| {
                    let mut executions = world.executions.iter();
                    executions.any(|one| {
                        let is_its = one.event == event && world.by_person(event, one.attempt);
                        is_its && one.progress == Progress::Succeeded
                    })
                };
                events(world).any(|event| is_cancelled(event) && is_gone(world, event) && on_its_own(event))
            },
        ),
        Property::sometimes(
            "an event succeeds while its row is a newer release's",
            |model: &Protocol, world: &World| {
                let is_newer = |event: Event| world.row(event).is_some_and(|row| row.newer);
                events(world).any(|event| is_newer(event) && is_covered(&model.rules, world, event))
            },
        ),
        Property::sometimes("an event is covered by a newer upload", |_, world: &World| {
            events(world).any(|event| is_gone(world, event) && !succeeded(world, event))
        }),
    ]
}

pub(crate) fn events(world: &World) -> impl Iterator<Item = Event> + use<> {
    0..u8::try_from(world.rows.len()).unwrap_or(u8::MAX)
}

/// Acknowledged, and no row any more.
fn is_gone(world: &World, event: Event) -> bool {
    world.memory[usize::from(event)].acknowledged && world.row(event).is_none()
}

fn succeeded(world: &World, event: Event) -> bool {
    let mut executions = world.executions.iter();
    executions.any(|execution| execution.event == event && execution.progress == Progress::Succeeded)
}

/// Its row is there, or it succeeded, or a person removed it, or a newer upload of the same key succeeded.
fn is_kept(model: &Protocol, world: &World, event: Event) -> bool {
    let uploads = model.rules.bounds.uploads;
    let object = |event: Event| uploads[usize::from(event)].object;
    let newer = |other: Event| {
        object(other) == object(event) && is_newer(uploads, event, other) && succeeded(world, other)
    };
    !is_gone(world, event)
        || succeeded(world, event)
        || world.memory[usize::from(event)].removed
        || events(world).any(newer)
}

/// Every attempt that the row has behind it failed, and a parked row had all its attempts since it was recorded, but for those that it had left
/// when a person cancelled it.
fn is_honest(model: &Protocol, world: &World, event: Event) -> bool {
    let Some(row) = world.row(event) else { return true };
    let by_person = |attempt: u8| world.by_person(event, attempt);
    let failed = |attempt: u8, row: Row| {
        let execution = world.execution(event, attempt);
        let of = execution.filter(|execution| execution.progress == Progress::Failed);
        (
            of.is_some(),
            of.is_some_and(|execution| execution.life >= row.life),
        )
    };
    let behind = match row.status {
        Status::Claimed => row.attempt.saturating_sub(1),
        Status::Pending | Status::Parked => row.attempt,
    };
    let all_failed = (1..=behind).all(|attempt| failed(attempt, row).0 || by_person(attempt));
    let used = (1..=row.attempt).filter(|attempt| failed(*attempt, row).1 || by_person(*attempt));
    let rounds = usize::from(model.rules.bounds.max_attempts) * (1 + usize::from(row.rounds));
    let limit = rounds.saturating_sub(row.spared.into());
    all_failed && (row.status != Status::Parked || used.count() >= limit)
}

fn has_receipt(model: &Protocol, world: &World, event: Event) -> bool {
    let uploads = model.rules.bounds.uploads;
    let object = usize::from(uploads[usize::from(event)].object);
    let as_new = world.receipts[object].is_some_and(|receipt| !is_newer(uploads, receipt.event, event));
    !is_gone(world, event) || as_new || world.expired[object]
}

impl Protocol {
    /// Whether everything that is open ends when faults stop, functions run as scheduled, paused dispatch is resumed, and no
    /// status event ever comes any more. Asked of states in which nothing is in mid-step: every process ends after some steps, so
    /// all others lead to such a state. Rows of a newer release keep no other row from ending, and end when it is back.
    pub fn drains(&self, world: &World) -> bool {
        let mut back = world.clone();
        for row in back.rows.iter_mut().flatten() {
            row.newer = false;
        }
        (back == *world || self.drains_beside(world)) && self.drains_beside(&back)
    }

    fn drains_beside(&self, world: &World) -> bool {
        let mut world = world.clone();
        world.faults = 0;
        world.operator = 0;
        world.control.paused = false;
        let mut passed = Vec::new();
        for _ in 0..ROUNDS {
            let mut hasher = DefaultHasher::new();
            (&world.rows, &world.control, &world.receipts, &world.intake).hash(&mut hasher);
            world.received.hash(&mut hasher);
            (&world.queue, &world.statuses, &world.executions, world.clock).hash(&mut hasher);
            let key = hasher.finish();
            passed.push(key);
            let is_known = self.drained.lock().is_ok_and(|drained| drained.contains(&key));
            if is_known || self.is_drained(&world) {
                if let Ok(mut drained) = self.drained.lock() {
                    drained.extend(passed);
                }
                return true;
            }
            self.round(&mut world);
        }
        false
    }

    fn is_drained(&self, world: &World) -> bool {
        let ended = |row: &Row| row.status == Status::Parked || row.newer;
        world.rows.iter().flatten().all(ended) && world.intake.iter().all(|copies| *copies == 0)
    }

    /// Every function runs once, in a window of its own.
    fn round(&self, world: &mut World) {
        world.clock += 1;
        world.sent.clear();
        for event in events(world) {
            while world.intake[usize::from(event)] > 0 {
                let process = self.ingest(world, event, true, true);
                self.run(world, process);
            }
        }
        // Those that come again, come in the next round.
        for message in world.queue.clone() {
            self.run(world, self.invoke(message));
        }
        let running = |one: &&crate::world::Execution| one.progress == Progress::Running;
        while let Some(execution) = world.executions.iter().find(running).copied() {
            self.act(world, Action::End(execution, true, 0));
        }
        for event in events(world) {
            if let Some(row) = &mut world.rows[usize::from(event)] {
                row.due |= row.status != Status::Parked;
            }
            let sweep = self.sweep(world, event);
            sweep.into_iter().for_each(|process| self.run(world, process));
        }
        if !events(world).any(|event| self.sweep(world, event).is_some()) {
            self.act(world, Action::NothingOwed);
        }
        self.act(world, Action::NothingDue);
        for event in events(world) {
            let waits = |row: Row| row.status == Status::Pending && self.is_taken_up(&row);
            if world.row(event).is_some_and(waits) {
                let process = self.schedule(world, world.clock, event, true);
                self.run(world, process);
            }
        }
    }

    fn act(&self, world: &mut World, action: Action) {
        if let Some(next) = self.after(world, action) {
            *world = next;
        }
    }

    /// A process from its beginning to its end, with nothing between.
    fn run(&self, world: &mut World, process: Process) {
        world.processes = vec![process];
        while let Some(process) = world.processes.first().copied() {
            let waits = Action::Step(process, How::Waits);
            // As many messages as stale rows: they are taken to wait there.
            let next = match world.queue.is_empty() {
                true => None,
                false => self.next_state(world, waits),
            };
            let next = next.or_else(|| self.after(world, Action::Step(process, How::Answered)));
            match next {
                Some(next) => *world = next,
                None => world.processes.clear(),
            }
        }
    }
}
