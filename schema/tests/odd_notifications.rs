//! Notifications of servers and tools that keep to S3's form only nearly: no upload lost, no wrong key, no good event parked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod records;

use daybook_schema::notification::{KeyEncoding, Notification, Reading, is_ambiguous, read};
use records::{aws, event, read_text, record, with};
use serde_json::{Value, json};

fn caveat(record: &str) -> String {
    let notification = read_text(record);
    assert_eq!(notification.events.len(), 1, "{notification:?}");
    notification.caveats.get(&0).cloned().unwrap_or_default()
}

#[test]
fn a_side_field_that_cannot_be_read_is_left_out_and_said() {
    let long = "x".repeat(2000);
    for (pointer, value, name) in [
        ("/s3/object/size", json!(-1), "size"),
        ("/s3/object/size", json!(1.5), "size"),
        ("/s3/object/size", json!("a lot"), "size"),
        ("/s3/object/size", json!([1]), "size"),
        ("/s3/object/eTag", json!({}), "eTag"),
        ("/s3/object/eTag", json!(long), "eTag"),
        ("/s3/object/versionId", json!([]), "versionId"),
        ("/s3/object/versionId", json!(long), "versionId"),
        ("/s3/object/sequencer", json!([1]), "sequencer"),
        ("/eventTime", json!("yesterday"), "eventTime"),
        ("/eventTime", json!(false), "eventTime"),
        ("/awsRegion", json!(17), "awsRegion"),
        ("/eventSource", json!({}), "eventSource"),
        ("/eventVersion", json!("two"), "eventVersion"),
        ("/responseElements", json!(3), "responseElements"),
        (
            "/responseElements/x-amz-request-id",
            json!([]),
            "x-amz-request-id",
        ),
    ] {
        let said = caveat(&with(record("k"), [(pointer, value.clone())]).to_string());
        let expected = format!("not readable, so left out: {name}");
        assert!(said.ends_with(&expected), "{pointer} {value}: {said}");
    }
    assert_eq!(caveat(&record("k").to_string()), "");
}

#[test]
fn a_side_field_is_read_in_every_form_that_says_the_same() {
    let base = event(&record("k"));
    for (pointer, value) in [
        ("/s3/object/size", json!("5")),
        ("/s3/object/size", json!(5.0)),
        ("/s3/object/size", json!("5.0")),
        ("/s3/object/size", json!("5.000")),
        ("/eventTime", json!(1_795_169_700_123_i64)),
        ("/eventTime", json!("1795169700123")),
        ("/eventTime", json!("1795169700.123")),
        ("/eventTime", json!("2026-11-20 11:15:00.123+01:00")),
        ("/eventVersion", json!(2.1)),
        ("/eventVersion", json!("2.1.0")),
        ("/eventVersion", json!(null)),
    ] {
        let changed = with(record("k"), [(pointer, value.clone())]);
        assert_eq!(event(&changed), base, "{pointer} {value}");
        assert_eq!(caveat(&changed.to_string()), "", "{pointer} {value}");
    }
    let exact = with(
        record("k"),
        [("/s3/object/size", json!(18_446_744_073_709_551_615_u64))],
    );
    assert_eq!(event(&exact).size, Some(u64::MAX));
    let rfc = with(
        record("k"),
        [("/eventTime", json!("Fri, 20 Nov 2026 10:15:00 GMT"))],
    );
    assert_eq!(
        event(&rfc).event_time.unwrap().to_string(),
        "2026-11-20T10:15:00.000Z"
    );
}

