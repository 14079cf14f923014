//! Outcomes as metrics and as lines of the log.

use daybook_ledger::Cause;
use daybook_ledger::{Failed, Recorded};
use serde_json::{Value, json};

use super::metric;
use crate::complete::Completed;
use crate::delivery::{Delivered, Disposition};
use crate::ingest::Ingested;
use crate::invoke::Invoked;
use crate::outlet::HandedOn;
use crate::relay::RelayReport;
use crate::schedule_report::ScheduleReport;
use crate::settle_batch::SettledBatch;

fn tally<T>(outcomes: &[T], is: impl Fn(&T) -> bool) -> u64 {
    outcomes.iter().filter(|outcome| is(outcome)).count() as u64
}

fn in_rows(rows: impl Iterator<Item = SettledBatch>) -> SettledBatch {
    rows.fold(SettledBatch::default(), SettledBatch::and)
}

/// What came of notifications.
pub fn ingested(messages: &[Delivered], ingested: &[Ingested]) {
    let (mut recorded, mut duplicate, mut unreadable) = (0u64, 0u64, 0u64);
    for one in ingested {
        let events = one.rows.len() - one.unreadable;
        for (position, row) in one.rows.iter().enumerate() {
            match row {
                Recorded::Recorded if position >= events => unreadable += 1,
                Recorded::Recorded => recorded += 1,
                Recorded::AlreadyThere | Recorded::Covered => duplicate += 1,
                Recorded::Rejected(_) | Recorded::Throttled(_) | Recorded::Unknown(_) => {}
            }
        }
    }
    let at_once = |outcome: HandedOn| -> u64 {
        let handed = ingested.iter().flat_map(|one| &one.at_once);
        handed.filter(|one| **one == outcome).count() as u64
    };
    let (sent, released, unknown) = (
        at_once(HandedOn::Sent),
        at_once(HandedOn::Released),
        at_once(HandedOn::Unknown),
    );
    let claimed = sent + released + unknown + at_once(HandedOn::Gone);
    let returned = returned(messages, ingested.iter().map(Ingested::disposition));
    if claimed > 0 {
        metric::count(metric::EVENTS_CLAIMED, claimed);
        metric::count(metric::EVENTS_SENT, sent);
        metric::count(metric::EVENTS_RELEASED, released);
        metric::count(metric::EVENTS_UNKNOWN, unknown);
    }
    metric::count(metric::EVENTS_RECORDED, recorded);
    metric::count(metric::EVENTS_DUPLICATE, duplicate);
    metric::count(metric::PAYLOADS_UNREADABLE, unreadable);
    tracing::info!(
        messages = messages.len(),
        recorded,
        duplicate,
        unreadable,
        sent,
        returned,
        "recorded notifications"
    );
}

/// What came of dispatch messages.
pub fn invoked(messages: &[Delivered], invoked: &[Invoked]) {
    let started = tally(invoked, |one| matches!(one, Invoked::Started | Invoked::Sent(_)));
    let dropped = tally(invoked, |one| *one == Invoked::Dropped);
    let throttled = tally(invoked, |one| matches!(one, Invoked::Throttled(_)));
    let rows = in_rows(invoked.iter().map(Invoked::rows));
    let parked = u64::from(rows.parked);
    let untold = invoked.iter().map(|one| match one {
        Invoked::Untold(Failed::Retry(_) | Failed::Parked) => 1,
        Invoked::UntoldBatch(settled) => u64::from(settled.retried + settled.parked),
        _ => 0,
    });
    let untold: u64 = untold.sum();
    // Of a queue to which sent is done.
    let done = invoked.iter().map(|one| match one {
        Invoked::Sent(settled) => u64::from(settled.completed + settled.left_newer),
        _ => 0,
    });
    let done: u64 = done.sum();
    let returned = returned(messages, invoked.iter().map(Invoked::disposition));
    metric::count(metric::EXECUTIONS_STARTED, started);
    metric::count(metric::MESSAGES_DROPPED, dropped);
    metric::count(metric::STARTS_THROTTLED, throttled);
    metric::count(metric::ATTEMPTS_FAILED, untold);
    metric::count(metric::EVENTS_PARKED, parked);
    metric::count(metric::EVENTS_COMPLETED, done);
    tracing::info!(
        messages = messages.len(),
        started,
        done,
        dropped,
        throttled,
        untold,
        parked,
        returned,
        "started executions"
    );
}

/// What came of status events.
pub fn completed(messages: &[Delivered], completed: &[Completed]) {
    let rows = in_rows(completed.iter().map(Completed::rows));
    let done = u64::from(rows.completed + rows.left_newer);
    let failed = u64::from(rows.retried + rows.parked);
    let parked = u64::from(rows.parked);
    let ignored = tally(completed, |one| *one == Completed::Ignored);
    let returned = returned(messages, completed.iter().map(Completed::disposition));
    metric::count(metric::EVENTS_COMPLETED, done);
    metric::count(metric::ATTEMPTS_FAILED, failed);
    metric::count(metric::EVENTS_PARKED, parked);
    metric::count(metric::STATUS_EVENTS_IGNORED, ignored);
    tracing::info!(
        messages = messages.len(),
        completed = done,
        failed,
        parked,
        ignored,
        returned,
        "settled status events"
    );
}

/// Counts the messages that come again, and links each message to its own trace.
fn returned(messages: &[Delivered], dispositions: impl Iterator<Item = Disposition>) -> u64 {
    let mut returned = 0;
    for (message, disposition) in messages.iter().zip(dispositions) {
        returned += u64::from(disposition == Disposition::Return);
        if let Some(trace) = &message.trace {
            tracing::debug!(sqs.message_id = %message.message_id, trace.link = %trace, ?disposition, "a message was handled");
        }
    }
    metric::count(metric::MESSAGES_RETURNED, returned);
    returned
}

/// What a run of the scheduler did: for the log and the metrics, and as the function's answer.
pub fn scheduled(report: &ScheduleReport) -> Value {
    metric::count(metric::SCHEDULE_RUNS, 1u64);
    metric::count(metric::EVENTS_CLAIMED, report.claimed);
    metric::count(metric::EVENTS_SENT, report.sent);
    metric::count(metric::EVENTS_RELEASED, report.released);
    metric::count(metric::EVENTS_UNKNOWN, report.unknown);
    metric::gauge(metric::PAUSED, f64::from(u8::from(report.paused().is_some())));
    if let Some(seconds) = report.oldest_due_seconds {
        metric::gauge(metric::OLDEST_PENDING_SECONDS, seconds as f64);
    }
    failures("the scheduler", &report.failures);
    let mut answer = json!(report);
    answer["oldest_pending_seconds"] = json!(report.oldest_due_seconds);
    tracing::info!(report = %answer, "scheduled");
    answer
}

/// What a run of the relay did: for the log and the metrics, and as the function's answer.
pub fn relayed(report: &RelayReport) -> Value {
    metric::count(metric::RELAY_RUNS, 1u64);
    metric::count(metric::MESSAGES_RELAYED, report.sent);
    metric::count(metric::MESSAGES_NOT_RELAYED, report.not_sent + report.unknown);
    failures("the relay", &report.failures);
    let answer = json!(report);
    tracing::info!(report = %answer, "relayed");
    answer
}

/// Failures that a report names: each in the log, and one for the invocation in the metrics.
pub fn failures(who: &str, failures: &[Cause]) {
    metric::count(metric::FAILURES, u64::from(!failures.is_empty()));
    for cause in failures {
        tracing::warn!(%cause, "{who} could not do everything; what is left comes again");
    }
}
