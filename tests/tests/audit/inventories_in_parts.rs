//! Audits by an inventory that are stopped, dropped or refused, and go on.

use std::time::Duration;

use daybook_reconciler::audit::{AuditError, AuditSettings, Checkpoint, Run};
use daybook_tests::s3::{Form, Inventory, Versioning};

use crate::inventories::{FORMS, assert_same};
use crate::world::{Audited, AuditedBucket, BUCKET, HOUR, MINUTE};

/// A bucket in which rows are open, gone and missing.
pub async fn mixed(versioning: Versioning) -> AuditedBucket {
    let world = AuditedBucket::new(versioning).await;
    let mut uploads = Vec::new();
    for n in 0..1100 {
        uploads.push(world.put(&format!("p{}/key {n:04}", n % 3), "1"));
        if n % 5 == 0 {
            uploads.push(world.put(&format!("p{}/key {n:04}", n % 3), "2"));
        }
    }
    world.notify(uploads.iter().step_by(3)).await;
    for n in (0..1100).step_by(7) {
        world.s3.delete(BUCKET, &format!("p{}/key {n:04}", n % 3));
    }
    if versioning == Versioning::Enabled {
        for upload in uploads.iter().step_by(9) {
            let id = upload.version.id.as_deref();
            world.s3.delete_version(BUCKET, &upload.key, id);
        }
    }
    world.pass(HOUR).await;
    world
}

fn stored(checkpoint: &Checkpoint) -> Checkpoint {
    let text = serde_json::to_string(checkpoint).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_audit_in_parts_finds_the_same_wherever_it_was_stopped() {
    for versioning in [Versioning::Never, Versioning::Enabled] {
        let world = mixed(versioning).await;
        let listed = world.audit().await;
        assert!(listed.checkpoint.gone > 50, "{:?}", listed.checkpoint.gone);
        for form in [Form::Csv, Form::Parquet(100), Form::Parquet(5000)] {
            let mut inventory = world.inventory(form, versioning);
            inventory.files = 3;
            let settings = world.by(&inventory);
            // 400 is within a file and on the border of a row group.
            for limit in [97, 400, 1000, 100_000] {
                let limit = Some(limit);
                let audit = world.audit_with(AuditSettings {
                    limit,
                    ..settings.clone()
                });
                let mut part = world.run_to_end(audit.begin().await.unwrap()).await;
                let mut findings = std::mem::take(&mut part.findings);
                while !part.checkpoint.is_complete {
                    let run = audit.go_on(stored(&part.checkpoint)).await.unwrap();
                    part = world.run_to_end(run).await;
                    findings.append(&mut part.findings);
                }
                let parts = Audited { findings, ..part };
                assert_same(&parts, &listed, &format!("{versioning:?} {form:?} {limit:?}"));
            }
        }
    }
}

/// Every boundary of two small files, and every row between.
#[tokio::test(start_paused = true)]
async fn an_audit_goes_on_behind_each_single_row() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let uploads: Vec<_> = (0..9).map(|n| world.put(&format!("{n}"), "x")).collect();
    world.notify(uploads.iter().skip(7)).await;
    world.s3.delete(BUCKET, "8");
    world.pass(HOUR).await;
    let listed = world.audit().await;
    for form in [Form::Csv, Form::Parquet(3)] {
        for files in [1, 2, 12] {
            let inventory = Inventory {
                files,
                ..world.inventory(form, Versioning::Never)
            };
            let settings = world.by(&inventory);
            for first in 1..=9 {
                let limited = AuditSettings {
                    limit: Some(first),
                    ..settings.clone()
                };
                let audit = world.audit_with(limited);
                let mut part = world.run_to_end(audit.begin().await.unwrap()).await;
                let mut findings = std::mem::take(&mut part.findings);
                let audit = world.audit_with(settings.clone());
                let run = audit.go_on(stored(&part.checkpoint)).await.unwrap();
                part = world.run_to_end(run).await;
                findings.append(&mut part.findings);
                assert_same(
                    &Audited { findings, ..part },
                    &listed,
                    &format!("{form:?} {files} {first}"),
                );
            }
        }
    }
}

