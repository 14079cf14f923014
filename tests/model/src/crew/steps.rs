//! What each act does; `None` where it cannot happen.

use super::{Act, At, Crew, CrewDefect as D, MOST_DEATHS, Message, ROWS, Row, Set, Shop, Worker, each};
use crate::world::{Status, take_one};

impl Crew {
    /// What the shop is after that.
    pub(super) fn after(&self, shop: &Shop, act: Act) -> Option<Shop> {
        let mut next = shop.clone();
        match act {
            Act::Dispatch(rows) => send(&mut next, rows, |row| {
                (row.status == Status::Pending && row.due).then_some(Row {
                    status: Status::Claimed,
                    due: false,
                    attempt: row.attempt + 1,
                    held: false,
                    ..row
                })
            })?,
            Act::Sweep(rows) => send(&mut next, rows, |row| {
                (row.status == Status::Claimed && row.due).then_some(Row {
                    due: false,
                    held: false,
                    ..row
                })
            })?,
            Act::Due(row) => self.due(&mut next, usize::from(row))?,
            Act::Receive(message) => {
                let room = next.workers.len() < self.workers && next.messages.contains(&message);
                room.then_some(())?;
                next.workers.push(Worker {
                    at: At::Read,
                    message,
                    take: 0,
                    later: 0,
                    run: 0,
                    company: false,
                    mine: 0,
                });
            }
            Act::Step(worker)
            | Act::Unanswered(worker)
            | Act::Fails(worker)
            | Act::Lists(worker, _)
            | Act::Stops(worker)
            | Act::Dies(worker) => {
                take_one(&mut next.workers, &worker).then_some(())?;
                let then = self.work(&mut next, worker, act)?;
                next.workers.extend(then);
            }
        }
        next.messages.sort_unstable();
        next.workers.sort_unstable();
        Some(next)
    }

    /// What a worker, which is out of the shop meanwhile, does next.
    fn work(&self, shop: &mut Shop, worker: Worker, act: Act) -> Option<Option<Worker>> {
        let then = |at| Some(Some(Worker { at, ..worker }));
        match (act, worker.at) {
            (Act::Dies(_), _) => {
                self.gone(shop, worker);
                Some(None)
            }
            (Act::Step(_), At::Read) => Some(Some(self.read(shop, worker))),
            (Act::Step(_) | Act::Unanswered(_), At::Take) => {
                Some(Some(self.take(shop, worker, matches!(act, Act::Step(_)))))
            }
            (_, At::Run) => {
                let kills = self.kills && worker.run & 1 != 0;
                (!kills).then_some(())?;
                let failed = match act {
                    Act::Step(_) if self.poisons && worker.run & 1 != 0 => return None,
                    Act::Step(_) => 0,
                    Act::Fails(_) => worker.run,
                    Act::Lists(_, row) => 1 << row & worker.run,
                    Act::Stops(_) => return then(At::PutBack),
                    _ => return None,
                };
                shop.succeeded |= worker.run & !failed;
                for row in each(failed) {
                    shop.failed[row] |= 1u32 << worker.message.attempts[row];
                }
                let settled = match self.has(D::SettlesTheMessage) {
                    true => worker.message.rows,
                    false => worker.run,
                };
                Some(Some(Worker {
                    at: At::Settle(failed),
                    run: settled,
                    ..worker
                }))
            }
            (Act::Step(_) | Act::Unanswered(_), At::Settle(failed)) => {
                let row = each(worker.run).next()?;
                self.settle(shop, worker, row, failed & 1 << row != 0);
                self.goes_on(shop, worker, row, act)
            }
            (Act::Step(_) | Act::Unanswered(_), At::PutBack) => {
                let row = each(worker.run).next()?;
                let ours = shop.rows[row].filter(|of| is_at(of, worker, row) && worker.mine & 1 << row != 0);
                if let Some(of) = ours {
                    let status = Status::Pending;
                    let attempt = of.attempt - 1;
                    write(
                        shop,
                        row,
                        Some(Row {
                            status,
                            attempt,
                            ..of
                        }),
                    );
                }
                self.goes_on(shop, worker, row, act)
            }
            (Act::Step(_), At::Acknowledge) => {
                take_one(&mut shop.messages, &worker.message);
                Some(None)
            }
            _ => None,
        }
    }

