//! CloudEvents in HTTP's binary mode: attributes in headers, data in the body ("HTTP Protocol Binding for CloudEvents", cloudevents/spec).
//! The event becomes one of the JSON format, which is what is recorded.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use base64::prelude::{BASE64_STANDARD, Engine};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::commands::run::up::refusal::Refusal;

/// What the header of each attribute begins with.
const PREFIX: &str = "ce-";

/// The media types of the other modes.
const STRUCTURED: &str = "application/cloudevents";

/// The media type of a batch.
const BATCH: &str = "application/cloudevents-batch";

/// Whether a request is in binary mode: it has the one header that every such request has, and no media type of another mode.
pub(super) fn is_used(headers: &HeaderMap) -> bool {
    headers.contains_key("ce-specversion") && !media_type(headers).starts_with(STRUCTURED)
}

/// Whether a body is a batch of CloudEvents, which may be empty.
pub(super) fn is_batch(headers: &HeaderMap) -> bool {
    media_type(headers).starts_with(BATCH)
}

/// The event that a request in binary mode is, in the JSON format.
///
/// # Errors
/// When a header cannot be decoded or is there twice, or a body of JSON is not JSON: the sender is told, for nothing of it could be kept.
pub(super) fn structured(headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
    let mut event = Map::new();
    for name in headers.keys() {
        let Some(attribute) = name.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        // The media type is the event's own, and data is in the body.
        if matches!(attribute, "datacontenttype" | "data" | "data_base64") {
            return Err(bad(name, "is not an attribute that a header may have"));
        }
        let mut values = headers.get_all(name).iter();
        let (value, more) = (values.next(), values.next());
        let value = match (value.map(decoded), more) {
            (Some(Some(value)), None) => value,
            (_, Some(_)) => return Err(bad(name, "is there twice")),
            (_, None) => return Err(bad(name, "is not percent-encoded UTF-8")),
        };
        event.insert(attribute.to_owned(), Value::from(value));
    }
    let content_type = match headers.get(header::CONTENT_TYPE).map(decoded) {
        None => None,
        Some(Some(value)) => Some(value),
        Some(None) => return Err(bad(&header::CONTENT_TYPE, "is not percent-encoded UTF-8")),
    };
    if let Some(content_type) = &content_type {
        event.insert("datacontenttype".to_owned(), Value::from(content_type.as_str()));
    }
    let mut text = Value::from(event).to_string();
    if let Some((name, data)) = data(&media_type(headers), body)? {
        // As it is: a number must not lose digits here.
        text.truncate(text.len() - 1);
        text.push_str(&format!(",\"{name}\":{data}}}"));
    }
    Ok(text)
}

/// The member for data, and its JSON text.
fn data(media_type: &str, body: &[u8]) -> Result<Option<(&'static str, String)>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(body).ok();
    let json = || text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    // Without a media type data is JSON ("datacontenttype", CloudEvents 1.0), where it can be.
    if (is_json(media_type) || media_type.is_empty())
        && let Some(json) = json()
    {
        return Ok(Some(("data", json.get().to_owned())));
    }
    if is_json(media_type) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "the body is not JSON, as its Content-Type says; nothing was recorded",
        ));
    }
    Ok(Some(match text {
        Some(text) => ("data", Value::from(text).to_string()),
        None => (
            "data_base64",
            Value::from(BASE64_STANDARD.encode(body)).to_string(),
        ),
    }))
}

/// The value of a header as the text that it stands for: out of its quotes, then decoded once.
fn decoded(value: &HeaderValue) -> Option<String> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?.trim();
    let text = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        None => text.to_owned(),
        Some(quoted) => {
            let mut unquoted = String::with_capacity(quoted.len());
            let mut chars = quoted.chars();
            while let Some(c) = chars.next() {
                unquoted.push(if c == '\\' { chars.next()? } else { c });
            }
            unquoted
        }
    };
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The media type without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value.unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "text/json") || media_type.ends_with("+json")
}

