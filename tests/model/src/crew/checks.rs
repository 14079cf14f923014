//! What can happen next with a crew, and what must hold.

use std::fmt;

use stateright::{Model, Property};

use super::{Act, At, Crew, Message, ROWS, Row, Shop, Worker, each};
use crate::world::Status;

/// So many rounds of scheduler, sweep and one worker are enough for both rows to end.
const ROUNDS: usize = 24;

const ALL: u8 = (1 << ROWS) - 1;

impl Crew {
    /// Whether it ends when nothing more goes wrong, but that one row ends every process that runs it.
    fn drains(&self, shop: &Shop) -> bool {
        // What is no danger to others ends well, unless something had gone wrong with it before.
        let unharmed = |row: Row| row.deaths == 0 && !row.held && row.status != Status::Parked;
        let ends_well = (self.kills || self.poisons) && shop.rows[1].is_none_or(unharmed);
        let mut shop = shop.clone();
        for _ in 0..ROUNDS {
            shop.sends = u8::MAX;
            if shop.rows.iter().flatten().all(|row| row.status == Status::Parked) {
                return shop.rows[1].is_none() || !ends_well;
            }
            for message in shop.messages.clone() {
                self.act(&mut shop, Act::Receive(message));
                while let Some(worker) = shop.workers.first().copied() {
                    let bad = worker.at == At::Run && worker.run & 1 != 0;
                    let act = match bad {
                        true if self.kills => Act::Dies(worker),
                        true if self.poisons => Act::Fails(worker),
                        _ => Act::Step(worker),
                    };
                    self.act(&mut shop, act);
                }
            }
            for row in 0..ROWS as u8 {
                self.act(&mut shop, Act::Due(row));
            }
            if shop.messages.is_empty() {
                for rows in (1..=ALL).rev() {
                    self.act(&mut shop, Act::Sweep(rows));
                    self.act(&mut shop, Act::Dispatch(rows));
                }
            }
        }
        false
    }

    fn act(&self, shop: &mut Shop, act: Act) {
        if let Some(next) = self.after(shop, act) {
            *shop = next;
        }
    }
}

impl Model for Crew {
    type State = Shop;
    type Action = Act;

    fn init_states(&self) -> Vec<Shop> {
        let row = Row {
            status: Status::Pending,
            due: true,
            attempt: 0,
            max_attempts: self.max_attempts,
            alone: false,
            held: false,
            deaths: 0,
        };
        vec![Shop {
            rows: [Some(row); ROWS],
            messages: Vec::new(),
            workers: Vec::new(),
            sends: self.sends,
            succeeded: 0,
            unreported: 0,
            failed: [0; ROWS],
            losses: [0; ROWS],
            broken: None,
        }]
    }

    fn actions(&self, shop: &Shop, acts: &mut Vec<Act>) {
        acts.extend((1..=ALL).flat_map(|rows| [Act::Dispatch(rows), Act::Sweep(rows)]));
        acts.extend((0..ROWS as u8).map(Act::Due));
        let mut messages = shop.messages.clone();
        messages.dedup();
        acts.extend(messages.into_iter().map(Act::Receive));
        let mut workers = shop.workers.clone();
        workers.dedup();
        for worker in workers {
            acts.extend([Act::Step(worker), Act::Unanswered(worker), Act::Dies(worker)]);
            if worker.at == At::Run {
                acts.push(Act::Stops(worker));
                let may_fail = !self.kills && (!self.poisons || worker.run & 1 != 0);
                if may_fail {
                    acts.push(Act::Fails(worker));
                }
                if worker.company && !self.kills && !self.poisons {
                    acts.extend((0..ROWS as u8).map(|row| Act::Lists(worker, row)));
                }
            }
        }
    }

    fn next_state(&self, shop: &Shop, act: Act) -> Option<Shop> {
        let goes_on = shop.broken.is_none();
        self.after(shop, act).filter(|next| goes_on && next != shop)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no event is lost", |_, shop: &Shop| {
                each(ALL).all(|row| shop.rows[row].is_some() || shop.succeeded & 1 << row != 0)
            }),
            Property::always("every step is one that may be", |_, shop: &Shop| {
                shop.broken.is_none()
            }),
            Property::always("attempts are honest", |_, shop: &Shop| {
                each(ALL).all(|row| {
                    let behind =
                        shop.rows[row].map_or(0, |of| of.attempt - u8::from(of.status == Status::Claimed));
                    (1..=behind).all(|attempt| shop.failed[row] & 1u32 << attempt != 0)
                })
            }),
            Property::always(
                "everything drains when faults stop",
                |model: &Crew, shop: &Shop| !shop.workers.is_empty() || model.drains(shop),
            ),
            Property::sometimes("two rows run together", |_, shop: &Shop| {
                shop.workers
                    .iter()
                    .any(|worker| worker.at == At::Run && worker.company)
            }),
            Property::sometimes(
                "a row runs by itself, beside others of its message",
                |_, shop: &Shop| {
                    let apart = |worker: &Worker| worker.at == At::Run && worker.run != worker.message.rows;
                    shop.workers.iter().any(apart)
                },
            ),
            Property::sometimes("a row is parked", |_, shop: &Shop| {
                shop.rows.iter().flatten().any(|row| row.status == Status::Parked)
            }),
            Property::sometimes("a row is alone", |_, shop: &Shop| {
                shop.rows.iter().flatten().any(|row| row.alone)
            }),
        ]
    }
}

fn rows(set: u8) -> String {
    let rows: Vec<String> = each(set).map(|row| row.to_string()).collect();
    rows.join(" and ")
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the message of {}, attempts {:?}",
            rows(self.rows),
            self.attempts
        )
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = match self.at {
            At::Read => "reads the rows".to_owned(),
            At::Take => format!("takes the next of {}", rows(self.take)),
            At::Run => format!("runs {}", rows(self.run)),
            At::Settle(failed) => format!("settles the next of {}, failed: {}", rows(self.run), rows(failed)),
            At::PutBack => format!("puts back the next of {}", rows(self.run)),
            At::Acknowledge => "acknowledges".to_owned(),
        };
        write!(f, "a worker with {}: {does}", self.message)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dispatch(of) => write!(f, "the scheduler claims {} and sends their message", rows(*of)),
            Self::Sweep(of) => write!(f, "the sweep sends {} again", rows(*of)),
            Self::Due(row) => write!(f, "due_at of {row} passes"),
            Self::Receive(message) => write!(f, "a worker receives {message}"),
            Self::Step(worker) => write!(f, "{worker}"),
            Self::Unanswered(worker) => write!(f, "{worker} (the answer is lost)"),
            Self::Fails(worker) => write!(f, "{worker}: it fails"),
            Self::Lists(worker, row) => write!(f, "{worker}: it lists {row} as failed"),
            Self::Stops(worker) => write!(f, "{worker}: it is told to stop"),
            Self::Dies(worker) => write!(f, "{worker}: dies before it"),
        }
    }
}
