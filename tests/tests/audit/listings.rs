//! What is listed, at what cost, and what a listing survives.

use std::time::Duration;

use daybook_reconciler::audit::{AuditSettings, Repair, Versions};
use daybook_tests::s3::{Synthetic, Version, Versioning};

use crate::world::{AuditedBucket, BUCKET, HOUR, MINUTE};

const HOSTILE: [&str; 17] = [
    "a b",
    "a+b",
    "a%20b",
    "a%2Bb",
    "%",
    "/leading",
    "double//slash",
    "../up/./here",
    "ends/",
    "é/ü/日本語/🗒",
    "<key>&amp;\"'</key>",
    "line\nbreak\tand\r\u{1}\u{7f}",
    "?versions&list-type=2#x",
    "a=b&c;d:e@f,g!h*i'(j)",
    "\u{feff}bom",
    "back\\slash",
    "trailing ",
];

#[tokio::test(start_paused = true)]
async fn hostile_keys_are_the_same_in_notification_listing_and_head() {
    for versioning in [Versioning::Never, Versioning::Enabled] {
        let world = AuditedBucket::new(versioning).await;
        let uploads: Vec<_> = HOSTILE.iter().map(|key| world.put(key, "1")).collect();
        let long = "k/".repeat(511);
        world.put(&long, "1");
        world.notify(&uploads).await;
        world.drain().await;
        world.pass(HOUR).await;
        let audited = world.audit().await;
        assert_eq!(audited.checkpoint.tally.done, 17);
        let missing = audited.of_class("missing");
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].key.as_str(), long);

        // And the same when all of them are looked at one by one.
        let late = AuditedBucket::new(versioning).await;
        for key in HOSTILE {
            late.put(key, "1");
        }
        late.pass(HOUR).await;
        let missing = late.audit().await.of_class("missing");
        let (counts, _) = late.repair(missing, Repair::Missing).await;
        assert_eq!(counts.recorded, 17, "{counts:?}");
        late.drain().await;
        assert_eq!(late.audit().await.checkpoint.tally.done, 17);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_objects_cost_one_listing_and_ten_reads() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let uploads: Vec<_> = (0..3000).map(|n| world.put(&format!("key {n}"), "1")).collect();
    world.notify(&uploads).await;
    world.drain().await;
    world.pass(HOUR).await;
    let before = (world.s3.requests(), world.stage.wire.operations());
    let audited = world.audit().await;
    assert_eq!(audited.checkpoint.tally.done, 3000);
    let s3 =
        |operation| world.s3.requests().get(operation).unwrap_or(&0) - before.0.get(operation).unwrap_or(&0);
    let dynamodb = |operation: &str| {
        world.stage.wire.operations().get(operation).unwrap_or(&0) - before.1.get(operation).unwrap_or(&0)
    };
    assert_eq!(
        (
            s3("GetBucketVersioning"),
            s3("ListObjectsV2"),
            s3("ListObjectVersions"),
            s3("HeadObject")
        ),
        (1, 3, 0, 0)
    );
    // One BatchGetItem asks whether the receipts table is there at all, one GetItem when the ledger was installed.
    assert_eq!(
        (dynamodb("BatchGetItem"), dynamodb("GetItem"), dynamodb("Scan")),
        (31, 1, 1)
    );
    let progress = audited.progress;
    assert_eq!(
        (progress.listed, progress.list_requests, progress.head_requests),
        (3000, 4, 0)
    );
    assert_eq!(progress.ledger.requests, 33);
    assert!((progress.requests_per_thousand() - 37.0 / 3.0).abs() < 1e-9);
    assert!(progress.objects_per_second() > 0.0);
    assert_eq!(progress.time_left(3000), Some(Duration::ZERO));
    // Half a read unit per receipt, and little else.
    assert!(progress.ledger.read_units < 1510.0, "{progress:?}");
}

