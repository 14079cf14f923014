//! One clear error each: what happened, to which thing, what to do. No stack trace, no dump.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "errors/endpoints.rs"]
mod endpoints;
mod stand_in;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use stand_in::{StandIn, daybook, daybook_at, run};

const QUEUE: &str = "http://127.0.0.1:1/000000000000/dispatch";

/// What a command that must fail says; nothing may be on stdout.
fn failure(expected_code: i32, command: &mut Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!((code, stdout.as_str()), (expected_code, ""), "{stderr}");
    stderr
}

/// The same, without the port that differs from run to run.
fn failure_at(endpoint: &str, command: &mut Command) -> String {
    failure(1, command).replace(endpoint, "ENDPOINT")
}

fn schedule<'a>(table: &'a str, queue_url: &'a str) -> Vec<&'a str> {
    vec![
        "schedule",
        "--ledger-table",
        table,
        "--dispatch-queue-url",
        queue_url,
    ]
}

#[test]
fn a_time_below_zero_is_refused_with_the_name_of_its_flag() {
    let said = failure(2, &mut daybook(&["pause", "--local", "x", "--until", "-2h"]));
    assert!(
        said.contains("hint: -2h is below zero, which --until does not take"),
        "{said}"
    );
}

#[test]
fn a_folder_given_to_a_verb_for_aws_names_the_verb_for_folders() {
    let said = failure(2, &mut daybook(&["worker", "--local", "x", "--exec", "true"]));
    assert!(
        said.contains("hint: this verb is for AWS only: `daybook up`"),
        "{said}"
    );
}

#[test]
fn nothing_to_ingest_says_both_ways() {
    let said = failure(2, &mut daybook(&["ingest", "--local", "x"]));
    for way in [
        "daybook ingest [OPTIONS] FILE...",
        "daybook ingest [OPTIONS] --queue URL",
    ] {
        assert!(said.contains(way), "{said}");
    }
}

