//! How events end for good: the receipt, then the deletion of the row; for one event, or for many at once.
//!
//! Many go the same way as one, in fewer requests:
//!
//! 1. Receipts of different objects are inserted, 25 in one request. PartiQL has no upsert: an INSERT finds the receipt of an earlier
//!    upload and does nothing, and which of the two is newer only the conditional PutItem can decide. So whatever an INSERT
//!    certainly did not write is put by itself.
//! 2. A row is deleted once its own receipt is certainly stored, together with whatever else is ready at that moment. It waits for
//!    no other event's receipt. What the batch certainly did not delete is deleted by itself.
//!
//! On one machine both are one transaction ([`Ledger::ending_together`]), without a "between"; where that is refused they go the same way.
//!
//! | it ends | then |
//! |---|---|
//! | before an event's receipt is stored | its row is as it was; the success is reported again |
//! | when nobody knows whether it is stored | the same: unknown is not stored. The repeat finds it, or writes it |
//! | between receipt and deletion | a row that a receipt covers: the report again, or the sweep, deletes it |
//! | when nobody knows whether the row is deleted | the report again finds it gone |

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_schema::{Attempt, EventId, InvalidRow, ObjectEvent, Origin, Outcome, Receipt, Row};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};

use crate::cause::Cause;
use crate::end_together::{Done, TOGETHER, Together};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::settings::ReceiptSettings;
use crate::settle::clipped;
use crate::statement::{Statement, Written};
use crate::time::Deadline;
use crate::write::BATCH;

/// Chunks under way at once, and single requests in one of them.
const CONCURRENCY: usize = 8;

/// Longer than the two requests for one event can take ([`crate::client_timeouts`]).
const LONGEST: Duration = Duration::from_secs(60);

/// Why it is unknown whether an event is completed that was begun.
const NO_ANSWER: Cause = Cause::no_answer("not completed before the deadline");

/// An event of which some attempt succeeded.
#[derive(Clone, Copy, Debug)]
pub struct Success<'a> {
    /// The event.
    pub event: &'a ObjectEvent,
    /// The attempt.
    pub attempt: Attempt,
    /// What did it: an execution's ARN, a worker's name. At most 256 characters are kept.
    pub by: &'a str,
}

/// What came of deleting a row that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, now or already.
    Deleted,
    /// A newer release wrote it, and may mean more by it than this one knows: it stays as it is. Its receipt says that it is
    /// done, and the newer release finds both.
    LeftNewer,
}

/// A row that ends with a receipt, if it has an object, and its deletion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    id: EventId,
    event: Option<&'a ObjectEvent>,
    attempt: Attempt,
    outcome: Outcome,
    by: &'a str,
    why: Option<&'a str>,
    /// What people did to the row before, as far as whoever ends it has read it.
    note: Option<&'a str>,
}

/// Endings that go together, each with its position among all. No event twice.
struct Chunk<'a> {
    endings: Vec<(usize, Ending<'a>)>,
    /// Whether their receipts can be inserted: each is about an object of its own.
    inserts: bool,
}

/// An ending whose receipt is stored, or is not; `None` where it has not been put by itself yet.
type Receipted<'a> = (usize, Ending<'a>, Option<Result<(), LedgerError>>);

/// What came of an ending: the row of a newer release that is left, if it is one.
type Left = Result<Option<InvalidRow>, LedgerError>;

/// A row to be deleted, and the note that its receipt has.
type Noted<'a> = (EventId, Option<&'a str>);

/// A row whose receipt was dealt with.
type Ready<'a> = (usize, Noted<'a>, Result<(), LedgerError>);

/// The same; `None` where it has not been deleted by itself yet.
type Deletion<'a> = (usize, Noted<'a>, Option<Left>);

/// The position of an ending, and what came of it.
type Ended = (usize, Left);

impl<'a> Ending<'a> {
    pub(crate) fn of_row(row: &'a Row, outcome: Outcome, by: &'a str, why: Option<&'a str>) -> Self {
        Self {
            id: row.id,
            event: row.event(),
            attempt: row.attempt,
            outcome,
            by,
            why,
            note: row.note.as_deref(),
        }
    }

