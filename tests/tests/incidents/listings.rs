//! Listings that are taken for an order of time.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_reconciler::audit::{
    Audit, AuditSettings, Checkpoint, Class, Finding, ListedObject, Repair, Repaired, Repairer, Scope,
};
use daybook_schema::{SourceName, Timestamp};
use daybook_tests::notifications::Upload;
use daybook_tests::s3::Versioning;
use daybook_tests::{S3, Stage};

use crate::{MINUTE, drain};

const BUCKET: &str = "data";
const HOUR: Duration = Duration::from_secs(3600);

/// A stage whose ledger is installed, and a bucket.
async fn world() -> (Stage, S3) {
    let stage = Stage::usual().await;
    let elsewhere = Upload {
        bucket: "elsewhere".into(),
        ..Upload::new("installation", 0, "e")
    };
    stage.ingest_all(&[elsewhere.notification()]).await;
    drain(&stage, HOUR).await;
    let s3 = S3::new(stage.clock.clone());
    s3.create_bucket(BUCKET, Versioning::Never);
    (stage, s3)
}

fn settings(limit: Option<u64>) -> AuditSettings {
    let scope = Scope {
        source: SourceName::default(),
        bucket: BUCKET.parse().unwrap(),
        prefix: String::new(),
    };
    AuditSettings {
        limit,
        ..AuditSettings::new(scope)
    }
}

/// The missing objects that an audit finds in parts of at most so many.
async fn missing(stage: &Stage, s3: &S3, limit: Option<u64>) -> Vec<ListedObject> {
    let audit = Audit::new(s3.client(), stage.ledger.clone(), settings(limit));
    let mut missing = Vec::new();
    let mut checkpoint: Option<Checkpoint> = None;
    loop {
        let mut run = match checkpoint {
            None => audit.begin().await.unwrap(),
            Some(checkpoint) => audit.go_on(checkpoint).await.unwrap(),
        };
        while let Some(batch) = run.next().await.unwrap() {
            for finding in batch.findings {
                match finding {
                    Finding::Object {
                        object,
                        class: Class::Missing,
                    } => missing.push(object),
                    other => panic!("{other:?}"),
                }
            }
        }
        if run.checkpoint().is_complete {
            return missing;
        }
        checkpoint = Some(run.checkpoint().clone());
    }
}

async fn repair(stage: &Stage, s3: &S3, objects: Vec<ListedObject>) {
    let repairer = Repairer::new(s3.client(), stage.ledger.clone(), settings(None), 5);
    let done = repairer.repair(objects, Repair::Missing, stage.deadline()).await;
    for (object, outcome) in done.unwrap() {
        assert_eq!(outcome, Repaired::Recorded, "{}", object.key);
    }
}

fn keys(objects: &[ListedObject]) -> Vec<String> {
    objects.iter().map(|object| object.key.to_string()).collect()
}

/// Files were listed by the time they were last modified, and whatever was not newer than the last one read counted as read. S3's
/// times are whole seconds, so what else was uploaded in that second was never read.
///
/// <https://github.com/logstash-plugins/logstash-input-s3/issues/244>
#[tokio::test(start_paused = true)]
async fn a_file_of_a_second_that_was_audited_before_is_found_all_the_same() {
    let (stage, s3) = world().await;
    stage.pass(MINUTE).await;
    let second = stage.now();
    for key in ["b", "d", "f"] {
        s3.put_at(BUCKET, key, key, second);
    }
    stage.pass(HOUR).await;
    let found = missing(&stage, &s3, None).await;
    assert_eq!(keys(&found), ["b", "d", "f"]);
    repair(&stage, &s3, found).await;
    drain(&stage, HOUR).await;
    assert_eq!(keys(&missing(&stage, &s3, None).await), [""; 0]);

    // Long uploads end now, and are listed by the second in which they began: before, between and after the others.
    for key in ["a", "c", "e", "g"] {
        s3.put_in_parts(BUCKET, key, key, second);
    }
    let newer = Timestamp::from_unix_millis(second.unix_millis() + 1000).unwrap();
    s3.put_at(BUCKET, "h", "h", newer);
    let found = missing(&stage, &s3, None).await;
    assert_eq!(keys(&found), ["a", "c", "e", "g", "h"]);
    repair(&stage, &s3, found).await;
    drain(&stage, HOUR).await;
    assert_eq!(keys(&missing(&stage, &s3, None).await), [""; 0]);
    assert_eq!(stage.execution_names().len(), 1 + 8);
}

/// The same within one audit that goes on where it stopped, in the middle of a second.
///
/// <https://github.com/logstash-plugins/logstash-input-s3/issues/244>
#[tokio::test(start_paused = true)]
async fn an_audit_that_stops_in_the_middle_of_a_second_goes_on_with_the_same_second() {
    const FILES: usize = 1200;
    let (stage, s3) = world().await;
    stage.pass(MINUTE).await;
    let second = stage.now();
    for n in 0..FILES {
        s3.put_at(BUCKET, &format!("part-{n:05}"), "x", second);
    }
    stage.pass(HOUR).await;
    for limit in [None, Some(100), Some(1000)] {
        let found = missing(&stage, &s3, limit).await;
        let different: BTreeSet<String> = keys(&found).into_iter().collect();
        assert_eq!((found.len(), different.len()), (FILES, FILES), "{limit:?}");
    }
}
