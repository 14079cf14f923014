//! After the restart of a machine whose queue and workers ended with it: what was claimed is put back at once.
//!
//! Only for whoever knows that both are gone, as the owner of a folder does that its process has just locked. Everywhere
//! else a lease says it; so it does of rows that a worker of another process holds, and, where workers are handed their rows without
//! a queue, of those that no worker of this process has.

use std::collections::{BTreeMap, BTreeSet};

use daybook_ledger::{
    Blame, Deadline, Deleted, Failed, Ledger, LedgerError, Released, RetryPolicy, TokenMark, chain,
};
use daybook_manager::NO_ANSWER;
use daybook_schema::{EventId, ExecutionName, ObjectId, Receipt, Row, Status, Timestamp};

/// Rows that are read and put back together.
const CHUNK: usize = 500;

/// Deletions and failures under way at once.
const CONCURRENCY: usize = 16;

/// So many processes may end while one of their workers has an attempt; one more, and the attempt has failed. The same as of a
/// message that workers die on.
const MOST_DEATHS: u32 = 3;

/// What a recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoverReport {
    /// Rows that are PENDING again, no attempt used.
    pub put_back: u32,
    /// Rows deleted, because receipts cover them.
    pub deleted: u32,
    /// Rows whose attempt has failed, because processes kept ending while it ran.
    pub failed: u32,
    /// Rows that workers of other processes hold, as far as is known: nothing was changed, and their leases bring them back.
    pub held_elsewhere: u32,
    /// Rows that a newer release wrote: they stay as they are.
    pub newer: u32,
    /// Rows that stay claimed: their leases bring them back.
    pub left: u32,
    /// What went wrong, each cause once.
    pub failures: Vec<String>,
}

impl RecoverReport {
    fn failure(&mut self, cause: impl ToString) {
        let cause = cause.to_string();
        if !self.failures.contains(&cause) {
            self.failures.push(cause);
        }
    }

    fn left(&mut self, cause: impl ToString) {
        self.left += 1;
        self.failure(cause);
    }
}

/// Puts all claimed rows back, but those that are held under tokens without the mark `ours`: their workers may live. Without a mark
/// every worker is known to be gone. `retry` spaces the attempts that have failed. Dying anywhere in it leaves rows claimed, for
/// the next recovery or for their leases. It ends soon after the deadline.
pub async fn recover(
    ledger: &Ledger,
    retry: &RetryPolicy,
    ours: Option<TokenMark>,
    deadline: Deadline,
) -> RecoverReport {
    let which = Which::All { ours };
    Recovery::new(ledger, retry, which, deadline).run().await
}

/// Puts back what is claimed and whose lease is over, where there is no queue: nothing sends it again. `running` is what this process
/// works on; a lease of one of these that is over says nothing. Otherwise as [`recover`].
pub async fn recover_stale(
    ledger: &Ledger,
    retry: &RetryPolicy,
    running: &BTreeSet<ExecutionName>,
    deadline: Deadline,
) -> RecoverReport {
    let now = ledger.clock().now();
    let which = Which::Stale { now, running };
    Recovery::new(ledger, retry, which, deadline).run().await
}

/// Which rows are put back.
#[derive(Clone, Copy)]
enum Which<'a> {
    /// All, but those that are held under tokens without this mark.
    All { ours: Option<TokenMark> },
    /// Those whose leases were over then, but those that run here.
    Stale {
        now: Timestamp,
        running: &'a BTreeSet<ExecutionName>,
    },
}

struct Recovery<'a> {
    ledger: &'a Ledger,
    retry: &'a RetryPolicy,
    which: Which<'a>,
    deadline: Deadline,
    report: RecoverReport,
}

impl<'a> Recovery<'a> {
    fn new(ledger: &'a Ledger, retry: &'a RetryPolicy, which: Which<'a>, deadline: Deadline) -> Self {
        Self {
            ledger,
            retry,
            which,
            deadline,
            report: RecoverReport::default(),
        }
    }

