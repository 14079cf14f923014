//! The sweep: observe, plan, execute. It never fails a row and never parks one.

mod observe;
mod report;

use std::time::Duration;

use daybook_ledger::{
    Asker, Claim, Control, Deadline, Deleted, Grant, GrantRequest, Lease, Ledger, LedgerError, Refusal,
    Released, SweepTurn, Window,
};
use daybook_manager::{AttemptTarget, Dispatch, DispatchQueue, Executions, NO_ANSWER, TIME_TO_SEND};
use daybook_schema::Row;

use crate::plan::plan;

pub use report::{SweepOutput, SweepReport};

/// Rows that are read and repaired together.
const ROWS_AT_ONCE: usize = 1000;

/// Deletions under way at once.
const CONCURRENCY: usize = 16;

/// A sweep that stays for another window takes its turn in the middle of it, or so long after its beginning: the scheduler has
/// come by then, and what it did not need is the sweep's.
const AFTER_THE_SCHEDULER: Duration = Duration::from_secs(30);

/// And no sooner than so long after its last turn, however short windows are: each turn looks at all stale rows.
const BETWEEN_TURNS: Duration = Duration::from_secs(1);

/// It stays only if so much of its time is left then.
const TIME_FOR_A_TURN: Duration = Duration::from_secs(15);

/// Bounds of what a sweep holds in memory and asks for. It goes on until its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// How many stale rows it looks at together, oldest first: some 200 bytes of memory each. When these are seen to and time is
    /// left, it looks at the next.
    pub rows: usize,
    /// How many pages of 1,000 running executions it lists. Beyond them it asks for each row's execution by itself.
    pub execution_pages: usize,
    /// How many executions it asks for a second when it has to ask for each. DescribeExecution has a quota for the account and
    /// region, which others need as well.
    pub asks_per_second: u32,
}

impl Default for SweepSettings {
    /// 100,000 rows; 1,000 pages, as many executions as an account may have open; 10 of the 15 DescribeExecution a second that
    /// are the default quota.
    fn default() -> Self {
        Self {
            rows: 100_000,
            execution_pages: 1000,
            asks_per_second: 10,
        }
    }
}

/// Repairs rows whose leases ran out.
#[derive(Clone, Debug)]
pub struct Sweeper {
    ledger: Ledger,
    queue: DispatchQueue,
    executions: Option<Executions>,
    /// The queue that attempts are handed to as messages, where its consumer reports: what waits there is not lost.
    target_queue: Option<DispatchQueue>,
    dispatch: Dispatch,
    settings: SweepSettings,
}

/// One look at the stale rows.
#[derive(Default)]
struct Pass {
    report: SweepReport,
    /// Rows that only the budget of this window had no room for.
    unfunded: usize,
}

impl Sweeper {
    /// Sweeps that ledger. Without `executions` (workers instead of Step Functions) none is known to run.
    pub fn new(
        ledger: Ledger,
        queue: DispatchQueue,
        executions: Option<Executions>,
        dispatch: Dispatch,
        settings: SweepSettings,
    ) -> Self {
        Self {
            ledger,
            queue,
            executions,
            target_queue: None,
            dispatch,
            settings,
        }
    }

    /// Sweeps a ledger whose attempts that target gets. Nothing is known to run but executions; messages that wait in a target queue
    /// count like those that wait in the dispatch queue.
    pub fn of_target(
        ledger: Ledger,
        queue: DispatchQueue,
        target: AttemptTarget,
        dispatch: Dispatch,
        settings: SweepSettings,
    ) -> Self {
        let target_queue = target.waiting();
        let executions = match target {
            AttemptTarget::StateMachine(executions) => Some(executions),
            AttemptTarget::Function(_) | AttemptTarget::Queue(_) => None,
        };
        Self {
            target_queue,
            ..Self::new(ledger, queue, executions, dispatch, settings)
        }
    }

    /// One sweep; redeliveries are taken from that window's budget. It ends soon after the deadline, whatever hangs; the report
    /// says what was done until then.
    ///
    /// # Errors
    /// When the ledger cannot be read or the budget not be taken. What was done until then stands and is safe.
    pub async fn run(&self, window: Window, deadline: Deadline) -> Result<SweepReport, LedgerError> {
        self.sweep(window, deadline, false).await
    }

