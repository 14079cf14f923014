//! What an object is, from what was read of it: every class, and the edges between them.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use daybook_ledger::Lookup;
use daybook_reconciler::audit::{
    Class, Cuts, Evidence, Judgement, ListedObject, OpenRows, Scope, Unknown, Watermark, classify,
};
use daybook_schema::identity::{EventBasis, ObjectParts};
use daybook_schema::{
    Attempt, Kind, ObjectEvent, Origin, Outcome, Receipt, Row, Sequencer, SourceName, Timestamp,
};
use proptest::prelude::*;

const KEEP: Duration = Duration::from_secs(14 * 24 * 3600);
const A: &str = "0cc175b9c0f1b6a831c399e269772661";
const B: &str = "92eb5ffee6ae2fec3ad71c777531578f";

/// Milliseconds after the moment around which everything here happens: an hour before the audit.
fn at(millis: i64) -> Timestamp {
    let moment: Timestamp = "2026-11-21T12:00:00.000Z".parse().unwrap();
    Timestamp::from_unix_millis(moment.unix_millis() + millis).unwrap()
}

fn scope() -> Scope {
    Scope {
        source: SourceName::default(),
        bucket: "data".parse().unwrap(),
        prefix: String::new(),
    }
}

fn cuts() -> Cuts {
    Cuts {
        settled_until: Some(at(45 * 60_000)),
        drained_until: Some(at(45 * 60_000)),
        installed_at: Some(at(-86_400_000)),
        receipts_keep: KEEP,
        now: at(3_600_000),
    }
}

fn event(version: Option<&str>, etag: Option<&str>, time: Option<Timestamp>, n: u64) -> ObjectEvent {
    let scope = scope();
    let key = "key".parse().unwrap();
    let sequencer: Sequencer = format!("{n:016X}").parse().unwrap();
    let parts = ObjectParts {
        source: &scope.source,
        bucket: &scope.bucket,
        key: &key,
        version_id: version,
        kind: &Kind::Created,
    };
    ObjectEvent {
        id: parts.event_id(EventBasis::Sequencer {
            sequencer: &sequencer,
            etag,
        }),
        source: scope.source.clone(),
        bucket: scope.bucket.clone(),
        key: key.clone(),
        version_id: version.map(Into::into),
        kind: Kind::Created,
        etag: etag.map(Into::into),
        size: Some(1),
        sequencer: Some(sequencer),
        event_name: "ObjectCreated:Put".into(),
        event_time: time,
        region: None,
        origin: Origin::Notification,
        general: None,
    }
}

fn listed(version: Option<&str>, etag: Option<&str>, last_modified: Timestamp) -> ListedObject {
    ListedObject {
        key: "key".parse().unwrap(),
        version_id: version.map(Into::into),
        etag: etag.map(Into::into),
        size: Some(1),
        last_modified,
        is_latest: true,
    }
}

fn receipt(event: &ObjectEvent, outcome: Outcome) -> Lookup<Receipt> {
    let receipt = Receipt::new(event, Attempt(1), outcome, "test".into(), None, at(0), KEEP);
    Lookup::Found(Box::new(receipt))
}

fn done(event: &ObjectEvent) -> Lookup<Receipt> {
    receipt(event, Outcome::Succeeded)
}

fn judge_by(
    cuts: &Cuts,
    object: &ListedObject,
    open: &[&ObjectEvent],
    receipt: &Lookup<Receipt>,
) -> Judgement {
    let row = |event: &&ObjectEvent| Row::recorded((*event).clone(), 5, None, at(0));
    let rows = OpenRows::of(open.iter().map(row).collect(), &scope(), at(0));
    let evidence = Evidence {
        rows: rows.about("key", object.version_id.as_deref()),
        receipt,
        unreadable_rows: 0,
        may_be_parked: false,
    };
    classify(object, evidence, cuts)
}

fn judge(object: &ListedObject, open: &[&ObjectEvent], receipt: &Lookup<Receipt>) -> Judgement {
    judge_by(&cuts(), object, open, receipt)
}

fn is(class: Class) -> Judgement {
    Judgement::Is(class)
}

fn is_open(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Is(Class::Open(_)))
}

