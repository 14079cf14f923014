//! The console of a running `daybook up`, and canaries that its workers run.

use daybook_schema::Status;
use http::Request;
use http_body_util::Full;
use serde_json::Value;

use crate::machine::{Up, command, ledger, rows, until, until_none_open};
use crate::notices::upload;
use crate::one_process::verb;
use crate::stand_in::run;

/// Fails until that file is there.
const SCRIPT: &str = r#"[ -e "$1" ] && exit 0; echo "no such column" >&2; exit 1"#;

/// `daybook up` with a console, and where that is.
pub async fn with_console(dir: &std::path::Path, options: &[&str]) -> (Up, String) {
    let mut command = command(dir, options);
    command
        .env("DAYBOOK_CONSOLE", "127.0.0.1:0")
        .env("DAYBOOK_BY", "<kim>");
    let mut up = Up::spawn(command);
    up.until_said("SIGTERM drains.").await;
    let said = up.stderr();
    let (before, _) = said.split_once("Ctrl-C or SIGTERM drains.").unwrap();
    let (_, console) = before.split_once("console  ").expect("the console comes first");
    let console = console.lines().next().unwrap().to_owned();
    (up, console)
}

fn redrive(dir: &std::path::Path) -> (i32, Value) {
    let arguments = ["redrive", "--all", "--yes", "--canary", "2", "--output", "json"];
    let (code, stdout, stderr) = run(&mut verb(dir, &arguments));
    let json = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    (code, json)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canaries_are_run_by_its_workers_and_its_console_shows_what_people_did() {
    let home = tempfile::tempdir().unwrap();
    let (dir, fixed) = (home.path().join("data"), home.path().join("fixed"));
    let marker = fixed.to_str().unwrap();
    let options = [
        "--max-attempts",
        "1",
        "--exec",
        "/bin/sh",
        "-c",
        SCRIPT,
        "sh",
        marker,
    ];
    let (mut up, console) = with_console(&dir, &options).await;
    for n in 0..5 {
        assert_eq!(up.record(upload(&format!("key-{n}"), 1)).await, 1);
    }
    let parked = async || {
        let rows = rows(&ledger(&dir)).await;
        rows.iter().filter(|row| row.status == Status::Parked).count()
    };
    until("all have failed", async || parked().await == 5).await;

    let (code, json) = redrive(&dir);
    let canary = &json["canary"];
    assert_eq!(
        (code, &canary["failed"], &canary["went_on"]),
        (1, &2.into(), &false.into()),
        "{json}"
    );
    assert_eq!(parked().await, 5, "three as they were, and the canaries again");
    std::fs::write(&fixed, "").unwrap();
    let (code, json) = redrive(&dir);
    let canary = &json["canary"];
    assert_eq!(
        (code, &canary["succeeded"], &canary["went_on"]),
        (0, &2.into(), &true.into()),
        "{json}"
    );
    assert_eq!(json["outcomes"]["redriven"], 5);
    until_none_open(&ledger(&dir)).await;

    let request = Request::get(format!("{console}/operations"));
    let page = up.client.answer(request.body(Full::default()).unwrap()).await;
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.body;
    assert!(page.contains("value=\"&#60;kim&#62;\""), "who acts there: {page}");
    assert_eq!(
        page.matches("redrive --all --yes --canary 2").count(),
        2,
        "{page}"
    );
    assert!(
        page.contains("stopped after the canaries: 2 of 2 canaries failed"),
        "{page}"
    );
    assert!(
        page.contains("<bdi>kim@busan</bdi>") && page.contains("5 done"),
        "{page}"
    );
}
