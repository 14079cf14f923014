//! Express executions that end without telling anybody: counted on the row, and an end of the attempt after three.

use std::time::Duration;

use daybook_local::Outcome;
use daybook_manager::{Dispatch, Invoked};
use daybook_schema::{Attempt, DispatchMessage, EventId, ExecutionInput, Row, Status};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::{delivered, row_in};
use daybook_tests::{Stage, StageOptions};
use serde_json::json;

async fn stage(express: bool, dispatch: Dispatch) -> Stage {
    Stage::new(StageOptions {
        express,
        dispatch,
        ..StageOptions::default()
    })
    .await
}

async fn express() -> Stage {
    let dispatch = Dispatch {
        max_attempts: 2,
        ..Dispatch::default()
    };
    stage(true, dispatch).await
}

/// All that runs dies, and nobody is told.
fn die_untold(stage: &Stage) {
    let executions = stage.aws.executions();
    for one in executions.all().iter().filter(|one| one.outcome.is_none()) {
        let (error, cause) = ("States.DataLimitExceeded".to_owned(), String::new());
        executions
            .close(&one.arn, Outcome::Failed { error, cause })
            .unwrap();
    }
    assert_eq!(stage.aws.sqs().depth(&stage.completion).unwrap().visible, 0);
}

/// What the last step of an Express execution tells.
fn told(stage: &Stage, row: &Row, status: &str) -> String {
    let input = ExecutionInput::new(row.event().unwrap(), row.attempt);
    json!({
        "source": "daybook.express", "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": "arn", "stateMachineArn": stage.state_machine, "status": status,
            "name": input.name().to_string(), "input": input.to_json(),
        },
    })
    .to_string()
}

/// The row is claimed at attempt 1, and its message of that delivery is at hand.
async fn claimed(stage: &Stage, deliveries: u32, deaths: u32) -> Row {
    let row = Row {
        deliveries,
        deaths,
        ..row_in(Status::Claimed, &Upload::new("a.json", 1, "e"), stage.now())
    };
    stage.put_rows([&row]);
    row
}

async fn invoke(stage: &Stage, row: &Row) -> Invoked {
    let message = DispatchMessage::for_row(row).unwrap().to_json();
    stage
        .invoker()
        .handle(&[delivered("m", message)], stage.deadline())
        .await
        .remove(0)
}

fn starts(stage: &Stage, id: EventId, attempt: u32) -> usize {
    let name = format!("{id}-{attempt}");
    stage.execution_names().iter().filter(|one| **one == name).count()
}

#[tokio::test(start_paused = true)]
async fn executions_that_always_die_untold_use_up_the_attempts_and_the_row_is_parked() {
    let stage = express().await;
    let upload = Upload::new("a.json", 1, "e");
    stage.record(std::slice::from_ref(&upload)).await;
    let id = upload.event().id;
    for _ in 0..24 * 60 {
        stage.schedule().await;
        stage.invoke_all().await;
        stage.pass(Duration::from_secs(60)).await;
        die_untold(&stage);
        stage.sweep().await;
        if stage.row(id).await.unwrap().status == Status::Parked {
            break;
        }
    }
    let row = stage.row(id).await.unwrap();
    assert_eq!(
        (row.status, row.attempt, row.deaths),
        (Status::Parked, Attempt(2), 0)
    );
    let error = row.last_error.unwrap();
    assert!(
        error.starts_with("UNTOLD: 3 executions in a row ended without a report"),
        "{error}"
    );
    // The first, and the three that were counted.
    assert_eq!([1, 2, 3].map(|attempt| starts(&stage, id, attempt)), [4, 4, 0]);
}

