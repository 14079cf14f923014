//! The log of what people did with a folder: who, when, what, why, how many.

use daybook_inspect::operate::log::{self, Entry};

use crate::world::Local;

fn kept(local: &Local) -> Vec<Entry> {
    let file = std::path::Path::new(local.path()).join("people.jsonl");
    log::read(&std::fs::read_to_string(file).unwrap_or_default())
}

#[test]
fn what_people_do_is_kept_beside_the_ledger_with_who_and_why() {
    let local = Local::new();
    local.json(&["list"]);
    local.json(&["redrive", "--prefix", "parked", "--dry-run"]);
    assert!(kept(&local).is_empty(), "nobody did anything");
    local.json(&[
        "redrive",
        "--prefix",
        "parked",
        "--yes",
        "--why",
        "the column is there",
    ]);
    local.json(&["pause", "--why", "a release"]);
    local.json(&["resume", "--why", "it is out", "--by", "lee"]);
    local.json(&["set", "--per-window", "7"]);
    let kept = kept(&local);
    let whys: Vec<(&str, Option<&str>)> = kept
        .iter()
        .map(|entry| (entry.by.as_str(), entry.why.as_deref()))
        .collect();
    assert_eq!(
        whys,
        [
            ("kim@busan", None),
            ("lee", Some("it is out")),
            ("kim@busan", Some("a release")),
            ("kim@busan", Some("the column is there")),
        ]
    );
    assert_eq!(
        (kept[0].what.as_str(), kept[1].what.as_str()),
        ("set 7 per window", "resume")
    );
    assert!(
        kept[3].what.starts_with("redrive --prefix parked --yes "),
        "{}",
        kept[3].what
    );
    assert_eq!(kept[3].rows.unwrap().words(), "1 done");
    assert!(
        kept.iter()
            .all(|entry| entry.ended.as_deref() == Some("done") && !entry.in_console)
    );
}
