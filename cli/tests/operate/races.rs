//! Rows that go on between selection and write are left alone.

use std::process::Stdio;

use daybook_schema::{Row, Status};
use serde_json::{Value, json};

use crate::stand_in::gate::{Gate, Then};
use crate::stand_in::rows::{FUTURE, Fixtures, PAST, row_in};
use crate::stand_in::{StandIn, daybook_at};
use crate::world::{all_rows, import, parked};

/// Runs it up to the moment at which the next request of that kind would be sent, does something meanwhile, and lets it go on.
fn meanwhile(
    aws: &StandIn,
    arguments: &[&str],
    operation: &'static str,
    after: usize,
    what: impl FnOnce(),
) -> Value {
    let gate = Gate::new(&aws.aws, operation, after, Then::Hold);
    let tables = [
        "--ledger-table",
        "ledger",
        "--receipts-table",
        "receipts",
        "--output",
        "json",
    ];
    let child = daybook_at(&gate.endpoint, &[arguments, &tables].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    gate.wait_for(1);
    what();
    gate.open();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// Somebody else redrives the first, and removes the second.
fn go_on(aws: &StandIn, rows: &[Row]) {
    aws.with_ledger(async |ledger| {
        ledger.redrive(rows[0].id, 3, aws.deadline()).await.unwrap();
        ledger.delete_done(&rows[1]).await.unwrap();
    });
}

#[test]
fn rows_that_go_on_after_they_were_selected_are_not_redriven() {
    // Before they are read again; after that, before they are written.
    for (operation, after) in [("BatchGetItem", 1), ("BatchExecuteStatement", 0)] {
        let aws = StandIn::start();
        let rows = parked(20);
        import(&aws.aws, "ledger", &rows);
        let json = meanwhile(&aws, &["redrive", "--all", "--yes"], operation, after, || {
            go_on(&aws, &rows)
        });
        assert_eq!(
            (
                &json["selected"],
                &json["outcomes"]["redriven"],
                &json["moved_on"]
            ),
            (&json!(20), &json!(18), &json!(2)),
            "{operation}"
        );
        let left = all_rows(&aws.aws, "ledger");
        assert_eq!(left.len(), 19);
        assert_eq!(
            left[&rows[0].id].max_attempts,
            5 + 3,
            "one round, the other one's"
        );
        assert!(left[&rows[0].id].note.is_none());
    }
}

#[test]
fn rows_that_go_on_after_they_were_selected_are_not_removed() {
    let aws = StandIn::start();
    let rows = parked(20);
    import(&aws.aws, "ledger", &rows);
    let remove = ["remove", "--status", "parked", "--yes", "--why", "a test"];
    // One look at the receipts, one at the rows; the next one looks again.
    let json = meanwhile(&aws, &remove, "BatchGetItem", 2, || go_on(&aws, &rows));
    assert_eq!(
        (&json["outcomes"]["removed"], &json["moved_on"]),
        (&json!(18), &json!(2))
    );
    let left = all_rows(&aws.aws, "ledger");
    assert_eq!(left.keys().collect::<Vec<_>>(), [&rows[0].id]);
}

#[test]
fn a_lease_that_was_made_longer_keeps_a_row_from_being_released_but_not_from_being_failed() {
    for (verb, outcome, done) in [("release", "released", 0), ("fail", "retried", 1)] {
        let aws = StandIn::start();
        let row = row_in("a.json", 1, Status::Claimed, PAST, 1, 1);
        let extended = Row {
            due_at: crate::stand_in::rows::at(FUTURE),
            ..row.clone()
        };
        aws.fill(async |fixtures: Fixtures<'_>| fixtures.put_row(&row).await);
        let arguments = [verb, "--all", "--yes", "--why", "it hangs"];
        let json = meanwhile(&aws, &arguments, "BatchGetItem", 1, || {
            aws.fill(async |fixtures: Fixtures<'_>| fixtures.put_row(&extended).await);
        });
        assert_eq!(
            (&json["outcomes"][outcome], &json["moved_on"]),
            (&json!(done), &json!(1 - done)),
            "{verb}"
        );
    }
}
