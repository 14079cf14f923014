//! One audit, page by page.

use std::time::Duration;

use aws_sdk_s3::Client;
use daybook_ledger::{Consumed, Ledger, chain};
use daybook_schema::Timestamp;
use futures::StreamExt;

use super::completeness::{Statement, Tally};
use super::entry::{Marker, NULL_VERSION, Page};
use super::error::AuditError;
use super::head::{Head, head};
use super::inventory::{Inventory, InventorySummary};
use super::judge::{HEADS, Judge};
use super::open::{OpenRow, OpenRows, OpenSummary};
use super::page::Work;
use super::report::{Batch, Checkpoint, Finding, Progress};
use super::settings::AuditSettings;
use super::source::Source;

/// Compares a bucket with the ledger and its receipts. Reads only.
#[derive(Clone, Debug)]
pub struct Audit {
    s3: Client,
    ledger: Ledger,
    settings: AuditSettings,
}

/// A running audit. Memory: the open rows of the scope (some 300 bytes each), two pages of 1,000 objects, and the statement's
/// lines; nothing grows with the bucket. An inventory's files are on disk, one at a time. Dropping it at any time loses nothing but the pages after the last checkpoint.
#[derive(Debug)]
pub struct Run {
    judge: Judge,
    settings: AuditSettings,
    open: OpenRows,
    source: Source,
    /// The page to be judged next.
    page: Option<Page>,
    /// The one after it, listed meanwhile.
    following: Option<Page>,
    is_over: bool,
    checkpoint: Checkpoint,
    clock_behind: Duration,
    started_at: Timestamp,
    judged: u64,
    listed: u64,
    consumed_before: Consumed,
}

impl Audit {
    /// An audit with these settings: by a listing, or by an inventory if they name one. The S3 client's own settings say where S3 is; other servers than AWS mostly want
    /// `force_path_style`.
    pub fn new(s3: Client, ledger: Ledger, settings: AuditSettings) -> Self {
        Self { s3, ledger, settings }
    }

    /// Begins: finds out whether the bucket has versions, reads the manifest of an inventory, and the open rows.
    ///
    /// # Errors
    /// With receipts off ([`AuditError::ReceiptsOff`]): nothing could be told then. When the ledger or the bucket's
    /// versioning cannot be read, or the inventory cannot be used.
    pub async fn begin(&self) -> Result<Run, AuditError> {
        let settings = &self.settings;
        self.go_on(Checkpoint {
            scope: settings.scope.clone(),
            since: settings.since,
            until: settings.until,
            inventory: None,
            marker: None,
            is_complete: false,
            tally: Tally::default(),
            statement: Statement::new(settings.depth, settings.max_lines),
            gone: 0,
            unreadable: 0,
            outside: 0,
        })
        .await
    }

    /// Goes on after a checkpoint of an audit of the same objects. The open rows are read anew.
    ///
    /// # Errors
    /// As [`Audit::begin`], and when the checkpoint is of another scope, other times, or another inventory.
    pub async fn go_on(&self, mut checkpoint: Checkpoint) -> Result<Run, AuditError> {
        let mut settings = self.settings.clone();
        if (&checkpoint.scope, checkpoint.since, checkpoint.until)
            != (&settings.scope, settings.since, settings.until)
        {
            return Err(AuditError::OtherAudit);
        }
        let consumed_before = self.ledger.consumed();
        let mut judge = Judge::new(self.s3.clone(), self.ledger.clone(), &settings).await?;
        let source = Source::open(self.s3.clone(), &settings, checkpoint.marker.clone()).await?;
        if let Some(inventory) = source.inventory() {
            if checkpoint.marker.is_some() && checkpoint.inventory.as_deref() != Some(inventory.id()) {
                return Err(AuditError::OtherAudit);
            }
            checkpoint.inventory = Some(inventory.id().to_owned());
            settings.until = Some(
                settings
                    .until
                    .map_or(inventory.at(), |until| until.min(inventory.at())),
            );
            judge.confirms_missing = true;
        }
        // Rows before the listing: an object uploaded after the rows were read is listed, and too new.
        let mut open = judge.scan().await?;
        if let Some(Marker::Key(marker)) = &checkpoint.marker {
            // An earlier part has seen to the rows of the keys before it.
            open.looked_until(Some(&marker.key));
        }
        Ok(Run {
            judge,
            open,
            source,
            page: None,
            following: None,
            is_over: settings.limit == Some(0) || checkpoint.is_complete,
            checkpoint,
            clock_behind: Duration::ZERO,
            started_at: self.ledger.clock().now(),
            judged: 0,
            listed: 0,
            consumed_before,
            settings,
        })
    }
}

