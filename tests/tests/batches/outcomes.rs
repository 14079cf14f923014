//! What an execution's end means for the events that its input names.

use daybook_manager::Completed;
use daybook_tests::Fault;
use daybook_tests::rows::delivered;

use super::*;

#[tokio::test(start_paused = true)]
async fn the_events_that_an_output_lists_have_failed_and_are_run_alone_from_then_on() {
    let stage = stage(3).await;
    let rows = claimed(&stage, 3).await;
    stage.invoke_all().await;
    let bad = *rows.keys().nth(1).unwrap();
    end(&stage, &running(&stage)[0], &failures([bad]));
    stage.complete_all().await;
    let left = stage.rows().await;
    let row = &left[&bad];
    assert_eq!(left.len(), 1);
    assert_eq!((row.status, row.attempt.0, row.alone), (Status::Pending, 1, true));
    assert_eq!(
        row.last_error.as_deref(),
        Some("its batch's output lists it in batchItemFailures")
    );
    // Two others are due with it; it is run by itself all the same.
    stage.pass(MINUTE).await;
    let more = [50, 51].map(|n| daybook_tests::notifications::Upload::new(&format!("{n}.json"), n, "e"));
    stage.record(&more).await;
    assert_eq!(stage.schedule().await.sent, 3);
    stage.invoke_all().await;
    let executions = running(&stage);
    let sizes: BTreeSet<usize> = executions
        .iter()
        .map(|execution| given(execution).len())
        .collect();
    assert_eq!((executions.len(), sizes), (2, BTreeSet::from([1, 2])));
    let alone = executions
        .iter()
        .find(|one| given(one).contains(&(bad, 2)))
        .unwrap();
    assert!(alone.name.ends_with(&bad.to_string()), "{}", alone.name);
    // By itself it is parked for its last failure.
    end(&stage, alone, &failures([bad]));
    stage.complete_all().await;
    assert_eq!(stage.rows().await[&bad].status, Status::Parked);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_makes_no_sense_fails_all_and_parks_none() {
    for output in [
        json!({"batchItemFailures": "all"}),
        failures(["00000000-0000-5000-8000-000000000007".parse().unwrap()]),
    ] {
        let stage = stage(3).await;
        claimed(&stage, 3).await;
        stage.invoke_all().await;
        for execution in running(&stage) {
            end(&stage, &execution, &output);
        }
        stage.complete_all().await;
        let rows = stage.rows().await;
        assert_eq!(rows.len(), 3);
        for row in rows.values() {
            assert_eq!((row.status, row.alone, row.attempt.0), (Status::Pending, true, 1));
            let error = row.last_error.clone().unwrap();
            assert!(error.contains("batchItemFailures"), "{error}");
        }
    }
}

/// One poisonous object fails every execution that it is in.
#[tokio::test(start_paused = true)]
async fn a_poisonous_object_parks_alone_and_its_companions_complete() {
    let stage = stage_with(Dispatch {
        max_attempts: 1,
        ..dispatch(5)
    })
    .await;
    let rows = claimed(&stage, 5).await;
    let poison = *rows.keys().nth(2).unwrap();
    for _ in 0..5 {
        stage.invoke_all().await;
        for execution in running(&stage) {
            let outcome = match given(&execution).iter().any(|(id, _)| *id == poison) {
                true => Outcome::Failed {
                    error: "States.TaskFailed".into(),
                    cause: "out of memory".into(),
                },
                false => Outcome::Succeeded { output: "{}".into() },
            };
            stage.aws.executions().close(&execution.arn, outcome).unwrap();
        }
        stage.complete_all().await;
        stage.pass(2 * MINUTE).await;
        stage.schedule().await;
    }
    let left = stage.rows().await;
    assert_eq!(left.keys().collect::<Vec<_>>(), [&poison]);
    let row = &left[&poison];
    assert_eq!(
        (row.status, row.attempt.0),
        (Status::Parked, 2),
        "one in company, one by itself"
    );
    assert!(row.batch.is_none());
    no_attempt_is_given_twice(&stage);
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_status_event_is_lost_is_settled_by_the_sweep_and_the_invoker() {
    let stage = stage(4).await;
    let rows = claimed(&stage, 4).await;
    stage.invoke_all().await;
    let bad = *rows.keys().next().unwrap();
    end(&stage, &running(&stage)[0], &failures([bad]));
    assert_eq!(stage.lose_status_events(), 1);
    stage.pass(LEASE + MINUTE).await;
    let swept = stage.sweep().await;
    assert_eq!(swept.redelivered, 4, "{swept:?}");
    stage.invoke_all().await;
    let left = stage.rows().await;
    assert_eq!(left.keys().collect::<Vec<_>>(), [&bad]);
    assert_eq!((left[&bad].status, left[&bad].alone), (Status::Pending, true));
    no_attempt_is_given_twice(&stage);
}

/// "inputDetails": {"included": false}: that is not "no events", and not "no failures".
#[tokio::test(start_paused = true)]
async fn what_a_status_event_leaves_out_is_asked_for() {
    let stage = stage(100).await;
    // Each quotation mark is four characters in the event's JSON.
    let upload =
        |n: u64| daybook_tests::notifications::Upload::new(&format!("{}{n:03}", "\"".repeat(900)), n, "e");
    stage.record(&(0..90).map(upload).collect::<Vec<_>>()).await;
    assert_eq!(stage.schedule().await.sent, 90);
    stage.invoke_all().await;
    let execution = running(&stage).remove(0);
    let bad = given(&execution).into_iter().next().unwrap().0;
    end(&stage, &execution, &failures([bad]));
    let event: Value =
        serde_json::from_str(&stage.aws.sqs().messages(&stage.completion).unwrap()[0].body).unwrap();
    assert_eq!(event["detail"]["inputDetails"]["included"], json!(false));
    // While that cannot be said, nothing changes and the event comes again.
    stage.wire.inject_always("DescribeExecution", Fault::NotSent);
    assert_eq!(stage.pump_complete().await, Some(1));
    assert_eq!(in_status(&stage, Status::Claimed).await, 90);
    stage.wire.heal();
    stage.pass(3 * MINUTE).await;
    stage.complete_all().await;
    assert_eq!(stage.rows().await.keys().collect::<Vec<_>>(), [&bad]);
}

/// As where the state machine is encrypted by a key that complete may not use.
#[tokio::test(start_paused = true)]
async fn an_output_that_is_left_out_is_not_one_without_failures() {
    let stage = stage(2).await;
    let rows = claimed(&stage, 2).await;
    stage.invoke_all().await;
    let bad = *rows.keys().next().unwrap();
    end(&stage, &running(&stage)[0], &failures([bad]));
    let told = &stage.aws.sqs().messages(&stage.completion).unwrap()[0].body;
    let mut event: Value = serde_json::from_str(told).unwrap();
    event["detail"]["output"] = Value::Null;
    let told = [delivered("told", event.to_string())];
    stage.wire.inject_always("DescribeExecution", Fault::NotSent);
    let completed = stage.completer().handle(&told, stage.deadline()).await;
    assert!(
        matches!(completed.as_slice(), [Completed::Returned(_)]),
        "{completed:?}"
    );
    assert_eq!(in_status(&stage, Status::Claimed).await, 2);
    stage.wire.heal();
    let completed = stage.completer().handle(&told, stage.deadline()).await;
    assert!(
        matches!(completed.as_slice(), [Completed::SettledBatch(_)]),
        "{completed:?}"
    );
    assert_eq!(stage.rows().await.keys().collect::<Vec<_>>(), [&bad]);
}