#[tokio::test(start_paused = true)]
async fn more_versions_than_a_page_holds_are_all_listed_once() {
    let world = AuditedBucket::new(Versioning::Enabled).await;
    for n in 0..2500 {
        world.put(if n % 2 == 0 { "many" } else { "more" }, &format!("{n}"));
    }
    world.s3.delete(BUCKET, "many");
    world.pass(HOUR).await;
    let audited = world.audit().await;
    assert_eq!(audited.checkpoint.tally.missing, 2500);
    assert_eq!(audited.classes().len(), 2500);
    assert_eq!(world.s3.requests()["ListObjectVersions"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_fails_goes_on_where_it_was() {
    let world = AuditedBucket::new(Versioning::Never).await;
    for n in 0..2500 {
        world.put(&format!("key {n}"), "1");
    }
    world.pass(HOUR).await;
    let mut run = world.audit_with(world.settings()).begin().await.unwrap();
    let mut failures = 0;
    let mut findings = 0;
    // The SDK tries three times; a listing that is refused or unanswered so often fails the call, or the look ahead.
    let mut faults = [503, 0, 500, 503].into_iter();
    loop {
        let status = faults.next().filter(|_| failures < 3);
        world
            .s3
            .fail_next("ListObjectsV2", status.map_or(vec![], |status| vec![status; 3]));
        match run.next().await {
            Ok(Some(batch)) => findings += batch.findings.len(),
            Ok(None) => break,
            Err(_) => failures += 1,
        }
    }
    assert!(failures >= 2, "{failures}");
    assert_eq!((findings, run.checkpoint().tally.missing), (2500, 2500));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_loses_and_doubles_nothing() {
    let world = AuditedBucket::new(Versioning::Never).await;
    for n in 0..3500 {
        world.put(&format!("key {n}"), "1");
    }
    world.notify([&world.put("key gone", "1")]).await;
    world.s3.delete(BUCKET, "key gone");
    world.pass(HOUR).await;
    world.stage.wire.with_latency(7);
    let mut run = world.audit_with(world.settings()).begin().await.unwrap();
    let mut findings = 0;
    let mut patience = 1;
    loop {
        match tokio::time::timeout(Duration::from_millis(patience), run.next()).await {
            Err(_) => patience += 1,
            Ok(Ok(Some(batch))) => {
                findings += batch.findings.len();
                patience = 1;
            }
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(run.checkpoint().tally.missing, 3500);
    assert_eq!((findings, run.checkpoint().gone), (3501, 1));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_does_not_say_whether_it_has_versions_must_be_told() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.put("key", "1");
    world.pass(HOUR).await;
    world.s3.fail_next("GetBucketVersioning", [403]);
    let error = world.audit_with(world.settings()).begin().await.unwrap_err();
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("GetBucketVersioning")
    );
    let mut settings = world.settings();
    settings.versions = Versions::All;
    let run = world.audit_with(settings.clone()).begin().await.unwrap();
    assert_eq!(world.run_to_end(run).await.checkpoint.tally.missing, 1);
    settings.versions = Versions::Never;
    let run = world.audit_with(settings).begin().await.unwrap();
    assert_eq!(world.run_to_end(run).await.checkpoint.tally.missing, 1);
}

#[tokio::test(start_paused = true)]
async fn only_objects_of_the_prefix_and_the_time_are_judged() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.put("a/1", "1");
    world.pass(HOUR).await;
    let since = world.stage.now();
    world.put("a/2", "1");
    world.put("b/2", "1");
    world.pass(MINUTE).await;
    let until = world.stage.now();
    world.put("a/3", "1");
    world.pass(HOUR).await;
    let mut settings = world.settings();
    settings.scope.prefix = "a/".into();
    settings.since = Some(since);
    settings.until = Some(until);
    let run = world.audit_with(settings).begin().await.unwrap();
    let audited = world.run_to_end(run).await;
    let keys: Vec<_> = audited.classes().into_keys().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a/2"]);
    assert_eq!(
        (audited.checkpoint.outside, audited.checkpoint.tally.objects),
        (2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_put_by_the_sdk_is_listed_with_the_etag_that_the_sdk_was_told() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let put = world.s3.client().put_object().bucket(BUCKET).key("a b+c");
    let answer = put.body(b"content".to_vec().into()).send().await.unwrap();
    world.pass(HOUR).await;
    let missing = world.audit().await.of_class("missing");
    assert_eq!(missing.len(), 1);
    assert_eq!(
        Some(format!("\"{}\"", missing[0].etag.as_ref().unwrap())),
        answer.e_tag
    );
    assert_eq!(missing[0].size, Some(7));
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_told_to_who_asks() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let done = world.put("done", "1");
    world.notify([&done]).await;
    world.drain().await;
    world.put("missing", "2");
    world.pass(HOUR).await;
    let settings = AuditSettings {
        tells_done: true,
        ..world.settings()
    };
    let run = world.audit_with(settings).begin().await.unwrap();
    let audited = world.run_to_end(run).await;
    assert_eq!(audited.of_class("done").len(), 1);
    assert_eq!(audited.of_class("missing").len(), 1);
    assert_eq!(world.audit().await.of_class("done").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_synthetic_bucket_is_listed_like_any_other() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let at = world.stage.now();
    let object = move |n: u64| {
        let version = Version {
            id: None,
            etag: Some(format!("{n:032x}")),
            size: 1024,
            last_modified: at,
        };
        (format!("devices/{:02}/{n:09}", n / 1000), version)
    };
    world.s3.create_synthetic(BUCKET, Synthetic::new(4500, object));
    world.pass(HOUR).await;
    let mut settings = world.settings();
    settings.max_lines = 3;
    settings.depth = 2;
    settings.limit = Some(2500);
    let audit = world.audit_with(settings);
    let first = world.run_to_end(audit.begin().await.unwrap()).await;
    let rest = world
        .run_to_end(audit.go_on(first.checkpoint).await.unwrap())
        .await;
    assert_eq!(rest.checkpoint.tally.missing, 4500);
    assert_eq!(rest.checkpoint.statement.lines().count(), 3);
    assert_eq!(rest.checkpoint.statement.others().missing, 1500);
}