/// Runs to the end though each call is dropped after a while, unless it is through by then.
async fn dropped_again_and_again(mut run: Run) -> Audited {
    let mut findings = Vec::new();
    let mut patience = Duration::from_millis(1);
    loop {
        match tokio::time::timeout(patience, run.next()).await {
            Err(_) => patience += Duration::from_millis(1),
            Ok(batch) => match batch.unwrap() {
                Some(batch) => {
                    findings.extend(batch.findings);
                    patience = Duration::from_millis(1);
                }
                None => break,
            },
        }
    }
    Audited {
        findings,
        checkpoint: run.checkpoint().clone(),
        progress: run.progress(),
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_calls_lose_no_row() {
    let world = mixed(Versioning::Never).await;
    let listed = world.audit().await;
    for form in FORMS {
        let mut inventory = world.inventory(form, Versioning::Never);
        inventory.files = 5;
        let run = world.audit_with(world.by(&inventory)).begin().await.unwrap();
        assert_same(&dropped_again_and_again(run).await, &listed, &format!("{form:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_had_at_once_is_asked_for_again() {
    let world = mixed(Versioning::Never).await;
    let listed = world.audit().await;
    let mut inventory = world.inventory(Form::Csv, Versioning::Never);
    inventory.files = 3;
    let mut run = world.audit_with(world.by(&inventory)).begin().await.unwrap();
    world.s3.fail_next("GetObject", [403, 403]);
    let (mut findings, mut failures) = (Vec::new(), 0);
    loop {
        match run.next().await {
            Ok(None) => break,
            Ok(Some(batch)) => findings.extend(batch.findings),
            Err(error) => {
                assert!(matches!(error, AuditError::Inventory(_)), "{error:?}");
                failures += 1;
            }
        }
    }
    let (checkpoint, progress) = (run.checkpoint().clone(), run.progress());
    let audited = Audited {
        findings,
        checkpoint,
        progress,
    };
    assert_eq!(failures, 2);
    assert_same(&audited, &listed, "after two refusals");
}

#[tokio::test(start_paused = true)]
async fn progress_knows_the_end() {
    let world = mixed(Versioning::Never).await;
    for form in FORMS {
        let mut inventory = world.inventory(form, Versioning::Never);
        inventory.files = 2;
        let mut run = world.audit_with(world.by(&inventory)).begin().await.unwrap();
        let bytes = run.inventory().unwrap().bytes;
        let mut read = 0;
        while run.next().await.unwrap().is_some() {
            let progress = run.progress().inventory.unwrap();
            assert_eq!((progress.files, progress.bytes), (2, bytes));
            assert!(progress.bytes_read >= read && progress.bytes_read <= bytes);
            read = progress.bytes_read;
        }
        assert_eq!(run.progress().inventory.unwrap().files_read, 2);
        assert_eq!(read, bytes);
        // Manifest, checksum, versioning, two files.
        assert_eq!(run.progress().list_requests, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_same_inventory_goes_on() {
    let world = mixed(Versioning::Never).await;
    let mut inventory = world.inventory(Form::Csv, Versioning::Never);
    inventory.files = 2;
    let settings = AuditSettings {
        limit: Some(10),
        ..world.by(&inventory)
    };
    let audit = world.audit_with(settings.clone());
    let checkpoint = world.run_to_end(audit.begin().await.unwrap()).await.checkpoint;
    let listed = world.audit_with(world.settings()).go_on(checkpoint.clone()).await;
    assert!(matches!(listed, Err(AuditError::OtherAudit)));
    world.pass(MINUTE).await;
    world.by(&world.inventory(Form::Csv, Versioning::Never));
    let refused = audit.go_on(checkpoint).await;
    assert!(matches!(refused, Err(AuditError::OtherAudit)));
    let limited = AuditSettings {
        limit: Some(10),
        ..world.settings()
    };
    let run = world.audit_with(limited).begin().await.unwrap();
    let checkpoint = world.run_to_end(run).await.checkpoint;
    let refused = audit.go_on(checkpoint).await;
    assert!(matches!(refused, Err(AuditError::OtherAudit)));
}
