//! What each act does to the shop; `None` where it cannot happen.

use super::{Act, At, MOST_DEATHS, Recovery, Row, Shop, Worker, WorkerDefect, Workshop};
use crate::world::{Status, take_one};

impl Workshop {
    /// What the shop is after that.
    pub(super) fn after(&self, shop: &Shop, act: Act) -> Option<Shop> {
        let mut next = shop.clone();
        match act {
            Act::Dispatch => {
                next.recovery.is_none().then_some(())?;
                let row = next.row.filter(|row| row.status == Status::Pending && row.due)?;
                let attempt = row.attempt + 1;
                next.row = Some(Row {
                    status: Status::Claimed,
                    due: false,
                    attempt,
                    held: false,
                    moved: false,
                    foreign: false,
                    ahead: false,
                    ..row
                });
                changed(&mut next);
                send(&mut next, attempt)?;
            }
            Act::Sweep | Act::SweepBlind | Act::MoveLease => self.sweep(&mut next, act)?,
            Act::Due => due(&mut next)?,
            Act::Receive(attempt) => self.receive(&mut next, attempt, false)?,
            Act::ReceiveElsewhere(attempt) => self.receive(&mut next, attempt, true)?,
            Act::Restart => self.restart(&mut next)?,
            Act::Recover => self.recover(&mut next, false)?,
            Act::RecoverBlind => self.recover(&mut next, true)?,
            Act::SetBack => Self::set_back(&mut next)?,
            Act::LookAhead => self.look_ahead(&mut next)?,
            Act::BringForward => self.bring_forward(&mut next)?,
            Act::Lose(attempt) => drop(take_one(&mut next.messages, &attempt)),
            Act::Double(attempt) => {
                next.copies = next.copies.checked_sub(1)?;
                next.messages.push(attempt);
            }
            Act::Step(worker)
            | Act::Unanswered(worker)
            | Act::Blind(worker)
            | Act::Fails(worker)
            | Act::Stops(worker)
            | Act::Dies(worker) => {
                take_one(&mut next.workers, &worker).then_some(())?;
                let then = self.work(&mut next, worker, act)?;
                let still = |at| Worker {
                    at,
                    mine: worker.mine || worker.at == At::Take,
                    ..worker
                };
                next.workers.extend(then.map(still));
            }
        }
        forget(&mut next);
        Some(next)
    }

    fn receive(&self, shop: &mut Shop, attempt: u8, foreign: bool) -> Option<()> {
        let alike = shop
            .workers
            .iter()
            .filter(|worker| worker.foreign == foreign)
            .count();
        let room = shop.workers.len() < self.workers && (!foreign || alike < self.foreign);
        (shop.messages.contains(&attempt) && room).then_some(())?;
        shop.workers.push(Worker {
            at: At::Take,
            attempt,
            mine: false,
            foreign,
            orphan: false,
        });
        Some(())
    }

    fn sweep(&self, shop: &mut Shop, act: Act) -> Option<()> {
        shop.recovery.is_none().then_some(())?;
        let row = shop.row.filter(|row| row.status == Status::Claimed)?;
        (row.due || self.has(WorkerDefect::SweepHeldRows)).then_some(())?;
        (!row.held || !self.has(WorkerDefect::SweepSkipsHeldRows)).then_some(())?;
        match act {
            Act::SweepBlind if !shop.receipt => return None,
            Act::Sweep | Act::MoveLease if shop.receipt => shop.row = None,
            Act::MoveLease => {
                (!row.moved).then_some(())?;
                shop.row = Some(Row {
                    due: false,
                    moved: true,
                    ..row
                });
            }
            _ => {
                shop.row = Some(Row {
                    due: false,
                    held: false,
                    foreign: false,
                    ..row
                });
                changed(shop);
                send(shop, row.attempt)?;
            }
        }
        Some(())
    }

    /// What a worker, which is out of the shop meanwhile, does next.
    fn work(&self, shop: &mut Shop, worker: Worker, act: Act) -> Option<Option<At>> {
        Some(match (act, worker.at) {
            (Act::Step(_) | Act::Unanswered(_) | Act::Blind(_), At::Take) => {
                return self.take(shop, worker, act);
            }
            (Act::Step(_), At::Run) => {
                shop.succeeded = true;
                Some(At::Receipt)
            }
            (Act::Fails(_), At::Run) => {
                shop.failed |= 1 << worker.attempt;
                Some(At::Fail)
            }
            (Act::Stops(_), At::Run) => Some(At::Postpone),
            (Act::Step(_), At::Receipt) => {
                shop.receipt = true;
                Some(At::Delete)
            }
            (Act::Step(_) | Act::Unanswered(_), at) => {
                match at {
                    At::Delete => shop.row = None,
                    At::Fail => self.fail(shop, worker),
                    At::Postpone => self.put_back(shop, worker),
                    At::Take | At::Run | At::Receipt => return None,
                }
                // It dies, or gives up, before it says more: the message comes again.
                if let Act::Step(_) = act {
                    acknowledge(shop, worker);
                }
                None
            }
            (Act::Dies(_), at) => {
                if is_guard(shop, worker) {
                    lose(shop);
                }
                shop.unreported |= matches!(at, At::Receipt | At::Delete);
                None
            }
            _ => return None,
        })
    }

