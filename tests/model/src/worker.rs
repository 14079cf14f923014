//! Worker mode as a model of its own: one event, two workers, no execution names. Claiming and sending are one step here, since the
//! other model takes them apart. So many receives are deaths: 3 in the manager, [`MOST_RECEIVES`] here.
//!
//! One assumption about time: a lease does not end while its worker runs the target. The worker stops in the last sixth of a
//! lease that it could not extend, so it holds while clocks agree to a sixth of a lease. During the report it may end.

use std::fmt;

use clap::ValueEnum;
use stateright::{Model, Property};

use crate::world::Status;

/// Received more often than this, and taken before, a message has killed its workers.
pub const MOST_RECEIVES: u8 = 1;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum WorkerDefect {
    /// A message takes a row that another worker holds.
    TakeWithoutLease,
    /// A message takes a row at another attempt.
    TakeWithoutAttempt,
    /// The sweep redelivers rows whose leases are not over.
    SweepHeldRows,
    /// A worker acknowledges its message before it reports, and the sweep leaves held rows alone.
    SweepSkipsHeldRows,
    /// A failure is written without asking for the attempt.
    FailWithoutAttempt,
    /// A worker puts a row back without asking for its token.
    PostponeWithoutToken,
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    status: Status,
    due: bool,
    attempt: u8,
    /// `deliveries` of 0: taken since it was last sent.
    held: bool,
    /// `lease_moves` above 0.
    moved: bool,
    /// The worker whose token it bears.
    token: Option<u8>,
}

