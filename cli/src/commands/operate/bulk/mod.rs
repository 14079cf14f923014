//! What people do to open events, one or thousands: redrive, release, fail, cancel, complete, remove.
//!
//! All six go the same way: select rows, show how many and a few of them, ask, then change them chunk by chunk. Each row is
//! read again right before it is changed, and one that went on meanwhile is left alone, so every command can be repeated.

pub mod arguments;
pub mod progress;
pub mod report;
pub mod selection;

use std::process::ExitCode;

use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::failure::Failure;
use daybook_inspect::operate::action::Action;
use daybook_inspect::operate::apply::{Doing, Tally, Told};
use daybook_inspect::operate::canary::Trial;
use daybook_inspect::operate::driver::{self, CanarySettings};
use daybook_inspect::operate::log::{self, Entry, Recorder};
use daybook_inspect::wording::shell::quoted;
use daybook_ledger::{Person, RetryPolicy};
use daybook_schema::Status;

use crate::commands::operate::bulk::arguments::BulkArguments;
pub use crate::commands::operate::bulk::arguments::{
    CancelArguments, CompleteArguments, FailArguments, RedriveArguments, ReleaseArguments, RemoveArguments,
};
use crate::commands::operate::bulk::progress::Progress;
pub use crate::commands::operate::bulk::report::BulkOutput;
use crate::commands::operate::bulk::report::{Run, events, left_alone};
use crate::commands::operate::bulk::selection::tell_passed_over;
use crate::deployment::people::{self, PeopleLog};
use crate::deployment::{Deployment, DeploymentArguments};
use crate::signals;
use crate::signals::INTERRUPTED;
use crate::ui::error::UserError;
use crate::ui::output::Output;

/// Redrives.
///
/// # Errors
/// When the selection cannot be read, nobody agrees, or not all could be done.
pub async fn redrive(arguments: RedriveArguments, output: Output) -> anyhow::Result<ExitCode> {
    let action = Action::Redrive {
        attempts: arguments.attempts,
    };
    let canary = arguments.canary.map(|events| CanarySettings {
        events: events.into(),
        wait: arguments.canary_wait,
    });
    run(arguments.bulk, (action, canary), None, arguments.why, output).await
}

/// Releases.
///
/// # Errors
/// As [`redrive`].
pub async fn release(arguments: ReleaseArguments, output: Output) -> anyhow::Result<ExitCode> {
    run(
        arguments.bulk,
        (Action::Release, None),
        None,
        arguments.why,
        output,
    )
    .await
}

/// Fails.
///
/// # Errors
/// As [`redrive`].
pub async fn fail(arguments: FailArguments, output: Output) -> anyhow::Result<ExitCode> {
    let action = Action::Fail {
        retry: RetryPolicy::default(),
    };
    run(arguments.bulk, (action, None), None, Some(arguments.why), output).await
}

/// Cancels.
///
/// # Errors
/// As [`redrive`].
pub async fn cancel(arguments: CancelArguments, output: Output) -> anyhow::Result<ExitCode> {
    run(
        arguments.bulk,
        (Action::Cancel, None),
        None,
        Some(arguments.why),
        output,
    )
    .await
}

/// Completes.
///
/// # Errors
/// As [`redrive`], and when the receipts cannot be kept.
pub async fn complete(arguments: CompleteArguments, output: Output) -> anyhow::Result<ExitCode> {
    let why = Some(arguments.why);
    run(
        arguments.bulk,
        (Action::Complete, None),
        arguments.status,
        why,
        output,
    )
    .await
}

/// Removes.
///
/// # Errors
/// As [`complete`].
pub async fn remove(arguments: RemoveArguments, output: Output) -> anyhow::Result<ExitCode> {
    let why = Some(arguments.why);
    run(
        arguments.bulk,
        (Action::Remove, None),
        arguments.status,
        why,
        output,
    )
    .await
}

