//! Situations of rows that are due and wait for something else than the next window.

use crate::limits;
use crate::parts::Workers;
use crate::rate::Rate;
use crate::why::verdict::tests::*;

/// Each with what was observed.
pub fn all() -> Vec<(Situation, &'static str, Observed)> {
    use Situation as S;
    let pending = || row(Status::Pending, "2026-11-21T11:59:00.000Z");
    let failed = |row: Row| Row {
        attempt: Attempt(2),
        last_error: Some("FAILED: States.TaskFailed: the disk is full".to_owned()),
        ..row
    };
    vec![
        (
            S::Backlog,
            "pending behind others, and all of N is granted",
            Observed {
                ahead: Fact::Known(Count {
                    rows: 1201,
                    exact: true,
                }),
                limits: budget(at(NOW), 50),
                ..open(pending())
            },
        ),
        (
            S::Backlog,
            "pending behind others, and 4 workers are busy",
            Observed {
                ahead: Fact::Known(Count {
                    rows: 97,
                    exact: true,
                }),
                limits: busy(Some(Duration::from_millis(18_750))),
                ..open(pending())
            },
        ),
        (
            S::Due,
            "pending for long, nothing before it, and no run of the busy workers has ended",
            Observed {
                limits: busy(None),
                ..open(row(Status::Pending, EARLIER))
            },
        ),
        (
            S::Backlog,
            "pending behind others, and as many are in flight as may be",
            Observed {
                ahead: Fact::Known(Count {
                    rows: 97,
                    exact: true,
                }),
                limits: limits::Observed {
                    workers: None,
                    cap: Some(4),
                    ..busy(None)
                },
                ..open(failed(pending()))
            },
        ),
    ]
}

/// One row is due, N is 50 per minute, and so much was granted in that window.
pub fn budget(window: Timestamp, granted: u32) -> limits::Observed {
    limits::Observed {
        due: Some(Count { rows: 1, exact: true }),
        rate: Rate {
            per_window: Some(50),
            window: Some(Duration::from_secs(60)),
        },
        granted: Some((window, granted)),
        ..limits::Observed::default()
    }
}

/// The same on one machine, whose 4 workers are busy.
fn busy(mean_run: Option<Duration>) -> limits::Observed {
    limits::Observed {
        claimed: Some(Count { rows: 4, exact: true }),
        cap: Some(100),
        workers: Some(Workers {
            at_once: 4,
            batch: 1,
            most_in_flight: Some(100),
        }),
        mean_run,
        ..budget(at(NOW), 4)
    }
}
