//! What cannot be done, and what goes on all the same.

use std::time::Duration;

use daybook_ledger::{Ledger, Random};
use daybook_reconciler::audit::Intake;
use daybook_reconciler::audit_run::{ReportStore, RoundRequest, Rounds, Standing};
use daybook_tests::Fault;
use daybook_tests::s3::Versioning;

use crate::house::{House, REPORTS, TICK};
use crate::world::{BUCKET, HOUR};

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_bucket_that_cannot_be_listed_keeps_no_other_from_its_turn() {
    let house = House::new().await;
    let mut settings = house.settings();
    settings.audited = vec!["s3://nowhere".parse().unwrap(), "s3://data".parse().unwrap()];
    let round = house.tick(&settings, LONG).await;
    let [nowhere, data] = &round.audits[..] else {
        panic!("{round:?}");
    };
    assert_eq!(nowhere.standing, Standing::UnderWay);
    assert!(
        nowhere.failures[0].contains("GetBucketVersioning on bucket nowhere: NoSuchBucket"),
        "{nowhere:?}"
    );
    assert_eq!(data.standing, Standing::Finished);
    assert_eq!((round.failures(), round.is_lost()), (1, false));
    // Of finished audits; the other one has never been finished.
    assert_eq!(round.gauge().unwrap().missing, 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_ends_the_round_behind_what_was_judged() {
    let house = House::new().await;
    let settings = house.settings();
    let mut pages = 0;
    house.world.s3.inject(move |operation, _| {
        pages += u32::from(operation == "ListObjectsV2");
        match operation == "ListObjectsV2" && pages > 1 {
            true => Fault::NotSent,
            false => Fault::None,
        }
    });
    let round = house.tick(&settings, LONG).await;
    let report = &round.audits[0];
    assert_eq!((report.standing, report.listed_now), (Standing::UnderWay, 1000));
    assert!(
        report.failures[0].contains("ListObjectsV2 on bucket data"),
        "{report:?}"
    );
    assert!(!round.is_lost(), "a page is judged");
    house.world.s3.heal();
    house.world.pass(TICK).await;
    let (ticks, report) = house.finish(&settings, LONG).await;
    assert_eq!(
        (ticks, report.listed_now),
        (1, house.expected.len() as u64 - 1000)
    );
    house.check(true, "listed again").await;
}

#[tokio::test(start_paused = true)]
async fn without_receipts_nothing_is_audited_and_the_invocation_fails() {
    let house = House::of(40, 2).await;
    let stage = &house.world.stage;
    let ledger = Ledger::new(
        stage.dynamodb.clone(),
        "ledger".parse().unwrap(),
        None,
        stage.clock.clone(),
        Random::from_seed(1),
    );
    let reports = ReportStore::new(house.world.s3.client(), REPORTS.parse().unwrap());
    let rounds = Rounds::new(
        house.world.s3.client(),
        ledger,
        reports,
        Intake::Unchecked,
        house.settings(),
    );
    let round = rounds.round(&RoundRequest::default(), house.within(LONG)).await;
    assert!(
        round.audits[0].failures[0].contains("receipts are off"),
        "{round:?}"
    );
    assert!(round.is_lost());
    assert_eq!(stage.rows().await.len(), 2);
    // As soon as they are on, it goes on.
    house.world.pass(TICK).await;
    house.finish(&house.settings(), LONG).await;
    house.check(true, "receipts are on").await;
}

#[tokio::test(start_paused = true)]
async fn a_reports_bucket_that_cannot_be_written_to_is_found_out_before_anything_is_listed() {
    let house = House::of(40, 2).await;
    house.world.s3.fail_next("PutObject", [403; 3]);
    let before = house.world.s3.requests();
    let round = house.tick(&house.settings(), LONG).await;
    let failure = &round.audits[0].failures[0];
    assert!(
        failure.starts_with("PutObject s3://reports/audits/data/"),
        "{failure}"
    );
    assert!(failure.contains("s3:ListBucket"), "{failure}");
    assert!(round.is_lost());
    let listed = |requests: &std::collections::BTreeMap<&str, u64>| requests.get("ListObjectsV2").copied();
    assert_eq!(listed(&house.world.s3.requests()), listed(&before));
    assert_eq!(house.world.stage.rows().await.len(), 2);
    house.world.s3.fail_next("GetObject", [403; 3]);
    let round = house.tick(&house.settings(), LONG).await;
    assert_eq!(round.audits[0].standing, Standing::Unknown);
    assert!(round.is_lost());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_checkpoint_is_put_aside_and_the_audit_begins_anew() {
    let house = House::new().await;
    let short = Duration::from_millis(35);
    house.tick(&house.settings(), short).await;
    let (key, checkpoint) = house.reports("/checkpoint.json").pop().unwrap();
    let damaged = &checkpoint[..checkpoint.len() / 2];
    let put = house.world.s3.client().put_object().bucket(REPORTS).key(&key);
    put.body(damaged.as_bytes().to_vec().into()).send().await.unwrap();
    // What the damaged one has published stays where it is: the new one has a folder of its own.
    let before = house.reports(".jsonl").len();
    house.world.pass(TICK).await;
    let round = house.tick(&house.settings(), LONG).await;
    let report = &round.audits[0];
    assert_eq!(report.standing, Standing::Finished);
    assert!(
        report.failures[0].contains("was put aside as s3://reports/audits/data/"),
        "{report:?}"
    );
    let aside = house
        .world
        .s3
        .keys(REPORTS)
        .into_iter()
        .find(|key| key.contains("/damaged-"));
    assert_eq!(house.world.s3.content(REPORTS, &aside.unwrap()).unwrap(), damaged);
    let summary = house.summary();
    assert_eq!(summary["objects"], house.expected.len());
    assert_eq!(summary["missing_left"], 0);
    assert!(house.reports(".jsonl").len() > before);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_release_begins_anew() {
    let house = House::of(40, 2).await;
    house.finish(&house.settings(), LONG).await;
    let (key, checkpoint) = house.reports("/checkpoint.json").pop().unwrap();
    let other = checkpoint.replacen("\"v\":1", "\"v\":99", 1);
    assert_ne!(other, checkpoint);
    let put = house.world.s3.client().put_object().bucket(REPORTS).key(&key);
    put.body(other.into_bytes().into()).send().await.unwrap();
    house.world.pass(TICK).await;
    let round = house.tick(&house.settings(), LONG).await;
    assert_eq!(
        round.audits[0].standing,
        Standing::Finished,
        "and does not wait for a day"
    );
    assert_eq!(round.failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn under_a_wrong_source_nothing_is_recorded() {
    let house = House::of(40, 2).await;
    let mut settings = house.settings();
    settings.source = "minio".parse().unwrap();
    let round = house.tick(&settings, LONG).await;
    let report = &round.audits[0];
    assert_eq!(report.standing, Standing::Finished);
    assert!(report.failures[0].contains("DAYBOOK_SOURCE"), "{report:?}");
    assert_eq!(round.recorded(), 0);
    assert!(round.gauge().unwrap().missing > 2);
    assert_eq!(house.world.stage.rows().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_recorded_for_certain_is_left_and_reported() {
    let house = House::of(40, 2).await;
    house.world.s3.fail_next("HeadObject", [403]);
    let round = house.tick(&house.settings(), LONG).await;
    let counts = round.audits[0].status.clone().unwrap().counts;
    assert_eq!((counts.tally.missing, counts.missing_left), (2, 1), "{counts:?}");
    assert!(!counts.complete);
    assert_eq!(round.gauge().unwrap().missing, 1);
    let parts = house.reports(".jsonl");
    assert!(
        parts[0]
            .1
            .contains("not_safe: HeadObject was answered with status 403")
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_deleted_before_it_is_repaired_is_not_missing_any_more() {
    let house = House::of(40, 1).await;
    let lost = house
        .expected
        .iter()
        .find(|(_, class)| **class == "missing")
        .unwrap()
        .0
        .clone();
    let s3 = house.world.s3.clone();
    house.world.s3.observe(move |operation| {
        if operation == "HeadObject" {
            s3.delete(BUCKET, &lost);
        }
    });
    let round = house.tick(&house.settings(), LONG).await;
    let counts = round.audits[0].status.clone().unwrap().counts;
    assert_eq!((counts.missing_left, counts.repair.unwrap().gone), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn versions_are_audited_one_by_one() {
    let house = House::of(40, 1).await;
    house.world.s3.create_bucket("versioned", Versioning::Enabled);
    for content in ["1", "2", "3"] {
        house.world.s3.put("versioned", "key", content);
    }
    house.world.pass(HOUR).await;
    let mut settings = house.settings();
    settings.audited = vec!["s3://versioned".parse().unwrap()];
    let round = house.tick(&settings, LONG).await;
    assert_eq!((round.listed(), round.recorded()), (3, 3));
    assert_eq!(house.summary()["versions"], true);
}
