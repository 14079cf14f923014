//! `daybook console --stack`: its pages and its actions in front of a stack, and the policy of those who only look.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use daybook_ledger::{Clock, Deadline, ReceiptSettings};
use daybook_local::{QueueAttributes, RedrivePolicy};
use daybook_reconciler::audit::Intake;
use daybook_reconciler::audit_run::{ReportStore, RoundRequest, RoundSettings, Rounds, Standing};
use daybook_schema::{SourceName, Status};
use daybook_tests::lambda_service::TARGET_FUNCTION;
use daybook_tests::privileges::{Call, Grant, assert_exact, queue_arn, statements};
use daybook_tests::s3::{S3, Versioning};
use serde_json::{Value, json};

use crate::stand_in::console::Console;
use crate::stand_in::proxy::Proxy;
use crate::stand_in::rows::{self, FUTURE, row_in};
use crate::stand_in::{StandIn, daybook_at, ledger_with, run, runtime};
use crate::{cloudformation, with_stack};

/// Stacks with a state machine, a function and a queue as the target, each in front of the same tables.
pub struct World {
    pub aws: StandIn,
    pub proxy: Proxy,
    s3: S3,
    s3_endpoint: String,
    lambda: Lambda,
    cloudformation: String,
}

/// Lambda, which knows no function, and what it was asked.
#[derive(Clone)]
struct Lambda {
    endpoint: String,
    asked: Arc<Mutex<BTreeSet<Call>>>,
}

impl Lambda {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<BTreeSet<Call>>> = Arc::default();
        let seen = asked.clone();
        let answer = move |method: Method, uri: Uri| {
            let action = match (method, uri.path().rsplit('/').next().unwrap()) {
                (Method::GET, "configuration") => "GetFunctionConfiguration",
                (Method::GET, "event-invoke-config") => "GetFunctionEventInvokeConfig",
                (method, _) => panic!("{method} {uri}"),
            };
            let call = Call::new(&format!("lambda:{action}"), TARGET_FUNCTION);
            seen.lock().unwrap().insert(call);
            let absent = r#"{"Type":"User","Message":"Function not found"}"#;
            let kind = [("x-amzn-errortype", "ResourceNotFoundException")];
            async move { (StatusCode::NOT_FOUND, kind, absent).into_response() }
        };
        serve(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let router = axum::Router::new().fallback(answer);
            axum::serve(listener, router).await.unwrap();
        });
        Self { endpoint, asked }
    }
}

/// As long as the process lives.
fn serve(server: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(move || runtime().block_on(server));
}

fn serve_s3(s3: &S3) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let s3 = s3.clone();
    serve(async move {
        s3.serve(tokio::net::TcpListener::from_std(listener).unwrap())
            .await
    });
    endpoint
}

