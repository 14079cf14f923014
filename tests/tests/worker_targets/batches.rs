//! Batches as real commands and endpoints see them, and what they say of single events.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use daybook_ledger::Clock;
use daybook_manager::worker::{CommandTarget, HttpTarget, Run, RunInput, Target, TargetAnswer};
use daybook_schema::{BatchId, BatchInput, EventId, ExecutionInput};
use tokio::time::timeout;

use crate::command::script;
use crate::endpoint::{Endpoint, Reply, reply};
use crate::{input, run_of};

const PATIENCE: Duration = Duration::from_secs(30);

const BATCH: &str = "00000000000000000000000000000b47";

/// A batch of those keys.
fn batch(keys: &[&str]) -> BatchInput {
    let batch: BatchId = BATCH.parse().unwrap();
    BatchInput::new(batch, keys.iter().map(|key| input(key)).collect())
}

fn id(key: &str) -> EventId {
    input(key).id
}

async fn answer(target: &impl Target, keys: &[&str]) -> TargetAnswer {
    let (run, _stopper) = run_of(RunInput::Batch(batch(keys)));
    timeout(PATIENCE, target.run(run)).await.unwrap()
}

fn failed(answer: TargetAnswer) -> String {
    match answer {
        TargetAnswer::Failed { why } => why,
        other => panic!("{other:?}"),
    }
}

fn listed(answer: TargetAnswer) -> (BTreeSet<EventId>, String) {
    match answer {
        TargetAnswer::Listed { failed, why } => (failed, why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_is_given_lines_of_json_and_the_batch_and_nothing_of_a_single_event() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let text = "cat > \"$0/stdin\"; env > \"$0/env\"; wc -c < \"$DAYBOOK_FAILURES\" > \"$0/size\"";
    let target = CommandTarget::new("sh", ["-c", text, out]);
    let keys = ["b\u{1}\"; rm -rf \0", "한국어 키.json", "a/b c.json"];
    let batch = batch(&keys);
    let (run, _stopper) = run_of(RunInput::Batch(batch.clone()));
    let run = Run {
        trace: Some("Root=1-5759e988-bd862e3fe1be46a994272793".into()),
        ..run
    };
    // A NUL in a key is no trouble where no key is in the environment.
    assert_eq!(target.run(run).await, TargetAnswer::Success);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let stdin = read("stdin");
    assert!(stdin.ends_with('\n'));
    let lines: Vec<ExecutionInput> = stdin
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, batch.events);
    assert!(
        stdin
            .lines()
            .zip(&batch.events)
            .all(|(line, event)| line == event.to_json())
    );
    let env = read("env");
    let mut names: Vec<&str> = env
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    names.retain(|name| name.starts_with("DAYBOOK_"));
    names.sort_unstable();
    assert_eq!(names, ["DAYBOOK_BATCH", "DAYBOOK_FAILURES"]);
    assert!(env.contains(&format!("DAYBOOK_BATCH={BATCH}\n")));
    assert!(env.contains("_X_AMZN_TRACE_ID=Root=1-5759e988-bd862e3fe1be46a994272793\n"));
    assert_eq!(read("size").trim(), "0");
    let failures = env
        .lines()
        .find_map(|line| line.strip_prefix("DAYBOOK_FAILURES="))
        .unwrap();
    assert!(
        !PathBuf::from(failures).parent().unwrap().exists(),
        "removed afterwards"
    );
}

#[tokio::test]
async fn a_single_event_has_none_of_it() {
    let text = "test -z \"${DAYBOOK_BATCH+x}${DAYBOOK_FAILURES+x}\"";
    let (run, _stopper) = run_of(input("k"));
    assert_eq!(script(text).run(run).await, TargetAnswer::Success);
}

#[tokio::test]
async fn what_a_command_lists_has_failed_and_the_others_are_done() {
    let (bad, worse) = (id("bad"), id("worse"));
    let keys = ["a", "bad", "worse"];
    let json = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{bad}"}}]}}"#);
    let cases: [(String, &[EventId]); 4] = [
        (
            format!("echo {bad} >> $DAYBOOK_FAILURES; echo {worse} >> $DAYBOOK_FAILURES"),
            &[bad, worse],
        ),
        (format!("printf %s {bad} > $DAYBOOK_FAILURES"), &[bad]),
        (format!("echo '{json}' > $DAYBOOK_FAILURES"), &[bad]),
        // Written whole, and put in its place.
        (
            format!("echo {worse} > $DAYBOOK_FAILURES.new; mv $DAYBOOK_FAILURES.new $DAYBOOK_FAILURES"),
            &[worse],
        ),
    ];
    for (text, expected) in cases {
        let (failed, why) = listed(answer(&script(&text), &keys).await);
        assert_eq!(failed, expected.iter().copied().collect(), "{text}");
        assert_eq!(why, "listed in DAYBOOK_FAILURES");
    }
    let with_words = format!("echo {bad} > $DAYBOOK_FAILURES; echo no pixels >&2");
    let (_, why) = listed(answer(&script(&with_words), &keys).await);
    assert_eq!(why, "listed in DAYBOOK_FAILURES: no pixels");
    assert_eq!(answer(&script("cat"), &keys).await, TargetAnswer::Success);
    assert_eq!(
        answer(&script("echo > $DAYBOOK_FAILURES"), &keys).await,
        TargetAnswer::Success
    );
}

#[tokio::test]
async fn a_list_that_makes_no_sense_fails_all_and_so_does_another_end_than_success() {
    let keys = ["a", "b"];
    let stranger = id("stranger");
    for (text, why) in [
        (
            format!("echo {stranger} > $DAYBOOK_FAILURES"),
            format!("{stranger}\", which was not given"),
        ),
        (
            "echo a > $DAYBOOK_FAILURES".into(),
            "\"a\", which was not given".into(),
        ),
        ("echo '{' > $DAYBOOK_FAILURES".into(), "no JSON object".into()),
        ("rm $DAYBOOK_FAILURES".into(), "cannot be read".into()),
        (
            "head -c 300000 /dev/zero > $DAYBOOK_FAILURES".into(),
            "longer than".into(),
        ),
        (
            "rm $DAYBOOK_FAILURES; mkfifo $DAYBOOK_FAILURES".into(),
            "not a regular file".into(),
        ),
        (
            format!("echo {} > $DAYBOOK_FAILURES; exit 3", id("a")),
            "exit status 3".into(),
        ),
        ("kill -9 $$".into(), "killed by signal 9".into()),
    ] {
        let told = failed(answer(&script(&text), &keys).await);
        assert!(told.contains(&why), "{text}: {told}");
    }
    let later = answer(
        &script(&format!("echo {} > $DAYBOOK_FAILURES; exit 75", id("a"))),
        &keys,
    )
    .await;
    assert!(matches!(later, TargetAnswer::Later { .. }), "{later:?}");
}

#[tokio::test]
async fn an_endpoint_is_posted_the_batch_and_may_name_those_that_failed() {
    let bad = id("bad");
    let keys = ["a", "bad", "c"];
    let named = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{bad}"}}],"n":1}}"#);
    let endpoint = Endpoint::new(reply("200 OK", &[], &named)).await;
    let target = HttpTarget::new(&endpoint.url, Clock::system()).unwrap();
    let (failed, why) = listed(answer(&target, &keys).await);
    assert_eq!(
        (failed, why.as_str()),
        ([bad].into(), "named in batchItemFailures")
    );
    let request = endpoint.requests().remove(0);
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, batch(&keys).to_json());
    let sent: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&sent["batch"], sent["events"].as_array().unwrap().len()),
        (&BATCH.into(), 3)
    );
}

