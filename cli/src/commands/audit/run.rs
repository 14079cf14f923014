//! Runs an audit: page after page, what is missing recorded along the way, and how far it is stored.

use daybook_inspect::wording::text;
use daybook_reconciler::audit::{
    Audit, AuditError, AuditSettings, Class, Driver, Finding, InventoryError, Limits, Line, ListedObject,
    Repair, Repaired, Repairer, Repairs, Run, Scope, Step,
};
use daybook_schema::Timestamp;

use crate::commands::audit::arguments::AuditArguments;
use crate::commands::audit::checkpoint::{Stored, Terms};
use crate::commands::audit::findings::Findings;
use crate::commands::audit::outcome::{Done, Failures, NAMED};
use crate::commands::audit::progress::Progress;
use crate::deployment::s3::S3Place;
use crate::deployment::{Deployment, Location};
use crate::signals;
use crate::ui::error::UserError;
use crate::ui::escape;

/// An audit under way.
pub struct AuditCommand<'a> {
    deployment: &'a Deployment,
    s3: &'a S3Place,
    audit: &'a Audit,
    repairer: &'a Repairer,
    arguments: &'a AuditArguments,
    scope: &'a Scope,
    intake_drained_until: Option<Timestamp>,
    limits: Limits,
    findings: Findings,
    progress: Progress,
    failures: Failures,
}

/// Why it goes no further.
enum Stop {
    Interrupted,
    Broken(anyhow::Error),
}

impl<'a> AuditCommand<'a> {
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
            limits: Limits::until_stopped(signals::requested()),
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
        let mut repairs = match (stored, self.arguments.repair()) {
            (Some(stored), Some(_)) => stored.repairs,
            _ => Repairs::default(),
        };
        self.say_of_inventory(&run);
        self.progress.begin(&run);
        let mut missing = Vec::new();
        let stop = self.steps(&terms, &mut run, &mut repairs, &mut missing).await?;
        self.progress.clear();
        let stop = match stop {
            // Nothing is known that could be told.
            Some(Stop::Broken(error)) if run.checkpoint().marker.is_none() => return Err(error),
            stop => stop,
        };
        let mut done = Done {
            checkpoint: run.checkpoint().clone(),
            pending: repairs.pending.len(),
            repair: self
                .arguments
                .repair()
                .map(|_| repairs.counts.unwrap_or_default()),
            backfill: None,
            by_version: run.is_by_version(),
            open_rows: run.open_rows().clone(),
            clock_behind: run.clock_behind(),
            inventory: run.inventory(),
            progress: run.progress(),
            missing,
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
        let mut driver = Driver::new(self.repairer, Some(Repair::BeforeWatermark));
        let mut repairs = Repairs::default();
        let stop = loop {
            match driver.step(Some(&mut run), &mut repairs, &mut self.limits).await {
                Ok(Step::Page(_)) => self.progress.show(&run),
                Ok(Step::Listed) => {}
                Ok(Step::Repaired(outcomes)) => {
                    if let Err(error) = self.report_repairs(&outcomes) {
                        break Some(Stop::Broken(error.into()));
                    }
                }
                Ok(Step::Done) => break None,
                Ok(Step::Stopped) => break Some(Stop::Interrupted),
                Err(error) => break Some(Stop::Broken(self.explained(error).into())),
            }
        };
        self.progress.clear();
        done.backfill = Some(repairs.counts.unwrap_or_default());
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
        let clock = self.deployment.ledger.clock();
        let Some(begun) = self.limits.bound(clock, begin).await else {
            return Ok(None);
        };
        if let (Some(stored), Ok(_)) = (stored, &begun) {
            let objects = text::many(stored.checkpoint.tally.objects, "object");
            eprintln!("note: resuming from the checkpoint, {objects} in");
        }
        Ok(Some(begun.map_err(|error| self.explained(error))?))
    }

