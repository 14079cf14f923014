//! One upload, several runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_ledger::{Failed, Person};
use daybook_local::{ExecutionStatus, Outcome as Ended, StartedExecution, Target};
use daybook_manager::{Completed, Dispatch, Settled};
use daybook_schema::{Attempt, Outcome, Row, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::{delivered, row_in};
use daybook_tests::{Fault, Request, Stage};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::{MINUTE, events_run, running, stage_with};

const UPLOADS: usize = 4384;
const CAP: usize = 100;

/// Each execution takes one to five minutes.
struct Work;

impl Target for Work {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Ended> {
        let seconds = execution.name.bytes().map(u64::from).sum::<u64>() % 240;
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(60 + seconds)).await;
            Ended::Succeeded { output: "{}".into() }
        })
    }
}

/// Starts are throttled, and of three batches of messages one is not deleted after its executions were started: the function's time
/// was up. Returns how many starts Step Functions is asked for and answers, whichever its answer.
fn saturate(stage: &Stage) -> Arc<AtomicU64> {
    let mut rng = fastrand::Rng::with_seed(904);
    let starts = Arc::new(AtomicU64::new(0));
    let seen = starts.clone();
    let is_dispatch = |request: &Request| {
        let url = request.body["QueueUrl"].as_str().unwrap_or_default();
        url.contains("dispatch")
    };
    stage
        .wire
        .inject(move |request| match request.operation.as_str() {
            "StartExecution" if rng.u8(0..3) == 0 => Fault::Throttled,
            "StartExecution" => {
                seen.fetch_add(1, Ordering::Relaxed);
                Fault::None
            }
            // A call is tried three times.
            "DeleteMessageBatch" if is_dispatch(request) && rng.u8(0..10) < 7 => Fault::NotSent,
            _ => Fault::None,
        });
    starts
}

/// What waits in that queue is offered until none is left, whether or not SQS answers.
async fn pump(stage: &Stage, queue: &str, once: impl AsyncFn(&Stage) -> Option<usize>) {
    while stage.aws.sqs().depth(queue).unwrap().visible > 0 {
        once(stage).await;
    }
}

/// 4,384 uploads at a cap of 100: the function that started executions ran out of time in the middle of its batches, their messages
/// came back, and what had been started was started again under new names, 3.36 executions for each upload.
///
/// <https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/issues/904>
#[tokio::test(start_paused = true)]
async fn a_saturated_queue_gives_each_of_4384_uploads_one_execution() {
    let stage = stage_with(Dispatch {
        per_window: CAP as u32,
        max_in_flight: Some(CAP as u32),
        ..Dispatch::default()
    })
    .await;
    let executions = stage.aws.executions();
    executions.set_target(&stage.state_machine, Arc::new(Work));
    let now = stage.now();
    let rows: Vec<Row> = uploads(UPLOADS)
        .iter()
        .map(|upload| row_in(Status::Pending, upload, now))
        .collect();
    stage.put_rows(&rows);
    let starts = saturate(&stage);
    for minute in 0.. {
        assert!(
            minute < 600,
            "{:?} are open",
            stage.rows_in(Status::Pending).await
        );
        stage.schedule().await;
        pump(&stage, &stage.dispatch_queue, Stage::pump_invoke).await;
        let running = running(&stage);
        assert!(running <= CAP, "{running} run at once");
        pump(&stage, &stage.completion, Stage::pump_complete).await;
        if minute % 5 == 0 {
            stage.sweep().await;
            assert_eq!(executions.all().len(), events_run(&stage));
        }
        let open = stage.rows_in(Status::Pending).await + stage.rows_in(Status::Claimed).await;
        if open == 0 {
            break;
        }
        stage.pass(MINUTE).await;
    }
    assert_eq!((executions.all().len(), events_run(&stage)), (UPLOADS, UPLOADS));
    let repeated = starts.load(Ordering::Relaxed) - UPLOADS as u64;
    assert!(repeated > 100, "only {repeated} starts were repeated");
}

