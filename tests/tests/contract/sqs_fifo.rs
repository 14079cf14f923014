//! FIFO queues: order, groups, deduplication.

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};

use crate::{
    queue::{Queue, bodies},
    services::{Services, code},
};

pub async fn a_group_waits_while_one_of_it_is_in_flight(services: Services) {
    let queue = Queue::fifo(&services).await;
    queue.send_to("g", "1", "g1").await;
    queue.send_to("g", "2", "g2").await;
    queue.send_to("h", "3", "h1").await;
    let first = queue.receive_one().await;
    assert_eq!(first.body(), Some("g1"));
    assert_eq!(
        bodies(&queue.receive(10).await),
        ["h1"],
        "the other group goes on"
    );
    assert_eq!(queue.receive(10).await.len(), 0, "g2 waits for g1");
    queue.delete(&first).await;
    assert_eq!(queue.receive_one().await.body(), Some("g2"));
}

pub async fn a_group_comes_in_the_order_it_was_sent(services: Services) {
    let queue = Queue::fifo(&services).await;
    for number in ["1", "2", "3"] {
        queue.send_to("g", number, number).await;
    }
    assert_eq!(bodies(&queue.receive(10).await), ["1", "2", "3"]);
}

pub async fn a_message_given_back_keeps_its_place(services: Services) {
    let queue = Queue::fifo(&services).await;
    queue.send_to("g", "1", "1").await;
    queue.send_to("g", "2", "2").await;
    let first = queue.receive_one().await;
    queue.change(&first, 0).await.expect("given back");
    assert_eq!(queue.receive_one().await.body(), Some("1"));
}

pub async fn a_deduplication_id_counts_once_in_five_minutes(services: Services) {
    let queue = Queue::fifo(&services).await;
    queue.send_to("g", "same", "1").await;
    queue.send_to("g", "same", "2").await;
    let message = queue.receive_one().await;
    assert_eq!(message.body(), Some("1"));
    queue.delete(&message).await;
    queue.send_to("g", "same", "3").await;
    assert_eq!(
        queue.receive(10).await.len(),
        0,
        "deduplicated although the original is deleted"
    );
}

pub async fn content_deduplicates_where_the_queue_says_so(services: Services) {
    let fifo = (QueueAttributeName::FifoQueue, "true");
    let queue = Queue::with(
        &services,
        &[fifo, (QueueAttributeName::ContentBasedDeduplication, "true")],
    )
    .await;
    for body in ["same", "same", "other"] {
        let send = queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body(body);
        send.message_group_id("g").send().await.expect("sent");
    }
    assert_eq!(bodies(&queue.receive(10).await), ["same", "other"]);
}

pub async fn a_fifo_message_needs_a_group_and_a_deduplication_id(services: Services) {
    let queue = Queue::fifo(&services).await;
    let send = || {
        queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body("a")
    };
    assert_eq!(
        code(send().message_deduplication_id("1").send().await),
        "MissingParameter"
    );
    assert_eq!(
        code(send().message_group_id("g").send().await),
        "InvalidParameterValue"
    );
}

pub async fn a_fifo_message_has_no_delay_of_its_own(services: Services) {
    let queue = Queue::fifo(&services).await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("a")
        .message_group_id("g");
    let send = send.message_deduplication_id("1").delay_seconds(2);
    assert_eq!(code(send.send().await), "InvalidParameterValue");
}

pub async fn sequence_numbers_grow(services: Services) {
    let queue = Queue::fifo(&services).await;
    let mut numbers = Vec::new();
    for id in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        numbers.push(
            queue
                .send_to("g", id, id)
                .await
                .sequence_number()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    assert!(
        numbers.is_sorted_by_key(|number| number.parse::<u128>().expect("a number")),
        "{numbers:?}"
    );
    let received = queue.receive_one().await;
    let attribute = |name| {
        received
            .attributes()
            .and_then(|all| all.get(&name))
            .map(String::as_str)
    };
    assert_eq!(
        attribute(MessageSystemAttributeName::SequenceNumber),
        Some(numbers[0].as_str())
    );
    assert_eq!(attribute(MessageSystemAttributeName::MessageGroupId), Some("g"));
    assert_eq!(
        attribute(MessageSystemAttributeName::MessageDeduplicationId),
        Some("1")
    );
}
