//! `daybook audit` for programs.

use std::path::Path;

use daybook_reconciler::audit::{AuditCounts, ListedObject, OpenSummary, RepairCounts, Tally};
use daybook_schema::{BucketName, SourceName, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::audit::outcome::AuditSummary;

/// What an audit came to.
#[derive(Serialize, JsonSchema)]
pub struct AuditOutput<'a> {
    /// The deployment.
    #[serde(rename = "where")]
    location: String,
    /// The S3 that was asked.
    s3: String,
    /// The source whose rows and receipts count.
    source: &'a SourceName,
    /// The bucket.
    bucket: &'a BucketName,
    /// Keys that begin so.
    prefix: &'a str,
    /// The manifest of the inventory that was read; null: the bucket was listed.
    inventory: Option<&'a str>,
    /// When the making of the inventory began: the audit speaks of what was last modified before.
    inventory_at: Option<Timestamp>,
    /// Objects last modified from then on.
    since: Option<Timestamp>,
    /// Objects last modified before then.
    until: Option<Timestamp>,
    /// Whether every version was judged.
    versions: bool,
    /// Whether all of the scope was judged.
    finished: bool,
    /// Whether it was stopped by Ctrl-C.
    interrupted: bool,
    #[serde(flatten)]
    counts: AuditCounts,
    /// Entries outside of the times that were asked for.
    outside: u64,
    /// The counts by prefix and day.
    statement: Vec<LineOutput>,
    /// The counts of what found no place in the 10,000 lines of the statement.
    statement_others: Option<&'a Tally>,
    /// The outcomes of the objects from before the watermark, if they were to be recorded.
    backfill: Option<RepairCounts>,
    /// What the ledger held when the audit began.
    open_rows: &'a OpenSummary,
    /// Messages in the intake queue; null: not known, or not asked.
    intake_queue_depth: Option<u64>,
    /// What had arrived by then does not wait; null where the intake was not looked at.
    intake_drained_until: Option<Timestamp>,
    /// How far S3's clock is behind this one's.
    clock_behind_seconds: u64,
    /// What this run cost, without the looks of repairs.
    requests: RequestsOutput,
    /// How long it took.
    seconds: f64,
    /// The first objects that are missing.
    sample: &'a [ListedObject],
    /// The file of the report.
    report: Option<String>,
    /// The file of the checkpoint.
    checkpoint: Option<String>,
    /// What could not be found out, each cause once.
    failures: Vec<String>,
}

/// The counts of a prefix and a day.
#[derive(Serialize, JsonSchema)]
struct LineOutput {
    /// The prefix.
    prefix: String,
    /// The day of the last modification, UTC.
    day: String,
    /// Whether nothing of it is missing, and everything is known.
    complete: bool,
    #[serde(flatten)]
    tally: Tally,
}

/// Requests of an audit.
#[derive(Serialize, JsonSchema)]
struct RequestsOutput {
    /// Pages of the listing, or parts of the inventory.
    list: u64,
    /// Objects that were asked for by themselves.
    head: u64,
    /// To DynamoDB.
    ledger: u64,
    /// Read units of DynamoDB.
    read_units: f64,
    /// All requests per thousand listed objects.
    per_thousand_objects: f64,
}

/// The result for programs.
pub fn output<'a>(summary: &'a AuditSummary) -> AuditOutput<'a> {
    let (done, arguments) = (summary.done, summary.arguments);
    let (checkpoint, progress) = (&done.checkpoint, &done.progress);
    let file = |path: Option<&Path>| path.map(|path| path.display().to_string());
    let lines = checkpoint.statement.lines().map(|line| LineOutput {
        prefix: line.prefix,
        day: line.day,
        complete: line.tally.is_complete(),
        tally: line.tally,
    });
    let others = checkpoint.statement.others();
    let inventory = done.inventory.as_ref();
    AuditOutput {
        location: summary.location.to_string(),
        s3: summary.s3.to_string(),
        source: &summary.scope.source,
        bucket: &summary.scope.bucket,
        prefix: &summary.scope.prefix,
        inventory: inventory.map(|inventory| inventory.manifest.as_str()),
        inventory_at: inventory.map(|inventory| inventory.at),
        since: arguments.which.since,
        until: arguments.which.until,
        versions: done.by_version,
        finished: done.is_finished(),
        interrupted: done.interrupted,
        counts: done.outcome().counts(),
        outside: checkpoint.outside,
        statement: lines.collect(),
        statement_others: (others.objects > 0).then_some(others),
        backfill: done.backfill,
        open_rows: &done.open_rows,
        intake_queue_depth: summary.around.intake.messages(),
        intake_drained_until: summary.around.intake.until(),
        clock_behind_seconds: done.clock_behind.as_secs(),
        requests: RequestsOutput {
            list: progress.list_requests,
            head: progress.head_requests,
            ledger: progress.ledger.requests,
            read_units: progress.ledger.read_units,
            per_thousand_objects: progress.requests_per_thousand(),
        },
        seconds: progress.elapsed.as_secs_f64(),
        sample: done.examples(),
        report: file(arguments.files.report.as_deref()),
        checkpoint: file(arguments.files.checkpoint.as_deref()),
        failures: summary.failures(),
    }
}
