//! S3's EventBridge events ("EventBridge event message structure" and "Using EventBridge", Amazon S3 User
//! Guide).

use super::fault::Fault;
use super::fields::{self, Delivered, EVENT_NAME, Fields};
use super::json::Object;
use super::server::Server;
use super::side::{self, Caveats};
use super::{event_name, keys};
use crate::event::ObjectEvent;

/// The major version of `detail` that is understood. The envelope's and the detail's `version` mean nothing
/// here: AWS says that they are 0 for all events.
const MAJOR: u32 = 1;

/// Whether events of that type are of objects.
pub(super) fn is_of_object(detail_type: &str) -> bool {
    (detail_type.get(..7)).is_some_and(|begin| begin.eq_ignore_ascii_case("Object "))
}

/// Reads one event. Its key is not encoded. Bucket, key and kind decide; what else cannot be read is left out, and said.
pub(super) fn read(
    event: &Object<'_>,
    delivered: Delivered<'_>,
    caveats: &mut Caveats,
) -> Result<ObjectEvent, Fault> {
    let detail_type = event
        .text("detail-type", EVENT_NAME)?
        .ok_or(Fault::Missing("detail-type"))?;
    if !is_of_object(&detail_type) {
        return Err(Fault::NoObjectEvent);
    }
    let detail = event.object("detail")?.ok_or(Fault::Missing("detail"))?;
    fields::check_version(&detail, "detail.event-version", MAJOR, caveats)?;
    let bucket = detail
        .object("detail.bucket")?
        .ok_or(Fault::Missing("detail.bucket"))?;
    let object = detail
        .object("detail.object")?
        .ok_or(Fault::Missing("detail.object"))?;

    // The kind comes from the type alone, so that it is the kind of the same event sent as a notification.
    let kind = event_name::kind(&detail_type);
    let reason = caveats.kept("detail.reason", detail.text("detail.reason", EVENT_NAME));
    let event_name = match reason {
        Some(reason) if detail_type.len() + 1 + reason.len() <= EVENT_NAME => {
            format!("{detail_type}:{reason}")
        }
        Some(_) => {
            caveats.left_out("detail.reason");
            detail_type
        }
        None => detail_type,
    };
    let event_time = side::event_time(event, "time", caveats);
    let sender = (Server::Aws, &kind, event_time.at);
    let sequencer = side::sequencer(&object, "detail.object.sequencer", sender, caveats);

    Ok(Fields {
        server: Server::Aws,
        bucket: fields::bucket(&bucket, "detail.bucket.name")?,
        key: keys::as_sent(&object, "detail.object.key")?,
        version_id: caveats.kept(
            "version-id",
            side::version_id(&object, "detail.object.version-id"),
        ),
        etag: caveats.kept("etag", side::etag(&object, "detail.object.etag")),
        size: caveats.kept("size", side::size(&object, "detail.object.size")),
        region: caveats.kept("region", side::region(event, "region")),
        request_id: caveats.kept("request-id", side::request_id(&detail, "detail.request-id")),
        kind,
        sequencer,
        event_name,
        event_time,
        is_told: caveats.is_told(),
    }
    .into_event(delivered))
}
