//! Many executions that outlive their rows' leases, and lists of them that are not complete.

use std::time::Duration;

use daybook_ledger::Deadline;
use daybook_reconciler::SweepReport;
use daybook_schema::{Row, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Request, Stage};
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);

/// Claimed rows whose leases are over; of all but the last `lost` an execution runs, and the first ones are the oldest of these.
async fn with_running(rows: usize, lost: usize) -> (Stage, Vec<Row>) {
    let stage = Stage::usual().await;
    let claimed: Vec<Row> = uploads(rows)
        .iter()
        .map(|upload| row_in(Status::Claimed, upload, stage.now()))
        .collect();
    stage.put_rows(&claimed);
    for row in &claimed[..rows - lost] {
        let start = json!({
            "stateMachineArn": stage.state_machine, "name": format!("{}-{}", row.id, row.attempt.0), "input": "{}",
        });
        let answer = stage
            .aws
            .handle("AWSStepFunctions.StartExecution", start.to_string().as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    stage.pass(MINUTE).await;
    (stage, claimed)
}

/// As the function's timeout and its schedule have it.
async fn sweep(stage: &Stage) -> SweepReport {
    let deadline = Deadline::after(&stage.clock, Duration::from_secs(228));
    stage.sweeper().run_on(stage.window(), deadline).await.unwrap()
}

/// The list ends after so many pages, by an error.
fn lists_only(pages: usize) -> impl FnMut(&Request) -> Fault + Send + 'static {
    let mut listed = 0;
    move |request| {
        if request.operation != "ListExecutions" {
            return Fault::None;
        }
        listed = match request.body.get("nextToken") {
            None => 1,
            Some(_) => listed + 1,
        };
        if listed > pages {
            Fault::Throttled
        } else {
            Fault::None
        }
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_thousand_executions_that_outlive_their_leases_are_renewed_and_none_is_sent_again() {
    let (stage, _) = with_running(30_000, 0).await;
    let first = sweep(&stage).await;
    stage.pass(MINUTE * 5).await;
    let second = sweep(&stage).await;
    assert_eq!(first.renewed + second.renewed, 30_000, "{first:?}, {second:?}");
    for report in [&first, &second] {
        assert_eq!(
            (report.redelivered, report.moved, report.left),
            (0, 0, 0),
            "{report:?}"
        );
        assert!(!report.incomplete && report.failures.is_empty(), "{report:?}");
    }
    assert!(stage.dispatched().is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_an_incomplete_list_the_others_are_asked_for_one_by_one_and_only_the_lost_are_sent_again() {
    let (stage, rows) = with_running(1230, 30).await;
    stage.wire.inject(lists_only(1));
    let (before, asked) = (stage.now(), stage.wire.operations());
    let report = sweep(&stage).await;
    assert_eq!(
        (report.stale, report.renewed, report.redelivered, report.left),
        (1230, 1200, 30, 0),
        "{report:?}"
    );
    assert!(report.incomplete, "{report:?}");
    assert_eq!(report.failures.len(), 1, "{:?}", report.failures);
    let described =
        stage.wire.operations()["DescribeExecution"] - asked.get("DescribeExecution").copied().unwrap_or(0);
    assert_eq!(described, 230, "those that are not on the first page");
    let seconds = stage.now().since(before).as_secs();
    assert!(seconds >= 22, "10 a second: {seconds}");
    let sent: Vec<_> = stage
        .dispatched()
        .iter()
        .map(|message| message.input.id)
        .collect();
    assert!(rows[1200..].iter().all(|row| sent.contains(&row.id)));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_says_anything_of_is_left_alone_for_six_hours_and_then_sent_again() {
    let (stage, rows) = with_running(20, 10).await;
    stage.wire.inject(|request| match request.service.as_str() {
        "AWSStepFunctions" => Fault::Throttled,
        _ => Fault::None,
    });
    let report = sweep(&stage).await;
    assert_eq!(
        (
            report.stale,
            report.renewed,
            report.redelivered,
            report.moved,
            report.left
        ),
        (20, 0, 0, 0, 20),
        "{report:?}"
    );
    assert!(report.incomplete && !report.failures.is_empty(), "{report:?}");
    // Nothing of them is changed.
    for row in &rows {
        assert_eq!(stage.row(row.id).await.as_ref(), Some(row));
    }
    stage.pass(Duration::from_secs(6 * 3600)).await;
    let report = sweep(&stage).await;
    assert_eq!((report.redelivered, report.left), (20, 0), "{report:?}");
    // What runs is not run a second time.
    stage.wire.heal();
    stage.invoke_all().await;
    assert_eq!(stage.execution_names().len(), 20);
}

/// The oldest are asked for first, so that more rows than there is time for take their turns.
#[tokio::test(start_paused = true)]
async fn more_rows_than_can_be_asked_for_take_their_turns() {
    let (stage, _) = with_running(3000, 0).await;
    stage.wire.inject(lists_only(0));
    let lease_ends = stage.now().plus(stage.options.dispatch.lease);
    let first = sweep(&stage).await;
    assert!(
        (1000..=2000).contains(&first.renewed) && first.renewed + first.left == 3000,
        "{first:?}"
    );
    let mut renewed = first.renewed;
    while renewed < 3000 {
        stage.pass(MINUTE).await;
        let report = sweep(&stage).await;
        assert!(report.renewed > 0 && report.redelivered == 0, "{report:?}");
        renewed += report.renewed;
    }
    assert!(stage.now() <= lease_ends, "before the first lease ends again");
    assert!(stage.dispatched().is_empty());
}
