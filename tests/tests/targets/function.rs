use std::time::Duration;

use daybook_manager::{Disposition, Invoked};
use daybook_schema::{EventId, ExecutionInput, Status};
use daybook_tests::lambda_service::TARGET_FUNCTION;
use daybook_tests::notifications::uploads;
use daybook_tests::{Invoking, Stage, StageTarget};
use serde_json::{Value, json};

use crate::{claimed, dispatched, invoke, stage, stage_of_batches, upload};

fn tell(stage: &Stage, record: &str) {
    stage.aws.sqs().send(&stage.completion, record).unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_an_invocation_with_the_input_and_its_record_completes_the_event() {
    let stage = stage(StageTarget::Function).await;
    dispatched(&stage, &[upload()]).await;
    stage.invoke_all().await;
    let [invocation] = &stage.functions.invocations()[..] else {
        panic!("{:?}", stage.functions.invocations())
    };
    let row = claimed(&stage).await;
    let input = ExecutionInput::new(row.event().unwrap(), row.attempt);
    assert_eq!(
        (invocation.function.as_str(), &invocation.payload),
        (TARGET_FUNCTION, &serde_json::to_value(input).unwrap())
    );
    tell(&stage, &invocation.returned(Value::Null));
    stage.complete_all().await;
    assert_eq!(stage.row(row.id).await, None);
    let receipt = stage.receipt(row.event().unwrap()).await.unwrap();
    let by = receipt.by;
    assert!(by.starts_with(TARGET_FUNCTION), "{by}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_function_fails_the_attempt_and_says_why() {
    let stage = stage(StageTarget::Function).await;
    dispatched(&stage, &[upload()]).await;
    stage.invoke_all().await;
    let invocation = stage.functions.invocations().remove(0);
    tell(&stage, &invocation.raised("ValueError", "no such column"));
    stage.complete_all().await;
    let row = stage.row(upload().event().id).await.unwrap();
    assert_eq!((row.status, row.attempt.0), (Status::Pending, 1));
    assert_eq!(
        row.last_error.as_deref(),
        Some("RetriesExhausted: ValueError: no such column")
    );
    // The next attempt has a number of its own, and a late copy of the first record changes nothing of it.
    stage.pass(Duration::from_secs(120)).await;
    stage.schedule().await;
    stage.invoke_all().await;
    assert_eq!(stage.functions.invocations()[1].payload["attempt"], 2);
    tell(&stage, &invocation.raised("ValueError", "no such column"));
    stage.complete_all().await;
    let row = stage.row(row.id).await.unwrap();
    assert_eq!((row.status, row.attempt.0), (Status::Claimed, 2));
}

#[tokio::test(start_paused = true)]
async fn what_lambda_does_not_take_comes_again_and_uses_no_attempt() {
    for (fate, throttled) in [
        (Invoking::Throttled, true),
        (Invoking::Failing, false),
        (Invoking::Cut, false),
        (Invoking::Denied, false),
    ] {
        let stage = stage(StageTarget::Function).await;
        let message = dispatched(&stage, &[upload()]).await.remove(0);
        let before = claimed(&stage).await;
        stage.functions.next([fate]);
        let invoked = invoke(&stage, &message).await;
        assert_eq!(matches!(invoked, Invoked::Throttled(_)), throttled, "{invoked:?}");
        assert_eq!(invoked.disposition(), Disposition::Return, "{invoked:?}");
        let (Invoked::Throttled(cause) | Invoked::Returned(cause)) = &invoked else {
            panic!("{invoked:?}")
        };
        assert!(cause.starts_with("Invoke "), "{cause}");
        assert_eq!(
            stage.functions.requests(),
            1,
            "the SDK does not invoke again: {fate:?}"
        );
        assert_eq!(stage.functions.invocations(), []);
        assert_eq!(claimed(&stage).await, before);
        // Later it is taken.
        assert_eq!(invoke(&stage, &message).await, Invoked::Started);
        assert_eq!(stage.functions.invocations().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_is_taken_without_an_answer_runs_again_and_both_records_are_one_success() {
    let stage = stage(StageTarget::Function).await;
    let message = dispatched(&stage, &[upload()]).await.remove(0);
    stage.functions.next([Invoking::TakenUnanswered]);
    assert_eq!(invoke(&stage, &message).await.disposition(), Disposition::Return);
    assert_eq!(invoke(&stage, &message).await, Invoked::Started);
    for invocation in stage.functions.invocations() {
        tell(&stage, &invocation.returned(json!({})));
        stage.complete_all().await;
    }
    assert_eq!(stage.functions.invocations().len(), 2);
    assert_eq!(stage.rows().await.len(), 0);
    assert_eq!(stage.aws.sqs().depth(&stage.completion).unwrap().visible, 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_too_long_for_lambda_is_parked_at_once() {
    let stage = stage(StageTarget::Function).await;
    let message = dispatched(&stage, &[upload()]).await.remove(0);
    stage.functions.next([Invoking::TooLong]);
    let invoked = invoke(&stage, &message).await;
    assert!(matches!(invoked, Invoked::Parked(_)), "{invoked:?}");
    let row = stage.row(upload().event().id).await.unwrap();
    assert_eq!(row.status, Status::Parked);
    let error = row.last_error.unwrap();
    assert!(error.contains("RequestTooLargeException"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_exactly_what_the_answer_lists_has_failed() {
    let stage = stage_of_batches(StageTarget::Function).await;
    dispatched(&stage, &uploads(3)).await;
    stage.invoke_all().await;
    let [invocation] = &stage.functions.invocations()[..] else {
        panic!("one for all three")
    };
    let failed = invocation.payload["events"][1]["id"].clone();
    let answer = json!({"batchItemFailures": [{"itemIdentifier": failed}]});
    tell(&stage, &invocation.returned(answer));
    stage.complete_all().await;
    let rows: Vec<_> = stage.rows().await.into_values().collect();
    let failed: EventId = serde_json::from_value(failed).unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [failed]);
    assert_eq!((rows[0].status, rows[0].attempt.0), (Status::Pending, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_function_fails_is_run_one_by_one() {
    let stage = stage_of_batches(StageTarget::Function).await;
    dispatched(&stage, &uploads(3)).await;
    stage.invoke_all().await;
    let invocation = stage.functions.invocations().remove(0);
    tell(&stage, &invocation.raised("MemoryError", "too much"));
    stage.complete_all().await;
    stage.pass(Duration::from_secs(120)).await;
    stage.schedule().await;
    stage.invoke_all().await;
    let alone = stage.functions.invocations().split_off(1);
    let events = alone
        .iter()
        .map(|one| one.payload["events"].as_array().unwrap().len());
    assert_eq!(events.collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_long_goes_back_and_nothing_is_invoked_for_nobody() {
    let stage = stage_of_batches(StageTarget::Function).await;
    let message = dispatched(&stage, &uploads(3)).await.remove(0);
    stage.functions.next([Invoking::TooLong]);
    assert_eq!(invoke(&stage, &message).await, Invoked::Dropped);
    assert_eq!(stage.functions.requests(), 1);
    let rows = stage.rows().await;
    assert!(rows.values().all(|row| row.status == Status::Pending), "{rows:?}");
    assert_eq!(stage.functions.invocations(), []);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_not_about_an_event_of_ours_is_kept_for_a_look() {
    let stage = stage(StageTarget::Function).await;
    dispatched(&stage, &[upload()]).await;
    stage.invoke_all().await;
    let mut invocation = stage.functions.invocations().remove(0);
    invocation.payload = json!({"Records": []});
    tell(&stage, &invocation.returned(Value::Null));
    stage.pump_complete().await.unwrap();
    claimed(&stage).await;
    let depth = stage.aws.sqs().depth(&stage.completion).unwrap();
    assert_eq!((depth.visible, depth.in_flight), (0, 1), "{depth:?}");
}
