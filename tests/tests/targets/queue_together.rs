//! Messages for a target queue that are sent together, and what is certain about each of them.

use std::collections::BTreeSet;

use daybook_local::QueueAttributes;
use daybook_manager::{Disposition, Invoked, Invoker, Pace, QueueCompletion, QueueTarget};
use daybook_schema::Status;
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::delivered;
use daybook_tests::{Fault, Stage};

use crate::queue::{SENT, SENT_TO_FIFO, done, messages};
use crate::{dispatched, stage};

async fn invoke_all(stage: &Stage, bodies: &[String]) -> Vec<Invoked> {
    let messages: Vec<_> = bodies.iter().map(|body| delivered("m", body)).collect();
    stage.invoker().handle(&messages, stage.deadline()).await
}

/// How often both operations that send to a queue were asked for.
fn sends(stage: &Stage) -> (u64, u64) {
    let operations = stage.wire.operations();
    let count = |operation: &str| operations.get(operation).copied().unwrap_or_default();
    (count("SendMessage"), count("SendMessageBatch"))
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_is_sent_in_tens_and_done_one_by_one() {
    for target in [SENT, SENT_TO_FIFO] {
        let stage = stage(target).await;
        let bodies = dispatched(&stage, &uploads(50)).await;
        let (before, used) = (sends(&stage), stage.ledger.consumed());
        let invoked = invoke_all(&stage, &bodies).await;
        assert!(invoked.iter().all(|one| *one == done(1)), "{invoked:?}");
        let (used, after) = (stage.ledger.consumed() - used, sends(&stage));
        let (alone, together) = (after.0 - before.0, after.1 - before.1);
        assert!(
            alone + together <= 8,
            "{alone} and {together} requests for 50 messages"
        );
        assert_eq!((used.requests, used.write_units), (100, 150.0));
        let sent: BTreeSet<String> = messages(&stage).iter().map(ToString::to_string).collect();
        assert_eq!((sent.len(), messages(&stage).len()), (50, 50));
        // What each receipt names is its own message.
        let mut by = BTreeSet::new();
        for upload in uploads(50) {
            by.insert(stage.receipt(&upload.event()).await.unwrap().by);
        }
        assert_eq!(by.len(), 50);
        assert_eq!(stage.rows().await.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_the_queue_certainly_has_is_done() {
    for (fault, taken, has) in [
        (Fault::NotSent, 0, 0),
        (Fault::AnswerLost, 0, 10),
        (Fault::Throttled, 0, 0),
        (Fault::ServerErrorAfter, 0, 10),
        (Fault::Partial(vec![0, 7]), 8, 8),
        (Fault::PartialAfter(vec![3]), 9, 10),
    ] {
        let stage = stage(SENT).await;
        let bodies = dispatched(&stage, &uploads(10)).await;
        stage.wire.inject_next("SendMessageBatch", [fault.clone()]);
        let invoked = invoke_all(&stage, &bodies).await;
        let is_done = |invoked: &&Invoked| **invoked == done(1);
        assert_eq!(
            invoked.iter().filter(is_done).count(),
            taken,
            "{fault:?}: {invoked:?}"
        );
        let returned = invoked
            .iter()
            .filter(|one| one.disposition() == Disposition::Return);
        assert_eq!(returned.count(), 10 - taken, "{fault:?}: {invoked:?}");
        let throttled = invoked.iter().filter(|one| matches!(one, Invoked::Throttled(_)));
        let expected = if fault == Fault::Throttled { 10 } else { 0 };
        assert_eq!(throttled.count(), expected, "{fault:?}: {invoked:?}");
        assert_eq!(
            messages(&stage).len(),
            has,
            "the SDK does not send again: {fault:?}"
        );
        assert_eq!(stage.rows().await.len(), 10 - taken, "{fault:?}");
        // They come again: what was perhaps sent is sent once more, and then it is done.
        let again: Vec<String> = bodies
            .into_iter()
            .zip(&invoked)
            .filter(|(_, one)| one.disposition() == Disposition::Return)
            .map(|(body, _)| body)
            .collect();
        let invoked = invoke_all(&stage, &again).await;
        assert!(
            invoked.iter().all(|one| *one == done(1)),
            "{fault:?}: {invoked:?}"
        );
        assert_eq!(messages(&stage).len(), has + 10 - taken, "{fault:?}");
        assert_eq!(stage.rows().await.len(), 0, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_parks_its_own_row_alone() {
    let stage = stage(SENT).await;
    let mut several = uploads(9);
    let long = Upload::new(&"k".repeat(900), 1, "e");
    several.insert(4, long.clone());
    let bodies = dispatched(&stage, &several).await;
    let attributes = QueueAttributes {
        maximum_message_bytes: 1024,
        ..QueueAttributes::default()
    };
    let short = stage.aws.sqs().create_queue("short", attributes).unwrap();
    let target = QueueTarget::new(stage.sqs.clone(), &short, QueueCompletion::Sent);
    let dispatch = stage.options.dispatch.clone();
    let invoker = Invoker::new(stage.ledger.clone(), target, dispatch, Pace::per_second(100));
    let delivered: Vec<_> = bodies.iter().map(|body| delivered("m", body)).collect();
    let invoked = invoker.handle(&delivered, stage.deadline()).await;
    assert_eq!(
        invoked.iter().filter(|one| **one == done(1)).count(),
        9,
        "{invoked:?}"
    );
    let rows = stage.rows().await;
    assert_eq!(rows.len(), 1, "{invoked:?}");
    assert_eq!(rows[&long.event().id].status, Status::Parked);
    assert_eq!(stage.aws.sqs().messages(&short).unwrap().len(), 9);
}

/// Whoever sends for the others is given up with its request under way: nobody waits for ever, and nothing is done of which the queue may not
/// have the message.
#[tokio::test(start_paused = true)]
async fn when_the_one_that_sends_is_given_up_the_others_come_again() {
    let stage = stage(SENT).await;
    let bodies = dispatched(&stage, &uploads(3)).await;
    let invoker = stage.invoker();
    let one = |body: &String| {
        let (invoker, stage, message) = (invoker.clone(), &stage, delivered("m", body));
        async move { invoker.handle(&[message], stage.deadline()).await.remove(0) }
    };
    stage.wire.inject_next("SendMessageBatch", [Fault::HangAfter]);
    let second = std::time::Duration::from_secs(1);
    let (first, second, third) = tokio::join!(
        tokio::time::timeout(second, one(&bodies[0])),
        one(&bodies[1]),
        one(&bodies[2])
    );
    assert!(first.is_err(), "{first:?}");
    for invoked in [second, third] {
        assert!(matches!(invoked, Invoked::Returned(_)), "{invoked:?}");
    }
    assert_eq!(stage.rows().await.len(), 3);
    let invoked = invoke_all(&stage, &bodies).await;
    assert!(invoked.iter().all(|one| *one == done(1)), "{invoked:?}");
    assert_eq!(messages(&stage).len(), 6);
}