#[test]
fn a_field_given_twice_with_one_value_is_no_conflict() {
    let text = record("k").to_string();
    let base = event(&record("k"));
    for (given, twice) in [
        (r#""size":5"#, r#""size":5,"Size":5"#),
        (r#""key":"k""#, r#""key":"k","Key":"\u006b""#),
        (
            r#""name":"device-uploads""#,
            r#""name":"device-uploads","name":"device-uploads""#,
        ),
        (
            r#""eventName":"ObjectCreated:Put""#,
            r#""eventName":"ObjectCreated:Put","event_name":"ObjectCreated:Put""#,
        ),
        (r#""key":"k""#, r#""key":"k","key":"","key":null"#),
    ] {
        let text = text.replace(given, twice);
        assert_eq!(read_text(&text).events, std::slice::from_ref(&base), "{twice}");
        assert_eq!(caveat(&text), "", "{twice}");
    }
    for (given, twice, name) in [
        (r#""size":5"#, r#""size":5,"Size":6"#, "size"),
        (
            r#""awsRegion":"eu-central-1""#,
            r#""awsRegion":"eu-central-1","aws_region":"x""#,
            "awsRegion",
        ),
    ] {
        let said = caveat(&text.replace(given, twice));
        assert_eq!(said, format!("not readable, so left out: {name}"));
    }
    for (given, twice, field) in [
        (r#""key":"k""#, r#""key":"k","Key":"l""#, "s3.object.key"),
        (
            r#""name":"device-uploads""#,
            r#""name":"device-uploads","name":"x""#,
            "s3.bucket.name",
        ),
        (
            r#""eventName":"ObjectCreated:Put""#,
            r#""eventName":"ObjectCreated:Put","event_name":"x""#,
            "eventName",
        ),
    ] {
        let notification = read_text(&text.replace(given, twice));
        let expected = format!("{field} is there twice with different values, so what is meant is unknown");
        assert_eq!(notification.unreadable[0].why, expected);
    }
}

/// The same record with all names in snake case, in Pascal case, and in lower case.
#[test]
fn names_may_be_spelt_in_any_case() {
    fn spelt(value: &Value, spell: fn(&str) -> String) -> Value {
        match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (spell(name), spelt(value, spell)))
                .collect(),
            Value::Array(values) => values.iter().map(|value| spelt(value, spell)).collect(),
            other => other.clone(),
        }
    }
    let snake = |name: &str| -> String {
        name.chars()
            .flat_map(|c| {
                c.is_ascii_uppercase()
                    .then_some('_')
                    .into_iter()
                    .chain([c.to_ascii_lowercase()])
            })
            .collect::<String>()
            .replace('-', "_")
    };
    let pascal = |name: &str| {
        let (first, rest) = name.split_at(1);
        format!("{}{}", first.to_uppercase(), rest.replace('-', ""))
    };
    let notification = json!({"Records": [record("a%2Bb")]});
    let eventbridge = json!({
        "detail-type": "Object Created", "time": "2026-11-20T10:15:00Z", "region": "eu-central-1",
        "detail": {
            "event-version": "1.1", "bucket": {"name": "b"}, "request-id": "R",
            "object": {"key": "k", "version-id": "v", "etag": "e", "size": 1, "sequencer": "0068B5C2F4A1E3D200"},
        },
    });
    for payload in [notification, eventbridge] {
        let expected = read(&payload.to_string(), &aws());
        assert_eq!(expected.events.len(), 1);
        for spell in [snake, pascal, str::to_lowercase, str::to_uppercase] {
            let spelt = spelt(&payload, spell);
            assert_eq!(read(&spelt.to_string(), &aws()), expected, "{spelt}");
        }
    }
}

#[test]
fn a_list_of_no_records_is_a_notification_of_nothing() {
    for payload in [
        r#"{"Records":[]}"#,
        r#"{"records": [ ]}"#,
        r#"{"Records":[],"EventName":"x"}"#,
    ] {
        assert_eq!(read(payload, &aws()), Notification::default(), "{payload}");
    }
    assert_eq!(read(r#"{"Records":null}"#, &aws()).unreadable.len(), 1);
}

fn key(source: &str, sequencer: &str, sent: &str, keys: KeyEncoding) -> (String, bool) {
    let record = with(
        record(sent),
        [
            ("/eventSource", json!(source)),
            ("/s3/object/sequencer", json!(sequencer)),
        ],
    );
    let reading = Reading { source: aws(), keys };
    let read = reading.read(&json!({"Records": [record]}).to_string(), None);
    assert_eq!(read.events.len(), 1, "{read:?}");
    let is_doubtful = read.caveats.get(&0).is_some_and(|caveat| is_ambiguous(caveat));
    (read.events[0].key.to_string(), is_doubtful)
}

#[test]
fn a_setting_says_how_keys_are_sent() {
    let (own, other) = ("0068B5C2F4A1E3D200", "7");
    let (auto, encoded, plain) = (KeyEncoding::Auto, KeyEncoding::Encoded, KeyEncoding::Plain);
    for (source, sequencer, sent, keys, expected, is_doubtful) in [
        ("aws:s3", own, "c++/a%20b", auto, "c  /a b", false),
        ("aws:s3", own, "c++/a%20b", plain, "c++/a%20b", false),
        ("aws:s3", other, "c++/a", auto, "c  /a", true),
        ("aws:s3", other, "c%2B%2B/a%20b", auto, "c++/a b", false),
        ("aws:s3", other, "c++/a", plain, "c++/a", false),
        ("minio:s3", other, "a%2Fb+c", auto, "a/b c", false),
        ("rustfs:s3", other, "a%2Fb+c", auto, "a/b c", false),
        ("ceph:s3", other, "a+b%20c", auto, "a+b%20c", false),
        ("ceph:s3", other, "a+b%20c", encoded, "a b c", false),
        ("acme:s3", other, "c++/main.cpp", auto, "c++/main.cpp", true),
        ("acme:s3", other, "c++/main.cpp", encoded, "c  /main.cpp", false),
        ("acme:s3", other, "c++/main.cpp", plain, "c++/main.cpp", false),
        ("acme:s3", other, "a%2Fb.txt", auto, "a/b.txt", true),
        ("acme:s3", other, "a%2Fb.txt", plain, "a%2Fb.txt", false),
        ("acme:s3", other, "caf%E9.txt", auto, "caf%E9.txt", true),
        (
            "acme:s3",
            other,
            "plain/name-1_2.txt",
            auto,
            "plain/name-1_2.txt",
            false,
        ),
        ("", other, "c++/main.cpp", auto, "c++/main.cpp", true),
    ] {
        let found = key(source, sequencer, sent, keys);
        assert_eq!(
            found,
            (expected.to_owned(), is_doubtful),
            "{source} {sent} {keys}"
        );
    }
}

/// Whoever sends it and whatever is set: no form encoder writes these.
#[test]
fn what_cannot_be_form_encoded_text_is_taken_as_sent() {
    for source in ["aws:s3", "minio:s3", "ceph:s3", "acme:s3", ""] {
        for keys in [KeyEncoding::Auto, KeyEncoding::Encoded, KeyEncoding::Plain] {
            for sent in [
                "a b+c", "100%", "5%+5%", "%zz+", "%4", "가+나", "a=b+c", "a,b%20c", "[1]+", "a\"+", "x:y+z",
            ] {
                let found = key(source, "0068B5C2F4A1E3D200", sent, keys);
                assert_eq!(found, (sent.to_owned(), false), "{source} {keys}");
            }
        }
    }
}

#[test]
fn a_key_encoding_is_one_of_three_words() {
    for keys in [KeyEncoding::Auto, KeyEncoding::Encoded, KeyEncoding::Plain] {
        assert_eq!(keys.to_string().parse(), Ok(keys));
    }
    let error = "Plain".parse::<KeyEncoding>().unwrap_err();
    assert_eq!(
        error.to_string(),
        r#""Plain" is not one of auto, encoded and plain"#
    );
}
