//! The console killed in the middle of an action on many rows: what is known of it afterwards is true, and the same action does the rest.

use std::path::Path;
use std::time::{Duration, Instant};

use daybook_local::LocalAws;
use daybook_schema::{Attempt, Row, Status};
use serde_json::Value;

use crate::stand_in::console::Console;
use crate::stand_in::gate::{Gate, Then};
use crate::stand_in::rows::Fixtures;
use crate::stand_in::{StandIn, daybook, daybook_at};
use crate::world::{Local, all_rows, import, parked};

const REDRIVE: [(&str, &str); 4] = [
    ("verb", "redrive"),
    ("status", "parked"),
    ("why", "the column is there"),
    ("by", "kim"),
];

/// How many rows were redriven; each once, and the others are as they were.
fn redriven_once<'a>(rows: impl Iterator<Item = &'a Row>) -> usize {
    let mut redriven = 0;
    for row in rows {
        let seen = (row.status, row.attempt, row.max_attempts);
        match row.status {
            Status::Pending => {
                assert_eq!(seen, (Status::Pending, Attempt(5), 10), "{row:?}");
                assert!(
                    row.note.as_deref().unwrap().contains("redriven by kim"),
                    "{row:?}"
                );
                redriven += 1;
            }
            _ => assert_eq!(seen, (Status::Parked, Attempt(5), 5), "{row:?}"),
        }
    }
    redriven
}

fn line(page: &str, what: &str) -> usize {
    let begin = format!("<th scope=\"row\">{what}</th><td class=\"n\">");
    let (_, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no {what}: {page}"));
    rest.split('<').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn killed_in_the_middle_of_a_redrive_the_same_action_does_the_rest_and_nothing_twice() {
    let aws = StandIn::start();
    import(&aws.aws, "ledger", &parked(1_000));
    // 10 writes of 25 rows each, then 16 that wait: as many as are under way at once.
    let gate = Gate::new(&aws.aws, "BatchExecuteStatement", 10, Then::Hold);
    let arguments = ["console", "--ledger-table", "ledger"];
    let console = Console::start(&mut daybook_at(&gate.endpoint, &arguments));
    let path = console.begin(&REDRIVE);
    gate.wait_for(16);
    let page = console.get(&path);
    assert!(page.contains("data-reload"), "it is under way: {page}");
    let told = line(&page, "redriven");
    console.kill();
    gate.open();
    let done = redriven_once(all_rows(&aws.aws, "ledger").values());
    assert!(
        (told..=650).contains(&done) && done >= 250,
        "{told} told, {done} done"
    );

    let console = Console::start(&mut daybook_at(&aws.endpoint, &arguments));
    let page = console.ended(&console.begin(&REDRIVE));
    // What was sent before the kill may still have been done meanwhile.
    let (rest, refused) = (line(&page, "redriven"), line(&page, "refused"));
    assert!(rest <= 1_000 - done, "{rest} of {}", 1_000 - done);
    assert_eq!((line(&page, "failed"), line(&page, "left")), (0, 0), "{page}");
    assert!(page.contains("<bdi>done</bdi>") && refused <= 400, "{page}");
    assert_eq!(redriven_once(all_rows(&aws.aws, "ledger").values()), 1_000);
    let page = console.get("/act?verb=redrive&status=parked");
    assert!(page.contains("There is nothing to do"), "{page}");
}

/// The lines of the log of what people did, as far as they are whole.
fn log(local: &Local) -> Vec<Value> {
    let text = std::fs::read_to_string(Path::new(local.path()).join("people.jsonl")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[test]
fn killed_on_one_machine_the_log_says_no_more_than_was_done_and_the_same_action_does_the_rest() {
    const ROWS: usize = 6_000;
    let local = Local::with(async |_: Fixtures<'_>| ());
    import(
        &LocalAws::builder().data_dir(local.path()).build().unwrap(),
        "daybook-ledger",
        &parked(ROWS as u32),
    );
    let dir = local.path().to_owned();
    let start = || Console::start(&mut daybook(&["console", "--local", &dir]));
    let console = start();
    console.begin(&REDRIVE);
    // A line is written at each tenth.
    let begun = Instant::now();
    let has_progress = |line: &Value| line["rows"]["done"].as_u64().is_some_and(|done| done > 0);
    while !log(&local).iter().any(has_progress) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", log(&local));
        std::thread::yield_now();
    }
    console.kill();

    let lines = log(&local);
    let last = lines.last().unwrap();
    let told = last["rows"]["done"].as_u64().unwrap() as usize;
    let done = redriven_once(local.rows().values());
    assert!(0 < told && told <= done, "{told} told, {done} done");
    assert!(last["ended"].is_null() || done == ROWS, "{last}");
    assert_eq!(last["rows"]["selected"], ROWS, "{last}");

    let console = start();
    let operations = console.get("/operations");
    assert!(operations.contains("the column is there"), "{operations}");
    let page = console.ended(&console.begin(&REDRIVE));
    assert_eq!(line(&page, "redriven"), ROWS - done, "{page}");
    assert_eq!((line(&page, "refused"), line(&page, "left")), (0, 0), "{page}");
    console.kill();
    assert_eq!(redriven_once(local.rows().values()), ROWS);
    let lines = log(&local);
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["ended"], &last["rows"]["done"]),
        (&"done".into(), &(ROWS - done).into())
    );
}
