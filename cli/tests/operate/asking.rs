//! Nothing is changed before somebody agreed.

use crate::stand_in::{daybook, terminal};
use crate::world::Local;

const VERBS: [&[&str]; 5] = [
    &["redrive", "--all"],
    &["release", "--all"],
    &["fail", "--all", "--why", "x"],
    &["complete", "--all", "--why", "x"],
    &["remove", "--all", "--why", "x"],
];

#[test]
fn without_a_terminal_and_without_yes_nothing_is_changed() {
    let local = Local::new();
    let before = local.json(&["list"]);
    insta::assert_snapshot!("no_terminal", local.told(&["redrive", "--all"]));
    for verb in VERBS {
        let (code, stdout, stderr) = local.run(verb);
        assert_eq!((code, stdout.as_str()), (1, ""));
        assert!(
            stderr.contains("error: nothing was changed: there is no terminal to ask on\n"),
            "{stderr}"
        );
    }
    assert_eq!(local.json(&["list"]), before);
}

#[test]
fn a_dry_run_changes_nothing_and_asks_nothing() {
    let local = Local::new();
    let before = local.json(&["list"]);
    insta::assert_snapshot!(
        "dry_run",
        local.told(&["remove", "--all", "--why", "x", "--dry-run"])
    );
    for verb in VERBS {
        for yes in [&[][..], &["--yes"]] {
            let json = local.json(&[verb, &["--dry-run"], yes].concat());
            assert_eq!(json["dry_run"], true);
            assert!(json["selected"].as_u64().unwrap() > 0);
            let done = json["outcomes"].as_object().unwrap();
            assert!(done.values().all(|n| n == 0), "{json}");
        }
    }
    assert_eq!(local.json(&["list"]), before);
}

#[test]
fn where_nothing_is_selected_nothing_is_asked() {
    let local = Local::new();
    let json = local.json(&["redrive", "--prefix", "never/"]);
    assert_eq!(json["selected"], 0);
}

fn on_a_terminal(local: &Local, arguments: &[&str], answer: &str) -> (i32, String) {
    let command = daybook(&[arguments, &["--local", local.path()]].concat());
    terminal::on_a_terminal(command, answer)
}

#[test]
fn on_a_terminal_it_asks_and_does_what_it_is_told() {
    let local = Local::new();
    let before = local.rows();
    let redrive = ["redrive", "--prefix", "parked"];
    let (code, shown) = on_a_terminal(&local, &redrive, "\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("Redrive 1 parked event? [y/N]"), "{shown}");
    assert!(
        shown.contains("nothing was changed: the answer was no"),
        "{shown}"
    );
    assert_eq!(local.rows(), before);
    let (code, shown) = on_a_terminal(&local, &redrive, "y\n");
    assert_eq!(code, 0, "{shown}");
    assert_ne!(local.rows(), before);
}
