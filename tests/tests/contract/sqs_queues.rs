//! Queues themselves: creation, attributes, purge, dead letters, redrive.

use aws_sdk_sqs::types::QueueAttributeName;

use crate::{
    queue::{Queue, bodies, entry},
    services::{Services, code, eventually},
};

pub async fn a_missing_queue_is_named_as_such(services: Services) {
    let url = Queue::standard(&services).await.url + "-that-is-not";
    let send = services
        .sqs
        .send_message()
        .queue_url(url)
        .message_body("a")
        .send()
        .await;
    let error = send.expect_err("refused");
    let error = error.as_service_error().expect("the service answers");
    assert!(error.is_queue_does_not_exist(), "{error:?}");
    let get = services
        .sqs
        .get_queue_url()
        .queue_name(services.name("missing"))
        .send()
        .await;
    assert!(
        get.expect_err("refused")
            .as_service_error()
            .is_some_and(|error| error.is_queue_does_not_exist())
    );
}

pub async fn creating_a_queue_twice_needs_the_same_attributes(services: Services) {
    let name = services.name("queue");
    let create = |seconds: &str| {
        let create = services.sqs.create_queue().queue_name(&name);
        create
            .attributes(QueueAttributeName::VisibilityTimeout, seconds)
            .send()
    };
    let first = create("10").await.expect("created");
    let second = create("10").await.expect("found");
    assert_eq!(first.queue_url(), second.queue_url());
    assert_eq!(code(create("11").await), "QueueAlreadyExists");
}

pub async fn a_queue_is_found_by_name_and_prefix(services: Services) {
    let name = services.name("found");
    let created = services
        .sqs
        .create_queue()
        .queue_name(&name)
        .send()
        .await
        .expect("created");
    let got = services
        .sqs
        .get_queue_url()
        .queue_name(&name)
        .send()
        .await
        .expect("found");
    assert_eq!(created.queue_url(), got.queue_url());
    eventually("the queue is listed", async || {
        let listed = services
            .sqs
            .list_queues()
            .queue_name_prefix(&name)
            .send()
            .await
            .expect("listed");
        (listed.queue_urls().iter().map(String::as_str).collect::<Vec<_>>() == [got.queue_url()?])
            .then_some(())
    })
    .await;
}

pub async fn bad_names_are_refused(services: Services) {
    let create = |name: &str| services.sqs.create_queue().queue_name(name);
    assert_eq!(code(create("not a name").send().await), "InvalidParameterValue");
    assert_eq!(
        code(create(&"x".repeat(81)).send().await),
        "InvalidParameterValue"
    );
    let name = services.name("queue");
    let fifo = create(&name)
        .attributes(QueueAttributeName::FifoQueue, "true")
        .send()
        .await;
    assert_eq!(code(fifo), "InvalidParameterValue", "FIFO without .fifo");
}

pub async fn bad_attributes_are_refused(services: Services) {
    let name = services.name("queue");
    let create = |name: &str| services.sqs.create_queue().queue_name(name);
    let timeout = create(&name)
        .attributes(QueueAttributeName::VisibilityTimeout, "43201")
        .send()
        .await;
    assert_eq!(code(timeout), "InvalidAttributeValue");
    let unknown = create(&name)
        .attributes(QueueAttributeName::from("Colour"), "red")
        .send()
        .await;
    assert_eq!(code(unknown), "InvalidAttributeName");
}

pub async fn attributes_change_and_hold(services: Services) {
    let queue = Queue::standard(&services).await;
    assert_eq!(queue.attribute(QueueAttributeName::VisibilityTimeout).await, "30");
    assert_eq!(
        queue.attribute(QueueAttributeName::MessageRetentionPeriod).await,
        "345600"
    );
    assert_eq!(
        queue.attribute(QueueAttributeName::MaximumMessageSize).await,
        "1048576"
    );
    let set = queue.client.set_queue_attributes().queue_url(&queue.url);
    set.attributes(QueueAttributeName::VisibilityTimeout, "7")
        .send()
        .await
        .expect("set");
    eventually("the new value", async || {
        (queue.attribute(QueueAttributeName::VisibilityTimeout).await == "7").then_some(())
    })
    .await;
}

