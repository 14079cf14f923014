//! When audits begin, what people may ask for, and what alarms see.

use std::time::Duration;

use daybook_reconciler::audit_run::{RoundRequest, Standing};

use crate::house::{House, TICK};
use crate::world::{DAY, HOUR, MINUTE};

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn an_audit_begins_every_interval_and_not_a_tick_later_from_day_to_day() {
    let house = House::of(40, 1).await;
    let settings = house.settings();
    let mut began = Vec::new();
    for tick in 0..3 * 96 {
        let round = house.tick(&settings, LONG).await;
        match round.audits[0].standing {
            Standing::Finished => began.push(tick),
            Standing::Waits => assert!(round.audits[0].next_at.is_some()),
            other => panic!("{other:?}"),
        }
        // The round itself took some milliseconds: the schedule's ticks come to the second.
        let now = house.world.stage.now();
        house
            .world
            .pass(now.window_start(TICK).plus(TICK).since(now))
            .await;
    }
    // The first tick was between two ticks of the schedule's.
    assert_eq!(began.len(), 3, "{began:?}");
    assert_eq!(began[2] - began[1], 96, "{began:?}");
    let summaries = house.reports("/summary.json");
    assert_eq!(summaries.len(), 3, "each has a folder of its own");
}

#[tokio::test(start_paused = true)]
async fn a_person_begins_one_now_and_says_of_it_alone_whether_it_repairs() {
    let house = House::of(40, 2).await;
    let mut settings = house.settings();
    settings.repair = false;
    let (_, first) = house.finish(&settings, LONG).await;
    assert_eq!(first.status.unwrap().counts.missing_left, 2);
    house.world.pass(HOUR).await;
    let rounds = house.rounds(settings.clone());
    let request = RoundRequest {
        repair: Some(true),
        begin: true,
        ..RoundRequest::default()
    };
    let round = rounds.round(&request, house.within(LONG)).await;
    let counts = round.audits[0].status.clone().unwrap().counts;
    assert_eq!((counts.tally.missing, counts.missing_left), (2, 0));
    assert_eq!(round.recorded(), 2);
    house.world.pass(DAY).await;
    house.world.put("in/lost", "lost");
    house.world.pass(HOUR).await;
    let round = house.tick(&settings, LONG).await;
    let counts = round.audits[0].status.clone().unwrap().counts;
    assert_eq!(
        (counts.tally.missing, counts.missing_left, counts.repair),
        (1, 1, None)
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_person_said_of_an_audit_holds_for_all_its_rounds() {
    let house = House::new().await;
    let mut settings = house.settings();
    settings.repair = false;
    let short = Duration::from_millis(35);
    let request = RoundRequest {
        repair: Some(true),
        begin: true,
        ..RoundRequest::default()
    };
    let round = house
        .rounds(settings.clone())
        .round(&request, house.within(short))
        .await;
    assert_eq!(round.audits[0].standing, Standing::UnderWay, "{round:?}");
    house.world.pass(TICK).await;
    house.finish(&settings, short).await;
    house.check(true, "by hand").await;
}

#[tokio::test(start_paused = true)]
async fn other_keys_than_the_settings_name_may_be_audited_by_hand() {
    let house = House::of(40, 2).await;
    let mut settings = house.settings();
    settings.audited = vec!["s3://data/elsewhere/".parse().unwrap()];
    let request = RoundRequest {
        audit: Some(vec![
            "s3://data/in/".parse().unwrap(),
            "s3://data/in/".parse().unwrap(),
        ]),
        ..RoundRequest::default()
    };
    let round = house
        .rounds(settings.clone())
        .round(&request, house.within(LONG))
        .await;
    assert_eq!(round.audits.len(), 1, "the same keys twice are one audit");
    assert_eq!(round.audits[0].standing, Standing::Finished);
    assert_eq!(round.audits[0].audit, "s3://data/in/");
    assert_eq!(round.gauge(), None, "the settings' own were not looked at");
    house.check(true, "by hand").await;
}

#[tokio::test(start_paused = true)]
async fn several_audits_share_the_time_and_an_alarm_sees_all_of_them() {
    let house = House::of(40, 2).await;
    house.world.put("other/lost", "lost");
    house.world.pass(HOUR).await;
    let mut settings = house.settings();
    settings.repair = false;
    settings.audited = ["s3://data/in/", "s3://data/other/", "s3://data/none/"]
        .map(|keys| keys.parse().unwrap())
        .to_vec();
    let round = house.tick(&settings, LONG).await;
    assert_eq!(round.finished(), 3);
    assert_eq!(round.gauge().unwrap().missing, 3);
    assert_eq!(round.listed(), 41);
    house.world.pass(TICK).await;
    let waiting = house.tick(&settings, LONG).await;
    assert_eq!((waiting.finished(), waiting.listed()), (0, 0));
    assert_eq!(waiting.gauge().unwrap().missing, 3, "the alarm stays");
    // One is repaired by hand: the others' missing are still seen.
    let request = RoundRequest {
        audit: Some(vec!["s3://data/other/".parse().unwrap()]),
        repair: Some(true),
        begin: true,
        ..RoundRequest::default()
    };
    house
        .rounds(settings.clone())
        .round(&request, house.within(LONG))
        .await;
    house.world.pass(MINUTE).await;
    let after = house.tick(&settings, LONG).await;
    assert_eq!(after.gauge().unwrap().missing, 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_audit_is_nothing_to_say() {
    let house = House::of(40, 1).await;
    let mut settings = house.settings();
    settings.audited = Vec::new();
    let round = house.tick(&settings, LONG).await;
    assert_eq!(
        (round.audits.len(), round.failures(), round.is_lost()),
        (0, 0, false)
    );
    assert_eq!(round.gauge(), None);
}
