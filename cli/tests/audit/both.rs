//! The command line and the function run one audit: the same bucket gives the same counts in both.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daybook_ledger::{Clock, Deadline, Ledger, Random, ReceiptSettings};
use daybook_local::{LocalAws, QueueAttributes};
use daybook_manager::IntakeQueue;
use daybook_reconciler::audit::{AuditOutcome, Intake, RepairCounts};
use daybook_reconciler::audit_run::{ReportStore, RoundRequest, RoundSettings, Rounds};
use daybook_schema::{Attempt, Outcome, Receipt};
use daybook_tests::s3::Versioning;
use serde_json::{Value, json};

use crate::stand_in::rows::{Fixtures, at};
use crate::stand_in::{StandIn, run, runtime};
use crate::world::{BUCKET, INSTALLED, Served, ago, event, row};

const KEY: &str = "in/lost.json";
const KEEP: Duration = Duration::from_secs(36_500 * 24 * 3600);

/// What happens between the audit's look at the object and the repair's.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meanwhile {
    Nothing,
    Notified,
    Done,
    TakenOut,
    Overwritten,
    Deleted,
    Forbidden,
    /// A row of a newer release: it may be about any object.
    Unreadable,
    /// A notification waits in the intake from the start.
    Waits,
}

/// A bucket with an object that was never notified, a ledger, and that.
struct Stage {
    aws: StandIn,
    served: Served,
    intake: String,
}

impl Stage {
    fn new(meanwhile: Meanwhile) -> Self {
        let (aws, served) = (StandIn::start(), Served::start(Versioning::Never));
        aws.fill(async |fixtures: Fixtures<'_>| fixtures.install(INSTALLED).await);
        served.s3.create_bucket("reports", Versioning::Never);
        let version = served.put(KEY, "x", &ago(120));
        let path = aws
            .aws
            .sqs()
            .create_queue("intake", QueueAttributes::default())
            .unwrap();
        if meanwhile == Meanwhile::Waits {
            aws.aws.sqs().send(&path, "it").unwrap();
        }
        let intake = format!("{}/{}", aws.endpoint, path.splitn(4, '/').nth(3).unwrap());
        let when = match meanwhile {
            Meanwhile::Notified | Meanwhile::Unreadable => "ListObjectsV2",
            _ => "HeadObject",
        };
        let (s3, local) = (served.s3.clone(), aws.aws.clone());
        let is_done = AtomicBool::new(false);
        served.s3.observe(move |operation| {
            if operation != when || is_done.swap(true, Ordering::SeqCst) {
                return;
            }
            let event = event(KEY, 1, &version);
            match meanwhile {
                Meanwhile::Nothing | Meanwhile::Waits => {}
                Meanwhile::Overwritten => drop(s3.put_at(BUCKET, KEY, "y", at(&ago(60)))),
                Meanwhile::Deleted => drop(s3.delete(BUCKET, KEY)),
                Meanwhile::Forbidden => s3.fail_next("HeadObject", [403]),
                Meanwhile::Notified => fill(&local, async move |to| to.put_row(&row(event)).await),
                Meanwhile::Done => fill(&local, async move |to| to.put_receipt(&event).await),
                Meanwhile::TakenOut => fill(&local, async move |to| {
                    let (by, why) = ("ops@host".to_owned(), Some("a test file".to_owned()));
                    let receipt =
                        Receipt::new(&event, Attempt(1), Outcome::Removed, by, why, at(&ago(60)), KEEP);
                    to.put_this_receipt(&receipt).await;
                }),
                Meanwhile::Unreadable => fill(&local, async move |to| {
                    to.put_unreadable_row().await;
                }),
            }
        });
        Self { aws, served, intake }
    }

    fn by_command_line(&self) -> (i32, Value) {
        let arguments = [
            "s3://data",
            "--repair",
            "--receipts-keep",
            "36500d",
            "--output",
            "json",
            "--s3-endpoint",
            &self.served.endpoint,
            "--intake-queue-url",
            &self.intake,
        ];
        let (code, stdout, stderr) = run(&mut self.aws.daybook("audit", &arguments));
        let json = serde_json::from_str(&stdout);
        (code, json.unwrap_or_else(|_| panic!("{code} {stdout} {stderr}")))
    }

    fn by_function(&self) -> (i32, Value) {
        let clock = Clock::system();
        let aws = self.aws.aws.clone();
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
            .endpoint_url("http://stand-in.invalid")
            .credentials_provider(aws_credential_types::Credentials::new(
                "a", "b", None, None, "test",
            ))
            .http_client(aws.http_client())
            .build();
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new("us-east-1"))
            .endpoint_url("http://stand-in.invalid")
            .credentials_provider(aws_credential_types::Credentials::new(
                "a", "b", None, None, "test",
            ))
            .http_client(aws.http_client())
            .build();
        let receipts = ReceiptSettings {
            table: "receipts".parse().unwrap(),
            keep: KEEP,
        };
        let ledger = Ledger::new(
            aws_sdk_dynamodb::Client::from_conf(dynamodb),
            "ledger".parse().unwrap(),
            Some(receipts),
            clock.clone(),
            Random::from_os(),
        );
        let settings = RoundSettings {
            audited: vec!["s3://data".parse().unwrap()],
            every: Duration::from_secs(24 * 3600),
            repair: true,
            grace: Duration::from_secs(15 * 60),
            source: Default::default(),
            max_attempts: 5,
        };
        let s3 = self.served.s3.client();
        let reports = ReportStore::new(s3.clone(), "reports".parse().unwrap());
        let queue = IntakeQueue::new(aws_sdk_sqs::Client::from_conf(sqs), &self.intake);
        let rounds = Rounds::new(s3, ledger, reports, Intake::Queue(queue), settings);
        let deadline = Deadline::after(&clock, Duration::from_secs(60));
        let round = runtime().block_on(rounds.round(&RoundRequest::default(), deadline));
        let status = round.audits[0].status.clone();
        let status = status.unwrap_or_else(|| panic!("{round:?}"));
        let counts = status.counts;
        let outcome = AuditOutcome {
            tally: &counts.tally,
            gone: counts.gone,
            unreadable: counts.unreadable,
            repair: counts.repair,
            backfill: None,
            is_finished: status.finished_at.is_some(),
        };
        (
            i32::from(outcome.verdict().exit_code()),
            serde_json::to_value(&status).unwrap(),
        )
    }
}

