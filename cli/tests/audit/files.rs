//! The file of findings.

use std::collections::BTreeMap;

use daybook_tests::s3::Versioning;
use serde_json::{Value, json};

use crate::world::{Folder, HOSTILE, Served, every_class};

/// The lines of a JSONL report.
pub fn jsonl(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines of a CSV report, by column.
pub fn csv(path: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|line| line.unwrap()).collect()
}

#[test]
fn jsonl_has_every_key_as_it_is() {
    let (served, folder) = every_class(Versioning::Never);
    let file = folder.file("findings");
    let (code, _, stderr) = folder.audit(&served, &["s3://data", "--report", &file]);
    assert_eq!(code, 3, "{stderr}");
    let lines = jsonl(&file);
    let classes: Vec<_> = lines.iter().map(|line| (&line["class"], &line["key"])).collect();
    let expected = [
        ("missing", HOSTILE),
        ("open", "in/open.json"),
        ("open", "in/parked.json"),
        ("removed", "in/removed.json"),
        ("too_new", "new/too-new.json"),
        ("before_watermark", "old.json"),
        ("missing", "out/missing.json"),
        ("gone", "in/deleted.json"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(class, key)| (json!(class), json!(key)))
        .collect();
    assert_eq!(
        classes,
        expected
            .iter()
            .map(|(class, key)| (class, key))
            .collect::<Vec<_>>()
    );
    insta::assert_json_snapshot!("jsonl", lines);
}

#[test]
fn csv_has_every_key_as_it_is_and_all_lists_what_is_done() {
    let (served, folder) = every_class(Versioning::Enabled);
    let (lines, table) = (folder.file("lines.jsonl"), folder.file("table.csv"));
    for file in [&lines, &table] {
        let (code, _, stderr) = folder.audit(&served, &["s3://data", "--all", "--report", file]);
        assert_eq!(code, 3, "{stderr}");
    }
    let (lines, table) = (jsonl(&lines), csv(&table));
    assert_eq!(lines.len(), 9);
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let same: Vec<BTreeMap<String, String>> = lines
        .iter()
        .map(|line| line.as_object().unwrap().iter())
        .map(|fields| fields.map(|(name, value)| (name.clone(), text(value))).collect())
        .collect();
    assert_eq!(table, same);
    assert!(
        table
            .iter()
            .any(|line| line["class"] == "done" && !line["version_id"].is_empty())
    );
    assert!(table.iter().any(|line| line["key"] == HOSTILE));
}

#[test]
fn a_report_of_nothing_has_its_header_and_replaces_what_was_there() {
    let served = Served::start(Versioning::Never);
    let folder = Folder::empty();
    let file = folder.file("nothing.txt");
    std::fs::write(&file, "something else".repeat(100)).unwrap();
    let audit = |format: &str| {
        let (code, _, stderr) = folder.audit(&served, &["s3://data", "--report", &file, "--format", format]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        std::fs::read_to_string(&file).unwrap()
    };
    assert_eq!(
        audit("csv"),
        "class,key,version_id,etag,size,last_modified,is_latest,event_id,status,recorded_at,attempt,deliveries,\
         last_error,cause\n"
    );
    assert_eq!(audit("jsonl"), "");
}