    /// Which rows go into company: those that nobody has had in this attempt, and that are not alone. The others are taken one at a
    /// time, each before its own run, so that nobody dies with a row that only waits.
    fn read(&self, shop: &Shop, worker: Worker) -> Worker {
        let (mut take, mut later) = (0, 0);
        for row in each(worker.message.rows) {
            let Some(of) = shop.rows[row].filter(|of| is_at(of, worker, row)) else {
                continue;
            };
            let died = (of.held || of.deaths > 0) && !self.has(D::DeathsInCompany);
            match died || of.alone && !self.has(D::FailedInCompany) {
                true => later |= 1 << row,
                false => take |= 1 << row,
            }
        }
        if self.has(D::TakesAllFirst) {
            take |= later;
        }
        self.next_run(Worker {
            take,
            later,
            ..worker
        })
    }

    /// The run of those that are to be taken, or of the next one by itself.
    fn next_run(&self, worker: Worker) -> Worker {
        let next = each(worker.later).next();
        let (take, later) = match (worker.take, next) {
            (0, Some(row)) => (1 << row, worker.later & !(1 << row)),
            (take, _) => (take, worker.later),
        };
        let at = if take == 0 { At::Acknowledge } else { At::Take };
        Worker {
            at,
            take,
            later,
            run: 0,
            company: take.count_ones() > 1,
            ..worker
        }
    }

    /// CLAIMED, the message's attempt, free → a new lease and a new token.
    fn take(&self, shop: &mut Shop, mut worker: Worker, answered: bool) -> Worker {
        let Some(row) = each(worker.take).next() else {
            return worker;
        };
        let this: Set = 1 << row;
        worker.take &= !this;
        let free = shop.rows[row].filter(|of| is_at(of, worker, row) && (!of.held || of.due));
        // With the defect it holds them all, and runs the first ones.
        let waits = self.has(D::TakesAllFirst) && worker.mine & this != 0;
        if let Some(of) = free.filter(|_| !waits) {
            let deaths = (of.deaths + u8::from(of.held)).min(MOST_DEATHS);
            let held = true;
            let due = false;
            write(
                shop,
                row,
                Some(Row {
                    held,
                    due,
                    deaths,
                    ..of
                }),
            );
            // Somebody died with it since it was read.
            let died = worker.company && deaths > 0 && deaths < MOST_DEATHS;
            let aside = died
                && !self.has(D::TrustsTheRead)
                && !self.has(D::DeathsInCompany)
                && !self.has(D::TakesAllFirst);
            match answered {
                true if aside => {
                    let (status, attempt, alone) = (Status::Pending, of.attempt - 1, true);
                    write(
                        shop,
                        row,
                        Some(Row {
                            status,
                            attempt,
                            alone,
                            deaths,
                            ..of
                        }),
                    );
                }
                true => {
                    worker.mine |= this;
                    worker.run |= this;
                }
                false => lose(shop, row),
            }
            if answered && deaths >= MOST_DEATHS {
                if shop.losses[row] + 1 < MOST_DEATHS {
                    shop.broken = Some("an attempt is failed though its row did not do it");
                }
                shop.failed[row] |= 1u32 << of.attempt;
                // By itself, whatever it was taken for.
                let company = false;
                self.settle(shop, Worker { company, ..worker }, row, true);
                worker.run &= !this;
                worker.mine &= !this;
            }
        } else if waits || self.has(D::RunsTheMessage) {
            worker.run |= this;
        }
        if worker.take != 0 {
            return worker;
        }
        self.begin(shop, worker)
    }

    /// All that could be taken is: the run begins.
    fn begin(&self, shop: &mut Shop, mut worker: Worker) -> Worker {
        if self.has(D::TakesAllFirst) && worker.later != 0 {
            let company = worker.run & !worker.later;
            let first = match company {
                0 => each(worker.run).next().map_or(0, |row| 1 << row),
                company => company,
            };
            worker.later &= worker.run & !first;
            worker.run = first;
        }
        if worker.run == 0 {
            return self.next_run(worker);
        }
        for row in each(worker.run) {
            let runs = |other: &Worker| other.at == At::Run && other.run & 1 << row != 0;
            if shop.workers.iter().any(runs) {
                shop.broken = Some("two workers run it at once");
            }
            if shop.succeeded & 1 << row != 0 && shop.unreported & 1 << row == 0 {
                shop.broken = Some("it runs again after a success that was reported");
            }
        }
        Worker {
            at: At::Run,
            company: worker.run.count_ones() > 1,
            ..worker
        }
    }

