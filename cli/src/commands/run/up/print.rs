//! What `daybook up` says at its start and its end, and instead of running anything.

use daybook_inspect::wording::time;
use std::sync::atomic::Ordering;

use daybook_ledger::Ledger;
use daybook_manager::Dispatch;
use daybook_manager::worker::WorkerReport;
use daybook_reconciler::RecoverReport;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::commands::run::up::arguments::UpArguments;
use crate::commands::run::up::counters::{Recording, open};
use crate::commands::run::worker_report;
use crate::deployment::folder;
use crate::ui::logging;
use crate::ui::output;
use crate::ui::output::Line;
use crate::ui::output::Output;

/// Where it listens, what it does, and how to look.
pub async fn start(
    arguments: &UpArguments,
    dispatch: &Dispatch,
    (url, console): (&str, Option<&TcpListener>),
    recovered: &RecoverReport,
    ledger: &Ledger,
) {
    let dir = arguments.data_dir.display();
    let open = open(ledger)
        .await
        .unwrap_or_else(|error| format!("its rows cannot be counted: {error}"));
    let mut back = match recovered.put_back + recovered.deleted + recovered.failed {
        0 => String::new(),
        n => format!("; {n} of the last run put back"),
    };
    if recovered.held_elsewhere > 0 {
        back += &format!(
            "; {} held by workers of other processes",
            recovered.held_elsewhere
        );
    }
    let newer = match recovered.newer {
        0 => String::new(),
        n => format!("; {n} claimed by a newer Daybook, and left alone: use that release"),
    };
    let every = time::span(dispatch.window);
    let target = match arguments.target.words() {
        words if words.is_empty() => {
            "none: events are collected and printed (--exec or --post runs them)".to_owned()
        }
        words => format!(
            "{words}  ({} at once, at most {} per {every})",
            arguments.target.workers, dispatch.per_window
        ),
    };
    let mut lines = vec![
        format!("daybook up: listening on {url}"),
        format!("  events   POST {url}/events"),
        format!("  target   {target}"),
        format!("  ledger   {dir}: {open}{back}{newer}"),
        format!("  look     daybook status --local {dir}"),
    ];
    if let Some(address) = console.and_then(|listener| listener.local_addr().ok()) {
        lines.push(format!("  console  http://{address}"));
    }
    if arguments.listen.ip().is_loopback() {
        let table = folder::LEDGER_TABLE;
        let credentials = match arguments.token {
            None => "any credentials",
            Some(_) => "the token as access key id, any secret",
        };
        lines.push(format!(
            "  AWS      aws --endpoint-url {url} --region us-east-1 dynamodb scan --table-name {table}  ({credentials})"
        ));
    }
    lines.push("Ctrl-C or SIGTERM drains.".to_owned());
    lines.iter().for_each(|line| logging::say(line));
}

/// What `daybook up` did from its start to its end.
#[derive(Serialize, JsonSchema)]
pub struct UpOutput<'a> {
    /// Events and unreadable parts that became rows.
    recorded: u64,
    /// Events that were there before, or done.
    known: u64,
    /// Parts kept as PARKED rows.
    unreadable: u64,
    /// What its workers did; not there where there is no target.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a WorkerReport>,
    /// Open events that are left, in words.
    left: String,
}

/// What it did.
///
/// # Errors
/// When stdout is closed.
pub async fn end(
    recording: &Recording,
    worked: Option<&WorkerReport>,
    ledger: &Ledger,
    output: Output,
) -> anyhow::Result<()> {
    let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let open = open(ledger)
        .await
        .unwrap_or_else(|error| format!("unknown: {error}"));
    let (recorded, known, unreadable) = (
        get(&recording.recorded),
        get(&recording.known),
        get(&recording.unreadable),
    );
    let mut lines: Vec<Line> = vec![
        (
            "recorded",
            recorded.to_string(),
            "events and unreadable parts that became rows",
        ),
        (
            "known",
            known.to_string(),
            "events that were there before, or done",
        ),
        ("unreadable", unreadable.to_string(), "parts kept as PARKED rows"),
    ];
    if let Some(worked) = worked {
        lines.extend(worker_report::lines(worked));
    }
    lines.push(("left", open.clone(), ""));
    let json = UpOutput {
        recorded,
        known,
        unreadable,
        worker: worked,
        left: open,
    };
    output::print(output, &lines, &json)
}
