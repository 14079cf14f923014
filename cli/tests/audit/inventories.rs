//! `daybook audit --inventory`: what it says, in which order, and what it refuses.

use std::collections::BTreeMap;

use daybook_tests::s3::{Form, Inventory, Versioning};
use serde_json::{Value, json};

use crate::files::csv;
use crate::stand_in::rows::at;
use crate::stand_in::run;
use crate::world::{AFTER, BUCKET, Folder, Served, every_class};

const DESTINATION: &str = "inventories";
const MADE: &str = "2020-02-01T00:00:00Z";

/// An inventory that S3 began at that time, of all that is in the bucket now; where its manifest is.
fn written(served: &Served, form: Form, all_versions: bool) -> String {
    let mut inventory = Inventory::new(form, all_versions, at(MADE));
    inventory.files = 2;
    let key = served.s3.write_inventory(BUCKET, DESTINATION, &inventory);
    format!("s3://{DESTINATION}/{key}")
}

fn sorted(file: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = csv(file);
    lines.sort();
    lines
}

#[test]
fn an_inventory_in_a_table() {
    let (served, folder) = every_class(Versioning::Never);
    let manifest = written(&served, Form::Csv, false);
    let (code, stdout, stderr) = folder.audit(&served, &["s3://data", "--inventory", &manifest]);
    assert_eq!(code, 3, "{stderr}");
    insta::assert_snapshot!("inventory_table", stdout + "----\n" + &stderr);
}

#[test]
fn an_inventory_in_json() {
    let (served, folder) = every_class(Versioning::Enabled);
    let manifest = written(&served, Form::Parquet(3), true);
    let all = ["s3://data", "--inventory", &manifest, "--depth", "0"];
    let (code, mut json) = folder.json(&served, &all);
    assert_eq!(code, 3);
    json["seconds"] = json!("SECONDS");
    json["s3"] = json!("S3");
    json["where"] = json!("folder DIR");
    insta::assert_json_snapshot!("inventory_json", json);
}

#[test]
fn a_report_is_that_of_a_listing_but_for_what_is_newer() {
    for versioning in [Versioning::Never, Versioning::Enabled] {
        let (served, folder) = every_class(versioning);
        let listed = folder.file("listed.csv");
        folder.json(&served, &["s3://data", "--until", MADE, "--report", &listed]);
        for form in [Form::Csv, Form::Parquet(2)] {
            let manifest = written(&served, form, versioning != Versioning::Never);
            let report = folder.file("inventory.csv");
            let audit = ["s3://data", "--inventory", &manifest, "--report", &report];
            let (_, json) = folder.json(&served, &audit);
            assert_eq!((&json["outside"], &json["failures"]), (&json!(1), &json!([])));
            assert_eq!(sorted(&report), sorted(&listed), "{versioning:?} {form:?}");
        }
    }
}

#[test]
fn a_copy_in_a_folder_is_read_as_well() {
    let (served, folder) = every_class(Versioning::Never);
    let manifest = written(&served, Form::Csv, false);
    let (_, from_bucket) = folder.json(&served, &["s3://data", "--inventory", &manifest]);
    // As `aws s3 sync` copies a bucket.
    for key in served.s3.keys(DESTINATION) {
        let path = std::path::PathBuf::from(folder.file("copy")).join(&key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, served.s3.file(DESTINATION, &key).unwrap()).unwrap();
    }
    let copied = folder.file("copy/data/daily/now/manifest.json");
    let (code, json) = folder.json(&served, &["s3://data", "--inventory", &copied]);
    assert_eq!((code, &json["inventory"]), (3, &json!(copied)));
    for name in [
        "objects",
        "done",
        "open",
        "missing",
        "gone",
        "statement",
        "inventory_at",
    ] {
        assert_eq!(json[name], from_bucket[name], "{name}");
    }
    std::fs::remove_file(folder.file("copy/data/daily/data/1.csv.gz")).unwrap();
    let (code, json) = folder.json(&served, &["s3://data", "--inventory", &copied]);
    assert_eq!((code, &json["finished"]), (1, &json!(false)));
    let said = json["failures"][0].as_str().unwrap();
    assert!(said.contains("1.csv.gz cannot be read: it is neither"), "{said}");
}

