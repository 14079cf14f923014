//! The relay beside a scheduler that receives one message, sends it and deletes it, when every request takes the same time and nothing else
//! takes any.

use std::time::Duration;

use daybook_ledger::Deadline;
use daybook_local::QueueAttributes;
use daybook_manager::{DeduplicationId, Relay, RelaySettings};
use tokio::time::Instant;

use crate::latency::{LATENCY, SLEEP};
use crate::stage::Stage;
use crate::wire::Fault;

/// What both ways took for as many messages.
#[derive(Debug)]
pub struct Ratio {
    /// How many messages.
    pub messages: usize,
    /// How long the relay took, and its requests.
    pub relay: (Duration, u64),
    /// How long one message after another took, and its requests.
    pub one_by_one: (Duration, u64),
}

impl Ratio {
    /// How many times as fast the relay was.
    pub fn times(&self) -> f64 {
        self.one_by_one.0.as_secs_f64() / self.relay.0.as_secs_f64()
    }

    /// How long each request took.
    pub fn latency(&self) -> Duration {
        LATENCY
    }
}

/// Takes so many messages from queue to queue in both ways.
///
/// # Panics
/// When a message does not arrive, or arrives twice.
pub async fn measure(messages: usize) -> Ratio {
    Ratio {
        messages,
        relay: taken(messages, relay).await,
        one_by_one: taken(messages, one_by_one).await,
    }
}

async fn taken(messages: usize, way: impl AsyncFnOnce(&Stage, RelaySettings)) -> (Duration, u64) {
    let stage = Stage::usual().await;
    let create = |name: &str| {
        let attributes = QueueAttributes::default();
        stage.aws.sqs().create_queue(name, attributes).unwrap()
    };
    let settings = RelaySettings {
        from: create("arrivals"),
        to: create("work"),
        per_window: u32::try_from(messages).unwrap(),
        wait: Duration::from_secs(2),
        deduplication_id: DeduplicationId::default(),
    };
    for n in 0..messages {
        let body = format!("message {n}");
        stage.aws.sqs().send(&settings.from, &body).unwrap();
    }
    stage.wire.inject(|_| Fault::Slow(SLEEP));
    let (before, begun, to) = (stage.wire.requests(), Instant::now(), settings.to.clone());
    way(&stage, settings).await;
    let took = (begun.elapsed(), stage.wire.requests() - before);
    let arrived = stage.aws.sqs().messages(&to).unwrap();
    let bodies: std::collections::BTreeSet<String> =
        arrived.iter().map(|message| message.body.clone()).collect();
    assert_eq!((arrived.len(), bodies.len()), (messages, messages));
    took
}

async fn relay(stage: &Stage, settings: RelaySettings) {
    let deadline = Deadline::after(&stage.clock, Duration::from_secs(3600));
    let messages = settings.per_window;
    let relay = Relay::new(stage.sqs.clone(), settings, stage.clock.clone());
    let report = relay.run(deadline).await;
    assert_eq!(report.sent, messages, "{report:?}");
}

async fn one_by_one(stage: &Stage, settings: RelaySettings) {
    loop {
        let receive = stage.sqs.receive_message().queue_url(&settings.from);
        let answer = receive.max_number_of_messages(1).send().await.unwrap();
        let Some(message) = answer.messages.unwrap_or_default().pop() else {
            return;
        };
        let send = stage.sqs.send_message().queue_url(&settings.to);
        send.set_message_body(message.body).send().await.unwrap();
        let delete = stage.sqs.delete_message().queue_url(&settings.from);
        let delete = delete.set_receipt_handle(message.receipt_handle);
        delete.send().await.unwrap();
    }
}
