//! An audit's result, for people and for programs.

use std::fmt::Write;

use daybook_reconciler::audit::{RepairCounts, Tally};
use indicatif::{DecimalBytes, HumanCount};

use crate::commands::audit::outcome::AuditSummary;
use crate::ui::{table, text};

type Line = (&'static str, String, String);

/// For people.
pub fn text(summary: &AuditSummary) -> String {
    let mut text = table::labelled(&lines(summary));
    let done = summary.done;
    for object in &done.examples {
        let uri = text::object_uri(
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
        .saturating_sub(done.examples.len() as u64);
    if !done.examples.is_empty() && more > 0 {
        let _ = writeln!(text, "  and {} more", HumanCount(more));
    }
    text.push('\n');
    text.push_str(&statement(summary));
    text
}

fn lines(summary: &AuditSummary) -> Vec<Line> {
    let (done, arguments) = (summary.done, summary.arguments);
    let (tally, progress) = (&done.checkpoint.tally, &done.progress);
    let uri = text::object_uri(summary.scope.bucket.as_str(), &summary.scope.prefix, None);
    let versions = if done.by_version {
        "every version is an object"
    } else {
        "no versions"
    };
    let mut lines = vec![
        ("where", summary.place.to_string(), String::new()),
        (
            "bucket",
            format!(
                "{uri} (source {}), {versions}, at {}",
                summary.scope.source, summary.s3
            ),
            String::new(),
        ),
    ];
    if let Some(inventory) = &done.inventory {
        lines.push((
            "inventory",
            format!("{}, of {}", inventory.manifest, inventory.at),
            "what was modified later is not judged".to_owned(),
        ));
    }
    let since = arguments.which.since.map(|since| format!("since {since}"));
    let until = arguments.which.until.map(|until| format!("until {until}"));
    let bounds: Vec<String> = since.into_iter().chain(until).collect();
    if !bounds.is_empty() {
        lines.push(("modified", bounds.join(", "), String::new()));
    }
    let mut count = |what, n: u64, meaning: String| lines.push((what, n.to_string(), meaning));
    let grace = humantime::format_duration(arguments.which.grace);
    let as_is = |text: &str| text.to_owned();
    count(
        "objects",
        tally.objects,
        format!("judged, {}", DecimalBytes(tally.bytes)),
    );
    count(
        "done",
        tally.done,
        as_is("a receipt proves that they were processed"),
    );
    count(
        "removed",
        tally.removed,
        as_is("taken out by a person: not processed, and not to be"),
    );
    count(
        "open",
        tally.open,
        as_is("in the ledger: they will be processed, or wait for a person"),
    );
    count(
        "too new",
        tally.too_new,
        format!("younger than the grace of {grace}: their notifications may be under way"),
    );
    count(
        "missing",
        tally.missing,
        as_is("neither, though they should be: their notifications were lost or never sent"),
    );
    count(
        "may wait",
        tally.may_wait,
        as_is("neither, but their notifications may still wait in the intake queue"),
    );
    count(
        "before",
        tally.before_watermark,
        as_is("neither, and from before the ledger or further back than receipts reach"),
    );
    count(
        "changed",
        tally.changed,
        as_is("overwritten or deleted since they were listed"),
    );
    count(
        "unknown",
        tally.unknown,
        as_is("what is known does not tell; the report says why"),
    );
    count(
        "gone",
        done.checkpoint.gone,
        as_is("open rows of which the object is not in the bucket any more"),
    );
    count(
        "unreadable",
        done.checkpoint.unreadable,
        as_is("entries of the listing that are no objects"),
    );
    let is_bounded = arguments.which.since.or(arguments.which.until).is_some();
    if is_bounded || done.inventory.is_some() {
        let meaning = match &done.inventory {
            None => "not of the time asked for",
            Some(_) => "not of the time asked for, or newer than the inventory",
        };
        count("outside", done.checkpoint.outside, as_is(meaning));
    }
    if let Some(counts) = &done.repair {
        lines.push(("repaired", counts.recorded.to_string(), mended(counts)));
    }
    if let Some(counts) = &done.backfill {
        lines.push(("backfilled", counts.recorded.to_string(), mended(counts)));
    }
    lines.push((
        "requests",
        format!("{:.1}", progress.requests_per_thousand()),
        format!(
            "per thousand objects: {} to list, {} to look, {} to the ledger",
            progress.list_requests, progress.head_requests, progress.ledger.requests
        ),
    ));
    let complete = match (done.outcome().is_complete(), done.is_finished()) {
        (true, _) => "yes: every object is done, taken out, or in the ledger",
        (false, true) => "no",
        (false, false) => "no: the audit is not finished",
    };
    lines.push(("complete", complete.to_owned(), String::new()));
    lines
}

fn mended(counts: &RepairCounts) -> String {
    let others = [
        (counts.already_there, "were in the ledger"),
        (counts.covered, "done meanwhile"),
        (counts.removed, "taken out"),
        (counts.changed, "overwritten"),
        (counts.gone, "gone"),
        (counts.may_wait, "perhaps waiting in the intake"),
        (counts.not_safe, "not recorded for certain"),
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
                prefix => text::escaped(prefix),
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
