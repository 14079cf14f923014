//! The lines of a report: every field of each kind of finding, and null where it means nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use daybook_reconciler::audit::{
    Class, Finding, Line, ListedObject, OpenRow, OpenState, Repaired, Unknown, UnreadableEntry, Watermark,
};
use daybook_schema::{Attempt, EventId, Status, Timestamp};
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn event_id() -> EventId {
    "8d8ac610-566d-5ef0-9c22-186b2a5ed793".parse().unwrap()
}

fn object() -> ListedObject {
    ListedObject {
        key: "in/a b".parse().unwrap(),
        version_id: Some("v1".into()),
        etag: Some("0cc1".into()),
        size: Some(7),
        last_modified: at("2026-11-20T01:02:03Z"),
        is_latest: false,
    }
}

fn line(line: &Line<'_>) -> Value {
    serde_json::to_value(line).unwrap()
}

fn of_class(class: Class) -> Value {
    line(&Line::finding(&Finding::Object {
        object: object(),
        class,
    }))
}

/// A line about that object, with nothing of the ledger.
fn about_object(class: &str, cause: Value) -> Value {
    json!({
        "class": class, "key": "in/a b", "version_id": "v1", "etag": "0cc1", "size": 7,
        "last_modified": "2026-11-20T01:02:03.000Z", "is_latest": false,
        "event_id": null, "status": null, "recorded_at": null, "attempt": null, "deliveries": null,
        "last_error": null, "cause": cause,
    })
}

#[test]
fn an_object_is_told_by_all_that_the_listing_says_of_it() {
    for (class, word) in [
        (Class::Done, "done"),
        (Class::Removed, "removed"),
        (Class::TooNew, "too_new"),
        (Class::Missing, "missing"),
        (Class::MayWait, "may_wait"),
        (Class::Changed, "changed"),
    ] {
        assert_eq!(of_class(class), about_object(word, Value::Null));
    }
}

#[test]
fn why_nothing_was_promised_or_nothing_is_known_of_an_object_is_told() {
    for (reason, word) in [
        (Watermark::BeforeInstallation, "before_installation"),
        (Watermark::BeforeReceipts, "before_receipts"),
    ] {
        let told = of_class(Class::BeforeWatermark { reason });
        assert_eq!(told, about_object("before_watermark", json!(word)));
    }
    let cause = Unknown::Head("status 403".into());
    assert_eq!(
        of_class(Class::Unknown { cause }),
        about_object("unknown", json!("S3 does not say what it is now: status 403"))
    );
}

#[test]
fn an_open_object_is_told_with_its_row() {
    let told = of_class(Class::Open(OpenState {
        event_id: event_id(),
        status: Status::Parked,
        since: at("2026-11-20T01:02:04Z"),
        attempt: Attempt(5),
        deliveries: 2,
        last_error: Some("FAILED".into()),
    }));
    let mut expected = about_object("open", Value::Null);
    expected["event_id"] = json!(event_id());
    expected["status"] = json!("parked");
    expected["recorded_at"] = json!("2026-11-20T01:02:04.000Z");
    expected["attempt"] = json!(5);
    expected["deliveries"] = json!(2);
    expected["last_error"] = json!("FAILED");
    assert_eq!(told, expected);
}

#[test]
fn a_row_whose_object_is_gone_is_told_with_what_s3_did_not_say() {
    let row = OpenRow {
        id: event_id(),
        key: "in/a b".into(),
        version_id: Some("v1".into()),
        etag: Some("0cc1".into()),
        event_time: Some(at("2026-11-20T01:02:03Z")),
        status: Status::Claimed,
        recorded_at: at("2026-11-20T01:02:04Z"),
        attempt: Attempt(1),
        deliveries: 3,
        last_error: Some("TIMED_OUT".into()),
    };
    for unconfirmed in [None, Some("HeadObject was answered with status 403".to_owned())] {
        let told = line(&Line::finding(&Finding::Gone {
            row: row.clone(),
            unconfirmed: unconfirmed.clone(),
        }));
        let expected = json!({
            "class": "gone", "key": "in/a b", "version_id": "v1", "etag": "0cc1", "size": null,
            "last_modified": null, "is_latest": null,
            "event_id": event_id(), "status": "claimed", "recorded_at": "2026-11-20T01:02:04.000Z",
            "attempt": 1, "deliveries": 3, "last_error": "TIMED_OUT", "cause": unconfirmed,
        });
        assert_eq!(told, expected);
    }
}

#[test]
fn an_entry_that_is_no_object_is_told_by_its_name_and_why() {
    let told = line(&Line::finding(&Finding::Unreadable(UnreadableEntry {
        key: "%ff".into(),
        cause: "its key is no UTF-8".into(),
    })));
    let expected = json!({
        "class": "unreadable", "key": "%ff", "version_id": null, "etag": null, "size": null,
        "last_modified": null, "is_latest": null, "event_id": null, "status": null, "recorded_at": null,
        "attempt": null, "deliveries": null, "last_error": null, "cause": "its key is no UTF-8",
    });
    assert_eq!(told, expected);
}

#[test]
fn a_repair_is_told_with_its_object_and_what_came_of_it() {
    let cause = "status 403".to_owned();
    for (outcome, words) in [
        (Repaired::Recorded, "recorded"),
        (Repaired::AlreadyThere, "already_there"),
        (Repaired::Covered, "covered"),
        (Repaired::Changed, "changed"),
        (Repaired::Gone, "gone"),
        (Repaired::Removed, "removed"),
        (Repaired::MayWait, "may_wait"),
        (Repaired::NotSafe { cause }, "not_safe: status 403"),
    ] {
        let told = line(&Line::repaired(&object(), &outcome));
        assert_eq!(told, about_object("repaired", json!(words)));
    }
}