#[tokio::test(start_paused = true)]
async fn lost_messages_are_no_deaths() {
    let stage = express().await;
    let upload = Upload::new("a.json", 1, "e");
    stage.record(std::slice::from_ref(&upload)).await;
    let id = upload.event().id;
    stage.schedule().await;
    for _ in 0..5 {
        stage.aws.sqs().lose(&stage.dispatch_queue, |_| true);
        stage.pass(Duration::from_secs(7 * 3600)).await;
        assert_eq!(stage.sweep().await.redelivered, 1);
    }
    let row = stage.row(id).await.unwrap();
    assert_eq!((row.status, row.deliveries, row.deaths), (Status::Claimed, 6, 0));
    stage.invoke_all().await;
    let row = stage.row(id).await.unwrap();
    assert_eq!((row.status, row.deliveries, row.deaths), (Status::Claimed, 1, 1));
    assert_eq!(starts(&stage, id, 1), 1);
    stage
        .aws
        .sqs()
        .send(&stage.completion, &told(&stage, &row, "SUCCEEDED"))
        .unwrap();
    stage.complete_all().await;
    assert_eq!(stage.row(id).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_message_counts_nothing_and_fails_nothing() {
    let stage = express().await;
    let row = claimed(&stage, 2, 1).await;
    assert_eq!(invoke(&stage, &row).await, Invoked::Started);
    let counted = stage.row(row.id).await.unwrap();
    assert_eq!((counted.deliveries, counted.deaths), (1, 2));
    // It runs again, as anything may that has no name, and the row is as it was.
    assert_eq!(invoke(&stage, &row).await, Invoked::Started);
    assert_eq!(stage.row(row.id).await.unwrap(), counted);

    // The third one runs: a copy of the message that started it must not end its attempt.
    let stage = express().await;
    let row = claimed(&stage, 2, 2).await;
    assert_eq!(invoke(&stage, &row).await, Invoked::Started);
    let third = stage.row(row.id).await.unwrap();
    assert_eq!((third.deliveries, third.deaths), (1, 3));
    assert_eq!(invoke(&stage, &row).await, Invoked::Dropped);
    assert_eq!(stage.row(row.id).await.unwrap(), third);
    assert_eq!(starts(&stage, row.id, 1), 1);

    // And one that the sweep has sent a newer delivery after decides nothing either.
    let older = Row {
        deliveries: 2,
        ..third.clone()
    };
    stage.put_rows([&Row {
        deliveries: 3,
        ..third.clone()
    }]);
    assert_eq!(invoke(&stage, &older).await, Invoked::Dropped);
    assert_eq!(stage.row(row.id).await.unwrap().status, Status::Claimed);
}

#[tokio::test(start_paused = true)]
async fn the_delivery_after_the_third_fails_the_attempt_and_starts_nothing() {
    let stage = express().await;
    let row = claimed(&stage, 2, 3).await;
    // However often the sweep looks, it fails nothing.
    for _ in 0..20 {
        stage.pass(Duration::from_secs(7 * 3600)).await;
        stage.sweep().await;
        stage.aws.sqs().lose(&stage.dispatch_queue, |_| true);
    }
    let swept = stage.row(row.id).await.unwrap();
    assert_eq!(
        (swept.status, swept.attempt, swept.deaths),
        (Status::Claimed, row.attempt, 3)
    );
    let Invoked::Untold(_) = invoke(&stage, &swept).await else {
        panic!("not failed");
    };
    let failed = stage.row(row.id).await.unwrap();
    assert_eq!(
        (failed.status, failed.attempt, failed.deaths),
        (Status::Pending, row.attempt, 0)
    );
    assert!(failed.due_at > stage.now(), "after a backoff");
    assert!(stage.execution_names().is_empty());
    // A second copy of that message finds it done.
    assert_eq!(invoke(&stage, &swept).await, Invoked::Dropped);
}

#[tokio::test(start_paused = true)]
async fn a_first_delivery_writes_nothing_and_a_repeated_one_as_much_as_a_renewal() {
    let stage = express().await;
    for (deliveries, requests, write_units) in [(1, 0, 0.0), (2, 2, 3.0), (3, 2, 3.0)] {
        let row = claimed(&stage, deliveries, 0).await;
        let before = stage.ledger.consumed();
        assert_eq!(invoke(&stage, &row).await, Invoked::Started);
        let used = stage.ledger.consumed() - before;
        assert_eq!(
            (used.requests, used.write_units),
            (requests, write_units),
            "delivery {deliveries}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_counted_start_has_a_lease_beyond_five_minutes_however_short_leases_are() {
    let dispatch = Dispatch {
        lease: Duration::from_secs(60),
        ..Dispatch::default()
    };
    let stage = stage(true, dispatch).await;
    let row = claimed(&stage, 2, 0).await;
    invoke(&stage, &row).await;
    let counted = stage.row(row.id).await.unwrap();
    assert!(
        counted.due_at > stage.now().plus(Duration::from_secs(300)),
        "{counted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_of_a_standard_execution_is_never_counted() {
    let stage = stage(false, Dispatch::default()).await;
    for deliveries in [2, 3, 2, 7] {
        let row = claimed(&stage, deliveries, 0).await;
        assert_eq!(invoke(&stage, &row).await, Invoked::Started);
        let renewed = stage.row(row.id).await.unwrap();
        assert_eq!((renewed.deliveries, renewed.deaths), (1, 0));
    }
}
