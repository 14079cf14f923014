//! The sweep: observe, plan, execute. It never fails a row and never parks one.

use daybook_ledger::{
    Claim, Control, Deadline, Grant, GrantRequest, Ledger, LedgerError, Moved, Refusal, Released, Window,
};
use daybook_manager::{Dispatch, DispatchQueue, Executions, NO_ANSWER, Running, TIME_TO_SEND};
use daybook_schema::{EventId, Row, Status};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::plan::{Plan, plan};

/// Deletions under way at once.
const CONCURRENCY: usize = 16;

/// Bounds of one sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// How many stale rows one run looks at; the others wait for the next.
    pub rows: usize,
    /// How many pages of 1,000 running executions it lists.
    pub execution_pages: usize,
}

impl Default for SweepSettings {
    /// 1,000 rows and 10 pages.
    fn default() -> Self {
        Self {
            rows: 1000,
            execution_pages: 10,
        }
    }
}

/// Repairs rows whose leases ran out.
#[derive(Clone, Debug)]
pub struct Sweeper {
    ledger: Ledger,
    queue: DispatchQueue,
    executions: Option<Executions>,
    dispatch: Dispatch,
    settings: SweepSettings,
}

/// What one sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Rows whose leases had run out, as far as this run looked.
    pub stale: u32,
    /// Whether there may be more.
    pub more: bool,
    /// Rows with new leases, because their executions run.
    pub renewed: u32,
    /// Rows deleted, because receipts cover them.
    pub deleted: u32,
    /// Rows with longer leases, because the queue holds as many messages.
    pub moved: u32,
    /// Rows that the queue has once more.
    pub redelivered: u32,
    /// Redeliveries taken back, because the queue certainly did not take them.
    pub unsent: u32,
    /// Rows left for the next sweep: no budget, paused, out of time.
    pub left: u32,
    /// Rows of which a write or send is unknown.
    pub unknown: u32,
    /// Whether rows may have been left because the deadline neared.
    pub out_of_time: bool,
    /// Why nothing, or not more, was redelivered.
    pub refusal: Option<Refusal>,
    /// What went wrong, each cause once.
    pub failures: Vec<String>,
}

impl SweepReport {
    /// The report as JSON, the same from the function and from the command line. The window is the one whose budget it had.
    pub fn json(&self, window: Window) -> Value {
        json!({
            "window_start": window.start,
            "window_seconds": window.length.as_secs_f64(),
            "stale": self.stale,
            "more": self.more,
            "renewed": self.renewed,
            "deleted": self.deleted,
            "moved": self.moved,
            "redelivered": self.redelivered,
            "unsent": self.unsent,
            "left": self.left,
            "unknown": self.unknown,
            "out_of_time": self.out_of_time,
            "refusal": self.refusal,
            "failures": self.failures,
        })
    }

    fn failure(&mut self, cause: impl ToString) {
        let cause = cause.to_string();
        if !self.failures.contains(&cause) {
            self.failures.push(cause);
        }
    }

