//! What the AWS CLI prints of a queue, and SNS's confirmations.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use daybook_schema::SourceName;
use daybook_schema::notification::{Notification, read};
use serde_json::{Value, json};

fn aws() -> SourceName {
    SourceName::default()
}

fn body(key: &str) -> String {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1",
        "eventTime": "2026-11-20T10:15:00.123Z", "eventName": "ObjectCreated:Put",
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "bucket": {"name": "device-uploads"},
            "object": {"key": key, "size": 5, "eTag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "0068B5C2F4A1B2C300"},
        },
    }]})
    .to_string()
}

/// A message as ReceiveMessage has it.
fn message(body: &str) -> Value {
    json!({
        "MessageId": "87f885ab-6a2b-4f8b-a5b0-6f0b4c6a9f3e", "ReceiptHandle": "AQEB", "MD5OfBody": "b8648978a5e2f93cf97f04304f4586bc",
        "Body": body, "Attributes": {"ApproximateReceiveCount": "5"},
    })
}

/// An SNS document with that message.
fn sns(message: &str) -> String {
    json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-central-1:111122223333:t", "Message": message})
        .to_string()
}

fn keys(notification: &Notification) -> Vec<&str> {
    assert_eq!(notification.unreadable, [], "all of it can be read");
    let mut keys: Vec<_> = notification
        .events
        .iter()
        .map(|event| event.key.as_str())
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn what_the_aws_cli_prints_of_a_queue_is_read_to_the_events_inside() {
    let two = json!({"Messages": [message(&body("a")), message(&sns(&body("b")))]});
    let both = ["a", "b"].as_slice();
    let cases = [
        ("pretty", format!("{two:#}"), both),
        ("compact", two.to_string(), both),
        ("CRLF", format!("{two:#}").replace('\n', "\r\n"), both),
        (
            "boto3",
            json!({"Messages": two["Messages"], "ResponseMetadata": {"RetryAttempts": 0}}).to_string(),
            both,
        ),
        ("a list of messages", two["Messages"].to_string(), both),
        ("answers in a list", json!([two]).to_string(), both),
        ("one message", message(&body("a")).to_string(), &["a"]),
        (
            "a message of chosen members",
            json!({"Id": "87f8", "Body": body("a")}).to_string(),
            &["a"],
        ),
        ("Body", json!(body("a")).to_string(), &["a"]),
        (
            "a list of bodies",
            json!([body("a"), sns(&body("b"))]).to_string(),
            both,
        ),
        ("a body as it is", body("a"), &["a"]),
    ];
    for (form, text, expected) in &cases {
        let found = read(text, &aws());
        assert_eq!(keys(&found), *expected, "{form}");
        let plain = read(&body("a"), &aws());
        assert!(
            found.events.contains(&plain.events[0]),
            "{form}: the event is the same in each form"
        );
    }
}

#[test]
fn an_answer_without_messages_is_no_fault_and_has_nothing() {
    for text in [
        r#"{"Messages":[]}"#,
        r#"{"Messages": null}"#,
        r#"{"ResponseMetadata":{"RequestId":"r"}}"#,
        r#"{"Messages":[],"ResponseMetadata":{}}"#,
    ] {
        assert_eq!(read(text, &aws()), Notification::default(), "{text}");
    }
}

#[test]
fn an_empty_list_of_messages_hides_no_event_beside_it() {
    let mut beside: Value = serde_json::from_str(&body("a")).unwrap();
    beside["Records"][0]["Messages"] = json!([]);
    beside["Records"][0]["ResponseMetadata"] = json!({});
    assert_eq!(keys(&read(&beside.to_string(), &aws())), ["a"]);
    let unknown = read(r#"{"Messages":[],"hello":"world"}"#, &aws());
    assert_eq!(unknown.unreadable.len(), 1);
}

/// What one object holds beside a list is read as well, whether the list is empty or not.
#[test]
fn a_list_of_records_hides_no_event_beside_it() {
    let text = |key: &str| body(key);
    let object = |key: &str| serde_json::from_str::<Value>(&body(key)).unwrap();
    let eventbridge = json!({
        "detail-type": "object created", "source": "aws.s3", "time": "2026-11-20T10:15:00Z",
        "detail": {"bucket": {"name": "device-uploads"}, "object": {"key": "b"}},
    });
    let beside = [
        object("b")["Records"][0].clone(),
        eventbridge,
        json!({"Messages": [message(&text("b"))]}),
        message(&text("b")),
        serde_json::from_str(&sns(&text("b"))).unwrap(),
    ];
    for beside in beside {
        for (records, all) in [
            (json!([]), &["b"][..]),
            (object("a")["Records"].clone(), &["a", "b"]),
        ] {
            let mut both = beside.clone();
            both["Records"] = records;
            assert_eq!(keys(&read(&both.to_string(), &aws())), all, "{both}");
        }
    }
    let mut messages = object("a")["Records"][0].clone();
    messages["Messages"] = json!([message(&text("b"))]);
    assert_eq!(keys(&read(&messages.to_string(), &aws())), ["a", "b"]);
    // What cannot be read beside them is kept, and costs no record.
    let mut broken = object("a");
    broken["detail-type"] = json!("Something Else");
    let found = read(&broken.to_string(), &aws());
    let read_keys: Vec<&str> = found.events.iter().map(|event| event.key.as_str()).collect();
    assert_eq!((read_keys, found.unreadable.len()), (vec!["a"], 1));
    let named = r#"{"EventName":"s3:ObjectCreated:Put","Key":"device-uploads/a","Records":[]}"#;
    assert_eq!(read(named, &aws()).unreadable.len(), 1);
}

#[test]
fn a_document_is_read_where_a_text_of_it_is_usual_and_behind_a_byte_order_mark() {
    let object: Value = serde_json::from_str(&body("a")).unwrap();
    let marked = format!("\u{feff}{}", body("a"));
    for inner in [object, json!(marked)] {
        let mut received = message("");
        received["Body"] = inner.clone();
        let delivered = json!({"eventSource": "aws:sqs", "messageId": "1", "body": inner});
        let mut sent: Value = serde_json::from_str(&sns("")).unwrap();
        sent["Message"] = inner;
        for payload in [received, json!({"Records": [delivered]}), sent] {
            assert_eq!(keys(&read(&payload.to_string(), &aws())), ["a"], "{payload}");
        }
    }
    assert_eq!(keys(&read(&json!(marked).to_string(), &aws())), ["a"]);
}

#[test]
fn of_messages_that_cannot_be_read_each_is_kept_and_the_others_are_read() {
    let whole = |parts: &[Value]| read(&json!({"Messages": parts}).to_string(), &aws());
    let found = whole(&[
        message("not json"),
        message(&body("a")),
        json!({"MessageId": "1"}),
        json!("text"),
    ]);
    assert_eq!((found.events.len(), found.unreadable.len()), (1, 3));
    assert_eq!(found.unreadable[0].raw, "not json");
    for part in found.unreadable {
        assert_eq!(read(&part.raw, &aws()).unreadable, [part]);
    }
    // A text is kept as it came, not what is inside of it.
    for text in [r#""a text""#, r#""{\"Records\": ""#, r#"{"Body":"hello"}"#] {
        let found = read(text, &aws());
        assert_eq!(found.unreadable.len(), 1, "{text}");
        assert_eq!(found.unreadable[0].raw, text);
    }
}

fn confirmation(kind: &str, topic: &str, url: Value) -> String {
    let message = json!({
        "Type": kind, "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b", "Token": "2336412f37", "TopicArn": topic,
        "Message": "You have chosen to subscribe to the topic.", "SubscribeURL": url, "Timestamp": "2026-11-20T09:00:00.000Z",
    });
    let found = read(&message.to_string(), &aws());
    assert_eq!((found.events.len(), found.unreadable.len()), (0, 1));
    found.unreadable[0].why.clone()
}

const TOPIC: &str = "arn:aws:sns:eu-central-1:111122223333:uploads";

#[test]
fn a_confirmation_of_sns_says_what_to_open() {
    let url = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:111122223333:uploads&Token=2336412f37";
    assert_eq!(
        confirmation("SubscriptionConfirmation", TOPIC, json!(url)),
        format!(
            "this is no event but a confirmation of SNS: until {TOPIC} is confirmed, SNS sends no events from it; to confirm it, if \
             the topic is yours, open {url}"
        )
    );
    assert_eq!(
        confirmation("UnsubscribeConfirmation", TOPIC, json!(url)),
        format!(
            "this is no event but a confirmation of SNS: the subscription to {TOPIC} ended, and SNS sends no more events from it; \
             to subscribe again, if the topic is yours, open {url}"
        )
    );
}

#[test]
fn the_url_of_a_confirmation_is_said_not_to_be_of_aws_unless_it_is() {
    for (host, is_aws) in [
        ("https://sns.us-gov-west-1.amazonaws.com/?a", true),
        ("https://sns.cn-north-1.amazonaws.com.cn/?a", true),
        ("http://sns.eu-central-1.amazonaws.com/?a", false),
        ("http://localhost:4566/?Action=ConfirmSubscription", false),
        ("https://sns.eu-central-1.amazonaws.com.example.com/?a", false),
        ("https://sns.eu-central-1.amazonaws.com@example.com/?a", false),
        ("https://sns.eu-central-1.amazonaws.com:x@example.com/?a", false),
        ("https://example.com/sns.eu-central-1.amazonaws.com", false),
        ("https://example.com#sns.eu-central-1.amazonaws.com", false),
        // Buckets of that name.
        ("https://sns.s3.amazonaws.com/?a", false),
        ("https://sns.s3-eu-west-1.amazonaws.com/?a", false),
        ("https://sns.mine-x.s3.amazonaws.com/?a", false),
    ] {
        let why = confirmation("SubscriptionConfirmation", TOPIC, json!(host));
        assert!(why.ends_with(&format!(" open {host}")), "{why}");
        assert_eq!(!why.contains("which is not AWS"), is_aws, "{why}");
    }
}

#[test]
fn a_confirmation_repeats_nothing_that_is_not_a_topic_and_a_url() {
    for url in [
        json!("javascript:alert(1)"),
        json!("https://sns.eu-central-1.amazonaws.com/\u{1b}]8;;evil"),
        json!("https://sns.eu-central-1.amazonaws.com/\nERROR fake"),
        json!("https://sns.eu-central-1.amazonaws.com/\u{202e}moc"),
        json!("https://sns.eu-central-1.amazonaws.com/ and call 555"),
        json!(format!(
            "https://sns.eu-central-1.amazonaws.com/{}",
            "x".repeat(3000)
        )),
        json!(""),
        json!(7),
        Value::Null,
    ] {
        for kind in ["SubscriptionConfirmation", "UnsubscribeConfirmation"] {
            let why = confirmation(kind, "arn:\u{1b}[2J\nuploads", url.clone());
            assert!(why.contains("gives no valid SubscribeURL"), "{why}");
            assert!(why.contains("a topic whose TopicArn is not valid"), "{why}");
            assert!(
                why.len() < 400 && why.chars().all(|c| c.is_ascii_graphic() || c == ' '),
                "{why}"
            );
        }
    }
    let longest = format!("https://sns.eu-central-1.amazonaws.com/{}", "x".repeat(2000));
    assert!(confirmation("SubscriptionConfirmation", TOPIC, json!(longest)).len() < 2600);
}
