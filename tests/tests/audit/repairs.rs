//! Repairs, and what happens while an audit or a repair is under way.

use daybook_reconciler::audit::{Repair, Repaired};
use daybook_schema::Origin;
use daybook_tests::Fault;
use daybook_tests::s3::Versioning;

use crate::world::{AuditedBucket, BUCKET, DAY, HOUR, MINUTE};

/// A world with one key, never notified, an hour old.
async fn one_lost(versioning: Versioning) -> (AuditedBucket, crate::world::Uploaded) {
    let world = AuditedBucket::new(versioning).await;
    world.pass(MINUTE).await;
    let lost = world.put("lost", "A");
    world.pass(HOUR).await;
    (world, lost)
}

fn only(outcomes: Vec<(daybook_reconciler::audit::ListedObject, Repaired)>) -> Repaired {
    assert_eq!(outcomes.len(), 1);
    outcomes.into_iter().next().unwrap().1
}

#[tokio::test(start_paused = true)]
async fn a_repaired_object_becomes_an_event_that_covers_its_late_notification() {
    for versioning in [Versioning::Never, Versioning::Enabled] {
        let (world, lost) = one_lost(versioning).await;
        let missing = world.audit().await.of_class("missing");
        world.repair(missing, Repair::Missing).await;
        let rows = world.stage.rows().await;
        let event = rows.values().next().unwrap().event().unwrap().clone();
        assert_eq!(event.version_id, lost.version.id);
        assert_eq!(
            (event.etag.clone(), event.size),
            (lost.version.etag.clone(), Some(1))
        );
        assert_eq!(event.event_name, "ObjectCreated:Listed");
        let Origin::Listing { covers_until } = event.origin else {
            panic!("{event:?}");
        };
        let seconds = world.stage.now().since(covers_until).as_secs();
        assert!((1..=3).contains(&seconds), "{seconds}");
        world.drain().await;

        let receipt = world.stage.receipt(&lost.event()).await.unwrap();
        assert!(receipt.covers(&lost.event()));
        let executions = world.executions();
        world.notify([&lost]).await;
        assert_eq!(world.stage.rows().await.len(), 0);
        assert_eq!(world.executions(), executions);
        // A newer upload of the same content is an event of its own.
        world.pass(MINUTE).await;
        let newer = world.put("lost", "A");
        world.notify([&newer]).await;
        assert_eq!(world.stage.rows().await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_notification_that_comes_before_the_repair_is_what_is_run() {
    let (world, lost) = one_lost(Versioning::Never).await;
    let mut run = world.audit_with(world.settings()).begin().await.unwrap();
    // After the rows were read: the audit cannot know.
    world.notify([&lost]).await;
    let batch = run.next().await.unwrap().unwrap();
    assert_eq!(batch.findings.len(), 1);
    assert_eq!(run.checkpoint().tally.missing, 1);
    let missing = one_lost(Versioning::Never)
        .await
        .0
        .audit()
        .await
        .of_class("missing");
    let (counts, outcomes) = world.repair(missing, Repair::Missing).await;
    assert_eq!(counts.recorded, 0);
    assert_eq!(only(outcomes), Repaired::AlreadyThere);
    assert_eq!(world.stage.rows().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_changed_or_went_since_is_not_recorded() {
    let (world, _) = one_lost(Versioning::Never).await;
    let missing = world.audit().await.of_class("missing");
    world.put("lost", "B");
    let (_, outcomes) = world.repair(missing.clone(), Repair::Missing).await;
    assert_eq!(only(outcomes), Repaired::Changed);
    // The same content again is another upload.
    world.pass(MINUTE).await;
    world.put("lost", "A");
    let (_, outcomes) = world.repair(missing.clone(), Repair::Missing).await;
    assert_eq!(only(outcomes), Repaired::Changed);
    world.s3.delete(BUCKET, "lost");
    let (_, outcomes) = world.repair(missing, Repair::Missing).await;
    assert_eq!(only(outcomes), Repaired::Gone);
    assert_eq!(world.stage.rows().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_older_version_is_repaired_under_its_own_id() {
    let (world, lost) = one_lost(Versioning::Enabled).await;
    let newer = world.put("lost", "B");
    world.notify([&newer]).await;
    world.drain().await;
    world.s3.delete(BUCKET, "lost");
    world.pass(HOUR).await;
    let missing = world.audit().await.of_class("missing");
    assert_eq!(missing[0].version_id, lost.version.id);
    assert!(!missing[0].is_latest);
    let (counts, _) = world.repair(missing, Repair::Missing).await;
    assert_eq!(counts.recorded, 1);
    world.drain().await;
    assert_eq!(world.audit().await.checkpoint.tally.done, 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_at_or_written_is_not_safe() {
    let (world, _) = one_lost(Versioning::Never).await;
    let missing = world.audit().await.of_class("missing");
    world.s3.fail_next("HeadObject", [403]);
    let (_, outcomes) = world.repair(missing.clone(), Repair::Missing).await;
    assert!(matches!(only(outcomes), Repaired::NotSafe { cause } if cause.contains("403")));
    world
        .stage
        .wire
        .inject_always("BatchExecuteStatement", Fault::AnswerLost);
    let (counts, _) = world.repair(missing.clone(), Repair::Missing).await;
    assert_eq!(counts.not_safe, 1);
    world.stage.wire.heal();
    // It was written all the same, and is found.
    let (counts, outcomes) = world.repair(missing, Repair::Missing).await;
    assert_eq!(counts.already_there, 1);
    assert_eq!(only(outcomes), Repaired::AlreadyThere);
    assert_eq!(world.stage.rows().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_repairs_at_once_record_once() {
    let (world, _) = one_lost(Versioning::Never).await;
    let missing = world.audit().await.of_class("missing");
    world.stage.wire.with_latency(3);
    let (one, two) = futures::join!(
        world.repair(missing.clone(), Repair::Missing),
        world.repair(missing, Repair::Missing)
    );
    assert_eq!(one.0.recorded + two.0.recorded, 1);
    assert_eq!(one.0.already_there + two.0.already_there, 1);
    assert_eq!(world.stage.rows().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_overwritten_while_its_page_waits_has_changed() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.pass(MINUTE).await;
    let uploads: Vec<_> = (0..1500).map(|n| world.put(&format!("{n:04}"), "A")).collect();
    world.notify(&uploads).await;
    world.drain().await;
    world.pass(HOUR).await;
    let mut run = world.audit_with(world.settings()).begin().await.unwrap();
    // The second page is listed while the first is judged.
    run.next().await.unwrap();
    world.pass(MINUTE).await;
    let newer = world.put("1200", "B");
    world.notify([&newer]).await;
    world.drain().await;
    let batch = run.next().await.unwrap().unwrap();
    assert_eq!(batch.findings.len(), 1);
    let tally = run.checkpoint().tally;
    assert_eq!((tally.done, tally.changed, tally.missing), (1499, 1, 0));
    assert_eq!(run.progress().head_requests, 1);
}

#[tokio::test(start_paused = true)]
async fn an_upload_in_parts_that_ended_after_a_newer_one_is_missing() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.pass(MINUTE).await;
    let began = world.stage.now();
    world.pass(HOUR).await;
    let between = world.put("key", "B");
    world.notify([&between]).await;
    world.drain().await;
    world.pass(HOUR).await;
    let parts = world.s3.put_in_parts(BUCKET, "key", "A", began);
    let parts = world.uploaded("key", parts);
    world.pass(HOUR).await;
    // Its receipt is newer than what the listing says of the object; a look tells that it is the object all the same.
    let audited = world.audit().await;
    assert_eq!(audited.checkpoint.tally.missing, 1);
    assert_eq!(audited.progress.head_requests, 1);
    // Notified, it is open and then done, by an event later than its last modification.
    world.notify([&parts]).await;
    assert_eq!(world.audit().await.checkpoint.tally.open, 1);
    world.drain().await;
    assert_eq!(world.audit().await.checkpoint.tally.done, 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_done_during_the_audit_is_seen_once_or_as_done() {
    let (world, lost) = one_lost(Versioning::Never).await;
    world.notify([&lost]).await;
    let mut run = world.audit_with(world.settings()).begin().await.unwrap();
    world.drain().await;
    run.next().await.unwrap();
    let tally = run.checkpoint().tally;
    assert_eq!((tally.done, tally.objects), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_upload_during_a_long_audit_is_too_new_though_it_is_old_when_it_is_judged() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.pass(MINUTE).await;
    world.put("a", "A");
    world.pass(HOUR).await;
    let mut run = world.audit_with(world.settings()).begin().await.unwrap();
    let during = world.put("b", "A");
    world.notify([&during]).await;
    world.pass(HOUR).await;
    let batch = run.next().await.unwrap().unwrap();
    let tally = run.checkpoint().tally;
    assert_eq!((tally.missing, tally.too_new), (1, 1), "{batch:?}");
}

#[tokio::test(start_paused = true)]
async fn what_receipts_do_not_reach_is_before_the_watermark() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.pass(MINUTE).await;
    let done = world.put("done", "A");
    world.notify([&done]).await;
    world.drain().await;
    world.pass(15 * DAY).await;
    world.put("lost", "A");
    world.pass(HOUR).await;
    let audited = world.audit().await;
    // The receipt has expired; whether it is deleted yet is up to DynamoDB.
    let classes: Vec<_> = audited.classes().into_values().collect();
    assert!(
        classes == ["before", "missing"] || classes == ["missing"],
        "{classes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_person_took_out_is_not_repaired() {
    let (world, lost) = one_lost(Versioning::Never).await;
    world.notify([&lost]).await;
    let id = lost.event().id;
    world
        .stage
        .ledger
        .remove(id, "a person", "not wanted")
        .await
        .unwrap();
    let audited = world.audit().await;
    assert_eq!(audited.checkpoint.tally.removed, 1);
    let objects = audited.of_class("removed");
    let (_, outcomes) = world.repair(objects, Repair::Missing).await;
    assert_eq!(only(outcomes), Repaired::Removed);
}
