//! Places for running work that are counted, and counted wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_local::{ExecutionStatus, Outcome};
use daybook_manager::Dispatch;
use daybook_tests::Stage;
use daybook_tests::notifications::uploads;
use serde_json::Value;

use crate::{MINUTE, claimed, events_run, running, stage_with};

const CAP: usize = 5;

async fn stage_with_cap() -> Stage {
    stage_with(Dispatch {
        per_window: 20,
        max_in_flight: Some(CAP as u32),
        ..Dispatch::default()
    })
    .await
}

/// A counter of running work went up before each start and down at each reported end. Ends that were never reported left it at
/// its cap of 100 while 29 ran: nothing was started for hours, and every figure said "idle".
///
/// <https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/pull/657>
#[tokio::test(start_paused = true)]
async fn ends_that_nobody_reports_give_their_places_back() {
    let stage = stage_with_cap().await;
    stage.record(&uploads(4 * CAP)).await;
    let begun = stage.now();
    let (mut waited, mut longest_wait) = (0, 0);
    while !stage.rows().await.is_empty() {
        assert!(stage.now().since(begun) < Duration::from_secs(4 * 3600));
        let report = stage.schedule().await;
        if report.sent == 0 && claimed(&stage).await == CAP {
            // Full of work that has ended: the age of the oldest due row tells it from idleness.
            waited += 1;
            longest_wait = longest_wait.max(report.oldest_due_seconds.unwrap());
        }
        stage.invoke_all().await;
        stage.succeed_running();
        stage.lose_status_events();
        stage.sweep().await;
        // What vanished from the queue must not keep its place either.
        let mut nth = 0;
        stage.aws.sqs().lose(&stage.dispatch_queue, |_| {
            nth += 1;
            nth % 2 == 0
        });
        stage.pass(5 * MINUTE).await;
    }
    assert_eq!(
        (events_run(&stage), stage.execution_names().len()),
        (4 * CAP, 4 * CAP)
    );
    assert!(waited > 5 && longest_wait > 600, "{waited}, {longest_wait} s");
}

/// The end of one execution was reported more than once, and each report took one from the counter of running work. Below zero it
/// let that many more start than the cap, without an error anywhere.
///
/// <https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/pull/944>
#[tokio::test(start_paused = true)]
async fn ends_that_are_reported_four_times_free_one_place_each() {
    let stage = stage_with_cap().await;
    stage.record(&uploads(8 * CAP)).await;
    let begun = stage.now();
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let mut most = 0;
    for minute in 0.. {
        if stage.rows().await.is_empty() {
            break;
        }
        assert!(stage.now().since(begun) < Duration::from_secs(4 * 3600));
        stage.schedule().await;
        stage.invoke_all().await;
        assert_eq!(claimed(&stage).await, running(&stage));
        most = most.max(running(&stage));
        assert!(most <= CAP, "{most} run at once");
        // First attempts' ends come again while the second attempts run.
        let second = stage.execution_names();
        let second = second.iter().filter_map(|name| name.strip_suffix("-2"));
        for end in second.filter_map(|id| told.get(&format!("{id}-1"))) {
            stage.aws.sqs().send(&stage.completion, end).unwrap();
        }
        stage.complete_all().await;
        assert_eq!(claimed(&stage).await, running(&stage), "places and runs differ");
        end_some(&stage, minute);
        for end in stage.aws.sqs().messages(&stage.completion).unwrap() {
            for _ in 0..3 {
                stage.aws.sqs().send(&stage.completion, &end.body).unwrap();
            }
            let told_of: Value = serde_json::from_str(&end.body).unwrap();
            let name = told_of["detail"]["name"].as_str().unwrap_or_default();
            told.insert(name.to_owned(), end.body);
        }
        stage.complete_all().await;
        assert_eq!(claimed(&stage).await, running(&stage), "places and runs differ");
        stage.pass(MINUTE).await;
    }
    assert_eq!((most, running(&stage)), (CAP, 0));
    let all = stage.aws.executions().all();
    let succeeded = all.iter().filter(|one| one.status == ExecutionStatus::Succeeded);
    assert_eq!((succeeded.count(), events_run(&stage)), (8 * CAP, 8 * CAP));
}

/// Two of three that run end, others each minute: first attempts fail, others succeed.
fn end_some(stage: &Stage, minute: usize) {
    let executions = stage.aws.executions();
    let all = executions.all();
    let running = all.iter().filter(|one| one.status == ExecutionStatus::Running);
    for (_, one) in running
        .enumerate()
        .filter(|(n, _)| !(n + minute).is_multiple_of(3))
    {
        let outcome = match one.name.ends_with("-1") {
            true => Outcome::Failed {
                error: "States.TaskFailed".into(),
                cause: "the first attempt fails".into(),
            },
            false => Outcome::Succeeded { output: "{}".into() },
        };
        executions.close(&one.arn, outcome).unwrap();
    }
}
