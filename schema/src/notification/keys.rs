//! Whether a key is form-encoded, which a notification does not say.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::json::Object;
use super::server::Server;
use super::side::Caveats;
use crate::names::ObjectKey;

/// Bytes of a key that is still encoded: at most three per byte.
const ENCODED_KEY: usize = 3 * 1024;
/// What the caveat says of a key that could be meant either way, and was decoded.
const DECODED: &str = "the key is ambiguous and was form-decoded";
/// What the caveat says of a key that could be meant either way, and was taken as it was sent.
const AS_SENT: &str = "the key is ambiguous and was taken as sent";

/// How a source sends object keys in notifications. S3 form-encodes them: a space is `+`, other characters are percent
/// sequences ("Event message structure", Amazon S3 User Guide). Not every server does. EventBridge's keys are never encoded.
///
/// What cannot be form-encoded text (a space, a percent sign without two hexadecimal digits after it, any character that every
/// encoder escapes) is taken as it was sent, whatever is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// By the server that the notification names: AWS, MinIO and RustFS encode, Ceph does not. Of any other server percent
    /// sequences are taken for encoding, and a `+` alone for a plus sign; the event's caveat says that it was ambiguous.
    #[default]
    Auto,
    /// The keys are form-encoded.
    Encoded,
    /// The keys are sent as they are.
    Plain,
}

/// A text that is no key encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of auto, encoded and plain")]
pub struct InvalidKeyEncoding(String);

impl KeyEncoding {
    /// The word that settings use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Encoded => "encoded",
            Self::Plain => "plain",
        }
    }
}

impl fmt::Display for KeyEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyEncoding {
    type Err = InvalidKeyEncoding;

    fn from_str(text: &str) -> Result<Self, InvalidKeyEncoding> {
        [Self::Auto, Self::Encoded, Self::Plain]
            .into_iter()
            .find(|encoding| encoding.as_str() == text)
            .ok_or_else(|| InvalidKeyEncoding(text.chars().take(80).collect()))
    }
}

/// Whether a caveat says that the event's key was ambiguous.
pub fn is_ambiguous(caveat: &str) -> bool {
    caveat.contains(DECODED) || caveat.contains(AS_SENT)
}

/// The key as it is in the message.
pub(super) fn as_sent(object: &Object<'_>, field: &'static str) -> Result<ObjectKey, Fault> {
    let key = object.text(field, usize::MAX)?.ok_or(Fault::Missing(field))?;
    Ok(ObjectKey::try_from(key)?)
}

/// The key of a notification, decoded once if it is encoded. `is_sequenced`: whether the sender's sequencer is its server's.
pub(super) fn of_notification(
    object: &Object<'_>,
    field: &'static str,
    encoding: KeyEncoding,
    (server, is_sequenced): (Server, bool),
    caveats: &mut Caveats,
) -> Result<ObjectKey, Fault> {
    let sent = object.text(field, ENCODED_KEY)?.ok_or(Fault::Missing(field))?;
    if encoding == KeyEncoding::Plain || !is_form_encoded(&sent) || !sent.contains(['+', '%']) {
        return Ok(ObjectKey::try_from(sent)?);
    }
    let decoded = decoded(&sent);
    let (key, doubt) = match (encoding, server) {
        (KeyEncoding::Plain, _) | (KeyEncoding::Auto, Server::Ceph) => (Some(sent), None),
        (KeyEncoding::Encoded, _) | (KeyEncoding::Auto, Server::Minio | Server::RustFs) => (decoded, None),
        // Others call themselves aws:s3, too, and not all of them encode.
        (KeyEncoding::Auto, Server::Aws) => {
            let is_doubtful = !is_sequenced && sent.contains('+');
            (decoded, is_doubtful.then_some(DECODED))
        }
        (KeyEncoding::Auto, Server::Unknown) => match decoded.filter(|_| sent.contains('%')) {
            Some(decoded) => (Some(decoded), Some(DECODED)),
            None => (Some(sent), Some(AS_SENT)),
        },
    };
    // A replacement character in place of bad bytes would name another object, or none.
    let key = key.ok_or(Fault::KeyNotUtf8)?;
    if let Some(doubt) = doubt {
        caveats.say(doubt);
    }
    Ok(ObjectKey::try_from(key)?)
}

/// Whether a form encoder may have written the text: letters, digits, what one encoder or another leaves as it is, and whole
/// percent sequences.
fn is_form_encoded(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_possible = match byte {
            b'%' => {
                let digits = (bytes.next(), bytes.next());
                matches!(digits, (Some(a), Some(b)) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
            }
            _ => byte.is_ascii_alphanumeric() || b"+/-_.~*!'()".contains(&byte),
        };
        if !is_possible {
            return false;
        }
    }
    true
}

/// `+` is a space, then percent sequences are bytes. None when the bytes are no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let key = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(key.into_owned())
}
