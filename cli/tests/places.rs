//! Where a command looks: a folder, a stack, or parts one by one; and what it says when that is not there.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "places/console.rs"]
mod console;
#[path = "places/dead_letters.rs"]
mod dead_letters;
mod stand_in;

use std::collections::BTreeMap;
use std::process::Command;

use axum::body::Bytes;
use axum::http::StatusCode;
use daybook_local::QueueAttributes;
use serde_json::Value;
use stand_in::rows::{self, Fixtures};
use stand_in::{StandIn, daybook, daybook_at, run};

/// What a command that must fail says; nothing may be on stdout.
fn failure(expected_code: i32, command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!((code, stdout.as_str()), (expected_code, ""), "{stderr}");
    // clap's closing words.
    stderr.split("\n\nUsage:").next().unwrap().trim_end().to_owned()
}

/// CloudFormation with these stacks, each with its outputs, as long as the process lives.
fn cloudformation(stacks: &[(&str, &[(&str, &str)])]) -> String {
    let stacks: BTreeMap<String, String> = stacks
        .iter()
        .map(|(name, outputs)| ((*name).to_owned(), stack_xml(name, outputs)))
        .collect();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let answer = move |body: Bytes| {
                let answer = describe_stacks(&stacks, std::str::from_utf8(&body).unwrap());
                async { answer }
            };
            let router = axum::Router::new().fallback(answer);
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    endpoint
}

fn describe_stacks(stacks: &BTreeMap<String, String>, form: &str) -> (StatusCode, String) {
    assert!(form.contains("Action=DescribeStacks"), "{form}");
    let name = form.split('&').find_map(|field| field.strip_prefix("StackName="));
    let name = name.unwrap();
    let refusal = |code: &str, message: String| {
        let body = format!(
            "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
        );
        (StatusCode::BAD_REQUEST, body)
    };
    match stacks.get(name) {
        Some(xml) => (StatusCode::OK, xml.clone()),
        None if name == "secret" => refusal(
            "AccessDenied",
            "User: arn:aws:iam::111122223333:user/kim is not authorized to perform: cloudformation:DescribeStacks".to_owned(),
        ),
        None => refusal("ValidationError", format!("Stack with id {name} does not exist")),
    }
}

fn stack_xml(name: &str, outputs: &[(&str, &str)]) -> String {
    let output = |(key, value): &(&str, &str)| {
        format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>")
    };
    let outputs: String = outputs.iter().map(output).collect();
    format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks>\
         <member><StackName>{name}</StackName><CreationTime>2026-11-20T10:15:00Z</CreationTime>\
         <StackStatus>CREATE_COMPLETE</StackStatus><Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DescribeStacksResponse>"
    )
}

/// That verb, with CloudFormation there and the rest at the stand-in.
fn with_stack(aws: &StandIn, cloudformation: &str, arguments: &[&str]) -> Command {
    let mut command = daybook_at(&aws.endpoint, arguments);
    command.env("AWS_ENDPOINT_URL_CLOUDFORMATION", cloudformation);
    command
}

#[test]
fn a_stack_names_all_parts() {
    let aws = StandIn::start();
    aws.record(3);
    let sqs = aws.aws.sqs();
    let intake = sqs.create_queue("intake", QueueAttributes::default()).unwrap();
    for body in ["one", "two", "three"] {
        sqs.send(&intake, body).unwrap();
    }
    let endpoint = cloudformation(&[(
        "prod",
        &[
            ("LedgerTableName", "ledger"),
            ("ReceiptsTableName", "receipts"),
            ("DispatchQueueUrl", &aws.queue_url),
            ("IntakeQueueUrl", &aws.queue_url.replace("/dispatch", "/intake")),
            ("StateMachineArn", &aws.state_machine),
            ("DashboardUrl", "https://example.com"),
        ],
    )]);
    let json = |arguments: &[&str]| {
        let arguments = [arguments, &["--stack", "prod", "--output", "json"]].concat();
        let (code, stdout, stderr) = run(&mut with_stack(&aws, &endpoint, &arguments));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        serde_json::from_str::<Value>(&stdout).unwrap()
    };
    assert_eq!(json(&["schedule", "--per-window", "2"])["sent"], 2);
    let status = json(&["status"]);
    assert_eq!(status["where"], "stack prod in region us-east-1");
    assert_eq!(status["queue_depth"], 2);
    assert_eq!(status["intake_queue_depth"], 3);
    let (code, table, _) = run(&mut with_stack(&aws, &endpoint, &["status", "--stack", "prod"]));
    assert_eq!(code, 0, "{table}");
    let line = table.lines().find(|line| line.starts_with("intake"));
    assert!(
        line.is_some_and(|line| line.contains(" 3 ") && line.contains("IntakeBehindAlarm")),
        "{table}"
    );
    assert_eq!(status["claimed"]["rows"], 2);
    assert_eq!(json(&["sweep"])["stale"], 0);
    assert_eq!(json(&["list"])["rows"].as_array().unwrap().len(), 3);
    // By its variable, and with one part that is another.
    let mut command = with_stack(
        &aws,
        &endpoint,
        &["list", "--ledger-table", "receipts", "--output", "json"],
    );
    let (code, _, stderr) = run(command.env("DAYBOOK_STACK", "prod"));
    assert_eq!(code, 1, "the receipts have no index: {stderr}");
}

