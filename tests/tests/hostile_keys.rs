//! Object keys are chosen by strangers.

use std::sync::Arc;
use std::time::Duration;

use daybook_local::{Outcome, StartedExecution, Target};
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;
use futures::future::BoxFuture;
use serde_json::Value;

struct Works;

impl Target for Works {
    fn run(&self, _: StartedExecution) -> BoxFuture<'static, Outcome> {
        Box::pin(async { Outcome::Succeeded { output: "{}".into() } })
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_key_is_it_reaches_the_execution_and_holds_nobody_up() {
    let stage = Stage::usual().await;
    stage
        .aws
        .executions()
        .set_target(&stage.state_machine, Arc::new(Works));
    let keys: Vec<String> = [
        "a b+c%20d",
        "보고서/2026년.csv",
        "🚀/\u{1}\u{7f}\n\t\r",
        "\u{ffff}/\u{fffe}",
        "$(rm -rf /); `id` | tee & \"'\\",
        "../../etc/passwd",
        "{\"id\": \"control\"}",
        "\u{202e}gpj.exe",
        "%2525",
        " ",
    ]
    .iter()
    .map(|key| (*key).to_owned())
    .chain([
        "k".repeat(1024),
        "é".repeat(512),
        "\u{1}".repeat(1024),
        "\u{ffff}".repeat(341),
    ])
    .collect();
    let uploads: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| Upload::new(key, n as u64, "e").notification())
        .collect();
    stage.ingest_all(&uploads).await;
    let report = stage
        .scheduler()
        .run(stage.window(), stage.deadline())
        .await
        .unwrap();
    assert_eq!((report.sent as usize, &report.failures), (keys.len(), &vec![]));
    while stage.pump_invoke().await != Some(0) {}
    stage.pass(Duration::from_secs(1)).await;
    while stage.pump_complete().await != Some(0) {}

    let mut reached: Vec<String> = stage
        .aws
        .executions()
        .all()
        .iter()
        .map(|one| {
            serde_json::from_str::<Value>(&one.input).unwrap()["key"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let mut sent = keys.clone();
    reached.sort();
    sent.sort();
    assert_eq!(reached, sent);
    let left = stage.ledger.open_rows().next().await.unwrap().unwrap();
    assert!(left.is_empty(), "all rows are gone: {left:?}");
}
