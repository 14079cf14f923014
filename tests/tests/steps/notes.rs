//! What people did to a row, and what is left of it when the event is done.

use std::time::Duration;

use daybook_ledger::{Consumed, Deleted, Person, Success};
use daybook_schema::{Attempt, ObjectEvent, Outcome, Row, Status};
use daybook_tests::Stage;
use daybook_tests::notifications::uploads;
use daybook_tests::rows::row_in;

const KIM: Person<'static> = Person {
    by: "kim",
    why: Some("mended"),
};

/// A row for each of `n` uploads, in that status.
fn rows(stage: &Stage, n: usize, status: Status) -> Vec<Row> {
    let rows: Vec<Row> = uploads(n)
        .iter()
        .map(|upload| row_in(status, upload, stage.now()))
        .collect();
    stage.put_rows(&rows);
    rows
}

/// What the ledger says that it used since `before`: write units and requests.
fn used(stage: &Stage, before: Consumed) -> (f64, u64) {
    let used = stage.ledger.consumed() - before;
    (used.write_units, used.requests)
}

#[tokio::test(start_paused = true)]
async fn what_people_did_is_in_the_receipt_when_the_event_is_done_the_last_of_it_first() {
    let stage = Stage::usual().await;
    let claimed = rows(&stage, 3, Status::Claimed);
    stage.ledger.free_rows(&claimed, KIM, stage.deadline()).await;
    stage.pass(Duration::from_secs(60)).await;
    let again: Vec<Row> = stage.rows().await.into_values().collect();
    let again: Vec<Row> = again
        .into_iter()
        .map(|row| Row {
            status: Status::Parked,
            ..row
        })
        .collect();
    stage.put_rows(&again);
    let lee = Person {
        by: "lee",
        why: Some("the clock is right"),
    };
    stage
        .ledger
        .redrive_rows(&again, 5, Some(lee), stage.deadline())
        .await;
    let noted: Vec<Row> = stage.rows().await.into_values().collect();
    let note = noted[0].note.clone().unwrap();
    let at = stage.now();
    assert!(
        note.starts_with(&format!("{at} redriven by lee: the clock is right; before: ")),
        "{note}"
    );
    assert!(note.ends_with("Z released by kim: mended"), "{note}");
    // One by itself, two together; whoever ends them has not read the rows.
    let done = stage
        .ledger
        .complete(noted[0].event().unwrap(), Attempt(1), "arn");
    assert_eq!(done.await.unwrap(), Deleted::Deleted);
    let success = |row: &'_ Row| -> ObjectEvent { row.event().unwrap().clone() };
    let events: Vec<ObjectEvent> = noted[1..].iter().map(success).collect();
    let both: Vec<Success<'_>> = events
        .iter()
        .map(|event| Success {
            event,
            attempt: Attempt(1),
            by: "arn",
        })
        .collect();
    for done in stage.ledger.complete_many(&both, stage.deadline()).await {
        assert_eq!(done.unwrap(), Deleted::Deleted);
    }
    assert!(stage.rows().await.is_empty());
    for row in &noted {
        let receipt = stage.receipt(row.event().unwrap()).await.unwrap();
        assert_eq!(receipt.note.as_ref(), Some(&note));
        assert_eq!(
            (receipt.by.as_str(), receipt.outcome),
            ("arn", Outcome::Succeeded)
        );
    }
}

/// The note is in the receipt before the row goes, whoever deletes it, and nobody else's receipt gets it.
#[tokio::test(start_paused = true)]
async fn whoever_deletes_a_row_that_its_receipt_covers_keeps_what_people_did() {
    let stage = Stage::usual().await;
    let parked = rows(&stage, 2, Status::Parked);
    stage
        .ledger
        .complete(parked[0].event().unwrap(), Attempt(1), "arn")
        .await
        .unwrap();
    // As a completion leaves it that died between receipt and deletion.
    stage.put_rows(&parked[..1]);
    stage
        .ledger
        .redrive_rows(&parked, 5, Some(KIM), stage.deadline())
        .await;
    let seen = stage.row(parked[0].id).await.unwrap();
    stage.ledger.delete_done(&seen).await.unwrap();
    assert_eq!(stage.row(seen.id).await, None);
    let receipt = stage.receipt(seen.event().unwrap()).await.unwrap();
    assert_eq!(receipt.note, seen.note);
    assert!(receipt.note.unwrap().ends_with("redriven by kim: mended"));
    // A row without a receipt of its own goes all the same.
    let other = stage.row(parked[1].id).await.unwrap();
    stage.ledger.delete_done(&other).await.unwrap();
    assert_eq!(stage.row(other.id).await, None);
    assert_eq!(stage.receipt(other.event().unwrap()).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_people_did_costs_one_write_unit_more_at_the_end_and_nothing_for_whoever_has_read_the_row() {
    let stage = Stage::usual().await;
    let rows = rows(&stage, 2, Status::Parked);
    stage
        .ledger
        .redrive_rows(&rows, 5, Some(KIM), stage.deadline())
        .await;
    let noted: Vec<Row> = stage.rows().await.into_values().collect();
    let before = stage.ledger.consumed();
    stage
        .ledger
        .complete(noted[0].event().unwrap(), Attempt(1), "arn")
        .await
        .unwrap();
    // AWS charges a refused deletion one unit; the embedded DynamoDB does not meter refusals.
    assert_eq!(
        used(&stage, before),
        (3.0 + 1.0, 4),
        "receipt, refused deletion, note, deletion"
    );
    let before = stage.ledger.consumed();
    let closed = stage
        .ledger
        .close_rows(&noted[1..], Outcome::Removed, KIM, stage.deadline())
        .await;
    assert!(closed.iter().all(Result::is_ok));
    assert_eq!(used(&stage, before), (3.0, 2));
}
