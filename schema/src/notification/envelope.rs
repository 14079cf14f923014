//! What SNS and SQS put around a notification.

use serde_json::value::RawValue;

use super::fault::Fault;
use super::json::Object;

/// Bytes of a topic's name: an ARN with a name of 256 characters and a partition, region and account before it.
const TOPIC: usize = 512;

/// Bytes of the URL that confirms a subscription. SNS's have some 400.
const CONFIRM_URL: usize = 2048;

/// What an SNS message says: from a record of the event that SNS gives a function, or from the document that
/// SNS posts to HTTP endpoints and queues.
///
/// # Errors
/// When it has no message, or is a confirmation: that is for a person, whoever can reach the port may have sent it.
pub(super) fn sns_message(object: &Object<'_>) -> Result<Option<String>, Fault> {
    let record = object.object("Sns")?;
    let message = match &record {
        Some(message) => message,
        None if object.has("TopicArn") || (object.has("Type") && object.has("Message")) => object,
        None => return Ok(None),
    };
    // A confirmation has a Message too, a sentence for people.
    let kind = message.text("Type", 64)?.unwrap_or_default();
    if kind.ends_with("Confirmation") {
        return Err(Fault::SnsConfirmation {
            to_do: to_do(message, kind.starts_with("Unsubscribe")),
        });
    }
    text_or_document(message, "Message")?
        .ok_or(Fault::Missing("Message"))
        .map(Some)
}

/// What a person can do about a confirmation. Of what was sent, only what cannot be anything but a topic and a URL is
/// repeated: no control characters, no spaces.
fn to_do(message: &Object<'_>, ended: bool) -> String {
    let text = |field, limit| message.text(field, limit).ok().flatten();
    let of_topic = |c: char| c.is_ascii_alphanumeric() || ":_.-".contains(c);
    let topic = match text("TopicArn", TOPIC) {
        Some(topic) if topic.chars().all(of_topic) => topic,
        _ => "a topic whose TopicArn is not valid".to_owned(),
    };
    let ask = match ended {
        false => format!("until {topic} is confirmed, SNS sends no events from it"),
        true => format!("the subscription to {topic} ended, and SNS sends no more events from it"),
    };
    let then = match ended {
        false => "to confirm it",
        true => "to subscribe again",
    };
    let is_url = |url: &String| {
        let scheme = url.starts_with("https://") || url.starts_with("http://");
        scheme && url.chars().all(|c| c.is_ascii_graphic())
    };
    match text("SubscribeURL", CONFIRM_URL).filter(is_url) {
        None => format!("{ask}; it gives no valid SubscribeURL, so subscribe again"),
        Some(url) if is_aws(&url) => format!("{ask}; {then}, if the topic is yours, open {url}"),
        Some(url) => format!(
            "{ask}; {then}, if the topic is yours and you know this server, which is not AWS, open {url}"
        ),
    }
}

/// Whether this is `https://sns.REGION.amazonaws.com/…`. `sns` can be a bucket, so `s3` and its regions are none.
fn is_aws(url: &str) -> bool {
    let rest = url.strip_prefix("https://sns.").unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let region = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"));
    region.is_some_and(|region| {
        let of_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        region.contains('-') && !region.starts_with("s3") && region.chars().all(of_region)
    })
}

/// The messages in an answer of SQS's ReceiveMessage, as the AWS CLI and the SDKs print it. Of an empty queue some print an
/// empty list, and some an answer without a list.
pub(super) fn sqs_messages<'a>(object: &Object<'a>) -> Result<Option<Vec<&'a RawValue>>, Fault> {
    match object.list("Messages")? {
        Some(messages) if !messages.is_empty() => Ok(Some(messages)),
        // Whatever else is there may be an event.
        _ => Ok(object
            .has_only(&["Messages", "ResponseMetadata", "$metadata"])
            .then(Vec::new)),
    }
}

/// The body of an SQS message: from a record of the event that SQS gives a function, or as ReceiveMessage has it.
pub(super) fn sqs_body(object: &Object<'_>) -> Result<Option<String>, Fault> {
    let from_sqs = object
        .text("eventSource", usize::MAX)
        .is_ok_and(|name| name.as_deref() == Some("aws:sqs"));
    if from_sqs {
        return text_or_document(object, "body")?
            .ok_or(Fault::Missing("body"))
            .map(Some);
    }
    let received = ["MessageId", "ReceiptHandle", "MD5OfBody"];
    let received = received.into_iter().any(|field| object.has(field));
    let body = text_or_document(object, "Body").ok().flatten();
    Ok(body.filter(|body| received || is_document(body)))
}

/// The text without a byte order mark, which is no part of JSON.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The field's text; a document that stands there as it is, and not as a text, counts as one.
fn text_or_document(object: &Object<'_>, field: &'static str) -> Result<Option<String>, Fault> {
    match object.value(field)? {
        Some(value) if value.get().starts_with(['{', '[']) => Ok(Some(value.get().to_owned())),
        _ => object.text(field, usize::MAX),
    }
}

/// Whether a text is a JSON document that can hold events.
pub(super) fn is_document(text: &str) -> bool {
    let text = without_mark(text);
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<&RawValue>(text).is_ok()
}