    /// The event of which it leaves a receipt in the place of the stored one, where that is not newer: a replay.
    fn is_again(&self) -> bool {
        let origin = self.event.map(|event| &event.origin);
        matches!(origin, Some(Origin::Replay { .. }))
    }

    fn receipt(&self, settings: &ReceiptSettings, ledger: &Ledger) -> Option<Receipt> {
        let receipt = Receipt::new(
            self.event?,
            self.attempt,
            self.outcome,
            clipped(self.by),
            self.why.map(clipped),
            ledger.clock.now(),
            settings.keep,
        );
        Some(Receipt {
            note: self.note.map(str::to_owned),
            ..receipt
        })
    }
}

impl<'a> From<Success<'a>> for Ending<'a> {
    fn from(success: Success<'a>) -> Self {
        Self {
            id: success.event.id,
            event: Some(success.event),
            attempt: success.attempt,
            outcome: Outcome::Succeeded,
            by: success.by,
            why: None,
            note: None,
        }
    }
}

impl Ledger {
    /// Completes an event: the receipt first, then the row's deletion. One and two write units.
    ///
    /// Success of any attempt is success of the event, so nothing is asked of the row but that no newer release wrote it. A missing
    /// row is success too: done twice is done.
    ///
    /// # Errors
    /// When the receipt or the deletion was not certainly written, and for a row of a newer release with receipts off: then
    /// nothing but the report says that the event is done. Nothing is lost: report the success again.
    pub async fn complete(
        &self,
        event: &ObjectEvent,
        attempt: Attempt,
        by: &str,
    ) -> Result<Deleted, LedgerError> {
        let success = Success { event, attempt, by };
        let ended = self.end_one(success.into()).await;
        self.completed(ended)
    }

