//! The bytes of a request as text.

use std::io::{Cursor, ErrorKind, Read};

use axum::http::{HeaderMap, StatusCode, header};

use crate::aws::encoding;
use crate::commands::run::up::binary_mode;
use crate::commands::run::up::refusal::Refusal;

/// How a body begins that is compressed by gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Refuses what is encoded in another way than gzip, before it is read. Whether a body is compressed by gzip, its own bytes
/// say: proxies unpack bodies and leave the header, and people post files without one.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let values: Option<Vec<&str>> = values.map(|value| value.to_str().ok()).collect();
    let values = values.unwrap_or_else(|| vec!["?"]).join(",");
    let mut encodings = values
        .split(',')
        .map(str::trim)
        .filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity"));
    let is_gzip = |encoding: &str| {
        ["gzip", "x-gzip"]
            .iter()
            .any(|gzip| encoding.eq_ignore_ascii_case(gzip))
    };
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(()),
        (Some(encoding), None) if is_gzip(encoding) => Ok(()),
        _ => {
            let shown: String = values.chars().take(64).collect();
            Err(unsupported(format!("Content-Encoding: {shown} is not read here")))
        }
    }
}

/// The body as text; of a CloudEvent in binary mode, the event as JSON. `hold` has the memory for a decoded body accounted for before it is decoded.
pub(super) fn text(
    headers: &HeaderMap,
    body: Vec<u8>,
    most: usize,
    hold: impl FnOnce(usize) -> Result<(), Refusal>,
) -> Result<String, Refusal> {
    if binary_mode::is_used(headers) {
        // Its data may be anything, a file of another encoding as well: only what is said to be compressed is unpacked.
        let is_packed = headers.contains_key(header::CONTENT_ENCODING) && body.starts_with(&GZIP);
        let bytes = match is_packed {
            false => body,
            true => {
                hold(most)?;
                decode(body, most)?
            }
        };
        return binary_mode::structured(headers, &bytes);
    }
    let bytes = match encoding::is_plain(&body) {
        true => body,
        false => {
            hold(most)?;
            decode(body, most)?
        }
    };
    String::from_utf8(bytes).map_err(|error| bad(format!("the body is not UTF-8 text ({error})")))
}

fn decode(body: Vec<u8>, most: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let decoded = encoding::decoded(Cursor::new(body))
        .and_then(|decoded| decoded.text.take(most as u64 + 1).read_to_end(&mut bytes));
    match decoded {
        Ok(_) if bytes.len() > most => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("decoded, the body is longer than {most} bytes; nothing was recorded"),
        )),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::Unsupported => Err(unsupported(error.to_string())),
        Err(error) => Err(bad(format!("the body cannot be decoded: {error}"))),
    }
}

fn bad(error: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("{error}; nothing was recorded"))
}

fn unsupported(error: String) -> Refusal {
    let error = format!("{error}: send JSON as it is, or compressed by gzip; nothing was recorded");
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error).with(header::ACCEPT_ENCODING, "gzip")
}
