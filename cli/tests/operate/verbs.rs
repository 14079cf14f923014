//! Each verb's table and JSON, and what the rows and receipts say afterwards.

use daybook_schema::{Attempt, Status};
use serde_json::json;

use crate::stand_in::rows::{self, FUTURE, Fixtures, PAST};
use crate::world::{Local, id_of};

#[test]
fn redrive() {
    let local = Local::new();
    insta::assert_snapshot!(
        "redrive",
        local.told(&["redrive", "--all", "--yes", "--why", "the column is there"])
    );
    let row = local.row("parked.json").unwrap();
    assert_eq!(
        (row.status, row.attempt, row.max_attempts),
        (Status::Pending, Attempt(5), 10)
    );
    assert_eq!(
        row.last_error.as_deref(),
        Some("FAILED: no such column"),
        "why it was parked stays"
    );
    let note = row.note.unwrap();
    assert!(
        note.ends_with("Z redriven by kim@busan: the column is there"),
        "{note}"
    );
    let shown = local.json(&["show", &row.id.to_string()]);
    assert_eq!(
        shown["open"][0]["row"]["note"],
        "TODAY redriven by kim@busan: the column is there"
    );
    let (_, shown, _) = local.run(&["show", &row.id.to_string()]);
    assert!(shown.contains(&format!("note        {note}\n")), "{shown}");
    // Again: only the notification that nobody can read is parked still.
    let again = local.json(&["redrive", "--all", "--yes"]);
    assert_eq!(
        (&again["selected"], &again["outcomes"]["still_unreadable"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn redrive_as_json() {
    let local = Local::new();
    let arguments = ["redrive", "--prefix", "parked", "--yes", "--attempts", "2"];
    insta::assert_json_snapshot!("redrive_json", local.json(&arguments));
    assert_eq!(local.row("parked.json").unwrap().max_attempts, 7);
}

#[test]
fn a_notification_that_can_be_read_now_is_read_again() {
    let body = r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"data"},
        "object":{"key":"a.json","sequencer":"01"}},"eventTime":"2020-01-01T00:00:00.000Z"}]}"#;
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        let row = daybook_schema::Row::unreadable(
            &daybook_schema::SourceName::default(),
            body.to_owned(),
            "an older release could not".to_owned(),
            None,
            rows::at(PAST),
        );
        fixtures.put_row(&row).await;
    });
    let json = local.json(&["redrive", "--all", "--yes"]);
    assert_eq!(
        json["outcomes"],
        json!({"redriven": 0, "read_again": 1, "still_unreadable": 0})
    );
    let rows = local.rows();
    assert_eq!(rows.len(), 1);
    let row = rows.values().next().unwrap();
    assert_eq!((row.status, row.max_attempts), (Status::Pending, 5));
    assert_eq!(row.event().unwrap().key.as_str(), "a.json");
}

#[test]
fn release() {
    let local = Local::new();
    insta::assert_snapshot!("release", local.told(&["release", "--all", "--yes"]));
    for (key, attempt) in [("running.json", 0), ("lost.json", 1), ("held.json", 0)] {
        let row = local.row(key).unwrap();
        assert_eq!(
            (row.status, row.attempt, row.deliveries),
            (Status::Pending, Attempt(attempt), 0)
        );
        assert!(row.note.unwrap().ends_with("Z released by kim@busan"));
    }
}

#[test]
fn release_as_json() {
    let arguments = [
        "release",
        "s3://data/held.json",
        "--yes",
        "--why",
        "it was killed",
    ];
    // A row that cannot be read may be about any object.
    insta::assert_json_snapshot!("release_json", Local::new().json(&arguments));
}

#[test]
fn fail() {
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        for row in [
            rows::row_in("first.json", 1, Status::Claimed, FUTURE, 1, 1),
            rows::row_in("last.json", 2, Status::Claimed, FUTURE, 5, 1),
        ] {
            fixtures.put_row(&row).await;
        }
    });
    insta::assert_snapshot!(
        "fail",
        local.told(&["fail", "--all", "--yes", "--why", "the camera was off"])
    );
    let statuses: Vec<Status> = local.rows().values().map(|row| row.status).collect();
    assert!(statuses.contains(&Status::Pending) && statuses.contains(&Status::Parked));
    for row in local.rows().values() {
        assert_eq!(row.last_error.as_deref(), Some("the camera was off"));
        let note = row.note.as_ref().unwrap();
        assert!(
            note.ends_with("Z failed by kim@busan: the camera was off"),
            "{note}"
        );
    }
}

