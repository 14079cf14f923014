//! A re-upload is always processed, a duplicate notification never, whatever became of the first.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use daybook_ledger::Recorded;
use daybook_local::ExecutionStatus;
use daybook_manager::Payload;
use daybook_schema::{Attempt, EventId, ExecutionInput, Status};
use daybook_tests::notifications::Upload;
use daybook_tests::{Stage, StageOptions};
use serde_json::json;

/// What became of the first upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Pending,
    /// Its message waits in the queue.
    Claimed,
    Running,
    Parked,
    Done,
}

const FIRSTS: [First; 5] = [
    First::Pending,
    First::Claimed,
    First::Running,
    First::Parked,
    First::Done,
];

async fn bring(stage: &Stage, upload: &Upload, to: First) {
    ingest(stage, upload.notification()).await;
    if to == First::Pending {
        return;
    }
    stage.schedule().await;
    if to == First::Claimed {
        return;
    }
    stage.invoke_all().await;
    match to {
        First::Parked => {
            let name = stage.execution_names()[0].parse().unwrap();
            // The execution ends, and its attempt can never succeed.
            stage.fail_running();
            stage.lose_status_events();
            stage
                .ledger
                .park(name, None, "no", stage.deadline())
                .await
                .unwrap();
        }
        First::Done => {
            stage.succeed_running();
            stage.complete_all().await;
        }
        _ => {}
    }
    let status = stage.row(upload.event().id).await.map(|row| row.status);
    let expected = match to {
        First::Done => None,
        First::Parked => Some(Status::Parked),
        _ => Some(Status::Claimed),
    };
    assert_eq!(status, expected);
}

async fn ingest(stage: &Stage, body: String) -> Recorded {
    let payload = Payload {
        body,
        ..Payload::default()
    };
    let mut ingested = stage
        .ingest()
        .ingest(&[payload], stage.deadline())
        .await
        .remove(0);
    assert_eq!((ingested.rows.len(), ingested.unreadable), (1, 0));
    ingested.rows.remove(0)
}

/// Lets everything run to its end, parked rows redriven, sweeps included.
async fn finish(stage: &Stage) {
    for row in stage.rows().await.values() {
        if row.status == Status::Parked {
            stage.ledger.redrive(row.id, 5, stage.deadline()).await.unwrap();
        }
    }
    for _ in 0..20 {
        stage.schedule().await;
        stage.invoke_all().await;
        stage.succeed_running();
        stage.complete_all().await;
        stage.sweep().await;
        stage.pass(Duration::from_secs(60)).await;
    }
    let rows = stage.rows().await;
    assert!(rows.is_empty(), "{rows:?}");
}

