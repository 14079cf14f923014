//! What a person sees of batches: `daybook show`, `why`, `list`, `release` and `doctor`.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod stand_in;

use daybook_local::Outcome;
use daybook_schema::{BatchId, BatchInput, ExecutionInput, Row, RunName, Status};
use serde_json::{Value, json};
use stand_in::rows::{self, FUTURE, Fixtures, PAST};
use stand_in::{StandIn, run};

/// Runs.
const RUNNING: &str = "5f0c2b7e31d84a6f9e0d4c3b2a190817";
/// Ended.
const ENDED: &str = "6a1d3c8f42e95b7080fe5d4c3b2a1908";
/// Runs, with an input that says nothing.
const UNREAD: &str = "7b2e4d9053fa4c8191af6e5d4c3b2a19";
/// Was not started.
const LOST: &str = "8c3f5ea164ab4d92a2b07f6e5d4c3b2a";
/// Nobody's.
const NOBODY: &str = "9d406fb275bc4ea3b3c1807f6e5d4c3b";

fn in_batch(key: &str, n: u32, batch: &str) -> Row {
    Row {
        batch: Some(batch.parse().unwrap()),
        ..rows::row_in(key, n, Status::Claimed, FUTURE, 1, 1)
    }
}

/// Rows in every relation to a batch.
fn all() -> Vec<Row> {
    let alone = |row: Row| Row { alone: true, ..row };
    let failed = |row: Row| Row {
        last_error: Some("its batch's output lists it in batchItemFailures".to_owned()),
        ..row
    };
    vec![
        in_batch("first.json", 1, RUNNING),
        in_batch("second.json", 2, RUNNING),
        in_batch("left-out.json", 3, RUNNING),
        alone(in_batch("alone.json", 4, RUNNING)),
        // A later attempt than the execution has it at.
        Row {
            attempt: daybook_schema::Attempt(2),
            ..in_batch("later.json", 5, RUNNING)
        },
        in_batch("ended.json", 6, ENDED),
        in_batch("left-by-it.json", 7, ENDED),
        in_batch("unread.json", 8, UNREAD),
        Row {
            due_at: rows::at(PAST),
            ..in_batch("lost.json", 9, LOST)
        },
        failed(alone(rows::row_in(
            "failed.json",
            10,
            Status::Pending,
            FUTURE,
            1,
            0,
        ))),
        failed(rows::row_in("parked.json", 11, Status::Parked, PAST, 5, 1)),
        rows::row_in("single.json", 12, Status::Claimed, FUTURE, 1, 1),
    ]
}

fn of(key: &str) -> Row {
    let is_it = |row: &Row| row.event().is_some_and(|event| event.key.as_str() == key);
    all().into_iter().find(is_it).unwrap()
}

fn id_of(key: &str) -> String {
    of(key).id.to_string()
}

fn input_of(row: &Row) -> ExecutionInput {
    ExecutionInput::new(row.event().unwrap(), daybook_schema::Attempt(1))
}

fn start(aws: &StandIn, name: &str, input: &str) -> String {
    let request = json!({"stateMachineArn": aws.state_machine, "name": name, "input": input});
    aws.handle("AWSStepFunctions.StartExecution", &request.to_string());
    format!(
        "{}:{name}",
        aws.state_machine.replace(":stateMachine:", ":execution:")
    )
}

fn start_batch(aws: &StandIn, batch: &str, rows: &[Row]) -> String {
    let id: BatchId = batch.parse().unwrap();
    let input = BatchInput::new(id, rows.iter().map(input_of).collect());
    start(aws, &format!("b-{batch}"), &input.to_json())
}

fn filled() -> StandIn {
    let aws = StandIn::start();
    aws.fill(async |fixtures: Fixtures<'_>| {
        for row in all() {
            fixtures.put_row(&row).await;
        }
    });
    // One of its events is done, and its row gone.
    let named = [
        of("first.json"),
        of("second.json"),
        of("later.json"),
        rows::row("done.json", 13),
    ];
    start_batch(&aws, RUNNING, &named);
    let alone = of("alone.json");
    let RunName::Batch(name) = alone.run_name() else {
        panic!("it is in a batch");
    };
    let input = BatchInput::new(name.batch, vec![input_of(&alone)]);
    start(&aws, &name.to_string(), &input.to_json());
    let ended = start_batch(&aws, ENDED, &[of("ended.json")]);
    let outcome = Outcome::Failed {
        error: "States.TaskFailed".to_owned(),
        cause: "a\u{1b}[0m".to_owned(),
    };
    aws.aws.executions().close(&ended, outcome).unwrap();
    start(
        &aws,
        &format!("b-{UNREAD}"),
        &json!({"batch": UNREAD, "events": "some"}).to_string(),
    );
    aws
}

/// Code, stdout, stderr of that verb, executions known.
fn at(aws: &StandIn, verb: &str, more: &[&str]) -> (i32, String, String) {
    let machine = ["--state-machine-arn", &aws.state_machine];
    let (code, stdout, stderr) = run(&mut aws.daybook(verb, &[more, &machine].concat()));
    let normal = |text: String| rows::normal(&text.replace(&aws.endpoint, "ENDPOINT"));
    (code, normal(stdout), normal(stderr))
}

