//! The relay from queue to queue: N a run, and nothing lost whatever fails, dies or is not answered.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use daybook_local::QueueAttributes;
use daybook_manager::{DeduplicationId, Relay, RelayReport, RelaySettings};
use daybook_tests::stage::Stage;
use daybook_tests::wire::{Fault, Process};

struct Belt {
    stage: Stage,
    from: String,
    to: String,
    settings: RelaySettings,
}

impl Belt {
    async fn new(from: &str, to: &str) -> Self {
        let stage = Stage::usual().await;
        let create = |name: &str| {
            let attributes = QueueAttributes {
                fifo: name.ends_with(".fifo"),
                ..QueueAttributes::default()
            };
            stage.aws.sqs().create_queue(name, attributes).unwrap()
        };
        let (from, to) = (create(from), create(to));
        let settings = RelaySettings {
            from: from.clone(),
            to: to.clone(),
            per_window: 50,
            wait: Duration::from_secs(2),
            deduplication_id: DeduplicationId::default(),
        };
        Self {
            stage,
            from,
            to,
            settings,
        }
    }

    fn relay(&self) -> Relay {
        Relay::new(
            self.stage.sqs.clone(),
            self.settings.clone(),
            self.stage.clock.clone(),
        )
    }

    async fn run(&self) -> RelayReport {
        self.relay().run(self.stage.deadline()).await
    }

    fn fill(&self, count: usize) {
        for n in 0..count {
            self.stage
                .aws
                .sqs()
                .send(&self.from, &format!("message {n}"))
                .unwrap();
        }
    }

    async fn send(&self, group: &str, body: &str) {
        let send = self
            .stage
            .sqs
            .send_message()
            .queue_url(&self.from)
            .message_body(body);
        let send = send.message_group_id(group).message_deduplication_id(body);
        send.send().await.unwrap();
    }

    /// How often each body is in the target.
    fn delivered(&self) -> BTreeMap<String, usize> {
        let mut bodies = BTreeMap::new();
        for message in self.stage.aws.sqs().messages(&self.to).unwrap() {
            *bodies.entry(message.body).or_default() += 1;
        }
        bodies
    }

    /// The bodies of the target in the order in which it has them.
    fn in_order(&self) -> Vec<String> {
        let messages = self.stage.aws.sqs().messages(&self.to).unwrap();
        messages.into_iter().map(|message| message.body).collect()
    }

    fn waiting(&self, url: &str) -> u64 {
        let depth = self.stage.aws.sqs().depth(url).unwrap();
        (depth.visible + depth.in_flight + depth.delayed) as u64
    }