/// A message: its attempt, how often it was received, and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    attempt: u8,
    receives: u8,
    with: Option<u8>,
}

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Worker {
    /// Without a message.
    Idle,
    /// Before it takes the row.
    Take(Message),
    /// The target runs.
    Runs(Message),
    /// The target succeeded; the receipt is to be written.
    Receipt(Message),
    /// The row is to be deleted.
    Delete(Message),
    /// The target failed, or let workers die.
    Fail(Message),
    /// It was told to stop.
    Postpone(Message),
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shop {
    row: Option<Row>,
    receipt: bool,
    messages: Vec<Message>,
    workers: [Worker; 2],
    sends: u8,
    faults: u8,
    // For the checks: what happened in the current attempt, and what ever did.
    failed: [bool; 4],
    died: [bool; 4],
    succeeded: bool,
    unreported: bool,
    honest: bool,
    broken: Option<&'static str>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// The scheduler claims the row and sends its message.
    Dispatch,
    /// The sweep deletes a covered row, or sends once more.
    Sweep,
    /// The sweep takes the message for one that waits.
    MoveLease,
    /// `due_at` passes.
    Due,
    /// A worker receives a message.
    Receive(u8, Message),
    /// A message that nobody works on is seen again.
    Visible(Message),
    /// The queue loses it.
    Lose(Message),
    /// The queue has a copy of it.
    Double(Message),
    /// A worker takes its next step.
    Step(u8),
    /// The same, applied, and the answer is lost.
    Unanswered(u8),
    /// The target fails.
    Fails(u8),
    /// The worker is told to stop.
    Stops(u8),
    /// The lease cannot be extended: the run is stopped, nothing is reported.
    LosesLease(u8),
    /// The worker dies.
    Dies(u8),
}

/// Worker mode.
#[derive(Clone, Copy, Debug)]
pub struct Workshop {
    /// Messages that may be sent.
    pub sends: u8,
    /// Doubled messages.
    pub faults: u8,
    /// After this attempt it is parked.
    pub max_attempts: u8,
    /// Whether an answer of a take may be lost.
    pub lost_takes: bool,
    /// What is planted.
    pub defect: Option<WorkerDefect>,
}

impl Workshop {
    /// Two attempts, two messages, one of them doubled, nothing planted.
    pub const SOUND: Self = Self {
        sends: 2,
        faults: 1,
        max_attempts: 2,
        lost_takes: false,
        defect: None,
    };

    fn has(&self, defect: WorkerDefect) -> bool {
        self.defect == Some(defect)
    }

    fn take(&self, shop: &mut Shop, worker: u8, message: Message, answered: bool) -> Option<()> {
        let slot = usize::from(worker);
        let free = |row: &Row| !row.held || row.due || row.moved || self.has(WorkerDefect::TakeWithoutLease);
        let same = |row: &Row| row.attempt == message.attempt || self.has(WorkerDefect::TakeWithoutAttempt);
        let row = shop
            .row
            .filter(|row| row.status == Status::Claimed && same(row) && free(row));
        let Some(row) = row else {
            // Stale: dropped.
            answered.then_some(())?;
            forget(shop, worker);
            shop.workers[slot] = Worker::Idle;
            return Some(());
        };
        shop.row = Some(Row {
            held: true,
            due: false,
            moved: false,
            token: Some(worker),
            ..row
        });
        if !answered {
            self.lost_takes.then_some(())?;
            shop.workers[slot] = Worker::Idle;
            return Some(());
        }
        shop.workers[slot] = match row.held {
            true if shop.receipt => Worker::Delete(message),
            true if message.receives > MOST_RECEIVES => {
                if !shop.died[usize::from(row.attempt)] {
                    shop.honest = false;
                }
                shop.failed[usize::from(row.attempt)] = true;
                Worker::Fail(message)
            }
            _ => {
                let others = shop.workers.iter().any(|other| matches!(other, Worker::Runs(_)));
                if others {
                    shop.broken = Some("two workers run it at once");
                }
                if shop.succeeded && !shop.unreported {
                    shop.broken = Some("it runs again after a success that was reported");
                }
                Worker::Runs(message)
            }
        };
        Some(())
    }

    fn step(&self, shop: &mut Shop, worker: u8, answered: bool) -> Option<()> {
        let slot = usize::from(worker);
        let at = shop.workers[slot];
        let next = match at {
            Worker::Idle => return None,
            Worker::Take(message) => return self.take(shop, worker, message, answered),
            Worker::Runs(message) => {
                answered.then_some(())?;
                shop.succeeded = true;
                Worker::Receipt(message)
            }
            Worker::Receipt(message) => {
                shop.receipt = true;
                Worker::Delete(message)
            }
            Worker::Delete(_) => {
                shop.row = None;
                Worker::Idle
            }
            Worker::Fail(message) => {
                let row = shop.row.filter(|row| {
                    row.status == Status::Claimed
                        && (row.attempt == message.attempt || self.has(WorkerDefect::FailWithoutAttempt))
                });
                if let Some(row) = row {
                    let parks = row.attempt >= self.max_attempts;
                    let status = if parks { Status::Parked } else { Status::Pending };
                    shop.row = Some(Row {
                        status,
                        due: false,
                        ..row
                    });
                }
                Worker::Idle
            }
            Worker::Postpone(message) => {
                let row = shop.row.filter(|row| {
                    let ours = row.token == Some(worker) || self.has(WorkerDefect::PostponeWithoutToken);
                    row.status == Status::Claimed && row.attempt == message.attempt && ours
                });
                if let Some(row) = row {
                    let attempt = row.attempt - 1;
                    shop.row = Some(Row {
                        status: Status::Pending,
                        due: false,
                        attempt,
                        held: false,
                        ..row
                    });
                }
                Worker::Idle
            }
        };
        shop.workers[slot] = next;
        match (next, answered) {
            (Worker::Idle, true) => forget(shop, worker),
            // It dies, or gives up, before it says more: the message comes again.
            (_, false) => {
                shop.unreported |= shop.succeeded;
                let (Worker::Receipt(message)
                | Worker::Delete(message)
                | Worker::Fail(message)
                | Worker::Postpone(message)) = at
                else {
                    return None;
                };
                shop.died[usize::from(message.attempt)] = true;
                shop.workers[slot] = Worker::Idle;
            }
            _ => {}
        }
        Some(())
    }

    fn after(&self, shop: &Shop, act: Act) -> Option<Shop> {
        let mut next = shop.clone();
        match act {
            Act::Dispatch => {
                let row = next.row.filter(|row| row.status == Status::Pending && row.due)?;
                let attempt = row.attempt + 1;
                next.row = Some(Row {
                    status: Status::Claimed,
                    due: false,
                    attempt,
                    held: false,
                    moved: false,
                    token: None,
                });
                send(&mut next, attempt)?;
            }
            Act::Sweep | Act::MoveLease => {
                let row = next.row.filter(|row| row.status == Status::Claimed)?;
                (row.due || self.has(WorkerDefect::SweepHeldRows)).then_some(())?;
                (!row.held || !self.has(WorkerDefect::SweepSkipsHeldRows)).then_some(())?;
                if next.receipt {
                    next.row = None;
                } else if act == Act::MoveLease {
                    (!row.moved && !next.messages.is_empty()).then_some(())?;
                    next.row = Some(Row {
                        due: false,
                        moved: true,
                        ..row
                    });
                } else {
                    next.row = Some(Row {
                        due: false,
                        held: false,
                        token: None,
                        ..row
                    });
                    send(&mut next, row.attempt)?;
                }
            }
            Act::Due => {
                let row = next.row.as_mut()?;
                let runs = |worker: &Worker| matches!(worker, Worker::Runs(_));
                let held = row.held
                    && row
                        .token
                        .is_some_and(|worker| runs(&shop.workers[usize::from(worker)]));
                (!row.due && !held && row.status != Status::Parked).then_some(())?;
                row.due = true;
                // Whoever has it lost the lease before its report was in the ledger.
                let reports = |worker: u8| shop.workers[usize::from(worker)] != Worker::Idle;
                let lost = row.held && row.token.is_some_and(reports);
                next.died[usize::from(row.attempt)] |= lost;
                next.unreported |= lost && shop.succeeded;
            }
            Act::Receive(worker, message) => {
                let found = next.messages.iter_mut().find(|other| **other == message)?;
                found.receives = found.receives.saturating_add(1).min(MOST_RECEIVES + 1);
                found.with = Some(worker);
                next.workers[usize::from(worker)] = Worker::Take(*found);
            }
            Act::Visible(message) => {
                next.messages.iter_mut().find(|other| **other == message)?.with = None;
            }
            Act::Lose(message) => drop(crate::world::take_one(&mut next.messages, &message)),
            Act::Double(message) => {
                next.faults = next.faults.checked_sub(1)?;
                next.messages.push(Message {
                    with: None,
                    ..message
                });
            }
            Act::Step(worker) => self.step(&mut next, worker, true)?,
            Act::Unanswered(worker) => self.step(&mut next, worker, false)?,
            Act::Fails(worker) | Act::Stops(worker) | Act::LosesLease(worker) | Act::Dies(worker) => {
                let slot = usize::from(worker);
                let at = shop.workers[slot];
                next.workers[slot] = match (act, at) {
                    (Act::Dies(_), Worker::Idle | Worker::Take(_)) => Worker::Idle,
                    (Act::Dies(_), Worker::Receipt(message) | Worker::Delete(message)) => {
                        next.unreported = true;
                        next.died[usize::from(message.attempt)] = true;
                        Worker::Idle
                    }
                    (Act::Dies(_), Worker::Fail(message) | Worker::Postpone(message)) => {
                        next.died[usize::from(message.attempt)] = true;
                        Worker::Idle
                    }
                    (Act::Dies(_) | Act::LosesLease(_), Worker::Runs(message)) => {
                        next.died[usize::from(message.attempt)] = true;
                        Worker::Idle
                    }
                    (Act::Fails(_), Worker::Runs(message)) => {
                        next.failed[usize::from(message.attempt)] = true;
                        Worker::Fail(message)
                    }
                    (Act::Stops(_), Worker::Runs(message)) => Worker::Postpone(message),
                    _ => return None,
                };
            }
        }
        next.messages.sort_unstable();
        Some(next)
    }

    /// Whether it ends when nothing more goes wrong.
    fn drains(&self, shop: &Shop) -> bool {
        let mut shop = shop.clone();
        shop.sends = u8::MAX;
        for _ in 0..12 {
            if shop.row.is_none_or(|row| row.status == Status::Parked) {
                return true;
            }
            for message in shop.messages.clone() {
                let fair = [
                    Act::Visible(message),
                    Act::Receive(
                        0,
                        Message {
                            with: None,
                            ..message
                        },
                    ),
                ];
                fair.into_iter().for_each(|act| self.act(&mut shop, act));
                while shop.workers[0] != Worker::Idle {
                    self.act(&mut shop, Act::Step(0));
                }
            }
            [Act::Due, Act::Sweep, Act::Dispatch]
                .into_iter()
                .for_each(|act| self.act(&mut shop, act));
        }
        false
    }

    fn act(&self, shop: &mut Shop, act: Act) {
        if let Some(next) = self.after(shop, act) {
            *shop = next;
        }
    }
}

fn send(shop: &mut Shop, attempt: u8) -> Option<()> {
    shop.sends = shop.sends.checked_sub(1)?;
    shop.messages.push(Message {
        attempt,
        receives: 0,
        with: None,
    });
    Some(())
}

/// The worker's message is acknowledged.
fn forget(shop: &mut Shop, worker: u8) {
    shop.messages.retain(|message| message.with != Some(worker));
}

impl Model for Workshop {
    type State = Shop;
    type Action = Act;

    fn init_states(&self) -> Vec<Shop> {
        let row = Row {
            status: Status::Pending,
            due: true,
            attempt: 0,
            held: false,
            moved: false,
            token: None,
        };
        vec![Shop {
            row: Some(row),
            receipt: false,
            messages: Vec::new(),
            workers: [Worker::Idle; 2],
            sends: self.sends,
            faults: self.faults,
            failed: [false; 4],
            died: [false; 4],
            succeeded: false,
            unreported: false,
            honest: true,
            broken: None,
        }]
    }

    fn actions(&self, shop: &Shop, acts: &mut Vec<Act>) {
        acts.extend([Act::Dispatch, Act::Sweep, Act::MoveLease, Act::Due]);
        for (worker, at) in (0..).zip(shop.workers) {
            let free = shop
                .messages
                .iter()
                .filter(|message| message.with.is_none() && at == Worker::Idle);
            acts.extend(free.map(|message| Act::Receive(worker, *message)));
            acts.extend([
                Act::Step(worker),
                Act::Unanswered(worker),
                Act::Fails(worker),
                Act::Stops(worker),
            ]);
            acts.extend([Act::LosesLease(worker), Act::Dies(worker)]);
        }
        for &message in &shop.messages {
            let left = message
                .with
                .is_some_and(|worker| shop.workers[usize::from(worker)] == Worker::Idle);
            if left {
                acts.push(Act::Visible(message));
            }
            acts.extend([Act::Lose(message), Act::Double(message)]);
        }
    }

    fn next_state(&self, shop: &Shop, act: Act) -> Option<Shop> {
        let goes_on = shop.broken.is_none() && shop.honest;
        self.after(shop, act).filter(|next| goes_on && next != shop)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the event is never lost", |_, shop: &Shop| {
                shop.row.is_some() || shop.succeeded
            }),
            Property::always("what is gone has left a receipt", |_, shop: &Shop| {
                shop.row.is_some() || shop.receipt
            }),
            Property::always("runs are repeated as documented only", |_, shop: &Shop| {
                shop.broken.is_none()
            }),
            Property::always("attempts are honest", |_, shop: &Shop| {
                let behind = shop
                    .row
                    .map_or(0, |row| row.attempt - u8::from(row.status == Status::Claimed));
                shop.honest && (1..=behind).all(|attempt| shop.failed[usize::from(attempt)])
            }),
            Property::always(
                "everything drains when faults stop",
                |model: &Workshop, shop: &Shop| shop.workers != [Worker::Idle; 2] || model.drains(shop),
            ),
            Property::sometimes("an event is completed", |_, shop: &Shop| shop.row.is_none()),
            Property::sometimes("a row is parked", |_, shop: &Shop| {
                shop.row.is_some_and(|row| row.status == Status::Parked)
            }),
            Property::sometimes(
                "an event runs again after a success that was not reported",
                |_, shop: &Shop| {
                    shop.unreported
                        && shop
                            .workers
                            .iter()
                            .any(|worker| matches!(worker, Worker::Runs(_)))
                },
            ),
        ]
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
