//! What can happen next in worker mode, and what must hold.

use stateright::{Model, Property};

use super::machine::CUT_SHORT;
use super::{Act, At, MOST_DEATHS, Recovery, Row, Shop, Worker, Workshop};
use crate::world::Status;

/// So many rounds of scheduler, sweep and one worker are enough for the row to end.
const ROUNDS: usize = 16;

impl Workshop {
    /// Whether it ends when nothing more goes wrong; or, if it `kills`, when every run ends the process that it is in.
    fn drains(&self, shop: &Shop, kills: bool) -> bool {
        let mut shop = shop.clone();
        for _ in 0..ROUNDS {
            shop.sends = u8::MAX;
            self.act(&mut shop, Act::SetBack);
            while shop.recovery.is_some() {
                self.act(&mut shop, Act::Recover);
            }
            if shop.row.is_none_or(|row| row.status == Status::Parked) {
                return true;
            }
            while let Some(message) = shop.messages.first().copied() {
                self.act(&mut shop, Act::Receive(message));
                while let Some(worker) = shop.workers.first().copied() {
                    match kills && worker.at == At::Run {
                        true => {
                            shop.restarts = u8::MAX;
                            self.act(&mut shop, Act::Restart);
                        }
                        false => self.act(&mut shop, Act::Step(worker)),
                    }
                }
            }
            while shop.recovery.is_some() {
                self.act(&mut shop, Act::Recover);
            }
            // A row that a clock put off which was ahead is due in years.
            if shop.row.is_some_and(|row| !row.ahead) {
                self.act(&mut shop, Act::Due);
            }
            [Act::LookAhead, Act::BringForward, Act::Sweep, Act::Dispatch]
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
            foreign: false,
            ahead: self.ahead,
        };
        vec![Shop {
            row: Some(row),
            receipt: false,
            messages: Vec::new(),
            workers: Vec::new(),
            sends: self.sends,
            copies: self.copies,
            restarts: self.restarts,
            recovery: None,
            clock_is_ahead: self.ahead,
            forward: None,
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
            Act::Restart,
            Act::Recover,
            Act::RecoverBlind,
            Act::SetBack,
            Act::LookAhead,
            Act::BringForward,
        ]);
        let mut messages = shop.messages.clone();
        messages.dedup();
        for message in messages {
            acts.extend([Act::Receive(message), Act::ReceiveElsewhere(message)]);
            acts.extend([Act::Lose(message), Act::Double(message)]);
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
                shop.broken.is_none_or(|broken| broken == CUT_SHORT)
            }),
            Property::always("a backoff is not cut short", |_, shop: &Shop| {
                shop.broken != Some(CUT_SHORT)
            }),
            Property::always("attempts are honest", |_, shop: &Shop| {
                let behind = shop
                    .row
                    .map_or(0, |row| row.attempt - u8::from(row.status == Status::Claimed));
                shop.honest && (1..=behind).all(|attempt| shop.failed & (1 << attempt) != 0)
            }),
            Property::always(
                "everything drains when faults stop",
                |model: &Workshop, shop: &Shop| !shop.workers.is_empty() || model.drains(shop, false),
            ),
            Property::always(
                "it ends although every run ends its process",
                |model: &Workshop, shop: &Shop| {
                    model.restarts == 0 || !shop.workers.is_empty() || model.drains(shop, true)
                },
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
            Property::sometimes(
                "a start leaves a row to a worker of another process that lives",
                |_, shop: &Shop| {
                    let is_mine = |worker: &Worker| worker.orphan && worker.mine;
                    shop.recovery.is_none() && shop.workers.iter().any(is_mine)
                },
            ),
            Property::sometimes(
                "a start fails an attempt with which processes ended",
                |_, shop: &Shop| matches!(shop.recovery, Some(Recovery::Fail { .. })),
            ),
            Property::sometimes("a row is brought forward", |_, shop: &Shop| {
                shop.forward == Some(true)
            }),
        ]
    }
}