    async fn run(mut self) -> RecoverReport {
        let (ledger, deadline) = (self.ledger, self.deadline);
        let until = match self.which {
            Which::All { .. } => None,
            Which::Stale { now, .. } => Some(now),
        };
        let mut claimed = ledger.due(Status::Claimed, until, CHUNK);
        loop {
            if deadline.is_over(ledger.clock()) {
                self.report.failure("out of time: some rows were not looked at");
                break;
            }
            let keys = claimed.next(CHUNK).await;
            if keys.is_empty() {
                break;
            }
            let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
            let mut rows = Vec::with_capacity(ids.len());
            for row in ledger.get_many(&ids).await {
                match row {
                    Ok(row) if self.is_meant(&row) => rows.push(row),
                    Ok(_) => {}
                    Err(LedgerError::Newer(_)) => self.report.newer += 1,
                    Err(error) => self.report.left(chain(&error)),
                }
            }
            self.settle(rows).await;
        }
        for cause in claimed.failures() {
            self.report.failure(cause);
        }
        self.report
    }

    /// Whether a row is one of those, as a consistent read shows it.
    fn is_meant(&self, row: &Row) -> bool {
        let name = ExecutionName {
            id: row.id,
            attempt: row.attempt,
        };
        row.status == Status::Claimed
            && match self.which {
                Which::All { .. } => true,
                Which::Stale { now, running } => row.due_at <= now && !running.contains(&name),
            }
    }

    async fn settle(&mut self, rows: Vec<Row>) {
        let objects = rows
            .iter()
            .filter_map(|row| row.event().map(|event| event.object_id()));
        let receipts = self.ledger.receipts(objects).await;
        let (done, open): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| is_done(row, &receipts));
        let (elsewhere, gone): (Vec<Row>, Vec<Row>) =
            open.into_iter().partition(|row| self.is_elsewhere(row));
        let (deadly, innocent): (Vec<Row>, Vec<Row>) = gone
            .into_iter()
            .partition(|row| row.is_held() && row.deaths >= MOST_DEATHS);
        self.report.held_elsewhere += u32::try_from(elsewhere.len()).unwrap_or(u32::MAX);
        self.delete(&done).await;
        self.fail(&deadly).await;
        for outcome in self.ledger.put_back(&innocent, self.deadline).await {
            match outcome {
                Released::Released => self.report.put_back += 1,
                Released::Stale => {}
                Released::Left(cause) => self.report.left(cause),
            }
        }
    }

    /// Whether a worker took it whose token is not one of ours. The queue that it may wait in was ours in any case.
    fn is_elsewhere(&self, row: &Row) -> bool {
        let is_foreign = |ours: TokenMark| row.claim_token.is_some_and(|token| !ours.is_on(token));
        match self.which {
            Which::All { ours } => row.is_held() && ours.is_some_and(is_foreign),
            Which::Stale { .. } => false,
        }
    }

    async fn delete(&mut self, done: &[Row]) {
        let deletions: Vec<_> = done.iter().map(|row| self.ledger.delete_done(row)).collect();
        for outcome in self.bound(deletions).await {
            match outcome {
                Some(Ok(Deleted::Deleted)) => self.report.deleted += 1,
                Some(Ok(Deleted::LeftNewer)) => self.report.newer += 1,
                Some(Err(error)) => self.report.left(chain(&error)),
                None => self.report.left(NO_ANSWER),
            }
        }
    }

    async fn fail(&mut self, deadly: &[Row]) {
        let (ledger, retry, deadline) = (self.ledger, self.retry, self.deadline);
        let failures: Vec<_> = deadly
            .iter()
            .map(|row| async move {
                let why = format!(
                    "the process ended {} times while it worked on this",
                    row.deaths + 1
                );
                let blame = Blame::of_deaths(row);
                ledger.fail_taken(row, blame, &why, retry, deadline).await
            })
            .collect();
        for outcome in self.bound(failures).await {
            match outcome {
                Some(Ok(Failed::Stale)) => {}
                Some(Ok(Failed::Retry(_) | Failed::Parked)) => self.report.failed += 1,
                Some(Err(error)) => self.report.left(chain(&error)),
                None => self.report.left(NO_ANSWER),
            }
        }
    }

    async fn bound<F: Future>(&self, futures: Vec<F>) -> Vec<Option<F::Output>> {
        let clock = self.ledger.clock();
        self.deadline.bound_all(clock, CONCURRENCY, futures).await
    }
}

/// The process ended between receipt and deletion.
fn is_done(row: &Row, receipts: &BTreeMap<ObjectId, Receipt>) -> bool {
    row.event().is_some_and(|event| {
        receipts
            .get(&event.object_id())
            .is_some_and(|receipt| receipt.covers(event))
    })
}
