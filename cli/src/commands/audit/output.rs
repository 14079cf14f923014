//! An audit's result, for people and for programs.

use daybook_inspect::wording::time;
use std::fmt::Write;

use daybook_reconciler::audit::{RepairCounts, Tally};
use indicatif::{DecimalBytes, HumanCount};

use crate::commands::audit::outcome::AuditSummary;
use crate::ui::escape;
use crate::ui::table;

type Line = (&'static str, String, String);

/// For people.
pub fn text(summary: &AuditSummary) -> String {
    let mut text = table::labelled(&lines(summary));
    let done = summary.done;
    for object in done.examples() {
        let uri = escape::object_uri(
            summary.scope.bucket.as_str(),
            object.key.as_str(),
            object.version_id.as_deref(),
        );
        let _ = writeln!(text, "  missing: {uri}, last modified {}", object.last_modified);
    }
    let more = done
        .checkpoint
        .tally
        .missing
        .saturating_sub(done.examples().len() as u64);
    if !done.missing.is_empty() && more > 0 {
        let _ = writeln!(text, "  and {} more", HumanCount(more));
    }
    text.push('\n');
    text.push_str(&statement(summary));
    text
}

fn lines(summary: &AuditSummary) -> Vec<Line> {
    let done = summary.done;
    let mut lines = scope_lines(summary);
    lines.extend(count_lines(summary));
    if let Some(counts) = &done.repair {
        lines.push(("repaired", counts.recorded.to_string(), mended(counts)));
    }
    if let Some(counts) = &done.backfill {
        lines.push(("backfilled", counts.recorded.to_string(), mended(counts)));
    }
    let progress = &done.progress;
    lines.push((
        "requests",
        format!("{:.1}", progress.requests_per_thousand()),
        format!(
            "per thousand objects: {} to list, {} to look, {} to the ledger",
            progress.list_requests, progress.head_requests, progress.ledger.requests
        ),
    ));
    let complete = match (done.outcome().is_complete(), done.is_finished()) {
        (true, _) => "yes: every object is done, removed, or in the ledger",
        (false, true) => "no",
        (false, false) => "no: the audit is not finished",
    };
    lines.push(("complete", complete.to_owned(), String::new()));
    lines
}

/// What was audited.
fn scope_lines(summary: &AuditSummary) -> Vec<Line> {
    let (done, which) = (summary.done, &summary.arguments.which);
    let uri = escape::object_uri(summary.scope.bucket.as_str(), &summary.scope.prefix, None);
    let versions = match done.by_version {
        true => "every version is an object",
        false => "no versions",
    };
    let bucket = format!(
        "{uri} (source {}), {versions}, at {}",
        summary.scope.source, summary.s3
    );
    let mut lines = vec![
        ("where", summary.location.to_string(), String::new()),
        ("bucket", bucket, String::new()),
    ];
    if let Some(inventory) = &done.inventory {
        lines.push((
            "inventory",
            format!("{}, of {}", inventory.manifest, inventory.at),
            "what was modified later is not judged".to_owned(),
        ));
    }
    let since = which.since.map(|since| format!("since {since}"));
    let until = which.until.map(|until| format!("until {until}"));
    let bounds: Vec<String> = since.into_iter().chain(until).collect();
    if !bounds.is_empty() {
        lines.push(("modified", bounds.join(", "), String::new()));
    }
    lines
}

/// How many objects are in which class.
fn count_lines(summary: &AuditSummary) -> Vec<Line> {
    let (checkpoint, which) = (&summary.done.checkpoint, &summary.arguments.which);
    let tally = &checkpoint.tally;
    let judged = format!("judged, {}", DecimalBytes(tally.bytes));
    let grace = time::span(which.grace);
    let too_new = format!("younger than the grace of {grace}: their notifications may be on their way");
    let mut counts = vec![
        ("objects", tally.objects, judged.as_str()),
        ("done", tally.done, "a receipt proves that they were processed"),
        (
            "removed",
            tally.removed,
            "removed by an operator: intentionally unprocessed",
        ),
        (
            "open",
            tally.open,
            "in the ledger: they will be processed, or are parked for a person",
        ),
        ("too new", tally.too_new, &too_new),
        (
            "missing",
            tally.missing,
            "no receipt and no row: the notification was lost or never sent",
        ),
        (
            "may wait",
            tally.may_wait,
            "no receipt and no row, but the notification may still wait in the intake queue",
        ),
        (
            "before",
            tally.before_watermark,
            "no receipt and no row, from before the ledger or longer ago than receipts are kept",
        ),
        (
            "changed",
            tally.changed,
            "overwritten or deleted since they were listed",
        ),
        (
            "unknown",
            tally.unknown,
            "could not be determined; the report says why",
        ),
        ("gone", checkpoint.gone, "open rows whose object no longer exists"),
        ("unreadable", checkpoint.unreadable, "invalid listing entries"),
    ];
    let outside = match &summary.done.inventory {
        Some(_) => Some("outside the time range, or newer than the inventory"),
        None => which.since.or(which.until).map(|_| "outside the time range"),
    };
    counts.extend(outside.map(|meaning| ("outside", checkpoint.outside, meaning)));
    let line = |(what, n, meaning): (&'static str, u64, &str)| (what, n.to_string(), meaning.to_owned());
    counts.into_iter().map(line).collect()
}

fn mended(counts: &RepairCounts) -> String {
    let others = [
        (counts.already_there, "were in the ledger"),
        (counts.covered, "done meanwhile"),
        (counts.removed, "taken out"),
        (counts.changed, "overwritten"),
        (counts.gone, "gone"),
        (counts.may_wait, "perhaps waiting in the intake"),
        (counts.not_safe, "perhaps not recorded"),
    ];
    let others = others.iter().filter(|(n, _)| *n > 0);
    let others: Vec<String> = others.map(|(n, what)| format!("{n} {what}")).collect();
    match others.is_empty() {
        true => "recorded now".to_owned(),
        false => format!("recorded now; {}", others.join(", ")),
    }
}

fn statement(summary: &AuditSummary) -> String {
    let statement = &summary.done.checkpoint.statement;
    let row = |prefix: String, day: String, tally: &Tally| {
        let mut row = vec![prefix, day];
        let counts = [
            tally.objects,
            tally.done,
            tally.removed,
            tally.open,
            tally.too_new,
            tally.missing,
            tally.before_watermark,
            tally.changed + tally.unknown + tally.may_wait,
        ];
        row.extend(counts.map(|n| n.to_string()));
        row.push(yes(tally.is_complete()).to_owned());
        row
    };
    let mut rows: Vec<Vec<String>> = statement
        .lines()
        .map(|line| {
            let prefix = match line.prefix.as_str() {
                "" => "-".to_owned(),
                prefix => escape::escaped(prefix),
            };
            row(prefix, line.day, &line.tally)
        })
        .collect();
    if statement.others().objects > 0 {
        rows.push(row("others".to_owned(), "any".to_owned(), statement.others()));
    }
    let header = [
        "prefix", "day", "objects", "done", "removed", "open", "too new", "missing", "before", "other",
        "complete",
    ];
    table::table(&header, &[1], rows, table::terminal_width())
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
