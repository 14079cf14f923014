//! A page is served from many threads: what it asks has to be able to go from one to another.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use daybook_inspect::checks::deployment;
use daybook_inspect::checks::flow::Configured;
use daybook_inspect::lookup::history;
use daybook_inspect::lookup::list::{Which, list};
use daybook_inspect::parts::Parts;
use daybook_inspect::rate::Rate;
use daybook_inspect::status::observe::gather;
use daybook_inspect::why::observe::{Question, observe};
use daybook_schema::SourceName;
use daybook_tests::stage::Stage;

/// Its result. That it can be called is what is asked.
async fn from_any_thread<T>(asked: impl Future<Output = T> + Send) -> T {
    asked.await
}

#[tokio::test(start_paused = true)]
async fn what_a_page_asks_can_be_asked_from_any_thread() {
    let stage = Stage::usual().await;
    let (queue, executions) = (stage.queue(), stage.executions());
    let parts = Parts {
        ledger: &stage.ledger,
        queue: Some(&queue),
        executions: Some(&executions),
        source: SourceName::default(),
        folder: None,
    };
    let which = Which {
        status: None,
        limit: 50,
        after: None,
        filter: None,
    };
    let listed = from_any_thread(list(parts.ledger, which)).await;
    assert!(listed.rows.is_empty() && listed.failures.is_empty());
    let found = from_any_thread(gather(&parts, None, Rate::default(), Rate::default())).await;
    assert!(found.failures().is_empty());
    let what = "s3://data/a".parse().unwrap();
    let question = Question {
        what: &what,
        source: None,
        scan_receipts: false,
        per_window: None,
        rate: Rate::default(),
        event: None,
        s3: Err("S3 is not asked".to_owned()),
        intake: None,
    };
    let seen = from_any_thread(observe(&parts, &question)).await.unwrap();
    assert!(seen.open.is_empty());
    let id = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11".parse().unwrap();
    let found = from_any_thread(history::event(&parts, id, true)).await.unwrap();
    assert!(found.open.is_empty() && found.receipts.is_empty());
    let configured = Configured {
        per_window: 10,
        window: Duration::from_secs(60),
        lease: Duration::from_secs(3600),
        batching: None,
        max_in_flight: None,
    };
    let checks = from_any_thread(deployment::of_folder(&parts, Rate::default(), configured)).await;
    assert!(!checks.is_empty());
}