    /// Completes many events as [`Ledger::complete`] does one, and gives the outcome of each, in their order; half a second
    /// after the deadline at the latest. One and two write units each, and one more for the receipt of an object that has one
    /// already; 25 receipts, or 25 deletions, in one request.
    pub async fn complete_many(
        &self,
        successes: &[Success<'_>],
        deadline: Deadline,
    ) -> Vec<Result<Deleted, LedgerError>> {
        let endings = successes.iter().map(|success| (*success).into()).collect();
        let ended = self.end_many(endings, deadline).await;
        ended.into_iter().map(|ended| self.completed(ended)).collect()
    }

    /// The same, each event's outcome as soon as it is known, with the event's position: nobody waits for another one's trouble.
    /// Dropping the stream is like a death: what was not given out yet is unknown.
    pub fn complete_each<'a>(
        &'a self,
        successes: impl IntoIterator<Item = Success<'a>>,
    ) -> BoxStream<'a, (usize, Result<Deleted, LedgerError>)> {
        let endings = successes.into_iter().map(Ending::from).collect();
        let ended = self.end_each(endings);
        ended
            .map(|(position, ended)| (position, self.completed(ended)))
            .boxed()
    }

    fn completed(&self, ended: Left) -> Result<Deleted, LedgerError> {
        match ended? {
            Some(newer) if self.receipts.is_none() => Err(LedgerError::Newer(newer)),
            Some(_) => Ok(Deleted::LeftNewer),
            None => Ok(Deleted::Deleted),
        }
    }

    /// Deletes a row that is known to be done: a stored receipt covers it, and keeps what people did to the row where it is the row's
    /// own. This is the second half of a completion that died
    /// in between, or a duplicate that was recorded while its twin was completed.
    ///
    /// # Errors
    /// When the deletion was not certainly written.
    pub async fn delete_done(&self, row: &Row) -> Result<Deleted, LedgerError> {
        let newer = self.delete(row.id, None).await?;
        Ok(newer.map_or(Deleted::Deleted, |_| Deleted::LeftNewer))
    }

    pub(crate) async fn end_one(&self, ending: Ending<'_>) -> Left {
        let deadline = Deadline::after(&self.clock, LONGEST);
        self.end_many(vec![ending], deadline).await.swap_remove(0)
    }

    /// Ends rows, and gives the outcome of each, in their order.
    pub(crate) async fn end_many(&self, endings: Vec<Ending<'_>>, deadline: Deadline) -> Vec<Left> {
        let mut outcomes: Vec<_> = endings
            .iter()
            .map(|_| Err(self.not_written(NO_ANSWER, true)))
            .collect();
        let mut ended = self.end_each(endings);
        let all = async {
            while let Some((position, outcome)) = ended.next().await {
                outcomes[position] = outcome;
            }
        };
        deadline.bound(&self.clock, all).await;
        outcomes
    }

    fn end_each<'a>(&'a self, endings: Vec<Ending<'a>>) -> BoxStream<'a, Ended> {
        stream::iter(self.in_chunks(endings))
            .flat_map_unordered(CONCURRENCY, move |chunk| {
                match self.ends_together && chunk.inserts {
                    true => self.end_at_once(chunk.endings),
                    false => self.end_chunk(chunk),
                }
            })
            .boxed()
    }

    /// Endings of different objects in one transaction, and where that is refused as a chunk ends.
    fn end_at_once<'a>(&'a self, endings: Vec<(usize, Ending<'a>)>) -> BoxStream<'a, Ended> {
        let ended = async move {
            let all = |outcome: &dyn Fn() -> Left| {
                let ended = endings.iter().map(|(position, _)| (*position, outcome()));
                stream::iter(ended.collect::<Vec<_>>()).boxed()
            };
            match self.try_together(&endings).await {
                Together::Ended => all(&|| Ok(None)),
                Together::Unknown(cause) => all(&|| {
                    Err(LedgerError::Request {
                        operation: "TransactWriteItems",
                        table: self.table.to_string(),
                        cause: cause.clone(),
                        unknown: true,
                    })
                }),
                Together::Refused => {
                    let chunk = |endings: &[(usize, Ending<'a>)]| Chunk {
                        endings: endings.to_vec(),
                        inserts: true,
                    };
                    let chunks: Vec<_> = endings.chunks(BATCH).map(chunk).collect();
                    stream::iter(chunks)
                        .flat_map_unordered(CONCURRENCY, move |chunk| self.end_chunk(chunk))
                        .boxed()
                }
            }
        };
        stream::once(ended).flatten().boxed()
    }

    /// Ends all of them or none; refused as well where one of them leaves no receipt.
    async fn try_together(&self, endings: &[(usize, Ending<'_>)]) -> Together {
        let Some(settings) = &self.receipts else {
            return Together::Refused;
        };
        let done = endings.iter().map(|(_, ending)| {
            Some(Done {
                id: ending.id,
                note: ending.note,
                receipt: ending.receipt(settings, self)?,
            })
        });
        match done.collect::<Option<Vec<_>>>() {
            Some(done) => self.end_together(settings, &done).await,
            None => Together::Refused,
        }
    }

    /// Events of different objects, 25 together (50 where that is a transaction), whose receipts are inserted; then the others. The same
    /// event once more is alone, for a request must not have a key twice.
    fn in_chunks<'a>(&self, endings: Vec<Ending<'a>>) -> Vec<Chunk<'a>> {
        let (mut ids, mut objects) = (BTreeSet::new(), BTreeSet::new());
        let (mut inserted, mut put, mut twice) = (Vec::new(), Vec::new(), Vec::new());
        for one in endings.into_iter().enumerate() {
            let ending = &one.1;
            // A replay finds the receipt of what it replays: no need to try.
            let object = ending
                .event
                .filter(|_| self.receipts.is_some() && !ending.is_again());
            if !ids.insert(ending.id) {
                twice.push(one);
            } else if object.is_some_and(|event| objects.insert(event.object_id())) {
                inserted.push(one);
            } else {
                put.push(one);
            }
        }
        let mut chunks = Vec::new();
        let most_inserted = if self.ends_together { TOGETHER } else { BATCH };
        for (all, most, inserts) in [
            (inserted, most_inserted, true),
            (put, BATCH, false),
            (twice, 1, false),
        ] {
            chunks.extend(all.chunks(most).map(|endings| Chunk {
                endings: endings.to_vec(),
                inserts,
            }));
        }
        chunks
    }

    fn end_chunk<'a>(&'a self, chunk: Chunk<'a>) -> BoxStream<'a, Ended> {
        // Receipt, then delete. A crash in between leaves a row that its receipt covers: the sweep deletes it. The opposite
        // order would leave an object of which nobody can say whether it was processed.
        self.insert_receipts(chunk)
            .map(stream::iter)
            .flatten_stream()
            .map(move |(position, ending, receipt)| async move {
                let receipt = match receipt {
                    Some(receipt) => receipt,
                    None => self.leave_receipt(&ending).await,
                };
                (position, (ending.id, ending.note), receipt)
            })
            .buffer_unordered(CONCURRENCY)
            .ready_chunks(BATCH)
            .map(move |ready| self.delete_receipted(ready))
            .buffer_unordered(CONCURRENCY)
            .flat_map(stream::iter)
            .map(move |(position, (id, note), deleted)| async move {
                match deleted {
                    Some(deleted) => (position, deleted),
                    None => (position, self.delete(id, note).await),
                }
            })
            .buffer_unordered(CONCURRENCY)
            .boxed()
    }

    /// Inserts the receipts of a chunk in one request, if it has several. Those that are stored, or perhaps are, come first: they
    /// do not wait for a place among the single requests.
    async fn insert_receipts<'a>(&self, chunk: Chunk<'a>) -> Vec<Receipted<'a>> {
        let (endings, inserts) = (chunk.endings, chunk.inserts);
        let mut receipted: Vec<Receipted<'a>> = endings
            .into_iter()
            .map(|(position, ending)| (position, ending, None))
            .collect();
        let settings = match &self.receipts {
            Some(settings) if inserts && receipted.len() > 1 => settings,
            _ => return receipted,
        };
        let statement = |(nth, (_, ending, _)): (usize, &Receipted<'a>)| {
            let receipt = ending.receipt(settings, self)?;
            // What has no form fails once more by itself, and says why.
            Statement::insert(&settings.table, &receipt)
                .ok()
                .map(|statement| (nth, statement))
        };
        let statements: Vec<_> = receipted.iter().enumerate().filter_map(statement).collect();
        let (batch, written) = self.write_batch(statements).await;
        for ((nth, _), written) in batch.into_iter().zip(written) {
            receipted[nth].2 = match written {
                Written::Applied(_) => Some(Ok(())),
                Written::Unknown(cause) => Some(Err(LedgerError::Request {
                    operation: "BatchExecuteStatement",
                    table: settings.table.to_string(),
                    cause,
                    unknown: true,
                })),
                // Certainly not written here: there is a receipt already, perhaps an older one; or a throttle; or a role that
                // may put receipts and not insert them.
                _ => None,
            };
        }
        receipted.sort_by_key(|(_, _, receipt)| receipt.is_none());
        receipted
    }

    /// The receipt of an event that ended, if receipts are on and it has an object, by itself.
    async fn leave_receipt(&self, ending: &Ending<'_>) -> Result<(), LedgerError> {
        let Some(settings) = &self.receipts else {
            return Ok(());
        };
        match ending.receipt(settings, self) {
            Some(receipt) => self.put_receipt(settings, &receipt, ending.is_again()).await,
            None => Ok(()),
        }
    }

    /// Deletes those rows whose receipts are stored, in one request if they are several. Those that need no request of their own
    /// come first, as above.
    async fn delete_receipted<'a>(&self, ready: Vec<Ready<'a>>) -> Vec<Deletion<'a>> {
        let mut deletions: Vec<Deletion<'a>> = Vec::with_capacity(ready.len());
        let mut statements = Vec::new();
        for (nth, (position, row, receipt)) in ready.into_iter().enumerate() {
            deletions.push((position, row, receipt.err().map(Err)));
            if deletions[nth].2.is_none() {
                statements.push((nth, self.delete_statement(row.0, row.1)));
            }
        }
        if statements.len() > 1 {
            let (batch, written) = self.write_batch(statements).await;
            for ((nth, _), written) in batch.into_iter().zip(written) {
                deletions[nth].2 = match written {
                    // One that is gone is as good.
                    Written::Applied(_) | Written::ConditionFailed(None) | Written::Duplicate => {
                        Some(Ok(None))
                    }
                    Written::Newer(newer) => Some(Ok(Some(newer))),
                    Written::Unknown(cause) => Some(Err(self.not_written(cause, true))),
                    // Certainly not deleted here: a row of version 1, or with a note, a throttle, or a role.
                    Written::ConditionFailed(Some(_)) | Written::Throttled(_) | Written::Refused(_) => None,
                };
            }
        }
        deletions.sort_by_key(|(_, _, deleted)| deleted.is_none());
        deletions
    }
}
