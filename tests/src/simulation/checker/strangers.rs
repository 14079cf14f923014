//! Rows of a newer release that nothing gives back: they stay as they are, are counted, and hide no other row.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Checker, Property, Violation, scan};
use crate::simulation::actors::is_newer;
use crate::stage::Stage;

/// All other rows are at rest: these have hidden none of them. The newer release is there again and takes them, so that audits, which call
/// nothing missing beside a row that they cannot read, go on.
pub(super) async fn take_away(checker: &Checker, stage: &Stage) {
    let planted = std::mem::take(&mut checker.world.lock().strangers);
    if planted.is_empty() {
        return;
    }
    let stored: BTreeMap<String, Value> = scan(stage, "ledger")
        .await
        .into_iter()
        .map(|row| (row["id"]["S"].as_str().unwrap_or_default().to_owned(), row))
        .collect();
    let counted = stage.ledger.newer_rows().await;
    let mut violations = Vec::new();
    for (id, row) in &planted {
        if stored.get(id) != Some(row) {
            let text = format!("{row} of a newer release is {:?} now", stored.get(id));
            violations.push((Property::Lost, text));
        }
    }
    // Others may be a newer release's still, at rest as they were.
    let newer = stored.values().filter(|row| is_newer(row)).count() as u64;
    if !matches!(&counted, Ok(count) if count.rows == newer && count.exact) {
        let text = format!("{newer} rows are of a newer release, the ledger says {counted:?}");
        violations.push((Property::Counts, text));
    }
    for id in planted.keys() {
        let request = json!({"TableName": "ledger", "Key": {"id": {"S": id}}});
        let target = "DynamoDB_20120810.DeleteItem";
        let answer = stage.aws.handle(target, request.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }
    checker
        .world
        .lock()
        .count("days with rows of a newer release before all others");
    let violations = violations
        .into_iter()
        .map(|(property, text)| Violation { property, text });
    checker.shadows.lock().violations.extend(violations);
}