impl World {
    pub fn new() -> Self {
        let aws = StandIn::start();
        let sqs = aws.aws.sqs();
        let queue = |name: &str| {
            let letters = format!("{name}-letters");
            sqs.create_queue(&letters, QueueAttributes::default()).unwrap();
            let redrive = Some(RedrivePolicy {
                dead_letter_arn: queue_arn(&letters),
                max_receive_count: 5,
            });
            let attributes = QueueAttributes {
                redrive,
                ..QueueAttributes::default()
            };
            sqs.create_queue(name, attributes).unwrap()
        };
        let (intake, completion) = (queue("intake"), queue("completion"));
        let target = sqs.create_queue("target", QueueAttributes::default()).unwrap();
        let shared = [
            ("LedgerTableName", "ledger"),
            ("ReceiptsTableName", "receipts"),
            ("IntakeQueueUrl", &*intake),
            ("DispatchQueueUrl", &aws.queue_url),
            ("CompletionQueueUrl", &*completion),
            ("ReportsBucketName", "reports"),
        ];
        let stack = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            let outputs = shared.iter().chain(more);
            outputs
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect()
        };
        let stacks = [
            ("prod", stack(&[("StateMachineArn", &aws.state_machine)])),
            ("function", stack(&[("TargetFunctionArn", TARGET_FUNCTION)])),
            (
                "queue",
                stack(&[("TargetQueueUrl", &target), ("TargetCompletion", "reported")]),
            ),
        ];
        let outputs = stacks.each_ref().map(|(name, outputs)| {
            let outputs = outputs.iter().map(|(name, value)| (*name, value.as_str()));
            (*name, outputs.collect::<Vec<_>>())
        });
        let cloudformation = cloudformation(&outputs.each_ref().map(|(name, outputs)| (*name, &outputs[..])));
        let s3 = S3::new(Clock::system());
        for bucket in ["data", "reports"] {
            s3.create_bucket(bucket, Versioning::Never);
        }
        let world = Self {
            proxy: Proxy::start(&aws.aws),
            s3_endpoint: serve_s3(&s3),
            s3,
            lambda: Lambda::start(),
            cloudformation,
            aws,
        };
        world.fill();
        world
    }

    /// Rows in every state, a receipt, an execution that runs, an object that is there, a report of an audit.
    fn fill(&self) {
        let running = row_in("running-now.json", 20, Status::Claimed, FUTURE, 1, 1);
        self.aws.fill(async |fixtures| {
            fixtures.put_all().await;
            fixtures.put_row(&running).await;
        });
        self.aws.start_execution(&running);
        self.s3.put("data", "due.json", "content");
        let settings = RoundSettings {
            audited: vec!["s3://data".parse().unwrap()],
            every: Duration::from_secs(3600),
            repair: false,
            grace: Duration::from_secs(60),
            source: SourceName::default(),
            max_attempts: 5,
        };
        let store = ReportStore::new(self.s3.client(), "reports".parse().unwrap());
        let receipts = ReceiptSettings {
            table: "receipts".parse().unwrap(),
            keep: Duration::from_secs(90 * 24 * 3600),
        };
        let ledger = ledger_with(&self.aws.aws, "ledger", Some(receipts));
        let deadline = Deadline::after(&Clock::system(), Duration::from_secs(60));
        runtime().block_on(async {
            ledger.begin_watermark().await.unwrap();
            let rounds = Rounds::new(self.s3.client(), ledger, store, Intake::Unchecked, settings);
            let round = rounds.round(&RoundRequest::default(), deadline).await;
            assert_eq!(round.audits[0].standing, Standing::Finished, "{round:?}");
        });
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = daybook_at(&self.proxy.endpoint, arguments);
        command
            .env("AWS_ENDPOINT_URL_CLOUDFORMATION", &self.cloudformation)
            .env("AWS_ENDPOINT_URL_LAMBDA", &self.lambda.endpoint)
            .env("AWS_ENDPOINT_URL_S3", &self.s3_endpoint);
        command
    }

    pub fn console(&self, stack: &str, more: &[&str]) -> Console {
        let arguments = [&["console", "--stack", stack], more].concat();
        Console::start(&mut self.command(&arguments))
    }

    /// What was asked of AWS so far, under the names that CloudFormation gives things.
    fn calls(&self) -> BTreeSet<Call> {
        let by_target = self.proxy.requests();
        let by_target = by_target
            .iter()
            .flat_map(|(target, body)| Call::of_request(target, body));
        let by_path = self.lambda.asked.lock().unwrap().clone();
        let mut calls: BTreeSet<Call> = by_target
            .chain(by_path)
            .chain(self.s3.calls())
            .map(as_in_a_stack)
            .collect();
        // Without it S3 answers 403 to a HEAD of what is not there (HeadObject, Amazon S3 API Reference).
        calls.insert(Call::new("s3:ListBucket", "arn:aws:s3:::data"));
        // The stand-in takes nothing else.
        calls.insert(Call::new(
            "cloudformation:DescribeStacks",
            "arn:aws:cloudformation:us-east-1:000000000000:stack/prod/0b8f7a52",
        ));
        calls
    }
}

fn as_in_a_stack(call: Call) -> Call {
    let resource = call
        .resource
        .replace(":table/", ":table/prod-LedgerTable-")
        .replace(
            "arn:aws:sqs:us-east-1:000000000000:",
            "arn:aws:sqs:us-east-1:000000000000:prod-",
        )
        .replace(":prod-target", ":target");
    Call { resource, ..call }
}

/// The published policy for these names.
fn policy() -> Vec<Grant> {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/read-only-policy.json"
    ));
    let mut text = text.unwrap();
    for (placeholder, name) in [
        ("REPORTS_BUCKET", "reports"),
        ("DATA_BUCKET", "data"),
        ("STATE_MACHINE", "work"),
        ("TARGET_FUNCTION", "work"),
        ("TARGET_QUEUE", "target"),
        ("REGION", "us-east-1"),
        ("ACCOUNT", "000000000000"),
        ("STACK", "prod"),
    ] {
        assert!(text.contains(placeholder), "{placeholder}");
        text = text.replace(placeholder, name);
    }
    let policy: Value = serde_json::from_str(&text).unwrap();
    statements(&policy)
}

/// Everything that there is to look at.
const PAGES: [&str; 20] = [
    "/",
    "/status.json",
    "/rows",
    "/rows?status=parked&error=no+such",
    "/rows.json?status=claimed",
    "/object",
    "/object?q=s3://data/due.json",
    "/object?q=s3://data/running-now.json",
    "/object?q=s3://data/done.json",
    "/object?q=s3://data/nowhere.json",
    "/object.json?q=s3://data/due.json",
    "/errors",
    "/errors.json",
    "/audit",
    "/audit.json",
    "/operations",
    "/doctor.json",
    "/metrics",
    "/assets/console.css",
    "/assets/console.js",
];

