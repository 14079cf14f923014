//! `daybook doctor`: what `daybook init` makes is healthy, and each planted misconfiguration is found.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod stand_in;
#[path = "doctor/batches.rs"]
mod with_batches;

use std::collections::BTreeMap;
use std::process::Command;

use daybook_local::LocalAws;
use daybook_schema::Status;
use serde_json::{Value, json};
use stand_in::proxy::Proxy;
use stand_in::rows::{self, FUTURE, Fixtures, PAST};
use stand_in::s3::{self, S3};
use stand_in::{daybook, daybook_at, now, run, runtime};

const CREATED: &str = "s3:ObjectCreated:*";
const INTAKE: &str = "arn:aws:sqs:us-east-1:000000000000:prod-intake";

/// What `init` made, with a bucket that notifies it.
struct Deployment {
    aws: LocalAws,
    proxy: Proxy,
    s3: S3,
    environment: BTreeMap<String, String>,
    state_machine: String,
}

impl Deployment {
    fn new() -> Self {
        let aws = LocalAws::builder().build().unwrap();
        let proxy = Proxy::start(&aws);
        let s3 = S3::start();
        let state_machine = aws.executions().create_state_machine("work");
        // The embedded AWS has no backups.
        let backups = json!({"ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"},
        }});
        proxy.answer("DescribeContinuousBackups", 200, backups.clone());
        proxy.answer("UpdateContinuousBackups", 200, backups);
        let (code, stdout, stderr) = run(&mut daybook_at(
            &proxy.endpoint,
            &["init", "--prefix", "prod", "--yes", "--output", "json"],
        ));
        assert_eq!(code, 0, "{stderr}");
        let made: Value = serde_json::from_str(&stdout).unwrap();
        let world = Self {
            environment: serde_json::from_value(made["environment"].clone()).unwrap(),
            aws,
            proxy,
            s3,
            state_machine,
        };
        world
            .s3
            .set_notifications("data", &s3::queue("uploads", INTAKE, &[CREATED], "", ""));
        world.set_queue("prod-intake", json!({"Policy": policy(&json!({
            "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::data"}, "StringEquals": {"aws:SourceAccount": "000000000000"},
        }))}));
        world
    }

    fn handle(&self, target: &str, request: &Value) -> Value {
        let answer = runtime().block_on(self.aws.handle(target, request.to_string().as_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    fn url(&self, queue: &str) -> String {
        let answer = self.handle("AmazonSQS.GetQueueUrl", &json!({"QueueName": queue}));
        answer["QueueUrl"].as_str().unwrap().to_owned()
    }

    fn set_queue(&self, queue: &str, attributes: Value) {
        let request = json!({"QueueUrl": self.url(queue), "Attributes": attributes});
        self.handle("AmazonSQS.SetQueueAttributes", &request);
    }

    fn fill(&self, what: impl AsyncFnOnce(Fixtures<'_>)) {
        let fixtures = Fixtures {
            aws: &self.aws,
            ledger: "prod-ledger",
            receipts: "prod-receipts",
        };
        runtime().block_on(what(fixtures));
    }

    fn command(&self, more: &[&str]) -> Command {
        let machine = [
            "doctor",
            "--state-machine-arn",
            &self.state_machine,
            "--bucket",
            "data",
        ];
        let mut command = daybook_at(&self.proxy.endpoint, &[&machine[..], more].concat());
        command
            .envs(&self.environment)
            .env("AWS_ENDPOINT_URL_S3", &self.s3.endpoint);
        command
    }

    fn examine(&self, more: &[&str]) -> (i32, Value) {
        let (code, stdout, stderr) = run(&mut self.command(&[&["--output", "json"], more].concat()));
        assert_eq!(stderr, "", "{stdout}");
        (code, serde_json::from_str(&stdout).unwrap())
    }

    /// That check has that level, and its remedy says that; the exit code follows.
    fn finds(&self, check: &str, level: &str, remedy: &str) {
        self.finds_with(&[], check, level, remedy);
    }

    fn finds_with(&self, more: &[&str], check: &str, level: &str, remedy: &str) {
        let (code, json) = self.examine(more);
        let is_it = |item: &&Value| item["check"] == check && item["level"] == level;
        let items = json["checks"].as_array().unwrap();
        let found = items.iter().find(is_it);
        let found = found.unwrap_or_else(|| panic!("no {level} {check} in {json:#}"));
        let says = found["remedy"].as_str().unwrap();
        assert!(says.contains(remedy), "{found:#}");
        assert_eq!(code, i32::from(json["problems"].as_u64().unwrap() > 0));
        if level == "problem" {
            assert_eq!(code, 1);
        }
    }
}

fn policy(condition: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": INTAKE,
        "Condition": condition,
    }]})
    .to_string()
}