#[test]
fn a_stack_that_is_no_stack_of_daybooks() {
    let aws = StandIn::start();
    let endpoint = cloudformation(&[
        ("empty", &[]),
        ("other", &[("BucketName", "data"), ("VpcId", "vpc-1")]),
        ("broken", &[("LedgerTableName", "a b")]),
        ("old", &[("LedgerTableName", "gone")]),
        ("queueless", &[("LedgerTableName", "ledger")]),
    ]);
    let said = |arguments: &[&str], code| {
        let said = failure(code, &mut with_stack(&aws, &endpoint, arguments));
        said.replace(&endpoint, "CLOUDFORMATION")
            .replace(&aws.endpoint, "ENDPOINT")
    };
    let mut told = Vec::new();
    for stack in ["nope", "secret", "empty", "other", "broken", "old"] {
        told.push(said(&["status", "--stack", stack], 1));
    }
    told.push(said(&["schedule", "--stack", "queueless"], 1));
    insta::assert_snapshot!("stacks", told.join("\n\n"));
}

#[test]
fn nothing_says_where_to_look_or_two_things_do() {
    let queue = "http://127.0.0.1:1/000000000000/dispatch";
    let told = [
        failure(2, &mut daybook(&["status"])),
        failure(2, &mut daybook(&["list", "--dispatch-queue-url", queue])),
        failure(
            2,
            &mut daybook(&["show", "s3://data/a", "--local", "x", "--stack", "y"]),
        ),
        failure(
            2,
            daybook(&["status"])
                .env("DAYBOOK_LOCAL", "x")
                .env("DAYBOOK_STACK", "y"),
        ),
        failure(2, &mut daybook(&["schedule"])),
        failure(2, &mut daybook(&["sweep", "--dispatch-queue-url", queue])),
        failure(2, &mut daybook(&["schedule", "--ledger-table", "ledger"])),
    ];
    insta::assert_snapshot!("places", told.join("\n\n"));
}

#[test]
fn a_flag_wins_over_a_variable_that_names_another_place() {
    let home = tempfile::tempdir().unwrap();
    rows::folder(home.path(), async |_: Fixtures<'_>| {});
    let path = home.path().to_str().unwrap();
    let (code, stdout, _) = run(daybook(&["status", "--local", path]).env("DAYBOOK_STACK", "prod"));
    assert_eq!(code, 0);
    assert!(stdout.contains(&format!("folder {path}")), "{stdout}");
    let (code, stdout, _) = run(daybook(&["status"]).env("DAYBOOK_LOCAL", path));
    assert_eq!(code, 0, "{stdout}");
    let aws = StandIn::start();
    let (code, stdout, _) = run(aws.daybook("status", &[]).env("DAYBOOK_LOCAL", path));
    assert_eq!(code, 0);
    assert!(stdout.contains("table ledger in region us-east-1"), "{stdout}");
}

#[test]
fn a_folder_without_a_ledger() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap();
    for verb in ["status", "list"] {
        let said = failure(1, &mut daybook(&[verb, "--local", path])).replace(path, "DIR");
        assert!(
            said.starts_with("error: there is no ledger in DIR\n  hint: "),
            "{said}"
        );
    }
    assert_eq!(
        home.path().read_dir().unwrap().count(),
        0,
        "looking makes nothing"
    );
}

