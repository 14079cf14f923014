//! The course of an audit: page after page, what is missing recorded along the way, and how far it is written down.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use daybook_ledger::Deadline;
use daybook_reconciler::audit::{
    Audit, AuditError, AuditSettings, Batch, Class, Finding, InventoryError, Line, ListedObject, Repair,
    RepairCounts, Repairer, Run, Scope,
};
use daybook_schema::Timestamp;

use crate::commands::audit::arguments::AuditArguments;
use crate::commands::audit::checkpoint::{Stored, Terms};
use crate::commands::audit::findings::Findings;
use crate::commands::audit::outcome::{Done, Failures};
use crate::commands::audit::progress::Progress;
use crate::deployment::s3::S3Place;
use crate::deployment::{Deployment, Place};
use crate::signals;
use crate::ui::error::Advised;
use crate::ui::text;

/// Objects that are looked at again together: each time all open rows are read.
const CHUNK: usize = 10_000;

/// How long recording one chunk may take.
const CHUNK_TIME: Duration = Duration::from_secs(30 * 60);

/// Waits before a page that could not be listed is asked for again.
const PAUSES: [u64; 2] = [1, 3];

/// Examples that are shown.
const EXAMPLES: usize = 5;

/// An audit under way.
pub struct Course<'a> {
    deployment: &'a Deployment,
    s3: &'a S3Place,
    audit: &'a Audit,
    repairer: &'a Repairer,
    arguments: &'a AuditArguments,
    scope: &'a Scope,
    intake_drained_until: Option<Timestamp>,
    stop: Pin<Box<dyn Future<Output = ()>>>,
    findings: Findings,
    progress: Progress,
    failures: Failures,
}

/// What is to be recorded, and what came of it.
struct Mend {
    repair: Repair,
    pending: Vec<ListedObject>,
    counts: RepairCounts,
}

/// Why it goes no further.
enum Stop {
    Interrupted,
    Broken(anyhow::Error),
}

impl<'a> Course<'a> {
    /// Nothing is done yet but listening for Ctrl-C.
    pub fn new(
        deployment: &'a Deployment,
        s3: &'a S3Place,
        audit: &'a Audit,
        repairer: &'a Repairer,
        arguments: &'a AuditArguments,
        settings: &'a AuditSettings,
    ) -> Self {
        Self {
            deployment,
            s3,
            audit,
            repairer,
            arguments,
            scope: &settings.scope,
            intake_drained_until: settings.intake.until(),
            stop: Box::pin(signals::requested()),
            findings: Findings::none(),
            progress: Progress::new(arguments.files.expect),
            failures: Failures::default(),
        }
    }

    /// Audits to the end, to the limit, or as far as it goes. None when it was interrupted before it began.
    ///
    /// # Errors
    /// When it cannot begin, or a file cannot be written.
    pub async fn audit(&mut self, terms: Terms, stored: Option<Stored>) -> anyhow::Result<Option<Done>> {
        let Some(mut run) = self.begin(stored.as_ref()).await? else {
            eprintln!("interrupted: nothing was judged yet");
            return Ok(None);
        };
        self.ask_about_sources(&run)?;
        if let Some(file) = &self.arguments.files.report {
            let go_on_at = stored.as_ref().map(|stored| stored.report_bytes);
            self.findings = Findings::open(file, self.arguments.files.form(file), go_on_at)?;
        }
        let mut mend = self.arguments.repair().map(Mend::new);
        if let (Some(stored), Some(mend)) = (stored, &mut mend) {
            mend.counts = stored.repair;
            mend.pending = stored.pending;
        }
        self.say_of_inventory(&run);
        self.progress.begin(&run);
        let mut examples = Vec::new();
        let stop = loop {
            let batch = match self.next(&mut run).await {
                Ok(Some(batch)) => batch,
                Ok(None) => break None,
                Err(stop) => break Some(stop),
            };
            self.progress.show(&run);
            self.findings.write(batch.findings.iter().map(Line::finding))?;
            self.failures.note(&batch.findings);
            let room = EXAMPLES.saturating_sub(examples.len());
            examples.extend(missing(&batch.findings).take(room).cloned());
            if let Some(mend) = &mut mend {
                mend.pending.extend(missing(&batch.findings).cloned());
                if mend.pending.len() >= CHUNK
                    && let Err(stop) = self.mend(mend).await
                {
                    self.save(&terms, &run, Some(mend))?;
                    break Some(stop);
                }
            }
            self.save(&terms, &run, mend.as_ref())?;
        };
        let stop = match (stop, &mut mend) {
            (None, Some(mend)) => {
                let mended = self.mend(mend).await;
                self.save(&terms, &run, Some(mend))?;
                mended.err()
            }
            (stop, mend) => {
                // A listing that is at its end without another page is complete only now.
                self.save(&terms, &run, mend.as_ref())?;
                stop
            }
        };
        self.progress.clear();
        let stop = match stop {
            // Nothing is known that could be told.
            Some(Stop::Broken(error)) if run.checkpoint().marker.is_none() => return Err(error),
            stop => stop,
        };
        let mut done = Done {
            checkpoint: run.checkpoint().clone(),
            pending: mend.as_ref().map_or(0, |mend| mend.pending.len()),
            repair: mend.map(|mend| mend.counts),
            backfill: None,
            by_version: run.is_by_version(),
            open_rows: run.open_rows().clone(),
            clock_behind: run.clock_behind(),
            inventory: run.inventory(),
            progress: run.progress(),
            examples,
            interrupted: false,
            broken: None,
            failures: std::mem::take(&mut self.failures),
        };
        done.stopped(stop);
        Ok(Some(done))
    }

