//! The execution's name decides: what its input does not name goes back, whatever bears the batch.

use daybook_ledger::{Claim, Hand, Person};
use daybook_schema::BatchId;
use daybook_tests::Fault;

use super::*;

/// A claim without an answer marks rows with a batch that no message has.
/// Step Functions takes no input that names this event.
fn refuse_inputs_with(stage: &Stage, bad: EventId) {
    stage.wire.inject(move |request| {
        let input = request.body["input"].as_str().unwrap_or_default();
        match request.operation.as_str() {
            "StartExecution" if input.contains(&bad.to_string()) => Fault::InvalidInput,
            _ => Fault::None,
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_row_that_the_input_does_not_name_goes_back_unused_while_the_batch_runs_on_and_after_it() {
    for runs_on in [true, false] {
        let stage = stage(3).await;
        stage.record(&uploads(3)).await;
        let keys = stage.due_keys().await;
        let claims = stage
            .ledger
            .claim(&keys, Hand::Batches(3), LEASE, stage.deadline())
            .await;
        let rows: Vec<Row> = claims
            .into_iter()
            .map(|claim| match claim {
                Claim::Claimed(row) => *row,
                other => panic!("{other:?}"),
            })
            .collect();
        // The answer for the third was lost, say.
        stage.queue().send(&rows[..2]).await;
        stage.invoke_all().await;
        if !runs_on {
            stage.succeed_running();
            stage.complete_all().await;
        }
        // While T runs the sweep cannot know whether it has this row: three moves, and then the name decides.
        for _ in 0..30 {
            stage.pass(LEASE + MINUTE).await;
            stage.sweep().await;
            stage.invoke_all().await;
            if stage.row(rows[2].id).await.unwrap().status == Status::Pending {
                break;
            }
        }
        let row = stage.row(rows[2].id).await.unwrap();
        assert_eq!(
            (row.status, row.attempt.0, row.batch, row.alone),
            (Status::Pending, 0, None, false)
        );
        let left = if runs_on { 3 } else { 1 };
        assert_eq!(stage.rows().await.len(), left);
        stage.schedule().await;
        stage.invoke_all().await;
        stage.succeed_running();
        stage.complete_all().await;
        assert_eq!(stage.rows().await, BTreeMap::new());
        no_attempt_is_given_twice(&stage);
    }
}

/// Renewed by the probe: its lease does not end again and again.
#[tokio::test(start_paused = true)]
async fn rows_of_a_batch_that_runs_for_hours_stay_claimed_and_are_started_once() {
    let stage = stage(3).await;
    claimed(&stage, 3).await;
    stage.invoke_all().await;
    for _ in 0..60 {
        stage.pass(2 * MINUTE).await;
        stage.sweep().await;
        stage.invoke_all().await;
    }
    assert_eq!(in_status(&stage, Status::Claimed).await, 3);
    assert_eq!(stage.execution_names().len(), 1);
    stage.succeed_running();
    stage.complete_all().await;
    assert_eq!(stage.rows().await, BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_twice_starts_one_execution() {
    let stage = stage(3).await;
    claimed(&stage, 3).await;
    let body = stage.aws.sqs().messages(&stage.dispatch_queue).unwrap()[0]
        .body
        .clone();
    stage.invoke_all().await;
    stage.aws.sqs().send(&stage.dispatch_queue, &body).unwrap();
    stage.invoke_all().await;
    assert_eq!(stage.execution_names().len(), 1);
    stage.succeed_running();
    stage.aws.sqs().send(&stage.dispatch_queue, &body).unwrap();
    stage.invoke_all().await;
    assert_eq!(stage.rows().await, BTreeMap::new(), "the probe settles it");
    stage.complete_all().await;
    assert_eq!(stage.execution_names().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_an_invalid_input_the_name_is_taken_first_and_every_row_is_run_by_itself() {
    let stage = stage(3).await;
    let rows = claimed(&stage, 3).await;
    let bad = *rows.keys().next().unwrap();
    refuse_inputs_with(&stage, bad);
    stage.invoke_all().await;
    let nobody = &stage.aws.executions().all()[0];
    assert_eq!(given(nobody), BTreeSet::new(), "{}", nobody.input);
    let back = stage.rows().await;
    assert!(
        back.values()
            .all(|row| row.status == Status::Pending && row.attempt.0 == 0 && row.alone)
    );
    stage.schedule().await;
    stage.invoke_all().await;
    let parked = &stage.rows().await[&bad];
    assert_eq!((parked.status, parked.batch), (Status::Parked, None));
    stage.succeed_running();
    stage.complete_all().await;
    assert_eq!(stage.rows().await.keys().collect::<Vec<_>>(), [&bad]);
    no_attempt_is_given_twice(&stage);
}

/// Its late message and the next batch's execution have two names.
#[tokio::test(start_paused = true)]
async fn a_persons_release_of_a_batchs_row_ends_its_lease_and_the_name_decides() {
    let stage = stage(3).await;
    let rows = claimed(&stage, 3).await;
    let person = Person {
        by: "kim",
        why: Some("nothing runs"),
    };
    let all: Vec<Row> = rows.values().cloned().collect();
    let freed = stage.ledger.free_rows(&all, person, stage.deadline()).await;
    assert!(freed.iter().all(|one| matches!(one, Ok(true))), "{freed:?}");
    let after = stage.rows().await;
    for row in after.values() {
        assert_eq!((row.status, row.attempt.0), (Status::Claimed, 1));
        assert_eq!(row.batch, rows[&row.id].batch);
        assert!(row.due_at <= stage.now());
    }
    // The next tick has nothing to claim, whatever the late message does.
    assert_eq!(stage.schedule().await.claimed, 0);
    stage.invoke_all().await;
    stage.succeed_running();
    stage.complete_all().await;
    assert_eq!(stage.rows().await, BTreeMap::new());
    no_attempt_is_given_twice(&stage);
}

/// Somebody else's input under the name settles nothing; it cannot be told from a batch that ended.
#[tokio::test(start_paused = true)]
async fn an_execution_that_somebody_else_started_under_the_name_settles_nobody() {
    let stage = stage(2).await;
    let rows = claimed(&stage, 2).await;
    let batch: BatchId = rows.values().next().unwrap().batch.unwrap();
    let start = json!({"stateMachineArn": stage.state_machine, "name": format!("b-{batch}"), "input": "{\"by\":\"hand\"}"});
    let started = stage
        .aws
        .handle("AWSStepFunctions.StartExecution", start.to_string().as_bytes())
        .await;
    assert_eq!(started.status, 200);
    stage.succeed_running();
    stage.complete_all().await;
    assert_eq!(in_status(&stage, Status::Claimed).await, 2, "nobody is settled");
    stage.invoke_all().await;
    assert_eq!(
        in_status(&stage, Status::Pending).await,
        2,
        "they go back, and get another batch"
    );
}

/// There a name protects from nothing, so that to take it first would only start one execution more with every delivery.
#[tokio::test(start_paused = true)]
async fn of_an_invalid_input_of_an_express_state_machine_the_rows_go_back_at_once() {
    let stage = Stage::new(StageOptions {
        dispatch: dispatch(3),
        express: true,
        ..StageOptions::default()
    })
    .await;
    let rows = claimed(&stage, 3).await;
    let bad = *rows.keys().next().unwrap();
    refuse_inputs_with(&stage, bad);
    assert_eq!(stage.pump_invoke().await, Some(1));
    let back = stage.rows().await;
    assert!(
        back.values()
            .all(|row| row.status == Status::Pending && row.attempt.0 == 0 && row.alone)
    );
    let depth = stage.aws.sqs().depth(&stage.dispatch_queue).unwrap();
    assert_eq!(depth.visible + depth.in_flight, 0, "the message is done with");
}
