//! The audit of one scope in one round: pages, repairs, and what is committed and published of them.

use std::future::Future;
use std::time::Duration;

use daybook_ledger::{Clock, Deadline, chain};
use daybook_schema::Timestamp;
use tokio::time::{sleep, timeout};

use super::artifacts;
use super::report_store::{Etag, Put, ReportStore, ReportStoreError};
use super::state::State;
use crate::audit::{
    Audit, AuditError, Batch, Class, Finding, Line, Repair, Repaired, Repairer, Run, Statement,
};

/// Objects that are looked at again together: each time all open rows are read.
const CHUNK: usize = 10_000;

/// Bytes of a part of the report, but for the last page's lines.
const PART: usize = 4 * 1024 * 1024;

/// How often it is written down how far the audit is: what a round does not lose when it is killed.
const COMMIT_EVERY: Duration = Duration::from_secs(60);

/// Waits before a page that could not be listed is asked for again.
const PAUSES: [u64; 2] = [1, 3];

/// Why an audit goes no further in this round.
#[derive(Debug)]
pub(super) enum Stop {
    /// Another round has written its state.
    Yielded,
    /// This.
    Broken(Cause),
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    ReportStore(#[from] ReportStoreError),
    #[error(
        "the time was too short to read the open rows and list one page: give the function more time, or audit fewer prefixes \
         with one deployment"
    )]
    TooShort,
    #[error(
        "nothing was recorded: the ledger has {0} rows about this bucket under another source than this one, and none under \
         this. Under a wrong source (DAYBOOK_SOURCE) everything looks missing. If it is right, `daybook audit --repair` records \
         after asking"
    )]
    OtherSources(u64),
}

impl From<AuditError> for Stop {
    fn from(error: AuditError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<ReportStoreError> for Stop {
    fn from(error: ReportStoreError) -> Self {
        Self::Broken(error.into())
    }
}

/// An audit under way.
pub(super) struct ScopeRound<'a> {
    pub(super) reports: &'a ReportStore,
    pub(super) audit: &'a Audit,
    pub(super) repairer: &'a Repairer,
    pub(super) clock: &'a Clock,
    /// Where the scope's objects are.
    pub(super) folder: &'a str,
    pub(super) state: State,
    /// Of the stored state; none where there is none.
    pub(super) etag: Option<Etag>,
    pub(super) repairs: bool,
    /// Nothing new is begun after it.
    pub(super) until: Deadline,
    /// What was begun is given up.
    pub(super) at_last: Deadline,
    committed_at: Timestamp,
    pub(super) listed: u64,
    pub(super) recorded: u64,
    /// Missing objects that were looked at again, whatever came of it.
    settled: u64,
    /// What went wrong and did not stop it.
    pub(super) failures: Vec<Cause>,
}

impl<'a> ScopeRound<'a> {
    pub(super) fn new(
        reports: &'a ReportStore,
        audit: &'a Audit,
        repairer: &'a Repairer,
        clock: &'a Clock,
        folder: &'a str,
        (state, etag): (State, Option<Etag>),
        (repairs, until, at_last): (bool, Deadline, Deadline),
    ) -> Self {
        Self {
            reports,
            audit,
            repairer,
            clock,
            folder,
            state,
            etag,
            repairs,
            until,
            at_last,
            committed_at: clock.now(),
            listed: 0,
            recorded: 0,
            settled: 0,
            failures: Vec::new(),
        }
    }

    /// Writes down that it begins, before anything is done: another round then knows, and a bucket that cannot be written to is
    /// found out before a million objects are listed.
    pub(super) async fn begin(&mut self) -> Result<(), Stop> {
        self.commit(false).await
    }

    /// Goes as far as the time permits. Whether it is finished.
    pub(super) async fn go(&mut self) -> Result<bool, Stop> {
        self.publish().await?;
        if self.state.finished_at.is_none() {
            self.state.rounds += 1;
            if !self.repairs {
                self.state.pending.clear();
            }
            let judged = self.judge().await;
            if let Err(Stop::Yielded) = judged {
                return Err(Stop::Yielded);
            }
            let repaired = match (&judged, self.state.checkpoint.is_complete) {
                (Ok(()), true) if !self.state.pending.is_empty() => {
                    self.commit(false).await?;
                    self.repair().await
                }
                _ => Ok(()),
            };
            if self.state.checkpoint.is_complete && self.state.pending.is_empty() {
                self.state.finished_at = Some(self.clock.now());
            }
            // What was judged before something broke is judged.
            self.commit(true).await?;
            judged.and(repaired)?;
        }
        if self.state.finished_at.is_none() {
            return match self.listed + self.settled {
                0 => Err(Stop::Broken(Cause::TooShort)),
                _ => Ok(false),
            };
        }
        self.close().await?;
        Ok(true)
    }

    /// Lists and judges until the end, or until the time is up.
    async fn judge(&mut self) -> Result<(), Stop> {
        if self.state.checkpoint.is_complete {
            return Ok(());
        }
        let going_on = self.audit.go_on(self.state.checkpoint.clone());
        let Some(run) = self.in_time(self.until, going_on).await else {
            return Ok(());
        };
        let mut run = run?;
        self.state.by_version = Some(run.is_by_version());
        let rows = run.open_rows();
        if self.repairs && rows.of_other_sources > 0 && rows.in_scope == 0 {
            self.repairs = false;
            self.state.pending.clear();
            self.failures.push(Cause::OtherSources(rows.of_other_sources));
        }
        if self.repairs {
            self.state.repair.get_or_insert_default();
        }
        let judged = self.pages(&mut run).await;
        self.state.checkpoint = run.checkpoint().clone();
        self.listed = run.progress().listed;
        judged
    }

