//! S3's EventBridge events ("EventBridge event message structure" and "Using EventBridge", Amazon S3 User
//! Guide).

use super::event_name;
use super::fault::Fault;
use super::fields::{self, EVENT_NAME, Fields, REGION, REQUEST_ID, TIME};
use super::json::Object;
use crate::event::ObjectEvent;
use crate::names::SourceName;

/// The major version of `detail` that is understood. The envelope's and the detail's `version` mean nothing
/// here: AWS says that they are 0 for all events.
const MAJOR: u32 = 1;

/// Reads one event. Its key is not encoded.
pub(super) fn read(event: &Object<'_>, source: &SourceName) -> Result<ObjectEvent, Fault> {
    let detail_type = event
        .text("detail-type", EVENT_NAME)?
        .ok_or(Fault::Missing("detail-type"))?;
    if !detail_type.starts_with("Object ") {
        return Err(Fault::NoObjectEvent);
    }
    let detail = event.object("detail")?.ok_or(Fault::Missing("detail"))?;
    fields::check_version(&detail, "detail.event-version", MAJOR)?;
    let bucket = detail
        .object("detail.bucket")?
        .ok_or(Fault::Missing("detail.bucket"))?;
    let object = detail
        .object("detail.object")?
        .ok_or(Fault::Missing("detail.object"))?;

    // The kind comes from the type alone, so that it is the kind of the same event sent as a notification.
    let kind = event_name::kind(&detail_type);
    let event_name = match detail.text("detail.reason", EVENT_NAME)? {
        Some(reason) => format!("{detail_type}:{reason}"),
        None => detail_type,
    };
    if event_name.len() > EVENT_NAME {
        let field = "detail-type with detail.reason";
        return Err(Fault::TooLong {
            field,
            limit: EVENT_NAME,
            found: event_name.len(),
        });
    }

    Fields {
        bucket: fields::bucket(&bucket, "detail.bucket.name")?,
        key: fields::key_as_sent(&object, "detail.object.key")?,
        version_id: fields::version_id(&object, "detail.object.version-id")?,
        kind,
        etag: fields::etag(&object, "detail.object.etag")?,
        size: fields::size(&object, "detail.object.size")?,
        sequencer: fields::sequencer(&object, "detail.object.sequencer")?,
        event_name,
        event_time: fields::event_time(event.text("time", TIME)?.as_deref(), "time")?,
        region: event.text("region", REGION)?,
        request_id: detail.text("detail.request-id", REQUEST_ID)?,
    }
    .into_event(source)
}
