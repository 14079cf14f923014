//! The forms of what is looked at: colours, a list in columns, as lines of JSON and as CSV, page by page, and a status that goes on.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Local;
use crate::stand_in::{daybook, rows, terminal};

fn command(local: &Local, arguments: &[&str]) -> Command {
    let path = local.0.path().to_str().unwrap();
    daybook(&[arguments, &["--local", path]].concat())
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let local = Local::new();
    let shown = |verb: &str, variables: &[(&str, &str)]| {
        let mut command = command(&local, &[verb]);
        command.envs(variables.iter().copied());
        terminal::shown_on_a_terminal(command)
    };
    let red = "\u{1b}[1m\u{1b}[31m";
    for (verb, word) in [("status", "parked"), ("list", "PARKED"), ("doctor", "problem")] {
        let coloured = shown(verb, &[("TERM", "xterm")]);
        assert!(coloured.contains(&format!("{red}{word}")), "{verb}: {coloured}");
        for plain in [
            &[("TERM", "xterm"), ("NO_COLOR", "1")][..],
            &[("TERM", "dumb")],
            &[],
        ] {
            let plain = shown(verb, plain);
            assert!(
                !plain.contains('\u{1b}') && plain.contains(word),
                "{verb}: {plain}"
            );
        }
    }
    let (_, piped, _) = local.run(&["status"]);
    assert!(!piped.contains('\u{1b}'), "{piped}");
}

#[test]
fn on_a_narrow_terminal_ids_stay_whole_and_keys_lose_their_middle() {
    let long = format!("plants/{}/photo-0001.jpg", "deep/".repeat(40));
    let local = Local::with(async |fixtures: rows::Fixtures<'_>| {
        fixtures.put_row(&rows::row(&long, 1)).await;
    });
    let shown = terminal::shown_on_a_terminal(command(&local, &["list"]));
    let id = rows::row(&long, 1).id.to_string();
    assert!(
        shown.lines().any(|line| line.trim_end().ends_with(&id)),
        "{shown}"
    );
    let object = shown
        .lines()
        .find(|line| line.contains("s3://data/plants"))
        .unwrap();
    assert!(
        object.contains('…') && object.trim_end().ends_with("0001.jpg"),
        "{shown}"
    );
    let wide = terminal::shown_on_a_terminal(command(&local, &["list", "--wide"]));
    assert!(wide.contains(&long), "{wide}");
}

#[test]
fn a_list_has_the_columns_and_the_form_that_are_asked_for() {
    let local = Local::new();
    let all = local.json(&["list"]);
    let ids = |rows: &[Value]| -> Vec<String> { rows.iter().map(|row| row["id"].to_string()).collect() };
    let lines = local.run(&["list", "--format", "jsonl"]).1;
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(ids(&lines), ids(all["rows"].as_array().unwrap()));
    let csv = local
        .run(&["list", "--format", "csv", "--columns", "status,id,key"])
        .1;
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(csv.headers().unwrap(), vec!["status", "id", "key"]);
    let records: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), lines.len());
    for (record, row) in records.iter().zip(&lines) {
        assert_eq!(
            (&record[0], &record[1]),
            (row["status"].as_str().unwrap(), row["id"].as_str().unwrap())
        );
        // As it is in the bucket.
        assert_eq!(&record[2], row["key"].as_str().unwrap_or_default());
    }
    let (_, table, _) = local.run(&["list", "--columns", "id,max-attempts", "--status", "parked"]);
    assert!(
        table.starts_with("id") && table.lines().next().unwrap().ends_with("max-attempts"),
        "{table}"
    );
    assert!(!table.contains("s3://"), "{table}");
    for form in [["--format", "jsonl"], ["--format", "json"], ["--output", "json"]] {
        let (code, _, stderr) = local.run(&[&["list", "--columns", "id"], &form[..]].concat());
        assert_eq!(code, 2, "{form:?}: {stderr}");
        assert!(stderr.contains("JSON has all fields"), "{stderr}");
    }
    // The usual JSON stays what it was.
    assert_eq!(local.json(&["list", "--format", "json"]), all);
}

#[test]
fn a_list_goes_on_after_its_last_row() {
    let local = Local::with(async |fixtures: rows::Fixtures<'_>| {
        for n in 0..7 {
            fixtures.put_row(&rows::row(&format!("{n}.json"), n)).await;
        }
    });
    let page = |after: Option<&str>| {
        let more = after.map(|after| ["--after", after]);
        let list = ["list", "--status", "pending", "--limit", "3", "--format", "jsonl"];
        let (code, stdout, stderr) =
            local.run(&[&list[..], more.as_ref().map_or(&[], |more| &more[..])].concat());
        assert_eq!(code, 0, "{stderr}");
        let ids = stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].to_string());
        let next = stderr
            .split_once("--after ")
            .map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
        (ids.collect::<Vec<String>>(), next)
    };
    let (mut seen, mut next) = page(None);
    let mut pages = 1;
    while let Some(after) = next {
        let (ids, more) = page(Some(&after));
        seen.extend(ids);
        next = more;
        pages += 1;
    }
    let whole = local.run(&["list", "--format", "jsonl"]).1;
    let whole = whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].to_string());
    assert_eq!((pages, seen), (3, whole.collect::<Vec<String>>()));
    let (code, _, stderr) = local.run(&["list", "--after", "2026-11-21T00:00:00Z/x", "--status", "pending"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("DUE_AT/ID"), "{stderr}");
    assert_eq!(local.run(&["list", "--after", "x"]).0, 2, "it needs a status");
}

#[test]
fn a_status_is_watched_until_it_is_stopped() {
    let local = Local::new();
    let mut child = command(&local, &["status", "--watch", "100ms", "--output", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.take(3) {
        let status: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(status["parked"].is_object(), "{status}");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// As in `daybook status --watch | head -1`: nobody reads any more, and that is no error to report.
#[test]
fn a_closed_pipe_ends_a_verb_silently_as_its_signal_would() {
    let local = Local::new();
    for arguments in [
        &["status", "--watch", "100ms"][..],
        &["list", "--format", "jsonl"],
        &["list", "--format", "csv"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = command(&local, arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn();
        let ended = child.unwrap().wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(
            (ended.status.code(), said.as_str()),
            (Some(141), ""),
            "{arguments:?}"
        );
    }
}

/// As in `daybook show … 2>&1 | head -1`.
#[test]
fn an_error_that_nobody_reads_keeps_its_exit_code() {
    let local = Local::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut show = command(&local, &["show", "s3://data/never.json"]);
    let ended = show.stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(ended.code(), Some(1));
}
