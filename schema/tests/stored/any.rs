//! Arbitrary rows and events, each of a legal shape.

use daybook_schema::cloud_event::{Attribute, Data};
use daybook_schema::notification::KeyEncoding;
use daybook_schema::{
    Attempt, CloudEvent, EventId, Kind, ObjectEvent, ObjectKey, Origin, Row, Sequencer, SourceName, Status,
    Subject, Timestamp,
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
                general: None,
            }
        },
    )
}

fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<bool>().prop_map(Attribute::Boolean),
        any::<i32>().prop_map(Attribute::Integer),
        text().prop_map(Attribute::Text),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    let json = prop_oneof![
        Just("true".to_owned()),
        Just(" [1.50, 1E3, \"\u{fffe}\"]".to_owned()),
        any::<String>().prop_map(|text| serde_json::json!({"text": text}).to_string()),
        any::<f64>().prop_map(|number| serde_json::json!([number]).to_string()),
    ];
    prop_oneof![
        json.prop_map(|json| Data::Json(json.try_into().unwrap())),
        "([A-Za-z0-9+/]{4}){1,9}".prop_map(Data::Base64),
    ]
}

pub fn cloud_event() -> impl Strategy<Value = CloudEvent> {
    let texts = (text(), text(), text(), of(text()), of(text()), of(text()));
    let time = of(timestamp().prop_map(|at| at.to_string()));
    let extensions = prop::collection::btree_map("[a-z0-9]{1,4}x", attribute(), 0..3);
    (texts, time, extensions, of(data())).prop_map(|(texts, time, extensions, data)| CloudEvent {
        id: texts.0,
        source: texts.1,
        event_type: texts.2,
        subject: texts.3,
        time,
        data_content_type: texts.4,
        data_schema: texts.5,
        extensions,
        data,
    })
}

fn general() -> impl Strategy<Value = ObjectEvent> {
    (cloud_event(), "[a-z]{1,8}", origin()).prop_map(|(event, source, origin)| {
        let event = ObjectEvent::of_cloud_event(source.parse().unwrap(), event).unwrap();
        match &origin {
            Origin::Replay { nonce } => event.replayed(nonce),
            Origin::Notification | Origin::Listing { .. } => event,
        }
    })
}

fn keys() -> impl Strategy<Value = KeyEncoding> {
    prop::sample::select(vec![KeyEncoding::Auto, KeyEncoding::Encoded, KeyEncoding::Plain])
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        4 => event().prop_map(|event| Subject::Event(Box::new(event))),
        2 => general().prop_map(|event| Subject::Event(Box::new(event))),
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
