//! Recording what is missing, and what is from before the watermark.

use std::collections::BTreeMap;

use daybook_tests::s3::Versioning;
use serde_json::json;

use crate::files::jsonl;
use crate::stand_in::rows::{self, Fixtures};
use crate::stand_in::terminal::on_a_terminal;
use crate::world::{AFTER, Folder, HOSTILE, INSTALLED, Served, every_class};

const LISTED: &str = "ObjectCreated:Listed";

#[test]
fn what_is_missing_is_recorded_once() {
    for versioning in [Versioning::Never, Versioning::Enabled] {
        let (served, folder) = every_class(versioning);
        let file = folder.file("findings.jsonl");
        let (code, stdout, stderr) = folder.audit(&served, &["s3://data", "--repair", "--report", &file]);
        let note = "note: no `daybook up` runs on DIR: the events wait there until one does\n";
        assert_eq!((code, stderr.as_str()), (0, note), "{stdout}");
        assert!(stdout.contains("\nrepaired  2  recorded now\n"), "{stdout}");
        let listed: Vec<String> = folder
            .open()
            .into_iter()
            .filter_map(|(key, event_name)| (event_name == LISTED).then_some(key))
            .collect();
        assert_eq!(listed, [HOSTILE, "out/missing.json"]);
        let lines = jsonl(&file);
        let repaired: Vec<_> = lines.iter().filter(|line| line["class"] == "repaired").collect();
        assert_eq!(repaired.len(), 2);
        assert!(
            repaired.iter().all(|line| line["cause"] == "recorded"),
            "{repaired:?}"
        );
        let (code, json) = folder.json(&served, &["s3://data", "--repair"]);
        assert_eq!((code, &json["missing"], &json["open"]), (0, &json!(0), &json!(4)));
        assert_eq!(json["repair"]["recorded"], json!(0));
        assert_eq!(folder.open().len(), 5);
    }
}

#[test]
fn a_repair_that_cannot_look_again_says_so_and_alarms() {
    let (served, folder) = every_class(Versioning::Never);
    // One HEAD is for the row whose object is gone; the others are the repair's second look.
    served.s3.fail_next("HeadObject", [404, 403, 403]);
    let (code, json) = folder.json(&served, &["s3://data", "--repair"]);
    assert_eq!((code, &json["missing_left"]), (3, &json!(2)), "{json:#}");
    assert_eq!(json["repair"]["not_safe"], json!(2));
    let (code, json) = folder.json(&served, &["s3://data", "--repair"]);
    assert_eq!((code, &json["missing_left"]), (0, &json!(0)));
}

#[test]
fn a_backfill_is_asked_about() {
    let (served, folder) = every_class(Versioning::Never);
    let before = folder.open();
    let (code, stdout, stderr) = folder.audit(&served, &["s3://data", "--backfill"]);
    assert_eq!(code, 1, "{stdout}");
    insta::assert_snapshot!("backfill_refused", stderr);
    assert_eq!(folder.open(), before);
    let (code, json) = folder.json(&served, &["s3://data", "--backfill", "--repair", "--yes"]);
    assert_eq!((code, &json["backfill"]["recorded"]), (0, &json!(1)), "{json:#}");
    let names: BTreeMap<String, String> = folder.open().into_iter().collect();
    assert_eq!(names["old.json"], LISTED);
    let (code, json) = folder.json(&served, &["s3://data", "--backfill", "--repair", "--yes"]);
    assert_eq!(
        (code, &json["before_watermark"], &json["backfill"]),
        (0, &json!(0), &json!(null))
    );
}

#[test]
fn on_a_terminal_it_asks_before_a_backfill() {
    let (served, folder) = every_class(Versioning::Never);
    let before = folder.open();
    let question = "Record 1 object from before the watermark, to be processed? [y/N]";
    let audit = ["s3://data", "--backfill"];
    let (code, shown) = on_a_terminal(folder.command(&served, &audit), "\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains(question), "{shown}");
    assert_eq!(folder.open(), before);
    let (code, shown) = on_a_terminal(folder.command(&served, &audit), "y\n");
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("backfilled"), "{shown}");
    assert_eq!(folder.open().len(), before.len() + 1);
    // What a terminal would obey is in the key, and must not come from there.
    assert!(!shown.contains("\u{1b}[31m"), "{shown:?}");
}

#[test]
fn a_source_that_seems_wrong_is_asked_about() {
    let served = Served::start(Versioning::Never);
    served.put("known.json", "x", AFTER);
    let folder = Folder::with(36_500, async |fixtures: Fixtures<'_>| {
        fixtures.install(INSTALLED).await;
        fixtures.put_row(&rows::row("known.json", 1)).await;
    });
    let audit = ["s3://data", "--source", "minio", "--repair"];
    let (code, stdout, stderr) = folder.audit(&served, &audit);
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!("source_refused", stderr);
    assert_eq!(folder.open().len(), 1);
    let (code, _, stderr) = folder.audit(&served, &[&audit[..], &["--yes"]].concat());
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(folder.open().len(), 2);
}
