//! Metrics in CloudWatch's embedded metric format: their names, and how they are written.
//!
//! Namespace `Daybook`, dimension `Stack`. What every function has ([`FAILURES`], [`WRITE_UNITS`], [`READ_UNITS`]) is also there
//! by `Stack` and `Function`, and so is [`OLDEST_RETURNED_SECONDS`]. A count of 0 is not written, a gauge that is not known neither.

use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};

use daybook_ledger::Consumed;
use metrics::Unit;
use metrics_cloudwatch_embedded::{Builder, Collector};

/// The namespace.
pub const NAMESPACE: &str = "Daybook";

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal in $unit:ident;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// All names, and what each is in.
        pub const ALL: &[(&str, Unit)] = &[$(($text, Unit::$unit)),*];
    };
}

names! {
    /// Ingest: events written.
    EVENTS_RECORDED = "EventsRecorded" in Count;
    /// Ingest: events that were in the ledger already, or done.
    EVENTS_DUPLICATE = "EventsDuplicate" in Count;
    /// Ingest: payloads, or parts of them, that could not be read, and are PARKED rows.
    PAYLOADS_UNREADABLE = "PayloadsUnreadable" in Count;
    /// Ingest, invoke, complete: messages that come again.
    MESSAGES_RETURNED = "MessagesReturned" in Count;
    /// Ingest, invoke, complete: how long ago the oldest message that comes again was sent. SQS's own age leaves out what was
    /// received three times.
    OLDEST_RETURNED_SECONDS = "OldestReturnedSeconds" in Seconds;
    /// Schedule: runs that came to their end. The heartbeat.
    SCHEDULE_RUNS = "ScheduleRuns" in Count;
    /// Schedule: rows claimed.
    EVENTS_CLAIMED = "EventsClaimed" in Count;
    /// Schedule: messages that the dispatch queue has.
    EVENTS_SENT = "EventsSent" in Count;
    /// Schedule: rows given back, because the queue did not take their messages.
    EVENTS_RELEASED = "EventsReleased" in Count;
    /// Schedule: rows of which a claim, send or release is unknown.
    EVENTS_UNKNOWN = "EventsUnknown" in Count;
    /// Schedule: for how long the oldest due PENDING row has been due; 0 if none is.
    OLDEST_PENDING_SECONDS = "OldestPendingSeconds" in Seconds;
    /// Schedule: 1 while dispatch is paused, else 0.
    PAUSED = "Paused" in Count;
    /// Invoke: executions that run for a message.
    EXECUTIONS_STARTED = "ExecutionsStarted" in Count;
    /// Invoke: messages whose rows are gone or went on.
    MESSAGES_DROPPED = "MessagesDropped" in Count;
    /// Invoke: starts that Step Functions throttled.
    STARTS_THROTTLED = "StartsThrottled" in Count;
    /// Complete: events done. Invoke: those that a target queue has, where that is done.
    EVENTS_COMPLETED = "EventsCompleted" in Count;
    /// Complete: attempts that failed, those that parked their rows included. Invoke: those whose executions kept ending untold.
    ATTEMPTS_FAILED = "AttemptsFailed" in Count;
    /// Complete and invoke: rows parked.
    EVENTS_PARKED = "EventsParked" in Count;
    /// Complete: status events with nothing to do.
    STATUS_EVENTS_IGNORED = "StatusEventsIgnored" in Count;
    /// Reconcile: sweeps that came to their end.
    SWEEP_RUNS = "SweepRuns" in Count;
    /// Reconcile: rows with new leases, because their executions run.
    EVENTS_RENEWED = "EventsRenewed" in Count;
    /// Reconcile: rows that the dispatch queue has once more.
    EVENTS_REDELIVERED = "EventsRedelivered" in Count;
    /// Reconcile: rows with longer leases, because the queue is slow.
    LEASES_MOVED = "LeasesMoved" in Count;
    /// Reconcile: rows PENDING.
    PENDING_ROWS = "PendingRows" in Count;
    /// Reconcile: rows CLAIMED.
    CLAIMED_ROWS = "ClaimedRows" in Count;
    /// Reconcile: rows PARKED.
    PARKED_ROWS = "ParkedRows" in Count;
    /// Reconcile: rows that a newer release wrote and this one leaves alone, among the 300 of each status that are due first.
    NEWER_ROWS = "NewerRows" in Count;
    /// Reconcile: rows sent five times or more without a sign.
    UNDELIVERED_ROWS = "UndeliveredRows" in Count;
    /// Reconcile: for how long the lease that ended first is over; 0 if none is.
    OLDEST_CLAIMED_SECONDS = "OldestClaimedSeconds" in Seconds;
    /// Audit: rounds that came to their end. The heartbeat.
    AUDIT_ROUNDS = "AuditRounds" in Count;
    /// Audit: audits that have been under way for longer than the time between two.
    AUDITS_LATE = "AuditsLate" in Count;
    /// Audit: audits that came to their end.
    AUDIT_RUNS = "AuditRuns" in Count;
    /// Audit: objects listed.
    OBJECTS_LISTED = "ObjectsListed" in Count;
    /// Audit: objects that are neither done nor open.
    OBJECTS_MISSING = "ObjectsMissing" in Count;
    /// Audit: missing objects recorded.
    OBJECTS_REPAIRED = "ObjectsRepaired" in Count;
    /// Audit: objects of which nothing can be said.
    OBJECTS_UNKNOWN = "ObjectsUnknown" in Count;
    /// Audit: objects without row and receipt whose notifications may still wait in the intake.
    OBJECTS_MAY_WAIT = "ObjectsMayWait" in Count;
    /// Relay: runs that came to their end. The heartbeat.
    RELAY_RUNS = "RelayRuns" in Count;
    /// Relay: messages that the target has.
    MESSAGES_RELAYED = "MessagesRelayed" in Count;
    /// Relay: messages that come again, because the target has not certainly taken them.
    MESSAGES_NOT_RELAYED = "MessagesNotRelayed" in Count;
    /// All: write units of the tables and their indexes.
    WRITE_UNITS = "WriteUnits" in Count;
    /// All: read units of the tables and their indexes.
    READ_UNITS = "ReadUnits" in Count;
    /// All: invocations that failed, were cut off, or report failures.
    FAILURES = "Failures" in Count;
}

