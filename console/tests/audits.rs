//! What was audited and what doctor finds, as pages.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

mod world;

use axum::http::{StatusCode, header};
use daybook_inspect::audits::KeptAudit;
use serde_json::{Value, json};
use world::{HOSTILE, World, get};

/// A text as a page has it.
fn html(text: &str) -> String {
    let text = daybook_inspect::wording::escape::escaped(text).replace('&', "&#38;");
    let text = text.replace('<', "&#60;").replace('>', "&#62;");
    text.replace('"', "&#34;").replace('\'', "&#39;")
}

fn tally(done: u64, missing: u64) -> Value {
    json!({
        "objects": done + missing, "bytes": 10, "done": done, "removed": 0, "open": 0, "too_new": 0, "missing": missing,
        "before_watermark": 0, "changed": 0, "unknown": 0, "may_wait": 0,
    })
}

fn with(mut one: Value, other: Value) -> Value {
    one.as_object_mut()
        .unwrap()
        .extend(other.as_object().unwrap().clone());
    one
}

/// An audit whose prefixes, failures and missing keys are hostile.
fn hostile() -> KeptAudit {
    let lines = HOSTILE.iter().map(|key| {
        let line = json!({"prefix": format!("{key}/"), "day": "2026-11-20", "complete": false});
        with(line, tally(3, 1))
    });
    let missing = HOSTILE.iter().map(|key| {
        json!({"key": format!("{key}/a"), "version_id": null, "etag": null, "size": 1, "last_modified": "2026-11-20T10:00:00Z",
            "is_latest": true})
    });
    let missing: Vec<Value> = missing.collect();
    let report = json!({
        "statement": lines.collect::<Vec<_>>(), "failures": [HOSTILE[0]], "report": HOSTILE[1], "gone": 0, "unreadable": 0,
        "repair": null,
    });
    let kept = json!({
        "brief": {
            "id": "2026-11-21T003000.123Z", "began_at": "2026-11-21T00:30:00.123Z", "ended_at": "2026-11-21T00:31:00Z",
            "source": "aws", "bucket": "data", "prefix": HOSTILE[0], "finished": true, "complete": false, "objects": 5000,
            "missing_left": 1207, "unknown": 0, "may_wait": 0,
        },
        "report": with(report, tally(3793, 1207)),
        "missing": missing,
    });
    serde_json::from_value(kept).unwrap()
}

#[tokio::test]
async fn an_audit_is_shown_as_a_grid_with_what_is_missing_and_its_keys_are_texts() {
    let world = World::with_audits(vec![hostile()]).await;
    let (status, _, page) = world.ask(get("/audit")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("1,207 of 5,000 objects are missing"), "{page}");
    assert_eq!(page.matches(">1 missing</td>").count(), HOSTILE.len(), "{page}");
    assert!(
        page.contains("<th scope=\"col\" class=\"n\">2026-11-20</th>"),
        "{page}"
    );
    assert!(page.contains("1,200 more are missing"), "{page}");
    assert!(page.contains("data/audits"), "{page}");
    for wrong in ["<script>alert", "<img", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(wrong), "{wrong:?}");
    }
    let (_, headers, json) = world.ask(get("/audit.json?id=2026-11-21T003000.123Z")).await;
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(serde_json::from_str::<KeptAudit>(&json).unwrap(), hostile());
    // Field by field.
    let json: Value = serde_json::from_str(&json).unwrap();
    let report = &json["report"];
    for (name, n) in [("done", "3,793"), ("missing", "1,207")] {
        assert_eq!(report[name].to_string(), n.replace(',', ""));
        assert!(
            page.contains(&format!("<dt>{name}</dt><dd>{n}</dd>")),
            "{name}: {page}"
        );
    }
    let texts = report["statement"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["prefix"].as_str().unwrap());
    let missing = json["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["key"].as_str().unwrap());
    for text in texts.chain(missing).chain([HOSTILE[0], HOSTILE[1]]) {
        let shown = html(text);
        assert!(page.contains(&shown), "{shown}: {page}");
    }
    let (_, headers, csv) = world.ask(get("/audit.csv")).await;
    assert_eq!(
        headers[header::CONTENT_DISPOSITION],
        "attachment; filename=\"audit-2026-11-21T003000.123Z.csv\""
    );
    assert!(csv.starts_with("prefix,day,complete,objects"), "{csv}");
    assert!(csv.contains("2026-11-20,false,4,10,3,0,0,0,1,0,0,0,0"), "{csv}");
    for route in ["/audit.json?id=2026-11-21T003000.999Z", "/audit.csv?id=.."] {
        assert_eq!(world.ask(get(route)).await.0, StatusCode::NOT_FOUND, "{route}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_said_to_be_so() {
    let world = World::new().await;
    let (_, _, page) = world.ask(get("/audit")).await;
    assert!(page.contains("No audit of this deployment is kept yet"), "{page}");
    let (_, _, page) = world.ask(get("/")).await;
    assert!(page.contains("Not looked at yet."), "{page}");
    assert_eq!(world.ask(get("/audit.json")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn findings_and_the_last_audit_are_on_now_and_looking_writes_nothing() {
    let world = World::with_audits(vec![hostile()]).await;
    world::park(&world.stage, "a").await;
    let before = world.stage.wire.operations();
    let (_, _, doctor) = world.ask(get("/doctor.json")).await;
    let doctor: Value = serde_json::from_str(&doctor).unwrap();
    let checks = doctor["checks"].as_array().unwrap();
    let parked = checks.iter().find(|check| check["check"] == "parked").unwrap();
    assert_ne!(parked["level"], "ok", "{parked}");
    let (_, _, page) = world.ask(get("/")).await;
    assert!(page.contains("1,207 of 5,000 objects are missing"), "{page}");
    let banner = page.find("The last audit of s3://data/").unwrap();
    assert!(banner < page.find("Open events").unwrap(), "{page}");
    let finding = daybook_inspect::wording::escape::escaped(parked["finding"].as_str().unwrap());
    assert!(page.contains(&finding), "{finding}: {page}");
    for (operation, count) in world.stage.wire.operations() {
        let is_read = ["Query", "Scan", "GetItem", "BatchGetItem"]
            .iter()
            .any(|read| operation.ends_with(read));
        assert!(is_read || before.get(&operation) == Some(&count), "{operation}");
    }
}
