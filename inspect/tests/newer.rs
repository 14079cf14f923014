//! What a newer release wrote waits for that release, however long: how old this release's backlog is does not follow from it.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use daybook_inspect::activity::Activity;
use daybook_inspect::activity::slots::Ends;
use daybook_inspect::parts::{LocalFolder, Parts};
use daybook_inspect::rate::Rate;
use daybook_inspect::status::observe::gather;
use daybook_schema::{SourceName, Status};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::{newer_item, row_in};
use daybook_tests::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

/// The pace of the backlog as `status` sees it, where ten runs ended in each of the last 120 seconds.
async fn pace(stage: &Stage) -> Option<f64> {
    let now = stage.now();
    let mut activity = Activity::begin(1, now.minus(SECOND * 120), None);
    for second in (1..=120).rev() {
        let ends = Ends {
            done: 10,
            ..Ends::default()
        };
        activity.count(now.minus(SECOND * second), ends);
    }
    let parts = Parts {
        ledger: &stage.ledger,
        queue: None,
        executions: None,
        source: SourceName::default(),
        folder: Some(LocalFolder {
            path: Path::new("folder"),
            running: None,
            activity: Some(&activity),
            trouble: None,
        }),
    };
    let found = gather(&parts, None, Rate::default(), Rate::default()).await;
    assert!(found.failures().is_empty());
    found.limits.pace
}

#[tokio::test(start_paused = true)]
async fn a_newer_releases_row_does_not_make_a_backlog_older() {
    let stage = Stage::usual().await;
    let due = |key, ago| {
        let upload = Upload::new(key, 1, "e");
        row_in(Status::Pending, &upload, stage.now().minus(SECOND * ago))
    };
    stage.put_items("ledger", vec![newer_item(&due("newer.json", 600))]);
    stage.put_rows([&due("own.json", 3)]);
    assert_eq!(pace(&stage).await, None, "of three seconds nothing is known yet");
    stage.put_rows([&due("older.json", 90)]);
    assert_eq!(pace(&stage).await, Some(10.0));
}
