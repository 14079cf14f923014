//! The schedulers that Daybook grew out of: from S3 to a queue or a table, and from there at most N per minute to another queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook_manager::Dispatch;
use daybook_schema::{Attempt, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::{Fault, Stage};
use serde_json::{Value, json};

use crate::{MINUTE, drain, stage_with};

const HOUR: Duration = Duration::from_secs(3600);

/// How many rows there are of each status and attempt.
async fn rows(stage: &Stage) -> BTreeMap<(Status, Attempt), usize> {
    let mut counts = BTreeMap::new();
    for row in stage.rows().await.values() {
        *counts.entry((row.status, row.attempt)).or_default() += 1;
    }
    counts
}

/// A message was sent from one queue to the next; if that failed, the error was logged, and the message was deleted from the
/// first queue all the same.
///
/// <https://github.com/kyopark2014/case-study-s3-trigger-event/tree/main/s3-trigger-scheduler>
#[tokio::test(start_paused = true)]
async fn what_could_not_be_sent_is_sent_later() {
    const FILES: usize = 10;
    let refusals = [
        (Fault::NotSent, FILES),
        (Fault::Throttled, 0),
        (Fault::ServerError, FILES),
        (Fault::Partial(vec![0, 4, 9]), FILES - 3),
        (Fault::Partial((0..FILES).collect()), 0),
        (Fault::AnswerLost, FILES),
        (Fault::Hang, FILES),
    ];
    for (fault, claimed) in refusals {
        let stage = Stage::usual().await;
        stage.record(&uploads(FILES)).await;
        stage.wire.inject_next("SendMessageBatch", [fault.clone()]);
        stage.schedule().await;
        // What the queue certainly refused is due again at once; where nobody knows, a lease guards it.
        let mut expected = BTreeMap::from([
            ((Status::Pending, Attempt(0)), FILES - claimed),
            ((Status::Claimed, Attempt(1)), claimed),
        ]);
        expected.retain(|_, count| *count > 0);
        assert_eq!(rows(&stage).await, expected, "{fault:?}");
        stage.pass(MINUTE).await;
        drain(&stage, HOUR).await;
        assert_eq!(stage.execution_names().len(), FILES, "{fault:?}");
    }
}

/// The same at the other end: the function that received a message deleted it, whether or not it had begun anything.
///
/// <https://github.com/kyopark2014/s3-event-load-manager>
#[tokio::test(start_paused = true)]
async fn a_message_whose_work_could_not_begin_stays_in_its_queue() {
    for fault in [Fault::NotSent, Fault::Throttled, Fault::ServerError, Fault::Hang] {
        let stage = Stage::usual().await;
        let waiting = |url: &str| {
            let depth = stage.aws.sqs().depth(url).unwrap();
            depth.visible + depth.in_flight
        };
        for upload in uploads(3) {
            stage
                .aws
                .sqs()
                .send(&stage.intake, &upload.notification())
                .unwrap();
        }
        stage.wire.inject_always("BatchExecuteStatement", fault.clone());
        stage.pump_ingest().await;
        assert_eq!(
            (stage.rows().await.len(), waiting(&stage.intake)),
            (0, 3),
            "{fault:?}"
        );
        stage.wire.heal();
        stage.pass(2 * MINUTE).await;
        stage.pump_ingest().await;
        assert_eq!(
            (stage.rows().await.len(), waiting(&stage.intake)),
            (3, 0),
            "{fault:?}"
        );

        stage.schedule().await;
        stage.wire.inject_always("StartExecution", fault.clone());
        stage.pump_invoke().await;
        assert_eq!(
            (stage.execution_names().len(), waiting(&stage.dispatch_queue)),
            (0, 3),
            "{fault:?}"
        );
        stage.wire.heal();
        stage.pass(2 * MINUTE).await;
        drain(&stage, HOUR).await;
        assert_eq!(stage.execution_names().len(), 3, "{fault:?}");
    }
}

/// A row was deleted as soon as its message was in the queue: what the queue or its reader lost was lost.
///
/// <https://github.com/kyopark2014/case-study-s3-trigger-event/tree/main/s3-trigger-manager>
#[tokio::test(start_paused = true)]
async fn a_row_outlives_its_message() {
    let stage = Stage::usual().await;
    stage.record(&uploads(30)).await;
    stage.schedule().await;
    assert_eq!(stage.aws.sqs().lose(&stage.dispatch_queue, |_| true), 30);
    assert_eq!(
        rows(&stage).await,
        BTreeMap::from([((Status::Claimed, Attempt(1)), 30)])
    );
    drain(&stage, HOUR).await;
    assert_eq!(stage.execution_names().len(), 30);
}

/// Two ticks at the same time read the same rows, and sent each of them twice; with no limit, all that there were.
///
/// <https://github.com/kyopark2014/case-study-s3-trigger-event/tree/main/s3-trigger-manager>
#[tokio::test(start_paused = true)]
async fn ticks_that_overlap_send_n_together_and_each_event_once() {
    const N: usize = 20;
    let stage = stage_with(Dispatch {
        per_window: N as u32,
        ..Dispatch::default()
    })
    .await;
    stage.record(&uploads(5 * N)).await;
    stage.wire.with_latency(2);
    let mut sent = BTreeSet::new();
    for window in 1..=5 {
        futures::future::join_all((0..3).map(|_| stage.schedule())).await;
        let messages = stage.dispatched();
        sent.extend(messages.iter().map(|message| message.input.name()));
        assert_eq!((messages.len(), sent.len()), (window * N, window * N));
        stage.pass(MINUTE).await;
    }
}

/// Of a notification only the first record was read.
///
/// <https://github.com/kyopark2014/case-study-s3-trigger-event/tree/main/s3-trigger-scheduler>
#[tokio::test(start_paused = true)]
async fn all_records_of_a_notification_are_read() {
    let files: Vec<Upload> = uploads(4);
    let mut records: Vec<Value> = files.iter().map(Upload::record).collect();
    records.insert(2, json!({"eventName": "of nothing that there is"}));
    let notification = json!({"Records": records}).to_string();
    let by_sns = json!({
        "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:111122223333:uploads",
        "Message": notification, "Timestamp": "2026-11-21T00:00:00.000Z",
    });
    for body in [notification.clone(), by_sns.to_string()] {
        let stage = Stage::usual().await;
        stage.aws.sqs().send(&stage.intake, &body).unwrap();
        stage.pump_ingest().await;
        let events: BTreeSet<_> = files.iter().map(|upload| upload.event().id).collect();
        let open = stage.rows().await;
        let read: BTreeSet<_> = open
            .values()
            .filter(|row| row.status == Status::Pending)
            .map(|row| row.id)
            .collect();
        assert_eq!(read, events);
        // What cannot be read is kept, for a person to look at.
        let kept = open.values().filter(|row| row.status == Status::Parked);
        assert_eq!(kept.count(), 1);
    }
}