/// The ends that wait to be reported; they are taken out of the queue.
fn take_ends(stage: &Stage) -> Vec<Value> {
    let messages = stage.aws.sqs().messages(&stage.completion).unwrap();
    stage.lose_status_events();
    messages
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .collect()
}

async fn report(stage: &Stage, end: &Value) -> Completed {
    let message = delivered("m", end.to_string());
    let mut done = stage.completer().handle(&[message], stage.deadline()).await;
    done.remove(0)
}

/// Ends the execution of that attempt; what EventBridge would tell of it.
fn end(stage: &Stage, attempt: u32, outcome: Ended) -> Value {
    let executions = stage.aws.executions();
    let all = executions.all();
    let is_its = |name: &str| name.ends_with(&format!("-{attempt}"));
    let one = all.iter().find(|one| is_its(&one.name)).unwrap();
    executions.close(&one.arn, outcome).unwrap();
    take_ends(stage).remove(0)
}

fn failure() -> Ended {
    Ended::Failed {
        error: "States.TaskFailed".into(),
        cause: "it was too late".into(),
    }
}

/// Starts had no names of their own, so a message that arrived twice ran twice, and the second run's failure replaced the first
/// run's success.
///
/// <https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/issues/989>
#[tokio::test(start_paused = true)]
async fn a_stale_run_cannot_turn_a_success_into_a_failure() {
    for status in ["FAILED", "TIMED_OUT", "ABORTED"] {
        let stage = Stage::usual().await;
        let upload = Upload::new("scan.pdf", 1, "e");
        stage.record(std::slice::from_ref(&upload)).await;
        stage.schedule().await;
        let message = stage.dispatched()[0].to_json();
        let copy = || stage.aws.sqs().send(&stage.dispatch_queue, &message).unwrap();
        copy();
        stage.invoke_all().await;
        assert_eq!(
            stage.execution_names().len(),
            1,
            "a message that arrives twice runs once"
        );

        // There is one way to two runs at once: a person calls the first one failed while it runs.
        let person = Person {
            by: "maria",
            why: Some("it hangs"),
        };
        let rows: Vec<Row> = stage.rows().await.into_values().collect();
        let policy = stage.options.dispatch.retry;
        stage
            .ledger
            .fail_rows(&rows, person, &policy, stage.deadline())
            .await;
        stage.pass(MINUTE).await;
        stage.schedule().await;
        stage.invoke_all().await;
        assert_eq!(running(&stage), 2);

        let mut stale = end(&stage, 1, failure());
        stale["detail"]["status"] = json!(status);
        let before = stage.row(upload.event().id).await.unwrap();
        let is_stale = Completed::Settled(Settled::Failed(Failed::Stale));
        assert_eq!(
            report(&stage, &stale).await,
            is_stale,
            "while the second attempt runs"
        );
        assert_eq!(stage.row(upload.event().id).await.unwrap(), before);

        let success = end(&stage, 2, Ended::Succeeded { output: "{}".into() });
        report(&stage, &success).await;
        let receipt = stage.receipt(&upload.event()).await.unwrap();
        assert_eq!(
            (receipt.outcome, receipt.attempt),
            (Outcome::Succeeded, Attempt(2))
        );
        assert_eq!(report(&stage, &stale).await, is_stale, "after the success");
        copy();
        stage.invoke_all().await;
        stage.ingest_all(&[upload.notification()]).await;
        assert!(stage.rows().await.is_empty());
        assert_eq!(stage.receipt(&upload.event()).await.unwrap(), receipt);
        assert_eq!(stage.execution_names().len(), 2);
        let all = stage.aws.executions().all();
        let succeeded = all.iter().filter(|one| one.status == ExecutionStatus::Succeeded);
        assert_eq!(succeeded.count(), 1);
    }
}
