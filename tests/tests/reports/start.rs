//! What the invoker and the executions say of a start.

use daybook_ledger::Lookup;
use std::time::Duration;

use daybook_manager::{Completed, Invoked, Running, Settled, Started};
use daybook_schema::{DispatchMessage, Row, Status};
use daybook_tests::rows::delivered;
use daybook_tests::{Fault, Stage};
use serde_json::json;

use crate::{name_of, rows};

async fn with_claimed() -> (Stage, Row) {
    let stage = Stage::usual().await;
    let row = rows(&stage, Status::Claimed, 1).await.remove(0);
    stage.put_rows([&row]);
    (stage, row)
}

async fn invoke(stage: &Stage, row: &Row) -> Invoked {
    let message = DispatchMessage::for_row(row).unwrap().to_json();
    stage
        .invoker()
        .handle(&[delivered("m", message)], stage.deadline())
        .await
        .remove(0)
}

#[tokio::test(start_paused = true)]
async fn only_a_message_that_was_sent_before_costs_a_read_and_a_new_lease() {
    for (deliveries, reads_and_writes) in [(1, 0), (2, 2), (3, 2)] {
        let (stage, row) = with_claimed().await;
        let row = Row { deliveries, ..row };
        stage.put_rows([&row]);
        let before = stage.ledger.consumed();
        assert_eq!(invoke(&stage, &row).await, Invoked::Started);
        let used = stage.ledger.consumed() - before;
        assert_eq!(used.requests, reads_and_writes, "delivery {deliveries}");
        let now = stage.row(row.id).await.unwrap();
        assert_eq!(now.deliveries, 1);
        let renewed = stage.now().plus(stage.options.dispatch.lease);
        assert_eq!(now.due_at, if deliveries == 1 { row.due_at } else { renewed });
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_throttled_is_told_from_one_that_is_refused() {
    let (stage, row) = with_claimed().await;
    let message = DispatchMessage::for_row(&row).unwrap();
    for (fault, throttled) in [
        (Fault::Throttled, true),
        (Fault::Invalid, false),
        (Fault::NotSent, false),
    ] {
        stage.wire.inject_always("StartExecution", fault.clone());
        let started = stage.executions().start(&message.input, None).await;
        match throttled {
            true => assert!(matches!(started, Started::Throttled(_)), "{started:?}"),
            false => assert!(matches!(started, Started::NotStarted(_)), "{started:?}"),
        }
        let invoked = invoke(&stage, &row).await;
        match throttled {
            true => assert!(matches!(invoked, Invoked::Throttled(_)), "{invoked:?}"),
            false => assert!(matches!(invoked, Invoked::Returned(_)), "{invoked:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_absent_only_when_step_functions_says_so() {
    let (stage, row) = with_claimed().await;
    let name = name_of(&row);
    assert_eq!(stage.executions().describe(name).await, Lookup::Absent);
    for fault in [Fault::Throttled, Fault::Invalid, Fault::NotSent] {
        stage.wire.inject_always("DescribeExecution", fault.clone());
        let lookup = stage.executions().describe(name).await;
        assert!(matches!(lookup, Lookup::Unknown(_)), "{fault:?}: {lookup:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_executions_is_complete_when_its_last_page_was_read() {
    let (stage, row) = with_claimed().await;
    invoke(&stage, &row).await;
    let expected = Running {
        names: [name_of(&row).into()].into(),
        complete: true,
        failure: None,
    };
    assert_eq!(stage.executions().running(1).await, expected);
    assert_eq!(stage.executions().running(0).await, Running::default());
    stage.wire.inject_always("ListExecutions", Fault::Throttled);
    let running = stage.executions().running(1).await;
    assert!(!running.complete && running.failure.is_some(), "{running:?}");
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_as_long_as_it_is_told_to() {
    let stage = Stage::usual().await;
    let poll = daybook_manager::Poll {
        client: stage.sqs.clone(),
        queue_url: stage.intake.clone(),
        wait: Duration::from_secs(20),
    };
    let begin = stage.now();
    assert_eq!(poll.receive().await.unwrap().messages, []);
    assert_eq!(stage.now().since(begin), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_another_events_completes_the_row_that_the_execution_is_named_after() {
    let stage = Stage::usual().await;
    let rows = rows(&stage, Status::Claimed, 2).await;
    stage.put_rows(&rows);
    let other = DispatchMessage::for_row(&rows[1]).unwrap().input.to_json();
    let name = name_of(&rows[0]).to_string();
    let arn = stage.state_machine.replace(":stateMachine:", ":execution:");
    let event = json!({
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": format!("{arn}:{name}"), "stateMachineArn": stage.state_machine, "name": name,
            "status": "SUCCEEDED", "input": other,
        },
    });
    let messages = [delivered("m", event.to_string())];
    let completed = stage.completer().handle(&messages, stage.deadline()).await;
    assert_eq!(completed, [Completed::Settled(Settled::Completed)]);
    assert_eq!(stage.row(rows[0].id).await, None);
    assert!(stage.receipt(rows[0].event().unwrap()).await.is_some());
    assert_eq!(stage.row(rows[1].id).await.as_ref(), Some(&rows[1]));
    assert!(stage.receipt(rows[1].event().unwrap()).await.is_none());
}
