//! Open rows whose objects are not in the bucket.

use daybook_reconciler::audit::Finding;
use daybook_tests::s3::Versioning;

use crate::world::{AuditedBucket, BUCKET, HOUR};

#[tokio::test(start_paused = true)]
async fn an_open_row_whose_object_was_deleted_is_told_and_stays() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let uploads: Vec<_> = ["a", "b", "c", "z"].map(|key| world.put(key, "1")).into();
    world.notify(&uploads).await;
    world.s3.delete(BUCKET, "b");
    world.s3.delete(BUCKET, "z");
    world.pass(HOUR).await;
    let audited = world.audit().await;
    assert_eq!(audited.gone(), ["b", "z"]);
    assert_eq!((audited.checkpoint.gone, audited.checkpoint.tally.open), (2, 2));
    assert_eq!(audited.progress.head_requests, 2);
    assert_eq!(world.stage.rows().await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_version_is_gone_when_it_was_deleted_and_not_when_it_is_hidden() {
    let world = AuditedBucket::new(Versioning::Enabled).await;
    let hidden = world.put("hidden", "1");
    let deleted = world.put("deleted", "1");
    let stays = world.put("deleted", "2");
    world.notify([&hidden, &deleted, &stays]).await;
    world.s3.delete(BUCKET, "hidden");
    world
        .s3
        .delete_version(BUCKET, "deleted", deleted.version.id.as_deref());
    world.pass(HOUR).await;
    let audited = world.audit().await;
    assert_eq!(audited.gone(), ["deleted"]);
    assert_eq!(audited.checkpoint.tally.open, 2);
}

#[tokio::test(start_paused = true)]
async fn what_s3_does_not_say_is_not_told_as_certain() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.notify([&world.put("a", "1")]).await;
    world.s3.delete(BUCKET, "a");
    world.pass(HOUR).await;
    world.s3.fail_next("HeadObject", [403]);
    let audited = world.audit().await;
    let [Finding::Gone { unconfirmed, .. }] = &audited.findings[..] else {
        panic!("{:?}", audited.findings);
    };
    assert!(unconfirmed.as_ref().unwrap().contains("403"), "{unconfirmed:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_of_other_prefixes_and_times_are_nobodys_business() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world
        .notify([&world.put("a/1", "1"), &world.put("b/1", "1")])
        .await;
    world.s3.delete(BUCKET, "a/1");
    world.s3.delete(BUCKET, "b/1");
    world.pass(HOUR).await;
    let mut settings = world.settings();
    settings.scope.prefix = "a/".into();
    let run = world.audit_with(settings.clone()).begin().await.unwrap();
    assert_eq!(world.run_to_end(run).await.gone(), ["a/1"]);
    settings.since = Some(world.stage.now());
    let run = world.audit_with(settings).begin().await.unwrap();
    assert_eq!(world.run_to_end(run).await.gone(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn findings_are_flat_json() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.put("a", "1");
    world.notify([&world.put("b", "1"), &world.put("c", "1")]).await;
    world.s3.delete(BUCKET, "c");
    world.pass(HOUR).await;
    let findings = serde_json::to_value(world.audit().await.findings).unwrap();
    assert_eq!(findings[0]["finding"], "object");
    assert_eq!(
        (&findings[0]["key"], &findings[0]["class"]),
        (&"a".into(), &"missing".into())
    );
    assert_eq!(findings[1]["class"], "open");
    assert_eq!(findings[1]["attempt"], 0);
    assert!(findings[1]["since"].is_string());
    assert_eq!(
        (&findings[2]["finding"], &findings[2]["key"]),
        (&"gone".into(), &"c".into())
    );
    assert!(findings[2]["unconfirmed"].is_null());
}
