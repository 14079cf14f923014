//! One record of an S3 notification ("Event message structure", Amazon S3 User Guide), as AWS, MinIO, Ceph
//! and RustFS send it.

use super::event_name;
use super::fault::Fault;
use super::fields::{self, Delivered, EVENT_NAME, Fields};
use super::json::Object;
use super::keys::{self, KeyEncoding};
use super::server::Server;
use super::side::{self, Caveats};
use crate::event::ObjectEvent;
use crate::kind::Kind;

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

/// Reads one record. Bucket, key and kind decide; what else cannot be read is left out, and said.
pub(super) fn read(
    record: &Object<'_>,
    encoding: KeyEncoding,
    delivered: Delivered<'_>,
    caveats: &mut Caveats,
) -> Result<ObjectEvent, Fault> {
    fields::check_version(record, "eventVersion", MAJOR, caveats)?;
    let event_source = caveats.kept("eventSource", record.text("eventSource", EVENT_NAME));
    let server = Server::of(event_source.as_deref());
    let event_name = record
        .text("eventName", EVENT_NAME)?
        .ok_or(Fault::Missing("eventName"))?;
    let kind = event_name::kind(&event_name);
    let event_time = side::event_time(record, "eventTime", caveats);
    let elements = caveats.kept("responseElements", record.object("responseElements"));
    let request_id = elements.and_then(|elements| {
        let field = "responseElements.x-amz-request-id";
        caveats.kept(field, side::request_id(&elements, field))
    });

    let s3 = record.object("s3")?.ok_or(Fault::Missing("s3"))?;
    let bucket = s3.object("s3.bucket")?.ok_or(Fault::Missing("s3.bucket"))?;
    let object = s3.object("s3.object")?.ok_or(Fault::Missing("s3.object"))?;
    let sender = (server, &kind, event_time.at);
    let sequencer = side::sequencer(&object, "s3.object.sequencer", sender, caveats);
    // S3 sends one with all content, and none with anything else.
    let is_content = matches!(kind, Kind::Created | Kind::Removed);
    let is_sequenced = sequencer.ordered.is_some() || !is_content;
    let sender = (server, is_sequenced);
    Ok(Fields {
        version_id: caveats.kept("versionId", side::version_id(&object, "s3.object.versionId")),
        etag: caveats.kept("eTag", side::etag(&object, "s3.object.eTag")),
        size: caveats.kept("size", side::size(&object, "s3.object.size")),
        region: caveats.kept("awsRegion", side::region(record, "awsRegion")),
        bucket: fields::bucket(&bucket, "s3.bucket.name")?,
        key: keys::of_notification(&object, "s3.object.key", encoding, sender, caveats)?,
        server,
        kind,
        sequencer,
        event_name,
        event_time,
        request_id,
        is_told: caveats.is_told(),
    }
    .into_event(delivered))
}
