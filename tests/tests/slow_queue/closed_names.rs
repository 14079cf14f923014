//! What becomes of a message whose execution's name is taken, or whose execution cannot be started.

use std::time::Duration;

use daybook_ledger::{Clock, Failed};
use daybook_local::Outcome;
use daybook_manager::{Disposition, Executions, Invoked, Invoker, Pace, Settled};
use daybook_schema::{Attempt, DispatchMessage, Row, Status};
use daybook_tests::rows::{all_delivered, delivered, returned, row_in};
use daybook_tests::{Fault, Stage};

use crate::{one_dispatched, one_running, the_row, upload};

/// The invoker's answer to one message.
async fn invoke(stage: &Stage, body: &str) -> Invoked {
    stage
        .invoker()
        .handle(&[delivered("m", body)], stage.deadline())
        .await
        .remove(0)
}

fn close(stage: &Stage, outcome: Outcome) {
    let arn = stage.aws.executions().all()[0].arn.clone();
    stage.aws.executions().close(&arn, outcome).unwrap();
    assert_eq!(stage.lose_status_events(), 1);
}

fn unsuccessful() -> [Outcome; 3] {
    let (error, cause) = ("E".to_owned(), "because".to_owned());
    [
        Outcome::Failed {
            error: error.clone(),
            cause: cause.clone(),
        },
        Outcome::TimedOut {
            error: error.clone(),
            cause: cause.clone(),
        },
        Outcome::Aborted {
            error: Some(error),
            cause: Some(cause),
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn a_message_of_an_execution_that_succeeded_completes_the_event() {
    let (stage, body) = one_running().await;
    close(&stage, Outcome::Succeeded { output: "{}".into() });
    assert_eq!(invoke(&stage, &body).await, Invoked::Settled(Settled::Completed));
    assert_eq!(stage.row(upload().event().id).await, None);
    assert!(
        stage
            .receipt(&upload().event())
            .await
            .unwrap()
            .by
            .starts_with("arn:")
    );
    assert_eq!(stage.execution_names().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_an_execution_that_did_not_succeed_fails_that_attempt() {
    for outcome in unsuccessful() {
        let (stage, body) = one_running().await;
        let status = outcome.status();
        close(&stage, outcome);
        let invoked = invoke(&stage, &body).await;
        assert!(
            matches!(invoked, Invoked::Settled(Settled::Failed(Failed::Retry(_)))),
            "{status:?}: {invoked:?}"
        );
        let row = the_row(&stage).await;
        assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(1)));
        assert_eq!(row.last_error, Some(format!("{}: E: because", status.as_str())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_an_execution_that_runs_starts_no_second_one() {
    let (stage, body) = one_running().await;
    assert_eq!(invoke(&stage, &body).await, Invoked::Started);
    assert_eq!(stage.execution_names().len(), 1);
    assert_eq!(the_row(&stage).await.attempt, Attempt(1));
}

#[tokio::test(start_paused = true)]
async fn a_name_taken_by_a_running_execution_with_another_input_renews_the_row() {
    let (stage, body) = one_dispatched().await;
    let name = DispatchMessage::from_json(&body)
        .unwrap()
        .input
        .name()
        .to_string();
    let start = stage
        .sfn
        .start_execution()
        .state_machine_arn(&stage.state_machine)
        .name(&name)
        .input("{}");
    start.send().await.unwrap();
    stage.pass(Duration::from_secs(600)).await;
    assert_eq!(invoke(&stage, &body).await, Invoked::Renewed);
    let row = the_row(&stage).await;
    assert_eq!(row.due_at, stage.now().plus(stage.options.dispatch.lease));
    // Its input is not ours; the row says which event it was for.
    assert_eq!(stage.succeed_running(), 1);
    stage.complete_all().await;
    assert_eq!(
        stage.receipt(&upload().event()).await.unwrap().event_id,
        upload().event().id
    );
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn while_describe_is_throttled_nothing_changes_and_the_message_comes_again() {
    let (stage, body) = one_running().await;
    close(&stage, Outcome::Succeeded { output: "{}".into() });
    let before = the_row(&stage).await;
    for fault in [Fault::Throttled, Fault::NotSent, Fault::AnswerLost] {
        stage.wire.inject_always("DescribeExecution", fault.clone());
        let invoked = invoke(&stage, &body).await;
        assert_eq!(
            invoked.disposition(),
            Disposition::Return,
            "{fault:?}: {invoked:?}"
        );
        assert_eq!(the_row(&stage).await, before, "{fault:?}");
    }
    stage.wire.heal();
    assert_eq!(invoke(&stage, &body).await, Invoked::Settled(Settled::Completed));
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_cannot_be_started_leaves_the_row_and_uses_no_attempt() {
    for fault in [Fault::Throttled, Fault::NotSent] {
        let (stage, body) = one_dispatched().await;
        let before = the_row(&stage).await;
        stage.wire.inject_always("StartExecution", fault.clone());
        let invoked = invoke(&stage, &body).await;
        assert_eq!(
            invoked.disposition(),
            Disposition::Return,
            "{fault:?}: {invoked:?}"
        );
        assert_eq!(the_row(&stage).await, before, "{fault:?}");
        assert!(stage.execution_names().is_empty());
        stage.wire.heal();
        assert_eq!(invoke(&stage, &body).await, Invoked::Started);
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_is_lost_is_one_execution() {
    let (stage, body) = one_dispatched().await;
    stage.wire.inject_always("StartExecution", Fault::AnswerLost);
    assert_eq!(invoke(&stage, &body).await.disposition(), Disposition::Return);
    stage.wire.heal();
    assert_eq!(invoke(&stage, &body).await, Invoked::Started);
    assert_eq!(stage.execution_names().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_state_machine_the_row_waits_and_the_message_comes_again() {
    let (stage, body) = one_dispatched().await;
    let before = the_row(&stage).await;
    let gone = Executions::new(stage.sfn.clone(), stage.state_machine.replace(":work", ":gone"));
    let invoker = Invoker::new(
        stage.ledger.clone(),
        gone,
        stage.options.dispatch.clone(),
        Pace::per_second(100),
    );
    let invoked = invoker
        .handle(&[delivered("m", body)], stage.deadline())
        .await
        .remove(0);
    let Invoked::Returned(cause) = invoked else {
        panic!("{invoked:?}")
    };
    assert!(cause.contains("StateMachineDoesNotExist"), "{cause}");
    assert_eq!(the_row(&stage).await, before);
}

#[tokio::test(start_paused = true)]
async fn an_input_that_step_functions_calls_invalid_parks_the_row_at_once() {
    let stage = Stage::usual().await;
    let mut row = row_in(
        Status::Claimed,
        &upload(),
        stage.now().plus(Duration::from_secs(900)),
    );
    let mut event = row.event().unwrap().clone();
    // Step Functions takes 256 KiB.
    event.region = Some("x".repeat(300 * 1024));
    row = Row {
        subject: daybook_schema::Subject::Event(Box::new(event)),
        ..row
    };
    stage.put_rows([&row]);
    let body = DispatchMessage::for_row(&row).unwrap().to_json();
    assert_eq!(invoke(&stage, &body).await, Invoked::Parked(Failed::Parked));
    let row = the_row(&stage).await;
    assert_eq!((row.status, row.attempt), (Status::Parked, Attempt(1)));
    assert!(row.last_error.unwrap().contains("InvalidExecutionInput"));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_delivery_is_dropped_when_its_row_is_gone_or_went_on() {
    let (stage, body) = one_dispatched().await;
    let mut message = DispatchMessage::from_json(&body).unwrap();
    message.delivery = 2;
    let body = message.to_json();
    let claimed = the_row(&stage).await;
    let elsewhere = [
        Row {
            status: Status::Pending,
            ..claimed.clone()
        },
        Row {
            status: Status::Parked,
            ..claimed.clone()
        },
        Row {
            attempt: Attempt(2),
            ..claimed.clone()
        },
    ];
    for row in elsewhere {
        stage.put_rows([&row]);
        assert_eq!(invoke(&stage, &body).await, Invoked::Dropped, "{row:?}");
    }
    stage.ledger.delete_done(&claimed).await.unwrap();
    assert_eq!(invoke(&stage, &body).await, Invoked::Dropped);
    assert!(stage.execution_names().is_empty());
    stage.put_rows([&claimed]);
    assert_eq!(invoke(&stage, &body).await, Invoked::Started);
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_read_are_returned_and_nothing_else_is() {
    let (stage, body) = one_dispatched().await;
    let newer = r#"{"v": 99}"#.to_owned();
    let messages = all_delivered([("odd", "hello".into()), ("good", body), ("newer", newer)]);
    let invoked = stage.invoker().handle(&messages, stage.deadline()).await;
    let failed = returned(&messages, invoked.iter().map(Invoked::disposition));
    assert_eq!(failed, ["odd", "newer"]);
    assert_eq!(stage.execution_names().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn executions_are_started_no_faster_than_the_pace() {
    let (stage, body) = one_dispatched().await;
    let pace = Pace::per_second(10);
    let invoker = Invoker::new(
        stage.ledger.clone(),
        stage.executions(),
        stage.options.dispatch.clone(),
        pace,
    );
    let clock: &Clock = &stage.clock;
    let started = clock.now();
    let messages: Vec<_> = (0..31).map(|n| delivered(&n.to_string(), body.clone())).collect();
    invoker.handle(&messages, stage.deadline()).await;
    assert_eq!(clock.now().since(started), Duration::from_secs(3));
}
