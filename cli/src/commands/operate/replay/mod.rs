//! `daybook replay`: objects once more, on purpose.

pub mod arguments;
pub mod files;

use std::collections::HashSet;
use std::pin::pin;
use std::process::ExitCode;

use clap::error::ErrorKind;
use daybook_inspect::aws::failure::Failure;
use daybook_inspect::operate::replay;
use daybook_inspect::operate::replay::Known;
use daybook_inspect::views::EventOutput;
use daybook_ledger::{Cause, Person, Recorded};
use daybook_schema::notification::Reading;
use daybook_schema::{EventId, ObjectEvent};
use schemars::JsonSchema;
use serde::Serialize;

pub use crate::commands::operate::replay::arguments::ReplayArguments;
use crate::commands::operate::replay::files::Batch;
use crate::deployment::Deployment;
use crate::json_files;
use crate::json_files::Broken;
use crate::signals;
use crate::signals::INTERRUPTED;
use crate::ui::confirm::ConfirmArguments;
use crate::ui::count::grouped;
use crate::ui::error::UserError;
use crate::ui::escape;
use crate::ui::output::Output;
use crate::ui::{error, output, table};

/// How many events are shown before anything is asked.
const SAMPLE: usize = 5;

/// How many causes of failures are told.
const CAUSES: usize = 5;

/// What is to be replayed, and what came of it.
#[derive(Default, Serialize, JsonSchema)]
struct Tally {
    /// How many events, where they were counted before; null for files.
    selected: Option<usize>,
    #[serde(skip)]
    sample: Vec<(ObjectEvent, Known)>,
    /// New rows, due now.
    recorded: u64,
    /// Open with the same nonce, or came twice.
    already_there: u64,
    /// Done with the same nonce.
    done_before: u64,
    /// Parts of notifications that are not an object event.
    unreadable: u64,
    /// `s3:TestEvent`: nothing to replay.
    test_events: u64,
    /// Events that may not be in the ledger.
    not_safe: u64,
    /// Whether it was stopped by Ctrl-C.
    interrupted: bool,
    /// What failed, each cause once.
    failures: Vec<Cause>,
}

/// What a replay did.
#[derive(Serialize, JsonSchema)]
pub struct ReplayOutput<'a> {
    /// `replay`.
    verb: &'static str,
    /// The deployment.
    #[serde(rename = "where")]
    location: String,
    /// What makes these events new ones; the same nonce does nothing twice.
    nonce: &'a str,
    /// The first of the events.
    sample: Vec<SampleOutput<'a>>,
    /// Whether nothing was to be changed.
    dry_run: bool,
    #[serde(flatten)]
    tally: &'a Tally,
}

/// One event.
#[derive(Serialize, JsonSchema)]
struct SampleOutput<'a> {
    /// The new event.
    event: ReplayedOutput<'a>,
    /// How the object is known: `notification`, `row`, `receipt` or `name`.
    known_from: &'static str,
}

/// A new event of an object.
#[derive(Serialize, JsonSchema)]
struct ReplayedOutput<'a> {
    /// Its id.
    id: EventId,
    #[serde(flatten)]
    event: EventOutput<'a>,
}

/// A replay under way.
struct Replay<'a> {
    deployment: &'a Deployment,
    nonce: String,
    max_attempts: u32,
    dry_run: bool,
    by: String,
    why: Option<String>,
}

/// Replays.
///
/// # Errors
/// When a file or the ledger cannot be read, nobody agrees, or an event may not be in the ledger.
pub async fn run(arguments: ReplayArguments, output: Output) -> anyhow::Result<ExitCode> {
    let asks = !arguments.confirm.yes && !arguments.dry_run;
    if asks && files::has_stdin(&arguments.files) {
        let needs_yes = "stdin can be read only once, so there is no prompt: pass --yes\n";
        return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, needs_yes).into());
    }
    let inputs = json_files::open_all(&arguments.files)?;
    let deployment = arguments.deployment.open("replay").await?;
    let ledger = &deployment.ledger;
    ledger
        .check_receipts()
        .await
        .map_err(|error| deployment.location.ledger_failure(error))?;
    let random = || replay::random_nonce(ledger);
    let replay = Replay {
        deployment: &deployment,
        nonce: arguments.nonce.clone().unwrap_or_else(random),
        max_attempts: arguments.max_attempts,
        dry_run: arguments.dry_run,
        by: arguments.by.name(),
        why: arguments.why.clone(),
    };
    let source = arguments.source.clone();
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    if arguments.files.is_empty() {
        let found = replay::find(ledger, &arguments.objects, source.as_ref()).await;
        let found = found.map_err(|failure| {
            let advice = deployment.location.advice(&failure);
            UserError::new("nothing was changed: the objects could not be looked up")
                .because(anyhow::anyhow!("{failure}"))
                .hint_if_any(advice)
        })?;
        let events: Vec<(ObjectEvent, Known)> = found
            .into_iter()
            .map(|(event, known)| (event.replayed(&replay.nonce), known))
            .collect();
        tally.selected = Some(events.len());
        tally.sample = events.iter().take(SAMPLE).cloned().collect();
        replay.ask(&arguments.confirm, &tally)?;
        tell_unknown(&events);
        if !replay.dry_run {
            let events = events.into_iter().map(|(event, _)| event).collect();
            replay.record(events, &mut tally).await;
        }
    } else {
        let reading = Reading {
            source: source.unwrap_or_default(),
            ..deployment.reading(None, arguments.key_encoding)
        };
        if asks || replay.dry_run {
            broken = replay.survey(inputs, &reading, &mut tally).await?;
            replay.ask(&arguments.confirm, &tally)?;
        }
        if !replay.dry_run {
            let again = json_files::open_all(&arguments.files)?;
            broken = replay.record_files(again, &reading, &mut tally).await?;
        }
    }
    replay.print(output, &tally)?;
    replay.end(&tally, &broken)
}

