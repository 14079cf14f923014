//! Each situation as it is observed.

use crate::parts::{UpState, Workers};
use crate::why::verdict::tests::*;

/// Every situation with what was observed; the answers are in the snapshot, which is to be read.
pub fn all() -> Vec<(Situation, &'static str, Observed)> {
    use Situation as S;
    let pending = || row(Status::Pending, "2026-11-21T11:59:00.000Z");
    let failed = |row: Row| Row {
        attempt: Attempt(2),
        last_error: Some("FAILED: States.TaskFailed: the disk is full".to_owned()),
        ..row
    };
    let claimed = |due_at: &str, deliveries: u32| Row {
        deliveries,
        ..row(Status::Claimed, due_at)
    };
    let batched = |due_at: &str| Row {
        batch: Some("5f0c2b7e31d84a6f9e0d4c3b2a190817".parse().unwrap()),
        ..claimed(due_at, 1)
    };
    let done = |n| Fact::Known(vec![receipt(n, Outcome::Succeeded)]);
    let mut by_person = receipt(1, Outcome::Removed);
    by_person.by = "kim".to_owned();
    by_person.why = Some("a test upload".to_owned());
    let raw = Row::unreadable(
        &SourceName::default(),
        "<html>".to_owned(),
        "no JSON".to_owned(),
        None,
        at(EARLIER),
    );
    let parked = || Row {
        attempt: Attempt(5),
        last_error: Some("FAILED: NoSuchColumn".to_owned()),
        ..row(Status::Parked, EARLIER)
    };
    let without_writes = |seen: Observed| Observed {
        up: Some(UpState::Working(Workers {
            at_once: 4,
            batch: 1,
            most_in_flight: Some(100),
        })),
        limits: limits::Observed {
            takes_no_writes: true,
            ..seen.limits
        },
        ..seen
    };
    vec![
        (
            S::Done,
            "done",
            Observed {
                receipts: done(1),
                ..nothing()
            },
        ),
        (S::Done, "a general event is done", general()),
        (
            S::Done,
            "an object's deletion is done",
            Observed {
                receipts: Fact::Known(vec![Receipt {
                    kind: daybook_schema::Kind::Removed,
                    ..receipt(1, Outcome::Succeeded)
                }]),
                ..nothing()
            },
        ),
        (
            S::Due,
            "a general event was done, and is replayed",
            Observed {
                receipts: Fact::Known(vec![general_receipt()]),
                ..open(Row::recorded(
                    general_event(),
                    5,
                    None,
                    at("2026-11-21T11:59:00.000Z"),
                ))
            },
        ),
        (
            S::DoneRowLeft,
            "done, the row is left",
            Observed {
                open: vec![Seen {
                    row: pending(),
                    execution: None,
                    is_done: true,
                }],
                receipts: done(1),
                ..nothing()
            },
        ),
        (
            S::Due,
            "an older upload is done, a newer one is open",
            Observed {
                receipts: done(0),
                ..open(pending())
            },
        ),
        (S::Due, "pending, the next window takes it", open(pending())),
        (
            S::Due,
            "pending for long, nothing before it",
            open(row(Status::Pending, EARLIER)),
        ),
        (
            S::Backlog,
            "pending behind others",
            Observed {
                ahead: Fact::Known(Count {
                    rows: 1201,
                    exact: false,
                }),
                limits: limited::budget(at(EARLIER), 0),
                ..open(pending())
            },
        ),
        (
            S::Backlog,
            "pending behind one, N unknown",
            Observed {
                ahead: Fact::Known(Count { rows: 2, exact: true }),
                ..open(pending())
            },
        ),
        (
            S::Backoff,
            "pending, not before its next attempt",
            open(failed(row(Status::Pending, LATER))),
        ),
        (
            S::Backoff,
            "the same while paused",
            Observed {
                control: paused(),
                ..open(failed(row(Status::Pending, LATER)))
            },
        ),
        (
            S::Paused,
            "paused",
            Observed {
                control: paused(),
                ..open(pending())
            },
        ),
        (
            S::NotRunning,
            "one machine, not running",
            Observed {
                up: Some(UpState::NotRunning),
                ..open(pending())
            },
        ),
        (
            S::NoTarget,
            "one machine, without a target",
            Observed {
                up: Some(UpState::Collecting),
                ..open(pending())
            },
        ),
        (
            S::Paused,
            "one machine, paused, without a target",
            Observed {
                control: paused(),
                up: Some(UpState::Collecting),
                ..open(pending())
            },
        ),
        (
            S::Backoff,
            "one machine without a target, not before its next attempt",
            Observed {
                up: Some(UpState::Collecting),
                ..open(failed(row(Status::Pending, LATER)))
            },
        ),
        (
            S::Backoff,
            "one machine, not running, not before its next attempt",
            Observed {
                up: Some(UpState::NotRunning),
                ..open(failed(row(Status::Pending, LATER)))
            },
        ),
        (
            S::NoWrites,
            "one machine, the ledger takes no writes",
            without_writes(open(pending())),
        ),
        (
            S::NoWrites,
            "one machine, claimed, the ledger takes no writes",
            without_writes(open(claimed(LATER, 1))),
        ),
        (
            S::NotRunning,
            "one machine, claimed, not running",
            Observed {
                up: Some(UpState::NotRunning),
                ..open(claimed(LATER, 1))
            },
        ),
        (
            S::Due,
            "pause and rows before it unknown",
            Observed {
                control: Fact::Unknown("GetItem on table ledger: no answer".into()),
                ahead: Fact::Unknown("Query PENDING#3: no answer".into()),
                ..open(pending())
            },
        ),
        (
            S::Queued,
            "claimed, in the queue",
            executed("", claimed(LATER, 1)),
        ),
        (
            S::Queued,
            "claimed, no state machine is named",
            open(claimed(LATER, 1)),
        ),
        (
            S::Queued,
            "claimed, on one machine",
            Observed {
                up: Some(UpState::Working(Workers {
                    at_once: 4,
                    batch: 1,
                    most_in_flight: Some(100),
                })),
                depth: Fact::NotAsked("no dispatch queue is named".to_owned()),
                ..open(claimed(LATER, 1))
            },
        ),
        (S::Queued, "claimed, the execution unknown", {
            let unknown = Lookup::Unknown("DescribeExecution: ThrottlingException".into());
            let mut seen = with_run(claimed(LATER, 2), unknown, Named::Unknown);
            seen.depth = Fact::Unknown("GetQueueAttributes: AccessDenied".into());
            seen
        }),
        (
            S::Running,
            "an execution runs",
            executed("RUNNING", claimed(LATER, 1)),
        ),
        (
            S::Ended,
            "an execution ended unheard of",
            executed("SUCCEEDED", claimed(LATER, 1)),
        ),
        (
            S::Queued,
            "in a batch that was not started yet",
            executed("", batched(LATER)),
        ),
        (
            S::Running,
            "its batch runs",
            in_batch("RUNNING", Named::Yes { events: 100 }, batched(LATER)),
        ),
        (
            S::Running,
            "its batch runs, and its input cannot be read",
            in_batch("RUNNING", Named::Unknown, batched(LATER)),
        ),
        (
            S::Running,
            "in a batch, by itself",
            in_batch(
                "RUNNING",
                Named::Yes { events: 1 },
                Row {
                    alone: true,
                    ..batched(LATER)
                },
            ),
        ),
        (
            S::Ended,
            "its batch ended unheard of",
            in_batch("SUCCEEDED", Named::Yes { events: 2 }, batched(LATER)),
        ),
        (
            S::LeftOut,
            "its batch runs without it",
            in_batch("RUNNING", Named::No, batched(LATER)),
        ),
        (
            S::LeftOut,
            "its batch ended without it",
            in_batch("SUCCEEDED", Named::No, batched(EARLIER)),
        ),
        (
            S::Backoff,
            "failed in company",
            open(Row {
                alone: true,
                ..failed(row(Status::Pending, LATER))
            }),
        ),
        (S::Running, "a worker has it", open(claimed(LATER, 0))),
        (S::LeaseOver, "the lease is over", open(claimed(EARLIER, 1))),
        (
            S::LeaseOver,
            "the worker's lease is over",
            open(claimed(EARLIER, 0)),
        ),
        (S::Undelivered, "sent five times", open(claimed(EARLIER, 5))),
        (S::Parked, "no attempt is left", open(parked())),
        (S::Unreadable, "a notification that cannot be read", open(raw)),
        (
            S::Removed,
            "a person removed it",
            Observed {
                receipts: Fact::Known(vec![by_person]),
                ..nothing()
            },
        ),
        (
            S::ObjectGone,
            "pending, the object is gone",
            Observed {
                object: Fact::Known(Head::Gone),
                ..open(pending())
            },
        ),
        (
            S::ObjectGone,
            "parked, the object is gone",
            Observed {
                object: Fact::Known(Head::Gone),
                ..open(parked())
            },
        ),
        (
            S::NeverThere,
            "neither object nor event",
            Observed {
                object: Fact::Known(Head::Gone),
                ..nothing()
            },
        ),
        (
            S::NotCovered,
            "the notifications are about other keys",
            Observed {
                notifications: notifications("s3:ObjectCreated:*", "out/"),
                ..nothing()
            },
        ),
        (
            S::NotCovered,
            "the notifications are about other events",
            Observed {
                notifications: notifications("s3:ObjectRemoved:*", ""),
                ..nothing()
            },
        ),
        (
            S::NotCovered,
            "there are none",
            Observed {
                notifications: Fact::Known(Notifications::default()),
                ..nothing()
            },
        ),
        (
            S::NotCovered,
            "they go to another queue",
            Observed {
                intake: Some("arn:aws:sqs:us-east-1:111122223333:other".to_owned()),
                ..nothing()
            },
        ),
        (
            S::NotCovered,
            "uploaded in parts, told of puts",
            Observed {
                notifications: notifications("s3:ObjectCreated:Put", ""),
                object: object("0123-4", EARLIER),
                ..nothing()
            },
        ),
        (
            S::PartlyCovered,
            "told of puts only",
            Observed {
                notifications: notifications("s3:ObjectCreated:Put", ""),
                ..nothing()
            },
        ),
        (
            S::OnItsWay,
            "uploaded a minute ago",
            Observed {
                object: object("00", "2026-11-21T11:59:00Z"),
                ..nothing()
            },
        ),
        (
            S::BeforeLedger,
            "uploaded before the ledger",
            Observed {
                object: object("00", "2026-10-31T00:00:00Z"),
                keep: Some(Duration::from_secs(400 * 24 * 3600)),
                ..nothing()
            },
        ),
        (
            S::MaybeExpired,
            "uploaded longer ago than receipts are kept",
            Observed {
                object: object("00", "2026-11-02T00:00:00Z"),
                ..nothing()
            },
        ),
        (S::Missed, "covered, and never seen", nothing()),
        (
            S::Missed,
            "EventBridge gets it",
            Observed {
                notifications: Fact::Known(Notifications {
                    entries: Vec::new(),
                    eventbridge: true,
                }),
                ..nothing()
            },
        ),
        (
            S::Missed,
            "done, and uploaded again unseen",
            Observed {
                receipts: done(0),
                object: object("00", "2026-11-21T11:30:00Z"),
                ..nothing()
            },
        ),
        (
            S::NeverSeen,
            "the notifications cannot be read",
            Observed {
                notifications: Fact::Unknown("GetBucketNotificationConfiguration: AccessDenied".into()),
                ..nothing()
            },
        ),
        (
            S::NeverSeen,
            "S3 is not asked",
            Observed {
                object: Fact::NotAsked("S3 is not asked (--no-s3)".to_owned()),
                notifications: Fact::NotAsked("S3 is not asked (--no-s3)".to_owned()),
                ..nothing()
            },
        ),
        (
            S::NotOpen,
            "receipts are off",
            Observed {
                receipts: Fact::NotAsked("receipts are off".to_owned()),
                ..nothing()
            },
        ),
        (
            S::NotOpen,
            "an id of nothing",
            Observed {
                key: None,
                ..nothing()
            },
        ),
        (
            S::Unreadable,
            "a parked payload names it",
            Observed {
                unreadable: vec!["parked notification 1, which cannot be read, names it".to_owned()],
                ..nothing()
            },
        ),
        (
            S::Missed,
            "rows of a newer release",
            Observed {
                unreadable_rows: 2,
                ..nothing()
            },
        ),
    ]
}