/// One event of the key against an object listed with etag A at second 0: its etag and time; and what the object is when the
/// event is done, and when it is open.
#[test]
fn an_event_is_about_this_upload_or_another() {
    #[derive(Debug, PartialEq)]
    enum About {
        This,
        Another,
        Newer,
        Undated,
    }
    use About::*;
    let cases = [
        (Some(A), Some(0), This),
        (Some(A), Some(999), This),
        (Some(A), Some(1000), This),
        (Some(A), Some(3_600_000), This),
        (Some(A), Some(-1), Another),
        (Some(A), Some(-60_000), Another),
        (Some(B), Some(-1), Another),
        (Some(B), Some(0), Another),
        (Some(B), Some(999), Another),
        (Some(B), Some(1000), Newer),
        (Some(B), None, Another),
        (Some(A), None, Undated),
        (None, None, Undated),
        (None, Some(0), Undated),
        (None, Some(1000), Undated),
        (None, Some(-1), Another),
    ];
    // Listings of some servers have milliseconds. Nothing depends on them.
    for listed_at in [0, 1, 999] {
        let object = listed(None, Some(A), at(listed_at));
        for (etag, time, about) in &cases {
            let event = event(None, *etag, time.map(at), 1);
            let when_done = judge(&object, &[], &done(&event));
            let when_open = judge(&object, &[&event], &Lookup::Absent);
            let undated = Class::Unknown {
                cause: Unknown::Undated(event.id),
            };
            match about {
                This => {
                    assert_eq!(when_done, is(Class::Done), "{etag:?} {time:?}");
                    assert!(is_open(&when_open), "{etag:?} {time:?}");
                }
                Another => {
                    assert_eq!(when_done, is(Class::Missing), "{etag:?} {time:?}");
                    assert_eq!(when_open, is(Class::Missing), "{etag:?} {time:?}");
                }
                Newer => {
                    assert_eq!(when_done, Judgement::IfUnchanged(Class::Missing));
                    assert_eq!(when_open, Judgement::IfUnchanged(Class::Missing));
                }
                Undated => {
                    assert_eq!(when_done, is(undated.clone()), "{etag:?} {time:?}");
                    assert_eq!(when_open, is(undated), "{etag:?} {time:?}");
                }
            }
        }
    }
}

#[test]
fn a_version_is_known_by_its_id_alone() {
    let object = listed(Some("v1"), Some(A), at(0));
    for (etag, time) in [(Some(A), Some(at(0))), (Some(B), Some(at(-5000))), (None, None)] {
        let same = event(Some("v1"), etag, time, 1);
        assert_eq!(judge(&object, &[], &done(&same)), is(Class::Done));
        assert!(is_open(&judge(&object, &[&same], &Lookup::Absent)));
        let other = event(Some("v2"), etag, time, 1);
        assert_eq!(judge(&object, &[&other], &Lookup::Absent), is(Class::Missing));
        let none = event(None, etag, time, 1);
        assert_eq!(judge(&object, &[&none], &Lookup::Absent), is(Class::Missing));
    }
}

#[test]
fn an_etag_of_several_parts_is_an_etag() {
    let etag = "9b2cf535f27731c974343645a3985328-3";
    // Listed by the time at which it began, done hours later.
    let object = listed(None, Some(etag), at(0));
    let ended = event(None, Some(etag), Some(at(2_000_000)), 1);
    assert_eq!(judge(&object, &[], &done(&ended)), is(Class::Done));
    let other_parts = event(None, Some("9b2cf535f27731c974343645a3985328-4"), Some(at(0)), 1);
    assert_eq!(judge(&object, &[], &done(&other_parts)), is(Class::Missing));
}

#[test]
fn after_a_b_a_only_an_event_of_the_last_a_counts() {
    let object = listed(None, Some(A), at(20_000));
    let first = event(None, Some(A), Some(at(0)), 1);
    let between = event(None, Some(B), Some(at(10_000)), 2);
    let last = event(None, Some(A), Some(at(20_000)), 3);
    // First done, B open: the last A is missing. And the other ways around.
    assert_eq!(judge(&object, &[&between], &done(&first)), is(Class::Missing));
    assert_eq!(judge(&object, &[&first], &done(&between)), is(Class::Missing));
    assert_eq!(
        judge(&object, &[&first, &between], &Lookup::Absent),
        is(Class::Missing)
    );
    let open = judge(&object, &[&first, &between, &last], &Lookup::Absent);
    assert!(matches!(open, Judgement::Is(Class::Open(state)) if state.event_id == last.id));
    assert_eq!(judge(&object, &[&first, &between], &done(&last)), is(Class::Done));
}

#[test]
fn done_comes_before_open_and_open_before_taken_out() {
    let object = listed(None, Some(A), at(0));
    let one = event(None, Some(A), Some(at(0)), 1);
    let other = event(None, Some(A), Some(at(0)), 2);
    assert_eq!(judge(&object, &[&other], &done(&one)), is(Class::Done));
    let removed = receipt(&one, Outcome::Removed);
    assert!(is_open(&judge(&object, &[&other], &removed)));
    assert_eq!(judge(&object, &[], &removed), is(Class::Removed));
    // Taken out was an older upload.
    let newer = listed(None, Some(A), at(1000));
    assert_eq!(judge(&newer, &[], &removed), is(Class::Missing));
}

