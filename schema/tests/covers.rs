//! When a receipt proves that an event needs no processing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use daybook_schema::identity::{EventBasis, Sent};
use daybook_schema::{Attempt, Kind, ObjectEvent, Origin, Outcome, Receipt, Sequencer, Timestamp};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_795_219_200_000 + second * 1000).unwrap()
}

/// An event of the object `data/a`: its place in the key's order if it has a sequencer, its second, and its etag.
fn event(sequencer: Option<u64>, second: i64, etag: &str) -> ObjectEvent {
    let sequencer: Option<Sequencer> = sequencer.map(|n| format!("{n:016X}").parse().unwrap());
    let mut event = ObjectEvent {
        id: "00000000-0000-0000-0000-000000000000".parse().unwrap(),
        source: "aws".parse().unwrap(),
        bucket: "data".parse().unwrap(),
        key: "a".parse().unwrap(),
        version_id: None,
        kind: Kind::Created,
        etag: Some(etag.into()),
        size: Some(1),
        sequencer,
        event_name: "ObjectCreated:Put".into(),
        event_time: Some(at(second)),
        region: None,
        origin: Origin::Notification,
        general: None,
    };
    identify(&mut event);
    event
}

/// Gives the event the id that goes with what it is.
fn identify(event: &mut ObjectEvent) {
    let time = event.event_time.unwrap_or(at(0));
    let text = time.to_string();
    let basis = match (&event.origin, &event.sequencer) {
        (Origin::Replay { nonce }, _) => EventBasis::Replay { nonce },
        (Origin::Listing { .. }, _) => EventBasis::Listing {
            etag: event.etag.as_deref(),
            last_modified: time,
        },
        (Origin::Notification, Some(sequencer)) => EventBasis::Sequencer {
            sequencer,
            etag: event.etag.as_deref(),
        },
        (Origin::Notification, None) => EventBasis::Sent(Sent {
            time: Some(&text),
            etag: event.etag.as_deref(),
            size: event.size,
            ..Sent::default()
        }),
    };
    event.id = event.object_parts().event_id(basis);
}

fn listing(second: i64, etag: &str, covers_until: i64) -> ObjectEvent {
    let mut event = event(None, second, etag);
    event.origin = Origin::Listing {
        covers_until: at(covers_until),
    };
    identify(&mut event);
    event
}

fn replay(of: &ObjectEvent, nonce: &str) -> ObjectEvent {
    let mut event = of.clone();
    event.origin = Origin::Replay { nonce: nonce.into() };
    identify(&mut event);
    event
}

fn changed(mut event: ObjectEvent, change: impl FnOnce(&mut ObjectEvent)) -> ObjectEvent {
    change(&mut event);
    identify(&mut event);
    event
}

fn receipt(event: &ObjectEvent, outcome: Outcome) -> Receipt {
    let keep = Duration::from_secs(14 * 24 * 3600);
    Receipt::new(event, Attempt(1), outcome, "test".into(), None, at(1000), keep)
}

fn done(event: &ObjectEvent) -> Receipt {
    receipt(event, Outcome::Succeeded)
}

#[test]
fn with_comparable_sequencers_on_both_only_their_order_counts() {
    let middle = done(&event(Some(5), 50, "x"));
    assert!(middle.covers(&event(Some(5), 50, "x")), "the same event");
    assert!(middle.covers(&event(Some(4), 40, "x")), "an older one");
    assert!(
        middle.covers(&event(Some(4), 60, "y")),
        "an older one, whatever its time and content"
    );
    assert!(!middle.covers(&event(Some(6), 60, "y")), "a newer one");
    assert!(
        !middle.covers(&event(Some(6), 50, "x")),
        "a newer one of the same content in the same second"
    );
    assert!(
        !middle.covers(&event(Some(6), 40, "x")),
        "a newer one with an earlier clock"
    );
}