fn bad(name: &HeaderName, what: &str) -> Refusal {
    let error = format!("the header {name} {what}; nothing was recorded");
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

#[cfg(test)]
mod tests {
    use daybook_schema::cloud_event::Data;
    use daybook_schema::notification;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        };
        lines.iter().map(line).collect()
    }

    const EVENT: [(&str, &str); 4] = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/shop"),
        ("ce-type", "view"),
    ];

    fn with(more: &[(&'static str, &str)], body: &[u8]) -> Result<Box<daybook_schema::CloudEvent>, String> {
        let lines: Vec<_> = EVENT.iter().chain(more).copied().collect();
        let text = structured(&headers(&lines), body).map_err(|refusal| refusal.error)?;
        let read = notification::read(&text, &Default::default());
        assert_eq!((read.records(), read.events.len()), (1, 1), "{text}");
        Ok(read.events[0].general.clone().unwrap())
    }

    #[test]
    fn values_are_unquoted_and_decoded_once() {
        let subject = |value: &str| {
            let event = with(&[("ce-subject", value)], b"").unwrap();
            event.subject.unwrap()
        };
        // "Euro € 😀" is the specification's own example.
        assert_eq!(subject("Euro%20%E2%82%AC%20%F0%9F%98%80"), "Euro € 😀");
        assert_eq!(subject("%2541"), "%41");
        assert_eq!(subject(r#""a \"b\" \\ %41""#), r#"a "b" \ A"#);
        assert_eq!(subject("100%"), "100%", "no sequence");
        assert_eq!(subject("Größe"), "Größe", "not encoded at all");
        assert_eq!(
            with(&[("ce-subject", "%ff")], b"").unwrap_err(),
            "the header ce-subject is not percent-encoded UTF-8; nothing was recorded"
        );
        let twice = with(&[("ce-subject", "a"), ("ce-subject", "b")], b"").unwrap_err();
        assert!(twice.contains("ce-subject is there twice"), "{twice}");
        assert!(with(&[("ce-data_base64", "AAAA")], b"").is_err());
    }

    #[test]
    fn data_is_json_text_or_bytes_by_its_media_type() {
        let data = |content_type: &str, body: &[u8]| {
            with(&[("content-type", content_type)], body).map(|event| match event.data.unwrap() {
                Data::Json(json) => json.as_str().to_owned(),
                Data::Base64(base64) => format!("base64 {base64}"),
            })
        };
        let big = br#"{"n": 12345678901234567890123, "x": 1.10}"#;
        for json in [
            "application/json",
            "application/vnd.example+json; charset=utf-8",
            "text/JSON",
        ] {
            assert_eq!(data(json, big).unwrap().as_bytes(), big, "{json}");
            assert!(data(json, b"{").unwrap_err().contains("not JSON"), "{json}");
        }
        assert_eq!(data("text/plain", b"{\"a\n").unwrap(), r#""{\"a\n""#);
        assert_eq!(data("application/xml", "<이>".as_bytes()).unwrap(), "\"<이>\"");
        assert_eq!(data("image/png", b"\x89PNG").unwrap(), "base64 iVBORw==");
        // As the SDK for Python sends JSON.
        assert_eq!(data("", b"{\"n\": 1}").unwrap(), r#"{"n": 1}"#);
        assert_eq!(data("", b"{").unwrap(), r#""{""#);
        assert_eq!(with(&[("content-type", "image/png")], b"").unwrap().data, None);
    }

    #[test]
    fn an_event_of_s3_in_the_body_stays_one() {
        let body = br#"{"detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}"#;
        let lines: Vec<_> = EVENT
            .iter()
            .chain(&[("content-type", "application/json")])
            .copied()
            .collect();
        let text = structured(&headers(&lines), body)
            .map_err(|refusal| refusal.error)
            .unwrap();
        let read = notification::read(&text, &Default::default());
        let plain = notification::read(std::str::from_utf8(body).unwrap(), &Default::default());
        assert_eq!(read.events, plain.events);
    }

    #[test]
    fn other_modes_are_told_by_their_media_type() {
        let of = |content_type| headers(&[("ce-specversion", "1.0"), ("content-type", content_type)]);
        assert!(is_used(&of("application/json")));
        assert!(!is_used(&of("application/cloudevents+json; charset=UTF-8")));
        assert!(
            is_batch(&of("Application/CloudEvents-Batch+JSON"))
                && !is_batch(&of("application/cloudevents+json"))
        );
        assert!(!is_used(&headers(&[("content-type", "application/json")])));
    }
}