    /// Lists once more, and records what is from before the watermark.
    ///
    /// # Errors
    /// When it cannot begin, or the report cannot be written.
    pub async fn backfill(&mut self, done: &mut Done) -> anyhow::Result<()> {
        let Some(mut run) = self.begin(None).await? else {
            done.interrupted = true;
            return Ok(());
        };
        self.progress = Progress::new(Some(done.checkpoint.tally.objects));
        self.progress.begin(&run);
        let mut mend = Mend::new(Repair::BeforeWatermark);
        let stop = loop {
            let batch = match self.next(&mut run).await {
                Ok(batch) => batch,
                Err(stop) => break Some(stop),
            };
            self.progress.show(&run);
            let is_last = batch.is_none();
            let findings = batch.map(|batch| batch.findings).unwrap_or_default();
            mend.pending.extend(before_watermark(&findings).cloned());
            if (is_last || mend.pending.len() >= CHUNK)
                && let Err(stop) = self.mend(&mut mend).await
            {
                break Some(stop);
            }
            if is_last {
                break None;
            }
        };
        self.progress.clear();
        done.backfill = Some(mend.counts);
        done.failures.extend(std::mem::take(&mut self.failures));
        done.stopped(stop);
        Ok(())
    }

    async fn begin(&mut self, stored: Option<&Stored>) -> anyhow::Result<Option<Run>> {
        let begin = async {
            match stored {
                Some(stored) => self.audit.go_on(stored.checkpoint.clone()).await,
                None => self.audit.begin().await,
            }
        };
        let begun = tokio::select! {
            biased;
            () = &mut self.stop => return Ok(None),
            begun = begin => begun,
        };
        if let (Some(stored), Ok(_)) = (stored, &begun) {
            let objects = text::many(stored.checkpoint.tally.objects, "object");
            eprintln!("note: it goes on from its checkpoint, {objects} in");
        }
        Ok(Some(begun.map_err(|error| self.explained(error))?))
    }

    /// The next page, asked for again if it fails after others did not.
    async fn next(&mut self, run: &mut Run) -> Result<Option<Batch>, Stop> {
        let mut pauses = PAUSES.iter();
        loop {
            let next = tokio::select! {
                biased;
                () = &mut self.stop => return Err(Stop::Interrupted),
                next = run.next() => next,
            };
            let error = match next {
                Ok(batch) => return Ok(batch),
                Err(error) => error,
            };
            let pause = pauses
                .next()
                .filter(|_| run.progress().listed > 0 && is_worth_another(&error));
            let Some(pause) = pause else {
                return Err(Stop::Broken(self.explained(error).into()));
            };
            tracing::warn!(
                error = daybook_ledger::chain(&error),
                "a page could not be listed, and is asked for again in {pause} s"
            );
            tokio::select! {
                biased;
                () = &mut self.stop => return Err(Stop::Interrupted),
                () = tokio::time::sleep(Duration::from_secs(*pause)) => {}
            }
        }
    }

    /// Records what is pending, a chunk at a time. What was not tried stays pending.
    async fn mend(&mut self, mend: &mut Mend) -> Result<(), Stop> {
        let clock = self.deployment.ledger.clock();
        while !mend.pending.is_empty() {
            let chunk = mend.pending[..mend.pending.len().min(CHUNK)].to_vec();
            let taken = chunk.len();
            let deadline = Deadline::after(clock, CHUNK_TIME);
            let repaired = tokio::select! {
                biased;
                () = &mut self.stop => return Err(Stop::Interrupted),
                repaired = self.repairer.repair(chunk, mend.repair, deadline) => repaired,
            };
            let repaired = repaired.map_err(|error| Stop::Broken(self.explained(error).into()))?;
            mend.pending.drain(..taken);
            for (object, outcome) in &repaired {
                mend.counts.count(outcome);
                self.failures.note_repair(object, outcome);
            }
            let lines = repaired
                .iter()
                .map(|(object, outcome)| Line::repaired(object, outcome));
            self.findings
                .write(lines)
                .map_err(|error| Stop::Broken(error.into()))?;
        }
        Ok(())
    }