#[test]
fn fail_as_json() {
    let id = id_of("running.json").to_string();
    let arguments = ["fail", &id, "--yes", "--why", "the camera was off"];
    insta::assert_json_snapshot!("fail_json", Local::new().json(&arguments));
}

#[test]
fn complete() {
    let local = Local::new();
    insta::assert_snapshot!(
        "complete",
        local.told(&["complete", "--status", "parked", "--yes", "--why", "done by hand"])
    );
    assert_eq!(local.row("parked.json"), None);
    let shown = local.json(&["show", &id_of("parked.json").to_string()]);
    let receipt = &shown["receipts"][0];
    assert_eq!(
        (&receipt["outcome"], &receipt["by"], &receipt["why"]),
        (&json!("succeeded"), &json!("kim@busan"), &json!("done by hand"))
    );
}

/// A receipt says what was done with an object; what could not be read has none, and its text would be gone.
#[test]
fn an_unreadable_notification_is_not_completed() {
    let local = Local::new();
    let notification = |local: &Local| {
        let mut rows = local.rows().into_values();
        rows.find(|row| row.event().is_none()).unwrap()
    };
    let before = notification(&local);
    let id = before.id.to_string();
    let (code, stdout, stderr) = local.run(&["complete", &id, "--yes", "--why", "seen"]);
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("`daybook remove` deletes them"), "{stdout}");
    assert!(
        stderr.ends_with("error: none of what was named was completed\n"),
        "{stderr}"
    );
    assert_eq!(notification(&local), before);
    let (code, _, stderr) = local.run(&["remove", &id, "--yes", "--why", "seen"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(local.rows().values().all(|row| row.event().is_some()));
}

#[test]
fn naming_only_what_a_verb_does_not_apply_to_fails() {
    let local = Local::new();
    let (pending, parked) = (id_of("due.json").to_string(), id_of("parked.json").to_string());
    for named in [["release", &pending], ["release", &parked], ["redrive", &pending]] {
        let (code, _, stderr) = local.run(&[&named[..], &["--yes"]].concat());
        assert_eq!(code, 1, "{named:?}: {stderr}");
        assert!(
            stderr.contains("error: none of what was named was re"),
            "{stderr}"
        );
        let (code, _, _) = local.run(&[&named[..], &["--dry-run"]].concat());
        assert_eq!(code, 1, "{named:?}");
    }
    let (code, _, stderr) = local.run(&["cancel", &pending, "--why", "x", "--yes"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("hint: `daybook complete` or `daybook remove` ends"),
        "{stderr}"
    );
    // One of two is something.
    let (code, _, stderr) = local.run(&["redrive", &pending, &parked, "--yes"]);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn complete_as_json() {
    let arguments = [
        "complete",
        "--prefix",
        "s3://data/due",
        "--yes",
        "--why",
        "done by hand",
    ];
    insta::assert_json_snapshot!("complete_json", Local::new().json(&arguments));
}

#[test]
fn remove() {
    let local = Local::new();
    insta::assert_snapshot!(
        "remove",
        local.told(&["remove", "--error", "column", "--yes", "--why", "a test"])
    );
    assert_eq!(local.row("parked.json"), None);
    let shown = local.json(&["show", &id_of("parked.json").to_string()]);
    assert_eq!(shown["receipts"][0]["outcome"], "removed");
    assert_eq!(shown["receipts"][0]["why"], "a test");
}

#[test]
fn remove_as_json() {
    let arguments = ["remove", "--status", "parked", "--yes", "--why", "a test"];
    insta::assert_json_snapshot!("remove_json", Local::new().json(&arguments));
}

#[test]
fn a_row_of_another_release_is_told_and_left() {
    let local = Local::new();
    insta::assert_snapshot!(
        "remove_all",
        local.told(&["remove", "--all", "--yes", "--why", "a test"])
    );
    assert!(local.rows().is_empty());
    let left = local.json(&["list"]);
    assert_eq!(left["rows"].as_array().unwrap().len(), 1);
    assert!(left["rows"][0]["unreadable"].is_string(), "{left}");
}

#[test]
fn help_says_what_each_verb_does() {
    for verb in [
        "redrive", "release", "fail", "cancel", "complete", "remove", "pause", "resume", "set",
    ] {
        let (code, stdout, stderr) = crate::stand_in::run(&mut crate::stand_in::daybook(&[verb, "--help"]));
        assert_eq!((code, stderr.as_str()), (0, ""));
        let own = stdout.split("\nDeployment:\n").next().unwrap();
        insta::assert_snapshot!(format!("help_{verb}"), own);
    }
}
