use daybook_manager::Described;
use daybook_schema::{Attempt, ObjectEvent, SourceName, Status, notification};

use super::*;
use crate::s3::{Destination, Entry, ObjectNow, Pattern};

const NOW: &str = "2026-11-21T12:00:00.000Z";
const EARLIER: &str = "2026-11-21T11:00:00.000Z";
const LATER: &str = "2026-11-21T13:00:00.000Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn event(n: u32) -> ObjectEvent {
    let body = format!(
        r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"{EARLIER}",
        "eventName":"ObjectCreated:Put","s3":{{"bucket":{{"name":"data"}},"object":{{"key":"in/a.json","size":10,
        "eTag":"{n:032x}","sequencer":"0068B5C2F4A1{n:04X}"}}}}}}]}}"#
    );
    let source = SourceName::default();
    notification::read(&body, &source).events.pop().unwrap()
}

fn row(status: Status, due_at: &str) -> Row {
    let attempt = if status == Status::Pending { 0 } else { 1 };
    Row {
        status,
        due_at: at(due_at),
        attempt: Attempt(attempt),
        deliveries: attempt,
        ..Row::recorded(event(1), 5, None, at(EARLIER))
    }
}

fn receipt(n: u32, outcome: Outcome) -> Receipt {
    let by = "arn:aws:states:us-east-1:111122223333:execution:work:x".to_owned();
    let keep = Duration::from_secs(14 * 24 * 3600);
    Receipt::new(&event(n), Attempt(1), outcome, by, None, at(EARLIER), keep)
}

fn object(etag: &str, last_modified: &str) -> Fact<Head> {
    Fact::Known(Head::There(ObjectNow {
        etag: Some(etag.to_owned()),
        size: Some(10),
        last_modified: Some(at(last_modified)),
        version_id: None,
    }))
}

fn notifications(event: &str, prefix: &str) -> Fact<Notifications> {
    let entry = Entry {
        id: "uploads".to_owned(),
        destination: Destination::Queue("arn:aws:sqs:us-east-1:111122223333:intake".to_owned()),
        events: vec![event.to_owned()],
        pattern: Pattern {
            prefix: prefix.to_owned(),
            suffix: String::new(),
        },
    };
    Fact::Known(Notifications {
        entries: vec![entry],
        eventbridge: false,
    })
}

/// Nothing is known of it, everything could be asked, and all uploads are told to the intake queue.
fn nothing() -> Observed {
    Observed {
        now: at(NOW),
        subject: "s3://data/in/a.json".to_owned(),
        key: Some("in/a.json".to_owned()),
        open: Vec::new(),
        unreadable: Vec::new(),
        unreadable_rows: 0,
        receipts: Fact::Known(Vec::new()),
        control: Fact::Known(Control {
            window: Some(at(NOW)),
            window_millis: 60_000,
            installed_at: Some(at("2026-11-01T00:00:00Z")),
            ..Control::default()
        }),
        per_window: None,
        ahead: Fact::Known(Count { rows: 1, exact: true }),
        depth: Fact::Known(7),
        up_runs: None,
        object: object(&format!("{:032x}", 1), EARLIER),
        notifications: notifications("s3:ObjectCreated:*", ""),
        intake: Some("arn:aws:sqs:us-east-1:111122223333:intake".to_owned()),
        event: None,
        keep: Some(Duration::from_secs(14 * 24 * 3600)),
    }
}

fn open(row: Row) -> Observed {
    Observed {
        open: vec![Seen {
            row,
            execution: None,
            is_done: false,
        }],
        ..nothing()
    }
}