#[test]
fn too_new_is_what_may_have_been_written_within_the_grace() {
    let cut = 45 * 60_000;
    let too_new = |millis| judge(&listed(None, Some(A), at(millis)), &[], &Lookup::Absent);
    assert_eq!(too_new(cut - 1001), is(Class::Missing));
    assert_eq!(too_new(cut - 1000), is(Class::Missing));
    assert_eq!(
        too_new(cut - 999),
        is(Class::Missing),
        "the second ends at the cut"
    );
    assert_eq!(too_new(cut), is(Class::TooNew));
    assert_eq!(
        too_new(cut + 86_400_000),
        is(Class::TooNew),
        "a clock ahead of ours"
    );
    // Done and open are known at once.
    let object = listed(None, Some(A), at(cut));
    let event = event(None, Some(A), Some(at(cut)), 1);
    assert_eq!(judge(&object, &[], &done(&event)), is(Class::Done));
    assert!(is_open(&judge(&object, &[&event], &Lookup::Absent)));
    let endless = Cuts {
        settled_until: None,
        ..cuts()
    };
    let old = listed(None, Some(A), at(-1_000_000));
    assert_eq!(judge_by(&endless, &old, &[], &Lookup::Absent), is(Class::TooNew));
}

#[test]
fn what_may_wait_in_the_intake_is_not_missing() {
    let until = 20 * 60_000;
    let drained = Cuts {
        drained_until: Some(at(until)),
        ..cuts()
    };
    let never = Cuts {
        drained_until: None,
        ..cuts()
    };
    let judged = |cuts: &Cuts, millis| {
        let object = listed(None, Some(A), at(millis));
        judge_by(cuts, &object, &[], &Lookup::Absent)
    };
    assert_eq!(judged(&drained, until - 1000), is(Class::Missing));
    assert_eq!(judged(&drained, until), is(Class::MayWait), "within that second");
    assert_eq!(judged(&drained, 44 * 60_000), is(Class::MayWait));
    assert_eq!(judged(&drained, 45 * 60_000), is(Class::TooNew));
    assert_eq!(judged(&never, 0), is(Class::MayWait));
    // What is known of it comes first.
    let event = event(None, Some(A), Some(at(until)), 1);
    let object = listed(None, Some(A), at(until));
    assert_eq!(judge_by(&never, &object, &[], &done(&event)), is(Class::Done));
    assert!(is_open(&judge_by(&never, &object, &[&event], &Lookup::Absent)));
    let unread = Lookup::Unknown("throttled".into());
    let unknown = Unknown::Receipt("throttled".into());
    assert_eq!(
        judge_by(&never, &object, &[], &unread),
        is(Class::Unknown { cause: unknown })
    );
    let uninstalled = Cuts {
        installed_at: None,
        ..never
    };
    let reason = Watermark::BeforeInstallation;
    assert_eq!(judged(&uninstalled, until), is(Class::BeforeWatermark { reason }));
}

#[test]
fn before_the_watermark_is_what_need_not_have_left_a_trace() {
    let before = |reason| is(Class::BeforeWatermark { reason });
    let judged =
        |cuts: &Cuts, millis| judge_by(cuts, &listed(None, Some(A), at(millis)), &[], &Lookup::Absent);
    let installed = Cuts {
        installed_at: Some(at(500)),
        ..cuts()
    };
    assert_eq!(judged(&installed, -1), before(Watermark::BeforeInstallation));
    assert_eq!(judged(&installed, 0), is(Class::Missing), "the same second");
    let never = Cuts {
        installed_at: None,
        ..cuts()
    };
    assert_eq!(judged(&never, 0), before(Watermark::BeforeInstallation));
    let short = Cuts {
        receipts_keep: Duration::from_secs(3600),
        ..cuts()
    };
    assert_eq!(judged(&short, 0), before(Watermark::BeforeReceipts));
    assert_eq!(judged(&short, 1000), is(Class::Missing));
    // A receipt that is still there counts.
    let old = event(None, Some(A), Some(at(0)), 1);
    let object = listed(None, Some(A), at(0));
    assert_eq!(judge_by(&short, &object, &[], &done(&old)), is(Class::Done));
}

