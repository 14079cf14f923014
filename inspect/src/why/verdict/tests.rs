mod limited;
mod situations;

use std::time::Duration;

use daybook_ledger::{Cause, CauseKind, Control, Count, Lookup};
use daybook_manager::Described;
use daybook_schema::{
    Attempt, ObjectEvent, Outcome, Receipt, Row, SourceName, Status, Timestamp, notification,
};

use crate::aws::notifications::{Destination, Entry, Notifications, Pattern};
use crate::aws::s3::{Head, ObjectNow};
use crate::limits;
use crate::lookup::run::{Named, Run};
use crate::why::verdict::facts::*;
use crate::why::verdict::*;

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

fn general_event() -> ObjectEvent {
    let body = r#"{"specversion":"1.0","id":"1","source":"/shop/web","type":"com.example.page-view","subject":"user/42"}"#;
    let source = SourceName::default();
    notification::read(body, &source).events.pop().unwrap()
}

fn general_receipt() -> Receipt {
    let keep = Duration::from_secs(14 * 24 * 3600);
    let (by, now) = ("vm:25723".to_owned(), at(EARLIER));
    Receipt::new(
        &general_event(),
        Attempt(1),
        Outcome::Succeeded,
        by,
        None,
        now,
        keep,
    )
}

/// Asked for by its id: there is no object.
fn general() -> Observed {
    Observed {
        subject: "com.example.page-view user/42 (/shop/web 1)".to_owned(),
        key: None,
        receipts: Fact::Known(vec![general_receipt()]),
        ..nothing()
    }
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
        limits: limits::Observed::default(),
        ahead: Fact::Known(Count { rows: 1, exact: true }),
        depth: Fact::Known(7),
        up: None,
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
    let name = row.run_name();
    if status.is_empty() {
        return with_run(row, Lookup::Absent, Named::Unknown);
    }
    let described = Described {
        name,
        arn: format!("arn:aws:states:us-east-1:111122223333:execution:work:{name}"),
        status: status.to_owned(),
        started_at: Some(at(EARLIER)),
        ended_at: (status != "RUNNING").then(|| at(NOW)),
        input: None,
        output: None,
        error: None,
        cause: None,
    };
    with_run(row, Lookup::Found(Box::new(described)), Named::Yes { events: 1 })
}

fn with_run(row: Row, lookup: Lookup<Described>, named: Named) -> Observed {
    let name = row.run_name();
    let mut seen = open(row);
    seen.open[0].execution = Some(Run { name, lookup, named });
    seen
}

/// The execution of its batch has that status, and its input says that of the row.
fn in_batch(status: &str, named: Named, row: Row) -> Observed {
    let mut seen = executed(status, row);
    if let Some(run) = &mut seen.open[0].execution {
        run.named = named;
    }
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

#[test]
fn every_situation_has_its_answer() {
    let mut told = String::new();
    for (situation, name, seen) in situations::all().into_iter().chain(limited::all()) {
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
        object: Fact::Unknown("HeadObject: 403".into()),
        notifications: Fact::Unknown("AccessDenied".into()),
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
fn a_missing_bucket_is_known_by_its_code_alone() {
    let says = |code: &str, words: &'static str| {
        let kind = CauseKind::Service {
            code: Some(code.to_owned()),
            status: 404,
        };
        let seen = Observed {
            object: Fact::Known(Head::Gone),
            notifications: Fact::Unknown(Cause::new(kind, words)),
            ..nothing()
        };
        verdict(&seen).says
    };
    assert!(says("NoSuchBucket", "it is not here").starts_with("There is no such bucket"));
    assert!(says("AccessDenied", "NoSuchBucket is not yours").starts_with("There is no such object"));
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
