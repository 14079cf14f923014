//! A newer release and back: some rows stay as it wrote them, until it is there again.

use std::time::Duration;

use daybook_schema::ROW_VERSION;
use serde_json::{Value, json};

use super::Cast;
use super::misfortune::past_the_wire;
use crate::simulation::checker::scan;

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
            if is_newer(&row) {
                if is_back {
                    write(&cast, &row, ROW_VERSION).await;
                }
            } else if row.get("status").is_some() && cast.chaos.strikes("newer_row") {
                write(&cast, &row, ROW_VERSION + 1).await;
            }
        }
    }
    for row in scan(&cast.stage, "ledger").await {
        if is_newer(&row) {
            write(&cast, &row, ROW_VERSION).await;
        }
    }
}

/// Whether a stored row is of the newer release.
pub(crate) fn is_newer(row: &Value) -> bool {
    row["v"]["N"] == json!((ROW_VERSION + 1).to_string())
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
    match version > ROW_VERSION {
        true => newer.insert(id),
        false => newer.remove(&id),
    };
}
