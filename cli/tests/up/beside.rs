//! Commands beside a folder's pipeline know how it is set.

use std::path::Path;

use serde_json::Value;

use crate::machine::{Up, until};
use crate::notices::{notification, record};
use crate::stand_in::{daybook, run};

fn beside(dir: &Path, arguments: &[&str]) -> Value {
    let mut command = daybook(arguments);
    command.arg("--local").arg(dir).args(["--output", "json"]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[tokio::test]
async fn ingest_and_show_use_the_source_and_the_attempts_of_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let options = ["--source", "minio-home", "--max-attempts", "2"];
    let mut up = Up::start(&dir, &options).await;
    let body = notification(vec![record("a.json", 1)]).to_string();
    assert_eq!(up.record(body.clone()).await, 1);
    // Whether it runs or not, the same notification is the same event.
    let file = home.path().join("notifications.json");
    let more = notification(vec![record("b.json", 2)]).to_string();
    std::fs::write(&file, body + &more).unwrap();
    let file = file.to_str().unwrap();
    let told = beside(&dir, &["ingest", file]);
    assert_eq!(
        (&told["recorded"], &told["already_there"]),
        (&1.into(), &1.into())
    );
    up.drained().await;
    let told = beside(&dir, &["ingest", file]);
    assert_eq!(
        (&told["recorded"], &told["already_there"]),
        (&0.into(), &2.into())
    );
    let rows = beside(&dir, &["list"]);
    let rows = rows["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(
            (&row["source"], &row["max_attempts"]),
            (&"minio-home".into(), &2.into())
        );
    }
    // A receipt is found under the folder's source.
    let up = Up::start(&dir, &[&options[..], &["--exec", "true"]].concat()).await;
    until("all is done", async || {
        beside(&dir, &["list"])["rows"].as_array().unwrap().is_empty()
    })
    .await;
    up.drained().await;
    let uri = format!("s3://{}/a.json", rows[0]["bucket"].as_str().unwrap());
    let shown = beside(&dir, &["show", &uri]);
    assert_eq!(shown["receipts"][0]["source"], "minio-home");
}
