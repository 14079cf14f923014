//! One machine: what its process does about a CLAIMED row when it begins anew (`reconciler/src/recover.rs`), and about one that a
//! clock put off which was ahead (`reconciler/src/ahead.rs`).
//!
//! The queue and the workers of the process before are known to be gone. A worker of another process may live, and may have a message of
//! that queue: it is told by its token, which lacks the mark.

use super::steps::{changed, is_guard, lose};
use super::{At, MOST_DEATHS, Recovery, Row, Shop, WorkerDefect, Workshop};
use crate::world::Status;

/// What is broken where a row is brought forward that a right clock put off.
pub(super) const CUT_SHORT: &str = "a backoff is cut short";

impl Workshop {
    /// The process ends, and begins anew.
    pub(super) fn restart(&self, shop: &mut Shop) -> Option<()> {
        shop.restarts = shop.restarts.checked_sub(1)?;
        for worker in shop.workers.clone().iter().filter(|worker| !worker.foreign) {
            if is_guard(shop, *worker) {
                lose(shop);
            }
            shop.unreported |= matches!(worker.at, At::Receipt | At::Delete);
        }
        shop.workers.retain(|worker| worker.foreign);
        // Their messages are gone as well; they do not know it.
        shop.workers.iter_mut().for_each(|worker| worker.orphan = true);
        shop.messages.clear();
        shop.forward = None;
        shop.recovery = Some(Recovery::Look);
        Some(())
    }

    /// The next step of a process that has begun. Nothing else of it runs before the last one.
    pub(super) fn recover(&self, shop: &mut Shop, blind: bool) -> Option<()> {
        let recovery = shop.recovery.take()?;
        let row = shop.row.filter(|row| row.status == Status::Claimed);
        let (Some(row), attempt) = (row, attempt(recovery)) else {
            return (!blind).then_some(());
        };
        let is_as_read = attempt.is_none_or(|attempt| attempt == row.attempt);
        match recovery {
            Recovery::Look if shop.receipt && !blind => shop.row = None,
            Recovery::Look if blind && !shop.receipt => return None,
            Recovery::Look => shop.recovery = self.look(&row),
            _ if blind => return None,
            Recovery::PutBack { fresh, held, .. } => {
                if is_as_read && (fresh || self.has(WorkerDefect::PutBackAsNotRead)) {
                    let counts = held && !self.has(WorkerDefect::RestartCountsNothing);
                    shop.row = Some(Row {
                        status: Status::Pending,
                        due: true,
                        attempt: row.attempt - 1,
                        deaths: (row.deaths + u8::from(counts)).min(MOST_DEATHS),
                        ahead: shop.clock_is_ahead,
                        ..row
                    });
                    changed(shop);
                }
            }
            Recovery::Fail { .. } => {
                if is_as_read {
                    shop.honest &= shop.losses >= MOST_DEATHS;
                    shop.failed |= 1 << row.attempt;
                    self.end_attempt(shop, row, shop.clock_is_ahead);
                }
            }
        }
        Some(())
    }

    fn look(&self, row: &Row) -> Option<Recovery> {
        let attempt = row.attempt;
        if row.held && row.foreign && !self.has(WorkerDefect::PutBackForeign) {
            return None;
        }
        Some(match row.held && row.deaths >= MOST_DEATHS {
            true => Recovery::Fail { attempt },
            false => Recovery::PutBack {
                fresh: true,
                attempt,
                held: row.held,
            },
        })
    }

    /// The clock is set back: what is due in its future is not due.
    pub(super) fn set_back(shop: &mut Shop) -> Option<()> {
        std::mem::take(&mut shop.clock_is_ahead).then_some(())?;
        if let Some(row) = shop.row.as_mut().filter(|row| row.ahead) {
            row.due = false;
        }
        Some(())
    }

    /// Looks for a PENDING row that only a wrong clock can have put off. The event was recorded while it was ahead; the row is not
    /// due before that moment either, unless a right clock has put it off since.
    pub(super) fn look_ahead(&self, shop: &mut Shop) -> Option<()> {
        let waits = |row: &Row| row.status == Status::Pending && !row.due;
        let row = shop.row.filter(waits)?;
        let is_wrong = row.ahead || self.has(WorkerDefect::RecordedAheadIsEnough);
        let looks = !shop.clock_is_ahead && shop.recovery.is_none() && shop.forward.is_none();
        (is_wrong && looks && !self.has(WorkerDefect::NeverBroughtForward)).then_some(())?;
        shop.forward = Some(true);
        Some(())
    }

    /// PENDING and `due_at` as read → due now.
    pub(super) fn bring_forward(&self, shop: &mut Shop) -> Option<()> {
        let fresh = shop.forward.take()? || self.has(WorkerDefect::ForwardWithoutDueAt);
        if let Some(row) = shop.row.filter(|row| row.status == Status::Pending && fresh) {
            if !row.ahead && !row.due {
                shop.broken = Some(CUT_SHORT);
            }
            shop.row = Some(Row {
                due: true,
                ahead: false,
                ..row
            });
            changed(shop);
        }
        Some(())
    }
}

/// The attempt that was read.
fn attempt(recovery: Recovery) -> Option<u8> {
    match recovery {
        Recovery::Look => None,
        Recovery::PutBack { attempt, .. } | Recovery::Fail { attempt } => Some(attempt),
    }
}
