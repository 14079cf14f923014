//! Payloads of very many parts that cannot be read: all is kept, in few rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use daybook_schema::SourceName;
use daybook_schema::notification::{Notification, read};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What a row may have, in bytes (DynamoDB's 400 KB), less what its other attributes need.
const FITS: usize = 390_000;

fn read_it(payload: &str) -> Notification {
    read(payload, &SourceName::default())
}

fn numbers(n: usize) -> Vec<String> {
    (0..n).map(|n| n.to_string()).collect()
}

fn records(parts: &[String]) -> String {
    format!("{{\"Records\":[{}]}}", parts.join(","))
}

/// The parts of what is kept, in their order.
fn parts(notification: &Notification) -> Vec<String> {
    let mut parts = Vec::new();
    for kept in &notification.unreadable {
        assert!(kept.raw.len() <= FITS, "{} bytes", kept.raw.len());
        let kept: std::collections::BTreeMap<String, Vec<Box<RawValue>>> =
            serde_json::from_str(&kept.raw).unwrap();
        parts.extend(kept["Records"].iter().map(|part| part.get().to_owned()));
    }
    parts
}

fn upload(n: usize) -> String {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-11-20T08:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "data"}, "object": {"key": format!("{n}.json"), "sequencer": format!("{n:018X}")}},
    })
    .to_string()
}

#[test]
fn a_thousand_parts_are_kept_one_by_one_and_one_more_in_one_row() {
    assert_eq!(read_it(&records(&numbers(1000))).unreadable.len(), 1000);
    let payload = records(&numbers(1001));
    for payload in [payload.clone(), format!("[{}]", numbers(1001).join(","))] {
        let kept = read_it(&payload).unreadable;
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].raw, records(&numbers(1001)));
        let why = &kept[0].why;
        assert!(
            why.starts_with("1001 parts of one payload cannot be read"),
            "{why}"
        );
        assert!(why.contains("this is no event of a known form"), "{why}");
    }
    // Read once more it is the same row.
    assert_eq!(
        read_it(&payload).unreadable,
        read_it(&read_it(&payload).unreadable[0].raw).unreadable
    );
}

#[test]
fn a_megabyte_of_numbers_becomes_a_handful_of_rows_that_have_all_of_them() {
    let all = numbers(149_000);
    let found = read_it(&records(&all));
    assert!(found.unreadable.len() <= 5, "{}", found.unreadable.len());
    assert_eq!(parts(&found), all);
    let digits = vec!["1".to_owned(); 500_000];
    let found = read_it(&records(&digits));
    assert!(found.unreadable.len() <= 5, "{}", found.unreadable.len());
    assert_eq!(parts(&found), digits);
}

#[test]
fn the_events_among_them_are_read_one_and_all() {
    let of = |n: usize| match n % 10 {
        0 => upload(n),
        _ => format!("{{\"odd\": {n}}}"),
    };
    let all: Vec<String> = (0..5000).map(of).collect();
    let found = read_it(&records(&all));
    let keys: Vec<String> = found.events.iter().map(|event| event.key.to_string()).collect();
    let expected: Vec<String> = (0..500).map(|n| format!("{}.json", n * 10)).collect();
    assert_eq!(keys, expected);
    let odd: Vec<String> = all.into_iter().filter(|part| part.contains("odd")).collect();
    assert_eq!(parts(&found), odd, "byte for byte");
}

#[test]
fn what_is_no_json_inside_of_envelopes_is_kept_and_reads_again() {
    let body = |n: usize| format!("not \"JSON\" \\ {n} \u{e9}\n");
    let message = |n| json!({"eventSource": "aws:sqs", "body": body(n)});
    let payload = json!({"Records": (0..2000).map(message).collect::<Vec<Value>>()}).to_string();
    let found = read_it(&payload);
    assert_eq!(found.unreadable.len(), 1);
    let kept: Value = serde_json::from_str(&found.unreadable[0].raw).unwrap();
    let bodies: Vec<&str> = kept["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["body"].as_str().unwrap())
        .collect();
    assert_eq!(bodies, (0..2000).map(body).collect::<Vec<String>>());
    assert_eq!(read_it(&found.unreadable[0].raw).unreadable, found.unreadable);
}

#[test]
fn a_large_part_among_them_is_kept_by_itself() {
    let large = format!("{{\"large\":\"{}\"}}", "x".repeat(350_000));
    let mut all = numbers(1500);
    all.insert(700, large.clone());
    let found = read_it(&records(&all));
    assert_eq!(found.unreadable.len(), 3);
    assert_eq!(parts(&found), all);
    assert!(
        !found.unreadable[1].why.contains("kept together"),
        "{}",
        found.unreadable[1].why
    );
}

#[test]
fn what_grows_when_it_is_written_as_json_still_fits() {
    let message = |body: &str| format!("{{\"eventSource\":\"aws:sqs\",\"body\":{}}}", json!(body));
    // Each of these bytes is six as JSON.
    let mut all = vec![message(&"\u{1}".repeat(20_000)); 20];
    all.extend(vec![message("hello"); 1000]);
    let found = read_it(&records(&all));
    assert_eq!(parts(&found), all);
}
