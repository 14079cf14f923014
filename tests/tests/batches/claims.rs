//! Which rows make a batch, when, and what that costs.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_tick_makes_batches_that_are_full_and_one_with_the_rest() {
    let stage = stage(3).await;
    let rows = claimed(&stage, 7).await;
    stage.invoke_all().await;
    let executions = running(&stage);
    let mut sizes: Vec<usize> = executions
        .iter()
        .map(|execution| given(execution).len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 3, 3]);
    let all: BTreeSet<EventId> = executions.iter().flat_map(given).map(|(id, _)| id).collect();
    assert_eq!(all, rows.keys().copied().collect());
    assert!(
        executions.iter().all(|one| one.name.starts_with("b-")),
        "{executions:?}"
    );
    assert_eq!(stage.succeed_running(), 3);
    stage.complete_all().await;
    assert_eq!(stage.rows().await, BTreeMap::new());
    for row in rows.values() {
        assert!(stage.receipt(row.event().unwrap()).await.is_some());
    }
}

/// Today's write units, and a request for 25 of each kind.
#[tokio::test(start_paused = true)]
async fn a_batch_adds_no_write_unit() {
    for (start, units) in [
        (Start::Scheduled, 8.0 * 100.0 + 1.0),
        (Start::Immediate, 5.0 * 100.0 + 1.0),
    ] {
        let stage = stage_with(Dispatch {
            start,
            ..dispatch(100)
        })
        .await;
        let before = stage.ledger.consumed();
        let body = json!({"Records": uploads(100).iter().map(|upload| upload.record()).collect::<Vec<_>>()});
        stage.ingest_all(&[body.to_string()]).await;
        if start == Start::Scheduled {
            stage.schedule().await;
        }
        stage.invoke_all().await;
        assert_eq!(stage.succeed_running(), 1);
        stage.complete_all().await;
        assert_eq!(stage.rows().await, BTreeMap::new());
        let used = stage.ledger.consumed() - before;
        assert_eq!(used.write_units, units, "{start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_wait_for_company_as_long_as_they_may_and_are_no_backlog() {
    for start in [Start::Scheduled, Start::Immediate] {
        let stage = stage_with(Dispatch {
            start,
            batching: Batching::of(10, 3 * MINUTE).unwrap(),
            ..dispatch(10)
        })
        .await;
        let body = |from: usize, to: usize| {
            let records: Vec<Value> = uploads(to)[from..].iter().map(|upload| upload.record()).collect();
            json!({ "Records": records }).to_string()
        };
        // Ten make a batch, whose last one comes later than its first; four are left.
        stage.ingest_all(&[body(0, 14)]).await;
        let at_once = if start == Start::Immediate { 10 } else { 0 };
        assert_eq!(in_status(&stage, Status::Claimed).await, at_once);
        let report = stage.schedule().await;
        assert_eq!(
            (report.claimed, report.left_behind),
            (10 - at_once as u32, false),
            "{report:?}"
        );
        assert_eq!(in_status(&stage, Status::Pending).await, 4);
        for _ in 0..2 {
            stage.pass(MINUTE).await;
            assert_eq!(stage.schedule().await.claimed, 0);
        }
        stage.pass(MINUTE).await;
        let report = stage.schedule().await;
        assert_eq!((report.claimed, report.sent), (4, 4), "{report:?}");
        stage.invoke_all().await;
        let sizes: Vec<usize> = running(&stage)
            .iter()
            .map(|execution| given(execution).len())
            .collect();
        assert_eq!(sizes, [10, 4]);
    }
}

/// Which of them is left over is not known when they are claimed.
#[tokio::test(start_paused = true)]
async fn what_makes_an_input_too_long_gets_another_batch_and_no_attempt_is_used() {
    let stage = stage(100).await;
    let long =
        |n: u64| daybook_tests::notifications::Upload::new(&format!("{}{n:03}", "k".repeat(1000)), n, "e");
    // 1.6 KB each, as an input: 240 KB are some 150 of them, and a batch of 100 fits. Keys that escape make more of them.
    let wide = |n: u64| {
        daybook_tests::notifications::Upload::new(&format!("{}{n:03}", "\u{1}".repeat(1000)), n, "e")
    };
    let records = (0..60).map(long).chain((100..140).map(wide));
    stage.record(&records.collect::<Vec<_>>()).await;
    let report = stage.schedule().await;
    assert!(report.released > 0 && report.failures.is_empty(), "{report:?}");
    assert_eq!(report.claimed, 100);
    let first = stage.rows().await;
    let released = first.values().filter(|row| row.status == Status::Pending);
    assert!(
        released
            .clone()
            .all(|row| row.attempt.0 == 0 && row.batch.is_none())
    );
    assert_eq!(released.count(), report.released as usize);
    for _ in 0..3 {
        stage.invoke_all().await;
        stage.succeed_running();
        stage.complete_all().await;
        stage.pass(MINUTE).await;
        stage.schedule().await;
    }
    assert_eq!(stage.rows().await, BTreeMap::new());
    no_attempt_is_given_twice(&stage);
    let longest = stage
        .aws
        .executions()
        .all()
        .iter()
        .map(|execution| execution.input.len())
        .max();
    assert!(
        longest.unwrap() <= daybook_schema::LONGEST_BATCH_INPUT,
        "{longest:?}"
    );
}

/// The setting says what is claimed from now on; a row's form says how it goes on.
#[tokio::test(start_paused = true)]
async fn rows_that_were_claimed_before_batches_were_turned_on_or_off_go_on_as_they_began() {
    for (before, after) in [(1, 10), (10, 1)] {
        let mut stage = stage(before).await;
        let rows = claimed(&stage, 4).await;
        // Every message is lost.
        stage.aws.sqs().lose(&stage.dispatch_queue, |_| true);
        stage.options.dispatch = dispatch(after);
        stage.pass(LEASE + MINUTE).await;
        assert_eq!(stage.sweep().await.redelivered, 4);
        stage.invoke_all().await;
        let names: BTreeSet<String> = running(&stage).into_iter().map(|one| one.name).collect();
        let expected: BTreeSet<String> = rows.values().map(|row| row.run_name().to_string()).collect();
        assert_eq!(names, expected);
        stage.succeed_running();
        stage.complete_all().await;
        assert_eq!(stage.rows().await, BTreeMap::new());
    }
}