    /// A new lease and a new token, if the row is at the message's attempt and no worker holds it; else the message is stale.
    fn take(&self, shop: &mut Shop, worker: Worker, act: Act) -> Option<Option<At>> {
        let free = |row: &Row| !row.held || row.due || row.moved || self.has(WorkerDefect::TakeWithoutLease);
        let same = |row: &Row| row.attempt == worker.attempt || self.has(WorkerDefect::TakeWithoutAttempt);
        let row = shop
            .row
            .filter(|row| row.status == Status::Claimed && same(row) && free(row));
        let Some(row) = row else {
            matches!(act, Act::Step(_)).then_some(())?;
            acknowledge(shop, worker);
            return Some(None);
        };
        let deaths = row.deaths + u8::from(row.held);
        shop.row = Some(Row {
            held: true,
            due: false,
            moved: false,
            deaths: deaths.min(MOST_DEATHS),
            foreign: worker.foreign,
            ..row
        });
        changed(shop);
        if let Act::Unanswered(_) = act {
            lose(shop);
            return Some(None);
        }
        let shown = act != Act::Blind(worker);
        (shown || row.held && shop.receipt).then_some(())?;
        if row.held && shop.receipt && shown {
            return Some(Some(At::Delete));
        }
        if row.held && (deaths >= MOST_DEATHS || self.has(WorkerDefect::ReceivesAreDeaths)) {
            shop.honest &= shop.losses >= MOST_DEATHS;
            shop.failed |= 1 << row.attempt;
            return Some(Some(At::Fail));
        }
        if shop.workers.iter().any(|other| other.at == At::Run) {
            shop.broken = Some("two workers run it at once");
        }
        if shop.succeeded && !shop.unreported {
            shop.broken = Some("it runs again after a success that was reported");
        }
        Some(Some(At::Run))
    }

    /// CLAIMED, the same attempt, our token → PENDING or PARKED.
    fn fail(&self, shop: &mut Shop, worker: Worker) {
        let row = shop.row.filter(|row| {
            let ours = worker.mine || self.has(WorkerDefect::FailWithoutToken);
            row.status == Status::Claimed && row.attempt == worker.attempt && ours
        });
        if let Some(row) = row {
            self.end_attempt(shop, row, shop.clock_is_ahead && !worker.foreign);
        }
    }

    /// CLAIMED → PENDING with a backoff, by a clock that may be ahead, or PARKED.
    pub(super) fn end_attempt(&self, shop: &mut Shop, row: Row, ahead: bool) {
        let parks = row.attempt >= self.max_attempts;
        shop.row = Some(Row {
            status: if parks { Status::Parked } else { Status::Pending },
            due: false,
            deaths: 0,
            ahead,
            ..row
        });
        shop.losses = 0;
        changed(shop);
    }

    /// CLAIMED, the same attempt, our token → PENDING, the attempt unused.
    fn put_back(&self, shop: &mut Shop, worker: Worker) {
        let row = shop.row.filter(|row| {
            let ours = worker.mine || self.has(WorkerDefect::PostponeWithoutToken);
            row.status == Status::Claimed && row.attempt == worker.attempt && ours
        });
        if let Some(row) = row {
            shop.row = Some(Row {
                status: Status::Pending,
                due: false,
                attempt: row.attempt - 1,
                ahead: shop.clock_is_ahead && !worker.foreign,
                ..row
            });
            changed(shop);
        }
    }
}

/// `due_at` passes: at any moment, except while the worker that holds the lease runs the target.
fn due(shop: &mut Shop) -> Option<()> {
    let row = shop.row.filter(|row| !row.due && row.status != Status::Parked)?;
    let holder = shop
        .workers
        .iter()
        .find(|worker| row.status == Status::Claimed && worker.mine);
    // It reports, and the lease is over before the ledger has it.
    let reports = match holder.map(|worker| worker.at) {
        Some(At::Run) => return None,
        holder => holder.is_some(),
    };
    if reports && !row.moved {
        lose(shop);
        shop.unreported |= shop.succeeded;
    }
    shop.row = Some(Row { due: true, ..row });
    Some(())
}

/// Whether the row is held by that worker's lease, and its loss not counted yet.
pub(super) fn is_guard(shop: &Shop, worker: Worker) -> bool {
    shop.row
        .is_some_and(|row| row.status == Status::Claimed && worker.mine && !row.due && !row.moved)
}

pub(super) fn lose(shop: &mut Shop) {
    shop.losses = (shop.losses + 1).min(MOST_DEATHS);
}

fn send(shop: &mut Shop, attempt: u8) -> Option<()> {
    shop.sends = shop.sends.checked_sub(1)?;
    shop.messages.push(attempt);
    Some(())
}

/// The row bears nobody's token, or that of a worker who is about to know it.
fn new_token(shop: &mut Shop) {
    shop.workers.iter_mut().for_each(|worker| worker.mine = false);
}

/// The same, and `due_at` is another one: nobody has the row as it was read.
pub(super) fn changed(shop: &mut Shop) {
    new_token(shop);
    shop.forward = shop.forward.map(|_| false);
    if let Some(Recovery::PutBack { fresh, .. }) = &mut shop.recovery {
        *fresh = false;
    }
}

/// The message is done with, if its queue is still there.
fn acknowledge(shop: &mut Shop, worker: Worker) {
    if !worker.orphan {
        take_one(&mut shop.messages, &worker.attempt);
    }
}

/// Worlds that differ only in what nobody will ask for any more are one.
fn forget(shop: &mut Shop) {
    if shop.row.is_none_or(|row| row.status != Status::Claimed) {
        new_token(shop);
    }
    if let Some(row) = &mut shop.row
        && row.status != Status::Claimed
    {
        (row.held, row.moved, row.foreign) = (false, false, false);
        row.ahead &= row.status == Status::Pending;
    }
    if shop.row.is_none() {
        (shop.failed, shop.losses, shop.sends, shop.copies, shop.restarts) = (0, 0, 0, 0, 0);
        (shop.recovery, shop.forward) = (None, None);
        (shop.unreported, shop.clock_is_ahead) = (false, false);
    }
    shop.messages.sort_unstable();
    shop.workers.sort_unstable();
}
