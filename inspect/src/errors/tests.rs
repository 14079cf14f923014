//! Groups of planted rows.

use daybook_schema::{Row, SourceName, Status, notification};

use super::*;

fn row(key: &str, number: u32, status: Status, error: &str) -> Row {
    let body = format!(
        r#"{{"Records":[{{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-11-20T10:15:00.000Z",
            "s3":{{"bucket":{{"name":"data"}},"object":{{"key":"{key}","sequencer":"0068B5C2F4{number:08X}"}}}}}}]}}"#
    );
    let event = notification::read(&body, &SourceName::default()).events.remove(0);
    let at = format!("2026-11-21T00:{:02}:00Z", number % 60);
    Row {
        status,
        last_error: Some(error.to_owned()),
        ..Row::recorded(event, 5, None, at.parse().expect("a time"))
    }
}

#[test]
fn two_thousand_parked_events_are_three_causes() {
    let mut groups = Groups::default();
    for number in 0..2000 {
        let key = format!("in/{number}/photo-{number}.jpg");
        let error = match number % 4 {
            0 | 1 => format!("exit status 3: cannot read {key} at byte {}", number * 17),
            2 => format!("timed out after {number}.25 s"),
            _ => format!("exit status 4: photo-{number}.jpg is no JPEG"),
        };
        let status = if number % 10 == 0 {
            Status::Pending
        } else {
            Status::Parked
        };
        groups.add(&row(&key, number, status, &error));
    }
    groups.add(&Row {
        last_error: None,
        ..row("in/fine.jpg", 1, Status::Pending, "")
    });
    let groups = groups.sorted();
    let told: Vec<_> = groups
        .iter()
        .map(|group| {
            (
                group.error.as_str(),
                group.parked,
                group.failing,
                group.text.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "exit status 3: cannot read <key> at byte <n>",
                900,
                100,
                Some("exit status 3: cannot read")
            ),
            ("exit status 4: <key> is no JPEG", 500, 0, Some("exit status 4")),
            ("timed out after <n> s", 400, 100, Some("timed out after")),
        ]
    );
    // Whoever redrives by the text gets all of the group, and knows of whom else.
    for group in &groups {
        let text = group.text.as_deref().expect("a text");
        assert!(group.example.error.contains(text), "{group:?}");
        assert_eq!(group.others_with_text, 0);
    }
    assert_eq!(groups[0].oldest.to_string(), "2026-11-21T00:00:00.000Z");
    assert_eq!(groups[0].newest.to_string(), "2026-11-21T00:57:00.000Z");
}

#[test]
fn what_another_group_has_in_common_is_said_and_what_says_nothing_is_not_offered() {
    let mut groups = Groups::default();
    groups.add(&row("a.csv", 1, Status::Parked, "no room"));
    groups.add(&row(
        "b.csv",
        2,
        Status::Parked,
        "no room for 17 rows of the file",
    ));
    groups.add(&row("c.csv", 3, Status::Parked, "c.csv"));
    let groups = groups.sorted();
    let of = |error: &str| {
        groups
            .iter()
            .find(|group| group.error == error)
            .expect("there is one")
    };
    assert_eq!(of("no room").others_with_text, 1);
    assert_eq!(
        of("no room for <n> rows of the file").text.as_deref(),
        Some("rows of the file")
    );
    assert_eq!(of("<key>").text, None);
}

#[test]
fn there_are_a_thousand_groups_at_most() {
    let mut groups = Groups::default();
    let letters = |mut n: u32| {
        let mut text = String::new();
        for _ in 0..4 {
            text.push(char::from(b'a' + u8::try_from(n % 26).expect("below 26")));
            n /= 26;
        }
        text
    };
    for number in 0..1200 {
        groups.add(&row(
            "a.csv",
            number,
            Status::Parked,
            &format!("cause {}", letters(number)),
        ));
    }
    assert_eq!((groups.by_error.len(), groups.ungrouped), (MOST_GROUPS, 200));
}
