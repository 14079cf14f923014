//! What an audit came to, and how the command ends.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use daybook_inspect::wording::{text, time};
use daybook_reconciler::audit::{
    AuditOutcome, Checkpoint, Class, Finding, Intake, IntakeSeen, InventorySummary, ListedObject,
    OpenSummary, Progress, RepairCounts, Repaired, Scope, Verdict,
};

use crate::commands::audit::arguments::{AuditArguments, intake_not_given};
use crate::deployment::s3::S3Place;
use crate::deployment::{Deployment, INTAKE_QUEUE, Location};
use crate::signals::INTERRUPTED;
use crate::ui::error;
use crate::ui::error::UserError;
use crate::ui::escape;

/// Causes that are told.
const CAUSES: usize = 5;

/// Missing objects that are shown.
const EXAMPLES: usize = 5;

/// Missing objects that are kept by name.
pub const NAMED: usize = 1000;

/// What was seen before the audit began.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Whether the ledger has ever granted anything.
    pub is_installed: bool,
    /// What is known of notifications that wait in the intake queue.
    pub intake: IntakeSeen,
    /// What could not be found out.
    pub failures: Vec<String>,
}

impl Surroundings {
    /// Looks at what an audit's truth depends on and cannot see.
    pub async fn look(arguments: &AuditArguments, deployment: &Deployment) -> anyhow::Result<Self> {
        let mut around = Self::default();
        match deployment.ledger.control().await {
            Ok(control) => around.is_installed = control.installed_at.is_some(),
            Err(error) => return Err(deployment.location.ledger_failure(error).into()),
        }
        // A folder's notifications come by HTTP: none waits.
        let Location::Aws { aws, outputs, .. } = &deployment.location else {
            return Ok(around);
        };
        match outputs.queue(arguments.intake_queue_url.as_ref(), INTAKE_QUEUE)? {
            _ if arguments.mending.skip_intake_check => {}
            Some(url) => {
                let intake = Intake::Queue(aws.intake_queue(&url));
                around.intake = intake.look(deployment.ledger.clock()).await;
            }
            None if arguments.mending.records() => return Err(intake_not_given().into()),
            None => {}
        }
        if let IntakeSeen::Waiting {
            failure: Some(failure),
            ..
        } = &around.intake
        {
            around.failures.push(failure.clone());
        }
        Ok(around)
    }
}

/// An audit that went as far as it did.
#[derive(Debug)]
pub struct Done {
    /// How far, and its counts.
    pub checkpoint: Checkpoint,
    /// Missing objects that were not yet looked at again.
    pub pending: usize,
    /// What came of repairs, if any were asked for.
    pub repair: Option<RepairCounts>,
    /// What came of the backfill, if there was one.
    pub backfill: Option<RepairCounts>,
    /// Whether every version was listed.
    pub by_version: bool,
    /// What the ledger held.
    pub open_rows: OpenSummary,
    /// How far S3's clock is behind.
    pub clock_behind: Duration,
    /// The inventory that was read, if the bucket was not listed.
    pub inventory: Option<InventorySummary>,
    /// How it went.
    pub progress: Progress,
    /// The first objects that are missing, at most [`NAMED`].
    pub missing: Vec<ListedObject>,
    /// By Ctrl-C.
    pub interrupted: bool,
    /// Why it could not go on.
    pub broken: Option<anyhow::Error>,
    /// What could not be found out.
    pub failures: Failures,
}

/// What could not be found out, each cause once.
#[derive(Debug, Default)]
pub struct Failures(Vec<String>);

impl Failures {
    /// What findings say of it.
    pub fn note(&mut self, findings: &[Finding]) {
        for finding in findings {
            match finding {
                Finding::Object {
                    class: Class::Unknown { cause },
                    object,
                } => self.add(&cause.to_string(), object.key.as_str()),
                Finding::Unreadable(entry) => self.add(&entry.cause, &entry.key),
                Finding::Gone {
                    row,
                    unconfirmed: Some(cause),
                } => self.add(cause, &row.key),
                _ => {}
            }
        }
    }

    /// What the outcome of a repair says of it.
    pub fn note_repair(&mut self, object: &ListedObject, outcome: &Repaired) {
        if let Repaired::NotSafe { cause } = outcome {
            self.add(cause, object.key.as_str());
        }
    }

    /// Those of another part.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    fn add(&mut self, cause: &str, key: &str) {
        let is_known = self.0.iter().any(|known| known.ends_with(cause));
        if !is_known && self.0.len() < CAUSES {
            self.0
                .push(format!("{}: {}", escape::escaped(key), escape::escaped(cause)));
        }
    }
}

/// All there is to tell.
pub struct AuditSummary<'a> {
    /// The deployment.
    pub location: &'a Location,
    /// The S3.
    pub s3: &'a S3Place,
    /// What was asked.
    pub arguments: &'a AuditArguments,
    /// Which objects.
    pub scope: &'a Scope,
    /// What was seen before.
    pub around: &'a Surroundings,
    /// What it came to.
    pub done: &'a Done,
}

impl Done {
    /// Some of what is missing.
    pub fn examples(&self) -> &[ListedObject] {
        &self.missing[..self.missing.len().min(EXAMPLES)]
    }

    /// Whether all there is was judged, and repaired where that was asked for.
    pub fn is_finished(&self) -> bool {
        self.checkpoint.is_complete && self.pending == 0 && self.broken.is_none() && !self.interrupted
    }