impl Run {
    /// Judges the next page, while the one after it is listed. `None` when all is judged, or the limit is reached.
    ///
    /// # Errors
    /// When the bucket cannot be listed, or a file of the inventory not be read. Call again to go on at the same place: nothing is skipped and nothing counted twice.
    /// The same holds when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Batch>, AuditError> {
        if self.is_over {
            return Ok(None);
        }
        self.list_first().await?;
        let Self {
            judge,
            open,
            source,
            page,
            following,
            ..
        } = self;
        let Some(page) = page else {
            self.is_over = true;
            self.checkpoint.is_complete = true;
            return Ok(None);
        };
        let room = self.settings.limit.map(|limit| limit.saturating_sub(self.judged));
        let work = Work::of(page, &self.settings, room, source.is_by_version());
        for object in &work.listed {
            open.mark_listed(object.key.as_str(), object.version_id.as_deref());
        }
        // What a dropped call has listed is kept: asking again would skip a page.
        let ahead = async {
            if work.marker.is_some() && !work.is_cut && following.is_none() {
                *following = source.next_page().await?;
            }
            Ok::<_, AuditError>(())
        };
        let classes = judge.classes(&work.objects, open, self.clock_behind);
        let (classes, listed_ahead) = futures::join!(classes, ahead);
        // The page in hand is judged all the same. The next call lists again.
        if let Err(error) = listed_ahead {
            tracing::warn!(
                error = chain(&error),
                "the next page could not be listed and will be asked for again"
            );
        }
        let mut gone = Vec::new();
        if let Some(bound) = bound(work.marker.as_ref()) {
            let mut rows = open.unlisted(bound);
            rows.retain(|row| row.event_time.is_none_or(|at| self.settings.is_within(at)));
            if let Some(inventory) = source.inventory() {
                // What was written shortly before may not have found its way into it.
                let is_listed = |at: Timestamp| at.plus(self.settings.grace) < inventory.at();
                rows.retain(|row| row.event_time.is_none_or(is_listed));
            }
            gone = find_gone(judge, rows, source.is_by_version()).await;
            open.looked_until(bound);
        }

        // From here on nothing waits, so that a dropped call has done all or nothing.
        let batch = self.checkpoint.add(&work, &classes, gone);
        self.judged += batch.objects;
        self.listed += work.taken as u64;
        self.is_over = work.is_cut || work.marker.is_none();
        self.checkpoint.is_complete = work.marker.is_none();
        self.checkpoint.marker = work.marker.or(self.checkpoint.marker.take());
        self.page = self.following.take();
        Ok(Some(batch))
    }

    /// Has a page in hand, unless there is none.
    async fn list_first(&mut self) -> Result<(), AuditError> {
        if self.page.is_some() {
            return Ok(());
        }
        let asked_at = self.judge.ledger.clock().now();
        self.page = self.source.next_page().await?;
        // Ages are counted on our clock, and objects dated on the server's: one that is behind makes them look older.
        if let Some(date) = self.page.as_ref().and_then(|page| page.listed_at) {
            let behind = asked_at.since(date.plus(Duration::from_secs(1)));
            self.clock_behind = self.clock_behind.max(behind);
        }
        Ok(())
    }

    /// How far it is, for [`Audit::go_on`]; and its counts and statement.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What the ledger held when it began.
    pub fn open_rows(&self) -> &OpenSummary {
        self.open.summary()
    }

    /// Whether every version is listed.
    pub fn is_by_version(&self) -> bool {
        self.source.is_by_version()
    }

    /// The inventory that it reads, if it does not list the bucket itself.
    pub fn inventory(&self) -> Option<InventorySummary> {
        self.source.inventory().map(Inventory::summary)
    }

    /// How far the server's clock is behind ours, by its answers' dates; the grace is longer by that.
    pub fn clock_behind(&self) -> Duration {
        self.clock_behind
    }

    /// How it goes.
    pub fn progress(&self) -> Progress {
        let ledger = &self.judge.ledger;
        Progress {
            listed: self.listed,
            list_requests: self.source.requests(),
            head_requests: self.judge.heads(),
            ledger: ledger.consumed() - self.consumed_before,
            inventory: self.source.inventory().map(Inventory::progress),
            elapsed: ledger.clock().now().since(self.started_at),
        }
    }
}

/// Which rows can be told not to be listed at that place: those of keys before one, or all (`Some(None)`). A listing is in the
/// order of keys; an inventory has none, and is known at its end.
fn bound(marker: Option<&Marker>) -> Option<Option<&str>> {
    match marker {
        None => Some(None),
        Some(Marker::Key(marker)) => Some(Some(&marker.key)),
        Some(Marker::Row(_)) => None,
    }
}

/// Looks at the objects of rows that the source does not show.
async fn find_gone(judge: &Judge, rows: Vec<OpenRow>, by_version: bool) -> Vec<Finding> {
    judge.count_heads(rows.len());
    let looks: Vec<_> = rows
        .iter()
        .map(|row| {
            let null_version = by_version.then_some(NULL_VERSION);
            let version_id = row.version_id.as_deref().or(null_version);
            head(&judge.s3, &judge.scope.bucket, &row.key, version_id)
        })
        .collect();
    let heads: Vec<Head> = futures::stream::iter(looks).buffered(HEADS).collect().await;
    let finding = |(row, head): (OpenRow, Head)| match head {
        Head::There(_) => None,
        Head::Gone => Some((row, None)),
        Head::Unknown(cause) => Some((row, Some(cause))),
    };
    let found = rows.into_iter().zip(heads).filter_map(finding);
    found
        .map(|(row, unconfirmed)| Finding::Gone { row, unconfirmed })
        .collect()
}