    fn leases(&mut self, moved: Vec<Moved>) -> u32 {
        let mut done = 0;
        for outcome in moved {
            match outcome {
                Moved::Moved => done += 1,
                Moved::Stale => {}
                Moved::Left(cause) => {
                    self.left += 1;
                    self.failure(cause);
                }
            }
        }
        done
    }
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
            dispatch,
            settings,
        }
    }

    /// One sweep; redeliveries are taken from that window's budget. It ends soon after the deadline, whatever hangs; the report
    /// says what was done until then.
    ///
    /// # Errors
    /// When the ledger cannot be read or the budget not be taken. What was done until then stands and is safe.
    pub async fn run(&self, window: Window, deadline: Deadline) -> Result<SweepReport, LedgerError> {
        let mut report = SweepReport::default();
        let clock = self.ledger.clock();
        let Some(seen) = deadline.bound(clock, self.look(&mut report)).await else {
            report.out_of_time = true;
            report.failure(NO_ANSWER);
            return Ok(report);
        };
        let Some((control, plan, queue_is_known)) = seen? else {
            return Ok(report);
        };
        let leases = self
            .ledger
            .renew(&plan.renew, self.dispatch.lease, deadline)
            .await;
        report.renewed = report.leases(leases);
        self.delete_covered(&plan, deadline, &mut report).await;
        let leases = self
            .ledger
            .move_leases(&plan.move_lease, self.dispatch.lease, deadline)
            .await;
        report.moved = report.leases(leases);
        if !queue_is_known {
            return Ok(report);
        }
        // A redelivery that is written and not sent would wait for a doubled lease.
        if deadline.left(clock) < TIME_TO_SEND {
            report.out_of_time = !plan.redeliver.is_empty();
            report.left += u32::try_from(plan.redeliver.len()).unwrap_or(u32::MAX);
            return Ok(report);
        }

        let wanted = u32::try_from(plan.redeliver.len()).unwrap_or(u32::MAX);
        let per_window = self.dispatch.per_window;
        let request = GrantRequest {
            window,
            per_window,
            wanted,
            redelivery: true,
        };
        // Asked even for nothing: what an earlier sweep was owed is owed no more.
        let granted = match deadline
            .bound(clock, self.ledger.grant(&request, control))
            .await
            .transpose()?
        {
            None => {
                report.out_of_time = true;
                report.failure(NO_ANSWER);
                0
            }
            Some(Grant::Granted(granted)) => granted as usize,
            Some(Grant::Refused(refusal)) => {
                report.refusal = Some(refusal).filter(|refusal| *refusal != Refusal::NothingWanted);
                0
            }
        };
        report.left +=
            u32::try_from(plan.redeliver.len() - granted.min(plan.redeliver.len())).unwrap_or(u32::MAX);
        if granted > 0 {
            let oldest: Vec<Row> = plan.redeliver.into_iter().take(granted).collect();
            self.redeliver(&oldest, deadline, &mut report).await;
        }
        Ok(report)
    }

    /// Reads, and plans; `None` when there is nothing to do.
    async fn look(&self, report: &mut SweepReport) -> Result<Option<(Control, Plan, bool)>, LedgerError> {
        let control = self.ledger.control().await?;
        let rows = self.stale_rows(report).await;
        // Rows that could not be read are no sign that nothing is owed any more.
        if rows.is_empty() && (control.owed == 0 || !report.failures.is_empty()) {
            return Ok(None);
        }
        let (plan, queue_is_known) = self.observe_and_plan(rows, report).await;
        Ok(Some((control, plan, queue_is_known)))
    }

    /// The stale rows that could be read: one that cannot must not keep all others from being repaired.
    async fn stale_rows(&self, report: &mut SweepReport) -> Vec<Row> {
        let now = self.ledger.clock().now();
        let mut stale = self.ledger.due(Status::Claimed, Some(now), self.settings.rows);
        let keys = stale.next(self.settings.rows).await;
        report.stale = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        report.more = keys.len() == self.settings.rows;
        for cause in stale.failures() {
            report.failure(cause);
        }
        let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
        let mut rows = Vec::with_capacity(ids.len());
        for row in self.ledger.get_many(&ids).await {
            match row {
                Ok(row) => rows.push(row),
                Err(error) => report.failure(error),
            }
        }
        rows
    }

    /// The plan, and whether the queue's depth is known. If not, nobody can say whether messages are lost: rows whose
    /// executions run or whose receipts cover them are seen to, the others wait.
    async fn observe_and_plan(&self, rows: Vec<Row>, report: &mut SweepReport) -> (Plan, bool) {
        let objects = rows
            .iter()
            .filter_map(|row| row.event().map(|event| event.object_id()));
        let running = async {
            match &self.executions {
                Some(executions) if !rows.is_empty() => {
                    executions.running(self.settings.execution_pages).await
                }
                _ => Running::default(),
            }
        };
        let depth = async {
            match rows.is_empty() {
                true => Ok(0),
                false => self.queue.depth().await,
            }
        };
        let (running, depth, receipts) = futures::join!(running, depth, self.ledger.receipts(objects));
        if let Some(cause) = running.failure {
            report.failure(cause);
        }
        let now = self.ledger.clock().now();
        match depth {
            Ok(depth) => (plan(rows, &running.names, &receipts, depth, now), true),
            Err(error) => {
                report.failure(error);
                let mut plan = plan(rows, &running.names, &receipts, 0, now);
                report.left += u32::try_from(plan.redeliver.len()).unwrap_or(u32::MAX);
                plan.redeliver.clear();
                (plan, false)
            }
        }
    }

    async fn delete_covered(&self, plan: &Plan, deadline: Deadline, report: &mut SweepReport) {
        let clock = self.ledger.clock();
        let deletions: Vec<_> = plan
            .covered
            .iter()
            .map(|row| deadline.bound(clock, self.ledger.delete_done(row)))
            .collect();
        let deleted: Vec<_> = futures::stream::iter(deletions)
            .buffered(CONCURRENCY)
            .collect()
            .await;
        for outcome in deleted {
            match outcome {
                Some(Ok(())) => report.deleted += 1,
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

    async fn redeliver(&self, rows: &[Row], deadline: Deadline, report: &mut SweepReport) {
        let mut claimed: Vec<Row> = Vec::with_capacity(rows.len());
        for claim in self.ledger.redeliver(rows, self.dispatch.lease, deadline).await {
            match claim {
                Claim::Claimed(row) => claimed.push(*row),
                Claim::Lost => {}
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
        let count = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
        let sent = deadline
            .bound(self.ledger.clock(), self.queue.dispatch(claimed))
            .await;
        let Some(dispatched) = sent else {
            report.unknown += count;
            report.failure(NO_ANSWER);
            return;
        };
        report.redelivered = dispatched.sent;
        report.unknown += dispatched.unknown;
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