/// As where permission is denied: that nothing is there is not known.
#[test]
fn a_folder_that_cannot_be_looked_at() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let path = file.to_str().unwrap();
    let said = failure(1, &mut daybook(&["status", "--local", path])).replace(path, "FILE");
    assert!(
        said.starts_with("error: FILE/ledger.redb cannot be looked at\n  caused by: Not a directory"),
        "{said}"
    );
    assert!(!said.contains("makes one"), "{said}");
}

/// That verb in this directory.
fn beside(dir: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = daybook(arguments);
    command.current_dir(dir);
    command
}

#[test]
fn the_folder_that_up_makes_by_default_is_taken_where_nothing_names_a_deployment() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = failure(2, &mut beside(home.path(), &["status"]));
    assert!(nowhere.contains("no deployment is named"), "{nowhere}");
    for name in ["daybook-data", "elsewhere"] {
        rows::folder(&home.path().join(name), async |fixtures: Fixtures<'_>| {
            fixtures.put_all().await;
        });
    }
    let taken = |command: &mut Command| {
        let (code, stdout, stderr) = run(command.args(["--output", "json"]));
        assert_eq!(code, 0, "{stderr}");
        let json: Value = serde_json::from_str(&stdout).unwrap();
        (json["where"].as_str().unwrap().to_owned(), stderr)
    };
    let (location, stderr) = taken(&mut beside(home.path(), &["status"]));
    assert_eq!(location, "folder daybook-data");
    assert!(
        stderr.starts_with("note: folder daybook-data, as nothing names a deployment"),
        "{stderr}"
    );
    // Another folder of `up`, by the same variable; and one that is named needs no words.
    let mut other = beside(home.path(), &["status"]);
    other.env("DAYBOOK_DATA_DIR", "elsewhere");
    assert_eq!(taken(&mut other).0, "folder elsewhere");
    let (location, stderr) = taken(&mut beside(home.path(), &["status", "--local", "elsewhere"]));
    assert_eq!(
        (location.as_str(), stderr.contains("as nothing names")),
        ("folder elsewhere", false)
    );
    // Whatever names a deployment on AWS, or a part of one, is never passed over.
    for (variable, value) in [
        ("DAYBOOK_STACK", "prod"),
        ("DAYBOOK_LEDGER_TABLE", "ledger"),
        ("DAYBOOK_RECEIPTS_TABLE", "receipts"),
        (
            "DAYBOOK_DISPATCH_QUEUE_URL",
            "https://sqs.eu-central-1.amazonaws.com/1/q",
        ),
    ] {
        let (code, stdout, stderr) = run(beside(home.path(), &["status"]).env(variable, value));
        assert_ne!(code, 0, "{variable}");
        assert!(
            stdout.is_empty() && !stderr.contains("note: folder"),
            "{variable}: {stderr}"
        );
    }
    let flag = [
        "status",
        "--dispatch-queue-url",
        "https://sqs.eu-central-1.amazonaws.com/1/q",
    ];
    assert!(failure(2, &mut beside(home.path(), &flag)).contains("no deployment is named"));
}

#[test]
fn an_id_that_is_none() {
    let said = |what: &str| failure(2, &mut daybook(&["show", what, "--local", "x"]));
    let told = [said("reading.json"), said("s3://data"), said("s3:///a")];
    insta::assert_snapshot!("ids", told.join("\n\n"));
    let said = failure(2, &mut daybook(&["list", "--status", "finished", "--local", "x"]));
    assert!(
        said.contains("pending, claimed, parked or done is needed"),
        "{said}"
    );
}

#[test]
fn tables_that_are_missing() {
    let aws = StandIn::start();
    let id = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11";
    let mut told = Vec::new();
    for arguments in [&["status"][..], &["show", id], &["show", "s3://data/a"]] {
        let mut command = daybook_at(&aws.endpoint, &[arguments, &["--ledger-table", "nope"]].concat());
        told.push(failure(1, &mut command));
    }
    // What a list could not read, it says after what it could.
    for more in [
        &["list", "--ledger-table", "nope"][..],
        &[
            "show",
            "s3://data/a",
            "--ledger-table",
            "ledger",
            "--receipts-table",
            "nope",
        ],
    ] {
        let (code, stdout, stderr) = run(&mut daybook_at(&aws.endpoint, more));
        assert_eq!((code, stdout.as_str()), (1, ""));
        told.push(stderr);
    }
    insta::assert_snapshot!(
        "tables_missing",
        told.join("\n\n").replace(&aws.endpoint, "ENDPOINT")
    );
}
