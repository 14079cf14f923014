//! Keys are data, whatever is in them.

use std::collections::BTreeSet;
use std::path::Path;

use daybook_schema::{ExecutionInput, Status};

use crate::machine::{Up, command, counts, ledger, rows, until, until_none_open};
use crate::notices::{events, notification, record};

/// Keys that do harm if anybody takes them for anything else than data. The marker is a file that some would make.
fn hostile(marker: &Path) -> Vec<String> {
    let marker = marker.display();
    let mut keys = vec![
        format!("$(touch {marker})"),
        format!("`touch {marker}`"),
        format!("; touch {marker} #"),
        format!("x' ; touch {marker} ; '"),
        format!("x\" ; touch {marker} ; \""),
        format!("| touch {marker}"),
        format!("&& touch {marker} &"),
        format!("\ntouch {marker}\n"),
        "\r\nHTTP/1.1 200 OK\r\n\r\n".to_owned(),
        "-rf".to_owned(),
        "--help".to_owned(),
        "--".to_owned(),
        "=x".to_owned(),
        "DAYBOOK_KEY=other".to_owned(),
        "../../../../etc/passwd".to_owned(),
        "/".to_owned(),
        ".".to_owned(),
        " ".to_owned(),
        "*?[a]{b,c}~\\ $HOME %s%n%% ${x:?}".to_owned(),
        "\u{1b}]0;title\u{7}\u{1b}[31m".to_owned(),
        "보고서/🚀/é e\u{301}/\u{202e}gpj".to_owned(),
        "\u{feff}\u{0}\u{ffff}".replace('\u{0}', ""),
        "{\"key\": \"other\"}".to_owned(),
        "'; DROP TABLE items; --".to_owned(),
        "a+b%20c%2Bd".to_owned(),
        "k".repeat(1024),
        "🚀".repeat(256),
    ];
    keys.extend((1..32u8).map(|control| format!("control{}", char::from(control))));
    keys
}

#[tokio::test]
async fn hostile_keys_reach_the_command_as_data_and_nothing_else_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let home = |name: &str| folder.path().join(name);
    for name in ["results", "cwd"] {
        std::fs::create_dir(home(name)).unwrap();
    }
    let keys = hostile(&home("marker"));
    let records = keys.iter().zip(1..).map(|(key, n)| record(key, n)).collect();
    let body = notification(records).to_string();
    let events = events(&body);
    assert_eq!(events.len(), keys.len());

    let script = r#"printf %s "$DAYBOOK_KEY" > "$1/$DAYBOOK_ID.env"; cat > "$1/$DAYBOOK_ID.json""#;
    let results = home("results");
    let options = ["--exec", "/bin/sh", "-c", script, "sh", results.to_str().unwrap()];
    let mut command = command(&home("data"), &options);
    command.current_dir(home("cwd"));
    let mut up = Up::spawn(command);
    assert_eq!(up.record(body).await, keys.len() as u64);
    until_none_open(&ledger(&home("data"))).await;

    for (event, key) in events.iter().zip(&keys) {
        let read =
            |form: &str| std::fs::read_to_string(results.join(format!("{}.{form}", event.id))).unwrap();
        assert_eq!(read("env"), *key);
        let input: ExecutionInput = serde_json::from_str(&read("json")).unwrap();
        assert_eq!(input.key.as_str(), key);
        assert_eq!((input.bucket.as_str(), input.attempt.0), ("data", 1));
    }
    assert_eq!(std::fs::read_dir(&results).unwrap().count(), 2 * keys.len());
    assert_eq!(std::fs::read_dir(home("cwd")).unwrap().count(), 0);
    let made: BTreeSet<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(made, ["cwd", "data", "results"].map(Into::into).into());
    let said = up.stderr();
    assert!(!said.contains('\u{1b}') && !said.contains('\u{7}'), "{said}");
    assert_eq!(up.drained().await["worker"]["completed"], keys.len());
}

#[tokio::test]
async fn a_key_that_no_environment_can_hold_waits_for_a_person_and_nothing_is_run_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--max-attempts", "1", "--exec", "/bin/sh", "-c", "exit 0"];
    let mut up = Up::start(folder.path(), &options).await;
    let body = notification(vec![record("a\0b", 1), record("c", 2)]).to_string();
    assert_eq!(up.record(body).await, 2);
    let ledger = ledger(folder.path());
    until("one is done and one is parked", async || {
        counts(&ledger).await == [0, 0, 1]
    })
    .await;
    let row = rows(&ledger).await.remove(0);
    assert_eq!(
        (row.status, row.event().unwrap().key.as_str()),
        (Status::Parked, "a\0b")
    );
    assert!(
        row.last_error
            .unwrap()
            .starts_with("DAYBOOK_KEY would have a NUL")
    );
    let worker = up.drained().await["worker"].clone();
    assert_eq!((&worker["completed"], &worker["failed"]), (&1.into(), &1.into()));
}
