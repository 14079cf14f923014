//! Objects once more, on purpose: what the ledger still knows of an object becomes a new event, with an identity of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_ledger::{Deadline, Ledger, Lookup, NewRow, Person, Recorded};
use daybook_schema::{
    BucketName, EventId, Kind, ObjectEvent, ObjectId, ObjectKey, Origin, Receipt, Row, SourceName,
};

use crate::aws::failure::AwsResource;
use crate::aws::failure::Failure;
use crate::lookup::rows;
use crate::object_ref::ObjectText;

/// What an event says where nothing else does.
const EVENT_NAME: &str = "replay";

/// How long one batch may take, a throttling table's retries included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest nonce, in bytes.
const LONGEST_NONCE: usize = 64;

/// What tells a replay from others of the same object, as a person gives it.
///
/// # Errors
/// What it should be.
pub fn nonce(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@/".contains(c);
    match (1..=LONGEST_NONCE).contains(&text.len()) && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("1 to 64 letters, digits or -_.:@/ are needed".to_owned()),
    }
}

/// One that nobody gave before.
pub fn random_nonce(ledger: &Ledger) -> String {
    format!("{:016x}", ledger.random().next_u64())
}

/// Records these events, which have identities of their own already ([`ObjectEvent::replayed`]); what came of each, in their order. One that is
/// open or done by the same nonce is left as it is, so all of it can be repeated.
pub async fn record(
    ledger: &Ledger,
    events: Vec<ObjectEvent>,
    max_attempts: u32,
    person: Person<'_>,
) -> Vec<Recorded> {
    let note = person.note(ledger.clock().now(), "replayed");
    let row = |event| NewRow::Replay {
        event,
        max_attempts,
        note: note.clone(),
    };
    let rows = events.into_iter().map(row).collect();
    ledger
        .record(rows, Deadline::after(ledger.clock(), PATIENCE))
        .await
}

/// Where an event's facts are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A notification that was given.
    Notification,
    /// An open row.
    Row,
    /// The receipt of what is done.
    Receipt,
    /// The name that was given, and nothing else.
    Name,
}

impl Known {
    /// For people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::Row => "row",
            Self::Receipt => "receipt",
            Self::Name => "name",
        }
    }
}

/// The newest created event of each object, as far as it is known.
///
/// # Errors
/// When the ledger or the receipts cannot be read, or a name can be no object's.
pub async fn find(
    ledger: &Ledger,
    objects: &[ObjectText],
    source: Option<&SourceName>,
) -> Result<Vec<(ObjectEvent, Known)>, Failure> {
    let mut known = open(ledger, objects, source).await?;
    let mut done = receipts(ledger, objects, source).await?;
    objects
        .iter()
        .map(|object| {
            let is_of = |event: &ObjectEvent| event.kind == Kind::Created && object.is_of(event, source);
            let of_rows = known.iter_mut().map(|event| (event, Known::Row));
            let of_receipts = done.iter_mut().map(|event| (event, Known::Receipt));
            let newest = of_rows
                .chain(of_receipts)
                .filter(|(event, _)| is_of(event))
                .max_by_key(|(event, _)| (event.sequencer.clone(), event.event_time));
            match newest {
                Some((event, known)) => Ok((event.clone(), known)),
                None => Ok((named(object, source)?, Known::Name)),
            }
        })
        .collect()
}

/// The open events of these objects.
async fn open(
    ledger: &Ledger,
    objects: &[ObjectText],
    source: Option<&SourceName>,
) -> Result<Vec<ObjectEvent>, Failure> {
    let mut events = Vec::new();
    let mut pages = rows::of_objects(ledger, objects.iter());
    while let Some(page) = pages.next().await.map_err(Failure::of_ledger)? {
        for row in page {
            let row: Row = match row {
                Ok(row) => row,
                // What another release wrote may be about any object; without it there is less known, and no harm.
                Err(error) if error.unreadable().is_some() => continue,
                Err(error) => return Err(Failure::of_ledger(error)),
            };
            let is_meant = |event: &&ObjectEvent| objects.iter().any(|object| object.is_of(event, source));
            events.extend(row.event().filter(is_meant).cloned());
        }
    }
    Ok(events)
}

/// What receipts say of these objects.
async fn receipts(
    ledger: &Ledger,
    objects: &[ObjectText],
    source: Option<&SourceName>,
) -> Result<Vec<ObjectEvent>, Failure> {
    if ledger.receipts_kept_for().is_none() {
        return Ok(Vec::new());
    }
    let ids: BTreeSet<ObjectId> = objects
        .iter()
        .flat_map(|object| object.object_ids(source))
        .collect();
    let mut events = Vec::new();
    for (object, lookup) in ledger.look_up_receipts(ids).await {
        match lookup {
            Lookup::Found(receipt) => events.push(event_of(&receipt)),
            Lookup::Absent => {}
            Lookup::Unknown(cause) => {
                let cause = cause.of(format_args!("the receipt of object {object}"));
                return Err(Failure::about(AwsResource::Receipts, cause));
            }
        }
    }
    Ok(events)
}

fn event_of(receipt: &Receipt) -> ObjectEvent {
    ObjectEvent {
        id: receipt.event_id,
        source: receipt.source.clone(),
        bucket: receipt.bucket.clone(),
        key: receipt.key.clone(),
        version_id: receipt.version_id.clone(),
        kind: receipt.kind.clone(),
        etag: receipt.etag.clone(),
        size: receipt.size,
        sequencer: receipt.sequencer.clone(),
        event_name: EVENT_NAME.to_owned(),
        event_time: receipt.event_time,
        region: None,
        origin: Origin::Notification,
        general: None,
    }
}

fn named(object: &ObjectText, source: Option<&SourceName>) -> Result<ObjectEvent, Failure> {
    let (key, version_id) = match &object.parts {
        Some((key, version)) => (key.as_str(), version.clone()),
        None => (object.whole.as_str(), None),
    };
    let invalid = |error: daybook_schema::InvalidName| Failure::of_ledger(format!("{object}: {error}"));
    let source = source.cloned().unwrap_or_default();
    Ok(ObjectEvent {
        // Of no meaning: a replay has an identity of its own.
        id: EventId::of_raw_payload(&source, &object.to_string()),
        source,
        bucket: object.bucket.parse::<BucketName>().map_err(invalid)?,
        key: key.parse::<ObjectKey>().map_err(invalid)?,
        version_id,
        kind: Kind::Created,
        etag: None,
        size: None,
        sequencer: None,
        event_name: EVENT_NAME.to_owned(),
        event_time: None,
        region: None,
        origin: Origin::Notification,
        general: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_short_and_plain() {
        for good in ["ticket-4711", "2026-11-21T01:02:03Z", "a"] {
            assert_eq!(nonce(good), Ok(good.to_owned()));
        }
        for bad in ["", "two words", "ä", &"x".repeat(65)] {
            assert!(nonce(bad).is_err(), "{bad}");
        }
    }
}
