//! One record of an S3 notification ("Event message structure", Amazon S3 User Guide), as AWS, MinIO, Ceph
//! and RustFS send it.

use super::event_name;
use super::fault::Fault;
use super::fields::{self, EVENT_NAME, Fields, REGION, REQUEST_ID, TIME};
use super::json::Object;
use super::server::Server;
use crate::event::ObjectEvent;
use crate::names::SourceName;

/// The major version of the structure that is understood. S3 is at 2.6; MinIO sends 2.0.
const MAJOR: u32 = 2;

/// What S3 sends when a notification is configured. AWS sends it as a payload of its own with an `Event`,
/// other servers as a record.
pub(super) fn is_test_event(object: &Object<'_>) -> bool {
    let named = |field| {
        let name = object.text(field, EVENT_NAME).ok().flatten();
        name.is_some_and(|name| name.eq_ignore_ascii_case("s3:TestEvent"))
    };
    named("eventName") || (named("Event") && !object.has("s3"))
}

/// Reads one record.
pub(super) fn read(record: &Object<'_>, source: &SourceName) -> Result<ObjectEvent, Fault> {
    fields::check_version(record, "eventVersion", MAJOR)?;
    let server = Server::of(record.text("eventSource", EVENT_NAME)?.as_deref());
    let event_name = record
        .text("eventName", EVENT_NAME)?
        .ok_or(Fault::Missing("eventName"))?;
    let kind = event_name::kind(&event_name);
    let event_time = fields::event_time(record.text("eventTime", TIME)?.as_deref(), "eventTime")?;
    let request_id = match record.object("responseElements")? {
        Some(elements) => elements.text("responseElements.x-amz-request-id", REQUEST_ID)?,
        None => None,
    };

    let s3 = record.object("s3")?.ok_or(Fault::Missing("s3"))?;
    let bucket = s3.object("s3.bucket")?.ok_or(Fault::Missing("s3.bucket"))?;
    let object = s3.object("s3.object")?.ok_or(Fault::Missing("s3.object"))?;
    let key = if server.encodes_keys() {
        fields::key_decoded(&object, "s3.object.key")?
    } else {
        fields::key_as_sent(&object, "s3.object.key")?
    };
    let sequencer = fields::sequencer(&object, "s3.object.sequencer")?;

    Fields {
        bucket: fields::bucket(&bucket, "s3.bucket.name")?,
        key,
        version_id: fields::version_id(&object, "s3.object.versionId")?,
        etag: fields::etag(&object, "s3.object.eTag")?,
        size: fields::size(&object, "s3.object.size")?,
        sequencer: server.sequencer(sequencer, &kind, event_time)?,
        kind,
        event_name,
        event_time,
        region: record.text("awsRegion", REGION)?,
        request_id,
    }
    .into_event(source)
}
