//! More events than may wait.

use crate::gate::Gate;
use crate::machine::{Up, counts, ledger, until, until_none_open};
use crate::notices::{notification, record, upload};

#[tokio::test]
async fn over_the_backlog_senders_are_told_to_come_again_and_may_once_it_is_smaller() {
    let folder = tempfile::tempdir().unwrap();
    let (data, gate) = (folder.path().join("data"), Gate::new(folder.path()));
    let options = gate.options(&["--max-backlog", "5", "--admission", "reject"]);
    let mut up = Up::start(&data, &options).await;
    let mut accepted = 0;
    let refused = loop {
        let answer = up.post(upload("key", accepted)).await;
        if answer.status != 200 {
            break answer;
        }
        accepted += 1;
        assert!(accepted <= 5, "more than may wait");
    };
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1")),
        "{refused:?}"
    );
    assert!(
        refused.json()["error"]
            .as_str()
            .unwrap()
            .contains("--max-backlog")
    );
    let ledger = ledger(&data);
    until("what was accepted, and nothing else, is on its way", async || {
        let [pending, claimed, parked] = counts(&ledger).await;
        (pending + claimed, parked) == (accepted, 0)
    })
    .await;
    up.until_said("the backlog is at its limit; senders are asked to retry")
        .await;

    gate.open();
    until_none_open(&ledger).await;
    until("it takes events again", async || {
        up.post(upload("key", accepted)).await.status == 200
    })
    .await;
    until_none_open(&ledger).await;
    assert_eq!(up.drained().await["worker"]["completed"], accepted + 1);
}

#[tokio::test]
async fn over_the_backlog_a_buffer_takes_all_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (data, gate) = (folder.path().join("data"), Gate::new(folder.path()));
    let options = gate.options(&["--max-backlog", "2", "--admission", "buffer"]);
    let mut up = Up::start(&data, &options).await;
    for n in 0..10 {
        let two = notification(vec![record("a", 2 * n), record("b", 2 * n + 1)]);
        assert_eq!(up.record(two.to_string()).await, 2);
    }
    up.until_said("the backlog is at its limit; events are still accepted")
        .await;
    gate.open();
    let ledger = ledger(&data);
    until_none_open(&ledger).await;
    assert_eq!(up.drained().await["worker"]["completed"], 20);
}