    /// The same, and while redeliveries wait for a budget it stays: it takes its share of every window that comes before the
    /// deadline.
    ///
    /// # Errors
    /// As [`Sweeper::run`], in the first window. Later ones are in the report.
    pub async fn run_on(&self, window: Window, deadline: Deadline) -> Result<SweepReport, LedgerError> {
        self.sweep(window, deadline, true).await
    }

    async fn sweep(
        &self,
        window: Window,
        deadline: Deadline,
        stays: bool,
    ) -> Result<SweepReport, LedgerError> {
        let following = |window| stays.then(|| self.following(window, deadline)).flatten();
        let (mut window, mut next) = (window, following(window));
        let mut turn = SweepTurn {
            first: true,
            stays: next.is_some(),
        };
        let mut report: Option<SweepReport> = None;
        loop {
            let pass = match (self.pass(window, turn, deadline).await, &mut report) {
                (Ok(pass), _) => pass,
                (Err(error), None) => return Err(error),
                (Err(error), Some(report)) => {
                    report.failure(error);
                    return Ok(std::mem::take(report));
                }
            };
            let unfunded = pass.unfunded > 0;
            let has_progress = pass.report.has_progress();
            let so_far = match report.take() {
                Some(report) => report.followed_by(pass.report),
                None => pass.report,
            };
            let goes_on = so_far.more && has_progress && !deadline.is_over(self.ledger.clock());
            report = Some(so_far);
            turn.first = false;
            if goes_on {
                continue;
            }
            let Some((coming, wait)) = next.filter(|_| unfunded) else {
                return Ok(report.unwrap_or_default());
            };
            tokio::time::sleep(wait).await;
            window = coming;
            next = following(coming);
            turn.stays = next.is_some();
        }
    }

    /// The next window in which this run can take a turn before its deadline, and when from now.
    fn following(&self, window: Window, deadline: Deadline) -> Option<(Window, Duration)> {
        let now = self.ledger.clock().now();
        let following = window.following();
        let turn_at = following
            .start
            .plus((window.length / 2).min(AFTER_THE_SCHEDULER))
            .max(now.plus(BETWEEN_TURNS));
        let coming = Window::at(turn_at, window.length);
        let coming = if coming.start > following.start {
            coming
        } else {
            following
        };
        let is_in_time = turn_at.plus(TIME_FOR_A_TURN) <= deadline.0;
        is_in_time.then(|| (coming, turn_at.since(now)))
    }

    /// One look at the stale rows, and what follows from it.
    async fn pass(&self, window: Window, turn: SweepTurn, deadline: Deadline) -> Result<Pass, LedgerError> {
        let mut pass = Pass::default();
        let report = &mut pass.report;
        let clock = self.ledger.clock();
        let begun = async {
            let control = self.ledger.control().await?;
            Ok((control, self.stale_keys(report).await))
        };
        let Some(begun) = deadline.bound(clock, begun).await else {
            report.no_answer();
            return Ok(pass);
        };
        let (control, keys) = begun?;
        // Rows that could not be read are no sign that nothing is owed any more.
        if keys.is_empty() && (control.owed == 0 || !report.failures.is_empty()) {
            return Ok(pass);
        }
        let (running, depth) = self.observe(&keys, deadline, report).await;
        let mut unlisted = Vec::new();
        let mut seen = 0;
        for chunk in keys.chunks(ROWS_AT_ONCE) {
            let looked = deadline
                .bound(clock, self.look(chunk, &running.names, report))
                .await;
            let Some(sorted) = looked else {
                report.no_answer();
                report.leave(keys.len() - seen);
                break;
            };
            seen += chunk.len();
            let leases = self
                .ledger
                .renew(&sorted.renew, None, self.dispatch.lease, deadline)
                .await;
            report.renewed += report.leases(leases);
            self.count_running(&sorted.count, deadline, report).await;
            self.delete_covered(&sorted.covered, deadline, report).await;
            unlisted.extend(sorted.unlisted);
        }
        let not_running = match &self.executions {
            Some(executions) if !running.complete => {
                self.ask_each(executions, unlisted, deadline, report).await
            }
            _ => unlisted,
        };
        // Without the queue's depth nobody can say whether messages are lost.
        let Some(depth) = depth else {
            report.leave(not_running.len());
            return Ok(pass);
        };
        let plan = plan(not_running, depth);
        for chunk in plan.move_lease.chunks(ROWS_AT_ONCE) {
            let leases = self
                .ledger
                .move_leases(chunk, self.dispatch.lease, deadline)
                .await;
            report.moved += report.leases(leases);
        }
        self.redeliver_within_budget(control, window, turn, plan.redeliver, deadline, &mut pass)
            .await?;
        Ok(pass)
    }