/// From a thread of its own: S3 is served by a runtime, in which no other can begin.
fn fill<F>(aws: &LocalAws, what: F)
where
    F: AsyncFnOnce(&Fixtures<'_>) + Send + 'static,
{
    let aws = aws.clone();
    let filling = std::thread::spawn(move || {
        let to = Fixtures {
            aws: &aws,
            ledger: "ledger",
            receipts: "receipts",
        };
        runtime().block_on(what(&to));
    });
    filling.join().unwrap();
}

/// The fields that each has for itself: times, and where the report is.
const OWN_FIELDS: [&str; 3] = ["began_at", "finished_at", "report"];

/// What an object that was never notified comes to. A repair that finds `may_wait` where the audit found `missing` takes an intake that
/// was seen drained and forgotten in between; one audit looks once for both.
#[test]
fn the_audit_function_and_the_command_line_give_the_same_counts_in_every_outcome_of_a_repair() {
    use Meanwhile::{Deleted, Done, Forbidden, Nothing, Notified, Overwritten, TakenOut, Unreadable, Waits};
    let cases = [
        (Nothing, Some("recorded"), (1, 0), (0, true)),
        (Notified, Some("already_there"), (1, 0), (0, true)),
        (Done, Some("covered"), (1, 0), (0, true)),
        (TakenOut, Some("removed"), (1, 0), (0, true)),
        (Overwritten, Some("changed"), (1, 0), (0, false)),
        (Deleted, Some("gone"), (1, 0), (0, false)),
        (Forbidden, Some("not_safe"), (1, 1), (3, false)),
        (Unreadable, Some("not_safe"), (1, 1), (3, false)),
        (Waits, None, (0, 0), (1, false)),
    ];
    let mut unseen = serde_json::to_value(RepairCounts::default()).unwrap();
    for (meanwhile, outcome, (missing, left), (code, complete)) in cases {
        let (exited, shown) = Stage::new(meanwhile).by_command_line();
        let (would_exit, reported) = Stage::new(meanwhile).by_function();
        let about = format!("{meanwhile:?}\ncommand line: {shown:#}\nfunction: {reported:#}");
        assert_eq!((exited, would_exit), (code, code), "{about}");
        let reported = reported.as_object().unwrap();
        let counts = reported
            .iter()
            .filter(|(name, _)| !OWN_FIELDS.contains(&name.as_str()));
        for (name, count) in counts {
            assert_eq!(&shown[name], count, "{name}: {about}");
        }
        let expected = [
            ("missing", json!(missing)),
            ("missing_left", json!(left)),
            ("may_wait", json!(1 - missing)),
            ("complete", json!(complete)),
        ];
        for (name, count) in expected {
            assert_eq!(reported[name], count, "{name}: {about}");
        }
        let repair = reported["repair"].as_object().unwrap();
        for (name, count) in repair {
            let is_it = outcome == Some(name.as_str());
            assert_eq!(*count, json!(u64::from(is_it)), "{name}: {about}");
        }
        if let Some(outcome) = outcome {
            unseen.as_object_mut().unwrap().remove(outcome);
        }
    }
    assert_eq!(unseen, json!({"may_wait": 0}), "outcomes that no case comes to");
}
