//! The Lambda function of the audit: takes the audits of buckets as far as the time permits, round after round.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args, Parser};
use daybook_ledger::{Clock, Consumed, Deadline, Ledger};
use daybook_manager::IntakeQueue;
use daybook_manager::arguments::{self, AttemptsArguments};
use daybook_manager::lambda::{
    Aws, Event, Failure, Function, LedgerArguments, Service, SourceArguments, metric, run,
};
use daybook_reconciler::audit::{Intake, InvalidKeys, Keys};
use daybook_reconciler::audit_run::{Gauge, ReportStore, RoundReport, RoundRequest, RoundSettings, Rounds};
use daybook_schema::BucketName;
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "Compares buckets with the ledger and its receipts, as a Lambda function of a schedule")]
struct Settings {
    #[command(flatten)]
    ledger: LedgerArguments,

    #[command(flatten)]
    source: SourceArguments,

    #[command(flatten)]
    attempts: AttemptsArguments,

    #[command(flatten)]
    audit: AuditArguments,
}

#[derive(Args)]
struct AuditArguments {
    /// What is audited: s3://bucket or s3://bucket/prefix, several of them with commas between; nothing unless given
    #[arg(long, value_name = "S3-URI", value_delimiter = ',', value_parser = keys)]
    #[arg(env = "DAYBOOK_AUDIT", hide_env_values = true)]
    audit: Vec<Keys>,

    /// How often a new audit of each begins, such as 1d or 6h
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = arguments::time)]
    #[arg(env = "DAYBOOK_AUDIT_EVERY", hide_env_values = true)]
    audit_every: Duration,

    /// Whether what is missing is recorded
    #[arg(long, value_name = "true|false", default_value = "false", action = ArgAction::Set)]
    #[arg(env = "DAYBOOK_AUDIT_REPAIR", hide_env_values = true)]
    audit_repair: bool,

    /// Objects younger than this are too new to be judged: their notifications may be under way
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = arguments::time)]
    #[arg(env = "DAYBOOK_AUDIT_GRACE", hide_env_values = true)]
    audit_grace: Duration,

    /// The SQS queue that notifications arrive on: what may still wait there is not called missing, and not recorded
    #[arg(long, value_name = "URL", value_parser = arguments::queue_url)]
    #[arg(env = "DAYBOOK_INTAKE_QUEUE_URL", hide_env_values = true)]
    intake_queue_url: String,

    /// The bucket that holds how far audits are, and their reports
    #[arg(
        long,
        value_name = "BUCKET",
        env = "DAYBOOK_REPORTS_BUCKET",
        hide_env_values = true
    )]
    reports_bucket: BucketName,
}

fn keys(text: &str) -> Result<Keys, InvalidKeys> {
    text.trim_start().parse()
}

struct AuditFunction {
    rounds: Rounds,
    ledger: Ledger,
}

/// The event of an audit, from the schedule or a person.
struct AuditEvent(RoundRequest);

impl Event for AuditEvent {
    type Answer = Value;

    fn read(payload: Value) -> Result<Self, String> {
        match payload {
            Value::Null => Ok(Self(RoundRequest::default())),
            payload => serde_json::from_value(payload).map(Self).map_err(|error| {
                format!(
                    "the event is not one of an audit ({error}): {{\"time\": \"2026-11-21T01:15:00Z\"}} comes from a schedule, \
                     and {{\"audit\": [\"s3://bucket/prefix\"], \"repair\": false, \"begin\": true}} from a person, who may leave \
                     each out"
                )
            }),
        }
    }

    fn cut(&self) -> Value {
        json!({"audits": null, "failures": [
            "cut off at the deadline: the next round goes on behind the last checkpoint"
        ]})
    }
}

impl Function for AuditFunction {
    const NAME: &'static str = "audit";
    type Settings = Settings;
    type Event = AuditEvent;

    fn stack(settings: &Settings) -> &str {
        &settings.ledger.stack
    }

    fn new(settings: Settings, aws: &Aws, clock: &Clock) -> Result<Self, String> {
        let ledger = aws.ledger(&settings.ledger, clock)?;
        let config = aws.config(Service::S3);
        // Servers that are not AWS mostly have no name per bucket.
        let is_elsewhere = config.endpoint_url().is_some();
        let mut config = aws_sdk_s3::config::Builder::from(&config).force_path_style(is_elsewhere);
        if let Some(url) = aws.config(Service::S3).endpoint_url() {
            config = config.endpoint_url(arguments::endpoint_of_s3(url));
        }
        let s3 = aws_sdk_s3::Client::from_conf(config.build());
        let audit = settings.audit;
        let reports = ReportStore::new(s3.clone(), audit.reports_bucket);
        let settings = RoundSettings {
            audited: audit.audit,
            every: audit.audit_every,
            repair: audit.audit_repair,
            grace: audit.audit_grace,
            source: settings.source.source,
            max_attempts: settings.attempts.max_attempts,
        };
        let sqs = aws_sdk_sqs::Client::new(&aws.config(Service::Sqs));
        let intake = Intake::Queue(IntakeQueue::new(sqs, audit.intake_queue_url));
        Ok(Self {
            rounds: Rounds::new(s3, ledger.clone(), reports, intake, settings),
            ledger,
        })
    }

    fn consumed(&self) -> Consumed {
        self.ledger.consumed()
    }

    async fn handle(&self, event: &AuditEvent, deadline: Deadline) -> Result<Value, Failure> {
        let round = self.rounds.round(&event.0, deadline).await;
        let answer = report(&round);
        match round.is_lost() {
            true => Err(Failure::new("NothingAudited", failures(&round).join("; "))),
            false => Ok(answer),
        }
    }
}

/// Logs and counts a round, and gives the answer of the function.
fn report(round: &RoundReport) -> Value {
    metric::count(metric::AUDIT_ROUNDS, u64::from(!round.is_lost()));
    metric::count(metric::AUDIT_RUNS, round.finished());
    metric::count(metric::OBJECTS_LISTED, round.listed());
    metric::count(metric::OBJECTS_REPAIRED, round.recorded());
    if let Some(Gauge {
        missing,
        unknown,
        may_wait,
    }) = round.gauge()
    {
        metric::gauge(metric::OBJECTS_MISSING, missing as f64);
        metric::gauge(metric::OBJECTS_UNKNOWN, unknown as f64);
        metric::gauge(metric::OBJECTS_MAY_WAIT, may_wait as f64);
    }
    metric::gauge(metric::AUDITS_LATE, round.late() as f64);
    // A lost round is counted as a failed invocation.
    if round.failures() > 0 && !round.is_lost() {
        metric::count(metric::FAILURES, 1u64);
    }
    let answer = json!({"audits": round.audits, "failures": failures(round)});
    tracing::info!(report = %answer, "audited");
    answer
}

fn failures(round: &RoundReport) -> Vec<String> {
    let of = |report: &daybook_reconciler::audit_run::ScopeReport| {
        let audit = report.audit.clone();
        let failures = report.failures.clone().into_iter();
        failures.map(move |failure| format!("{audit}: {failure}"))
    };
    round.audits.iter().flat_map(of).collect()
}

fn main() -> ExitCode {
    run::<AuditFunction>()
}