#[test]
fn without_a_sequencer_on_one_side_the_etag_must_match_and_the_event_be_strictly_earlier() {
    let pairs = [
        (event(None, 50, "x"), None),
        (event(Some(5), 50, "x"), None),
        (event(None, 50, "x"), Some(9)),
    ];
    for (processed, asked) in pairs {
        let receipt = done(&processed);
        assert!(receipt.covers(&event(asked, 49, "x")), "earlier, same content");
        assert!(!receipt.covers(&event(asked, 49, "y")), "earlier, other content");
        let longer = changed(event(asked, 49, "x"), |event| event.size = Some(2));
        assert!(!receipt.covers(&longer), "earlier, of another size");
        assert!(
            !receipt.covers(&event(asked, 51, "x")),
            "later, same content: uploaded again"
        );
        let same_second = changed(event(asked, 50, "x"), |event| {
            event.region = Some("eu-west-1".into())
        });
        if same_second.id != processed.id {
            assert!(!receipt.covers(&same_second), "not strictly earlier");
        }
    }
}

/// A server that sends a constant; or an example of the documentation that is not known for one.
#[test]
fn an_equal_sequencer_covers_no_other_content() {
    let receipt = done(&event(Some(5), 50, "x"));
    for second in [40, 50, 60] {
        assert!(!receipt.covers(&event(Some(5), second, "y")), "{second}");
        let unknown = changed(event(Some(5), second, "x"), |event| event.etag = None);
        assert!(!receipt.covers(&unknown), "{second}: no etag");
    }
}

/// A bucket that moved from one kind of server to another: what the new one sends is not older for its other digits.
#[test]
fn sequencers_of_different_kinds_of_servers_give_no_order() {
    let of = |sequencer: &str, second, etag| {
        let sequencer: Sequencer = sequencer.parse().unwrap();
        changed(event(None, second, etag), |event| {
            event.sequencer = Some(sequencer)
        })
    };
    let (aws, minio, ceph) = ("0069601A256BF73578", "1879B2F6C1D0A300", "6B006E8000000007");
    for (done_by, asked_of) in [(ceph, minio), (ceph, aws), (minio, aws)] {
        let receipt = done(&of(done_by, 50, "x"));
        assert!(
            !receipt.covers(&of(asked_of, 60, "y")),
            "{done_by} {asked_of}: a new upload"
        );
        assert!(
            !receipt.covers(&of(asked_of, 60, "x")),
            "{done_by} {asked_of}: and a new one again"
        );
        assert!(
            receipt.covers(&of(asked_of, 49, "x")),
            "{done_by} {asked_of}: by time and etag"
        );
    }
}

#[test]
fn without_sequencers_the_same_event_is_covered_by_its_id() {
    let processed = event(None, 50, "x");
    assert!(done(&processed).covers(&processed));
    let no_time = changed(event(None, 0, "x"), |event| {
        event.event_time = None;
        event.etag = None;
    });
    assert!(done(&no_time).covers(&no_time));
}

#[test]
fn an_event_without_an_etag_or_a_time_is_covered_only_by_its_own_receipt() {
    let processed = event(None, 50, "x");
    assert!(!done(&processed).covers(&changed(event(None, 40, "x"), |event| event.etag = None)));
    let timeless = ObjectEvent {
        event_time: None,
        ..event(Some(4), 40, "x")
    };
    assert!(!done(&processed).covers(&timeless));
    let without_etag = changed(event(None, 50, "x"), |event| event.etag = None);
    let earlier = changed(event(None, 40, "x"), |event| event.etag = None);
    assert!(
        !done(&without_etag).covers(&earlier),
        "two unknown contents are not the same content"
    );
}

#[test]
fn a_listings_receipt_covers_uploads_of_its_content_up_to_the_listing() {
    let receipt = done(&listing(50, "x", 90));
    assert!(receipt.covers(&event(Some(7), 89, "x")));
    assert!(!receipt.covers(&event(Some(7), 90, "x")), "strictly before");
    assert!(!receipt.covers(&event(Some(7), 60, "y")), "other content");
    assert!(
        receipt.covers(&listing(50, "x", 99)),
        "the same object listed again is the same event"
    );
}

#[test]
fn a_notifications_receipt_covers_a_listing_of_an_earlier_upload_only() {
    let receipt = done(&event(Some(7), 50, "x"));
    assert!(receipt.covers(&listing(49, "x", 90)));
    assert!(!receipt.covers(&listing(51, "x", 90)));
}

