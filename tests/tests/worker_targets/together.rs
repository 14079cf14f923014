//! Workers in real time, from the queue to the row: with real commands, and with very many events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_manager::worker::{
    CommandTarget, Run, Target, TargetAnswer, Worker, WorkerReport, WorkerSettings,
};
use daybook_schema::{Attempt, EventId, ObjectEvent, Row, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::{Stage, StageOptions};
use futures::future::{BoxFuture, join_all};
use tokio::sync::watch;
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

/// Fails for some objects, puts some off, and counts the runs of each.
#[derive(Clone, Debug, Default)]
struct Mixed(Arc<Mutex<BTreeMap<EventId, u32>>>);

impl Mixed {
    /// What it answers for an object of that name.
    fn answer(key: &str) -> TargetAnswer {
        let why = || "as always".to_owned();
        match key {
            key if key.ends_with("00.json") => TargetAnswer::Failed { why: why() },
            key if key.ends_with("50.json") => TargetAnswer::Later {
                after: None,
                why: why(),
            },
            _ => TargetAnswer::Success,
        }
    }
}

impl Target for Mixed {
    fn run(&self, run: Run) -> BoxFuture<'_, TargetAnswer> {
        Box::pin(async move {
            let input = &run.input.events()[0];
            *self.0.lock().unwrap().entry(input.id).or_default() += 1;
            // Whoever else can run does, in the middle of it.
            tokio::task::yield_now().await;
            Self::answer(input.key.as_str())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_bring_ten_thousand_events_each_to_its_own_end_in_one_run() {
    const EVENTS: usize = 10_000;
    let mut options = StageOptions::default();
    options.dispatch.per_window = EVENTS as u32;
    options.dispatch.lease = Duration::from_secs(3600);
    let stage = Stage::new(options).await;
    let events: Vec<ObjectEvent> = uploads(EVENTS).iter().map(Upload::event).collect();
    let rows: Vec<Row> = events
        .iter()
        .map(|event| Row::recorded(event.clone(), 5, None, stage.now()))
        .collect();
    stage.put_rows(&rows);
    stage.schedule().await;
    let target = Mixed::default();
    let (stop, stopped) = watch::channel(false);
    let workers = (1..=8).map(|n| {
        let settings = WorkerSettings {
            workers: 8,
            ..WorkerSettings::new(format!("worker-{n}"))
        };
        let worker = Worker::new(
            stage.ledger.clone(),
            stage.sqs.clone(),
            &stage.dispatch_queue,
            Arc::new(target.clone()),
            settings.checked().unwrap(),
        );
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let stopped = async move { drop(stopped.wait_for(|stop| *stop).await) };
            worker.run(stopped).await
        })
    });
    let workers: Vec<_> = workers.collect();
    let patience = Instant::now() + Duration::from_secs(300);
    while stage.aws.sqs().depth(&stage.dispatch_queue).unwrap() != Default::default() {
        assert!(Instant::now() < patience, "messages are left");
        sleep(Duration::from_millis(50)).await;
    }
    stop.send_replace(true);
    let reports: Vec<WorkerReport> = join_all(workers).await.into_iter().map(Result::unwrap).collect();

    let sum = |count: fn(&WorkerReport) -> u64| reports.iter().map(count).sum::<u64>();
    assert_eq!(
        (
            sum(|report| report.received),
            sum(|report| report.completed),
            sum(|report| report.failed),
            sum(|report| report.later)
        ),
        (10_000, 9_801, 99, 100),
        "{reports:?}"
    );
    assert!(
        reports.iter().all(|report| report.completed > 0),
        "all took part: {reports:?}"
    );
    let runs = target.0.lock().unwrap().clone();
    assert!(runs.len() == EVENTS && runs.values().all(|runs| *runs == 1));
    let left = stage.rows().await;
    let receipts = stage
        .ledger
        .receipts(events.iter().map(ObjectEvent::object_id))
        .await;
    for event in &events {
        let is_done = receipts
            .get(&event.object_id())
            .is_some_and(|receipt| receipt.covers(event));
        let row = left.get(&event.id).map(|row| (row.status, row.attempt));
        let expected = match Mixed::answer(event.key.as_str()) {
            TargetAnswer::Success => (true, None),
            TargetAnswer::Later { .. } => (false, Some((Status::Pending, Attempt(0)))),
            TargetAnswer::Failed { .. } | TargetAnswer::Listed { .. } => {
                (false, Some((Status::Pending, Attempt(1))))
            }
        };
        assert_eq!((is_done, row), expected, "{}", event.key.as_str());
    }
}
