//! What a round writes down and how often, how it divides its time, and what it does first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_reconciler::audit_run::{RoundSettings, ScopeReport, Standing};
use daybook_tests::Fault;
use daybook_tests::s3::{Synthetic, Version};
use serde_json::Value;

use crate::house::House;
use crate::world::{HOUR, MINUTE};

const LONG: Duration = Duration::from_secs(600);

fn asked(house: &House, operation: &str) -> u64 {
    house.world.s3.requests().get(operation).copied().unwrap_or(0)
}

impl House {
    /// What is missing and was not recorded, by the stored state.
    fn pending(&self) -> usize {
        let Some((_, checkpoint)) = self.reports("/checkpoint.json").pop() else {
            return 0;
        };
        let checkpoint: Value = serde_json::from_str(&checkpoint).unwrap();
        checkpoint["pending"].as_array().unwrap().len()
    }

    async fn one(&self, settings: &RoundSettings, budget: Duration) -> ScopeReport {
        let mut round = self.tick(settings, budget).await;
        assert_eq!(round.audits.len(), 1);
        round.audits.remove(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_writes_no_more_than_it_must() {
    // Begun, finished, the part, statement, summary, published; and what is missing before it is recorded.
    for (missing, writes) in [(0, 6), (20, 7)] {
        let house = House::of(2_040, missing).await;
        let report = house.one(&house.settings(), LONG).await;
        assert_eq!(report.standing, Standing::Finished);
        assert_eq!((report.listed_now, report.recorded_now), (2_040, missing as u64));
        assert_eq!(asked(&house, "PutObject"), writes, "{missing} missing");
        assert_eq!(house.reports(".jsonl").len(), 1);
        assert_eq!(house.summary()["rounds"], 1);
        house.check(true, "in one round").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_of_many_findings_is_published_in_parts_as_it_grows() {
    let house = House::of(40, 1).await;
    let at = house.world.stage.now();
    let object = move |n: u64| {
        let version = Version {
            id: None,
            etag: Some(format!("{n:032x}")),
            size: 1024,
            last_modified: at,
        };
        (format!("{n:06}{}", "x".repeat(900)), version)
    };
    house
        .world
        .s3
        .create_synthetic("long", Synthetic::new(5_000, object));
    house.world.pass(HOUR).await;
    let mut settings = house.settings();
    settings.audited = vec!["s3://long".parse().unwrap()];
    settings.repair = false;
    let began = house.world.stage.now();
    let report = house.one(&settings, LONG).await;
    assert_eq!((report.standing, report.listed_now), (Standing::Finished, 5_000));
    assert!(house.world.stage.now().since(began) < MINUTE);
    let parts = house.reports(".jsonl");
    let lines = parts.iter().map(|(_, part)| part.lines().count());
    assert_eq!(lines.collect::<Vec<_>>(), [4_000, 1_000], "4 MiB, and the rest");
    let keys: BTreeSet<String> = parts
        .iter()
        .flat_map(|(_, part)| part.lines())
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].to_string())
        .collect();
    assert_eq!(keys.len(), 5_000);
    let names = ["findings-0001.jsonl", "findings-0002.jsonl"];
    assert_eq!(house.summary()["findings"], serde_json::json!(names));
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_round_has_left_is_recorded_before_more_is_listed() {
    let house = House::of(9_000, 20).await;
    let (mut rounds, mut met) = (0, 0);
    loop {
        let left = house.pending() as u64;
        // A page, roughly.
        let report = house.one(&house.settings(), Duration::from_millis(40)).await;
        rounds += 1;
        assert_eq!(report.failures, Vec::<String>::new(), "{report:?}");
        assert!(
            report.listed_now == 0 || report.recorded_now >= left,
            "{left}, {report:?}"
        );
        if report.standing == Standing::Finished {
            break;
        }
        met += u32::from(report.listed_now > 0 && left > 0);
        assert!(rounds < 100, "{report:?}");
    }
    assert!(met >= 3, "only {met} rounds have found something that was left");
    assert_eq!(house.summary()["rounds"], rounds);
    house.check(true, "a page in a round").await;
}

#[tokio::test(start_paused = true)]
async fn a_round_that_only_records_has_done_something() {
    let house = House::of(3_000, 600).await;
    let (mut rounds, mut met) = (0, 0);
    loop {
        // All pages, and a few hundred looks.
        let report = house.one(&house.settings(), Duration::from_millis(100)).await;
        rounds += 1;
        assert_eq!(report.failures, Vec::<String>::new(), "{report:?}");
        if report.standing == Standing::Finished {
            break;
        }
        met += u32::from(report.listed_now == 0);
        assert!(rounds < 100, "{report:?}");
    }
    assert!(met >= 2, "each round has listed something");
    house.check(true, "recorded by many").await;
}

/// The requests for pages of a listing from here on, of which those with these numbers are not sent.
fn unsent_pages(house: &House, which: impl Fn(u64) -> bool + Send + 'static) -> Arc<AtomicU64> {
    let pages = Arc::new(AtomicU64::new(0));
    let counted = pages.clone();
    house.world.s3.inject(move |operation, _| {
        if operation == "ListObjectsV2" && which(counted.fetch_add(1, Ordering::Relaxed) + 1) {
            return Fault::NotSent;
        }
        Fault::None
    });
    pages
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_behind_others_is_asked_for_again_in_the_same_round() {
    let house = House::new().await;
    // The second page: three attempts ahead of time, and three when it is its turn.
    let pages = unsent_pages(&house, |number| (2..=7).contains(&number));
    let report = house.one(&house.settings(), LONG).await;
    assert_eq!((report.standing, report.listed_now), (Standing::Finished, 2_040));
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(pages.load(Ordering::Relaxed), 3 + 6);
    house.check(true, "asked for again").await;
}

#[tokio::test(start_paused = true)]
async fn a_first_page_that_fails_is_left_to_the_next_round() {
    let house = House::new().await;
    let pages = unsent_pages(&house, |_| true);
    let report = house.one(&house.settings(), LONG).await;
    assert_eq!((report.standing, report.listed_now), (Standing::UnderWay, 0));
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert_eq!(pages.load(Ordering::Relaxed), 3, "the attempts of one call");
}

/// A round of four seconds over these keys in which one operation never ends; and how many milliseconds it takes.
async fn hanging(audited: &[&str], operation: &'static str) -> (Vec<ScopeReport>, u128) {
    let house = House::of(40, 2).await;
    let mut settings = house.settings();
    settings.audited = audited.iter().map(|keys| keys.parse().unwrap()).collect();
    house.world.s3.inject(move |asked, _| match asked == operation {
        true => Fault::Hang,
        false => Fault::None,
    });
    let began = house.world.stage.now();
    let round = house.tick(&settings, Duration::from_secs(4)).await;
    let took = house.world.stage.now().since(began);
    (round.audits, took.as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_fourth_of_the_time_is_kept_and_half_of_that_for_what_was_begun() {
    let (audits, took) = hanging(&["s3://data/in/"], "ListObjectsV2").await;
    assert_eq!(audits[0].standing, Standing::UnderWay);
    assert!((3_000..3_100).contains(&took), "{took}: nothing is listed");
    let (audits, took) = hanging(&["s3://data/in/"], "HeadObject").await;
    assert_eq!(
        (audits[0].standing, audits[0].listed_now),
        (Standing::UnderWay, 40)
    );
    assert_eq!(audits[0].failures, Vec::<String>::new(), "it has listed all");
    assert!((3_500..3_600).contains(&took), "{took}: nothing is recorded");
}

#[tokio::test(start_paused = true)]
async fn each_audit_has_an_equal_share_of_the_time_that_is_left() {
    let (audits, took) = hanging(&["s3://data/in/", "s3://data/none/"], "HeadObject").await;
    let standings: Vec<Standing> = audits.iter().map(|report| report.standing).collect();
    assert_eq!(standings, [Standing::UnderWay, Standing::Finished]);
    assert!((1_750..1_900).contains(&took), "{took}: half of it");
    let (audits, took) = hanging(&["s3://data/none/", "s3://data/in/"], "HeadObject").await;
    let standings: Vec<Standing> = audits.iter().map(|report| report.standing).collect();
    assert_eq!(standings, [Standing::Finished, Standing::UnderWay]);
    assert!((3_500..3_700).contains(&took), "{took}: all that was left");
}

#[tokio::test(start_paused = true)]
async fn what_is_younger_than_the_grace_of_the_settings_is_too_new() {
    for (grace, missing, too_new) in [(15 * MINUTE, 2, 0), (2 * HOUR, 0, 2)] {
        let house = House::of(40, 2).await;
        let mut settings = house.settings();
        settings.grace = grace;
        settings.audited = vec!["s3://data/in/".parse().unwrap()];
        // Of before the installation are some that are as young.
        let report = house.one(&settings, LONG).await;
        let tally = report.status.unwrap().counts.tally;
        assert_eq!(
            (tally.missing, tally.too_new >= too_new),
            (missing, true),
            "{tally:?}"
        );
        assert_eq!(tally.too_new == 0, too_new == 0, "{tally:?}");
        assert_eq!(report.recorded_now, missing);
    }
}
