//! The control item of a release that keeps no history of grants, before the upgrade and after a roll back.

use std::time::Duration;

use daybook_ledger::{Asker, Grant, GrantRequest, Window};
use daybook_tests::Stage;
use daybook_tests::rows::item;
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);

async fn granted(stage: &Stage, wanted: u32) {
    let request = GrantRequest {
        window: Window::at(stage.now(), MINUTE),
        per_window: 50,
        wanted,
        asker: Asker::Scheduler,
    };
    let seen = stage.ledger.control().await.unwrap();
    let grant = stage.ledger.grant(&request, seen).await.unwrap();
    assert_eq!(grant, Grant::Granted(wanted));
}

/// As a release without a history writes it: whatever else is there stays.
async fn granted_by_the_other(stage: &Stage, granted: u32, granted_before: u32) {
    let update = json!({
        "TableName": "ledger", "Key": {"id": {"S": "control"}},
        "UpdateExpression": "SET #window = :window, window_millis = :millis, granted = :granted, \
            granted_before = :before, grant_token = :token",
        "ExpressionAttributeNames": {"#window": "window"},
        "ExpressionAttributeValues": {
            ":window": {"S": Window::at(stage.now(), MINUTE).start.to_string()}, ":millis": {"N": "60000"},
            ":granted": {"N": granted.to_string()}, ":before": {"N": granted_before.to_string()},
            ":token": {"S": format!("of the other {granted}")},
        },
    });
    let answer = stage
        .aws
        .handle("DynamoDB_20120810.UpdateItem", update.to_string().as_bytes())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn windows(stage: &Stage) -> Option<Vec<Option<u16>>> {
    let control = stage.ledger.control().await.unwrap();
    let windows = control.granted_windows(stage.now());
    windows.map(|windows| windows.granted)
}

#[tokio::test(start_paused = true)]
async fn the_history_begins_with_the_first_window_that_this_release_grants_in() {
    let stage = Stage::usual().await;
    granted_by_the_other(&stage, 20, 7).await;
    assert_eq!(windows(&stage).await, None);
    // Half of this window is the other release's, as far as its item says.
    granted(&stage, 5).await;
    assert_eq!(windows(&stage).await, None);
    stage.pass(MINUTE).await;
    granted(&stage, 9).await;
    stage.pass(MINUTE).await;
    assert_eq!(windows(&stage).await, Some(vec![Some(9), Some(0)]));
}

#[tokio::test(start_paused = true)]
async fn after_a_roll_back_and_an_upgrade_nothing_is_said_of_windows_between_them() {
    let stage = Stage::usual().await;
    for wanted in [1, 2, 3] {
        granted(&stage, wanted).await;
        stage.pass(MINUTE).await;
    }
    for wanted in [4, 5] {
        granted_by_the_other(&stage, wanted, 0).await;
        stage.pass(MINUTE).await;
    }
    // A console of this release beside schedulers of the other.
    let since = [Some(1), None, None, None, None, Some(0)];
    assert_eq!(windows(&stage).await, Some(since.to_vec()));
    granted(&stage, 6).await;
    let since = [Some(1), None, None, None, None, Some(6)];
    assert_eq!(windows(&stage).await, Some(since.to_vec()));
}

/// A later release may keep it in another form.
#[tokio::test(start_paused = true)]
async fn a_history_of_a_form_that_is_not_known_is_begun_anew_and_stops_nothing() {
    for strange in [
        json!({"B": "AgAAAA=="}),
        json!({"S": "text"}),
        json!({"M": {}}),
        json!({"L": [{"N": "1"}]}),
    ] {
        let stage = Stage::usual().await;
        let mut control = item(json!({"id": "control"}));
        control["history"] = strange.clone();
        stage.put_items("ledger", vec![control]);
        granted(&stage, 5).await;
        assert_eq!(windows(&stage).await, Some(vec![Some(5)]), "{strange}");
    }
}