pub async fn the_counts_follow_the_messages(services: Services) {
    let queue = Queue::standard(&services).await;
    queue
        .send_batch(vec![entry("a", "1"), entry("b", "2")])
        .await
        .expect("sent");
    let delayed = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("3")
        .delay_seconds(60);
    delayed.send().await.expect("sent");
    queue.receive_one().await;
    eventually("one visible, one in flight, one delayed", async || {
        let visible = queue
            .attribute(QueueAttributeName::ApproximateNumberOfMessages)
            .await;
        let hidden = queue
            .attribute(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .await;
        let delayed = queue
            .attribute(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
            .await;
        ([visible, hidden, delayed] == ["1", "1", "1"]).then_some(())
    })
    .await;
}

pub async fn a_purge_empties_the_queue_once_a_minute(services: Services) {
    let queue = Queue::standard(&services).await;
    queue.send("a").await;
    let purge = || queue.client.purge_queue().queue_url(&queue.url).send();
    purge().await.expect("purged");
    assert_eq!(code(purge().await), "AWS.SimpleQueueService.PurgeQueueInProgress");
    eventually("the queue is empty", async || {
        (queue
            .attribute(QueueAttributeName::ApproximateNumberOfMessages)
            .await
            == "0")
            .then_some(())
    })
    .await;
}

/// Receives and gives back until the queue hands nothing out any more.
async fn wear_out(queue: &Queue, times: usize) {
    for _ in 0..times {
        let message = queue.receive_one().await;
        queue.change(&message, 0).await.expect("given back");
    }
    assert_eq!(queue.receive(10).await.len(), 0, "received often enough");
}

pub async fn a_message_received_too_often_becomes_a_dead_letter(services: Services) {
    let (queue, dead) = Queue::with_dead_letters(&services, 2).await;
    let sent = queue.send("a").await;
    wear_out(&queue, 2).await;
    let letter = dead.receive_within(5).await;
    assert_eq!(letter.message_id(), sent.message_id());
    let source = queue.attribute(QueueAttributeName::QueueArn).await;
    let name = aws_sdk_sqs::types::MessageSystemAttributeName::DeadLetterQueueSourceArn;
    assert_eq!(letter.attributes().and_then(|all| all.get(&name)), Some(&source));
}

pub async fn a_dead_letter_queue_must_exist(services: Services) {
    let queue = Queue::standard(&services).await;
    let arn = queue.attribute(QueueAttributeName::QueueArn).await + "-that-is-not";
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"2"}}"#);
    let set = queue.client.set_queue_attributes().queue_url(&queue.url);
    let set = set.attributes(QueueAttributeName::RedrivePolicy, policy);
    // The reference leaves open which error it is.
    code(set.send().await);
}

pub async fn dead_letters_move_back_to_their_source(services: Services) {
    let (queue, dead) = Queue::with_dead_letters(&services, 1).await;
    queue.send("a").await;
    wear_out(&queue, 1).await;
    let dead_arn = dead.attribute(QueueAttributeName::QueueArn).await;
    let start = services
        .sqs
        .start_message_move_task()
        .source_arn(&dead_arn)
        .send()
        .await
        .expect("started");
    assert!(start.task_handle().is_some());
    eventually("the task completes", async || {
        let list = services
            .sqs
            .list_message_move_tasks()
            .source_arn(&dead_arn)
            .send()
            .await
            .expect("listed");
        let task = list.results().first()?;
        (task.status() == Some("COMPLETED")).then(|| {
            assert_eq!(task.approximate_number_of_messages_moved(), 1);
            assert_eq!(task.task_handle(), None, "given while it runs only");
        })
    })
    .await;
    assert_eq!(bodies(&[queue.receive_within(5).await]), ["a"]);
}

pub async fn only_dead_letters_are_moved(services: Services) {
    let queue = Queue::standard(&services).await;
    let arn = queue.attribute(QueueAttributeName::QueueArn).await;
    let start = services
        .sqs
        .start_message_move_task()
        .source_arn(&arn)
        .send()
        .await;
    assert_eq!(code(start), "InvalidParameterValue");
    let start = services
        .sqs
        .start_message_move_task()
        .source_arn(arn + "-that-is-not")
        .send()
        .await;
    let error = start.expect_err("refused");
    let error = error.as_service_error().expect("the service answers");
    assert!(error.is_resource_not_found_exception(), "{error:?}");
}
