//! Files that failed, and what comes after.

use std::time::Duration;

use daybook_ledger::{Person, Recorded, Redriven};
use daybook_schema::{Outcome, Row, Status};
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;

use crate::{MINUTE, drain};

const KEY: &str = "upstream/fixed name.csv";

fn upload(n: u64, etag: &str) -> Upload {
    Upload::new(KEY, n, etag)
}

/// A stage on which the upload of a malformed file has failed as often as it may.
async fn failed() -> (Stage, Upload) {
    let (stage, first) = (Stage::usual().await, upload(1, "malformed"));
    stage.ingest_all(&[first.notification()]).await;
    for _ in 0..16 {
        stage.schedule().await;
        stage.invoke_all().await;
        stage.fail_running();
        stage.complete_all().await;
        stage.pass(10 * MINUTE).await;
    }
    let row = stage.row(first.event().id).await.unwrap();
    assert_eq!((row.status, stage.execution_names().len()), (Status::Parked, 5));
    (stage, first)
}

/// A file that had failed as often as it may was never looked at again: its key was on a list of failed files from which nothing
/// could be taken. Its producer repaired it and uploaded it under the same name, in vain.
///
/// <https://github.com/ClickHouse/ClickHouse/issues/113054>
#[tokio::test(start_paused = true)]
async fn a_file_that_failed_runs_when_it_is_uploaded_again_under_its_name() {
    for etag in ["repaired", "malformed"] {
        let (stage, first) = failed().await;
        let again = upload(2, etag);
        stage.ingest_all(&[again.notification()]).await;
        let row = stage.row(again.event().id).await.unwrap();
        assert_eq!(row.status, Status::Pending, "{etag}");
        for _ in 0..3 {
            crate::one_minute(&stage).await;
        }
        let receipt = stage.receipt(&again.event()).await.unwrap();
        assert_eq!(
            (receipt.event_id, receipt.outcome),
            (again.event().id, Outcome::Succeeded)
        );
        // What failed is told of until a person decides.
        assert_eq!(stage.rows().await.keys().collect::<Vec<_>>(), [&first.event().id]);
    }
}

/// The same, without another upload: the schema was wrong, not the file.
///
/// <https://github.com/ClickHouse/ClickHouse/issues/113054>
#[tokio::test(start_paused = true)]
async fn a_file_that_failed_runs_when_a_person_says_so() {
    let (stage, first) = failed().await;
    let redriven = stage.ledger.redrive(first.event().id, 5, stage.deadline()).await;
    assert_eq!(redriven.unwrap(), Redriven::Redriven);
    drain(&stage, Duration::from_secs(600)).await;
    let receipt = stage.receipt(&first.event()).await.unwrap();
    assert_eq!(receipt.outcome, Outcome::Succeeded);
    assert_eq!(stage.execution_names().len(), 6);
}

/// The same, after a person gave the failed upload up: that decision was about one upload, not about its name.
///
/// <https://github.com/ClickHouse/ClickHouse/issues/113054>
#[tokio::test(start_paused = true)]
async fn a_file_that_was_given_up_runs_when_it_is_uploaded_again() {
    for etag in ["repaired", "malformed"] {
        let (stage, _) = failed().await;
        let rows: Vec<Row> = stage.rows().await.into_values().collect();
        let person = Person {
            by: "maria",
            why: Some("malformed"),
        };
        let deadline = stage.deadline();
        stage
            .ledger
            .close_rows(&rows, Outcome::Removed, person, deadline)
            .await;
        assert!(stage.rows().await.is_empty());
        let again = upload(2, etag);
        assert_eq!(
            stage.record(std::slice::from_ref(&again)).await,
            [Recorded::Recorded]
        );
        drain(&stage, Duration::from_secs(600)).await;
        let receipt = stage.receipt(&again.event()).await.unwrap();
        assert_eq!(
            (receipt.event_id, receipt.outcome),
            (again.event().id, Outcome::Succeeded)
        );
    }
}
