//! A worker with real commands, from the queue to the row.

use std::sync::Arc;
use std::time::Duration;

use daybook_manager::worker::{CommandTarget, Worker, WorkerReport, WorkerSettings};
use daybook_schema::{Attempt, Status};
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;
use tokio::time::{Instant, sleep, timeout};

/// Runs the script for these keys by a worker until no row is CLAIMED any more.
async fn worked(stage: &Stage, text: &str, argument: &str, keys: &[&str], limit: Duration) -> WorkerReport {
    let uploads: Vec<Upload> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| Upload::new(key, n as u64, "e"))
        .collect();
    stage.record(&uploads).await;
    stage.schedule().await;
    let target = CommandTarget::new("sh", ["-c", text, argument]).with_kill_grace(Duration::from_millis(200));
    let settings = WorkerSettings {
        workers: 4,
        timeout: limit,
        ..WorkerSettings::new("worker-1")
    };
    let worker = Worker::new(
        stage.ledger.clone(),
        stage.sqs.clone(),
        &stage.dispatch_queue,
        Arc::new(target),
        settings.checked().unwrap(),
    );
    let done = async {
        let patience = Instant::now() + Duration::from_secs(60);
        while stage
            .rows()
            .await
            .values()
            .any(|row| row.status == Status::Claimed)
        {
            assert!(Instant::now() < patience, "rows are still claimed");
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(90), worker.run(done)).await.unwrap()
}

#[tokio::test]
async fn events_reach_a_command_as_they_are_and_are_gone_when_it_succeeds() {
    let stage = Stage::usual().await;
    let folder = tempfile::tempdir().unwrap();
    let mut keys = vec![
        "$(id)`id`;|&",
        "a\nb",
        "보고서 '\"",
        "\u{ffff}",
        "..",
        "--help",
        "*",
    ];
    let text = "printf %s \"$DAYBOOK_KEY\" > \"$0/$DAYBOOK_ID\"";
    let report = worked(
        &stage,
        text,
        folder.path().to_str().unwrap(),
        &keys,
        Duration::from_secs(60),
    )
    .await;
    assert_eq!((report.completed, report.received), (7, 7), "{report:?}");
    assert!(stage.rows().await.is_empty());
    let mut reached: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    reached.sort_unstable();
    keys.sort_unstable();
    assert_eq!(reached, keys);
}

#[tokio::test]
async fn failure_later_and_timeout_of_a_command_each_leave_their_reason_in_the_row() {
    let stage = Stage::usual().await;
    let text = "case $DAYBOOK_KEY in
        failing) echo disk full >&2; exit 1;;
        later) echo not yet >&2; exit 75;;
        slow) trap '' TERM; sleep 1000;;
    esac";
    let keys = ["failing", "later", "slow"];
    let report = worked(&stage, text, "sh", &keys, Duration::from_secs(3)).await;
    assert_eq!(
        (report.failed, report.later, report.completed),
        (2, 1, 0),
        "{report:?}"
    );
    for row in stage.rows().await.values() {
        let (key, error) = (row.event().unwrap().key.as_str(), row.last_error.as_deref());
        let (attempt, expected) = match key {
            "failing" => (1, "exit status 1: disk full"),
            "later" => (0, "exit status 75: not yet"),
            _ => (1, "timed out after 3 s"),
        };
        assert_eq!(
            (row.status, row.attempt, error),
            (Status::Pending, Attempt(attempt), Some(expected)),
            "{key}"
        );
    }
}