#[test]
fn a_receipt_never_covers_another_object_or_another_kind_of_event() {
    let processed = event(Some(5), 50, "x");
    let receipt = done(&processed);
    let older = event(Some(4), 40, "x");
    assert!(receipt.covers(&older));
    let others: [fn(&mut ObjectEvent); 5] = [
        |event| event.key = "b".parse().unwrap(),
        |event| event.bucket = "data2".parse().unwrap(),
        |event| event.source = "minio".parse().unwrap(),
        |event| event.version_id = Some("v".into()),
        |event| event.kind = Kind::Removed,
    ];
    for other in others {
        let other = changed(older.clone(), other);
        assert!(!receipt.covers(&other), "{other:?}");
    }
}

#[test]
fn a_receipt_of_a_removal_covers_its_own_event_and_no_other() {
    let removed = event(Some(5), 50, "x");
    let receipt = receipt(&removed, Outcome::Removed);
    assert!(receipt.covers(&removed));
    assert!(!receipt.covers(&event(Some(4), 40, "x")));
    assert!(!receipt.covers(&event(None, 40, "x")));
}

#[test]
fn a_replay_is_covered_by_its_own_receipt_only() {
    let processed = event(Some(5), 50, "x");
    let once_more = replay(&processed, "ticket-1");
    assert!(!done(&processed).covers(&once_more));
    assert!(!done(&event(Some(9), 90, "x")).covers(&once_more));
    assert!(
        done(&once_more).covers(&once_more),
        "asked for twice with one nonce is one replay"
    );
    assert!(!done(&once_more).covers(&replay(&processed, "ticket-2")));
    assert!(
        done(&once_more).covers(&processed),
        "processed later, so the older event is done"
    );
}

fn any_event() -> impl Strategy<Value = ObjectEvent> {
    // Few values, so that equal ones meet.
    let etag = prop::sample::select(vec!["x", "y"]);
    (prop::option::of(0u64..4), 0i64..4, etag, 0u8..3, 0i64..6).prop_map(
        |(sequencer, second, etag, origin, until)| match origin {
            0 => event(sequencer, second, etag),
            1 => listing(second, etag, second + until),
            _ => replay(&event(sequencer, second, etag), &until.to_string()),
        },
    )
}

fn sequenced() -> impl Strategy<Value = ObjectEvent> {
    (0u64..20, 0i64..4, prop::sample::select(vec!["x", "y"]))
        .prop_map(|(n, second, etag)| event(Some(n), second, etag))
}

proptest! {
    #[test]
    fn a_receipt_covers_the_event_that_it_was_made_from(event in any_event(), removed: bool) {
        let outcome = if removed { Outcome::Removed } else { Outcome::Succeeded };
        prop_assert!(receipt(&event, outcome).covers(&event));
    }

    #[test]
    fn no_receipt_of_another_event_covers_a_replay(processed in any_event(), asked in any_event()) {
        if matches!(asked.origin, Origin::Replay { .. }) && asked.id != processed.id {
            prop_assert!(!done(&processed).covers(&asked));
        }
    }

    #[test]
    fn a_removal_covers_no_other_event(processed in any_event(), asked in any_event()) {
        let covers = receipt(&processed, Outcome::Removed).covers(&asked);
        prop_assert_eq!(covers, processed.id == asked.id);
    }

    #[test]
    fn coverage_is_transitive_where_all_have_sequencers(a in sequenced(), b in sequenced(), c in sequenced()) {
        if done(&a).covers(&b) && done(&b).covers(&c) {
            prop_assert!(done(&a).covers(&c));
        }
    }

    #[test]
    fn of_two_events_with_sequencers_the_newer_covers_the_older_and_not_the_reverse(a in sequenced(), b in sequenced()) {
        let (covers, covered) = (done(&a).covers(&b), done(&b).covers(&a));
        let is_one = a.sequencer == b.sequencer;
        prop_assert_eq!(covers || covered, !is_one || a.etag == b.etag);
        prop_assert_eq!(covers && covered, is_one && a.etag == b.etag);
    }

    #[test]
    fn what_happened_at_or_after_a_receipts_time_is_covered_only_by_a_sequencer_or_an_id(
        processed in any_event(), asked in any_event()
    ) {
        let receipt = done(&processed);
        let both = receipt.sequencer.is_some() && asked.sequencer.is_some();
        if !both && asked.id != processed.id && asked.event_time >= receipt.order_at {
            prop_assert!(!receipt.covers(&asked));
        }
    }
}
