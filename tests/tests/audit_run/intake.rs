//! What may still wait in the intake is neither called missing nor recorded.

use std::time::Duration;

use daybook_reconciler::audit::SETTLES;
use daybook_reconciler::audit_run::{RoundRequest, ScopeReport, Standing};
use daybook_tests::Fault;
use serde_json::Value;

use crate::house::{House, TICK};
use crate::world::{DAY, HOUR, MINUTE, Uploaded};

const LONG: Duration = Duration::from_secs(600);

impl House {
    /// A round that looks at the intake.
    async fn looking(&self, begin: bool) -> ScopeReport {
        let request = RoundRequest {
            time: Some(self.world.stage.now()),
            begin,
            ..RoundRequest::default()
        };
        let rounds = self.rounds_at(self.intake(), self.settings());
        let mut round = rounds.round(&request, self.within(LONG)).await;
        assert_eq!(round.audits.len(), 1);
        round.audits.remove(0)
    }

    /// The notification of an upload is in the intake queue.
    fn send(&self, upload: &Uploaded) {
        let stage = &self.world.stage;
        stage
            .aws
            .sqs()
            .send(&stage.intake, &upload.notification())
            .unwrap();
    }

    async fn rows(&self) -> usize {
        self.world.stage.rows().await.len()
    }
}

/// What an audit called missing, and what it could not tell from what waits; what it recorded.
fn counts(report: &ScopeReport) -> (u64, u64, u64) {
    let tally = report.status.as_ref().unwrap().counts.tally;
    (tally.missing, tally.may_wait, report.recorded_now)
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_not_recorded_a_second_time_and_what_is_lost_is_when_the_intake_is_drained() {
    let house = House::of(4, 0).await;
    let (waits, lost) = (house.world.put("waits", "A"), house.world.put("lost", "A"));
    house.send(&waits);
    house.world.pass(HOUR).await;
    let report = house.looking(true).await;
    assert_eq!(
        (report.standing, counts(&report)),
        (Standing::Finished, (0, 2, 0))
    );
    let status = report.status.as_ref().unwrap().counts;
    assert_eq!((status.missing_left, status.complete), (0, false), "nobody knows");
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(house.rows().await, 0);
    let summary: Value = house.summary();
    assert_eq!(
        (&summary["may_wait"], &summary["missing"]),
        (&2.into(), &0.into())
    );

    // Received, and not acknowledged: it may come again.
    let stage = &house.world.stage;
    let received = stage.sqs.receive_message().queue_url(&stage.intake).send();
    assert_eq!(received.await.unwrap().messages().len(), 1);
    let report = house.looking(true).await;
    assert_eq!(counts(&report), (0, 2, 0));
    house.world.pass(HOUR).await;
    assert_eq!(stage.pump_ingest().await, Some(1));
    let report = house.looking(true).await;
    assert_eq!(counts(&report), (1, 0, 1));
    assert_eq!(report.status.unwrap().counts.tally.open, 1);
    assert_eq!(house.rows().await, 2, "one for each upload");
    house.world.drain().await;
    let report = house.looking(true).await;
    assert_eq!(report.status.unwrap().counts.tally.done, 2);
    drop(lost);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_round_has_seen_holds() {
    let house = House::of(4, 0).await;
    assert_eq!(house.looking(true).await.standing, Standing::Finished);
    house.world.put("lost", "A");
    house.world.pass(2 * HOUR).await;
    // Nothing is due, and the intake is empty.
    assert_eq!(house.looking(false).await.standing, Standing::Waits);
    house.world.pass(TICK).await;
    let waits = house.world.put("waits", "A");
    house.send(&waits);
    house.world.pass(DAY).await;
    let report = house.looking(false).await;
    assert_eq!(counts(&report), (1, 1, 1), "{report:?}");
    assert_eq!(house.rows().await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_a_message_can_be_does_not_wait() {
    let house = House::of(4, 0).await;
    house.world.put("lost", "A");
    house.world.pass(10 * DAY).await;
    let waits = house.world.put("waits", "A");
    house.send(&waits);
    house.world.pass(HOUR).await;
    let stage = &house.world.stage;
    let retention = [("MessageRetentionPeriod".into(), (9 * 24 * 3600).to_string())];
    let set = stage.sqs.set_queue_attributes().queue_url(&stage.intake);
    let set = set.set_attributes(Some(retention.into_iter().collect()));
    assert_eq!(counts(&house.looking(true).await), (0, 2, 0), "14 days");
    set.send().await.unwrap();
    assert_eq!(counts(&house.looking(true).await), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn counts_may_be_behind_and_what_arrived_shortly_before_is_too_new() {
    let house = House::of(4, 0).await;
    house.world.put("lost", "A");
    let grace = house.settings().grace;
    house.world.pass(grace + MINUTE).await;
    let report = house.looking(true).await;
    assert_eq!(
        (counts(&report), report.status.unwrap().counts.tally.too_new),
        ((0, 0, 0), 1)
    );
    house.world.pass(SETTLES).await;
    assert_eq!(counts(&house.looking(true).await), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_intake_that_cannot_be_asked_is_a_failure_and_nothing_is_recorded() {
    let house = House::of(4, 0).await;
    house.world.put("lost", "A");
    house.world.pass(HOUR).await;
    let wire = &house.world.stage.wire;
    wire.inject_always("GetQueueAttributes", Fault::NotSent);
    let report = house.looking(true).await;
    assert_eq!(
        (report.standing, counts(&report)),
        (Standing::Finished, (0, 1, 0))
    );
    assert!(
        report.failures[0].starts_with("it is not known what waits in the intake")
            && report.failures[0].contains("GetQueueAttributes"),
        "{report:?}"
    );
    assert_eq!(house.rows().await, 0);
    wire.heal();
    assert_eq!(counts(&house.looking(true).await), (1, 0, 1));
}
