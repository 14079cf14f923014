//! How messages are put together into requests.

use daybook_manager::Sent;
use daybook_schema::{Row, Status, Subject};
use daybook_tests::{Stage, StageOptions};

use crate::rows;

/// How many messages each SendMessageBatch had.
async fn sizes(stage: &Stage, rows: &[Row]) -> Vec<usize> {
    stage.wire.keep_log();
    let sent = stage.queue().send(rows).await;
    assert_eq!(sent, vec![Sent::Sent; rows.len()]);
    let log = stage.wire.log();
    let requests = log
        .iter()
        .filter(|(request, ..)| request.operation == "SendMessageBatch");
    requests.map(|(request, ..)| request.batch_size()).collect()
}

#[tokio::test(start_paused = true)]
async fn ten_messages_go_with_one_request() {
    let stage = Stage::usual().await;
    assert_eq!(
        sizes(&stage, &rows(&stage, Status::Claimed, 25).await).await,
        [10, 10, 5]
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_has_no_more_than_a_mebibyte() {
    let stage = Stage::usual().await;
    let mut rows = rows(&stage, Status::Claimed, 7).await;
    for row in &mut rows {
        let Subject::Event(event) = &mut row.subject else {
            panic!("{row:?}")
        };
        event.etag = Some("e".repeat(300 * 1024));
    }
    assert_eq!(sizes(&stage, &rows).await, [3, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn on_a_fifo_queue_the_messages_of_an_object_are_a_group() {
    let options = StageOptions {
        fifo: true,
        ..StageOptions::default()
    };
    let stage = Stage::new(options).await;
    let rows = rows(&stage, Status::Claimed, 3).await;
    assert_eq!(sizes(&stage, &rows).await, [3]);
    let groups: Vec<Option<String>> = stage
        .aws
        .sqs()
        .messages(&stage.dispatch_queue)
        .unwrap()
        .into_iter()
        .map(|message| message.group)
        .collect();
    let objects = rows
        .iter()
        .map(|row| row.event().map(|event| event.object_id().to_string()));
    assert_eq!(groups, objects.collect::<Vec<_>>());
}
