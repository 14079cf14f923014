//! What is not known is called unknown, never missing and never done.

use daybook_reconciler::audit::{AuditError, Class, Finding, Repair, Unknown};
use daybook_schema::{Row, SourceName};
use daybook_tests::rows::row_item;
use daybook_tests::s3::Versioning;
use daybook_tests::{Fault, Stage, StageOptions};

use crate::world::{Audited, AuditedBucket, HOUR};

fn causes(audited: &Audited) -> Vec<(String, Unknown)> {
    let cause = |finding: &Finding| match finding {
        Finding::Object {
            object,
            class: Class::Unknown { cause },
        } => Some((object.key.to_string(), cause.clone())),
        _ => None,
    };
    audited.findings.iter().filter_map(cause).collect()
}

#[tokio::test(start_paused = true)]
async fn with_receipts_off_nothing_is_reported_and_nothing_repaired() {
    let mut world = AuditedBucket::new(Versioning::Never).await;
    world.put("key", "1");
    world.pass(HOUR).await;
    let missing = world.audit().await.of_class("missing");
    world.stage = Stage::new(StageOptions {
        receipts: None,
        ..StageOptions::default()
    })
    .await;
    let refused = world.audit_with(world.settings()).begin().await;
    assert!(matches!(refused, Err(AuditError::ReceiptsOff)));
    let deadline = world.stage.deadline();
    let refused = world.repairer().repair(missing, Repair::Missing, deadline).await;
    assert!(matches!(refused, Err(AuditError::ReceiptsOff)));
    assert_eq!(world.stage.rows().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_a_row_cannot_be_read_nothing_is_called_missing() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.put("before", "1");
    let (done, open) = (world.put("done", "1"), world.put("open", "1"));
    world.put("lost", "1");
    world.notify([&done]).await;
    world.drain().await;
    world.notify([&open]).await;
    let newer = world.put("newer", "1").event();
    let mut item = row_item(&Row::recorded(newer, 5, None, world.stage.now()));
    item["v"] = serde_json::json!({ "N": "99" });
    world.stage.put_items("ledger", vec![item]);
    world.pass(HOUR).await;

    let audited = world.audit().await;
    let unknown = Unknown::UnreadableRows(1);
    let expected = ["before", "lost", "newer"].map(|key| (key.to_owned(), unknown.clone()));
    assert_eq!(causes(&audited), expected);
    let tally = audited.checkpoint.tally;
    assert_eq!((tally.done, tally.open, tally.missing), (1, 1, 0));
    let run = world.audit_with(world.settings()).begin().await.unwrap();
    assert_eq!((run.open_rows().rows, run.open_rows().unreadable), (2, 1));
    assert!(run.open_rows().causes[0].contains("99"), "{:?}", run.open_rows());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_a_parked_payload_seems_to_name_may_be_open() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.put("devices/reading 4711.json", "1");
    world.put("devices/reading 4712.json", "1");
    let payload = r#"{"Records":[{"what":"no S3 event","s3":{"bucket":{"name":"data"},
        "object":{"key":"devices/reading+4711.json"}}]}"#;
    let row = Row::unreadable(
        &SourceName::default(),
        payload.into(),
        "no".into(),
        None,
        world.stage.now(),
    );
    world.stage.put_rows([&row]);
    world.pass(HOUR).await;
    let audited = world.audit().await;
    // "reading" and "devices" are the longest runs of both keys: one payload puts both in doubt.
    assert_eq!(causes(&audited).len(), 2);
    assert_eq!(causes(&audited)[0].1, Unknown::ParkedPayload);

    let world = AuditedBucket::new(Versioning::Never).await;
    world.put("sensors/measurement.json", "1");
    world.stage.put_rows([&row]);
    world.pass(HOUR).await;
    let audited = world.audit().await;
    assert_eq!(audited.of_class("missing").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn receipts_that_cannot_be_read_leave_objects_unknown() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let (done, open) = (world.put("done", "1"), world.put("open", "1"));
    world.put("lost", "1");
    world.notify([&done]).await;
    world.drain().await;
    world.notify([&open]).await;
    world.pass(HOUR).await;
    let mut run = world.audit_with(world.settings()).begin().await.unwrap();
    world.stage.wire.inject_always("BatchGetItem", Fault::Throttled);
    let batch = run.next().await.unwrap().unwrap();
    let tally = run.checkpoint().tally;
    assert_eq!((tally.open, tally.unknown, tally.objects), (1, 2, 3), "{batch:?}");
    world.stage.wire.heal();

    // One lost answer is retried.
    world
        .stage
        .wire
        .inject_next("BatchGetItem", [Fault::NotSent, Fault::AnswerLost]);
    let tally = world.audit().await.checkpoint.tally;
    assert_eq!((tally.done, tally.open, tally.missing), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_audit_does_not_begin_on_a_ledger_that_it_cannot_read() {
    let world = AuditedBucket::new(Versioning::Never).await;
    for operation in ["Scan", "GetItem", "BatchGetItem"] {
        world.stage.wire.inject_always(operation, Fault::Throttled);
        let refused = world.audit_with(world.settings()).begin().await;
        assert!(matches!(refused, Err(AuditError::Ledger(_))), "{operation}");
        world.stage.wire.heal();
    }
}
