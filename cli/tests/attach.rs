//! `daybook attach`, `daybook detach` and `daybook redrive-queue`.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod stand_in;
#[path = "attach/watermark.rs"]
mod watermark;

use std::process::{Command, Stdio};

use daybook_local::LocalAws;
use futures::FutureExt;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stand_in::gate::{Gate, Then};
use stand_in::proxy::Proxy;
use stand_in::rows;
use stand_in::s3::{self, S3};
use stand_in::{daybook, daybook_at, run, runtime};

const CREATED: &str = "s3:ObjectCreated:*";
const INTAKE: &str = "arn:aws:sqs:us-east-1:000000000000:intake";
const DEAD: &str = "arn:aws:sqs:us-east-1:000000000000:intake-dead";

/// An intake queue with a dead-letter queue, and a bucket whose S3 checks that the queue's policy lets it send.
struct IntakeAndBucket {
    aws: LocalAws,
    proxy: Proxy,
    s3: S3,
}

impl IntakeAndBucket {
    fn new() -> Self {
        let aws = LocalAws::builder().build().unwrap();
        let world = Self {
            proxy: Proxy::start(&aws),
            s3: S3::start(),
            aws,
        };
        world.handle("CreateQueue", json!({"QueueName": "intake-dead"}));
        let policy = json!({"deadLetterTargetArn": DEAD, "maxReceiveCount": 10}).to_string();
        world.handle(
            "CreateQueue",
            json!({"QueueName": "intake", "Attributes": {"RedrivePolicy": policy}}),
        );
        world.s3.create_bucket("data");
        let seen = world.aws.clone();
        world.s3.destinations(move |arn| {
            let request = json!({"QueueUrl": url("intake"), "AttributeNames": ["Policy"]}).to_string();
            let answer = seen.handle("AmazonSQS.GetQueueAttributes", request.as_bytes());
            // SQS answers at once.
            let answer = answer.now_or_never().unwrap();
            let answer: Value = serde_json::from_slice(&answer.body).unwrap();
            let policy = answer["Attributes"]["Policy"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            arn != INTAKE || (policy.contains("s3.amazonaws.com") && policy.contains("arn:aws:s3:::data"))
        });
        world
    }

    fn handle(&self, operation: &str, request: Value) -> Value {
        let target = format!("AmazonSQS.{operation}");
        let answer = runtime().block_on(self.aws.handle(&target, request.to_string().as_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Messages that were received too often.
    fn bury(&self, n: usize) {
        for _ in 0..n {
            self.aws.sqs().send(&url("intake"), "{}").unwrap();
        }
        let receive = json!({"QueueUrl": url("intake"), "MaxNumberOfMessages": 10, "VisibilityTimeout": 0});
        let buried = || self.aws.sqs().depth(&url("intake-dead")).unwrap().visible;
        let before = buried();
        while buried() < before + n {
            self.handle("ReceiveMessage", receive.clone());
        }
    }

    fn policy(&self) -> Value {
        let request = json!({"QueueUrl": url("intake"), "AttributeNames": ["Policy"]});
        let policy = self.handle("GetQueueAttributes", request);
        let policy = policy["Attributes"]["Policy"]
            .as_str()
            .unwrap_or("null")
            .to_owned();
        serde_json::from_str(&policy).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = daybook_at(&self.proxy.endpoint, arguments);
        command.env("AWS_ENDPOINT_URL_S3", &self.s3.endpoint);
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        run(&mut self.command(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (code, stdout, stderr) = self.run(&[arguments, &["--yes", "--output", "json"]].concat());
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    }

    fn attach(&self, more: &[&str]) -> Value {
        self.json(&[&["attach", "s3://data", "--queue-arn", INTAKE], more].concat())
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_ne!(code, 0, "{stdout}");
        assert_eq!(stdout, "", "{stderr}");
        stderr
    }
}

fn url(queue: &str) -> String {
    format!("https://sqs.us-east-1.amazonaws.com/000000000000/{queue}")
}

#[test]
fn attach_adds_an_entry_and_the_policy_and_detach_takes_it_out() {
    let world = IntakeAndBucket::new();
    world.s3.set_notifications("data", "<EventBridgeConfiguration/>");
    let arguments = [
        "attach",
        "s3://data",
        "--intake-queue-url",
        &url("intake"),
        "--prefix",
        "in/",
        "--yes",
    ];
    let (code, stdout, stderr) = world.run(&arguments);
    assert_eq!(code, 0, "{stderr}");
    insta::assert_snapshot!("attach", format!("{stderr}\n{stdout}"));
    let there = world.s3.notifications("data");
    assert!(there.contains("EventBridgeConfiguration"), "{there}");
    let again = world.attach(&["--prefix", "in/"]);
    assert_eq!(
        (&again["change"], &again["policy"]),
        (&json!("none"), &json!("there"))
    );
    assert_eq!(world.s3.puts(), 1);
    // An ARN wins over a URL that a variable names.
    let mut by_variable = world.command(&arguments[..2]);
    by_variable
        .env("DAYBOOK_INTAKE_QUEUE_URL", url("gone"))
        .args(["--queue-arn", INTAKE, "--prefix", "in/"]);
    assert_eq!(run(&mut by_variable).0, 0);
    let suffixed = world.attach(&["--prefix", "a b/", "--suffix", ".jpg"]);
    insta::assert_json_snapshot!("attach_json", suffixed);
    assert_eq!(world.policy()["Statement"].as_array().unwrap().len(), 1);
    let detached = world.json(&["detach", "s3://data", "--queue-arn", INTAKE]);
    insta::assert_json_snapshot!("detach_json", detached);
    assert_eq!(world.json(&["detach", "s3://data"])["change"], "none");
    let (code, stdout, stderr) = world.run(&["detach", "s3://data"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "there is nothing to ask about");
    assert_eq!(
        stdout,
        "there is no such entry in s3://data: nothing was changed\n"
    );
    let asked = world.refused(&["detach", "s3://data", "--eventbridge"]);
    assert!(asked.starts_with(
        "Notifications of s3://data:\n  - EventBridge: every event of every key\nerror: nothing"
    ));
    let off = world.json(&["detach", "s3://data", "--eventbridge"]);
    assert_eq!(off["after"], json!({"entries": [], "eventbridge": false}));
    assert_eq!(world.s3.notifications("data"), "");
}

#[test]
fn entries_of_others_stay_as_they_are() {
    let world = IntakeAndBucket::new();
    let function = "arn:aws:lambda:us-east-1:111122223333:function:thumbs";
    let topic = "arn:aws:sns:us-east-1:111122223333:removed";
    let theirs = [
        s3::queue(
            "logs",
            "arn:aws:sqs:us-east-1:111122223333:logs",
            &[CREATED],
            "logs/",
            ".gz",
        ),
        s3::topic(
            "tf-s3-topic-1",
            topic,
            &["s3:ObjectRemoved:*", "s3:Replication:*"],
            "",
            "",
        ),
        s3::function(
            "thumbs",
            function,
            &["s3:ObjectCreated:Put", "s3:ObjectCreated:Copy"],
            "img/",
            ".jpg",
        ),
    ];
    world.s3.set_notifications("data", &theirs.concat());
    let arguments = [
        "attach",
        "s3://data",
        "--queue-arn",
        INTAKE,
        "--prefix",
        "in/",
        "--yes",
    ];
    insta::assert_snapshot!("attach_owned", world.refused(&arguments));
    assert_eq!(world.s3.puts(), 0);
    assert_eq!(world.policy(), Value::Null, "nothing was changed");
    world.attach(&["--prefix", "in/", "--beside"]);
    let after = world.s3.notifications("data");
    for entry in &theirs {
        assert!(after.contains(entry), "{entry}\n{after}");
    }
    let overlapping = ["attach", "s3://data", "--queue-arn", INTAKE, "--beside", "--yes"];
    insta::assert_snapshot!("attach_overlaps", world.refused(&overlapping));
    let switched = world.attach(&["--eventbridge", "--suffix", ".json"]);
    insta::assert_json_snapshot!("attach_eventbridge_json", switched);
    let after = world.s3.notifications("data");
    assert!(after.contains("<EventBridgeConfiguration"), "{after}");
    // Out again, and theirs alone are left.
    world.json(&["detach", "s3://data"]);
    world.json(&["detach", "s3://data", "--eventbridge"]);
    let left = world.s3.notifications("data");
    assert_eq!(left.len(), theirs.concat().len(), "{left}");
    assert!(theirs.iter().all(|entry| left.contains(entry)));
    world.json(&["detach", "s3://data", "--id", "logs"]);
    assert!(!world.s3.notifications("data").contains("logs"));
}

#[test]
fn it_can_be_printed_instead_without_aws() {
    let print = |more: &[&str]| {
        let (code, stdout, stderr) = run(&mut daybook(
            &[
                &[
                    "attach",
                    "s3://data",
                    "--queue-arn",
                    INTAKE,
                    "--prefix",
                    "a ${b}/",
                    "--suffix",
                    ".json",
                ],
                more,
            ]
            .concat(),
        ));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        stdout
    };
    let cloudformation = print(&["--print", "cloudformation"]);
    serde_json::from_str::<Value>(&cloudformation).unwrap();
    let all = [
        cloudformation,
        print(&["--print", "terraform"]),
        print(&["--print", "cloudformation", "--eventbridge"]),
        print(&["--print", "terraform", "--eventbridge"]),
    ];
    insta::assert_snapshot!("attach_print", all.join("\n"));
    let json: Value = serde_json::from_str(&print(&["--print", "terraform", "--output", "json"])).unwrap();
    assert_eq!(json["document"], all[1]);
    assert_eq!(json["change"], "printed");
}

#[test]
fn what_s3_and_sqs_refuse_is_said_in_words() {
    let world = IntakeAndBucket::new();
    let attach = ["attach", "s3://data", "--queue-arn", INTAKE];
    let mut told = vec![
        world.refused(&attach),
        world.refused(&["attach", "s3://data", "--yes"]),
        world.refused(&["attach", "s3://data/in/", "--queue-arn", INTAKE]),
        world.refused(&["attach", "s3://nope", "--queue-arn", INTAKE, "--yes"]),
        world.refused(&[
            "attach",
            "s3://data",
            "--queue-arn",
            &format!("{INTAKE}-old"),
            "--yes",
        ]),
        world.refused(&[
            "attach",
            "s3://data",
            "--queue-arn",
            INTAKE,
            "--eventbridge",
            "--event",
            "s3:Replication:*",
        ]),
    ];
    world.handle(
        "CreateQueue",
        json!({"QueueName": "in.fifo", "Attributes": {"FifoQueue": "true"}}),
    );
    let fifo = "arn:aws:sqs:us-east-1:000000000000:in.fifo";
    told.push(world.refused(&["attach", "s3://data", "--queue-arn", fifo, "--yes"]));
    world.proxy.refuse("SetQueueAttributes");
    told.push(world.refused(&[&attach[..], &["--yes"]].concat()));
    assert_eq!(world.s3.puts(), 0);
    world.proxy.restore();
    world
        .s3
        .refuse("PutBucketNotificationConfiguration", 403, "AccessDenied");
    told.push(world.refused(&[&attach[..], &["--yes"]].concat()));
    // A destination of others that is gone: S3 checks all of them.
    let world = IntakeAndBucket::new();
    let dead = s3::queue(
        "dead",
        "arn:aws:sqs:us-east-1:111122223333:gone",
        &["s3:ObjectRemoved:*"],
        "",
        "",
    );
    world.s3.set_notifications("data", &dead);
    world.s3.destinations(|arn| arn == INTAKE);
    told.push(world.refused(&[&attach[..], &["--yes", "--beside"]].concat()));
    insta::assert_snapshot!("attach_errors", told.join("\n\n"));
}

#[test]
fn a_dead_letter_queue_is_moved_back() {
    let world = IntakeAndBucket::new();
    let empty = world.json(&["redrive-queue", DEAD]);
    assert_eq!((&empty["status"], &empty["moved"]), (&json!("empty"), &json!(0)));
    world.bury(3);
    insta::assert_snapshot!("redrive_queue_asks", world.refused(&["redrive-queue", DEAD]));
    let (code, stdout, stderr) = world.run(&["redrive-queue", &url("intake-dead"), "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    insta::assert_snapshot!("redrive_queue", format!("{stderr}\n{stdout}"));
    assert_eq!(world.aws.sqs().depth(&url("intake")).unwrap().visible, 3);
    assert_eq!(world.aws.sqs().depth(&url("intake-dead")).unwrap().visible, 0);

    // One that takes long can be left alone, found again, and cancelled.
    world.bury(300);
    let mut started = world.json(&["redrive-queue", DEAD, "--per-second", "1", "--no-wait"]);
    assert_eq!(started["status"], "running");
    // As many as seconds.
    assert!(started["moved"].take().as_u64().unwrap() >= 1);
    insta::assert_json_snapshot!("redrive_queue_json", rows::normal_json(started));
    let (code, stdout, stderr) = world.run(&["redrive-queue", DEAD, "--no-wait"]);
    assert_eq!(code, 0);
    assert!(stderr.contains("a task is already running for"), "{stderr}");
    assert!(stdout.starts_with("running: "), "{stdout}");
    let cancelled = world.json(&["redrive-queue", DEAD, "--cancel"]);
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["moved"].as_u64().unwrap() >= 1, "{cancelled}");
    assert!(world.aws.sqs().depth(&url("intake-dead")).unwrap().visible > 0);
    let to = world.json(&["redrive-queue", DEAD, "--to", INTAKE]);
    assert_eq!(
        (&to["status"], &to["destination"]),
        (&json!("completed"), &json!(INTAKE))
    );
}

#[test]
fn ctrl_c_leaves_the_move_to_sqs_and_says_how_to_stop_it() {
    let world = IntakeAndBucket::new();
    world.bury(30);
    // Asked once whether a task runs already, and then how far it is: only then Ctrl-C is listened for.
    let gate = Gate::new(&world.aws, "ListMessageMoveTasks", 1, Then::Hold);
    let mut command = daybook_at(
        &gate.endpoint,
        &["redrive-queue", DEAD, "--yes", "--per-second", "1"],
    );
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    gate.wait_for(1);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    gate.wait_for(1);
    gate.open();
    let ended = child.wait_with_output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr),
    );
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert!(stdout.starts_with("running: "), "{stdout}");
    assert!(
        stderr.ends_with(
            "note: SQS continues to move messages; the same command resumes watching, and --cancel stops the task\n"
        ),
        "{stderr}"
    );
    let cancelled = world.json(&["redrive-queue", DEAD, "--cancel"]);
    assert_eq!(cancelled["status"], "cancelled");
}

#[test]
fn queues_that_cannot_be_moved_back() {
    let world = IntakeAndBucket::new();
    world.aws.sqs().send(&url("intake"), "{}").unwrap();
    world
        .aws
        .sqs()
        .send(&url("intake-dead"), "sent here by hand")
        .unwrap();
    let told = [
        world.refused(&["redrive-queue", INTAKE, "--yes"]),
        world.refused(&["redrive-queue", &format!("{DEAD}-old"), "--yes"]),
        world.refused(&["redrive-queue", "intake-dead"]),
        world.refused(&["redrive-queue", DEAD, "--cancel"]),
        world.refused(&["redrive-queue", DEAD, "--per-second", "501"]),
        world.refused(&["redrive-queue", DEAD, "--yes"]),
    ];
    world.proxy.refuse("ListMessageMoveTasks");
    let denied = world.refused(&["redrive-queue", DEAD, "--yes"]);
    insta::assert_snapshot!("redrive_queue_errors", [told.join("\n\n"), denied].join("\n\n"));
}