async fn run(
    arguments: BulkArguments,
    (action, canary): (Action, Option<CanarySettings>),
    status: Option<Status>,
    why: Option<String>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    arguments.selection.check(status.is_some())?;
    let statuses = action.statuses(status);
    let by = arguments.by.name();
    let verb = action.imperative().to_lowercase();
    let deployment = arguments.deployment.open(&verb).await?;
    let action = action.in_deployment(deployment.max_attempts(), deployment.retry());
    if action.leaves_receipts() {
        check_receipts(&arguments.deployment, &deployment).await?;
    }
    let progress = Progress::new();
    let selected = arguments
        .selection
        .select(&deployment, &statuses, &progress)
        .await?;
    tell_passed_over(&selected);
    let run = Run {
        deployment: &deployment,
        action,
        person: Person {
            by: &by,
            why: why.as_deref(),
        },
        selected: &selected,
        are_named: arguments.selection.names_events(),
        control: match action.waits_for_dispatch() {
            true => deployment.ledger.control().await.ok(),
            false => None,
        },
    };
    let events = events(selected.rows.len(), &statuses);
    if arguments.dry_run {
        let tally = Tally::new(action, &selected);
        run.print(output, &events, (&tally, None), true)?;
        return run.end(&tally);
    }
    if canary.is_some() && !selected.rows.is_empty() {
        check_canaries(&deployment).await?;
    }
    if !selected.rows.is_empty() && !arguments.confirm.yes {
        run.ask(arguments.confirm, &events)?;
    }
    let (tally, trial) = change(&run, canary, &progress).await;
    run.print(output, &events, (&tally, trial.as_ref()), false)?;
    if tally.interrupted {
        let left = selected.rows.len() - tally.seen();
        eprintln!(
            "interrupted: {}; the same command resumes with the rest",
            left_alone(left, &events)
        );
        return Ok(ExitCode::from(INTERRUPTED));
    }
    match trial.as_ref().and_then(|trial| trial.stopped.as_deref()) {
        Some(why) => run.stopped(&events, (&tally, trial.as_ref()), why),
        None => run.end(&tally),
    }
}

/// Does it. Ctrl-C stops it: no chunk is begun any more, and those under way are finished; a second one ends it at once.
async fn change(
    run: &Run<'_>,
    canary: Option<CanarySettings>,
    progress: &Progress,
) -> (Tally, Option<Trial>) {
    let mut tally = Tally::new(run.action, run.selected);
    if run.selected.rows.is_empty() {
        return (tally, None);
    }
    let executions = run.deployment.executions.as_ref();
    let doing = Doing {
        ledger: &run.deployment.ledger,
        executions: executions.filter(|_| run.action == Action::Cancel),
        action: run.action,
        person: run.person,
    };
    let clock = run.deployment.ledger.clock();
    let log = run.deployment.dir().map(PeopleLog::of);
    let who = (run.person.by, run.person.why);
    let begun = Entry::begin(clock.now(), std::process::id(), &given(), who);
    let mut recorder = log
        .as_ref()
        .map(|log| Recorder::begin(log, begun, run.selected.rows.len()));
    let mut changing = progress.changing(run.action.imperative(), run.selected.rows.len());
    let signals = (signals::requested(), signals::impatience());
    let told = &mut |told: Told<'_>| {
        changing.hear(&told);
        if let Some(recorder) = &mut recorder {
            recorder.hear(&told, clock.now());
        }
    };
    let trial = driver::drive(doing, &run.selected.rows, canary, &mut tally, signals, told).await;
    changing.clear();
    let how = log::end_words(&tally, trial.as_ref());
    if let Some(error) = recorder.and_then(|recorder| recorder.end(&tally, clock.now(), &how)) {
        people::note(&error);
    }
    (tally, trial)
}

/// The command as it was given.
fn given() -> String {
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    words.join(" ")
}

/// Canaries that nothing would run would keep everybody waiting.
async fn check_canaries(deployment: &Deployment) -> anyhow::Result<()> {
    let none = driver::no_canaries(&deployment.parts()).await;
    match none.map_err(|error| deployment.location.ledger_failure(error))? {
        None => Ok(()),
        Some(why) => Err(UserError::new(format!(
            "nothing was changed: the outcome of canaries would not become known, because {why}"
        ))
        .hint("without --canary all are redriven at once")
        .into()),
    }
}

/// Without receipts nobody could tell later who took an event out, and why.
async fn check_receipts(arguments: &DeploymentArguments, deployment: &Deployment) -> anyhow::Result<()> {
    let ledger = &deployment.ledger;
    let is_off_on_purpose = deployment.is_local() || arguments.aws.receipts_keep.is_zero();
    if ledger.receipts_kept_for().is_none() && !is_off_on_purpose {
        return Err(UserError::new(
            "nothing was changed: no receipts table is named, so who and why could not be kept",
        )
        .hint(
            "--receipts-table (DAYBOOK_RECEIPTS_TABLE) names it; --receipts-keep 0 says that receipts are off here",
        )
        .into());
    }
    let checked = ledger.check_receipts().await;
    Ok(checked.map_err(|error| {
        let advice = deployment
            .location
            .advice(&Failure::about(AwsResource::Receipts, &error));
        UserError::new("nothing was changed: the receipts table cannot be used")
            .because(error)
            .hint_if_any(advice)
    })?)
}