#[test]
fn what_init_makes_is_healthy() {
    let world = Deployment::new();
    let (code, json) = world.examine(&[]);
    assert_eq!(code, 0, "{json:#}");
    let counts = [&json["problems"], &json["warnings"], &json["unknown"]];
    assert_eq!(counts, [&json!(0), &json!(0), &json!(0)], "{json:#}");
    let (code, stdout, stderr) = run(&mut world.command(&["--all"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!("doctor_healthy", rows::normal(&stdout));
    insta::assert_json_snapshot!("doctor_healthy_json", rows::normal_json(json));
}

/// SQS counts receives, and Lambda goes on receiving at full speed while the ledger is down.
#[test]
fn an_intake_that_gives_up_during_an_outage_of_a_day_is_a_problem() {
    let world = Deployment::new();
    let set = |count: u32, visibility: u32| {
        let policy = json!({"deadLetterTargetArn": format!("{INTAKE}-dead"), "maxReceiveCount": count});
        let attributes =
            json!({"RedrivePolicy": policy.to_string(), "VisibilityTimeout": visibility.to_string()});
        world.set_queue("prod-intake", attributes);
    };
    // What the template and `daybook init` used to make, and what is too short by a little.
    for (count, visibility) in [(10, 180), (20, 370), (233, 370), (479, 180)] {
        set(count, visibility);
        world.finds("intake receives", "problem", r#""maxReceiveCount":"1000""#);
    }
    // The most receives are not enough for a message that comes back so soon.
    set(1000, 60);
    world.finds("intake receives", "problem", "VisibilityTimeout=180");
    for (count, visibility) in [(1000, 180), (1000, 370), (480, 180)] {
        set(count, visibility);
        let (_, json) = world.examine(&[]);
        assert_eq!(json["problems"], 0, "{json:#}");
    }
}

/// A message's age in the dead-letter queue counts from its first send.
#[test]
fn an_intake_that_keeps_messages_as_long_as_its_dead_letters_do_is_a_warning() {
    let world = Deployment::new();
    for (days, warned) in [(14, true), (13, true), (11, true), (10, false)] {
        let seconds = (days * 24 * 3600).to_string();
        world.set_queue("prod-intake", json!({"MessageRetentionPeriod": seconds}));
        match warned {
            true => world.finds("intake dead letters", "warning", "MessageRetentionPeriod=864000"),
            false => assert_eq!(world.examine(&[]).1["warnings"], 0),
        }
    }
}

/// S3 fills the intake whether anybody reads it or not.
#[test]
fn an_intake_that_nobody_reads_is_a_warning() {
    let world = Deployment::new();
    let url = world.url("prod-intake");
    world.aws.sqs().send(&url, "{}").unwrap();
    world.finds(
        "intake readers",
        "warning",
        &format!("daybook ingest --queue {url}"),
    );
    // Somebody has it in flight.
    world.handle(
        "AmazonSQS.ReceiveMessage",
        &json!({"QueueUrl": url, "VisibilityTimeout": 600}),
    );
    let (_, json) = world.examine(&[]);
    assert_eq!(json["warnings"], 0, "{json:#}");
}

#[test]
fn each_planted_misconfiguration_is_found_with_its_remedy() {
    // 1, 2: the wrong table, and a table without the index.
    let world = Deployment::new();
    world.finds_with(
        &["--ledger-table", "nope"],
        "ledger table",
        "problem",
        "daybook init",
    );
    world.finds_with(
        &["--ledger-table", "prod-receipts"],
        "ledger index",
        "problem",
        "by_status",
    );
    // 3: rows that expire.
    let ttl = json!({"TableName": "prod-ledger", "TimeToLiveSpecification": {"AttributeName": "due_at", "Enabled": true}});
    world.handle("DynamoDB_20120810.UpdateTimeToLive", &ttl);
    world.finds("ledger expiry", "problem", "Enabled=false");
    // 4, 5: a table that is not protected, and one without backups.
    let open = json!({"TableName": "prod-ledger", "DeletionProtectionEnabled": false});
    world.handle("DynamoDB_20120810.UpdateTable", &open);
    world.finds("ledger deletion", "warning", "--deletion-protection-enabled");
    let off = json!({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {
        "PointInTimeRecoveryStatus": "DISABLED"}}});
    world.proxy.answer("DescribeContinuousBackups", 200, off);
    world.finds("ledger backups", "warning", "update-continuous-backups");
    // 6: receipts off.
    world.finds_with(
        &["--receipts-keep", "0"],
        "receipts table",
        "warning",
        "--receipts-table",
    );

    // 7 to 12: queues.
    let world = Deployment::new();
    let nowhere = world.url("prod-dispatch") + "-old";
    world.finds_with(
        &["--dispatch-queue-url", &nowhere],
        "dispatch queue",
        "problem",
        "--dispatch-queue-url",
    );
    world.set_queue("prod-intake", json!({"MessageRetentionPeriod": "3600"}));
    world.finds("intake retention", "problem", "MessageRetentionPeriod=864000");
    world.set_queue("prod-intake", json!({"KmsMasterKeyId": "alias/aws/sqs"}));
    world.finds("intake encryption", "problem", "SqsManagedSseEnabled=true");
    let receives = json!({"deadLetterTargetArn": format!("{INTAKE}-dead"), "maxReceiveCount": 3}).to_string();
    world.set_queue("prod-intake", json!({"RedrivePolicy": receives}));
    world.finds("intake receives", "problem", "maxReceiveCount");
    world
        .aws
        .sqs()
        .send(&world.url("prod-intake-dead"), "{}")
        .unwrap();
    world.finds("intake dead letters", "problem", "daybook redrive-queue");
    world.set_queue(
        "prod-dispatch",
        json!({"RedrivePolicy": "", "SqsManagedSseEnabled": "false"}),
    );
    world.finds("dispatch dead letters", "warning", "RedrivePolicy");
    world.finds("dispatch encryption", "warning", "SqsManagedSseEnabled=true");
    world.handle(
        "AmazonSQS.CreateQueue",
        &json!({"QueueName": "in.fifo", "Attributes": {"FifoQueue": "true"}}),
    );
    world.finds_with(
        &["--intake-queue-url", &world.url("in.fifo")],
        "intake queue",
        "problem",
        "standard queue",
    );

    // 13 to 18: who tells the queue, and who may.
    let world = Deployment::new();
    let by_arn = json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:data"}});
    world.set_queue("prod-intake", json!({"Policy": policy(&by_arn)}));
    world.finds("policy for data", "warning", "aws:SourceAccount");
    let other = json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other"}});
    world.set_queue("prod-intake", json!({"Policy": policy(&other)}));
    world.finds("policy for data", "problem", "daybook attach");
    let foreign = json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::data"}, "StringEquals": {"aws:SourceAccount": "1"}});
    world.set_queue("prod-intake", json!({"Policy": policy(&foreign)}));
    world.finds("policy for data", "warning", "if it does not");
    world
        .s3
        .set_notifications("data", &s3::queue("u", INTAKE, &["s3:ObjectCreated:Put"], "", ""));
    world.finds("notifications of data", "problem", CREATED);
    world.s3.set_notifications(
        "data",
        &s3::queue(
            "u",
            "arn:aws:sqs:us-east-1:000000000000:other",
            &[CREATED],
            "",
            "",
        ),
    );
    world.finds("notifications of data", "problem", "daybook attach s3://data");
    world.s3.set_notifications("data", "<EventBridgeConfiguration/>");
    world.finds("notifications of data", "unknown", "list-rule-names-by-target");
    world.finds_with(
        &["--bucket", "nope"],
        "notifications of nope",
        "problem",
        "bucket's name",
    );

    // 19 to 22: executions, N, the clock.
    let world = Deployment::new();
    let gone = format!("{}-old", world.state_machine);
    let mut command = daybook_at(
        &world.proxy.endpoint,
        &["doctor", "--state-machine-arn", &gone, "--output", "json"],
    );
    let (code, stdout, _) = run(command.envs(&world.environment));
    assert_eq!(code, 1);
    assert!(stdout.contains("there is no state machine"), "{stdout}");
    world.finds_with(&["--per-window", "100000"], "quotas", "warning", "daybook set");
    world.finds_with(
        &["--per-window", "10000", "--lease", "1h"],
        "quotas",
        "warning",
        "--max-in-flight",
    );
    let express = json!({"stateMachineArn": world.state_machine, "name": "work", "definition": "{}", "roleArn": "arn:r",
        "type": "EXPRESS", "creationDate": 1.0});
    world.proxy.answer("DescribeStateMachine", 200, express);
    world.finds("state machine", "problem", "STANDARD");
    world.proxy.set_ahead(3600);
    world.finds("clock", "problem", "NTP");
    world.proxy.set_ahead(-20);
    world.finds("clock", "warning", "NTP");
}

#[test]
fn rows_that_do_not_move_say_what_does_not_run() {
    let world = Deployment::new();
    world.fill(async |fixtures: Fixtures<'_>| {
        fixtures.put_row(&rows::row("due.json", 1)).await;
        let over = rows::row_in("over.json", 2, Status::Claimed, PAST, 1, 1);
        fixtures.put_row(&over).await;
        let lost = rows::row_in("lost.json", 3, Status::Claimed, FUTURE, 1, 5);
        fixtures.put_row(&lost).await;
        let parked = rows::row_in("parked.json", 4, Status::Parked, PAST, 5, 1);
        fixtures.put_row(&parked).await;
    });
    world.finds("schedule", "problem", "daybook schedule");
    world.finds("sweep", "problem", "daybook sweep");
    world.finds("undelivered", "problem", "state machine");
    world.finds("parked", "warning", "daybook redrive");
    world.finds("pause", "ok", "");
    let (code, stdout, stderr) = run(&mut world.command(&[]));
    assert_eq!((code, stderr.as_str()), (1, ""));
    insta::assert_snapshot!("doctor_stuck", rows::normal(&stdout));

    // A backlog that moves is none of the schedule's faults, and while paused nothing has to move.
    let ledger = stand_in::ledger_of(&world.aws, "prod-ledger");
    let window = daybook_ledger::Window::at(now(), std::time::Duration::from_secs(60));
    let request = daybook_ledger::GrantRequest {
        window,
        per_window: 1,
        wanted: 1,
        asker: daybook_ledger::Asker::Scheduler,
    };
    runtime().block_on(async {
        let seen = ledger.control().await.unwrap();
        ledger.grant(&request, seen).await.unwrap();
    });
    world.finds("schedule", "warning", "raise it only then");
    world.finds_with(&["--per-window", "1"], "schedule", "warning", "raise N");
    runtime().block_on(async {
        ledger
            .pause(Some(rows::at(FUTURE)), "kim", "repair")
            .await
            .unwrap()
    });
    world.finds("pause", "warning", "daybook resume");
    world.finds("schedule", "ok", "");
    world.finds("sweep", "ok", "");
}

#[test]
fn what_is_refused_is_unknown_and_names_the_permission() {
    let world = Deployment::new();
    for (operation, check, action) in [
        ("DescribeTable", "ledger table", "dynamodb:DescribeTable"),
        (
            "DescribeTimeToLive",
            "ledger expiry",
            "dynamodb:DescribeTimeToLive",
        ),
        (
            "DescribeContinuousBackups",
            "ledger backups",
            "dynamodb:DescribeContinuousBackups",
        ),
        ("GetQueueUrl", "intake dead letters", "sqs:GetQueueUrl"),
        ("GetQueueAttributes", "intake queue", "sqs:GetQueueAttributes"),
        (
            "DescribeStateMachine",
            "state machine",
            "states:DescribeStateMachine",
        ),
    ] {
        world.proxy.restore();
        world.proxy.refuse(operation);
        world.finds(check, "unknown", &format!("grant these credentials {action}"));
    }
    world
        .s3
        .refuse("GetBucketNotificationConfiguration", 403, "AccessDenied");
    world.finds("notifications of data", "unknown", "s3:GetBucketNotification");
    for operation in [
        "DescribeTable",
        "GetQueueAttributes",
        "GetItem",
        "Query",
        "BatchGetItem",
    ] {
        world.proxy.refuse(operation);
    }
    let (code, json) = world.examine(&[]);
    assert_eq!(code, 0, "nothing is known to be wrong: {json:#}");
    assert!(json["unknown"].as_u64().unwrap() >= 8, "{json:#}");
    // What the endpoint does not serve.
    world.proxy.restore();
    world.finds("ledger backups", "unknown", "does not support");
}

#[test]
fn a_folder_is_looked_at_by_its_rows_and_its_process() {
    let home = tempfile::tempdir().unwrap();
    rows::folder(home.path(), async |fixtures: Fixtures<'_>| {
        fixtures
            .put_row(&rows::row_in("p.json", 1, Status::Parked, PAST, 5, 1))
            .await;
    });
    let path = home.path().to_str().unwrap();
    let (code, stdout, stderr) = run(&mut daybook(&["doctor", "--local", path, "--all"]));
    assert_eq!((code, stderr.as_str()), (1, ""), "{stdout}");
    insta::assert_snapshot!("doctor_folder", rows::normal(&stdout.replace(path, "DIR")));
    let (code, stdout, stderr) = run(&mut daybook(&[
        "doctor", "--local", path, "--all", "--output", "json",
    ]));
    assert_eq!((code, stderr.as_str()), (1, ""), "{stdout}");
    let json: Value = serde_json::from_str(&stdout.replace(path, "DIR")).unwrap();
    insta::assert_json_snapshot!("doctor_folder_json", rows::normal_json(json));
}