    /// Redelivers as many of these as are granted, oldest first.
    async fn redeliver_within_budget(
        &self,
        control: Control,
        window: Window,
        turn: SweepTurn,
        mut lost: Vec<Lease>,
        deadline: Deadline,
        pass: &mut Pass,
    ) -> Result<(), LedgerError> {
        let clock = self.ledger.clock();
        // A redelivery that is written and not sent would wait for a doubled lease.
        if deadline.left(clock) < TIME_TO_SEND {
            pass.report.out_of_time |= !lost.is_empty();
            pass.report.leave(lost.len());
            return Ok(());
        }
        let request = GrantRequest {
            window,
            per_window: self.dispatch.per_window,
            wanted: u32::try_from(lost.len()).unwrap_or(u32::MAX),
            asker: Asker::Sweep(turn),
        };
        // Asked even for nothing: what an earlier sweep was owed is owed no more.
        let grant = deadline.bound(clock, self.ledger.grant(&request, control)).await;
        let granted = match grant.transpose()? {
            None => {
                pass.report.no_answer();
                0
            }
            Some(Grant::Granted(granted)) => granted as usize,
            Some(Grant::Refused(refusal)) => {
                pass.report.refusal = Some(refusal).filter(|refusal| *refusal != Refusal::NothingWanted);
                0
            }
        };
        let left = lost.len() - granted.min(lost.len());
        pass.report.leave(left);
        if !matches!(
            pass.report.refusal,
            Some(Refusal::Paused(_) | Refusal::WindowAhead)
        ) {
            pass.unfunded = left;
        }
        lost.truncate(granted);
        if !lost.is_empty() {
            self.redeliver(&lost, deadline, &mut pass.report).await;
        }
        Ok(())
    }

    /// Makes leases longer of rows whose batches run.
    pub(super) async fn count_running(&self, rows: &[Lease], deadline: Deadline, report: &mut SweepReport) {
        let moved = self.ledger.move_leases(rows, self.dispatch.lease, deadline).await;
        report.moved += report.leases(moved);
    }

    async fn delete_covered(&self, covered: &[Row], deadline: Deadline, report: &mut SweepReport) {
        let deletions: Vec<_> = covered.iter().map(|row| self.ledger.delete_done(row)).collect();
        let deleted = deadline
            .bound_all(self.ledger.clock(), CONCURRENCY, deletions)
            .await;
        for outcome in deleted {
            match outcome {
                Some(Ok(Deleted::Deleted)) => report.deleted += 1,
                Some(Ok(Deleted::LeftNewer)) => report.newer += 1,
                Some(Err(error)) => {
                    report.left += 1;
                    report.failure(error);
                }
                None => {
                    report.left += 1;
                    report.failure(NO_ANSWER);
                }
            }
        }
    }

    async fn redeliver(&self, rows: &[Lease], deadline: Deadline, report: &mut SweepReport) {
        let mut claimed: Vec<Row> = Vec::with_capacity(rows.len());
        for claim in self.ledger.redeliver(rows, self.dispatch.lease, deadline).await {
            match claim {
                Claim::Claimed(row) => claimed.push(*row),
                Claim::Lost => {}
                Claim::Newer => report.newer += 1,
                Claim::NotApplied(cause) => {
                    report.left += 1;
                    report.failure(cause);
                }
                Claim::Unknown(cause) => {
                    report.unknown += 1;
                    report.failure(cause);
                }
            }
        }
        let count = count_of(&claimed);
        let sent = deadline
            .bound(self.ledger.clock(), self.queue.dispatch(claimed))
            .await;
        let Some(dispatched) = sent else {
            report.unknown += count;
            report.failure(NO_ANSWER);
            return;
        };
        report.redelivered = count_of(&dispatched.sent);
        report.unknown += count_of(&dispatched.unknown);
        for cause in dispatched.causes {
            report.failure(cause);
        }
        for released in self.ledger.unsend(&dispatched.refused, deadline).await {
            match released {
                Released::Released => report.unsent += 1,
                Released::Stale => {}
                Released::Left(cause) => {
                    report.unknown += 1;
                    report.failure(cause);
                }
            }
        }
    }
}

fn count_of<T>(rows: &[T]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}