async fn posted(reply: Reply) -> TargetAnswer {
    let endpoint = Endpoint::new(reply).await;
    let target = HttpTarget::new(&endpoint.url, Clock::system()).unwrap();
    answer(&target, &["a", "b"]).await
}

#[tokio::test]
async fn an_answer_that_names_nobody_is_success_whatever_else_it_says() {
    for body in [
        "",
        "ok",
        "{}",
        "[1, 2]",
        r#"{"batchItemFailures":null}"#,
        r#"{"batchItemFailures":[]}"#,
        "<html>",
    ] {
        assert_eq!(
            posted(reply("200 OK", &[], body)).await,
            TargetAnswer::Success,
            "{body}"
        );
    }
    assert_eq!(
        posted(reply("204 No Content", &[], "")).await,
        TargetAnswer::Success
    );
    let many = format!(r#"{{"notes":"{}","batchItemFailures":[]}}"#, "x".repeat(200_000));
    assert_eq!(posted(reply("200 OK", &[], &many)).await, TargetAnswer::Success);
}

#[tokio::test]
async fn an_answer_that_is_malformed_or_not_whole_fails_all() {
    let stranger = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#, id("x"));
    for body in [
        stranger.as_str(),
        r#"{"batchItemFailures":"all"}"#,
        r#"{"batchItemFailures":[{"id":"x"}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
    ] {
        failed(posted(reply("200 OK", &[], body)).await);
    }
    let long = format!(r#"{{"notes":"{}"}}"#, "x".repeat(300_000));
    assert!(failed(posted(reply("200 OK", &[], &long)).await).contains("could not be read whole"));
    // It ends before the length that it said: what is missing may name one.
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\n{}";
    assert!(failed(posted(Reply::Raw(cut.into())).await).contains("could not be read whole"));
    let endless = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let endless = Reply::Endless(endless.into(), vec![b' '; 4096]);
    assert!(failed(posted(endless).await).contains("could not be read whole"));
    failed(
        posted(reply(
            "500 Internal Server Error",
            &[],
            r#"{"batchItemFailures":[]}"#,
        ))
        .await,
    );
}
