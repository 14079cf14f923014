//! Arbitrary rows and events, each of a legal shape.

use daybook_schema::notification::KeyEncoding;
use daybook_schema::{
    Attempt, EventId, Kind, ObjectEvent, ObjectKey, Origin, Row, Sequencer, SourceName, Status, Subject,
    Timestamp,
};
use proptest::option::of;
use proptest::prelude::*;

pub fn timestamp() -> impl Strategy<Value = Timestamp> {
    (0i64..4_102_444_800_000).prop_map(|millis| Timestamp::from_unix_millis(millis).unwrap())
}

fn id() -> impl Strategy<Value = EventId> {
    any::<u128>().prop_map(|n| uuid::Uuid::from_u128(n).to_string().parse().unwrap())
}

fn text() -> impl Strategy<Value = String> {
    ".{1,40}"
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        "[a-z_]{1,20}".prop_map(Kind::from),
        Just(Kind::Created),
        Just(Kind::Removed)
    ]
}

fn origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        Just(Origin::Notification),
        timestamp().prop_map(|covers_until| Origin::Listing { covers_until }),
        text().prop_map(|nonce| Origin::Replay { nonce }),
    ]
}

fn sequencer() -> impl Strategy<Value = Sequencer> {
    "[0-9A-F]{1,32}".prop_map(|text| text.parse().unwrap())
}

pub fn event() -> impl Strategy<Value = ObjectEvent> {
    let names = (id(), "[a-z]{1,8}", "[a-z0-9.-]{1,40}", text());
    let object = (of(text()), kind(), of(text()), of(any::<u64>()), of(sequencer()));
    let event = (".{0,30}", of(timestamp()), of(text()), origin());
    (names, object, event).prop_map(
        |(
            (id, source, bucket, key),
            (version_id, kind, etag, size, sequencer),
            (event_name, event_time, region, origin),
        )| {
            ObjectEvent {
                id,
                source: source.parse().unwrap(),
                bucket: bucket.parse().unwrap(),
                key: ObjectKey::try_from(key).unwrap(),
                version_id,
                kind,
                etag,
                size,
                sequencer,
                event_name,
                event_time,
                region,
                origin,
            }
        },
    )
}

fn keys() -> impl Strategy<Value = KeyEncoding> {
    prop::sample::select(vec![KeyEncoding::Auto, KeyEncoding::Encoded, KeyEncoding::Plain])
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        4 => event().prop_map(|event| Subject::Event(Box::new(event))),
        1 => (".{0,80}", "[a-z]{1,8}", keys()).prop_map(|(payload, source, keys)| Subject::Raw {
            payload,
            source: source.parse::<SourceName>().unwrap(),
            keys,
        }),
    ]
}

pub fn row() -> impl Strategy<Value = Row> {
    let status = prop::sample::select(Status::ALL.to_vec());
    let times = (timestamp(), timestamp());
    let counts = (0u32..100, any::<u32>(), any::<u32>(), (0u32..5, 0u32..5));
    let company = (of(any::<u128>()), any::<bool>());
    let words = (of(any::<u128>()), of(text()), of(text()), of(text()), of(text()));
    (status, times, counts, company, words, subject(), id()).prop_map(
        |(
            status,
            (due_at, recorded_at),
            (attempt, max_attempts, deliveries, (lease_moves, deaths)),
            (batch, alone),
            words,
            subject,
            raw_id,
        )| {
            let id = match &subject {
                Subject::Event(event) => event.id,
                Subject::Raw { .. } => raw_id,
            };
            Row {
                id,
                status,
                due_at,
                recorded_at,
                attempt: Attempt(attempt),
                max_attempts,
                deliveries,
                lease_moves,
                deaths,
                claim_token: words.0.map(uuid::Uuid::from_u128),
                batch: batch.map(uuid::Uuid::from_u128).map(daybook_schema::BatchId),
                alone,
                last_error: words.1,
                trace: words.2,
                note: words.3,
                caveat: words.4,
                subject,
            }
        },
    )
}
