//! Sending, receiving, deleting: what a message goes through on a standard queue.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use crate::{
    queue::{Queue, entry},
    services::{Services, code},
};

pub async fn a_message_goes_round(services: Services) {
    let queue = Queue::standard(&services).await;
    let sent = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("hello world")
        .send()
        .await;
    let sent = sent.expect("sent");
    assert_eq!(
        sent.md5_of_message_body(),
        Some("5eb63bbbe01eeed093cb22bb8f5acdc3")
    );
    let received = queue.receive_one().await;
    assert_eq!(received.message_id(), sent.message_id());
    assert_eq!(received.body(), Some("hello world"));
    assert_eq!(received.md5_of_body(), Some("5eb63bbbe01eeed093cb22bb8f5acdc3"));
    queue.delete(&received).await;
    assert_eq!(queue.receive(10).await.len(), 0);
}

pub async fn a_received_message_is_hidden_for_its_visibility_timeout(services: Services) {
    let queue = Queue::with(&services, &[(QueueAttributeName::VisibilityTimeout, "1")]).await;
    queue.send("a").await;
    let first = queue.receive_one().await;
    assert_eq!(queue.receive(10).await.len(), 0, "hidden");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let second = queue.receive_one().await;
    assert_eq!(first.message_id(), second.message_id());
    assert_ne!(first.receipt_handle(), second.receipt_handle());
}

pub async fn a_visibility_timeout_of_zero_shows_it_at_once(services: Services) {
    let queue = Queue::standard(&services).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    queue.change(&message, 0).await.expect("changed");
    queue.receive_one().await;
}

pub async fn a_visibility_timeout_can_be_extended(services: Services) {
    let queue = Queue::with(&services, &[(QueueAttributeName::VisibilityTimeout, "1")]).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    queue.change(&message, 30).await.expect("changed");
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(queue.receive(10).await.len(), 0, "still hidden");
}

pub async fn a_visibility_timeout_beyond_12_hours_is_refused(services: Services) {
    let queue = Queue::standard(&services).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    assert_eq!(
        code(queue.change(&message, 43_201).await),
        "InvalidParameterValue"
    );
}

pub async fn the_visibility_of_a_deleted_message_cannot_change(services: Services) {
    let queue = Queue::standard(&services).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    queue.delete(&message).await;
    // AWS says InvalidParameterValue; its reference names two more errors that would fit.
    let refused = code(queue.change(&message, 10).await);
    let fitting = [
        "InvalidParameterValue",
        "ReceiptHandleIsInvalid",
        "AWS.SimpleQueueService.MessageNotInflight",
    ];
    assert!(fitting.contains(&refused.as_str()), "{refused}");
}

pub async fn a_delayed_message_waits(services: Services) {
    let queue = Queue::standard(&services).await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("a")
        .delay_seconds(1);
    send.send().await.expect("sent");
    assert_eq!(queue.receive(10).await.len(), 0, "delayed");
    queue.receive_within(3).await;
}

pub async fn a_queue_can_delay_every_message(services: Services) {
    let queue = Queue::with(&services, &[(QueueAttributeName::DelaySeconds, "1")]).await;
    queue.send("a").await;
    assert_eq!(queue.receive(10).await.len(), 0, "delayed");
    queue.receive_within(3).await;
}

pub async fn a_delay_beyond_15_minutes_is_refused(services: Services) {
    let queue = Queue::standard(&services).await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("a")
        .delay_seconds(901);
    assert_eq!(code(send.send().await), "InvalidParameterValue");
}

pub async fn a_long_poll_returns_when_a_message_comes(services: Services) {
    let queue = Queue::standard(&services).await;
    #[allow(clippy::disallowed_methods, reason = "the case measures real time")]
    let start = Instant::now();
    let (_, ()) = tokio::join!(queue.receive_within(10), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        queue.send("a").await;
    });
    assert!(start.elapsed() >= Duration::from_millis(600), "it waited");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "and not to the end: {:?}",
        start.elapsed()
    );
}

