//! The audit of one scope in one round: pages, repairs, and what is committed and published of them.

use std::time::Duration;

use daybook_ledger::Clock;
use daybook_schema::Timestamp;

use super::artifacts;
use super::report_store::{Etag, Put, ReportStore, ReportStoreError};
use super::state::State;
use crate::audit::{
    Audit, AuditError, Batch, Driver, Limits, Line, ListedObject, Repair, Repaired, Repairer, Run, Statement,
    Step,
};

/// Bytes of a part of the report, but for the last page's lines.
const PART: usize = 4 * 1024 * 1024;

/// How often it is written down how far the audit is: what a round does not lose when it is killed.
const COMMIT_EVERY: Duration = Duration::from_secs(60);

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
    limits: Limits,
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
        (repairs, limits): (bool, Limits),
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
            limits,
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
            let went = self.judge_and_repair().await;
            if let Err(Stop::Yielded) = went {
                return Err(Stop::Yielded);
            }
            if self.state.checkpoint.is_complete && self.state.repairs.pending.is_empty() {
                self.state.finished_at = Some(self.clock.now());
            }
            // What was judged before something broke is judged.
            self.commit(true).await?;
            went?;
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

    /// Lists, judges and repairs until the end, or until the time is up.
    async fn judge_and_repair(&mut self) -> Result<(), Stop> {
        let mut run = None;
        if !self.state.checkpoint.is_complete {
            let resuming = self.audit.go_on(self.state.checkpoint.clone());
            let Some(resumed) = self.limits.bound(self.clock, resuming).await else {
                return Ok(());
            };
            let resumed = resumed?;
            self.state.by_version = Some(resumed.is_by_version());
            let others = resumed.open_rows().only_of_other_sources();
            if let Some(rows) = others.filter(|_| self.repairs) {
                self.repairs = false;
                self.failures.push(Cause::OtherSources(rows));
            }
            run = Some(resumed);
        }
        if self.repairs {
            self.state.repairs.counts.get_or_insert_default();
        } else {
            self.state.repairs.pending.clear();
        }
        let went = self.steps(&mut run).await;
        if let Some(run) = run {
            self.state.checkpoint = run.checkpoint().clone();
            self.listed = run.progress().listed;
        }
        went
    }

    async fn steps(&mut self, run: &mut Option<Run>) -> Result<(), Stop> {
        let mut driver = Driver::new(self.repairer, self.repairs.then_some(Repair::Missing));
        loop {
            let step = driver
                .step(run.as_mut(), &mut self.state.repairs, &mut self.limits)
                .await?;
            let is_due = match step {
                Step::Page(batch) => {
                    self.report_batch(&batch);
                    self.state.repairs.is_chunk()
                        || self.is_part()
                        || self.clock.now().since(self.committed_at) >= COMMIT_EVERY
                }
                Step::Listed => !self.state.repairs.pending.is_empty(),
                Step::Repaired(outcomes) => {
                    self.report_repairs(&outcomes);
                    false
                }
                Step::Done | Step::Stopped => return Ok(()),
            };
            if is_due {
                if let Some(run) = run {
                    self.state.checkpoint = run.checkpoint().clone();
                }
                self.commit(self.is_part()).await?;
            }
        }
    }

    fn is_part(&self) -> bool {
        self.state.lines.len() >= PART
    }

    fn report_batch(&mut self, batch: &Batch) {
        for finding in &batch.findings {
            Line::finding(finding).append_to(&mut self.state.lines);
        }
    }

    fn report_repairs(&mut self, outcomes: &[(ListedObject, Repaired)]) {
        for (object, outcome) in outcomes {
            self.settled += 1;
            self.recorded += u64::from(*outcome == Repaired::Recorded);
            Line::repaired(object, outcome).append_to(&mut self.state.lines);
        }
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
}

/// The name of the state in a scope's folder.
pub(super) const CHECKPOINT: &str = "checkpoint.json";