    /// Steps to the end, reporting and storing each before the next; gives what stopped it.
    async fn steps(
        &mut self,
        terms: &Terms,
        run: &mut Run,
        repairs: &mut Repairs,
        named: &mut Vec<ListedObject>,
    ) -> Result<Option<Stop>, UserError> {
        let mut driver = Driver::new(self.repairer, self.arguments.repair());
        loop {
            let mut stop = None;
            match driver.step(Some(run), repairs, &mut self.limits).await {
                Ok(Step::Page(batch)) => {
                    self.progress.show(run);
                    self.findings.write(batch.findings.iter().map(Line::finding))?;
                    self.failures.note(&batch.findings);
                    let room = NAMED.saturating_sub(named.len());
                    named.extend(missing(&batch.findings).take(room).cloned());
                }
                Ok(Step::Listed) => {}
                Ok(Step::Repaired(outcomes)) => {
                    if let Err(error) = self.report_repairs(&outcomes) {
                        // Not stored: another process repairs these once more, and reports them.
                        return Ok(Some(Stop::Broken(error.into())));
                    }
                }
                Ok(Step::Done) => return Ok(None),
                Ok(Step::Stopped) => stop = Some(Stop::Interrupted),
                Err(error) => stop = Some(Stop::Broken(self.explained(error).into())),
            }
            self.save(terms, run, repairs)?;
            if stop.is_some() {
                return Ok(stop);
            }
        }
    }

    fn report_repairs(&mut self, outcomes: &[(ListedObject, Repaired)]) -> Result<(), UserError> {
        for (object, outcome) in outcomes {
            self.failures.note_repair(object, outcome);
        }
        let lines = outcomes
            .iter()
            .map(|(object, outcome)| Line::repaired(object, outcome));
        self.findings.write(lines)
    }

    fn save(&self, terms: &Terms, run: &Run, repairs: &Repairs) -> Result<(), UserError> {
        let Some(path) = &self.arguments.files.checkpoint else {
            return Ok(());
        };
        let stored = Stored::new(
            terms.clone(),
            run.checkpoint().clone(),
            repairs.clone(),
            (self.intake_drained_until, self.findings.bytes()),
        );
        stored.write(path)
    }

    /// Asks before anything is recorded under what seems to be a wrong name.
    fn ask_about_sources(&self, run: &Run) -> Result<(), UserError> {
        let mending = &self.arguments.mending;
        let others = run.open_rows().only_of_other_sources();
        let Some(rows) = others.filter(|_| mending.records()) else {
            return Ok(());
        };
        let source = &self.scope.source;
        self.progress.clear();
        let asked = mending.confirm.ask(&format!(
            "The ledger has {} about this bucket under another source than {source}, and none under that. Under a wrong \
             --source everything looks missing. Is {source} right?",
            text::many(rows, "row")
        ));
        asked.map_err(|error| {
            UserError::new(format!(
                "nothing was recorded: {source} seems to be the wrong --source"
            ))
            .because(error)
            .hint("`daybook list` shows the sources of open events; --yes skips this question")
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
                    "versions are told apart by their ids, and objects from before versioning may be unknown"
                }
                _ => "bytes are not counted",
            };
            eprintln!("note: the inventory has no field {field}: {so}");
        }
    }

    fn explained(&self, error: AuditError) -> UserError {
        match error {
            AuditError::Inventory(error) => {
                let advice = match &error {
                    InventoryError::Unreadable { cause, .. } => self.s3.advice(cause),
                    InventoryError::Damaged { .. } => {
                        Some("nothing of it was judged; fetch it again, or take another day's inventory".to_owned())
                    }
                    _ => None,
                };
                UserError::new(AuditError::Inventory(error.clone()).to_string())
                    .because(error)
                    .hint_if_any(advice)
            }
            AuditError::Ledger(error) => self.deployment.location.ledger_failure(error),
            AuditError::Listing(error) => {
                let advice = self.s3.advice(error.cause());
                let uri = escape::object_uri(self.scope.bucket.as_str(), &self.scope.prefix, None);
                UserError::new(format!("{uri} cannot be listed, at {}", self.s3))
                    .because(error)
                    .hint_if_any(advice)
            }
            AuditError::ReceiptsOff => UserError::new(error.to_string()).hint(match self.deployment.location {
                Location::Local { .. } => "the folder's `daybook up` runs with --receipts-keep 0; audits work from when it keeps receipts",
                Location::Aws { .. } => {
                    "--receipts-table (DAYBOOK_RECEIPTS_TABLE) names the receipts, and --receipts-keep must not be 0"
                }
            }),
            AuditError::OtherAudit => UserError::new(error.to_string())
                .hint("give another file with --checkpoint, or delete this one to start over"),
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

fn missing(findings: &[Finding]) -> impl Iterator<Item = &ListedObject> {
    findings.iter().filter_map(|finding| match finding {
        Finding::Object {
            object,
            class: Class::Missing,
        } => Some(object),
        _ => None,
    })
}