pub async fn a_long_poll_without_a_message_ends_in_time(services: Services) {
    let queue = Queue::standard(&services).await;
    #[allow(clippy::disallowed_methods, reason = "the case measures real time")]
    let start = Instant::now();
    let poll = queue
        .client
        .receive_message()
        .queue_url(&queue.url)
        .wait_time_seconds(1);
    assert_eq!(poll.send().await.expect("received").messages().len(), 0);
    assert!(
        start.elapsed() >= Duration::from_millis(900),
        "{:?}",
        start.elapsed()
    );
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

pub async fn receive_takes_ten_at_most_and_waits_20_seconds_at_most(services: Services) {
    let queue = Queue::standard(&services).await;
    let receive = || queue.client.receive_message().queue_url(&queue.url);
    assert_eq!(
        code(receive().max_number_of_messages(11).send().await),
        "InvalidParameterValue"
    );
    assert_eq!(
        code(receive().max_number_of_messages(0).send().await),
        "InvalidParameterValue"
    );
    assert_eq!(
        code(receive().wait_time_seconds(21).send().await),
        "InvalidParameterValue"
    );
}

pub async fn system_attributes_tell_a_messages_history(services: Services) {
    let queue = Queue::standard(&services).await;
    queue.send("a").await;
    let first = queue.receive_one().await;
    queue.change(&first, 0).await.expect("changed");
    let second = queue.receive_one().await;
    let attribute = |name| {
        second
            .attributes()
            .and_then(|all| all.get(&name))
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(
        attribute(MessageSystemAttributeName::ApproximateReceiveCount),
        "2"
    );
    let sent: i64 = attribute(MessageSystemAttributeName::SentTimestamp)
        .parse()
        .expect("milliseconds");
    let received: i64 = attribute(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)
        .parse()
        .expect("milliseconds");
    assert!(sent > 1_600_000_000_000, "milliseconds, not seconds");
    assert!(sent <= received);
}

pub async fn message_attributes_come_back_with_their_digest(services: Services) {
    let queue = Queue::standard(&services).await;
    let value = MessageAttributeValue::builder()
        .data_type("Number")
        .string_value("1493147359900")
        .build();
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("a");
    let sent = send
        .message_attributes("timestamp", value.expect("complete"))
        .send()
        .await
        .expect("sent");
    assert_eq!(
        sent.md5_of_message_attributes(),
        Some("235c5c510d26fb653d073faed50ae77c")
    );
    let received = queue.receive_one().await;
    assert_eq!(
        received.md5_of_message_attributes(),
        Some("235c5c510d26fb653d073faed50ae77c")
    );
    let attribute = received
        .message_attributes()
        .and_then(|all| all.get("timestamp"))
        .expect("is there");
    assert_eq!(attribute.string_value(), Some("1493147359900"));
}

pub async fn the_trace_header_travels_with_the_message(services: Services) {
    let queue = Queue::standard(&services).await;
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(header)
        .build();
    let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("a");
    send.message_system_attributes(name, value.expect("complete"))
        .send()
        .await
        .expect("sent");
    let received = queue.receive_one().await;
    let shown = received
        .attributes()
        .and_then(|all| all.get(&MessageSystemAttributeName::AwsTraceHeader));
    assert_eq!(shown.map(String::as_str), Some(header));
}

pub async fn a_standard_queue_takes_a_group_id(services: Services) {
    let queue = Queue::standard(&services).await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("a")
        .message_group_id("tenant");
    send.send().await.expect("sent");
    let received = queue.receive_one().await;
    let group = received
        .attributes()
        .and_then(|all| all.get(&MessageSystemAttributeName::MessageGroupId));
    assert_eq!(group.map(String::as_str), Some("tenant"));
}

pub async fn a_message_of_1_mib_is_taken_and_a_byte_more_is_not(services: Services) {
    let queue = Queue::standard(&services).await;
    let send = |bytes: usize| {
        queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body("x".repeat(bytes))
    };
    send(1_048_576).send().await.expect("1 MiB is taken");
    assert_eq!(code(send(1_048_577).send().await), "InvalidParameterValue");
}

pub async fn a_batch_is_1_mib_altogether(services: Services) {
    let queue = Queue::standard(&services).await;
    let half = "x".repeat(524_289);
    let refused = queue.send_batch(vec![entry("a", &half), entry("b", &half)]).await;
    assert_eq!(code(refused), "AWS.SimpleQueueService.BatchRequestTooLong");
    assert_eq!(queue.receive(10).await.len(), 0, "nothing of it was taken");
}

pub async fn a_batch_has_one_to_ten_entries(services: Services) {
    let queue = Queue::standard(&services).await;
    let entries = |count: usize| (0..count).map(|index| entry(&format!("e{index}"), "a")).collect();
    let sent = queue.send_batch(entries(10)).await.expect("ten are taken");
    assert_eq!(sent.successful().len(), 10);
    let refused = queue.send_batch(entries(11)).await;
    assert_eq!(
        code(refused),
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
    );
    assert_eq!(
        code(queue.send_batch(Vec::new()).await),
        "AWS.SimpleQueueService.EmptyBatchRequest"
    );
}

pub async fn the_ids_of_a_batch_are_distinct_and_plain(services: Services) {
    let queue = Queue::standard(&services).await;
    let refused = queue.send_batch(vec![entry("a", "1"), entry("a", "2")]).await;
    assert_eq!(code(refused), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct");
    let refused = queue.send_batch(vec![entry("not plain!", "1")]).await;
    assert_eq!(code(refused), "AWS.SimpleQueueService.InvalidBatchEntryId");
}

pub async fn one_bad_entry_does_not_fail_its_batch(services: Services) {
    let queue = Queue::standard(&services).await;
    let bad = SendMessageBatchRequestEntry::builder()
        .id("bad")
        .message_body("a")
        .delay_seconds(901)
        .build();
    let sent = queue
        .send_batch(vec![entry("good", "a"), bad.expect("complete")])
        .await
        .expect("200");
    let good: Vec<_> = sent.successful().iter().map(|entry| entry.id()).collect();
    let bad: Vec<_> = sent
        .failed()
        .iter()
        .map(|entry| (entry.id(), entry.sender_fault()))
        .collect();
    assert_eq!((good, bad), (vec!["good"], vec![("bad", true)]));
}

pub async fn characters_outside_xml_are_refused(services: Services) {
    let queue = Queue::standard(&services).await;
    let send = |body: &str| {
        queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body(body)
    };
    send("tab\t newline\n 한국어 😀").send().await.expect("taken");
    assert_eq!(code(send("a\u{1}b").send().await), "InvalidMessageContents");
}

pub async fn a_receipt_handle_that_never_was_is_refused(services: Services) {
    let queue = Queue::standard(&services).await;
    let delete = queue
        .client
        .delete_message()
        .queue_url(&queue.url)
        .receipt_handle("no-such-handle");
    assert_eq!(code(delete.send().await), "ReceiptHandleIsInvalid");
}

pub async fn deleting_twice_succeeds(services: Services) {
    let queue = Queue::standard(&services).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    queue.delete(&message).await;
    queue.delete(&message).await;
}

pub async fn an_outdated_receipt_handle_deletes_nothing(services: Services) {
    let queue = Queue::standard(&services).await;
    queue.send("a").await;
    let first = queue.receive_one().await;
    queue.change(&first, 0).await.expect("changed");
    let second = queue.receive_one().await;
    queue.delete(&first).await;
    queue
        .change(&second, 0)
        .await
        .expect("the message is still there");
    queue.receive_one().await;
}

pub async fn a_batch_of_deletes_fails_entry_by_entry(services: Services) {
    let queue = Queue::standard(&services).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder()
            .id(id)
            .receipt_handle(handle)
            .build()
            .expect("complete")
    };
    let handle = message.receipt_handle().expect("has one");
    let entries = vec![entry("good", handle), entry("bad", "no-such-handle")];
    let delete = queue
        .client
        .delete_message_batch()
        .queue_url(&queue.url)
        .set_entries(Some(entries));
    let deleted = delete.send().await.expect("200");
    let good: Vec<_> = deleted.successful().iter().map(|entry| entry.id()).collect();
    let bad: Vec<_> = deleted
        .failed()
        .iter()
        .map(|entry| (entry.id(), entry.code()))
        .collect();
    assert_eq!(
        (good, bad),
        (vec!["good"], vec![("bad", "ReceiptHandleIsInvalid")])
    );
}
