//! What an audit says.

use daybook_ledger::Clock;
use daybook_tests::s3::Versioning;
use serde_json::{Value, json};

use crate::stand_in::rows::Fixtures;
use crate::stand_in::{StandIn, daybook, run};
use crate::world::{AFTER, Folder, INSTALLED, Served, ago, every_class, is};

#[test]
fn every_class_in_a_table() {
    let (served, folder) = every_class(Versioning::Never);
    let (code, stdout, stderr) = folder.audit(&served, &["s3://data"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(!stdout.contains('\u{1b}'), "{stdout}");
    insta::assert_snapshot!("table", stdout + "----\n" + &stderr);
}

#[test]
fn every_class_in_json() {
    let (served, folder) = every_class(Versioning::Enabled);
    let (code, mut json) = folder.json(&served, &["s3://data", "--depth", "0"]);
    assert_eq!(code, 3);
    json["seconds"] = json!("SECONDS");
    json["s3"] = json!("S3");
    json["where"] = json!("folder DIR");
    for example in json["sample"].as_array_mut().unwrap() {
        assert!(
            is(&example["last_modified"], AFTER) || is(&example["last_modified"], "2020-01-03T10:00:00Z")
        );
    }
    insta::assert_json_snapshot!("json", json);
}

#[test]
fn help() {
    let (code, stdout, _) = run(&mut daybook(&["audit", "--help"]));
    assert_eq!(code, 0);
    insta::assert_snapshot!("help", stdout);
}

#[test]
fn a_prefix_a_time_and_a_depth() {
    let (served, folder) = every_class(Versioning::Never);
    let objects = |arguments: &[&str]| folder.json(&served, arguments).1["objects"].as_u64().unwrap();
    assert_eq!(objects(&["s3://data/in/"]), 5);
    assert_eq!(objects(&["s3://data/nothing"]), 0);
    assert_eq!(objects(&["s3://data", "--since", "2020-01-03"]), 2);
    assert_eq!(
        objects(&[
            "s3://data",
            "--since",
            "2020-01-02T10:00:00Z",
            "--until",
            "2020-01-03"
        ]),
        5
    );
    let (code, json) = folder.json(&served, &["s3://data/in/o"]);
    assert_eq!((code, &json["complete"]), (0, &json!(true)));
    let lines = |depth: &str| {
        let (_, json) = folder.json(&served, &["s3://data", "--depth", depth]);
        json["statement"].as_array().unwrap().len()
    };
    assert_eq!((lines("0"), lines("1"), lines("9")), (4, 4, 4));
}

#[test]
fn what_an_audits_truth_hangs_on_is_said() {
    let behind = Clock::new(|| Clock::system().now().truncated_to_seconds());
    let served = Served::on(
        Clock::new(move || {
            let now = behind.now().unix_millis() - 3_600_000;
            daybook_schema::Timestamp::from_unix_millis(now).unwrap()
        }),
        Versioning::Never,
    );
    served.put("in/open.json", "x", AFTER);
    let folder = Folder::with(36_500, async |fixtures: Fixtures<'_>| {
        fixtures
            .put_row(&crate::stand_in::rows::row("in/open.json", 1))
            .await;
        fixtures.put_unreadable_row().await;
    });
    let (code, _, stderr) = folder.audit(&served, &["s3://data", "--source", "minio"]);
    assert_eq!(code, 1, "{stderr}");
    let stderr = stderr.replace("59m 59s", "1h").replace("59m 58s", "1h");
    insta::assert_snapshot!("warnings", stderr);
}

#[test]
fn an_intake_queue_that_is_not_empty_is_said() {
    let aws = StandIn::start();
    aws.fill(async |fixtures: Fixtures<'_>| fixtures.install(INSTALLED).await);
    let served = Served::start(Versioning::Never);
    let audit = |queue: &str| {
        let more = [
            "s3://data",
            "--s3-endpoint",
            &served.endpoint,
            "--intake-queue-url",
            queue,
        ];
        let (code, stdout, stderr) =
            run(&mut aws.daybook("audit", &[&more[..], &["--output", "json"]].concat()));
        (code, serde_json::from_str::<Value>(&stdout).unwrap(), stderr)
    };
    let (code, json, stderr) = audit(&aws.queue_url);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(json["intake_queue_depth"], json!(0));
    let message = json!({"QueueUrl": aws.queue_url, "MessageBody": "x"});
    aws.handle("AmazonSQS.SendMessage", &message.to_string());
    let (code, json, stderr) = audit(&aws.queue_url);
    assert_eq!((code, &json["intake_queue_depth"]), (0, &json!(1)));
    assert!(
        stderr.starts_with("warning: about 1 notification wait"),
        "{stderr}"
    );
    served.put("a", "a", &ago(120));
    let (code, json, stderr) = audit(&aws.queue_url);
    assert_eq!(
        (code, &json["may_wait"], &json["missing"], &json["complete"]),
        (1, &json!(1), &json!(0), &json!(false)),
        "{stderr}"
    );
    let (code, json, stderr) = audit(&format!("{}-elsewhere", aws.queue_url));
    assert_eq!((code, &json["intake_queue_depth"]), (1, &Value::Null));
    assert!(stderr.contains("GetQueueAttributes"), "{stderr}");
}

#[test]
fn a_ledger_that_never_ran_says_so() {
    let served = Served::start(Versioning::Never);
    served.put("a", "a", AFTER);
    let folder = Folder::with(36_500, async |_: Fixtures<'_>| {});
    let (code, _, stderr) = folder.audit(&served, &["s3://data"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.starts_with("warning: this ledger has not dispatched anything yet"),
        "{stderr}"
    );
}

#[test]
fn nothing_is_recorded_while_it_is_not_known_what_waits_unless_told_otherwise() {
    let aws = StandIn::start();
    aws.fill(async |fixtures: Fixtures<'_>| fixtures.install(&ago(60)).await);
    let served = Served::start(Versioning::Never);
    served.put("a", "a", &ago(45));
    served.put("old", "b", &ago(120));
    let audit = |more: &[&str]| {
        let usual = [
            "s3://data",
            "--receipts-keep",
            "36500d",
            "--s3-endpoint",
            &served.endpoint,
        ];
        run(&mut aws.daybook("audit", &[&usual[..], more].concat()))
    };
    for what in ["--repair", "--backfill"] {
        let (code, stdout, stderr) = audit(&[what]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        insta::allow_duplicates! {
            insta::assert_snapshot!(stderr, @r"
            error: the intake queue is not given, and what still waits there must not be recorded a second time

              hint: name it with --intake-queue-url (DAYBOOK_INTAKE_QUEUE_URL), or the stack whose outputs name it with --stack (DAYBOOK_STACK); --skip-intake-check records without looking
            ");
        }
    }
    // Without anything to record it is not needed.
    assert_eq!(audit(&[]).0, 3);
    let message = json!({"QueueUrl": aws.queue_url, "MessageBody": "x"});
    aws.handle("AmazonSQS.SendMessage", &message.to_string());
    let all = ["--repair", "--backfill", "--yes", "--output", "json"];
    let waiting = [&all[..], &["--intake-queue-url", &aws.queue_url]].concat();
    let (code, stdout, stderr) = audit(&waiting);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (
            code,
            &json["may_wait"],
            &json["repair"]["recorded"],
            &json["backfill"]["may_wait"]
        ),
        (1, &json!(1), &json!(0), &json!(1)),
        "{stderr}"
    );
    let (code, stdout, stderr) = audit(&[&all[..], &["--skip-intake-check"]].concat());
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &json["repair"]["recorded"], &json["backfill"]["recorded"]),
        (0, &json!(1), &json!(1)),
        "{stderr}"
    );
}
