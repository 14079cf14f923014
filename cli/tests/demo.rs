//! `daybook demo` keeps its promise for any number of events, windows and budgets.
#![allow(missing_docs, clippy::unwrap_used)]

mod stand_in;

use serde_json::Value;
use stand_in::{daybook, run};

/// Runs the demo; its JSON, after everything that must hold of it has been checked.
fn demo(events: u64, per_window: u64, every: &str) -> Value {
    let (events_text, per_window_text) = (events.to_string(), per_window.to_string());
    let arguments = [
        "demo",
        "--output",
        "json",
        "--events",
        &events_text,
        "--per-window",
        &per_window_text,
        "--every",
        every,
    ];
    let (code, stdout, stderr) = run(&mut daybook(&arguments));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    let number = |name: &str| json[name].as_u64().unwrap_or_else(|| panic!("{name} in {json}"));
    for name in ["recorded", "completed", "results", "receipts", "executions"] {
        assert_eq!(number(name), events, "{name} in {json}\n{stderr}");
    }
    for name in ["open", "parked", "retries", "dead_letters"] {
        assert_eq!(number(name), 0, "{name} in {json}\n{stderr}");
    }
    assert!(number("lost_messages") > 0, "{json}");
    assert_eq!(number("redelivered"), number("lost_messages"), "{json}\n{stderr}");
    assert!(number("already_there") > 0, "{json}");
    let windows: Vec<u64> = json["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .collect();
    assert!(windows.iter().all(|sent| *sent <= per_window), "{json}");
    assert_eq!(
        windows.iter().sum::<u64>(),
        events + number("redelivered"),
        "{json}"
    );
    assert!(
        windows.first() != Some(&0) && windows.last() != Some(&0),
        "{json}"
    );
    assert!(json["seconds"].as_f64().unwrap() > 0.0);
    json
}

#[test]
fn the_events_of_several_windows_survive_the_loss_of_the_queue() {
    demo(40, 15, "500ms");
}

#[test]
fn a_single_event_survives_it() {
    let json = demo(1, 50, "500ms");
    assert_eq!(json["lost_messages"], 1);
}

#[test]
fn the_events_of_the_only_window_survive_it() {
    let json = demo(20, 20, "300ms");
    assert_eq!(json["lost_messages"], 20);
}

#[test]
fn one_event_per_window_is_never_exceeded() {
    let json = demo(3, 1, "400ms");
    assert_eq!(json["lost_messages"], 1);
}

#[test]
fn one_event_more_than_a_window_holds_goes_into_the_next() {
    demo(21, 20, "500ms");
}

#[test]
fn a_pipe_gets_plain_lines_and_a_summary() {
    let (code, stdout, stderr) = run(&mut daybook(&[
        "demo",
        "--events",
        "12",
        "--per-window",
        "6",
        "--every",
        "300ms",
        "--seed",
        "7",
    ]));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        !stderr.contains('\u{1b}') && !stdout.contains('\u{1b}'),
        "no escape codes: {stderr}{stdout}"
    );
    assert!(stderr.starts_with("daybook demo: 12 uploads to S3, at most 6 per window of 300ms (seed 7)\n"));
    for word in ["ingest", "window 1", "OUTAGE", "sweep"] {
        assert!(stderr.contains(word), "{word} in {stderr}");
    }
    assert!(
        stdout.contains("Nothing was lost: all 12 events processed"),
        "{stdout}"
    );
    assert!(
        stdout.contains("daybook demo --seed 7 --events 12 --per-window 6 --every 300ms\n"),
        "{stdout}"
    );
}

#[test]
fn ctrl_c_stops_it_cleanly() {
    let mut child = daybook(&["demo", "--output", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The first line says that it has begun; the handler is in place when ingest reports.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(lines.by_ref().any(|line| line.unwrap().contains("ingest")));
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let last = lines.last().unwrap().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(output.stdout.is_empty());
    assert_eq!(last, "stopped by Ctrl-C; the demo keeps nothing");
}
