//! What a folder's own settings say: how long what is failed waits, and how many attempts a redrive gives.

use std::time::Duration;

use daybook_schema::Status;
use serde_json::json;

use crate::stand_in::rows::{self, FUTURE, Fixtures, PAST};
use crate::world::Local;

/// A folder whose `up` was given --max-attempts 2 and --backoff 2h, with a claimed and a parked row.
fn folder() -> Local {
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        let running = rows::row_in("running.json", 3, Status::Claimed, FUTURE, 1, 1);
        fixtures.put_row(&running).await;
        let parked = rows::row_in("parked.json", 6, Status::Parked, PAST, 5, 1);
        fixtures.put_row(&parked).await;
    });
    let two_hours = 2 * 3600 * 1000;
    let settings = json!({
        "source": "aws", "max_attempts": 2, "backoff_millis": [two_hours, two_hours],
        "receipts_keep_seconds": 14 * 24 * 3600, "per_window": 1000, "window_millis": 1000,
    });
    let file = format!("{}/settings.json", local.path());
    std::fs::write(file, settings.to_string()).unwrap();
    local
}

#[test]
fn what_is_failed_waits_as_long_as_the_folder_says() {
    let local = folder();
    let before = crate::stand_in::now();
    let failed = local.json(&["fail", "--all", "--yes", "--why", "it hangs"]);
    assert_eq!(failed["outcomes"]["retried"], 1, "{failed}");
    let row = local.row("running.json").unwrap();
    assert_eq!(row.status, Status::Pending);
    // Half of it at least: the rest is drawn.
    let wait = row.due_at.since(before);
    assert!(
        wait >= Duration::from_secs(3600) && wait <= Duration::from_secs(2 * 3600 + 60),
        "{wait:?}"
    );
}

#[test]
fn a_redrive_gives_as_many_attempts_as_a_new_event_of_the_folder_has() {
    let local = folder();
    let redriven = local.json(&["redrive", "--all", "--yes"]);
    assert_eq!(redriven["outcomes"]["redriven"], 1, "{redriven}");
    assert_eq!(local.row("parked.json").unwrap().max_attempts, 5 + 2);
    let local = folder();
    local.json(&["redrive", "--all", "--yes", "--attempts", "9"]);
    assert_eq!(local.row("parked.json").unwrap().max_attempts, 5 + 9);
}