#[test]
fn the_read_only_policy_allows_what_looking_needs_and_nothing_else() {
    let world = World::new();
    world.s3.forget_calls();
    for stack in ["prod", "function", "queue"] {
        let console = world.console(stack, &["--read-only"]);
        assert_eq!(console.said["read_only"], true);
        for page in PAGES {
            console.get(page);
        }
        let audit = console.json("/audit.json");
        let id = audit["brief"]["id"].as_str().unwrap_or_else(|| panic!("{audit}"));
        assert!(console.get(&format!("/audit?id={id}")).contains("data"), "{id}");
        for route in [
            "/pause",
            "/resume",
            "/per-window",
            "/act",
            "/stop",
            "/replay",
            "/redrive-queue",
            "/stop-queue",
        ] {
            let answer = console.post(route, &[("why", "no"), ("verb", "redrive"), ("status", "parked")]);
            assert!(matches!(answer.status, 404 | 405), "{route}: {answer:?}");
        }
    }
    for verb in [
        &["status"][..],
        &["list"],
        &["errors"],
        &["why", "s3://data/due.json"],
        &["why", "s3://data/nowhere.json"],
        &["show", "s3://data/done.json"],
    ] {
        let (code, _, stderr) = run(&mut world.command(&[verb, &["--stack", "prod"]].concat()));
        assert!(matches!(code, 0 | 1 | 3), "{verb:?}: {code} {stderr}");
    }
    let (granted, calls) = (policy(), world.calls());
    assert_exact(&granted, &calls, "the read-only policy");
    let looks = ["Get", "List", "Describe", "BatchGet", "Query", "Scan"];
    for grant in &granted {
        let (_, verb) = grant.action.split_once(':').unwrap();
        assert!(
            looks.iter().any(|look| verb.starts_with(look)),
            "{grant:?} may write"
        );
    }
}

#[test]
fn a_stacks_console_pauses_resumes_and_redrives_as_the_command_line_does() {
    let world = World::new();
    let console = world.console("prod", &[]);
    assert_eq!(console.said["where"], "stack prod in region us-east-1");
    for page in PAGES {
        console.get(page);
    }
    let verb = |arguments: &[&str]| -> Value {
        let arguments = [arguments, &["--stack", "prod", "--output", "json"]].concat();
        let (code, stdout, stderr) = run(&mut with_stack(&world.aws, &world.cloudformation, &arguments));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        serde_json::from_str(&stdout).unwrap()
    };
    let by_kim = [("why", "the target is down"), ("by", "kim")];
    assert_eq!(console.post("/pause", &by_kim).status, 303);
    assert_eq!(
        verb(&["status"])["dispatch"]["paused"]["why"],
        "the target is down"
    );
    assert!(console.get("/").contains("Dispatch is paused by kim"));
    assert_eq!(console.post("/resume", &by_kim).status, 303);
    assert_eq!(verb(&["status"])["dispatch"]["paused"], Value::Null);
    assert_eq!(
        console
            .post("/per-window", &[("n", "7"), by_kim[0], by_kim[1]])
            .status,
        303
    );
    assert_eq!(verb(&["status"])["dispatch"]["per_window"], 7);

    let parked = world
        .aws
        .with_ledger(async |ledger| ledger.get(rows::event("parked.json", 6).id).await);
    assert_eq!(parked.unwrap().unwrap().status, Status::Parked);
    let path = console.begin(&[
        ("verb", "redrive"),
        ("error", "no such column"),
        ("why", "the column is there"),
        ("by", "kim"),
    ]);
    let page = console.ended(&path);
    assert!(page.contains("<bdi>done</bdi>"), "{page}");
    let row = world
        .aws
        .with_ledger(async |ledger| ledger.get(rows::event("parked.json", 6).id).await);
    let row = row.unwrap().unwrap();
    assert_eq!((row.status, row.max_attempts), (Status::Pending, 10));
    assert!(row.note.unwrap().contains("redriven by kim: the column is there"));
    let granted = verb(&["schedule", "--per-window", "50"]);
    // Two that are due, and one that a newer release wrote, which is left as it is.
    assert_eq!(granted["granted"], 3, "{granted}");
    let console = world.console("prod", &[]);
    let windows = console.json("/status.json")["windows"].take();
    assert_eq!(windows["granted"], json!([3]), "{windows}");
    assert_eq!(windows, verb(&["status"])["windows"]);
    let page = console.get("/");
    assert!(page.contains("<figcaption>3 granted in the "), "{page}");
    assert!(page.contains("; N is 7</figcaption>"), "{page}");
}