    async fn pages(&mut self, run: &mut Run) -> Result<(), Stop> {
        // What an earlier round has left: it may be days to the end.
        if !self.state.pending.is_empty() {
            self.repair().await?;
        }
        while let Some(batch) = self.page(run).await? {
            self.take(&batch);
            let is_chunk = self.state.pending.len() >= CHUNK;
            let is_part = self.state.lines.len() >= PART;
            if is_chunk || is_part || self.clock.now().since(self.committed_at) >= COMMIT_EVERY {
                self.state.checkpoint = run.checkpoint().clone();
                self.commit(is_part).await?;
            }
            if is_chunk {
                self.repair().await?;
            }
        }
        Ok(())
    }

    /// The next page, asked for again if it fails after others did not. None at the end, and when the time is up.
    async fn page(&self, run: &mut Run) -> Result<Option<Batch>, Stop> {
        let mut pauses = PAUSES.iter();
        loop {
            if self.until.is_over(self.clock) {
                return Ok(None);
            }
            // Given up in the middle, a page is not judged, and nothing else is lost.
            let Some(next) = self.in_time(self.until, run.next()).await else {
                return Ok(None);
            };
            let error = match next {
                Ok(batch) => return Ok(batch),
                Err(error) => error,
            };
            let pause = pauses.next().filter(|_| run.progress().listed > 0);
            let Some(pause) = pause else {
                return Err(error.into());
            };
            tracing::warn!(
                error = chain(&error),
                "a page could not be listed, and is asked for again in {pause} s"
            );
            sleep(Duration::from_secs(*pause)).await;
        }
    }

    fn take(&mut self, batch: &Batch) {
        for finding in &batch.findings {
            Line::finding(finding).append_to(&mut self.state.lines);
            if self.repairs
                && let Finding::Object {
                    object,
                    class: Class::Missing,
                } = finding
            {
                self.state.pending.push(object.clone());
            }
        }
    }

    /// Records what is pending, which must be committed. What there was no time for stays pending.
    async fn repair(&mut self) -> Result<(), Stop> {
        while !self.state.pending.is_empty() && !self.until.is_over(self.clock) {
            let taken = self.state.pending.len().min(CHUNK);
            let chunk = self.state.pending[..taken].to_vec();
            let repairing = self.repairer.repair(chunk, Repair::Missing, self.until);
            let Some(repaired) = self.in_time(self.at_last, repairing).await else {
                return Ok(());
            };
            let repaired = repaired?;
            let is_cut = self.until.is_over(self.clock);
            let mut kept = Vec::new();
            for (object, outcome) in repaired {
                if is_cut && matches!(outcome, Repaired::NotSafe { .. }) {
                    kept.push(object);
                    continue;
                }
                self.settled += 1;
                self.recorded += u64::from(outcome == Repaired::Recorded);
                self.state.count(&outcome);
                Line::repaired(&object, &outcome).append_to(&mut self.state.lines);
            }
            kept.extend(self.state.pending.drain(taken..));
            self.state.pending = kept;
        }
        Ok(())
    }

    /// Writes down how far it is; sealed, its lines are a part of the report, which is published then.
    async fn commit(&mut self, seals: bool) -> Result<(), Stop> {
        if seals && !self.state.lines.is_empty() {
            self.state.parts += 1;
            self.state.sealed = Some(std::mem::take(&mut self.state.lines));
        }
        let (key, text) = (format!("{}/{CHECKPOINT}", self.folder), self.state.text());
        match self.reports.replace(&key, &text, self.etag.as_ref()).await? {
            Put::Written(etag) => self.etag = Some(etag),
            Put::Lost => return Err(Stop::Yielded),
        }
        self.committed_at = self.clock.now();
        self.publish().await
    }

    /// Writes the part that the stored state has sealed. Only the next state forgets it.
    async fn publish(&mut self) -> Result<(), Stop> {
        if let Some(lines) = &self.state.sealed {
            let key = self.key(&artifacts::part(self.state.parts));
            let lines = lines.clone().into_bytes();
            self.reports.write(&key, lines, "application/x-ndjson").await?;
            self.state.sealed = None;
        }
        Ok(())
    }

    /// Writes what a finished audit leaves. The summary comes last: where it is, everything is.
    async fn close(&mut self) -> Result<(), Stop> {
        if self.state.is_published {
            return Ok(());
        }
        let statement = artifacts::statement(&self.state);
        let key = self.key(artifacts::STATEMENT);
        self.reports
            .write(&key, statement, "text/csv; charset=utf-8")
            .await?;
        let summary = artifacts::summary(&self.state);
        let key = self.key("summary.json");
        self.reports.write(&key, summary, "application/json").await?;
        self.state.is_published = true;
        // It is published, and would be read at every tick.
        self.state.checkpoint.statement = Statement::new(0, 0);
        self.commit(false).await
    }

    fn key(&self, name: &str) -> String {
        format!(
            "{}/{}/{name}",
            self.folder,
            artifacts::folder(self.state.began_at)
        )
    }

    async fn in_time<F: Future>(&self, deadline: Deadline, future: F) -> Option<F::Output> {
        timeout(deadline.left(self.clock), future).await.ok()
    }
}

/// The name of the state in a scope's folder.
pub(super) const CHECKPOINT: &str = "checkpoint.json";
