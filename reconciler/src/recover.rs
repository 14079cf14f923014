//! After the restart of a machine whose queue and workers ended with it: what was claimed is put back at once.
//!
//! Only for whoever knows that both are gone, as the owner of a folder does that its process has just locked. Everywhere
//! else a lease says it.

use std::collections::BTreeMap;

use daybook_ledger::{Deadline, Failed, Ledger, LedgerError, Released, RetryPolicy};
use daybook_schema::{EventId, ExecutionName, ObjectId, Receipt, Row, Status};
use futures::StreamExt;

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

/// Puts all claimed rows back. `retry` spaces the attempts that have failed. Dying anywhere in it leaves rows claimed, for the
/// next recovery or for their leases.
pub async fn recover(ledger: &Ledger, retry: &RetryPolicy, deadline: Deadline) -> RecoverReport {
    let mut report = RecoverReport::default();
    let mut claimed = ledger.due(Status::Claimed, None, CHUNK);
    loop {
        let keys = claimed.next(CHUNK).await;
        if keys.is_empty() {
            break;
        }
        let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
        let mut rows = Vec::with_capacity(ids.len());
        for row in ledger.get_many(&ids).await {
            match row {
                Ok(row) if row.status == Status::Claimed => rows.push(row),
                Ok(_) => {}
                Err(error) => report.left(error),
            }
        }
        put_back(ledger, rows, retry, deadline, &mut report).await;
    }
    for cause in claimed.failures() {
        report.failure(cause);
    }
    report
}

async fn put_back(
    ledger: &Ledger,
    rows: Vec<Row>,
    retry: &RetryPolicy,
    deadline: Deadline,
    report: &mut RecoverReport,
) {
    let objects = rows
        .iter()
        .filter_map(|row| row.event().map(|event| event.object_id()));
    let receipts = ledger.receipts(objects).await;
    let (done, open): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| is_done(row, &receipts));
    let (deadly, innocent): (Vec<Row>, Vec<Row>) = open
        .into_iter()
        .partition(|row| row.is_held() && row.deaths >= MOST_DEATHS);
    let deletions: Vec<_> = done.iter().map(|row| ledger.delete_done(row)).collect();
    let deleted: Vec<Result<(), LedgerError>> = futures::stream::iter(deletions)
        .buffered(CONCURRENCY)
        .collect()
        .await;
    for outcome in deleted {
        match outcome {
            Ok(()) => report.deleted += 1,
            Err(error) => report.left(error),
        }
    }
    let failures: Vec<_> = deadly
        .iter()
        .map(|row| async move {
            let name = ExecutionName {
                id: row.id,
                attempt: row.attempt,
            };
            let why = format!(
                "the process ended {} times while it worked on this",
                row.deaths + 1
            );
            ledger.fail(name, None, &why, retry, deadline).await
        })
        .collect();
    let failed: Vec<Result<Failed, LedgerError>> = futures::stream::iter(failures)
        .buffered(CONCURRENCY)
        .collect()
        .await;
    for outcome in failed {
        match outcome {
            Ok(Failed::Stale) => {}
            Ok(Failed::Retry(_) | Failed::Parked) => report.failed += 1,
            Err(error) => report.left(error),
        }
    }
    for outcome in ledger.put_back(&innocent, deadline).await {
        match outcome {
            Released::Released => report.put_back += 1,
            Released::Stale => {}
            Released::Left(cause) => report.left(cause),
        }
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