fn json_of(aws: &StandIn, verb: &str, more: &[&str]) -> Value {
    let machine = ["--output", "json", "--state-machine-arn", &aws.state_machine];
    let (_, stdout, stderr) = run(&mut aws.daybook(verb, &[more, &machine].concat()));
    rows::normal_json(
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")),
    )
}

#[test]
fn show_says_which_batch_a_row_is_in_and_whether_its_execution_has_it() {
    let aws = filled();
    let mut told = String::new();
    for row in all() {
        let key = row.event().unwrap().key.to_string();
        let (code, stdout, stderr) = at(&aws, "show", &[&row.id.to_string()]);
        // What an execution was given is unknown, never "not this".
        let is_unread = key == "unread.json";
        assert_eq!(code, i32::from(is_unread), "{key}: {stderr}");
        assert_eq!(
            stderr.contains("its input cannot be read"),
            is_unread,
            "{key}: {stderr}"
        );
        told += &(stdout + "----\n");
    }
    assert!(!told.contains('\u{1b}'), "{told}");
    insta::assert_snapshot!("batches_show", told);
}

#[test]
fn programs_are_told_a_rows_batch_and_what_its_execution_names() {
    let aws = filled();
    let open = |key: &str| json_of(&aws, "show", &[&id_of(key)])["open"][0].clone();
    for (key, batch, alone, events, names) in [
        ("first.json", json!(RUNNING), false, json!(4), json!(true)),
        ("left-out.json", json!(RUNNING), false, json!(4), json!(false)),
        ("later.json", json!(RUNNING), false, json!(4), json!(false)),
        ("alone.json", json!(RUNNING), true, json!(1), json!(true)),
        ("unread.json", json!(UNREAD), false, Value::Null, Value::Null),
        ("lost.json", json!(LOST), false, Value::Null, Value::Null),
        ("failed.json", Value::Null, true, Value::Null, Value::Null),
    ] {
        let open = open(key);
        assert_eq!(
            (&open["row"]["batch"], &open["row"]["alone"]),
            (&batch, &json!(alone)),
            "{key}"
        );
        let execution = &open["execution"];
        assert_eq!(
            (&execution["events"], &execution["names_event"]),
            (&events, &names),
            "{key}"
        );
    }
    let name = open("alone.json")["execution"]["name"].clone();
    assert_eq!(name, format!("b-{RUNNING}-{}", id_of("alone.json")));
    assert_eq!(
        open("single.json")["execution"]["name"],
        format!("{}-1", id_of("single.json"))
    );
}

#[test]
fn why_says_what_becomes_of_a_row_that_its_batch_has_left_out() {
    let aws = filled();
    let mut told = String::new();
    for key in [
        "first.json",
        "left-out.json",
        "left-by-it.json",
        "unread.json",
        "alone.json",
        "lost.json",
    ] {
        let (code, stdout, _) = at(&aws, "why", &[&id_of(key), "--no-s3"]);
        assert_eq!(code, i32::from(key == "unread.json"), "{stdout}");
        told += &(stdout + "----\n");
    }
    insta::assert_snapshot!("batches_why", told);
    let left_out = json_of(&aws, "why", &[&id_of("left-out.json"), "--no-s3"]);
    assert_eq!(
        (
            &left_out["situation"],
            &left_out["certain"],
            &left_out["row"]["batch"]
        ),
        (&json!("left_out"), &json!(true), &json!(RUNNING))
    );
}

#[test]
fn show_of_a_batch_lists_what_its_execution_names_and_the_rows_that_are_in_it() {
    let aws = filled();
    let mut told = String::new();
    for batch in [RUNNING, ENDED, UNREAD, LOST] {
        let (code, stdout, stderr) = at(&aws, "show", &[&format!("b-{batch}")]);
        assert_eq!(code, i32::from(batch == UNREAD), "{stderr}");
        told += &(stdout + "----\n");
    }
    assert!(!told.contains('\u{1b}'), "{told}");
    insta::assert_snapshot!("batches_show_batch", told);
    insta::assert_json_snapshot!("batches_show_batch_json", json_of(&aws, "show", &[RUNNING]));
    // By its id alone, however that is written; and an event by the name of its own execution.
    for text in [RUNNING.to_uppercase(), format!(" b-{RUNNING}")] {
        assert_eq!(json_of(&aws, "show", &[&text])["batch"], RUNNING);
    }
    let alone = id_of("alone.json");
    let of_alone = json_of(&aws, "show", &[&format!("b-{RUNNING}-{alone}")]);
    assert_eq!(of_alone["open"][0]["row"]["id"], alone.as_str());
}

