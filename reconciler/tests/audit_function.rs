//! The audit function as it is deployed: its real binary under the Runtime API, the embedded AWS and an S3 behind ports.
#![cfg(feature = "lambda")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use aws_credential_types::Credentials;
use daybook_ledger::{Asker, Clock, GrantRequest, Ledger, Random, Window};
use daybook_schema::{Status, Timestamp};
use daybook_tests::lambda::{Environment, FaultyAws, fails_to_start};
use daybook_tests::privileges::{Call, assert_least};
use daybook_tests::s3::Versioning;
use daybook_tests::{Fault, S3};
use serde_json::{Value, json};

const AUDIT: &str = env!("CARGO_BIN_EXE_daybook-audit");
const HOUR: Duration = Duration::from_secs(3600);
const NOWHERE: &str = "http://127.0.0.1:1";

fn ago(hours: u32) -> Timestamp {
    let millis = Clock::system().now().unix_millis() - i64::from(hours) * 3_600_000;
    Timestamp::from_unix_millis(millis).unwrap()
}

/// A ledger installed three hours ago, and an S3 with a bucket `data`, in which two objects of two hours ago were never notified.
struct House {
    world: FaultyAws,
    s3: S3,
    endpoint: String,
    intake: String,
}

impl House {
    fn new() -> Self {
        Self::with(Versioning::Never)
    }

    fn with(versioning: Versioning) -> Self {
        let world = FaultyAws::start();
        install(&world);
        let s3 = S3::new(Clock::system());
        s3.create_bucket("data", versioning);
        s3.create_bucket("reports", Versioning::Never);
        for key in ["in/a=1+é.json", "in/b.json"] {
            s3.put_at("data", key, "lost", ago(2));
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let served = s3.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                served.serve(listener).await;
            });
        });
        let intake = world
            .aws
            .sqs()
            .create_queue("intake", Default::default())
            .unwrap();
        Self {
            world,
            s3,
            endpoint,
            intake,
        }
    }

    fn start(&self, more: &[(&str, &str)]) -> Environment {
        let mut all = vec![
            ("AWS_ENDPOINT_URL_S3", self.endpoint.as_str()),
            ("DAYBOOK_INTAKE_QUEUE_URL", self.intake.as_str()),
            ("DAYBOOK_AUDIT", "s3://data/in/"),
            ("DAYBOOK_REPORTS_BUCKET", "reports"),
        ];
        all.extend(more);
        Environment::start(AUDIT, &self.world.variables(&all))
    }

    fn report(&self, end: &str) -> String {
        let keys = self.s3.keys("reports");
        let key = keys.iter().find(|key| key.ends_with(end)).unwrap();
        self.s3.content("reports", key).unwrap()
    }
}

/// The first grant installs the ledger.
fn install(world: &FaultyAws) {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
        .endpoint_url("http://embedded.invalid")
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
        .http_client(world.aws.http_client())
        .build();
    let ledger = Ledger::new(
        aws_sdk_dynamodb::Client::from_conf(config),
        "ledger".parse().unwrap(),
        None,
        Clock::new(|| ago(3)),
        Random::from_os(),
    );
    world.block_on(async {
        let request = GrantRequest {
            window: Window::at(ago(3), HOUR),
            per_window: 1,
            wanted: 1,
            asker: Asker::Scheduler,
        };
        let control = ledger.control().await.unwrap();
        ledger.grant(&request, control).await.unwrap();
    });
}

fn tick() -> Value {
    json!({"time": Clock::system().now().to_string()})
}

