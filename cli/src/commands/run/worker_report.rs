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
            "messages whose events had moved on, or belonged to another worker",
        ),
        (
            "returned",
            count(report.returned),
            "messages given back, because the ledger did not answer",
        ),
        (
            "lost",
            count(report.lost),
            "runs stopped, because their leases were lost",
        ),
        (
            "stopped",
            count(report.stopped),
            "runs stopped by the drain; their events are due again, no attempt used",
        ),
        ("abandoned", count(report.abandoned), "runs left to their leases"),
    ]
}
