//! What an audit asks for and no more: pages, and looks at objects.

use daybook_reconciler::audit::{AuditSettings, Marker};
use daybook_tests::s3::{Form, Versioning};

use crate::world::{AuditedBucket, BUCKET, HOUR};

/// So many objects, of which nobody was told but of the last, an hour ago.
async fn bucket(versioning: Versioning, objects: usize) -> AuditedBucket {
    let world = AuditedBucket::new(versioning).await;
    let mut last = None;
    for n in 0..objects {
        last = Some(world.put(&format!("key {n:04}"), "x"));
    }
    world.notify(&last).await;
    world.pass(HOUR).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_limit_asks_for_no_page_and_looks_at_no_row_behind_it() {
    let world = bucket(Versioning::Never, 2_500).await;
    let settings = AuditSettings {
        limit: Some(500),
        ..world.settings()
    };
    let mut run = world.audit_with(settings).begin().await.unwrap();
    let batch = run.next().await.unwrap().unwrap();
    assert_eq!((batch.objects, batch.findings.len()), (500, 500));
    assert_eq!(run.next().await.unwrap(), None);
    let progress = run.progress();
    assert_eq!(progress.list_requests, 2, "GetBucketVersioning and a page");
    assert_eq!((progress.listed, progress.head_requests), (500, 0));
    assert!(!run.checkpoint().is_complete);
}

#[tokio::test(start_paused = true)]
async fn a_row_is_looked_for_in_the_whole_listing_before_its_object_is_looked_at() {
    let world = bucket(Versioning::Never, 2_500).await;
    let audited = world.audit().await;
    let progress = audited.progress;
    assert_eq!((progress.list_requests, progress.head_requests), (4, 0));
    let tally = audited.checkpoint.tally;
    assert_eq!((tally.missing, tally.open), (2_499, 1));
}

#[tokio::test(start_paused = true)]
async fn an_audit_whose_limit_is_the_number_of_objects_is_complete() {
    for (limit, is_complete) in [(2, false), (3, true), (4, true)] {
        let world = bucket(Versioning::Never, 3).await;
        let settings = AuditSettings {
            limit: Some(limit),
            ..world.settings()
        };
        let run = world.audit_with(settings).begin().await.unwrap();
        let checkpoint = world.run_to_end(run).await.checkpoint;
        assert_eq!(checkpoint.tally.objects, limit.min(3));
        assert_eq!(checkpoint.is_complete, is_complete, "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn versions_are_listed_where_there_are_any() {
    for (versioning, is_by_version) in [(Versioning::Never, false), (Versioning::Suspended, true)] {
        let world = bucket(versioning, 3).await;
        let limited = AuditSettings {
            limit: Some(2),
            ..world.settings()
        };
        let run = world.audit_with(limited).begin().await.unwrap();
        assert_eq!(run.is_by_version(), is_by_version, "{versioning:?}");
        let audited = world.run_to_end(run).await;
        let Some(Marker::Key(marker)) = audited.checkpoint.marker else {
            panic!("{:?}", audited.checkpoint);
        };
        let version_id = is_by_version.then_some("null");
        assert_eq!(
            (marker.key.as_str(), marker.version_id.as_deref()),
            ("key 0001", version_id)
        );
        let inventory = world.inventory(Form::Csv, versioning);
        let run = world.audit_with(world.by(&inventory)).begin().await.unwrap();
        assert_eq!(run.is_by_version(), is_by_version, "{versioning:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_inventory_says_nothing_of_rows_within_the_grace_before_it() {
    for (millis, gone) in [(-1, 0), (0, 0), (1, 1)] {
        let world = AuditedBucket::new(Versioning::Never).await;
        let upload = world.put("gone", "x");
        world.notify([&upload]).await;
        world.s3.delete(BUCKET, "gone");
        let grace = i64::try_from(world.settings().grace.as_millis()).unwrap();
        let at = daybook_schema::Timestamp::from_unix_millis(upload.at + grace + millis).unwrap();
        world.pass(HOUR).await;
        let mut inventory = world.inventory(Form::Csv, Versioning::Never);
        inventory.at = at;
        let audited = world.audit_by(world.by(&inventory)).await;
        assert_eq!(audited.checkpoint.gone, gone, "{millis} ms after the grace");
    }
}
