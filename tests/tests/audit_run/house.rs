//! A bucket of every kind of object, and the bucket of its reports.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::Deadline;
use daybook_manager::IntakeQueue;
use daybook_reconciler::audit::Intake;
use daybook_reconciler::audit_run::{
    ReportStore, RoundReport, RoundRequest, RoundSettings, Rounds, ScopeReport, Standing,
};
use daybook_tests::s3::Versioning;
use serde_json::Value;

use crate::world::{AuditedBucket, BUCKET, DAY, HOUR, MINUTE};

pub const REPORTS: &str = "reports";

/// What the schedule waits between two rounds.
pub const TICK: Duration = Duration::from_secs(15 * 60);

/// More than one page of objects: from before the installation, done, open, and missing.
pub struct House {
    pub world: AuditedBucket,
    pub expected: BTreeMap<String, &'static str>,
}

impl House {
    pub async fn new() -> Self {
        Self::of(2_040, 20).await
    }

    /// So many objects, of which so many are missing, and as many open and done.
    pub async fn of(objects: usize, missing: usize) -> Self {
        let world = AuditedBucket::uninstalled(Versioning::Never).await;
        world.s3.create_bucket(REPORTS, Versioning::Never);
        let mut expected = BTreeMap::new();
        let mut put = |class: &'static str, count: usize, from: usize| -> Vec<_> {
            let every = (objects / missing.max(1)).max(4);
            let keys = (0..count).map(|n| format!("in/{:06}", from + n * every));
            let keys: Vec<String> = keys.collect();
            for key in &keys {
                expected.insert(key.clone(), class);
            }
            keys.iter().map(|key| world.put(key, class)).collect()
        };
        let old = objects - 3 * missing;
        let special: Vec<usize> = (1..=3).collect();
        let every = (objects / missing.max(1)).max(4);
        let is_special = |n: &usize| missing > 0 && n / every < missing && special.contains(&(n % every));
        let mut olds = 0;
        let mut n = 0;
        while olds < old {
            if !is_special(&n) {
                put("before_watermark", 1, n);
                olds += 1;
            }
            n += 1;
        }
        world.pass(MINUTE).await;
        world.install().await;
        world.pass(MINUTE).await;
        let done = put("done", missing, 1);
        world.notify(&done).await;
        world.drain().await;
        let open = put("open", missing, 2);
        world.notify(&open).await;
        put("missing", missing, 3);
        world.pass(HOUR).await;
        Self { world, expected }
    }

    pub fn settings(&self) -> RoundSettings {
        RoundSettings {
            audited: vec!["s3://data".parse().unwrap()],
            every: DAY,
            repair: true,
            grace: 15 * MINUTE,
            source: Default::default(),
            max_attempts: 5,
        }
    }

    pub fn rounds(&self, settings: RoundSettings) -> Rounds {
        self.rounds_at(Intake::Unchecked, settings)
    }

    pub fn rounds_at(&self, intake: Intake, settings: RoundSettings) -> Rounds {
        let reports = ReportStore::new(self.world.s3.client(), REPORTS.parse().unwrap());
        Rounds::new(
            self.world.s3.client(),
            self.world.stage.ledger.clone(),
            reports,
            intake,
            settings,
        )
    }

    /// The stage's intake queue.
    pub fn intake(&self) -> Intake {
        let stage = &self.world.stage;
        Intake::Queue(IntakeQueue::new(stage.sqs.clone(), &stage.intake))
    }

    pub fn within(&self, budget: Duration) -> Deadline {
        Deadline::after(&self.world.stage.clock, budget)
    }

    /// A tick of the schedule, with that much time.
    pub async fn tick(&self, settings: &RoundSettings, budget: Duration) -> RoundReport {
        let request = RoundRequest {
            time: Some(self.world.stage.now()),
            ..RoundRequest::default()
        };
        let rounds = self.rounds(settings.clone());
        rounds.round(&request, self.within(budget)).await
    }

    /// Ticks until the one audit is finished; how many it took.
    pub async fn finish(&self, settings: &RoundSettings, budget: Duration) -> (u32, ScopeReport) {
        for ticks in 1..200 {
            let round = self.tick(settings, budget).await;
            let [report] = &round.audits[..] else {
                panic!("{round:?}");
            };
            if matches!(report.standing, Standing::Finished | Standing::Waits) {
                return (ticks, report.clone());
            }
            self.world.pass(TICK).await;
        }
        panic!("it comes to no end");
    }

    /// The objects in the reports bucket whose names end so.
    pub fn reports(&self, end: &str) -> Vec<(String, String)> {
        let keys = self.world.s3.keys(REPORTS).into_iter();
        keys.filter(|key| key.ends_with(end))
            .map(|key| {
                let content = self.world.s3.content(REPORTS, &key).unwrap();
                (key, content)
            })
            .collect()
    }

    pub fn summary(&self) -> Value {
        let summaries = self.reports("/summary.json");
        assert_eq!(summaries.len(), 1);
        serde_json::from_str(&summaries[0].1).unwrap()
    }

    /// The report names every object that is not done once, and every missing one is repaired, reported as repaired once, and in
    /// the ledger once.
    pub async fn check(&self, repairs: bool, about: &str) {
        let parts = self.reports(".jsonl");
        let names: Vec<&str> = parts
            .iter()
            .map(|(key, _)| key.rsplit('/').next().unwrap())
            .collect();
        let summary = self.summary();
        assert_eq!(summary["findings"], serde_json::json!(names), "{about}");
        let mut classes = BTreeMap::new();
        let mut repaired = BTreeMap::new();
        for line in parts.iter().flat_map(|(_, lines)| lines.lines()) {
            let line: Value = serde_json::from_str(line).unwrap();
            let key = line["key"].as_str().unwrap().to_owned();
            let class = line["class"].as_str().unwrap().to_owned();
            let (into, value) = match class.as_str() {
                "repaired" => (&mut repaired, line["cause"].as_str().unwrap().to_owned()),
                _ => (&mut classes, class),
            };
            assert_eq!(into.insert(key, value), None, "{about}: reported twice: {line}");
        }
        let expected = |class: &'static str| self.expected.iter().filter(move |(_, is)| **is == class);
        let not_done = self.expected.iter().filter(|(_, class)| **class != "done");
        let not_done: BTreeMap<_, _> = not_done
            .map(|(key, is)| (key.clone(), (*is).to_owned()))
            .collect();
        assert_eq!(classes, not_done, "{about}");
        let missing: Vec<&String> = expected("missing").map(|(key, _)| key).collect();
        let (count, open) = (missing.len(), expected("open").count());
        let rows = self.world.stage.rows().await;
        if repairs {
            assert_eq!(repaired.keys().collect::<Vec<_>>(), missing, "{about}");
            let is_recorded = |cause: &String| ["recorded", "already_there"].contains(&cause.as_str());
            assert!(repaired.values().all(is_recorded), "{about}: {repaired:?}");
            assert_eq!(summary["missing_left"], 0, "{about}");
            assert_eq!(rows.len(), count + open, "{about}");
        } else {
            assert_eq!((repaired.len(), rows.len()), (0, open), "{about}");
            assert_eq!(summary["missing_left"], count, "{about}");
        }
        for (class, is) in [
            ("missing", count),
            ("open", open),
            ("done", expected("done").count()),
        ] {
            assert_eq!(summary[class], is, "{about}");
        }
        assert_eq!(summary["objects"], self.expected.len(), "{about}");
        assert_eq!(summary["bucket"], BUCKET, "{about}");
        let statement = self.reports("/statement.csv").pop().unwrap().1;
        let all = statement.lines().last().unwrap();
        assert!(
            all.contains(&format!(",data,all,any,false,{}", self.expected.len())),
            "{about}: {all}"
        );
    }
}