/// The executions of that event, oldest first.
fn executions(stage: &Stage, id: EventId) -> Vec<(ExecutionStatus, ExecutionInput)> {
    let all = stage.aws.executions().all();
    all.iter()
        .filter(|execution| execution.name.starts_with(&id.to_string()))
        .map(|execution| (execution.status, serde_json::from_str(&execution.input).unwrap()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_re_upload_is_processed_in_its_own_row_and_execution_whatever_became_of_the_first() {
    let first = Upload::new("a b/한글.json", 1, "etag-1");
    let second = [
        Upload::new("a b/한글.json", 2, "etag-1"),
        Upload::new("a b/한글.json", 2, "etag-2"),
    ];
    for to in FIRSTS {
        for second in &second {
            let stage = Stage::usual().await;
            bring(&stage, &first, to).await;
            let before = stage.rows().await.len();
            assert_eq!(
                ingest(&stage, second.notification()).await,
                Recorded::Recorded,
                "{to:?}"
            );
            assert_eq!(stage.rows().await.len(), before + 1, "{to:?}: a row of its own");
            finish(&stage).await;
            let [(status, input)] = &executions(&stage, second.event().id)[..] else {
                panic!("{to:?}: not one execution");
            };
            assert_eq!(*status, ExecutionStatus::Succeeded, "{to:?}");
            assert_eq!(input.etag.as_deref(), Some(second.etag.as_str()), "{to:?}");
            let (status, input) = executions(&stage, first.event().id).pop().unwrap();
            assert_eq!(
                status,
                ExecutionStatus::Succeeded,
                "{to:?}: the first one is processed too"
            );
            assert_eq!(input.etag.as_deref(), Some("etag-1"));
            let receipt = stage.receipt(&first.event()).await.unwrap();
            assert_eq!(
                receipt.event_id,
                second.event().id,
                "{to:?}: the newest receipt stays"
            );
        }
    }
}

/// One event as every way of delivery brings it.
fn forms(upload: &Upload) -> [(&'static str, String); 4] {
    let sns = json!({
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:uploads", "Message": upload.notification(),
        "Timestamp": "2026-11-21T00:00:05.000Z", "SignatureVersion": "1", "Signature": "EXAMPLE",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/x.pem", "UnsubscribeURL": "https://example.com",
    });
    let lower = upload.notification().replace("0062E99A88DC", "0062e99a88dc");
    [
        ("notification", upload.notification()),
        ("EventBridge", upload.event_bridge()),
        ("SNS", sns.to_string()),
        ("lower case", lower),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_notification_makes_no_second_row_and_no_second_execution() {
    for upload in [
        Upload::new("a+b c.json", 1, "e"),
        Upload::new("a+b c.json", 1, "e").without_sequencer(),
    ] {
        for to in FIRSTS {
            let stage = Stage::usual().await;
            bring(&stage, &upload, to).await;
            let (rows, runs) = (stage.rows().await, stage.execution_names());
            for (form, body) in forms(&upload) {
                let expected = match to {
                    First::Done => Recorded::Covered,
                    _ => Recorded::AlreadyThere,
                };
                assert_eq!(ingest(&stage, body).await, expected, "{form} while {to:?}");
                assert_eq!(stage.rows().await, rows, "{form} while {to:?}");
            }
            finish(&stage).await;
            let after = stage.execution_names();
            let expected = match to {
                // The redrive is a new attempt; the duplicates add none.
                First::Parked => 2,
                _ => 1,
            };
            assert_eq!(after.len(), expected, "{to:?}: {runs:?}, then {after:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_that_no_receipt_covers_finds_its_execution_closed_and_runs_nothing() {
    let options = StageOptions {
        receipts: None,
        ..StageOptions::default()
    };
    let stage = Stage::new(options).await;
    let upload = Upload::new("a.json", 1, "e");
    bring(&stage, &upload, First::Done).await;
    stage.pass(Duration::from_secs(3600)).await;
    assert_eq!(ingest(&stage, upload.event_bridge()).await, Recorded::Recorded);
    finish(&stage).await;
    assert_eq!(stage.execution_names().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_recorded_again_after_all_its_attempts_failed_runs_under_new_names() {
    let stage = Stage::usual().await;
    let upload = Upload::new("a.json", 1, "e");
    ingest(&stage, upload.notification()).await;
    for _ in 0..5 {
        stage.schedule().await;
        stage.invoke_all().await;
        assert_eq!(stage.fail_running(), 1);
        stage.complete_all().await;
        stage.pass(Duration::from_secs(3600)).await;
    }
    let id = upload.event().id;
    assert_eq!(stage.row(id).await.unwrap().status, Status::Parked);
    // Gone without a receipt, as if the table had been restored from before the event.
    stage
        .ledger
        .delete_done(&stage.row(id).await.unwrap())
        .await
        .unwrap();
    stage.pass(Duration::from_secs(3600)).await;
    assert_eq!(ingest(&stage, upload.notification()).await, Recorded::Recorded);
    for _ in 0..6 {
        stage.schedule().await;
        stage.invoke_all().await;
        stage.pass(Duration::from_secs(3600)).await;
    }
    let runs = executions(&stage, id);
    assert_eq!(runs.len(), 6, "five old ones, and a new attempt that runs");
    assert_eq!(
        (runs[5].0, runs[5].1.attempt),
        (ExecutionStatus::Running, Attempt(6))
    );
    let row = stage.row(id).await.unwrap();
    assert_eq!(
        (row.attempt, row.max_attempts),
        (Attempt(6), 10),
        "the replayed attempts cost none"
    );
}

#[tokio::test(start_paused = true)]
async fn without_sequencers_the_same_content_is_covered_when_earlier_and_processed_when_later() {
    let stage = Stage::usual().await;
    let upload = |n, etag| Upload::new("a.json", n, etag).without_sequencer();
    bring(&stage, &upload(50, "x"), First::Done).await;
    assert_eq!(
        ingest(&stage, upload(49, "x").notification()).await,
        Recorded::Covered
    );
    assert_eq!(
        ingest(&stage, upload(49, "y").notification()).await,
        Recorded::Recorded
    );
    assert_eq!(
        ingest(&stage, upload(51, "x").notification()).await,
        Recorded::Recorded
    );
    finish(&stage).await;
    assert_eq!(stage.execution_names().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_older_success_after_a_newer_one_does_not_take_the_receipts_place() {
    for sequenced in [true, false] {
        let stage = Stage::usual().await;
        let upload = |n, etag| match sequenced {
            true => Upload::new("a.json", n, etag),
            false => Upload::new("a.json", n, etag).without_sequencer(),
        };
        let (older, newer) = (upload(1, "x"), upload(2, "y"));
        stage.record(&[older.clone(), newer.clone()]).await;
        for event in [newer.event(), older.event()] {
            stage.ledger.complete(&event, Attempt(1), "arn").await.unwrap();
        }
        assert!(stage.rows().await.is_empty());
        let receipt = stage.receipt(&older.event()).await.unwrap();
        assert_eq!(
            (receipt.event_id, receipt.etag.as_deref()),
            (newer.event().id, Some("y"))
        );
        let third = upload(3, "z");
        stage
            .ledger
            .complete(&third.event(), Attempt(1), "arn")
            .await
            .unwrap();
        assert_eq!(
            stage.receipt(&third.event()).await.unwrap().event_id,
            third.event().id
        );
    }
}

#[tokio::test(start_paused = true)]
async fn content_that_goes_from_a_to_b_and_back_to_a_is_processed_three_times() {
    for sequenced in [true, false] {
        let stage = Stage::usual().await;
        for (n, etag) in [(1, "a"), (2, "b"), (3, "a")] {
            let upload = Upload::new("state.json", n, etag);
            let upload = if sequenced {
                upload
            } else {
                upload.without_sequencer()
            };
            assert_eq!(
                ingest(&stage, upload.notification()).await,
                Recorded::Recorded,
                "upload {n}"
            );
            finish(&stage).await;
            assert_eq!(
                stage.receipt(&upload.event()).await.unwrap().event_id,
                upload.event().id
            );
        }
        let etags: Vec<_> = stage
            .aws
            .executions()
            .all()
            .iter()
            .map(|execution| {
                serde_json::from_str::<ExecutionInput>(&execution.input)
                    .unwrap()
                    .etag
                    .unwrap()
            })
            .collect();
        assert_eq!(etags, ["a", "b", "a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_upload_whose_notification_comes_after_the_newer_one_is_done_is_not_run_again() {
    let stage = Stage::usual().await;
    bring(&stage, &Upload::new("a.json", 2, "y"), First::Done).await;
    assert_eq!(
        ingest(&stage, Upload::new("a.json", 1, "x").notification()).await,
        Recorded::Covered
    );
    assert!(stage.rows().await.is_empty());
}

/// What LocalStack sends of an upload, in both forms: one sequencer with all notifications, another with all EventBridge events.
fn by_localstack(n: u64, etag: &str) -> [String; 2] {
    let upload = Upload {
        at_millis: Upload::new("reports/daily.csv", n, etag).at_millis + 137,
        ..Upload::new("reports/daily.csv", n, etag)
    };
    let with = |sequencer: &str| Upload {
        sequencer: Some(sequencer.to_owned()),
        ..upload.clone()
    };
    [
        with("0055AED6DCD90281E5").notification(),
        with("0062E99A88DC407460").event_bridge(),
    ]
}

#[tokio::test(start_paused = true)]
async fn uploads_whose_notifications_all_bear_one_sequencer_all_run_and_their_duplicates_do_not() {
    for form in [0, 1] {
        let stage = Stage::usual().await;
        let uploads = [(1, "a"), (2, "b"), (3, "b"), (4, "a")];
        for (n, etag) in uploads {
            let body = by_localstack(n, etag)[form].clone();
            assert_eq!(
                ingest(&stage, body.clone()).await,
                Recorded::Recorded,
                "upload {n}"
            );
            assert_eq!(
                ingest(&stage, body.clone()).await,
                Recorded::AlreadyThere,
                "upload {n}"
            );
            finish(&stage).await;
            assert_eq!(ingest(&stage, body).await, Recorded::Covered, "upload {n}");
        }
        let all = stage.aws.executions().all();
        let etag = |input: &str| {
            serde_json::from_str::<ExecutionInput>(input)
                .unwrap()
                .etag
                .unwrap()
        };
        let etags: Vec<_> = all.iter().map(|execution| etag(&execution.input)).collect();
        assert_eq!(etags, uploads.map(|(_, etag)| etag));
    }
}

/// Counters that begin again, or count in another base than text compares in: all open at once, all run.
#[tokio::test(start_paused = true)]
async fn uploads_told_apart_by_a_counter_all_run() {
    let stage = Stage::usual().await;
    let sequencers = ["9", "10", "100", "1", "10"];
    for (n, sequencer) in sequencers.iter().enumerate() {
        let upload = Upload {
            sequencer: Some((*sequencer).to_owned()),
            ..Upload::new("a.json", n as u64, "same content")
        };
        assert_eq!(
            ingest(&stage, upload.notification()).await,
            Recorded::Recorded,
            "upload {n}"
        );
        if n % 2 == 1 {
            finish(&stage).await;
        }
    }
    finish(&stage).await;
    assert_eq!(stage.execution_names().len(), sequencers.len());
}

/// The receipts of a key whose bucket moved from one kind of server to another, or of one that sends a constant after all:
/// where sequencers do not tell, time does.
#[tokio::test(start_paused = true)]
async fn the_newest_receipt_stays_where_sequencers_give_no_order() {
    let stage = Stage::usual().await;
    let event = |sequencer: &str, n, etag| {
        let mut event = Upload::new("a.json", n, etag).event();
        event.sequencer = Some(sequencer.parse().unwrap());
        event.id = event.replayed(&format!("{sequencer} {n}")).id;
        event
    };
    let (ceph, minio) = ("6B006E8000000007", "1879B2F6C1D0A300");
    let steps = [
        (event(ceph, 10, "a"), true),
        (event(minio, 20, "b"), true),
        (event(ceph, 15, "c"), false),
        (event(minio, 21, "d"), true),
        (event(minio, 19, "e"), false),
        (event("1879B2F6C1D0A2FF", 30, "f"), false),
        (event("1879B2F6C1D0A301", 5, "g"), true),
    ];
    for (event, is_newest) in &steps {
        stage.ledger.complete(event, Attempt(1), "arn").await.unwrap();
        let receipt = stage.receipt(event).await.unwrap();
        assert_eq!(receipt.event_id == event.id, *is_newest, "{:?}", event.etag);
    }
}