#[test]
fn a_ledger_table_that_is_missing() {
    let aws = StandIn::start();
    let said = failure_at(
        &aws.endpoint,
        &mut daybook_at(&aws.endpoint, &schedule("nope", &aws.queue_url)),
    );
    insta::assert_snapshot!(said, @r"
    error: the ledger table cannot be used
      caused by: GetItem on table nope: ResourceNotFoundException: Requested resource not found
      hint: --ledger-table (DAYBOOK_LEDGER_TABLE) names something that is not in region us-east-1 of this account (at ENDPOINT): check name, region and account
    ");
}

#[test]
fn a_receipts_table_that_is_missing() {
    let aws = StandIn::start();
    let mut arguments = schedule("ledger", &aws.queue_url);
    arguments[0] = "sweep";
    arguments.extend(["--receipts-table", "nope"]);
    let said = failure_at(&aws.endpoint, &mut daybook_at(&aws.endpoint, &arguments));
    insta::assert_snapshot!(said, @r"
    error: the receipts table cannot be used
      caused by: BatchGetItem on table nope: ResourceNotFoundException: Requested resource not found
      hint: --receipts-table (DAYBOOK_RECEIPTS_TABLE) names something that is not in region us-east-1 of this account (at ENDPOINT): check name, region and account
    ");
}

#[test]
fn a_queue_that_is_missing() {
    let aws = StandIn::start();
    aws.record(1);
    let url = format!("{}-old", aws.queue_url);
    let said = failure_at(
        &aws.endpoint,
        &mut daybook_at(&aws.endpoint, &schedule("ledger", &url)),
    );
    insta::assert_snapshot!(said, @r"
    error: the dispatch queue cannot be used
      caused by: GetQueueAttributes on queue ENDPOINT/000000000000/dispatch-old: AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist.
      hint: --dispatch-queue-url (DAYBOOK_DISPATCH_QUEUE_URL) names something that is not in region us-east-1 of this account (at ENDPOINT): check name, region and account
    ");
    let pending = aws.with_ledger(async |ledger| {
        ledger
            .count(daybook_schema::Status::Pending, None, None)
            .await
            .unwrap()
    });
    assert_eq!(pending.rows, 1, "nothing was claimed");
}

#[test]
fn a_state_machine_that_is_missing() {
    let aws = StandIn::start();
    let arn = format!("{}-old", aws.state_machine);
    let said = failure_at(
        &aws.endpoint,
        &mut aws.daybook("sweep", &["--state-machine-arn", &arn]),
    );
    insta::assert_snapshot!(said, @r"
    error: the state machine arn:aws:states:us-east-1:000000000000:stateMachine:work-old cannot be used
      caused by: ListExecutions: StateMachineDoesNotExist: State Machine Does Not Exist: 'arn:aws:states:us-east-1:000000000000:stateMachine:work-old'
      hint: --state-machine-arn (DAYBOOK_STATE_MACHINE_ARN) names something that is not in region us-east-1 of this account (at ENDPOINT): check name, region and account
    ");
}

/// Answers everything with that AWS error, as long as the process lives.
fn always(code: &'static str, message: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The requests here are small and come in one piece.
            let _ = stream.read(&mut [0; 16 * 1024]);
            let body = format!(r#"{{"__type":"com.amazon.coral.service#{code}","message":"{message}"}}"#);
            let length = body.len();
            let head =
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}");
        }
    });
    endpoint
}

#[test]
fn credentials_that_nobody_knows() {
    let endpoint = always(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    let said = failure_at(&endpoint, &mut daybook_at(&endpoint, &schedule("ledger", QUEUE)));
    insta::assert_snapshot!(said, @r"
    error: the dispatch queue cannot be used
      caused by: GetQueueAttributes on queue http://127.0.0.1:1/000000000000/dispatch: UnrecognizedClientException: The security token included in the request is invalid.
      hint: the credentials are wrong, have expired, or belong to another endpoint; `aws sts get-caller-identity` shows whose they are
    ");
}

#[test]
fn a_secret_that_is_wrong() {
    let endpoint = always(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided.",
    );
    let said = failure_at(&endpoint, &mut daybook_at(&endpoint, &schedule("ledger", QUEUE)));
    insta::assert_snapshot!(said, @r"
    error: the dispatch queue cannot be used
      caused by: GetQueueAttributes on queue http://127.0.0.1:1/000000000000/dispatch: InvalidSignatureException: The request signature we calculated does not match the signature you provided.
      hint: the secret access key does not belong to the access key id, or this machine's clock is wrong
    ");
}

#[test]
fn permissions_that_are_missing() {
    let endpoint = always(
        "AccessDeniedException",
        "User: arn:aws:iam::111122223333:user/cron is not authorized to perform: sqs:getqueueattributes",
    );
    let said = failure_at(&endpoint, &mut daybook_at(&endpoint, &schedule("ledger", QUEUE)));
    insta::assert_snapshot!(said, @r"
    error: the dispatch queue cannot be used
      caused by: GetQueueAttributes on queue http://127.0.0.1:1/000000000000/dispatch: AccessDeniedException: User: arn:aws:iam::111122223333:user/cron is not authorized to perform: sqs:getqueueattributes
      hint: the credentials are known, but their policy does not allow this; the message says which action
    ");
}

#[test]
fn words_in_a_message_choose_no_advice() {
    let message = "AccessDenied ResourceNotFoundException NonExistentQueue ExpiredToken SignatureDoesNotMatch KMS no connection, \
                   could not be parsed, cannot be read";
    let endpoint = always("InvalidAddress", message);
    let said = failure_at(&endpoint, &mut daybook_at(&endpoint, &schedule("ledger", QUEUE)));
    assert!(said.contains(message), "{said}");
    assert!(!said.contains("hint:"), "{said}");
}

#[test]
fn no_credentials() {
    let said = failure(
        1,
        daybook(&schedule("ledger", QUEUE)).env("AWS_REGION", "us-east-1"),
    );
    insta::assert_snapshot!(said, @r"
    error: no AWS credentials were found
      hint: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached; `aws configure` or `aws sso login` sets a profile up
    ");
}

#[test]
fn no_region() {
    let said = failure(1, &mut daybook(&schedule("ledger", QUEUE)));
    insta::assert_snapshot!(said, @r"
    error: no AWS region is set
      hint: set AWS_REGION (such as AWS_REGION=eu-central-1), or AWS_PROFILE to a profile that has a region
    ");
}

#[test]
fn a_profile_that_is_missing() {
    let mut command = daybook(&schedule("ledger", QUEUE));
    command.env("AWS_PROFILE", "nope").env("AWS_REGION", "us-east-1");
    let said = failure(1, &mut command);
    assert_eq!(
        said.lines().next(),
        Some("error: no AWS credentials were found, and none in profile nope (AWS_PROFILE)")
    );
}

/// A port on which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn an_endpoint_that_refuses_connections() {
    let endpoint = closed_port();
    let began = Instant::now();
    let said = failure_at(&endpoint, &mut daybook_at(&endpoint, &schedule("ledger", QUEUE)));
    // The system adds a number of its own.
    assert!(
        said.contains("/dispatch: no connection: Connection refused"),
        "{said}"
    );
    assert!(
        said.contains("hint: the endpoint is ENDPOINT, as AWS_ENDPOINT_URL"),
        "{said}"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_endpoint_that_never_answers() {
    // The kernel takes the connections; nobody reads from them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let began = Instant::now();
    let said = failure_at(&endpoint, &mut daybook_at(&endpoint, &schedule("ledger", QUEUE)));
    assert!(
        said.starts_with("error: the dispatch queue cannot be used\n"),
        "{said}"
    );
    assert!(said.contains("/dispatch: no answer in time"), "{said}");
    assert!(said.contains("hint: the endpoint is ENDPOINT"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(25));
}

#[test]
fn an_endpoint_that_is_no_aws() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 16 * 1024]);
            let _ = stream.write_all(
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\n<html>404",
            );
        }
    });
    let said = failure_at(&endpoint, &mut daybook_at(&endpoint, &schedule("ledger", QUEUE)));
    assert!(said.contains("hint: the endpoint is ENDPOINT"), "{said}");
}

/// What clap says of a value, without its closing line.
fn refusal(arguments: &[&str]) -> String {
    let said = failure(2, &mut daybook(arguments));
    said.replace("\n\nFor more information, try '--help'.\n", "")
}

#[test]
fn settings_that_cannot_work() {
    let with = |more: &[&str]| {
        let mut arguments = schedule("ledger", QUEUE);
        arguments.extend(more);
        refusal(&arguments)
    };
    let said = [
        with(&["--per-window", "0"]),
        with(&["--per-window=many"]),
        with(&["--per-window", "99999999999"]),
        with(&["--every", "2"]),
        with(&["--every", "5ms"]),
        with(&["--lease", "30d"]),
        with(&["--max-in-flight", "0"]),
        with(&["--max-attempts=-1"]),
        with(&["--receipts-keep", "soon"]),
        with(&["--at", "yesterday"]),
        refusal(&schedule("a b", QUEUE)),
        refusal(&schedule("ledger", "dispatch")),
        refusal(&schedule("ledger", "https://sqs.eu-central-1.amazonaws.com/")),
        refusal(&["sweep", "--state-machine-arn", "work"]),
        refusal(&["demo", "--events", "0"]),
        refusal(&["demo", "--seed", "x"]),
        refusal(&["schedule"]),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_bad_value_from_the_environment_names_its_variable() {
    let said = failure(2, daybook(&["demo"]).env("DAYBOOK_PER_WINDOW", "many"));
    insta::assert_snapshot!(said, @r"
    error: invalid value 'many' for '--per-window <N>': a whole number of at least 1 is needed

    For more information, try '--help'.

      hint: the value comes from the environment variable DAYBOOK_PER_WINDOW
    ");
    let said = failure(2, daybook(&["demo", "--every=1"]).env("DAYBOOK_EVERY", "2s"));
    assert!(!said.contains("DAYBOOK_EVERY"), "the flag is to blame: {said}");
}

#[test]
fn help_tells_units_defaults_and_limits() {
    let help = |arguments: &[&str]| {
        let (code, stdout, stderr) = run(&mut daybook(arguments));
        assert_eq!((code, stderr.as_str()), (0, ""));
        stdout
    };
    insta::assert_snapshot!("help", help(&["--help"]));
    insta::assert_snapshot!("help_demo", help(&["demo", "--help"]));
    insta::assert_snapshot!("help_schedule", help(&["schedule", "-h"]));
    insta::assert_snapshot!("help_sweep", help(&["sweep", "-h"]));
    insta::assert_snapshot!("help_worker", help(&["worker", "-h"]));
}
