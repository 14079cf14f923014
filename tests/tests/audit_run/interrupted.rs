//! Rounds that are killed, cut off by their deadlines, answered late, or two at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_reconciler::audit_run::{RoundRequest, Standing};
use daybook_tests::Fault;
use tokio::sync::Notify;

use crate::house::{House, TICK};
use crate::world::MINUTE;

/// Everything within one round.
const LONG: Duration = Duration::from_secs(600);

/// One page, roughly.
const SHORT: Duration = Duration::from_millis(35);

/// Kills a round at its `number`th write, of S3 and DynamoDB alike, before or after it is done. Whether there were so many.
async fn kill_at(house: &House, number: u64, fault: Fault, repairs: bool, budget: Duration) -> bool {
    let (writes, killed) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let fate = {
        let killed = killed.clone();
        move |is_write: bool| {
            if is_write && writes.fetch_add(1, Ordering::Relaxed) == number {
                killed.notify_one();
                return fault.clone();
            }
            Fault::None
        }
    };
    let of_s3 = fate.clone();
    house
        .world
        .s3
        .inject(move |operation, _| of_s3(operation == "PutObject"));
    let wire = &house.world.stage.wire;
    wire.inject(move |request| fate(request.operation == "BatchExecuteStatement"));
    let mut settings = house.settings();
    settings.repair = repairs;
    let was_killed = tokio::select! {
        biased;
        _ = house.tick(&settings, budget) => false,
        () = async {
            killed.notified().await;
            // What is under way at AWS is done there.
            tokio::time::sleep(Duration::from_millis(1)).await;
        } => true,
    };
    house.world.s3.heal();
    wire.heal();
    house.world.pass(TICK).await;
    was_killed
}

async fn killed_everywhere(repairs: bool, budget: Duration, at_least: u64) {
    for fault in [Fault::Hang, Fault::HangAfter] {
        let mut number = 0;
        loop {
            let house = House::new().await;
            let mut settings = house.settings();
            settings.repair = repairs;
            if !kill_at(&house, number, fault.clone(), repairs, budget).await {
                break;
            }
            house.finish(&settings, budget).await;
            house.check(repairs, &format!("write {number}, {fault:?}")).await;
            number += 1;
        }
        assert!(number >= at_least, "it was killed at {number} writes only");
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_killed_before_or_after_any_write_leaves_no_gap_and_doubles_nothing() {
    // Begun, missing committed, recorded, finished, a part, statement, summary, published.
    killed_everywhere(true, LONG, 8).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_holds_without_repairs() {
    killed_everywhere(false, LONG, 6).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_holds_for_a_round_of_many() {
    killed_everywhere(true, SHORT, 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_killed_twice_in_a_row_is_gone_on_with() {
    for number in 0..8 {
        let house = House::new().await;
        assert!(kill_at(&house, 8 - number, Fault::HangAfter, true, LONG).await || number == 0);
        kill_at(&house, number / 2, Fault::HangAfter, true, LONG).await;
        house.finish(&house.settings(), LONG).await;
        house.check(true, &format!("{number}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_the_time_of_a_round_is_it_stops_in_time_and_the_next_one_goes_on() {
    let mut most = 0;
    for millis in (180..700).step_by(130) {
        let house = House::of(9_000, 20).await;
        house.world.stage.wire.with_latency(millis);
        let budget = Duration::from_millis(millis);
        let began = house.world.stage.now();
        let first = house.tick(&house.settings(), budget).await;
        let took = house.world.stage.now().since(began);
        assert!(took <= budget, "{millis}: took {took:?}");
        assert!(!first.is_lost(), "{millis}: {first:?}");
        let (ticks, _) = house.finish(&house.settings(), budget).await;
        house.check(true, &format!("{millis} ms")).await;
        most = most.max(ticks);
    }
    assert!(most > 2, "only {most} rounds: nothing was cut");
}

#[tokio::test(start_paused = true)]
async fn a_round_whose_time_is_too_short_for_anything_says_so() {
    let house = House::new().await;
    let round = house.tick(&house.settings(), Duration::from_millis(12)).await;
    assert!(
        round.audits[0].failures[0].contains("the time was too short"),
        "{round:?}"
    );
    assert!(round.is_lost(), "{round:?}");
    assert_eq!(round.audits[0].standing, Standing::UnderWay);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_no_other_round() {
    for number in 0..7 {
        let house = House::new().await;
        let mut writes = 0;
        house.world.s3.inject(move |operation, _| {
            writes += u32::from(operation == "PutObject");
            match operation == "PutObject" && writes == number + 1 {
                true => Fault::AnswerLost,
                false => Fault::None,
            }
        });
        let round = house.tick(&house.settings(), LONG).await;
        assert_eq!(
            round.audits[0].standing,
            Standing::Finished,
            "{number}: {round:?}"
        );
        house.check(true, &format!("answer {number}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_rounds_at_once_one_yields_and_nothing_is_reported_twice() {
    let mut yielded = 0;
    for delay in (0..80).step_by(4) {
        let house = House::new().await;
        let settings = house.settings();
        let late = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            house.tick(&settings, LONG).await
        };
        let (first, second) = futures::join!(house.tick(&settings, LONG), late);
        for report in first.audits.iter().chain(&second.audits) {
            assert_eq!(report.failures, Vec::<String>::new(), "{delay}");
            yielded += u32::from(report.standing == Standing::Yielded);
        }
        house.finish(&settings, LONG).await;
        house.check(true, &format!("{delay} ms apart")).await;
    }
    assert!(yielded >= 5, "only {yielded} have met");
}

#[tokio::test(start_paused = true)]
async fn a_round_of_a_dead_process_that_wakes_up_changes_nothing() {
    // The first round stands still before its answer to one write, for less than the client waits; the other one does all.
    for number in 0..7 {
        let house = House::new().await;
        let settings = house.settings();
        let mut writes = 0;
        house.world.s3.inject(move |operation, _| {
            writes += u32::from(operation == "PutObject");
            match operation == "PutObject" && writes == number + 1 {
                true => Fault::HangAfter,
                false => Fault::None,
            }
        });
        let second = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            house.finish(&settings, LONG).await
        };
        let (first, _) = futures::join!(house.tick(&settings, LONG), second);
        house.check(true, &format!("asleep at {number}")).await;
        assert_ne!(first.audits[0].standing, Standing::Unknown, "{first:?}");
        house.world.pass(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rounds_asked_for_by_hand_while_the_schedule_runs_meet_as_ticks_do() {
    let house = House::new().await;
    let settings = house.settings();
    let rounds = house.rounds(settings.clone());
    let by_hand = RoundRequest {
        begin: true,
        ..RoundRequest::default()
    };
    futures::join!(
        rounds.round(&by_hand, house.within(LONG)),
        rounds.round(&by_hand, house.within(LONG)),
        house.tick(&settings, LONG),
    );
    house.finish(&settings, LONG).await;
    house.check(true, "by hand").await;
}
