//! Status events: old, foreign, lost, twice.

use std::time::Duration;

use daybook_ledger::Failed;
use daybook_local::Outcome;
use daybook_manager::{Completed, Disposition, Settled};
use daybook_schema::{Attempt, Status};
use daybook_tests::rows::{all_delivered, delivered, returned};
use daybook_tests::{Fault, Stage};
use serde_json::{Value, json};

use crate::{one_running, the_row, upload};

/// The waiting status events; they are taken out of the queue.
fn take_events(stage: &Stage) -> Vec<Value> {
    let messages = stage.aws.sqs().messages(&stage.completion).unwrap();
    stage.lose_status_events();
    messages
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .collect()
}

async fn complete(stage: &Stage, event: &Value) -> Completed {
    let message = delivered("m", event.to_string());
    stage
        .completer()
        .handle(&[message], stage.deadline())
        .await
        .remove(0)
}

/// A stage on which attempt 1 failed and attempt 2 runs; the event of attempt 1.
async fn second_attempt() -> (Stage, Value) {
    let (stage, _) = one_running().await;
    stage.fail_running();
    let event = take_events(&stage).remove(0);
    assert!(matches!(
        complete(&stage, &event).await,
        Completed::Settled(Settled::Failed(Failed::Retry(_)))
    ));
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(stage.schedule().await.sent, 1);
    stage.invoke_all().await;
    assert_eq!(the_row(&stage).await.attempt, Attempt(2));
    assert_eq!(stage.execution_names().len(), 2);
    (stage, event)
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_an_old_attempt_changes_nothing() {
    for status in ["FAILED", "TIMED_OUT", "ABORTED"] {
        let (stage, mut event) = second_attempt().await;
        event["detail"]["status"] = json!(status);
        let before = the_row(&stage).await;
        assert_eq!(
            complete(&stage, &event).await,
            Completed::Settled(Settled::Failed(Failed::Stale))
        );
        assert_eq!(the_row(&stage).await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_of_an_old_attempt_completes_the_event() {
    let (stage, mut event) = second_attempt().await;
    event["detail"]["status"] = json!("SUCCEEDED");
    assert_eq!(
        complete(&stage, &event).await,
        Completed::Settled(Settled::Completed)
    );
    assert!(stage.rows().await.is_empty());
    let receipt = stage.receipt(&upload().event()).await.unwrap();
    assert_eq!(receipt.attempt, Attempt(1));
    // The second attempt runs on, and its failure is no news.
    stage.fail_running();
    let late = take_events(&stage).remove(0);
    assert_eq!(
        complete(&stage, &late).await,
        Completed::Settled(Settled::Failed(Failed::Stale))
    );
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_success_completes_an_event_whose_row_is_parked_or_pending() {
    for park in [true, false] {
        let (stage, _) = one_running().await;
        let name = stage.execution_names()[0].parse().unwrap();
        let policy = stage.options.dispatch.retry;
        match park {
            true => stage
                .ledger
                .park(name, None, "no", stage.deadline())
                .await
                .unwrap(),
            false => stage
                .ledger
                .fail(name, None, "no", &policy, stage.deadline())
                .await
                .unwrap(),
        };
        stage.succeed_running();
        stage.complete_all().await;
        assert!(stage.rows().await.is_empty(), "parked: {park}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_other_state_machines_other_names_and_other_statuses_are_ignored() {
    let (stage, _) = one_running().await;
    stage.succeed_running();
    let event = take_events(&stage).remove(0);
    let before = the_row(&stage).await;
    let changes = [
        (
            "stateMachineArn",
            json!("arn:aws:states:us-east-1:000000000000:stateMachine:other"),
        ),
        ("name", json!("nightly-report")),
        ("name", json!(format!("{}-01", upload().event().id))),
        ("status", json!("RUNNING")),
        ("status", json!("PENDING_REDRIVE")),
    ];
    for (field, value) in changes {
        let mut foreign = event.clone();
        foreign["detail"][field] = value.clone();
        let completed = complete(&stage, &foreign).await;
        assert_eq!(completed, Completed::Ignored, "{field}: {value}");
        assert_eq!(completed.disposition(), Disposition::Acknowledge);
        assert_eq!(the_row(&stage).await, before);
    }
    assert_eq!(
        complete(&stage, &event).await,
        Completed::Settled(Settled::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_without_its_input_or_with_a_strange_one_is_settled_by_the_row() {
    for input in [
        Value::Null,
        json!("{}"),
        json!("[1]"),
        json!(r#"{"name": "Kim"}"#),
    ] {
        let (stage, _) = one_running().await;
        stage.succeed_running();
        let mut event = take_events(&stage).remove(0);
        event["detail"]["input"] = input.clone();
        assert_eq!(
            complete(&stage, &event).await,
            Completed::Settled(Settled::Completed),
            "{input}"
        );
        assert!(stage.rows().await.is_empty());
        assert!(stage.receipt(&upload().event()).await.is_some(), "{input}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_no_status_events_are_returned_and_the_others_are_done() {
    let (stage, _) = one_running().await;
    stage.succeed_running();
    let event = take_events(&stage).remove(0);
    let messages = all_delivered([
        ("odd", "hello".to_owned()),
        ("good", event.to_string()),
        ("empty", "{}".to_owned()),
    ]);
    let completed = stage.completer().handle(&messages, stage.deadline()).await;
    let failed = returned(&messages, completed.iter().map(Completed::disposition));
    assert_eq!(failed, ["odd", "empty"]);
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_written_comes_again() {
    let (stage, _) = one_running().await;
    stage.succeed_running();
    let event = take_events(&stage).remove(0);
    for operation in ["PutItem", "DeleteItem"] {
        stage.wire.inject_always(operation, Fault::Throttled);
        assert_eq!(
            complete(&stage, &event).await.disposition(),
            Disposition::Return,
            "{operation}"
        );
        assert!(stage.row(upload().event().id).await.is_some());
    }
    stage.wire.heal();
    assert_eq!(
        complete(&stage, &event).await,
        Completed::Settled(Settled::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_outlives_its_lease_is_renewed_and_not_redelivered() {
    let (stage, _) = one_running().await;
    let lease = stage.options.dispatch.lease;
    let reports = stage.sweep_for(lease * 5).await;
    assert_eq!(reports.iter().map(|report| report.renewed).sum::<u32>(), 5);
    assert_eq!(
        reports
            .iter()
            .map(|report| report.redelivered + report.moved)
            .sum::<u32>(),
        0
    );
    let row = the_row(&stage).await;
    assert_eq!(
        (row.status, row.attempt, row.deliveries),
        (Status::Claimed, Attempt(1), 1)
    );
    stage.succeed_running();
    stage.complete_all().await;
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_status_event_is_lost_is_completed_by_its_redelivery_without_a_second_run() {
    let (stage, _) = one_running().await;
    stage.succeed_running();
    assert_eq!(stage.lose_status_events(), 1);
    stage.pass(stage.options.dispatch.lease).await;
    assert_eq!(stage.sweep().await.redelivered, 1);
    assert_eq!(the_row(&stage).await.deliveries, 2);
    stage.invoke_all().await;
    assert!(stage.rows().await.is_empty());
    assert_eq!(
        stage.receipt(&upload().event()).await.unwrap().attempt,
        Attempt(1)
    );
    assert_eq!(stage.execution_names().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_whose_status_event_is_lost_is_found_by_the_redelivery_and_retried() {
    let (stage, _) = one_running().await;
    let arn = stage.aws.executions().all()[0].arn.clone();
    let outcome = Outcome::TimedOut {
        error: "States.Timeout".into(),
        cause: "slow".into(),
    };
    stage.aws.executions().close(&arn, outcome).unwrap();
    stage.lose_status_events();
    stage.pass(stage.options.dispatch.lease).await;
    stage.sweep().await;
    stage.invoke_all().await;
    let row = the_row(&stage).await;
    assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(1)));
    assert_eq!(row.last_error.as_deref(), Some("TIMED_OUT: States.Timeout: slow"));
}