#[test]
fn what_is_missing_is_told_and_by_hand_recorded_by_one_warm_process() {
    let house = House::new();
    let mut function = house.start(&[]);
    let answer = function.invoke(&tick());
    let audit = &answer.response()["audits"][0];
    assert_eq!(
        (
            &audit["standing"],
            &audit["missing"],
            &audit["missing_left"],
            &audit["repair"]
        ),
        (&json!("finished"), &json!(2), &json!(2), &Value::Null),
        "{audit}"
    );
    assert_eq!(answer.response()["failures"], json!([]));
    assert_eq!(house.world.rows().len(), 0);
    let summary: Value = serde_json::from_str(&house.report("/summary.json")).unwrap();
    assert_eq!(summary["findings"], json!(["findings-0001.jsonl"]));
    assert_eq!(house.report("/findings-0001.jsonl").lines().count(), 2);
    assert!(house.report("/statement.csv").contains(",data,in/,"));

    let answer = function.invoke(&tick());
    assert_eq!(answer.response()["audits"][0]["standing"], "waits");

    let answer = function.invoke(&json!({"audit": ["s3://data/in/"], "repair": true, "begin": true}));
    let audit = &answer.response()["audits"][0];
    assert_eq!(
        (&audit["missing_left"], &audit["recorded_now"]),
        (&json!(0), &json!(2)),
        "{audit}"
    );
    let rows = house.world.rows();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.status == Status::Pending));

    let told = function.end();
    let metrics = |request: &str| {
        [
            "AuditRounds",
            "AuditsLate",
            "AuditRuns",
            "ObjectsListed",
            "ObjectsMissing",
            "ObjectsRepaired",
            "ObjectsUnknown",
            "Failures",
        ]
        .map(|name| told.metric(request, name))
    };
    assert_eq!(
        metrics("request-1"),
        [
            Some(1.0),
            Some(0.0),
            Some(1.0),
            Some(2.0),
            Some(2.0),
            None,
            Some(0.0),
            None
        ]
    );
    assert_eq!(
        metrics("request-2"),
        [Some(1.0), Some(0.0), None, None, Some(2.0), None, Some(0.0), None]
    );
    assert_eq!(
        metrics("request-3"),
        [
            Some(1.0),
            Some(0.0),
            Some(1.0),
            Some(2.0),
            Some(0.0),
            Some(2.0),
            Some(0.0),
            None
        ]
    );
    assert!(
        told.metric_by(&["Stack", "Function"], "request-1", "ReadUnits")
            .unwrap()
            > 0.0
    );
    assert_eq!(told.saying("audited").len(), 3);
}

#[test]
fn an_audit_that_is_cut_at_its_deadline_is_finished_by_the_next_invocation() {
    let house = House::new();
    for n in 0..5_000 {
        house.s3.put_at("data", &format!("in/old/{n:06}"), "old", ago(9));
    }
    // The fourth page and those after it never come.
    let mut pages = 0;
    house.s3.inject(move |operation, _| {
        pages += u32::from(operation == "ListObjectsV2");
        match operation == "ListObjectsV2" && pages > 3 {
            true => Fault::Hang,
            false => Fault::None,
        }
    });
    let mut function = house.start(&[("DAYBOOK_AUDIT_REPAIR", "true")]);
    // The schedule wanted it two days ago, and every day one.
    let first = json!({"time": ago(48).to_string()});
    let answer = function.invoke_within(&first, Duration::from_secs(15));
    let audit = &answer.response()["audits"][0];
    // Judging a page needs the one after it, or the time is up: the third may be lost.
    let listed = audit["listed_now"].as_u64().unwrap();
    assert!((2..=3).contains(&(listed / 1000)), "{audit}");
    assert_eq!(
        (&audit["standing"], &audit["failures"]),
        (&json!("under_way"), &json!([])),
        "{audit}"
    );
    house.s3.heal();
    let answer = function.invoke(&tick());
    let audit = &answer.response()["audits"][0];
    assert_eq!(
        (&audit["standing"], &audit["listed_now"]),
        (&json!("finished"), &json!(5_002 - listed))
    );
    let summary: Value = serde_json::from_str(&house.report("/summary.json")).unwrap();
    assert_eq!(
        (
            &summary["objects"],
            &summary["before_watermark"],
            &summary["missing_left"],
            &summary["rounds"]
        ),
        (&json!(5_002), &json!(5_000), &json!(0), &json!(2))
    );
    let parts = summary["findings"].as_array().unwrap();
    let lines = parts
        .iter()
        .map(|part| house.report(part.as_str().unwrap()).lines().count());
    assert_eq!(
        lines.sum::<usize>(),
        5_002 + 2,
        "every object once, and two repairs"
    );
    assert_eq!(house.world.rows().len(), 2);
    let told = function.end();
    let metrics =
        |request: &str| ["AuditRounds", "AuditsLate", "AuditRuns"].map(|name| told.metric(request, name));
    assert_eq!(metrics("request-1"), [Some(1.0), Some(1.0), None]);
    assert_eq!(metrics("request-2"), [Some(1.0), Some(0.0), Some(1.0)]);
}