    /// Runs until the source is empty, past the visibility timeout of what comes again. What the runs did, added up.
    async fn drain(&self) -> u32 {
        let mut sent = 0;
        for _ in 0..40 {
            if self.waiting(&self.from) == 0 {
                return sent;
            }
            sent += self.run().await.sent;
            tokio::time::sleep(Duration::from_secs(121)).await;
        }
        panic!("{} messages are left", self.waiting(&self.from));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_takes_n_and_leaves_the_rest_to_the_next() {
    let belt = Belt::new("arrivals", "work").await;
    belt.fill(115);
    let mut sent = Vec::new();
    for _ in 0..4 {
        let report = belt.run().await;
        assert_eq!(report.failures, []);
        assert_eq!(report.received, report.sent);
        sent.push(report.sent);
    }
    assert_eq!(sent, [50, 50, 15, 0]);
    assert_eq!(belt.delivered().len(), 115);
    assert_eq!(belt.waiting(&belt.from), 0);
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_costs_one_request() {
    let belt = Belt::new("arrivals", "work").await;
    let before = belt.stage.wire.requests();
    let report = belt.run().await;
    assert!(report.empty && report.received == 0, "{report:?}");
    assert_eq!(belt.stage.wire.requests() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn attributes_and_the_trace_header_travel_along() {
    let belt = Belt::new("arrivals", "work").await;
    let text = MessageAttributeValue::builder()
        .data_type("String.note")
        .string_value("ü");
    let bytes = MessageAttributeValue::builder()
        .data_type("Binary")
        .binary_value(aws_sdk_sqs::primitives::Blob::new([0u8, 255]));
    let trace = aws_sdk_sqs::types::MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value("Root=1-67891233-abcdef012345678912345678");
    let send = belt.stage.sqs.send_message().queue_url(&belt.from);
    send.message_body("{\"a\": \"\\n\"} ")
        .message_attributes("text", text.build().unwrap())
        .message_attributes("bytes", bytes.build().unwrap())
        .message_system_attributes(
            aws_sdk_sqs::types::MessageSystemAttributeNameForSends::AwsTraceHeader,
            trace.build().unwrap(),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(belt.run().await.sent, 1);
    let [message] = &received(&belt, &belt.to).await[..] else {
        panic!("not one message")
    };
    assert_eq!(message.body(), Some("{\"a\": \"\\n\"} "));
    let attributes = message.message_attributes().unwrap();
    assert_eq!(attributes["text"].data_type(), "String.note");
    assert_eq!(attributes["text"].string_value(), Some("ü"));
    assert_eq!(attributes["bytes"].binary_value().unwrap().as_ref(), [0u8, 255]);
    let system = message.attributes().unwrap();
    assert_eq!(
        system[&MessageSystemAttributeName::AwsTraceHeader],
        "Root=1-67891233-abcdef012345678912345678"
    );
}

async fn received(belt: &Belt, url: &str) -> Vec<Message> {
    let receive = belt.stage.sqs.receive_message().queue_url(url);
    let receive = receive.max_number_of_messages(10).message_attribute_names("All");
    let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
    receive.send().await.unwrap().messages.unwrap_or_default()
}

/// Messages are at most 1 MiB each, and so is a request.
#[tokio::test(start_paused = true)]
async fn large_messages_go_in_requests_that_the_queue_takes() {
    let belt = Belt::new("arrivals", "work").await;
    for n in 0..6 {
        let body = format!("{n}{}", "x".repeat(400_000));
        belt.stage.aws.sqs().send(&belt.from, &body).unwrap();
    }
    let report = belt.run().await;
    assert_eq!((report.sent, &report.failures[..]), (6, &[][..]));
    assert_eq!(belt.delivered().len(), 6);
}

/// Each fault at each send, one after another: what was certainly sent is deleted, everything else comes again.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_whatever_happens_to_a_send_or_a_deletion() {
    let faults = [
        Fault::NotSent,
        Fault::AnswerLost,
        Fault::Throttled,
        Fault::Invalid,
        Fault::ServerError,
        Fault::ServerErrorAfter,
        Fault::Hang,
        Fault::HangAfter,
        Fault::Partial(vec![0, 3]),
        Fault::PartialAfter(vec![1]),
    ];
    for fault in faults {
        for at in ["SendMessageBatch", "DeleteMessageBatch"] {
            if at == "DeleteMessageBatch" && matches!(fault, Fault::Partial(_) | Fault::PartialAfter(_)) {
                continue;
            }
            let belt = Belt::new("arrivals", "work").await;
            belt.fill(35);
            let (mut number, injected) = (0, fault.clone());
            belt.stage.wire.inject(move |request| {
                let is_it = request.operation == at;
                number += usize::from(is_it);
                match is_it && number % 3 == 1 {
                    true => injected.clone(),
                    false => Fault::None,
                }
            });
            let first = belt.run().await;
            belt.stage.wire.heal();
            assert!(
                first.received == first.sent + first.not_sent + first.unknown,
                "{at} {fault:?}: {first:?}"
            );
            belt.drain().await;
            let delivered = belt.delivered();
            assert_eq!(delivered.len(), 35, "{at} {fault:?}: lost");
            let copies = delivered.values().sum::<usize>() - 35;
            assert!(
                copies <= (first.unknown + first.not_deleted) as usize,
                "{at} {fault:?}: {copies} copies of {first:?}"
            );
            let certain = matches!(fault, Fault::Throttled | Fault::Invalid | Fault::Partial(_));
            if at == "SendMessageBatch" && certain {
                assert_eq!(copies, 0, "{fault:?}");
                assert!(
                    first.not_sent > 0 && !first.failures.is_empty(),
                    "{fault:?}: {first:?}"
                );
            }
        }
    }
}

/// A death before and after each request of a run: the next runs bring everything over.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_wherever_the_process_dies() {
    let mut deaths = 0;
    for fault in [Fault::DiesBefore, Fault::DiesAfter] {
        for at in 0.. {
            let belt = Belt::new("arrivals", "work").await;
            belt.fill(25);
            let (mut number, injected) = (0, fault.clone());
            belt.stage.wire.inject(move |request| {
                if request.process.is_none() {
                    return Fault::None;
                }
                number += 1;
                match number - 1 == at {
                    true => injected.clone(),
                    false => Fault::None,
                }
            });
            let relay = belt.relay();
            let deadline = belt.stage.deadline();
            let process = Process::new("relay", 0, None);
            let ended = process.run(async move { relay.run(deadline).await }).await;
            belt.stage.wire.heal();
            if ended.is_some() {
                break;
            }
            deaths += 1;
            belt.drain().await;
            assert_eq!(belt.delivered().len(), 25, "{fault:?} at request {at}");
        }
    }
    assert!(deaths >= 12, "only {deaths} deaths");
}

#[tokio::test(start_paused = true)]
async fn runs_that_overlap_take_n_each_and_no_message_twice() {
    let belt = Belt::new("arrivals", "work").await;
    belt.fill(115);
    let (one, other) = tokio::join!(belt.run(), belt.run());
    assert_eq!(one.sent + other.sent, 100);
    assert_eq!(belt.delivered().values().sum::<usize>(), 100);
}

/// Eight lanes of ten messages each; `tests/examples/relay` prints the figures of 10,000.
#[tokio::test(start_paused = true)]
async fn a_thousand_messages_take_a_sixtieth_of_the_time_of_one_at_a_time() {
    let ratio = daybook_tests::relay_ratio::measure(1000).await;
    assert!(ratio.times() > 60.0, "{:.1}: {ratio:?}", ratio.times());
    assert_eq!(ratio.relay.1, 300, "{ratio:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_run_between_messages() {
    let belt = Belt::new("arrivals", "work").await;
    belt.fill(30);
    let deadline = daybook_ledger::Deadline::after(&belt.stage.clock, Duration::from_secs(5));
    let report = belt.relay().run(deadline).await;
    assert!(report.out_of_time && report.received == 0, "{report:?}");
    assert_eq!(belt.waiting(&belt.from), 30);
}

/// Three groups from FIFO to FIFO, with sends refused in the middle: each group arrives whole and in its order, once.
#[tokio::test(start_paused = true)]
async fn groups_keep_their_order_even_where_sends_fail() {
    for refused in [vec![], vec![0], vec![1], vec![0, 2]] {
        let belt = Belt::new("arrivals.fifo", "work.fifo").await;
        for n in 0..20 {
            for group in ["a", "b", "c"] {
                belt.send(group, &format!("{group}{n:02}")).await;
            }
        }
        let (mut number, positions) = (0, refused.clone());
        belt.stage.wire.inject(move |request| {
            number += usize::from(request.operation == "SendMessageBatch");
            match request.operation == "SendMessageBatch" && number % 4 == 2 && !positions.is_empty() {
                true => Fault::Partial(positions.clone()),
                false => Fault::None,
            }
        });
        for _ in 0..60 {
            if belt.waiting(&belt.from) == 0 {
                break;
            }
            belt.run().await;
            tokio::time::sleep(Duration::from_secs(121)).await;
        }
        let arrived = belt.in_order();
        for group in ["a", "b", "c"] {
            let of_group: Vec<&String> = arrived.iter().filter(|body| body.starts_with(group)).collect();
            let expected: Vec<String> = (0..20).map(|n| format!("{group}{n:02}")).collect();
            assert!(of_group.into_iter().eq(&expected), "{refused:?}: {arrived:?}");
        }
    }
}

/// A group of one queue is hidden while a lane has messages of it: a poll that finds nothing then is not the end.
#[tokio::test(start_paused = true)]
async fn one_group_does_not_end_a_run_early() {
    let belt = Belt::new("arrivals.fifo", "work").await;
    for n in 0..60 {
        belt.send("only", &format!("{n}")).await;
    }
    belt.stage.wire.with_latency(7);
    let report = belt.run().await;
    assert_eq!((report.sent, report.empty), (50, false), "{report:?}");
}

/// What was sent and not deleted is sent again, and a FIFO target knows it; two messages of one deduplication id, which the source
/// has taken more than five minutes apart, stay two.
#[tokio::test(start_paused = true)]
async fn a_fifo_target_knows_copies_and_loses_no_message() {
    let mut belt = Belt::new("arrivals.fifo", "work.fifo").await;
    belt.send("a", "same").await;
    tokio::time::sleep(Duration::from_secs(301)).await;
    belt.send("a", "same").await;
    belt.stage
        .wire
        .inject(|request| match request.operation == "DeleteMessageBatch" {
            true => Fault::NotSent,
            false => Fault::None,
        });
    let report = belt.run().await;
    assert_eq!((report.sent, report.not_deleted), (2, 2), "{report:?}");
    belt.stage.wire.heal();
    belt.drain().await;
    assert_eq!(belt.delivered()["same"], 2);

    // With the ids that they were sent with, the second is a copy to SQS.
    belt = Belt::new("arrivals.fifo", "work.fifo").await;
    belt.settings.deduplication_id = DeduplicationId::Kept;
    belt.send("a", "kept").await;
    assert_eq!(belt.run().await.sent, 1);
    let [message] = &received(&belt, &belt.to).await[..] else {
        panic!("not one message")
    };
    let system = message.attributes().unwrap();
    assert_eq!(
        system[&MessageSystemAttributeName::MessageDeduplicationId],
        "kept"
    );
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "a");
}
