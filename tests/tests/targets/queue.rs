use std::time::Duration;

use daybook_local::QueueAttributes;
use daybook_manager::{Disposition, Invoked, Invoker, Pace, QueueCompletion, QueueTarget, SettledBatch};
use daybook_schema::{ExecutionInput, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::delivered;
use daybook_tests::{Fault, Stage, StageTarget};
use serde_json::{Value, json};

use crate::{claimed, dispatched, invoke, stage, stage_of_batches, upload};

pub const SENT: StageTarget = StageTarget::Queue(QueueCompletion::Sent, false);
pub const SENT_TO_FIFO: StageTarget = StageTarget::Queue(QueueCompletion::Sent, true);
const REPORTED: StageTarget = StageTarget::Queue(QueueCompletion::Reported, false);

/// What the target queue holds.
pub fn messages(stage: &Stage) -> Vec<Value> {
    let messages = stage.aws.sqs().messages(&stage.target_queue).unwrap();
    messages
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .collect()
}

pub fn done(completed: u32) -> Invoked {
    Invoked::Sent(SettledBatch {
        completed,
        ..SettledBatch::default()
    })
}

#[tokio::test(start_paused = true)]
async fn an_event_is_done_as_soon_as_the_queue_has_it() {
    let stage = stage(SENT).await;
    let message = dispatched(&stage, &[upload()]).await.remove(0);
    let row = claimed(&stage).await;
    let before = stage.ledger.consumed();
    assert_eq!(invoke(&stage, &message).await, done(1));
    let used = stage.ledger.consumed() - before;
    assert_eq!(
        (used.requests, used.write_units),
        (2, 3.0),
        "receipt and deletion"
    );
    let input = ExecutionInput::new(row.event().unwrap(), row.attempt);
    assert_eq!(messages(&stage), [serde_json::to_value(input).unwrap()]);
    assert_eq!(stage.row(row.id).await, None);
    let receipt = stage.receipt(row.event().unwrap()).await.unwrap();
    let by = receipt.by;
    assert!(by.starts_with(&stage.target_queue), "{by}");
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_does_not_certainly_have_is_not_done() {
    for (fault, throttled, has_it) in [
        (Fault::NotSent, false, false),
        (Fault::AnswerLost, false, true),
        (Fault::Throttled, true, false),
        (Fault::ServerError, false, false),
        (Fault::ServerErrorAfter, false, true),
    ] {
        let stage = stage(SENT).await;
        let message = dispatched(&stage, &[upload()]).await.remove(0);
        let before = claimed(&stage).await;
        stage.wire.inject_next("SendMessage", [fault.clone()]);
        let invoked = invoke(&stage, &message).await;
        assert_eq!(matches!(invoked, Invoked::Throttled(_)), throttled, "{invoked:?}");
        assert_eq!(invoked.disposition(), Disposition::Return, "{invoked:?}");
        assert_eq!(claimed(&stage).await, before, "{fault:?}");
        assert_eq!(
            messages(&stage).len(),
            usize::from(has_it),
            "the SDK does not send again: {fault:?}"
        );
        // The message comes again: what was perhaps sent is sent once more, and then it is done.
        assert_eq!(invoke(&stage, &message).await, done(1));
        assert_eq!(messages(&stage).len(), 1 + usize::from(has_it));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_has_and_the_ledger_does_not_know_is_sent_again() {
    for operation in ["PutItem", "DeleteItem"] {
        let stage = stage(SENT).await;
        let message = dispatched(&stage, &[upload()]).await.remove(0);
        stage.wire.inject_always(operation, Fault::Throttled);
        let invoked = invoke(&stage, &message).await;
        assert!(matches!(invoked, Invoked::Returned(_)), "{invoked:?}");
        claimed(&stage).await;
        stage.wire.heal();
        assert_eq!(invoke(&stage, &message).await, done(1));
        assert_eq!(messages(&stage).len(), 2, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fifo_queue_keeps_the_order_of_an_object_and_knows_an_attempt_again() {
    let stage = stage(SENT_TO_FIFO).await;
    let several = [
        Upload::new("a", 1, "e"),
        Upload::new("a", 2, "f"),
        Upload::new("b", 1, "e"),
    ];
    let bodies = dispatched(&stage, &several).await;
    stage.wire.inject_next("SendMessage", [Fault::AnswerLost]);
    assert_eq!(
        invoke(&stage, &bodies[0]).await.disposition(),
        Disposition::Return
    );
    for body in &bodies {
        assert_eq!(invoke(&stage, body).await, done(1));
    }
    // The first was sent twice, and is there once.
    let messages = stage.aws.sqs().messages(&stage.target_queue).unwrap();
    let groups: Vec<(String, String)> = messages
        .iter()
        .map(|message| {
            let body: Value = serde_json::from_str(&message.body).unwrap();
            (
                body["key"].as_str().unwrap().to_owned(),
                message.group.clone().unwrap(),
            )
        })
        .collect();
    assert_eq!(groups.len(), 3);
    for upload in &several {
        let group = upload.event().object_id().to_string();
        assert!(groups.contains(&(upload.key.clone(), group)), "{groups:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_message_and_all_of_it_is_done_with_it() {
    let stage = stage_of_batches(SENT).await;
    let message = dispatched(&stage, &uploads(3)).await.remove(0);
    stage.wire.inject_next("SendMessage", [Fault::AnswerLost]);
    assert_eq!(invoke(&stage, &message).await.disposition(), Disposition::Return);
    assert_eq!(stage.rows().await.len(), 3);
    assert_eq!(invoke(&stage, &message).await, done(3));
    assert_eq!(stage.rows().await.len(), 0);
    let sent = messages(&stage);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[0]["events"].as_array().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_queue_refuses_by_its_content_parks_its_row() {
    let stage = stage(SENT).await;
    let long = Upload::new(&"k".repeat(900), 1, "e");
    let message = dispatched(&stage, std::slice::from_ref(&long)).await.remove(0);
    let attributes = QueueAttributes {
        maximum_message_bytes: 1024,
        ..QueueAttributes::default()
    };
    let short = stage.aws.sqs().create_queue("short", attributes).unwrap();
    let target = QueueTarget::new(stage.sqs.clone(), short, QueueCompletion::Sent);
    let dispatch = stage.options.dispatch.clone();
    let invoker = Invoker::new(stage.ledger.clone(), target, dispatch, Pace::per_second(100));
    let invoked = invoker.handle(&[delivered("m", message)], stage.deadline()).await;
    assert!(matches!(invoked[..], [Invoked::Parked(_)]), "{invoked:?}");
    let row = stage.row(long.event().id).await.unwrap();
    assert_eq!(row.status, Status::Parked);
    let error = row.last_error.unwrap();
    assert!(error.contains("1024"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_reports_what_became_of_each_event() {
    let stage = stage(REPORTED).await;
    let bodies = dispatched(&stage, &uploads(2)).await;
    for body in &bodies {
        assert_eq!(invoke(&stage, body).await, Invoked::Started);
    }
    let given = messages(&stage);
    let report = json!({"source": "daybook.report", "detail": {"events": [
        {"id": given[0]["id"], "attempt": given[0]["attempt"]},
        {"id": given[1]["id"], "attempt": given[1]["attempt"], "failed": "no such column"},
    ]}});
    stage
        .aws
        .sqs()
        .send(&stage.completion, &report.to_string())
        .unwrap();
    stage.complete_all().await;
    let rows: Vec<_> = stage.rows().await.into_values().collect();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(row.id.to_string(), given[1]["id"].as_str().unwrap());
    assert_eq!(
        (row.status, row.last_error.as_deref()),
        (Status::Pending, Some("no such column"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_consumer_is_not_taken_for_lost() {
    let stage = stage(REPORTED).await;
    dispatched(&stage, &[upload()]).await;
    stage.invoke_all().await;
    assert_eq!(messages(&stage).len(), 1);
    stage.pass(Duration::from_secs(901)).await;
    let report = stage.sweep().await;
    assert_eq!((report.moved, report.redelivered), (1, 0), "{report:?}");
    // Received and deleted without a report: it is sent again.
    stage.aws.sqs().lose(&stage.target_queue, |_| true);
    stage.pass(Duration::from_secs(901)).await;
    let report = stage.sweep().await;
    assert_eq!((report.moved, report.redelivered), (0, 1), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_target_queue_that_cannot_be_asked_leaves_its_rows_as_they_are() {
    let stage = stage(REPORTED).await;
    dispatched(&stage, &[upload()]).await;
    stage.invoke_all().await;
    stage.pass(Duration::from_secs(901)).await;
    let target = stage.target_queue.clone();
    stage.wire.inject(move |request| {
        match request.operation == "GetQueueAttributes" && request.body["QueueUrl"] == target.as_str() {
            true => Fault::NotSent,
            false => Fault::None,
        }
    });
    let report = stage.sweep().await;
    assert_eq!(
        (report.left, report.moved, report.redelivered),
        (1, 0, 0),
        "{report:?}"
    );
}

/// Invoke dies at each of its requests (send, receipt, deletion), before AWS has it or after. Then its message comes again, or is lost, and
/// the lease brings another.
#[tokio::test(start_paused = true)]
async fn a_death_at_any_request_loses_nothing() {
    for at in 0..3 {
        for fault in [Fault::Hang, Fault::HangAfter] {
            for is_lost in [false, true] {
                let stage = stage(SENT).await;
                let event = upload().event();
                let message = dispatched(&stage, &[upload()]).await.remove(0);
                let (mut requests, deadly) = (0, fault.clone());
                stage.wire.inject(move |_| {
                    requests += 1;
                    match requests > at {
                        true => deadly.clone(),
                        false => Fault::None,
                    }
                });
                let died = tokio::time::timeout(Duration::from_secs(1), invoke(&stage, &message)).await;
                assert!(died.is_err(), "{died:?}");
                stage.wire.heal();
                let sent = messages(&stage).len();
                let case = format!("request {at}, {fault:?}, lost: {is_lost}");
                assert_eq!(sent, usize::from(at > 0 || fault == Fault::HangAfter), "{case}");
                assert!(sent > 0 || stage.receipt(&event).await.is_none(), "{case}");
                match is_lost {
                    false => {
                        invoke(&stage, &message).await;
                    }
                    true => {
                        stage.aws.sqs().lose(&stage.dispatch_queue, |_| true);
                        stage.pass(Duration::from_secs(901)).await;
                        stage.sweep().await;
                        stage.invoke_all().await;
                    }
                }
                assert_eq!(stage.row(event.id).await, None, "{case}");
                assert!(stage.receipt(&event).await.is_some(), "{case}");
                assert!((1..=2).contains(&messages(&stage).len()), "{case}");
            }
        }
    }
}