    fn save(&self, terms: &Terms, run: &Run, mend: Option<&Mend>) -> Result<(), Advised> {
        let Some(path) = &self.arguments.files.checkpoint else {
            return Ok(());
        };
        let stored = Stored::new(
            terms.clone(),
            run.checkpoint().clone(),
            mend.map(|mend| mend.counts).unwrap_or_default(),
            mend.map(|mend| mend.pending.clone()).unwrap_or_default(),
            (self.intake_drained_until, self.findings.bytes()),
        );
        stored.write(path)
    }

    /// Under a wrong name everything looks missing, and recording it would process everything once more.
    fn ask_about_sources(&self, run: &Run) -> Result<(), Advised> {
        let mending = &self.arguments.mending;
        let rows = run.open_rows();
        if !(mending.repair || mending.backfill) || rows.of_other_sources == 0 || rows.in_scope > 0 {
            return Ok(());
        }
        let source = &self.scope.source;
        self.progress.clear();
        let asked = mending.confirm.ask(&format!(
            "The ledger has {} about this bucket under another source than {source}, and none under that. Under a wrong \
             --source everything looks missing. Is {source} right?",
            text::many(rows.of_other_sources, "row")
        ));
        asked.map_err(|error| {
            Advised::new(format!(
                "nothing was recorded: {source} seems to be the wrong --source"
            ))
            .because(error)
            .hint("`daybook list` shows the sources of open events; with --yes it is not asked")
        })
    }

    /// What an inventory lacks, before it is read for hours.
    fn say_of_inventory(&self, run: &Run) {
        let Some(inventory) = run.inventory() else {
            return;
        };
        for field in inventory.lacks {
            let so = match field {
                "ETag" => {
                    "versions are told by their ids, and objects of the time before versioning may be unknown"
                }
                _ => "bytes are not counted",
            };
            eprintln!("note: the inventory has no field {field}: {so}");
        }
    }

    fn explained(&self, error: AuditError) -> Advised {
        match error {
            AuditError::Inventory(error) => {
                let advice = match &error {
                    InventoryError::Unreadable { cause, .. } => self.s3.advice(cause),
                    InventoryError::Damaged { .. } => {
                        Some("nothing of it was judged; fetch it again, or take another day's inventory".to_owned())
                    }
                    _ => None,
                };
                Advised::new(AuditError::Inventory(error.clone()).to_string())
                    .because(error)
                    .hint_if_any(advice)
            }
            AuditError::Ledger(error) => self.deployment.place.ledger_failure(error),
            AuditError::Listing(error) => {
                let advice = self.s3.advice(&error.to_string());
                let uri = text::object_uri(self.scope.bucket.as_str(), &self.scope.prefix, None);
                Advised::new(format!("{uri} cannot be listed, at {}", self.s3))
                    .because(error)
                    .hint_if_any(advice)
            }
            AuditError::ReceiptsOff => Advised::new(error.to_string()).hint(match self.deployment.place {
                Place::Local { .. } => "the folder's `daybook up` runs with --receipts-keep 0; from when it keeps receipts on, audits can tell",
                Place::Aws { .. } => {
                    "--receipts-table (DAYBOOK_RECEIPTS_TABLE) names the receipts, and --receipts-keep must not be 0"
                }
            }),
            AuditError::OtherAudit => Advised::new(error.to_string())
                .hint("give another file with --checkpoint, or delete this one to begin anew"),
        }
    }
}

impl Mend {
    fn new(repair: Repair) -> Self {
        Self {
            repair,
            pending: Vec::new(),
            counts: RepairCounts::default(),
        }
    }
}

impl Done {
    fn stopped(&mut self, stop: Option<Stop>) {
        match stop {
            None => {}
            Some(Stop::Interrupted) => self.interrupted = true,
            Some(Stop::Broken(error)) => self.broken = Some(error),
        }
    }
}

/// Whether it may be otherwise a moment later. A damaged file was had whole, and is what it is.
fn is_worth_another(error: &AuditError) -> bool {
    !matches!(error, AuditError::Inventory(InventoryError::Damaged { .. }))
}

fn missing(findings: &[Finding]) -> impl Iterator<Item = &ListedObject> {
    findings.iter().filter_map(|finding| match finding {
        Finding::Object {
            object,
            class: Class::Missing,
        } => Some(object),
        _ => None,
    })
}

fn before_watermark(findings: &[Finding]) -> impl Iterator<Item = &ListedObject> {
    findings.iter().filter_map(|finding| match finding {
        Finding::Object {
            object,
            class: Class::BeforeWatermark { .. },
        } => Some(object),
        _ => None,
    })
}
