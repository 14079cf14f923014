//! `daybook completions` and `daybook man`.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod stand_in;

use serde_json::Value;
use stand_in::{daybook, run};

fn succeeded(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(&mut daybook(arguments));
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    stdout
}

/// The verbs, as `daybook --help` lists them by purpose.
fn verbs() -> Vec<String> {
    let help = succeeded(&["--help"]);
    let (_, purposes) = help.split_once("\n\nLook:\n").unwrap();
    let (purposes, _) = purposes.split_once("\n\nOptions:\n").unwrap();
    let names = purposes
        .lines()
        .filter(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next());
    let verbs: Vec<String> = names.map(str::to_owned).collect();
    assert!(verbs.len() >= 27, "{help}");
    verbs
}

#[test]
fn help_of_a_verb_is_reached_both_ways() {
    for verb in verbs() {
        let page = succeeded(&["help", &verb]);
        assert_eq!(page, succeeded(&[verb.as_str(), "--help"]));
        assert!(page.contains(&format!("Usage: daybook {verb}")), "{page}");
    }
}

fn help(verb: &str, flag: &str) -> String {
    let (code, help, stderr) = run(daybook(&[verb, flag]).env("COLUMNS", "80"));
    assert_eq!((code, stderr.as_str()), (0, ""), "{verb} {flag}");
    let wide = help.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{verb} {flag}");
    help
}

/// A screen is what somebody reads at night.
#[test]
fn help_is_below_60_lines_of_80_columns_but_for_the_audit() {
    for verb in verbs() {
        let lines = help(&verb, "--help").lines().count();
        assert!(lines < 60 || verb == "audit", "{verb}: {lines} lines");
    }
}

#[test]
fn the_short_help_has_one_line_for_each_flag() {
    for verb in verbs() {
        let short = help(&verb, "-h");
        let (before, flags) = short.split_once("\nUsage: ").unwrap();
        assert_eq!(
            before.trim_end().lines().count(),
            1,
            "{verb}: one line says what it does"
        );
        let (_, flags) = flags.split_once("\n\n").unwrap();
        let flags = flags.lines();
        // What belongs to the line above is indented by more than a flag without a letter is.
        let second = flags.clone().find(|line| line.starts_with(&" ".repeat(7)));
        assert_eq!(second, None, "{verb}: {short}");
        for flag in flags.filter(|line| line.starts_with("      --") || line.starts_with("  -")) {
            let is_named_only = flag.split_whitespace().all(|word| word.starts_with("--"));
            let says = flag.trim_start().split_once("  ").is_some();
            assert!(says || is_named_only, "{verb}: {flag}");
        }
        // The long one has the rest.
        assert!(
            help(&verb, "--help").lines().count() > short.lines().count(),
            "{verb}"
        );
    }
}

#[test]
fn both_helps_can_be_asked_for_after_other_flags() {
    let short = succeeded(&["status", "-h"]);
    assert_eq!(succeeded(&["status", "--per-window", "5", "-vh"]), short);
    let long = succeeded(&["status", "--help"]);
    assert_eq!(succeeded(&["status", "--per-window", "5", "--help"]), long);
    assert_eq!(succeeded(&["status", "-h", "--help"]), short);
    assert_eq!(succeeded(&["status", "--help", "-h"]), long);
    assert_eq!(succeeded(&["-h"]), succeeded(&["--help"]));
    assert!(
        long.contains("  -h, --help") && short.contains("  -h, --help"),
        "{long}"
    );
}

#[test]
fn every_shell_gets_completions_of_every_verb() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = succeeded(&["completions", shell]);
        for verb in verbs() {
            assert!(script.contains(&verb), "{verb} in {shell}");
        }
        let json = succeeded(&["completions", shell, "--output", "json"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["shell"], shell);
        assert_eq!(json["script"], script);
    }
    let (code, _, stderr) = run(&mut daybook(&["completions", "ksh"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("bash"), "{stderr}");
}

#[test]
fn every_verb_has_a_page() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("man1");
    let told = succeeded(&["man", dir.to_str().unwrap()]);
    assert_eq!(told.lines().count(), 1 + verbs().len(), "{told}");
    for path in told.lines() {
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page.contains(".SH NAME"), "{path}: {page}");
    }
    let page = std::fs::read_to_string(dir.join("daybook-status.1")).unwrap();
    for variable in [
        "DAYBOOK_LOCAL",
        "DAYBOOK_STACK",
        "DAYBOOK_PER_WINDOW",
        "DAYBOOK_OUTPUT",
    ] {
        assert!(page.contains(variable), "{variable}: {page}");
    }
    for verb in verbs() {
        let page = std::fs::read_to_string(dir.join(format!("daybook-{verb}.1"))).unwrap();
        assert!(page.contains(&format!(".TH daybook-{verb} 1")), "{page}");
        assert!(
            page.contains(".SH NOTES") && !page.contains(".SH EXTRA"),
            "{page}"
        );
    }
    // No page refers to one that is not there.
    let page = std::fs::read_to_string(dir.join("daybook.1")).unwrap();
    let named = page
        .split("daybook\\-")
        .skip(1)
        .filter_map(|rest| rest.split_once("(1)"));
    let named: Vec<String> = named.map(|(name, _)| name.replace('\\', "")).collect();
    assert_eq!(named.len(), verbs().len(), "{named:?}");
    for name in named {
        assert!(dir.join(format!("daybook-{name}.1")).is_file(), "{name}");
    }
    // Again, over what is there.
    let again = succeeded(&["man", dir.to_str().unwrap(), "--output", "json"]);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["pages"].as_array().unwrap().len(), told.lines().count());
    let page = succeeded(&["man"]);
    assert_eq!(page, std::fs::read_to_string(dir.join("daybook.1")).unwrap());
}

#[test]
fn a_folder_that_cannot_be_written() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, stdout, stderr) = run(&mut daybook(&["man", file.to_str().unwrap()]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    let said = stderr.replace(file.to_str().unwrap(), "DIR");
    assert!(
        said.starts_with("error: the manual pages cannot be written to DIR\n"),
        "{said}"
    );
    assert!(
        said.ends_with("hint: give a folder that this user may write\n"),
        "{said}"
    );
}