#[test]
fn unknown_is_neither_missing_nor_before_the_watermark_nor_done() {
    let never = Cuts {
        installed_at: None,
        ..cuts()
    };
    let unread = Lookup::Unknown("throttled".into());
    for cuts in [&cuts(), &never] {
        let object = listed(None, Some(A), at(0));
        let unknown = |cause| is(Class::Unknown { cause });
        let judged = judge_by(cuts, &object, &[], &unread);
        assert_eq!(judged, unknown(Unknown::Receipt("throttled".into())));
        let evidence = Evidence {
            rows: &[],
            receipt: &Lookup::Absent,
            unreadable_rows: 2,
            may_be_parked: false,
        };
        assert_eq!(
            classify(&object, evidence, cuts),
            unknown(Unknown::UnreadableRows(2))
        );
        let evidence = Evidence {
            unreadable_rows: 0,
            may_be_parked: true,
            ..evidence
        };
        assert_eq!(classify(&object, evidence, cuts), unknown(Unknown::ParkedPayload));
    }
    // What a row proves needs no receipt, and what is too new needs nothing.
    let open = event(None, Some(A), Some(at(0)), 1);
    assert!(is_open(&judge(&listed(None, Some(A), at(0)), &[&open], &unread)));
    assert_eq!(
        judge(&listed(None, Some(A), at(3_600_000)), &[], &unread),
        is(Class::TooNew)
    );
    // An object without an etag: older events are older all the same.
    let bare = listed(None, None, at(0));
    assert_eq!(judge(&bare, &[], &Lookup::Absent), is(Class::Missing));
    let older = event(None, Some(A), Some(at(-1000)), 1);
    assert_eq!(judge(&bare, &[], &done(&older)), is(Class::Missing));
    assert!(matches!(
        judge(&bare, &[], &done(&open)),
        Judgement::Is(Class::Unknown { .. })
    ));
}

/// What became of one upload's notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lost,
    Open,
    Done,
}

fn histories() -> impl Strategy<Value = Vec<(u8, i64, Fate)>> {
    let fate = prop_oneof![Just(Fate::Lost), Just(Fate::Open), Just(Fate::Done)];
    proptest::collection::vec((0..3_u8, 0..2500_i64, fate), 1..7)
}

proptest! {
    /// A key is uploaded some times, with few contents and short pauses. The last upload is what is listed.
    #[test]
    fn a_key_with_a_history_is_what_became_of_its_last_upload(history in histories()) {
        let mut millis = 0;
        let mut uploads = Vec::new();
        for (n, (content, pause, fate)) in history.iter().enumerate() {
            millis += pause;
            let etag = format!("{content:032x}");
            uploads.push((event(None, Some(&etag), Some(at(millis)), n as u64 + 1), *fate));
        }
        let of_fate = |fate| uploads.iter().filter(move |upload| upload.1 == fate).map(|upload| &upload.0);
        let (last, fate) = uploads.last().unwrap();
        let newest_done = of_fate(Fate::Done).next_back();
        let receipt = newest_done.map_or(Lookup::Absent, done);
        let open: Vec<&ObjectEvent> = of_fate(Fate::Open).collect();
        let second = at(millis).truncated_to_seconds();
        let object = listed(None, last.etag.as_deref(), second);
        let judged = judge(&object, &open, &receipt);

        // Nobody can tell apart two uploads of one content in one second.
        let is_alike = |event: &&ObjectEvent| event.etag == last.etag && event.event_time >= Some(second);
        let expected_done = newest_done.filter(is_alike).is_some();
        match judged {
            Judgement::Is(Class::Done) => prop_assert!(expected_done),
            Judgement::Is(Class::Open(state)) => {
                prop_assert!(!expected_done);
                prop_assert!(open.iter().any(|event| event.id == state.event_id && is_alike(event)));
            }
            Judgement::Is(Class::Missing) => {
                prop_assert!(*fate == Fate::Lost);
                prop_assert!(!expected_done && !open.iter().any(is_alike));
            }
            other => prop_assert!(false, "{other:?}"),
        }
        match fate {
            Fate::Done => prop_assert!(expected_done),
            Fate::Open | Fate::Lost => {}
        }
    }
}

#[test]
fn why_an_object_is_unknown_is_said_in_words() {
    let id = event(None, Some(A), None, 1).id;
    let said = [
        Unknown::Receipt("throttled".into()),
        Unknown::Undated(id),
        Unknown::UnreadableRows(2),
        Unknown::ParkedPayload,
        Unknown::Head("denied".into()),
    ]
    .map(|unknown| unknown.to_string());
    assert_eq!(said[0], "its receipt cannot be read: throttled");
    assert!(said[1].contains(&id.to_string()), "{}", said[1]);
    assert!(
        said[2].starts_with("2 rows of the ledger cannot be read"),
        "{}",
        said[2]
    );
    assert!(said[3].contains("parked payload"), "{}", said[3]);
    assert_eq!(said[4], "S3 does not say what it is now: denied");
}
