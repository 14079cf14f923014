//! The fields of an object event, checked and bounded, whatever form they came in.

use chrono::{DateTime, NaiveDateTime};
use percent_encoding::percent_decode_str;

use super::fault::Fault;
use super::json::Object;
use crate::event::{Kind, ObjectEvent, Origin};
use crate::identity::{EventBasis, ObjectParts};
use crate::names::{BucketName, ObjectKey, SourceName};
use crate::sequencer::Sequencer;
use crate::time::Timestamp;

/// Bytes of a version id: S3's limit ("How S3 Versioning works", Amazon S3 User Guide).
const VERSION_ID: usize = 1024;
/// Bytes of an etag. S3 sends 32 hexadecimal digits, and a part count after a multipart upload.
const ETAG: usize = 256;
/// Bytes of an event name, reason included.
pub(super) const EVENT_NAME: usize = 128;
/// Bytes of a region's name.
pub(super) const REGION: usize = 64;
/// Bytes of a request id. S3 sends 16, Ceph some 60.
pub(super) const REQUEST_ID: usize = 256;
/// Bytes of a time.
pub(super) const TIME: usize = 64;
/// Bytes of a version number.
const VERSION: usize = 16;
/// Bytes of a size: no whole number below 2^64 has more digits.
const SIZE: usize = 20;
/// Bytes of a sequencer, before padding.
const SEQUENCER: usize = 64;
/// Bytes of a key that is still encoded: at most three per byte.
const ENCODED_KEY: usize = 3 * 1024;

/// What an event says, before its identity is computed.
pub(super) struct Fields {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version_id: Option<String>,
    pub kind: Kind,
    pub etag: Option<String>,
    pub size: Option<u64>,
    pub sequencer: Option<Sequencer>,
    pub event_name: String,
    pub event_time: Option<Timestamp>,
    pub region: Option<String>,
    pub request_id: Option<String>,
}

impl Fields {
    /// The event with its identity.
    ///
    /// # Errors
    /// When there is neither a sequencer nor an event time.
    pub fn into_event(self, source: &SourceName) -> Result<ObjectEvent, Fault> {
        let basis = match (&self.sequencer, self.event_time) {
            (Some(sequencer), _) => EventBasis::Sequencer(sequencer),
            (None, Some(event_time)) => EventBasis::Time {
                event_time,
                request_id: self.request_id.as_deref(),
            },
            (None, None) => return Err(Fault::NoIdentity),
        };
        let parts = ObjectParts {
            source,
            bucket: &self.bucket,
            key: &self.key,
            version_id: self.version_id.as_deref(),
            kind: &self.kind,
        };
        Ok(ObjectEvent {
            id: parts.event_id(basis),
            source: source.clone(),
            bucket: self.bucket,
            key: self.key,
            version_id: self.version_id,
            kind: self.kind,
            etag: self.etag,
            size: self.size,
            sequencer: self.sequencer,
            event_name: self.event_name,
            event_time: self.event_time,
            region: self.region,
            origin: Origin::Notification,
        })
    }
}

/// The bucket's name.
pub(super) fn bucket(bucket: &Object<'_>, field: &'static str) -> Result<BucketName, Fault> {
    let name = bucket.text(field, usize::MAX)?.ok_or(Fault::Missing(field))?;
    Ok(BucketName::try_from(name)?)
}

/// The key as it is in the message.
pub(super) fn key_as_sent(object: &Object<'_>, field: &'static str) -> Result<ObjectKey, Fault> {
    let key = object.text(field, usize::MAX)?.ok_or(Fault::Missing(field))?;
    Ok(ObjectKey::try_from(key)?)
}

/// The key, form-decoded once: `+` is a space, then percent sequences are bytes ("Event message structure",
/// Amazon S3 User Guide). A percent sign without two hexadecimal digits after it stays, as form decoding has
/// it.
pub(super) fn key_decoded(object: &Object<'_>, field: &'static str) -> Result<ObjectKey, Fault> {
    let encoded = object.text(field, ENCODED_KEY)?.ok_or(Fault::Missing(field))?;
    let spaced = encoded.replace('+', " ");
    // A replacement character in place of bad bytes would name another object, or none.
    let key = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| Fault::KeyNotUtf8)?;
    Ok(ObjectKey::try_from(key.into_owned())?)
}

/// The version id. "null" is S3's name for the version that a bucket without versions has.
pub(super) fn version_id(object: &Object<'_>, field: &'static str) -> Result<Option<String>, Fault> {
    Ok(object
        .text(field, VERSION_ID)?
        .filter(|version_id| version_id != "null"))
}

/// The etag without quotes.
pub(super) fn etag(object: &Object<'_>, field: &'static str) -> Result<Option<String>, Fault> {
    let etag = object.text(field, ETAG)?;
    Ok(etag
        .map(|etag| etag.trim_matches('"').to_owned())
        .filter(|etag| !etag.is_empty()))
}

/// The size in bytes, sent as a number or as its digits.
pub(super) fn size(object: &Object<'_>, field: &'static str) -> Result<Option<u64>, Fault> {
    let wrong = |_| Fault::Wrong {
        field,
        expected: "a whole number of bytes from 0 to 2^64-1",
    };
    object
        .text_or_number(field, SIZE)?
        .map(|digits| digits.parse().map_err(wrong))
        .transpose()
}

/// The sequencer.
pub(super) fn sequencer(object: &Object<'_>, field: &'static str) -> Result<Option<Sequencer>, Fault> {
    Ok(object
        .text(field, SEQUENCER)?
        .map(Sequencer::try_from)
        .transpose()?)
}

/// When it happened. Besides RFC 3339, what versions of Ceph write: a space for the `T`, an offset without
/// colon or none (which means UTC), and `0.000000` for a time that is not known.
pub(super) fn event_time(text: Option<&str>, field: &'static str) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = text
        .map(str::trim)
        .filter(|text| !text.is_empty() && *text != "0.000000")
    else {
        return Ok(None);
    };
    if let Ok(at) = text.parse() {
        return Ok(Some(at));
    }
    let text = text.replacen(' ', "T", 1);
    let millis = DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f%z")
        .map(|at| at.timestamp_millis())
        .or_else(|_| {
            let at = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f");
            at.map(|at| at.and_utc().timestamp_millis())
        });
    let at = millis.ok().and_then(Timestamp::from_unix_millis);
    at.map(Some).ok_or(Fault::Wrong {
        field,
        expected: "a time such as 2026-11-21T01:02:03.004Z",
    })
}

/// Checks a structure's version: equal on major, at least on minor, as S3 asks of consumers ("Event message
/// structure", Amazon S3 User Guide). No version is no objection.
pub(super) fn check_version(object: &Object<'_>, field: &'static str, major: u32) -> Result<(), Fault> {
    let Some(version) = object.text_or_number(field, VERSION)? else {
        return Ok(());
    };
    let (found, minor) = version.split_once('.').unwrap_or((&version, "0"));
    match (found.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(found), Ok(_)) if found == major => Ok(()),
        (Ok(_), Ok(_)) => Err(Fault::Version { field, major }),
        _ => Err(Fault::Wrong {
            field,
            expected: "a version such as 2.1",
        }),
    }
}