    /// The next row of the run, or the next run.
    fn goes_on(&self, shop: &mut Shop, worker: Worker, row: usize, act: Act) -> Option<Option<Worker>> {
        let worker = Worker {
            run: worker.run & !(1 << row),
            mine: worker.mine & !(1 << row),
            ..worker
        };
        match (act, worker.run) {
            (Act::Unanswered(_), _) => {
                self.gone(shop, worker);
                Some(None)
            }
            (_, 0) if worker.at == At::PutBack => Some(Some(Worker {
                at: At::Acknowledge,
                ..worker
            })),
            (_, 0) => Some(Some(self.next_run(worker))),
            _ => Some(Some(worker)),
        }
    }

    /// Success: the row goes, whatever it bears. Failure: CLAIMED, the attempt, our token → PENDING, or PARKED where it failed by itself.
    fn settle(&self, shop: &mut Shop, worker: Worker, row: usize, failed: bool) {
        if !failed {
            if shop.rows[row].is_some() && shop.succeeded & 1 << row == 0 {
                shop.broken = Some("a row is completed by a run that did not have it");
            }
            write(shop, row, None);
            return;
        }
        let ours = worker.mine & 1 << row != 0 || self.has(D::FailsWithoutToken);
        let Some(of) = shop.rows[row].filter(|of| is_at(of, worker, row) && ours) else {
            return;
        };
        if worker.mine & 1 << row == 0 {
            shop.broken = Some("a failure is written to a row that another worker has");
        }
        let used = of.attempt >= of.max_attempts;
        let parks = used && (!worker.company || self.has(D::ParksTheCompany));
        if parks && worker.company {
            shop.broken = Some("a row is parked that has not failed by itself");
        }
        write(
            shop,
            row,
            Some(Row {
                status: if parks { Status::Parked } else { Status::Pending },
                due: false,
                max_attempts: of.max_attempts + u8::from(used && !parks),
                alone: of.alone || worker.company,
                held: false,
                deaths: 0,
                ..of
            }),
        );
        shop.losses[row] = 0;
    }

    /// It dies. A run in company is no row's death, and none that of a row that only waits.
    fn gone(&self, shop: &mut Shop, worker: Worker) {
        for row in each(worker.mine) {
            if worker.at != At::Run || worker.run == 1 << row {
                lose(shop, row);
            }
            if matches!(worker.at, At::Settle(_)) {
                shop.unreported |= shop.succeeded & 1 << row;
            }
        }
    }

    /// At any moment, but not while a worker that holds it takes the others of its run, or runs them: it extends the leases together,
    /// from the first one on.
    fn due(&self, shop: &mut Shop, row: usize) -> Option<()> {
        let of = shop.rows[row].filter(|of| !of.due && of.status != Status::Parked)?;
        let this: Set = 1 << row;
        for worker in shop.workers.clone() {
            if of.status != Status::Claimed || worker.mine & this == 0 {
                continue;
            }
            match worker.at {
                At::Take => return None,
                At::Run if !self.has(D::RunsOnWithoutLease) => return None,
                At::Settle(_) => {
                    shop.unreported |= shop.succeeded & this;
                    lose(shop, row);
                }
                _ => lose(shop, row),
            }
        }
        shop.rows[row] = Some(Row { due: true, ..of });
        Some(())
    }
}

fn is_at(row: &Row, worker: Worker, place: usize) -> bool {
    row.status == Status::Claimed && row.attempt == worker.message.attempts[place]
}

fn lose(shop: &mut Shop, row: usize) {
    shop.losses[row] = (shop.losses[row] + 1).min(MOST_DEATHS);
}

/// Writes a row with a new token, or without one.
fn write(shop: &mut Shop, row: usize, written: Option<Row>) {
    shop.rows[row] = written;
    for worker in &mut shop.workers {
        worker.mine &= !(1 << row);
    }
}

/// One write for each row, and one message.
fn send(shop: &mut Shop, rows: Set, step: impl Fn(Row) -> Option<Row>) -> Option<()> {
    shop.sends = shop.sends.checked_sub(1)?;
    let mut attempts = [0; ROWS];
    for row in each(rows) {
        let written = step(shop.rows[row]?)?;
        attempts[row] = written.attempt;
        write(shop, row, Some(written));
    }
    shop.messages.push(Message { rows, attempts });
    Some(())
}