/// Its execution has that status; an empty one is no execution.
fn executed(status: &str, row: Row) -> Observed {
    if status.is_empty() {
        let mut seen = open(row);
        seen.open[0].execution = Some(Lookup::Absent);
        return seen;
    }
    let name = daybook_schema::ExecutionName {
        id: row.id,
        attempt: row.attempt,
    };
    let described = Described {
        name,
        arn: format!("arn:aws:states:us-east-1:111122223333:execution:work:{name}"),
        status: status.to_owned(),
        started_at: Some(at(EARLIER)),
        ended_at: (status != "RUNNING").then(|| at(NOW)),
        input: None,
        error: None,
        cause: None,
    };
    let mut seen = open(row);
    seen.open[0].execution = Some(Lookup::Found(Box::new(described)));
    seen
}

fn paused() -> Fact<Control> {
    Fact::Known(Control {
        paused_at: Some(at(EARLIER)),
        paused_until: Some(at(LATER)),
        paused_by: Some("kim".to_owned()),
        paused_why: Some("the database is migrated".to_owned()),
        ..Control::default()
    })
}

/// Every situation with what was observed; the answers are in the snapshot, which is to be read.
fn situations() -> Vec<(Situation, &'static str, Observed)> {
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
    vec![
        (
            S::Done,
            "done",
            Observed {
                receipts: done(1),
                ..nothing()
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
                per_window: Some(50),
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
                up_runs: Some(false),
                ..open(pending())
            },
        ),
        (
            S::Due,
            "pause and rows before it unknown",
            Observed {
                control: Fact::Unknown("GetItem on table ledger: no answer".to_owned()),
                ahead: Fact::Unknown("Query PENDING#3: no answer".to_owned()),
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
                up_runs: Some(true),
                depth: Fact::NotAsked("no dispatch queue is named".to_owned()),
                ..open(claimed(LATER, 1))
            },
        ),
        (S::Queued, "claimed, the execution unknown", {
            let mut seen = open(claimed(LATER, 2));
            seen.open[0].execution = Some(Lookup::Unknown(
                "DescribeExecution: ThrottlingException".to_owned(),
            ));
            seen.depth = Fact::Unknown("GetQueueAttributes: AccessDenied".to_owned());
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
                notifications: Fact::Unknown("GetBucketNotificationConfiguration: AccessDenied".to_owned()),
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

#[test]
fn every_situation_has_its_answer() {
    let mut told = String::new();
    for (situation, name, seen) in situations() {
        let verdict = verdict(&seen);
        assert_eq!(verdict.situation, situation, "{name}: {verdict:?}");
        let certain = if verdict.is_certain { "" } else { " (not certain)" };
        told.push_str(&format!("{name}\n  {}{certain}\n", situation.word()));
        told.push_str(&format!("  {}\n  → {}\n", verdict.says, verdict.next));
        for unknown in &verdict.unknown {
            told.push_str(&format!("  ? {unknown}\n"));
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn an_answer_is_certain_where_the_unknown_would_not_change_it() {
    let s3_unknown = |seen: Observed| Observed {
        object: Fact::Unknown("HeadObject: 403".to_owned()),
        notifications: Fact::Unknown("AccessDenied".to_owned()),
        ..seen
    };
    let done = Observed {
        receipts: Fact::Known(vec![receipt(1, Outcome::Succeeded)]),
        ..nothing()
    };
    for seen in [
        done,
        executed("RUNNING", row(Status::Claimed, LATER)),
        open(row(Status::Parked, EARLIER)),
    ] {
        assert!(verdict(&s3_unknown(seen)).is_certain);
    }
    assert!(!verdict(&s3_unknown(nothing())).is_certain);
}

#[test]
fn the_newest_open_event_is_the_one_that_counts() {
    let newer = Row {
        id: event(2).id,
        ..row(Status::Parked, EARLIER)
    };
    let mut seen = open(row(Status::Pending, EARLIER));
    seen.open.push(Seen {
        row: newer.clone(),
        execution: None,
        is_done: false,
    });
    let answer = verdict(&seen);
    assert_eq!(
        (answer.situation, answer.event),
        (Situation::Parked, Some(newer.id))
    );
    assert!(
        answer.says.contains("1 more event is open from before it"),
        "{}",
        answer.says
    );
}