/// The function, for the metrics that are told by function too.
static FUNCTION: OnceLock<&'static str> = OnceLock::new();

/// Adds to a count of this invocation.
pub fn count(name: &'static str, n: impl Into<u64>) {
    let n = n.into();
    if n == 0 {
        return;
    }
    metrics::counter!(name).increment(n);
    if let (FAILURES, Some(function)) = (name, FUNCTION.get()) {
        metrics::counter!(name, "Function" => *function).increment(n);
    }
}

/// Tells what something is now. The library's gauges are written again with every flush; what is not known any more must not
/// be, so this is a distribution with one value.
pub fn gauge(name: &'static str, value: f64) {
    metrics::histogram!(name).record(value);
}

/// The same, by function too.
pub fn gauge_by_function(name: &'static str, value: f64) {
    gauge(name, value);
    if let Some(function) = FUNCTION.get() {
        metrics::histogram!(name, "Function" => *function).record(value);
    }
}

/// Where metrics are collected until an invocation ends.
#[derive(Clone, Copy)]
pub(super) struct Metrics {
    collector: &'static Collector,
    consumed: &'static Mutex<Consumed>,
}

impl Metrics {
    /// Collects from now on.
    pub(super) fn start(stack: &str, function: &'static str) -> Result<Self, String> {
        let collector = Builder::new()
            .cloudwatch_namespace(NAMESPACE)
            .with_dimension("Stack", stack.to_owned())
            .init()
            .map_err(|error| format!("metrics cannot be collected: {error}"))?;
        let _ = FUNCTION.set(function);
        for (name, unit) in ALL {
            metrics::describe_counter!(*name, *unit, "");
        }
        Ok(Self {
            collector,
            consumed: Box::leak(Box::default()),
        })
    }

    /// Metrics belong to that invocation from now on.
    pub(super) fn begin(&self, request_id: &str) {
        self.collector.set_property("requestId", request_id.to_owned());
    }

    /// Writes what was counted since the last time, with the units that the ledger used meanwhile.
    pub(super) fn flush(&self, consumed: Consumed) {
        let used = {
            let mut before = self.consumed.lock().unwrap_or_else(PoisonError::into_inner);
            consumed - std::mem::replace(&mut *before, consumed)
        };
        for (name, units) in [(WRITE_UNITS, used.write_units), (READ_UNITS, used.read_units)] {
            if units > 0.0 {
                gauge_by_function(name, units);
            }
        }
        self.write();
    }

    /// In one piece, so that no line of the log comes between.
    pub(super) fn write(&self) {
        let mut lines = Vec::new();
        let written = self
            .collector
            .flush(&mut lines)
            .and_then(|()| std::io::stdout().lock().write_all(&lines));
        if let Err(error) = written {
            tracing::warn!("metrics cannot be written: {error}");
        }
    }
}