#[test]
fn a_batch_that_nothing_knows_is_an_error_that_says_what_was_looked_at() {
    let aws = filled();
    let (code, stdout, stderr) = at(&aws, "show", &[NOBODY]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!("batches_unknown", stderr);
    let (code, _, stderr) = run(&mut aws.daybook("show", &[NOBODY]));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("no state machine is named") && stderr.contains("--state-machine-arn"),
        "{stderr}"
    );
    // Rows are found without one.
    let (code, stdout, _) = run(&mut aws.daybook("show", &[RUNNING]));
    assert_eq!(code, 0);
    assert!(
        stdout.contains("not asked") && stdout.contains(&id_of("left-out.json")),
        "{stdout}"
    );
    // What cannot be asked is not "unknown batch".
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let mut command = aws.daybook("show", &[NOBODY, "--state-machine-arn", &aws.state_machine]);
    let (code, stdout, stderr) = run(command.env("AWS_ENDPOINT_URL_SFN", &endpoint));
    assert_eq!(code, 1);
    assert!(
        stdout.contains("unknown") && stderr.contains("DescribeExecution"),
        "{stdout}{stderr}"
    );
    assert!(!stderr.contains("nothing is known"), "{stderr}");
    for verb in ["why", "redrive", "release"] {
        let (code, _, stderr) = run(&mut aws.daybook(verb, &[&format!("b-{RUNNING}")]));
        assert_eq!(code, 2);
        assert!(
            stderr.contains(&format!("`daybook show b-{RUNNING}`")),
            "{verb}: {stderr}"
        );
    }
    let (code, _, stderr) = run(&mut aws.daybook("show", &["5f0c2b7e"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("a batch's (32 hexadecimal digits)"), "{stderr}");
}

/// Workers have no executions, and no flag would name one.
#[test]
fn of_a_batch_of_a_folder_the_rows_are_shown() {
    let home = tempfile::tempdir().unwrap();
    rows::folder(home.path(), async |fixtures: Fixtures<'_>| {
        fixtures.put_row(&in_batch("first.json", 1, RUNNING)).await;
    });
    let path = home.path().to_str().unwrap();
    let (code, stdout, stderr) = run(&mut stand_in::daybook(&["show", RUNNING, "--local", path]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("none: workers run its events"), "{stdout}");
    assert!(stdout.contains("s3://data/first.json"), "{stdout}");
    let (code, _, stderr) = run(&mut stand_in::daybook(&["show", NOBODY, "--local", path]));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("no claimed row is in it") && !stderr.contains("--state-machine-arn"),
        "{stderr}"
    );
}

/// Any row that cannot be read may be in it.
#[test]
fn a_row_of_a_newer_release_may_be_in_any_batch() {
    let aws = StandIn::start();
    aws.fill(async |fixtures: Fixtures<'_>| {
        let newer = in_batch("newer.json", 1, LOST);
        let mut item = serde_json::to_value(&newer).unwrap();
        item["v"] = json!(99);
        fixtures.put_item(&item).await;
    });
    let found = json_of(&aws, "show", &[LOST]);
    assert_eq!((&found["unreadable"], &found["events"]), (&json!(1), &json!([])));
    let (code, stdout, _) = at(&aws, "show", &[LOST]);
    assert_eq!(code, 0);
    assert!(
        stdout.contains("1 claimed row by this release; any may be in it"),
        "{stdout}"
    );
}

#[test]
fn a_list_says_which_rows_are_in_batches_and_lists_one_batch() {
    let aws = filled();
    let (code, stdout, stderr) = at(&aws, "list", &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!("batches_list", stdout);
    let keys = |batch: &str| {
        let json = json_of(&aws, "list", &["--batch", batch]);
        let mut keys: Vec<String> = json["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["key"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    };
    let members = [
        "alone.json",
        "first.json",
        "later.json",
        "left-out.json",
        "second.json",
    ];
    assert_eq!(keys(RUNNING), members);
    assert_eq!(keys(&format!("b-{RUNNING}")), members);
    assert_eq!(keys(NOBODY), [""; 0]);
    let (code, _, stderr) = run(&mut aws.daybook("list", &["--batch", "some"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("32 hexadecimal digits"), "{stderr}");
}

#[test]
fn a_release_says_that_of_a_batchs_row_only_the_lease_ends() {
    let aws = filled();
    let ids = [id_of("left-out.json"), id_of("lost.json"), id_of("single.json")];
    let mut more: Vec<&str> = ids.iter().map(String::as_str).collect();
    more.extend(["--yes", "--by", "kim", "--why", "nothing runs"]);
    let (code, stdout, stderr) = run(&mut aws.daybook("release", &more));
    assert_eq!(code, 0, "{stderr}");
    insta::assert_snapshot!(
        "batches_release",
        rows::normal(&stdout.replace(&aws.endpoint, "ENDPOINT"))
    );
    let row = json_of(&aws, "show", &[&ids[0]])["open"][0]["row"].clone();
    assert_eq!(
        (&row["status"], &row["attempt"], &row["batch"]),
        (&json!("claimed"), &json!(1), &json!(RUNNING))
    );
    let single = json_of(&aws, "show", &[&ids[2]])["open"][0]["row"].clone();
    assert_eq!(
        (&single["status"], &single["attempt"]),
        (&json!("pending"), &json!(0))
    );
    let again = ids[1].clone();
    let (_, stdout, _) = run(&mut aws.daybook("release", &[&again, "--yes", "--output", "json"]));
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["outcomes"], json!({"released": 0, "lease_ended": 1}));
}
