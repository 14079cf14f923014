//! What a worker did, for people.

use daybook_manager::worker::WorkerReport;

use crate::ui::output::Line;

/// What a worker did, for people.
pub fn lines(report: &WorkerReport) -> Vec<Line> {
    let count = |n: u64| n.to_string();
    vec![
        ("received", count(report.received), "messages"),
        ("completed", count(report.completed), "events processed"),
        ("failed", count(report.failed), "attempts that failed"),
        (
            "later",
            count(report.later),
            "put off by the target; no attempt is used",
        ),
        (
            "dropped",
            count(report.dropped),
            "events that had moved on, or belonged to another worker",
        ),
        (
            "returned",
            count(report.returned),
            "events given back, because the ledger did not answer or this worker drained",
        ),
        (
            "lost",
            count(report.lost),
            "events whose runs were stopped, because leases were lost",
        ),
        (
            "stopped",
            count(report.stopped),
            "put back, no attempt used: stopped by the drain, or to be run by themselves",
        ),
        ("abandoned", count(report.abandoned), "runs left to their leases"),
    ]
}
