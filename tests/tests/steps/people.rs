//! What a person does to rows: redrive, free, fail, complete and remove, one or many.

use std::time::Duration;

use daybook_ledger::{Failed, Person, Recorded, Redriven, Removed, RetryPolicy};
use daybook_schema::{Attempt, EventId, ExecutionName, Outcome, Row, SourceName, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage};
use serde_json::json;

fn upload() -> Upload {
    Upload::new("a.json", 1, "e")
}

/// Puts a parked row that keeps this payload, as if an older release could not read it.
fn park_payload(stage: &Stage, payload: &str) -> EventId {
    let source = SourceName::default();
    let row = Row::unreadable(
        &source,
        payload.into(),
        "not known yet".into(),
        Some("Root=1".into()),
        stage.now(),
    );
    stage.put_rows([&row]);
    row.id
}

#[tokio::test(start_paused = true)]
async fn a_redriven_row_has_another_round_of_attempts_and_runs_under_a_new_name() {
    let stage = Stage::usual().await;
    let parked = row_in(Status::Parked, &upload(), stage.now());
    stage.put_rows([&parked]);
    assert_eq!(
        stage
            .ledger
            .redrive(parked.id, 5, stage.deadline())
            .await
            .unwrap(),
        Redriven::Redriven
    );
    let row = stage.row(parked.id).await.unwrap();
    assert_eq!(
        (row.status, row.attempt, row.max_attempts),
        (Status::Pending, Attempt(5), 10)
    );
    stage.schedule().await;
    stage.invoke_all().await;
    assert_eq!(stage.execution_names(), [format!("{}-6", parked.id)]);
    assert_eq!(
        stage
            .ledger
            .redrive(parked.id, 5, stage.deadline())
            .await
            .unwrap(),
        Redriven::NotParked
    );
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_reads_now_becomes_its_events_and_is_gone() {
    let stage = Stage::usual().await;
    let payload = json!({"Records": [upload().record(), Upload::new("b.json", 2, "e").record()]}).to_string();
    let id = park_payload(&stage, &payload);
    let redriven = stage.ledger.redrive(id, 7, stage.deadline()).await.unwrap();
    assert_eq!(redriven, Redriven::Parsed { events: 2 });
    let rows = stage.rows().await;
    assert_eq!(rows.len(), 2);
    assert!(!rows.contains_key(&id));
    for row in rows.values() {
        assert_eq!(
            (row.status, row.max_attempts, row.trace.as_deref()),
            (Status::Pending, 7, Some("Root=1"))
        );
    }
    assert_eq!(
        stage.ledger.redrive(id, 7, stage.deadline()).await.unwrap(),
        Redriven::NotParked
    );
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_still_cannot_be_read_stays_as_it_is() {
    let stage = Stage::usual().await;
    for payload in ["hello", "{}", r#"{"Records":[{"eventSource":"aws:s3"}]}"#] {
        let id = park_payload(&stage, payload);
        let before = stage.row(id).await;
        let redriven = stage.ledger.redrive(id, 5, stage.deadline()).await.unwrap();
        assert!(
            matches!(redriven, Redriven::StillUnreadable(_)),
            "{payload}: {redriven:?}"
        );
        assert_eq!(stage.row(id).await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_reads_in_parts_becomes_events_and_smaller_payloads() {
    let stage = Stage::usual().await;
    let payload = json!({"Records": [upload().record(), {"eventSource": "aws:s3", "odd": true}]}).to_string();
    let id = park_payload(&stage, &payload);
    let redriven = stage.ledger.redrive(id, 5, stage.deadline()).await.unwrap();
    assert_eq!(redriven, Redriven::Parsed { events: 1 });
    let rows = stage.rows().await;
    assert!(!rows.contains_key(&id), "{rows:?}");
    assert_eq!(rows[&upload().event().id].status, Status::Pending);
    let rest: Vec<&Row> = rows.values().filter(|row| row.event().is_none()).collect();
    assert_eq!((rows.len(), rest.len(), rest[0].status), (2, 1, Status::Parked));
}

#[tokio::test(start_paused = true)]
async fn a_payload_stays_until_all_of_its_events_are_recorded() {
    let stage = Stage::usual().await;
    let payload = upload().notification();
    let id = park_payload(&stage, &payload);
    stage
        .wire
        .inject_always("BatchExecuteStatement", Fault::AnswerLost);
    assert!(stage.ledger.redrive(id, 5, stage.deadline()).await.is_err());
    assert!(stage.row(id).await.is_some());
    stage.wire.heal();
    let redriven = stage.ledger.redrive(id, 5, stage.deadline()).await.unwrap();
    assert_eq!(redriven, Redriven::Parsed { events: 1 });
    assert_eq!(stage.rows().await.len(), 1, "the event, once");
}

#[tokio::test(start_paused = true)]
async fn a_removal_leaves_a_receipt_that_says_who_and_why_and_covers_its_own_event_only() {
    let stage = Stage::usual().await;
    for status in Status::ALL {
        let row = row_in(status, &upload(), stage.now());
        stage.put_rows([&row]);
        assert_eq!(
            stage.ledger.remove(row.id, "kim", "corrupt").await.unwrap(),
            Removed::Removed
        );
        assert_eq!(stage.row(row.id).await, None);
        let receipt = stage.receipt(&upload().event()).await.unwrap();
        assert_eq!((receipt.outcome, receipt.event_id), (Outcome::Removed, row.id));
        assert_eq!(
            (receipt.by.as_str(), receipt.why.as_deref()),
            ("kim", Some("corrupt"))
        );
        assert_eq!(
            stage.ledger.remove(row.id, "kim", "corrupt").await.unwrap(),
            Removed::NoRow
        );
    }
    let older = Upload::new("a.json", 0, "e");
    let newer = Upload::new("a.json", 2, "e");
    let recorded = stage.record(&[upload(), older, newer]).await;
    assert_eq!(
        recorded,
        [Recorded::Covered, Recorded::Recorded, Recorded::Recorded]
    );
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_dies_before_the_deletion_can_be_repeated() {
    let stage = Stage::usual().await;
    stage.record(&[upload()]).await;
    let id = upload().event().id;
    stage.wire.inject_always("DeleteItem", Fault::Throttled);
    assert!(stage.ledger.remove(id, "kim", "corrupt").await.is_err());
    stage.wire.heal();
    assert_eq!(
        stage.ledger.remove(id, "kim", "corrupt").await.unwrap(),
        Removed::Removed
    );
    assert_eq!(stage.row(id).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_removed_payload_leaves_no_receipt_and_no_row() {
    let stage = Stage::usual().await;
    let id = park_payload(&stage, "hello");
    assert_eq!(
        stage.ledger.remove(id, "kim", "a test").await.unwrap(),
        Removed::Removed
    );
    assert!(stage.rows().await.is_empty());
    assert_eq!(stage.wire.operations().get("PutItem"), None);
}

const KIM: Person<'_> = Person {
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

#[tokio::test(start_paused = true)]
async fn many_rows_are_redriven_in_few_requests_and_keep_who_why_and_their_last_error() {
    let stage = Stage::usual().await;
    let parked = rows(&stage, 60, Status::Parked);
    let redriven = stage
        .ledger
        .redrive_rows(&parked, 5, Some(KIM), stage.deadline())
        .await;
    assert!(
        redriven
            .iter()
            .all(|outcome| matches!(outcome, Ok(Redriven::Redriven)))
    );
    assert_eq!(stage.wire.operations()["BatchExecuteStatement"], 3);
    let note = format!("{} redriven by kim: mended", stage.now());
    for row in stage.rows().await.values() {
        assert_eq!((row.status, row.max_attempts), (Status::Pending, 10));
        assert_eq!(row.note.as_deref(), Some(note.as_str()));
        assert_eq!(row.last_error.as_deref(), Some("FAILED: States.TaskFailed"));
    }
    // Once more, by somebody who saw them as they were: they went on.
    stage.pass(Duration::from_secs(1)).await;
    let again = stage
        .ledger
        .redrive_rows(&parked, 5, Some(KIM), stage.deadline())
        .await;
    assert!(
        again
            .iter()
            .all(|outcome| matches!(outcome, Ok(Redriven::NotParked)))
    );
    assert!(stage.rows().await.values().all(|row| row.max_attempts == 10));
}

#[tokio::test(start_paused = true)]
async fn a_kept_payload_is_redriven_from_parked_only() {
    let stage = Stage::usual().await;
    let id = park_payload(&stage, &upload().notification());
    let parked = stage.row(id).await.unwrap();
    let seen = Row {
        status: Status::Pending,
        ..parked.clone()
    };
    let redrive = async |row: Row| {
        let ledger = &stage.ledger;
        ledger
            .redrive_rows(&[row], 5, Some(KIM), stage.deadline())
            .await
            .remove(0)
            .unwrap()
    };
    assert_eq!(redrive(seen).await, Redriven::NotParked);
    assert_eq!(stage.rows().await.len(), 1, "the payload's event is not recorded");
    assert_ne!(redrive(parked).await, Redriven::NotParked);
    assert!(stage.rows().await.contains_key(&upload().event().id));
}

#[tokio::test(start_paused = true)]
async fn a_redrive_of_many_whose_answer_is_lost_is_done_once() {
    let stage = Stage::usual().await;
    let parked = rows(&stage, 25, Status::Parked);
    stage
        .wire
        .inject_next("BatchExecuteStatement", [Fault::AnswerLost]);
    let redriven = stage
        .ledger
        .redrive_rows(&parked, 5, Some(KIM), stage.deadline())
        .await;
    assert!(
        redriven
            .iter()
            .all(|outcome| matches!(outcome, Ok(Redriven::Redriven)))
    );
    assert!(stage.rows().await.values().all(|row| row.max_attempts == 10));
}

#[tokio::test(start_paused = true)]
async fn rows_that_go_on_after_a_person_saw_them_are_left_alone() {
    let stage = Stage::usual().await;
    let later = stage.now().plus(Duration::from_secs(1));
    let policy = RetryPolicy::default();
    let claimed = rows(&stage, 3, Status::Claimed);
    // The first was made longer, the second is gone.
    let extended = Row {
        due_at: later,
        ..claimed[0].clone()
    };
    stage.put_rows([&extended]);
    stage.ledger.delete_done(&claimed[1]).await.unwrap();
    let freed = stage.ledger.free_rows(&claimed, KIM, stage.deadline()).await;
    let freed: Vec<bool> = freed.into_iter().map(Result::unwrap).collect();
    assert_eq!(freed, [false, false, true]);
    assert_eq!(stage.row(extended.id).await, Some(extended));
    // An attempt that failed by itself does not fail twice.
    stage.put_rows([&claimed[1]]);
    let failed = stage
        .ledger
        .fail_rows(&claimed, KIM, &policy, stage.deadline())
        .await;
    let failed: Vec<Failed> = failed.into_iter().map(Result::unwrap).collect();
    assert!(
        matches!(failed[..], [Failed::Retry(_), Failed::Retry(_), Failed::Stale]),
        "{failed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_person_cancels_is_parked_with_its_attempts_left_unless_it_went_on() {
    let stage = Stage::usual().await;
    let claimed = rows(&stage, 4, Status::Claimed);
    // A longer lease is no reason to go on; another attempt is, and so is the end.
    let extended = Row {
        due_at: stage.now().plus(Duration::from_secs(1)),
        ..claimed[0].clone()
    };
    let next = Row {
        attempt: claimed[1].attempt.next(),
        ..claimed[1].clone()
    };
    stage.put_rows([&extended, &next]);
    stage.ledger.delete_done(&claimed[2]).await.unwrap();
    let cancelled = stage.ledger.cancel_rows(&claimed, KIM, stage.deadline()).await;
    let cancelled: Vec<bool> = cancelled.into_iter().map(Result::unwrap).collect();
    assert_eq!(cancelled, [true, false, false, true]);
    assert_eq!(stage.row(next.id).await, Some(next));
    let row = stage.row(claimed[3].id).await.unwrap();
    assert_eq!((row.status, row.due_at), (Status::Parked, stage.now()));
    assert_eq!(
        (row.attempt, row.max_attempts),
        (claimed[3].attempt, claimed[3].max_attempts)
    );
    assert_eq!(row.last_error.as_deref(), Some("cancelled: mended"));
    assert!(row.note.as_deref().unwrap().ends_with("cancelled by kim: mended"));
    // What runs nevertheless, and succeeds, is done; a failure that is told late changes nothing.
    let name = ExecutionName {
        id: row.id,
        attempt: row.attempt,
    };
    let policy = RetryPolicy::default();
    let failed = stage
        .ledger
        .fail(name, None, "late", &policy, stage.deadline())
        .await;
    assert_eq!(failed.unwrap(), Failed::Stale);
    stage
        .ledger
        .complete(claimed[3].event().unwrap(), row.attempt, "arn")
        .await
        .unwrap();
    assert_eq!(stage.row(row.id).await, None);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_a_person_fails_are_tried_again_or_parked_with_the_persons_reason() {
    let stage = Stage::usual().await;
    let mut claimed = rows(&stage, 2, Status::Claimed);
    claimed[1].attempt = Attempt(5);
    stage.put_rows(&claimed);
    let policy = RetryPolicy::default();
    let failed = stage
        .ledger
        .fail_rows(&claimed, KIM, &policy, stage.deadline())
        .await;
    let failed: Vec<Failed> = failed.into_iter().map(Result::unwrap).collect();
    let [Failed::Retry(due_at), Failed::Parked] = failed[..] else {
        panic!("{failed:?}")
    };
    let (retried, parked) = (
        stage.row(claimed[0].id).await.unwrap(),
        stage.row(claimed[1].id).await.unwrap(),
    );
    assert_eq!((retried.status, retried.due_at), (Status::Pending, due_at));
    assert!(due_at > stage.now());
    assert_eq!(parked.status, Status::Parked);
    for row in [retried, parked] {
        assert_eq!(row.last_error.as_deref(), Some("mended"));
        assert_eq!(row.note, Some(format!("{} failed by kim: mended", stage.now())));
    }
}

#[tokio::test(start_paused = true)]
async fn many_rows_are_closed_each_with_a_receipt_that_says_who_and_why() {
    for outcome in [Outcome::Succeeded, Outcome::Removed] {
        let stage = Stage::usual().await;
        let open: Vec<Row> = Status::ALL
            .into_iter()
            .zip(uploads(3))
            .map(|(status, upload)| row_in(status, &upload, stage.now()))
            .collect();
        stage.put_rows(&open);
        let closed = stage
            .ledger
            .close_rows(&open, outcome, KIM, stage.deadline())
            .await;
        assert!(closed.iter().all(Result::is_ok), "{closed:?}");
        assert!(stage.rows().await.is_empty());
        for row in &open {
            let receipt = stage.receipt(row.event().unwrap()).await.unwrap();
            assert_eq!((receipt.event_id, receipt.by.as_str()), (row.id, "kim"));
            assert_eq!(receipt.why.as_deref(), Some("mended"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_receipt_cannot_be_written_stays_and_its_neighbours_are_closed() {
    let stage = Stage::usual().await;
    let open = rows(&stage, 3, Status::Parked);
    // As one of a batch, and by itself.
    let mut faults = vec![Fault::Partial(vec![1])];
    stage
        .wire
        .inject(move |request| match request.operation.as_str() {
            "PutItem" => Fault::Throttled,
            "BatchExecuteStatement" => faults.pop().unwrap_or(Fault::None),
            _ => Fault::None,
        });
    let closed = stage
        .ledger
        .close_rows(&open, Outcome::Removed, KIM, stage.deadline())
        .await;
    let left = stage.rows().await;
    assert_eq!(left.len(), 1);
    for (row, outcome) in open.iter().zip(closed) {
        assert_eq!(left.contains_key(&row.id), outcome.is_err());
    }
}

/// What was removed, replayed and done is done: the replay bears the sequencer of the event that was removed.
#[tokio::test(start_paused = true)]
async fn a_replays_receipt_takes_the_place_of_the_one_of_its_event() {
    let stage = Stage::usual().await;
    stage.record(&[upload()]).await;
    let event = upload().event();
    stage.ledger.remove(event.id, "kim", "by mistake").await.unwrap();
    let nonce = "ticket-4711";
    let replay = daybook_schema::ObjectEvent {
        id: event
            .object_parts()
            .event_id(daybook_schema::identity::EventBasis::Replay { nonce }),
        origin: daybook_schema::Origin::Replay { nonce: nonce.into() },
        ..event.clone()
    };
    stage
        .ledger
        .complete(&replay, Attempt(1), "worker")
        .await
        .unwrap();
    let receipt = stage.receipt(&event).await.unwrap();
    assert_eq!(
        (receipt.outcome, receipt.event_id),
        (Outcome::Succeeded, replay.id)
    );
    assert!(receipt.covers(&event) && receipt.covers(&replay));
    // But not of a newer one.
    let newer = Upload::new("a.json", 2, "e").event();
    stage.ledger.complete(&newer, Attempt(1), "worker").await.unwrap();
    stage
        .ledger
        .complete(&replay, Attempt(1), "worker")
        .await
        .unwrap();
    assert_eq!(stage.receipt(&event).await.unwrap().event_id, newer.id);
}
