//! The command line and the function decide alike: the same bucket, in every outcome of a repair, comes to the same counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daybook_ledger::{Clock, Deadline, Ledger, Random, ReceiptSettings};
use daybook_local::{LocalAws, QueueAttributes};
use daybook_manager::IntakeQueue;
use daybook_reconciler::audit::{AuditOutcome, Intake};
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
        let of = round.audits[0]
            .status
            .clone()
            .unwrap_or_else(|| panic!("{round:?}"));
        let outcome = AuditOutcome {
            tally: &of.tally,
            unreadable: of.unreadable,
            repair: of.repair,
            backfill: None,
            is_finished: of.finished_at.is_some(),
        };
        (
            i32::from(outcome.verdict().exit_code()),
            serde_json::to_value(&of).unwrap(),
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

/// An audit with repair: its exit code, and its counts as JSON.
type Driver = fn(&Stage) -> (i32, Value);

#[test]
fn the_same_bucket_comes_to_the_same_counts_in_every_outcome_of_a_repair() {
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
    let drivers: [(&str, Driver); 2] = [
        ("command line", Stage::by_command_line),
        ("function", Stage::by_function),
    ];
    for (meanwhile, outcome, (missing, left), (code, complete)) in cases {
        for (driver, audit) in &drivers {
            let (exited, told) = audit(&Stage::new(meanwhile));
            let names = [
                "recorded",
                "already_there",
                "covered",
                "removed",
                "changed",
                "gone",
                "may_wait",
                "not_safe",
            ];
            let repair = names.map(|name| (name, json!(u64::from(outcome == Some(name)))));
            let repair: serde_json::Map<String, Value> = repair
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect();
            let expected = json!({
                "missing": missing, "missing_left": left, "may_wait": 1 - missing, "complete": complete, "repair": repair,
            });
            for (name, expected) in expected.as_object().unwrap() {
                assert_eq!(
                    &told[name], expected,
                    "{meanwhile:?} by the {driver}: {name}: {told:#}"
                );
            }
            assert_eq!(exited, code, "{meanwhile:?} by the {driver}: {told:#}");
        }
    }
}
