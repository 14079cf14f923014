//! What can happen next in worker mode, and what must hold.

use std::fmt;

use stateright::{Model, Property};

use super::{Act, At, MOST_DEATHS, Row, Shop, Worker, Workshop};
use crate::world::Status;

/// So many rounds of scheduler, sweep and one worker are enough for the row to end.
const ROUNDS: usize = 12;

impl Workshop {
    /// Whether it ends when nothing more goes wrong.
    fn drains(&self, shop: &Shop) -> bool {
        let mut shop = shop.clone();
        for _ in 0..ROUNDS {
            shop.sends = u8::MAX;
            if shop.row.is_none_or(|row| row.status == Status::Parked) {
                return true;
            }
            while let Some(message) = shop.messages.first().copied() {
                self.act(&mut shop, Act::Receive(message));
                while let Some(worker) = shop.workers.first().copied() {
                    self.act(&mut shop, Act::Step(worker));
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
            deaths: 0,
        };
        vec![Shop {
            row: Some(row),
            receipt: false,
            messages: Vec::new(),
            workers: Vec::new(),
            sends: self.sends,
            copies: self.copies,
            failed: 0,
            losses: 0,
            succeeded: false,
            unreported: false,
            honest: true,
            broken: None,
        }]
    }

    fn actions(&self, shop: &Shop, acts: &mut Vec<Act>) {
        acts.extend([
            Act::Dispatch,
            Act::Sweep,
            Act::SweepBlind,
            Act::MoveLease,
            Act::Due,
        ]);
        let mut messages = shop.messages.clone();
        messages.dedup();
        for message in messages {
            acts.extend([Act::Receive(message), Act::Lose(message), Act::Double(message)]);
        }
        let mut workers = shop.workers.clone();
        workers.dedup();
        for worker in workers {
            acts.extend([Act::Step(worker), Act::Unanswered(worker), Act::Dies(worker)]);
            match worker.at {
                At::Take => acts.push(Act::Blind(worker)),
                At::Run => acts.extend([Act::Fails(worker), Act::Stops(worker)]),
                _ => {}
            }
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
                shop.honest && (1..=behind).all(|attempt| shop.failed & (1 << attempt) != 0)
            }),
            Property::always(
                "everything drains when faults stop",
                |model: &Workshop, shop: &Shop| !shop.workers.is_empty() || model.drains(shop),
            ),
            Property::sometimes("an event is completed", |_, shop: &Shop| shop.row.is_none()),
            Property::sometimes("a row is parked", |_, shop: &Shop| {
                shop.row.is_some_and(|row| row.status == Status::Parked)
            }),
            Property::sometimes("an attempt fails since workers died", |_, shop: &Shop| {
                let deadly = shop.row.is_some_and(|row| row.deaths >= MOST_DEATHS);
                deadly && shop.workers.iter().any(|worker| worker.at == At::Fail)
            }),
            Property::sometimes(
                "an event runs again after a success that was not reported",
                |_, shop: &Shop| shop.unreported && shop.workers.iter().any(|worker| worker.at == At::Run),
            ),
        ]
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, attempt, mine } = self;
        let token = if *mine || *at == At::Take {
            ""
        } else {
            ", its lease lost"
        };
        let does = match at {
            At::Take => "takes the row",
            At::Run => "runs the target",
            At::Receipt => "writes the receipt",
            At::Delete => "deletes the row",
            At::Fail => "says that the attempt failed",
            At::Postpone => "puts the row back",
        };
        write!(f, "the worker with message {attempt}{token}: {does}")
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dispatch => write!(f, "the scheduler claims the row and sends its message"),
            Self::Sweep => write!(f, "the sweep sends once more, or deletes what a receipt covers"),
            Self::SweepBlind => write!(f, "the sweep cannot read the receipts, and sends once more"),
            Self::MoveLease => write!(f, "the sweep moves the lease"),
            Self::Due => write!(f, "due_at passes"),
            Self::Receive(attempt) => write!(f, "a worker receives message {attempt}"),
            Self::Lose(attempt) => write!(f, "the queue loses message {attempt}"),
            Self::Double(attempt) => write!(f, "the queue has message {attempt} twice"),
            Self::Step(worker) => write!(f, "{worker}"),
            Self::Unanswered(worker) => write!(f, "{worker} (the answer is lost)"),
            Self::Blind(worker) => write!(f, "{worker} (the receipts cannot be read)"),
            Self::Fails(worker) => write!(f, "{worker}, and it fails"),
            Self::Stops(worker) => write!(f, "{worker}, and is told to stop"),
            Self::Dies(worker) => write!(f, "{worker}: dies before it is done"),
        }
    }
}