/// Says of which objects nothing is known.
fn tell_unknown(events: &[(ObjectEvent, Known)]) {
    let mut unknown = events.iter().filter(|(_, known)| *known == Known::Name);
    for (event, _) in unknown.by_ref().take(SAMPLE) {
        eprintln!(
            "note: neither a row nor a receipt is about {}: the event has no size and no etag",
            escape::event_uri(event)
        );
    }
    match unknown.count() {
        0 => {}
        more => eprintln!("note: and of {more} more"),
    }
}

impl Replay<'_> {
    /// The event of a notification once more. Two uploads of one object are two events here, too: the id of the event that was
    /// notified is part of the nonce.
    fn again(&self, event: &ObjectEvent) -> ObjectEvent {
        event.replayed(&format!("{}/{}", self.nonce, event.id))
    }

    /// How many events the files hold, and the first of them.
    async fn survey(
        &self,
        inputs: Vec<json_files::Input>,
        reading: &Reading,
        tally: &mut Tally,
    ) -> anyhow::Result<Vec<Broken>> {
        let mut seen = HashSet::new();
        let mut counted = Batch::default();
        let broken = files::each_batch(inputs, reading, async |batch: Batch| {
            for event in batch.events {
                if seen.insert(event.id) && tally.sample.len() < SAMPLE {
                    tally.sample.push((self.again(&event), Known::Notification));
                }
            }
            counted.unreadable += batch.unreadable;
            counted.test_events += batch.test_events;
            true
        })
        .await?;
        tally.selected = Some(seen.len());
        if self.dry_run {
            tally.unreadable = counted.unreadable;
            tally.test_events = counted.test_events;
        }
        Ok(broken)
    }

    /// Records the events of the files; Ctrl-C stops it after the batch that is under way.
    async fn record_files(
        &self,
        inputs: Vec<json_files::Input>,
        reading: &Reading,
        tally: &mut Tally,
    ) -> anyhow::Result<Vec<Broken>> {
        let mut stop = pin!(signals::requested());
        files::each_batch(inputs, reading, async |batch: Batch| {
            tally.unreadable += batch.unreadable;
            tally.test_events += batch.test_events;
            let events = batch.events.iter().map(|event| self.again(event)).collect();
            let stopped = {
                let mut recording = pin!(self.record(events, tally));
                tokio::select! {
                    biased;
                    () = &mut stop => {
                        eprintln!("stopping: requests in flight are finished first");
                        recording.await;
                        true
                    }
                    () = &mut recording => false,
                }
            };
            tally.interrupted = stopped;
            !stopped
        })
        .await
    }

    async fn record(&self, events: Vec<ObjectEvent>, tally: &mut Tally) {
        let ledger = &self.deployment.ledger;
        let person = Person {
            by: &self.by,
            why: self.why.as_deref(),
        };
        for recorded in replay::record(ledger, events, self.max_attempts, person).await {
            let counter = match recorded {
                Recorded::Recorded => &mut tally.recorded,
                Recorded::AlreadyThere => &mut tally.already_there,
                Recorded::Covered => &mut tally.done_before,
                Recorded::Rejected(cause) | Recorded::Throttled(cause) | Recorded::Unknown(cause) => {
                    if !tally.failures.contains(&cause) && tally.failures.len() < CAUSES {
                        tally.failures.push(cause);
                    }
                    &mut tally.not_safe
                }
            };
            *counter += 1;
        }
    }

    /// More than one event is asked about.
    fn ask(&self, confirm: &ConfirmArguments, tally: &Tally) -> Result<(), UserError> {
        let n = tally.selected.unwrap_or_default();
        if self.dry_run || confirm.yes || n <= 1 {
            return Ok(());
        }
        let location = &self.deployment.location;
        eprint!(
            "{}, into {location}; the first of them:\n{}",
            events(n),
            sample(tally)
        );
        confirm.ask(&format!("Replay {}?", events(n)))
    }

    fn print(&self, output: Output, tally: &Tally) -> anyhow::Result<()> {
        let location = &self.deployment.location;
        let text = || match self.dry_run {
            true => {
                let first = if tally.sample.is_empty() {
                    ""
                } else {
                    "; the first of them:"
                };
                let n = events(tally.selected.unwrap_or_default());
                format!("{n} would be replayed, into {location}{first}\n{}", sample(tally))
            }
            false => table::labelled(&self.lines(tally)),
        };
        output::print_either(output, text, &self.output(tally))?;
        if !self.dry_run {
            location.note_that_nothing_runs();
        }
        Ok(())
    }

    fn lines(&self, tally: &Tally) -> Vec<(&'static str, String, String)> {
        let count = |what, n: u64, meaning: &str| (what, n.to_string(), meaning.to_owned());
        vec![
            ("where", self.deployment.location.to_string(), String::new()),
            (
                "nonce",
                self.nonce.clone(),
                "(the same --nonce does nothing twice)".to_owned(),
            ),
            count("recorded", tally.recorded, "new rows, due now"),
            count(
                "already there",
                tally.already_there,
                "open with the same nonce, or came twice",
            ),
            count("done before", tally.done_before, "done with the same nonce"),
            count(
                "unreadable",
                tally.unreadable,
                "parts of notifications that are not object events",
            ),
            count(
                "test events",
                tally.test_events,
                "s3:TestEvent: nothing to replay",
            ),
            count("not safe", tally.not_safe, "may not be in the ledger"),
        ]
    }

    fn output<'a>(&'a self, tally: &'a Tally) -> ReplayOutput<'a> {
        let sample = tally.sample.iter().map(|(event, known)| SampleOutput {
            event: ReplayedOutput {
                id: event.id,
                event: EventOutput::from(event),
            },
            known_from: known.word(),
        });
        ReplayOutput {
            verb: "replay",
            location: self.deployment.location.to_string(),
            nonce: &self.nonce,
            sample: sample.collect(),
            dry_run: self.dry_run,
            tally,
        }
    }

    fn end(&self, tally: &Tally, broken: &[Broken]) -> anyhow::Result<ExitCode> {
        let again = format!(
            "the same command with --nonce {} resumes with the rest",
            self.nonce
        );
        if let Some(first) = tally.failures.first() {
            let advice = self
                .deployment
                .location
                .advice_or(&Failure::of_ledger(first), again);
            let noun = if tally.not_safe == 1 { "event" } else { "events" };
            return Err(
                UserError::new(format!("{} {noun} may not be in the ledger", tally.not_safe))
                    .because(error::listed(&tally.failures))
                    .hint(advice)
                    .into(),
            );
        }
        if tally.interrupted {
            eprintln!("interrupted: {again}");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        if !broken.is_empty() {
            let causes: Vec<String> = broken.iter().map(ToString::to_string).collect();
            return Err(UserError::new("not all files could be read to their ends")
                .because(anyhow::anyhow!(causes.join("\n  caused by: ")))
                .hint(format!(
                    "everything before that place was read; fix it, and {again}"
                ))
                .into());
        }
        if tally.unreadable > 0 && tally.has_no_event() {
            return Err(
                UserError::new("nothing was replayed: the files have no object event")
                    .hint("`daybook ingest` keeps what it cannot read as PARKED rows")
                    .into(),
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Tally {
    /// Whether there was nothing to replay.
    fn has_no_event(&self) -> bool {
        let counted = self.recorded + self.already_there + self.done_before + self.not_safe;
        counted == 0 && self.selected.unwrap_or_default() == 0
    }
}

fn events(n: usize) -> String {
    let noun = if n == 1 { "event" } else { "events" };
    format!("{} {noun}", grouped(n))
}

fn sample(tally: &Tally) -> String {
    if tally.sample.is_empty() {
        return String::new();
    }
    let unknown = || "unknown".to_owned();
    let row = |(event, known): &(ObjectEvent, Known)| {
        vec![
            escape::escaped(event.kind.as_str()),
            event.size.map_or_else(unknown, |size| size.to_string()),
            event.etag.as_deref().map_or_else(unknown, escape::escaped),
            known.word().to_owned(),
            escape::event_uri(event),
        ]
    };
    let header = ["event", "size", "etag", "known from", "object"];
    let rows = tally.sample.iter().map(row).collect();
    table::table(&header, &[0, 1, 3], rows, table::terminal_width())
}