    /// What it came to.
    pub fn outcome(&self) -> AuditOutcome<'_> {
        AuditOutcome {
            tally: &self.checkpoint.tally,
            gone: self.checkpoint.gone,
            unreadable: self.checkpoint.unreadable,
            repair: self.repair,
            backfill: self.backfill,
            is_finished: self.is_finished(),
        }
    }
}

impl AuditSummary<'_> {
    /// What could not be found out.
    pub fn failures(&self) -> Vec<String> {
        let of_audit = self.done.failures.0.iter();
        let broken = self.done.broken.as_ref().map(|error| format!("{error:#}"));
        self.around
            .failures
            .iter()
            .chain(of_audit)
            .cloned()
            .chain(broken)
            .collect()
    }

    /// Warnings, on stderr.
    pub fn warn(&self) {
        let rows = &self.done.open_rows;
        if !self.around.is_installed {
            eprintln!(
                "warning: this ledger has not dispatched anything yet: everything is from before it, and nothing is reported as missing"
            );
        }
        if rows.of_other_sources > 0 {
            eprintln!(
                "warning: the ledger has {} about this bucket under another source than {}: is --source right?",
                text::many(rows.of_other_sources, "row"),
                self.scope.source
            );
        }
        if rows.general > 0 {
            eprintln!(
                "note: {} of the ledger are about general events (CloudEvents), which no audit covers: no listing knows of them",
                text::many(rows.general, "row")
            );
        }
        if rows.unreadable > 0 {
            eprintln!(
                "warning: {} of the ledger cannot be read by this release: nothing is reported as missing while that is so",
                text::many(rows.unreadable, "row")
            );
            for cause in &rows.causes {
                eprintln!("  {}", escape::escaped(cause));
            }
        }
        if let Some(messages) = self.around.intake.messages().filter(|messages| *messages > 0) {
            eprintln!(
                "warning: about {} wait in the intake queue: an object without row and receipt may be one of theirs, and is not \
                 recorded until the queue was seen drained",
                text::many(messages, "notification")
            );
        }
        let recorded = [self.done.repair, self.done.backfill].into_iter().flatten();
        let recorded: u64 = recorded.map(|counts| counts.recorded).sum();
        if recorded > 0 {
            self.location.note_that_nothing_runs();
        }
        let behind = self.done.clock_behind.as_secs();
        if behind > 0 {
            eprintln!(
                "warning: S3's clock is {} behind this machine's; the grace was extended by that",
                time::span(Duration::from_secs(behind))
            );
        }
    }

    /// How the command ends.
    ///
    /// # Errors
    /// When the audit could not go on, or something could not be found out.
    pub fn end(&self) -> anyhow::Result<ExitCode> {
        let tally = &self.done.checkpoint.tally;
        if self.done.interrupted {
            eprintln!("interrupted: {}", self.how_to_go_on());
            return Ok(ExitCode::from(INTERRUPTED));
        }
        if let Some(error) = &self.done.broken {
            let hint = error.downcast_ref::<UserError>().and_then(UserError::advice);
            let hint = hint.map_or_else(
                || self.how_to_go_on(),
                |hint| format!("{hint}\n        {}", self.how_to_go_on()),
            );
            let objects = text::many(tally.objects, "object");
            return Err(UserError::new(format!("the audit stopped after {objects}"))
                .because(anyhow!("{error:#}"))
                .hint(hint)
                .into());
        }
        let outcome = self.done.outcome();
        let failures = self.failures();
        match outcome.verdict() {
            Verdict::Missing => {
                error::print(&self.missing(outcome.missing_left()).into());
                return Ok(ExitCode::from(Verdict::Missing.exit_code()));
            }
            Verdict::Accounted if failures.is_empty() => return Ok(ExitCode::SUCCESS),
            Verdict::Accounted | Verdict::Undetermined => {}
        }
        let mut error =
            UserError::new("not everything could be determined; see unknown, may wait, unreadable and gone");
        if !failures.is_empty() {
            error = error.because(anyhow!(failures.join("\n  caused by: ")));
        }
        let wants_report = self.arguments.files.report.is_none();
        let hint = wants_report.then(|| "--report FILE names them all, with the reason for each".to_owned());
        Err(error.hint_if_any(hint).into())
    }

    fn missing(&self, left: u64) -> UserError {
        let objects = text::many(left, "object");
        let are = if left == 1 { "is" } else { "are" };
        match self.done.repair {
            None => UserError::new(format!("{objects} {are} missing: neither done nor in the ledger"))
                .hint("--repair records them, so that they are processed; --report FILE names them all"),
            Some(_) => {
                let causes = self.failures();
                let error = UserError::new(format!("{objects} {are} missing and may not be recorded"));
                let error = match causes.is_empty() {
                    true => error,
                    false => error.because(anyhow!(causes.join("\n  caused by: "))),
                };
                error.hint("repair again: nothing is recorded twice")
            }
        }
    }

    fn how_to_go_on(&self) -> String {
        let is_over = self.done.checkpoint.is_complete && self.done.pending == 0;
        match (&self.arguments.files.checkpoint, is_over) {
            (Some(file), false) => format!(
                "the same command resumes where this one ended ({} says where)",
                file.display()
            ),
            _ => "the same command starts over; nothing is recorded twice".to_owned(),
        }
    }
}
