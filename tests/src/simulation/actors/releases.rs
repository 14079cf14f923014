//! A newer release and back: some rows stay as it wrote them, until it is there again, or for as long as anything else is open.

use std::time::Duration;

use daybook_schema::{BATCH_ROW_VERSION, GENERAL_ROW_VERSION, NEWEST_ROW_VERSION, ROW_VERSION, Status};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Cast;
use super::misfortune::past_the_wire;
use crate::simulation::checker::scan;
use crate::simulation::scenario::PER_WINDOW;

/// The version of rows that stay a newer release's.
const STRANGE: u32 = NEWEST_ROW_VERSION + 7;

/// Rows become a newer release's now and then, and are again of this one hours later; all of them when the faults stop.
pub(super) async fn newer_rows(cast: Cast) {
    if !cast.scenario.has("newer_row") {
        return;
    }
    let mut rng = cast.chaos.stream("releases");
    while cast.chaos.is_on() {
        tokio::time::sleep(Duration::from_secs(1800 + rng.u64(0..3600))).await;
        for row in scan(&cast.stage, "ledger").await {
            let is_back = rng.u8(0..3) == 0;
            if is_of(&row, NEWEST_ROW_VERSION + 1) {
                if is_back {
                    write(&cast, &row, own_version(&row)).await;
                }
            } else if row.get("status").is_some() && !is_newer(&row) && cast.chaos.strikes("newer_row") {
                write(&cast, &row, NEWEST_ROW_VERSION + 1).await;
            }
        }
    }
    for row in scan(&cast.stage, "ledger").await {
        if is_of(&row, NEWEST_ROW_VERSION + 1) {
            write(&cast, &row, own_version(&row)).await;
        }
    }
}

/// More rows than N come to stand before all others in the index, in a form that this release has never seen. They stay until the
/// checker has seen that they hide none.
pub(super) async fn strangers(cast: Cast) {
    if !cast.scenario.has("stranger_rows") || !cast.chaos.strikes("stranger_rows") {
        return;
    }
    let mut rng = cast.chaos.stream("strangers");
    tokio::time::sleep(Duration::from_secs(rng.u64(0..cast.scenario.span.as_secs()))).await;
    for (status, rows) in [
        (Status::Pending, 2 * PER_WINDOW + 4),
        (Status::Claimed, 2 * PER_WINDOW + 4),
        (Status::Parked, 3),
    ] {
        for _ in 0..rows {
            let id = Uuid::from_u128(rng.u128(..));
            let shard = id.as_bytes()[15] % 16;
            let row = json!({
                "id": {"S": id.to_string()}, "v": {"N": STRANGE.to_string()}, "status": {"S": status.as_str()},
                "status_shard": {"S": format!("{status}#{shard}")}, "due_at": {"S": "2020-02-20T20:20:20.020Z"},
                "novelty": {"M": {"attempt": {"N": "1"}, "steps": {"L": [{"S": "one"}]}}},
            });
            past_the_wire(&cast, "PutItem", &json!({"TableName": "ledger", "Item": row})).await;
            cast.shadows.lock().newer.insert(id.to_string());
            cast.world.lock().strangers.insert(id.to_string(), row);
        }
    }
    cast.line(|| "rows of a newer release stand before all others".to_owned());
}

/// Whether a stored row is of a newer release.
pub(crate) fn is_newer(row: &Value) -> bool {
    is_of(row, NEWEST_ROW_VERSION + 1) || is_of(row, STRANGE)
}

/// The version that this release gives such a row.
fn own_version(row: &Value) -> u32 {
    let single = match row.get("cloud_event") {
        Some(_) => GENERAL_ROW_VERSION,
        None => ROW_VERSION,
    };
    match row.get("batch") {
        Some(_) => single + (BATCH_ROW_VERSION - ROW_VERSION),
        None => single,
    }
}

fn is_of(row: &Value, version: u32) -> bool {
    row["v"]["N"] == json!(version.to_string())
}

async fn write(cast: &Cast, row: &Value, version: u32) {
    let id = row["id"]["S"].as_str().unwrap_or_default().to_owned();
    let request = json!({
        "TableName": "ledger", "Key": {"id": row["id"]},
        "UpdateExpression": "SET v = :v", "ConditionExpression": "attribute_exists(id)",
        "ExpressionAttributeValues": {":v": {"N": version.to_string()}},
    });
    past_the_wire(cast, "UpdateItem", &request).await;
    cast.line(|| format!("row {id:?} is of version {version}"));
    let newer = &mut cast.shadows.lock().newer;
    match version > NEWEST_ROW_VERSION {
        true => newer.insert(id),
        false => newer.remove(&id),
    };
}