#[test]
fn slices_by_an_inventory_add_up_and_are_repaired() {
    for form in [Form::Csv, Form::Parquet(2)] {
        let (served, folder) = every_class(Versioning::Never);
        let manifest = written(&served, form, false);
        let (whole, sliced) = (folder.file("whole.csv"), folder.file("sliced.csv"));
        let (_, all) = folder.json(
            &served,
            &["s3://data", "--inventory", &manifest, "--report", &whole],
        );
        let checkpoint = folder.file("checkpoint");
        let slice = [
            "s3://data",
            "--inventory",
            &manifest,
            "--limit",
            "2",
            "--report",
            &sliced,
            "--checkpoint",
            &checkpoint,
        ];
        let mut last = Value::Null;
        let mut runs = 0;
        while last["finished"] != json!(true) {
            last = folder.json(&served, &slice).1;
            runs += 1;
            assert!(runs < 10, "{last:#}");
        }
        assert!(runs > 3, "{runs}");
        for name in [
            "objects",
            "done",
            "open",
            "missing",
            "gone",
            "outside",
            "statement",
        ] {
            assert_eq!(last[name], all[name], "{name}");
        }
        assert_eq!(sorted(&sliced), sorted(&whole));
        let repair = ["s3://data", "--inventory", &manifest, "--repair"];
        let (code, json) = folder.json(&served, &repair);
        assert_eq!((code, &json["repair"]["recorded"]), (0, &json!(2)));
        let (code, json) = folder.json(&served, &repair);
        assert_eq!((code, &json["missing"]), (0, &json!(0)));
        let backfill = ["s3://data", "--inventory", &manifest, "--backfill", "--yes"];
        let (code, json) = folder.json(&served, &backfill);
        assert_eq!((code, &json["backfill"]["recorded"]), (0, &json!(1)));
    }
}

#[test]
fn inventories_that_are_of_no_use_say_what_to_do() {
    let (served, folder) = (Served::start(Versioning::Never), Folder::empty());
    served.put("a", "a", AFTER);
    let manifest = written(&served, Form::Csv, false);
    let mut told = String::new();
    let mut say = |arguments: &[&str], expected: i32| {
        let (code, stdout, stderr) = folder.audit(&served, arguments);
        assert_eq!((code, stdout.as_str()), (expected, ""), "{arguments:?}\n{stderr}");
        told += &format!("{stderr}----\n");
    };
    let data = |manifest: &'static str| ["s3://data", "--inventory", manifest];
    say(&data("s3://inventories"), 2);
    say(&data("http://inventories/manifest.json"), 2);
    say(&data("s3://inventories/no/manifest.json"), 1);
    say(&data("s3://nowhere/manifest.json"), 1);
    say(&data("no/such/manifest.json"), 1);
    say(&["s3://other", "--inventory", &manifest], 1);
    say(&["s3://data", "--inventory", &manifest, "--versions", "all"], 1);
    let file = "data/daily/data/0.csv.gz";
    served.s3.put_file(DESTINATION, file, b"cut");
    say(&["s3://data", "--inventory", &manifest], 1);
    let text = served.s3.content(DESTINATION, "data/daily/now/manifest.json");
    let orc = text.unwrap().replace("\"CSV\"", "\"ORC\"");
    served.s3.put_manifest(DESTINATION, "data/daily/now", &orc);
    say(&["s3://data", "--inventory", &manifest], 1);
    // How small gzip makes a file is its own affair.
    let (start, rest) = told.split_once("by the manifest it has ").unwrap();
    let (_, end) = rest.split_once('\n').unwrap();
    let told = format!("{start}by the manifest it has SO MANY\n{end}");
    insta::assert_snapshot!("inventory_errors", told);
}

#[test]
fn fields_that_can_be_done_without_are_noted() {
    let (served, folder) = (Served::start(Versioning::Enabled), Folder::empty());
    let version = served.put("a", "a", AFTER);
    let mut inventory = Inventory::new(Form::Csv, true, at(MADE));
    inventory.without = vec!["ETag", "Size"];
    let key = served.s3.write_inventory(BUCKET, DESTINATION, &inventory);
    let manifest = format!("s3://{DESTINATION}/{key}");
    let (code, json, stderr) = {
        let audit = ["s3://data", "--inventory", &manifest, "--output", "json"];
        let (code, stdout, stderr) = run(&mut folder.command(&served, &audit));
        (code, serde_json::from_str::<Value>(&stdout).unwrap(), stderr)
    };
    assert_eq!((code, &json["missing"]), (3, &json!(1)), "{stderr}");
    assert_eq!(json["sample"][0]["version_id"], json!(version.id));
    insta::assert_snapshot!(stderr, @"
    note: the inventory has no field ETag: versions are told apart by their ids, and objects from before versioning may be unknown
    note: the inventory has no field Size: bytes are not counted
    error: 1 object is missing: neither done nor in the ledger
      hint: --repair records them, so that they are processed; --report FILE names them all
    ");
}