#[test]
fn a_round_that_hangs_is_cut_off_and_the_next_one_does_what_it_could_not() {
    let house = House::new();
    // Nothing is listed before it is written down that the audit begins.
    house.s3.inject(|operation, _| match operation {
        "PutObject" => Fault::Hang,
        _ => Fault::None,
    });
    let mut function = house.start(&[]);
    let answer = function.invoke_within(&tick(), Duration::from_secs(4));
    let cut = "cut off at the deadline: the next round goes on behind the last checkpoint";
    assert_eq!(answer.response(), &json!({"audits": null, "failures": [cut]}));
    house.s3.heal();
    let answer = function.invoke(&tick());
    assert_eq!(answer.response()["audits"][0]["standing"], "finished");
    let told = function.end();
    assert_eq!(told.metric("request-1", "Failures"), Some(1.0));
    let rounds = |request| told.metric(request, "AuditRounds");
    assert_eq!((rounds("request-1"), rounds("request-2")), (None, Some(1.0)));
}

#[test]
fn what_cannot_be_audited_is_a_failure_and_of_all_an_error() {
    let house = House::new();
    let mut function = house.start(&[("DAYBOOK_AUDIT", "s3://nowhere, s3://data/in/")]);
    let answer = function.invoke(&tick());
    let failures = answer.response()["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1);
    assert!(
        failures[0].as_str().unwrap().starts_with("s3://nowhere/: "),
        "{failures:?}"
    );
    assert_eq!(answer.response()["audits"][1]["standing"], "finished");
    let answer = function.invoke(&json!({"audit": ["s3://nowhere"]}));
    assert!(
        answer
            .error()
            .starts_with("NothingAudited: s3://nowhere/: the bucket cannot be listed"),
        "{answer:?}"
    );
    house.world.deny("Scan");
    let answer = function.invoke(&json!({"begin": true}));
    assert!(answer.error().contains("AccessDeniedException"), "{answer:?}");
    house.world.heal();
    let answer = function.invoke(&json!({"bogin": true}));
    assert!(
        answer
            .error()
            .starts_with("InvalidEvent: the event is not one of an audit (unknown field `bogin`"),
        "{answer:?}"
    );
    let told = function.end();
    for request in ["request-1", "request-2", "request-3", "request-4"] {
        assert_eq!(told.metric(request, "Failures"), Some(1.0), "{request}");
    }
    let rounds = ["request-1", "request-2", "request-3"].map(|request| told.metric(request, "AuditRounds"));
    assert_eq!(
        rounds,
        [Some(1.0), None, None],
        "a round that did nothing is no end"
    );
}

#[test]
fn what_waits_in_the_intake_is_not_recorded_and_told_by_a_metric_of_its_own() {
    let house = House::new();
    house
        .world
        .aws
        .sqs()
        .send(&house.intake, "of one of them")
        .unwrap();
    let mut function = house.start(&[("DAYBOOK_AUDIT_REPAIR", "true")]);
    let answer = function.invoke(&tick());
    let audit = &answer.response()["audits"][0];
    assert_eq!(
        (&audit["missing_left"], &audit["may_wait"], &audit["complete"]),
        (&json!(0), &json!(2), &json!(false)),
        "{audit}"
    );
    assert_eq!(house.world.rows().len(), 0);
    assert!(
        house
            .report("/statement.csv")
            .lines()
            .next()
            .unwrap()
            .ends_with(",may_wait")
    );
    house.world.aws.sqs().purge(&house.intake).unwrap();
    let answer = function.invoke(&json!({"begin": true}));
    assert_eq!(answer.response()["audits"][0]["recorded_now"], 2);
    let told = function.end();
    assert_eq!(told.metric("request-1", "ObjectsMayWait"), Some(2.0));
    assert_eq!(told.metric("request-2", "ObjectsMayWait"), Some(0.0));
}

#[test]
fn without_anything_to_audit_nothing_is_done() {
    let house = House::new();
    let mut function = house.start(&[("DAYBOOK_AUDIT", "")]);
    let answer = function.invoke(&tick());
    assert_eq!(answer.response(), &json!({"audits": [], "failures": []}));
    assert_eq!(house.s3.requests().len(), 0);
    assert_eq!(function.end().metric("request-1", "ObjectsMissing"), None);
}

#[test]
fn receipts_that_are_off_are_an_error_of_every_round() {
    let house = House::new();
    let mut function = house.start(&[("DAYBOOK_RECEIPTS_KEEP", "0")]);
    let answer = function.invoke(&tick());
    assert!(answer.error().contains("receipts are off"), "{answer:?}");
}

#[test]
fn a_wrong_setting_is_named_at_start() {
    let world = FaultyAws::start();
    for (name, value, why) in [
        ("DAYBOOK_AUDIT", "data", "s3://bucket"),
        ("DAYBOOK_AUDIT_REPAIR", "yes", "true or false"),
        ("DAYBOOK_AUDIT_EVERY", "daily", "a time with its unit"),
        ("DAYBOOK_REPORTS_BUCKET", "", "is not set"),
        ("DAYBOOK_INTAKE_QUEUE_URL", "", "is not set"),
        ("DAYBOOK_INTAKE_QUEUE_URL", "intake", "a queue URL"),
        ("AWS_ENDPOINT_URL_S3", "localhost:9000", "a URL is needed"),
    ] {
        let variables = [
            ("AWS_ENDPOINT_URL", NOWHERE),
            ("DAYBOOK_REPORTS_BUCKET", "reports"),
            (
                "DAYBOOK_INTAKE_QUEUE_URL",
                "http://127.0.0.1:1/000000000000/intake",
            ),
            (name, value),
        ];
        let (code, told) = fails_to_start(AUDIT, &world.variables(&variables));
        assert_ne!(code, 0);
        let said = told.log()[0]["message"].as_str().unwrap().to_owned();
        assert!(said.contains(name) && said.contains(why), "{said}");
    }
}

#[test]
fn audit_may_do_what_it_does_and_no_more() {
    // The role names buckets, and cannot know which of them have versions: it allows what both need.
    let mut calls = BTreeSet::new();
    for versioning in [Versioning::Never, Versioning::Enabled] {
        let house = House::with(versioning);
        let mut function = house.start(&[("DAYBOOK_AUDIT_REPAIR", "true")]);
        let answer = function.invoke(&tick());
        let audit = &answer.response()["audits"][0];
        assert_eq!(audit["recorded_now"], 2, "{audit}");
        let answer = function.invoke(&json!({"begin": true}));
        assert_eq!(answer.response()["audits"][0]["open"], 2);
        calls.extend(house.world.calls());
        calls.extend(house.s3.calls());
    }
    // A checkpoint that is not there is told by a 404 only to who may list ("GetObject", Amazon S3 API Reference).
    calls.insert(Call::new("s3:ListBucket", "arn:aws:s3:::reports"));
    assert_least("Audit", None, &calls);
}
