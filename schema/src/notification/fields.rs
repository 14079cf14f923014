//! An object event put together from its fields, whatever form they came in.

use super::fault::Fault;
use super::json::Object;
use super::server::{Server, is_one_request};
use super::side::{Caveats, SentSequencer, SentTime};
use crate::event::{ObjectEvent, Origin};
use crate::identity::{EventBasis, ObjectParts, Sent};
use crate::kind::Kind;
use crate::names::{BucketName, ObjectKey, SourceName};

/// Bytes of an event name, reason included.
pub(super) const EVENT_NAME: usize = 128;
/// Bytes of a version number.
const VERSION: usize = 16;

/// What an event says, before its identity is computed.
pub(super) struct Fields {
    pub server: Server,
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version_id: Option<String>,
    pub kind: Kind,
    pub etag: Option<String>,
    pub size: Option<u64>,
    pub sequencer: SentSequencer,
    pub event_name: String,
    pub event_time: SentTime,
    pub region: Option<String>,
    pub request_id: Option<String>,
    /// Whether all that tells two uploads apart could be read.
    pub is_told: bool,
}

/// Where an event came from, beside what it says.
#[derive(Clone, Copy)]
pub(super) struct Delivered<'a> {
    pub source: &'a SourceName,
    /// The event as it came.
    pub record: &'a str,
    /// The queue's message that it came in.
    pub message_id: Option<&'a str>,
}

impl Fields {
    /// The event with its identity.
    pub fn into_event(self, delivered: Delivered<'_>) -> ObjectEvent {
        let parts = ObjectParts {
            source: delivered.source,
            bucket: &self.bucket,
            key: &self.key,
            version_id: self.version_id.as_deref(),
            kind: &self.kind,
        };
        ObjectEvent {
            id: parts.event_id(self.basis(delivered)),
            source: delivered.source.clone(),
            bucket: self.bucket,
            key: self.key,
            version_id: self.version_id,
            kind: self.kind,
            etag: self.etag,
            size: self.size,
            sequencer: self.sequencer.ordered,
            event_name: self.event_name,
            event_time: self.event_time.at,
            region: self.region,
            origin: Origin::Notification,
            general: None,
        }
    }

    /// What tells the event from others of its object.
    fn basis<'a>(&'a self, delivered: Delivered<'a>) -> EventBasis<'a> {
        if let Some(sequencer) = &self.sequencer.ordered {
            return EventBasis::Sequencer {
                sequencer,
                etag: self.etag.as_deref(),
            };
        }
        let is_content = matches!(self.kind, Kind::Created | Kind::Removed);
        // S3 sends a sequencer with all content, and none with anything else.
        if let (false, true, Some(event_time), Some(request_id)) = (
            is_content,
            self.server.is_s3(),
            self.event_time.at,
            self.request_id.as_deref().filter(|id| is_one_request(id)),
        ) {
            return EventBasis::Request {
                event_time,
                request_id,
            };
        }
        // Two that differ only in what cannot be read are two all the same.
        if !self.is_told {
            return EventBasis::Delivery {
                record: delivered.record,
                message_id: None,
            };
        }
        let sent = Sent {
            time: self.event_time.text.as_deref(),
            request_id: self.request_id.as_deref(),
            etag: self.etag.as_deref(),
            size: self.size,
            sequencer: self.sequencer.unordered.as_deref(),
        };
        match sent.is_telling() {
            true => EventBasis::Sent(sent),
            false => EventBasis::Delivery {
                record: delivered.record,
                message_id: delivered.message_id,
            },
        }
    }
}

/// The bucket's name.
pub(super) fn bucket(bucket: &Object<'_>, field: &'static str) -> Result<BucketName, Fault> {
    let name = bucket.text(field, usize::MAX)?.ok_or(Fault::Missing(field))?;
    Ok(BucketName::try_from(name)?)
}

/// Checks a structure's version: equal on major, at least on minor, as S3 asks of consumers ("Event message
/// structure", Amazon S3 User Guide). No version, or one that is no number, is no objection.
pub(super) fn check_version(
    object: &Object<'_>,
    field: &'static str,
    major: u32,
    caveats: &mut Caveats,
) -> Result<(), Fault> {
    let Some(version) = caveats.kept(field, object.text_or_number(field, VERSION)) else {
        return Ok(());
    };
    let found = version.trim().split('.').next().unwrap_or_default();
    match found.parse::<u32>() {
        Ok(found) if found == major => Ok(()),
        Ok(_) => Err(Fault::Version { field, major }),
        Err(_) => {
            caveats.left_out(field);
            Ok(())
        }
    }
}
