//! Identities, names, sequencers and times: what must never change, and what must always hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use chrono::{DateTime, Utc};
use daybook_schema::identity::{EventBasis, ObjectParts, Sent};
use daybook_schema::{BucketName, EventId, Kind, ObjectId, ObjectKey, Sequencer, SourceName, Timestamp};
use proptest::prelude::*;

type Tuple = (String, String, String, Option<String>, Kind);

/// The ids of an object and of one event of it.
fn ids(tuple: &Tuple, basis: EventBasis<'_>) -> (ObjectId, EventId) {
    let (source, bucket, key, version_id, kind) = tuple;
    let source: SourceName = source.parse().unwrap();
    let bucket: BucketName = bucket.parse().unwrap();
    let key: ObjectKey = key.parse().unwrap();
    let parts = ObjectParts {
        source: &source,
        bucket: &bucket,
        key: &key,
        version_id: version_id.as_deref(),
        kind,
    };
    (parts.object_id(), parts.event_id(basis))
}

fn tuple(key: &str, version_id: Option<&str>, kind: Kind) -> Tuple {
    (
        "aws".into(),
        "device-uploads".into(),
        key.into(),
        version_id.map(Into::into),
        kind,
    )
}

fn sequencer(text: &str) -> Sequencer {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Objects and events, computed from the definition by a second implementation (another language).
const PINNED: [(&str, &str); 8] = [
    (
        "9f9ee89d-6710-5e11-b5f3-f064d34e7653",
        "d2eceb61-0c0c-5cd9-abe5-63317b683c77",
    ),
    (
        "ba538ba3-cc57-5010-80ff-578046eb45a7",
        "475c771b-7cb9-54ed-8537-5ffc586bde25",
    ),
    (
        "9f9ee89d-6710-5e11-b5f3-f064d34e7653",
        "a0b606c1-e351-5343-85c0-5e92b1102cec",
    ),
    (
        "2176cbdb-0cd0-511d-b599-6850d70f2c90",
        "6d649eeb-4cbc-5757-ba12-0be4655eab37",
    ),
    (
        "2176cbdb-0cd0-511d-b599-6850d70f2c90",
        "36fdda81-c790-5664-b643-3e5d97fea006",
    ),
    (
        "9f9ee89d-6710-5e11-b5f3-f064d34e7653",
        "1179cff1-58b0-57d4-b230-3dfda5f90592",
    ),
    (
        "9f9ee89d-6710-5e11-b5f3-f064d34e7653",
        "8fa68716-b542-5ac8-b2df-774cc215e5a0",
    ),
    (
        "9f9ee89d-6710-5e11-b5f3-f064d34e7653",
        "be0774b9-8bd0-5d96-97ee-c7cf8478ded4",
    ),
];
const RAW: &str = "4ebb98c3-32fe-59e1-b11e-a906c51ec2b0";

/// A changed id makes every event of every ledger a new one. These stay as they are in every release from 0.1.0 on.
#[test]
fn ids_never_change() {
    let created = tuple("2026/11/20/camera-17/000123.jpg", None, Kind::Created);
    let removed = tuple(
        "사진/가을 단풍.jpg",
        Some("096fKKXTRTtl3on89fVO.nfljtsv6qko"),
        Kind::Removed,
    );
    let other = tuple("a+b", None, Kind::Other("objectaccessed:get".into()));
    let seq = sequencer("0068B5C2F4A1E3D200");
    let etag = Some("9a0364b9e99bb480dd25e1f0284c8555");
    let sequenced = EventBasis::Sequencer {
        sequencer: &seq,
        etag,
    };
    let time = Some("2026-11-20T10:15:00.987000000Z");
    let sent = Sent {
        time,
        request_id: Some("C3D13FE58DE4C810"),
        etag,
        size: Some(1024),
        sequencer: Some("9"),
    };
    let only_time = Sent {
        time,
        ..Sent::default()
    };
    let request = EventBasis::Request {
        event_time: at("2026-11-20T10:15:00.987Z"),
        request_id: "C3D13FE58DE4C810",
    };
    let delivery = EventBasis::Delivery {
        record: r#"{"s3":{}}"#,
        message_id: Some("m-1"),
    };
    let listing = EventBasis::Listing {
        etag,
        last_modified: at("2026-11-20T10:15:00.000Z"),
    };
    let replay = EventBasis::Replay {
        nonce: "2026-11-21 again",
    };
    let pinned = [
        (ids(&created, sequenced), PINNED[0]),
        (ids(&removed, sequenced), PINNED[1]),
        (ids(&created, EventBasis::Sent(sent)), PINNED[2]),
        (ids(&other, EventBasis::Sent(only_time)), PINNED[3]),
        (ids(&other, request), PINNED[4]),
        (ids(&created, delivery), PINNED[5]),
        (ids(&created, listing), PINNED[6]),
        (ids(&created, replay), PINNED[7]),
    ];
    for ((object, event), (object_id, event_id)) in pinned {
        assert_eq!(
            (object.to_string().as_str(), event.to_string().as_str()),
            (object_id, event_id)
        );
    }
    let raw = EventId::of_raw_payload(&SourceName::default(), "hello");
    assert_eq!(raw.to_string(), RAW);
}

/// What a sequencer makes of an object, with an etag.
fn by_sequencer<'a>(sequencer: &'a Sequencer, etag: &'a str) -> EventBasis<'a> {
    EventBasis::Sequencer {
        sequencer,
        etag: Some(etag),
    }
}

#[test]
fn every_part_and_every_basis_makes_another_event() {
    let seq = sequencer("01");
    let base = tuple("k", None, Kind::Created);
    let mut all = vec![ids(&base, by_sequencer(&seq, "e")).1];
    for changed in [
        (
            "minio".into(),
            "device-uploads".into(),
            "k".into(),
            None,
            Kind::Created,
        ),
        ("aws".into(), "other".into(), "k".into(), None, Kind::Created),
        tuple("k2", None, Kind::Created),
        tuple("k", Some("v"), Kind::Created),
        tuple("k", Some(""), Kind::Created),
        tuple("k", None, Kind::Removed),
    ] {
        all.push(ids(&changed, by_sequencer(&seq, "e")).1);
    }
    let now = at("2026-11-20T10:15:00Z");
    let sent = |change: fn(&mut Sent<'static>)| {
        let mut sent = Sent {
            time: Some("t"),
            ..Sent::default()
        };
        change(&mut sent);
        EventBasis::Sent(sent)
    };
    let delivery = |record, message_id| EventBasis::Delivery { record, message_id };
    let listing = |etag| EventBasis::Listing {
        etag,
        last_modified: now,
    };
    let request = |request_id| EventBasis::Request {
        event_time: now,
        request_id,
    };
    for basis in [
        by_sequencer(&sequencer("02"), "e"),
        by_sequencer(&seq, "f"),
        EventBasis::Sequencer {
            sequencer: &seq,
            etag: None,
        },
        sent(|_| {}),
        sent(|sent| sent.time = Some("u")),
        sent(|sent| sent.time = None),
        sent(|sent| sent.request_id = Some("r")),
        sent(|sent| sent.etag = Some("r")),
        sent(|sent| sent.size = Some(1)),
        sent(|sent| sent.size = Some(2)),
        sent(|sent| sent.sequencer = Some("1")),
        sent(|sent| sent.sequencer = Some("10")),
        request("r"),
        request("s"),
        delivery("r", None),
        delivery("s", None),
        delivery("r", Some("m")),
        delivery("r", Some("n")),
        listing(None),
        listing(Some("e")),
        EventBasis::Replay { nonce: "n" },
        EventBasis::Replay { nonce: "m" },
    ] {
        all.push(ids(&base, basis).1);
    }
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn a_removal_is_one_event_with_and_without_an_etag() {
    let seq = sequencer("0068B5C2F4A1E3D200");
    let removed = tuple("k", None, Kind::Removed);
    let without = EventBasis::Sequencer {
        sequencer: &seq,
        etag: None,
    };
    assert_eq!(
        ids(&removed, by_sequencer(&seq, "d41d8cd98f00b204e9800998ecf8427e")),
        ids(&removed, without)
    );
}

#[test]
fn a_request_is_told_by_the_second() {
    let base = tuple("k", None, Kind::Tagged);
    let id = |text| {
        let request = EventBasis::Request {
            event_time: at(text),
            request_id: "r",
        };
        ids(&base, request).1
    };
    assert_eq!(id("2026-11-20T10:15:00Z"), id("2026-11-20T10:15:00.999Z"));
    assert_ne!(id("2026-11-20T10:15:00Z"), id("2026-11-20T10:15:01Z"));
}

#[test]
fn an_id_has_one_spelling() {
    let id = ids(
        &tuple("k", None, Kind::Created),
        EventBasis::Replay { nonce: "n" },
    )
    .1;
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(id.as_uuid().get_version_num(), 5);
    let text = id.to_string();
    for other in [
        text.to_uppercase(),
        text.replace('-', ""),
        format!("{{{text}}}"),
        format!("urn:uuid:{text}"),
        "control".into(),
    ] {
        assert!(other.parse::<EventId>().is_err(), "{other}");
    }
}

#[test]
fn names_are_bounded() {
    assert!("k".repeat(1024).parse::<ObjectKey>().is_ok());
    assert!("가".repeat(341).parse::<ObjectKey>().is_ok());
    let error = "가".repeat(342).parse::<ObjectKey>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "an object key must be 1 to 1,024 bytes, and this one has 1026 bytes"
    );
    assert!("".parse::<ObjectKey>().is_err());
    assert!("b".repeat(255).parse::<BucketName>().is_ok());
    for bad in ["", "a/b", "a\0b", &"b".repeat(256)] {
        assert!(bad.parse::<BucketName>().is_err(), "{bad}");
    }
    for bad in ["", "a b", "é", &"s".repeat(65)] {
        assert!(bad.parse::<SourceName>().is_err(), "{bad}");
    }
    for bad in ["", "0x-1", " 1", &"1".repeat(65)] {
        assert!(bad.parse::<Sequencer>().is_err(), "{bad}");
    }
}

#[test]
fn times_are_read_as_instants_and_written_in_one_form() {
    for (text, written) in [
        ("2026-11-21T01:02:03Z", "2026-11-21T01:02:03.000Z"),
        ("2026-11-21T03:02:03.0049999+02:00", "2026-11-21T01:02:03.004Z"),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(at(text).to_string(), written);
    }
    for bad in [
        "",
        "2026-11-21",
        "2026-11-21T01:02:03",
        "0000-01-01T00:00:00+01:00",
        "+10000-01-01T00:00:00Z",
    ] {
        assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
    }
    assert_eq!(
        at("9999-12-31T23:59:59Z").plus(Duration::MAX).to_string(),
        "9999-12-31T23:59:59.999Z"
    );
    assert_eq!(
        Timestamp::from(DateTime::<Utc>::MAX_UTC).to_string(),
        "9999-12-31T23:59:59.999Z"
    );
    assert_eq!(
        Timestamp::from(DateTime::<Utc>::MIN_UTC).to_string(),
        "0000-01-01T00:00:00.000Z"
    );
}

/// S3's own words: pad the shorter on the right with zeros, then compare as text ("Event message structure").
fn s3_order(a: &str, b: &str) -> std::cmp::Ordering {
    let (a, b) = (a.to_uppercase(), b.to_uppercase());
    let width = a.len().max(b.len());
    format!("{a:0<width$}").cmp(&format!("{b:0<width$}"))
}

/// Millis of the years 0 to 9999.
fn any_millis() -> impl Strategy<Value = i64> {
    -62_167_219_200_000..=253_402_300_799_999_i64
}

fn any_tuple() -> impl Strategy<Value = Tuple> {
    let kind = prop::sample::select(vec!["created", "removed", "tagged", "x:y"])
        .prop_map(|k| Kind::from(k.to_owned()));
    (
        "[ab.]{1,3}",
        "[ab]{1,3}",
        "[ab\u{0}/]{1,3}",
        prop::option::of("[ab]{0,2}"),
        kind,
    )
}

proptest! {
    #[test]
    fn tuples_have_one_id_each(a in any_tuple(), b in any_tuple(), s in "[0-9A-F]{1,4}", t in "[0-9A-F]{1,4}") {
        let (s, t) = (sequencer(&s), sequencer(&t));
        let (object_a, event_a) = ids(&a, by_sequencer(&s, "e"));
        let (object_b, event_b) = ids(&b, by_sequencer(&t, "e"));
        prop_assert_eq!(object_a == object_b, a == b);
        prop_assert_eq!(event_a == event_b, (&a, &s) == (&b, &t));
        prop_assert_eq!(ids(&a, by_sequencer(&s, "e")), (object_a, event_a));
        prop_assert_ne!(object_a.as_uuid(), event_a.as_uuid());
    }

    #[test]
    fn sequencers_compare_by_s3s_rule(a in "[0-9A-Fa-f]{1,64}", b in "[0-9A-Fa-f]{1,64}", zeros in 0..8_usize) {
        let padded = format!("{a}{}", "0".repeat(zeros.min(64 - a.len())));
        prop_assert_eq!(sequencer(&a).cmp(&sequencer(&b)), s3_order(&a, &b));
        prop_assert_eq!(sequencer(&a).as_str().cmp(sequencer(&b).as_str()), s3_order(&a, &b));
        prop_assert_eq!(sequencer(&a), sequencer(&padded));
        prop_assert_eq!(sequencer(&a), sequencer(sequencer(&a).as_str()));
        prop_assert!(sequencer(&a).as_str().len() >= 32);
    }

    #[test]
    fn text_order_of_times_is_their_order(a in any_millis(), b in any_millis()) {
        let (a, b) = (Timestamp::from_unix_millis(a).unwrap(), Timestamp::from_unix_millis(b).unwrap());
        prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        prop_assert_eq!(a.to_string().len(), 24);
        prop_assert_eq!(a.to_string().parse(), Ok(a));
        prop_assert_eq!(a.plus(b.since(a)), a.max(b));
    }

    #[test]
    fn a_window_holds_its_instant(millis in any_millis(), length in 1..100_000_000_000_u64) {
        let at = Timestamp::from_unix_millis(millis).unwrap();
        let start = at.window_start(Duration::from_millis(length));
        prop_assert!(start <= at && at.since(start) < Duration::from_millis(length));
        prop_assert_eq!(at.truncated_to_seconds(), at.window_start(Duration::from_secs(1)));
    }
}
