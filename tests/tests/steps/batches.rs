//! Many rows at once: each has an outcome of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use daybook_ledger::{Claim, Deadline, Hand, IndexKey, NewRow, Recorded};
use daybook_manager::{Delivered, Ingested, Payload};
use daybook_schema::notification::Reading;
use daybook_schema::{EventId, Row, Status, Subject};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::{all_delivered, returned, row_in};
use daybook_tests::{Fault, Stage};
use serde_json::json;

/// A payload beyond what a row can hold (400 KB), and that is no notification.
fn too_large() -> String {
    json!({"what": "x".repeat(500_000)}).to_string()
}

fn unreadable(payload: String) -> NewRow {
    NewRow::Unreadable {
        reading: Reading::default(),
        payload,
        why: "no S3 event".into(),
        trace: None,
    }
}

/// The messages that come again.
async fn ingest(stage: &Stage, messages: &[Delivered]) -> Vec<String> {
    let ingested = stage.ingest().handle(messages, stage.deadline()).await;
    returned(messages, ingested.iter().map(Ingested::disposition))
}

fn new_event(upload: &Upload) -> NewRow {
    NewRow::Event {
        event: upload.event(),
        max_attempts: 5,
        trace: None,
        caveat: None,
        at_once: false,
    }
}

#[tokio::test(start_paused = true)]
async fn one_row_that_is_too_large_does_not_take_its_neighbours_along() {
    let stage = Stage::usual().await;
    let mut rows: Vec<NewRow> = uploads(24).iter().map(new_event).collect();
    rows.insert(11, unreadable(too_large()));
    let recorded = stage.ledger.record(rows, stage.deadline()).await;
    for (position, outcome) in recorded.iter().enumerate() {
        match position {
            11 => assert!(matches!(outcome, Recorded::Rejected(_)), "{outcome:?}"),
            _ => assert_eq!(*outcome, Recorded::Recorded),
        }
    }
    assert_eq!(stage.rows().await.len(), 24);
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_request_that_is_refused_whole_are_written_one_by_one() {
    let stage = Stage::usual().await;
    stage
        .wire
        .inject(|request| match request.operation == "BatchExecuteStatement" {
            true if request.body.to_string().contains("bad.json") => Fault::Invalid,
            _ => Fault::None,
        });
    let bad = Upload::new("bad.json", 100, "e");
    let mut rows = uploads(24);
    rows.insert(11, bad.clone());
    let recorded = stage.record(&rows).await;
    for (position, outcome) in recorded.iter().enumerate() {
        match position {
            11 => assert!(matches!(outcome, Recorded::Rejected(_)), "{outcome:?}"),
            _ => assert_eq!(*outcome, Recorded::Recorded),
        }
    }
    let requests = || stage.wire.operations()["BatchExecuteStatement"];
    assert_eq!(requests(), 1 + 25);
    assert_eq!(stage.rows().await.len(), 24);

    let alone = stage.record(&[bad]).await;
    assert!(matches!(alone[..], [Recorded::Rejected(_)]), "{alone:?}");
    assert_eq!(requests(), 1 + 25 + 1, "there was nothing to part");
}

#[tokio::test(start_paused = true)]
async fn due_rows_of_many_pages_come_each_once_and_oldest_first() {
    let stage = Stage::usual().await;
    stage.record(&uploads(300)).await;
    // So few are asked for that a page has six rows of the twenty or so in a shard.
    let mut due = stage.ledger.due(Status::Pending, None, 1);
    let keys = due.next(400).await;
    assert!(due.failures().is_empty());
    let ids: BTreeSet<EventId> = keys.iter().map(|key| key.id).collect();
    assert_eq!((keys.len(), ids.len()), (300, 300));
    assert!(keys.is_sorted_by_key(|key| key.due_at));
}

#[tokio::test(start_paused = true)]
async fn a_write_ends_at_its_deadline_and_what_it_did_not_send_it_says_is_not_written() {
    let stage = Stage::usual().await;
    let second = Duration::from_secs(1);
    stage
        .wire
        .inject_always("BatchExecuteStatement", Fault::Slow(second));
    // 400 requests of 25, eight at once, a second each: 50 seconds of work.
    let uploads = uploads(10_000);
    let rows = uploads.iter().map(new_event).collect();
    let started = stage.now();
    let deadline = Deadline::after(&stage.clock, 10 * second + second / 4);
    let recorded = stage.ledger.record(rows, deadline).await;
    let took = stage.now().since(started);
    assert!(took >= 10 * second && took <= 11 * second, "{took:?}");
    let sent = stage.wire.operations()["BatchExecuteStatement"];
    assert_eq!(sent, 11 * 8, "no request is made before its turn");
    stage.wire.heal();
    let there = stage.rows().await;
    let mut counts = [0; 3];
    for (upload, outcome) in uploads.iter().zip(&recorded) {
        let is_there = there.contains_key(&upload.event().id);
        match outcome {
            Recorded::Recorded => counts[0] += 1,
            Recorded::Unknown(_) => counts[1] += 1,
            Recorded::Throttled(cause) => {
                assert_eq!(cause.words(), "not sent before the deadline");
                counts[2] += 1;
            }
            other => panic!("{other:?}"),
        }
        match outcome {
            Recorded::Recorded => assert!(is_there),
            Recorded::Throttled(_) => assert!(!is_there),
            // Sent and not answered: the embedded AWS has done them.
            _ => {}
        }
    }
    assert_eq!(counts, [10 * 200, 200, 10_000 - 11 * 200]);
}

#[tokio::test(start_paused = true)]
async fn many_payloads_of_many_parts_are_recorded_bit_by_bit_and_none_after_the_deadline() {
    let stage = Stage::usual().await;
    let payload = |n: usize| {
        let parts: Vec<String> = (0..1000).map(|part| format!("{n}{part:03}")).collect();
        Payload {
            body: format!("{{\"Records\":[{}]}}", parts.join(",")),
            ..Payload::default()
        }
    };
    let payloads: Vec<Payload> = (1..=20).map(payload).collect();
    let second = Duration::from_secs(1);
    stage
        .wire
        .inject_always("BatchExecuteStatement", Fault::Slow(second));
    // 5,000 rows are 200 requests: 25 seconds. The second 5,000 are cut off, and the others never begun.
    let started = stage.now();
    let deadline = Deadline::after(&stage.clock, 30 * second + second / 4);
    let ingested = stage.ingest().ingest(&payloads, deadline).await;
    let took = stage.now().since(started);
    assert!(took <= 31 * second, "{took:?}");
    let safe: Vec<bool> = ingested.iter().map(Ingested::is_safe).collect();
    assert_eq!(safe.iter().filter(|safe| **safe).count(), 6, "{safe:?}");
    assert!(safe[..6].iter().all(|safe| *safe), "{safe:?}");
    assert!(
        ingested
            .iter()
            .all(|one| one.rows.len() == 1000 && one.unreadable == 1000)
    );
    assert_eq!(stage.wire.operations()["BatchExecuteStatement"], 200 + 6 * 8);
    let never_begun = ingested[10..].iter().flat_map(|one| &one.rows);
    assert!(
        never_begun
            .into_iter()
            .all(|row| matches!(row, Recorded::Throttled(_)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_megabyte_of_parts_that_nobody_can_read_costs_a_handful_of_rows() {
    let stage = Stage::usual().await;
    let parts: Vec<String> = (0..149_000).map(|n| n.to_string()).collect();
    let upload = Upload::new("a.json", 1, "e");
    let body = format!("{{\"Records\":[{},{}]}}", parts.join(","), upload.record());
    let payload = Payload {
        body,
        ..Payload::default()
    };
    let ingested = stage.ingest().ingest(&[payload], stage.deadline()).await;
    assert!(ingested[0].is_safe(), "{ingested:?}");
    let rows = stage.rows().await;
    assert!(
        rows.len() <= 6 && ingested[0].unreadable + 1 == rows.len(),
        "{} rows",
        rows.len()
    );
    assert_eq!(rows[&upload.event().id].status, Status::Pending);
    assert!(stage.wire.operations()["BatchExecuteStatement"] <= 1);
}

#[tokio::test(start_paused = true)]
async fn ids_that_are_asked_for_twice_are_read_once_and_cost_no_other_row() {
    let stage = Stage::usual().await;
    stage.record(&uploads(120)).await;
    let ids: Vec<EventId> = stage.rows().await.into_keys().collect();
    let twice: Vec<EventId> = ids.iter().chain(&ids).copied().collect();
    let read = stage.ledger.get_many(&twice).await;
    let found: BTreeSet<EventId> = read.iter().flatten().map(|row| row.id).collect();
    assert_eq!(
        (read.len(), found.len()),
        (120, 120),
        "{:?}",
        read.iter().find(|row| row.is_err())
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_that_moves_on_while_pages_are_read_is_there_once_as_it_is_now() {
    let stage = Stage::usual().await;
    // Enough for several pages in the row's shard.
    stage.record(&uploads(300)).await;
    let moved = stage.due_keys().await[0];
    let mut due = stage.ledger.due(Status::Pending, None, 1);
    assert_eq!(due.next(1).await.len(), 1);
    // Its shard's first page is read. It goes on to its end, twice over.
    let mut due = stage.ledger.due(Status::Pending, None, 1);
    let later = stage.now().plus(Duration::from_secs(60));
    let (ledger, row) = (stage.ledger.clone(), stage.row(moved.id).await.unwrap());
    let (first_pages, mover) = (Arc::new(AtomicUsize::new(0)), stage.clone());
    stage.wire.observe(move |request, _| {
        // The first page of all sixteen shards, then the row moves.
        if request.operation == "Query" && first_pages.fetch_add(1, Ordering::Relaxed) == 15 {
            mover.put_rows([&Row {
                due_at: later,
                ..row.clone()
            }]);
        }
    });
    let keys = due.next(400).await;
    let ids: BTreeSet<EventId> = keys.iter().map(|key| key.id).collect();
    assert_eq!((keys.len(), ids.len()), (300, 300));
    assert!(keys.iter().any(|key| key.id == moved.id && key.due_at == later));
    // And where both come to be claimed, it is claimed as it is.
    let both = [
        moved,
        IndexKey {
            due_at: later,
            ..moved
        },
    ];
    let claims = ledger
        .claim(&both, Hand::Queue, Duration::from_secs(60), stage.deadline())
        .await;
    assert!(
        matches!(&claims[..], [Claim::Lost, Claim::Claimed(_)]),
        "{claims:?}"
    );
    assert_eq!(stage.wire.operations()["BatchExecuteStatement"], 12 + 1);
}

#[tokio::test(start_paused = true)]
async fn duplicates_within_a_batch_share_the_fate_of_the_first() {
    let stage = Stage::usual().await;
    let a = Upload::new("a.json", 1, "e");
    let b = Upload::new("b.json", 2, "e");
    let recorded = stage.record(&[a.clone(), b.clone(), a.clone(), a.clone()]).await;
    use Recorded::{AlreadyThere, Covered};
    assert_eq!(
        recorded,
        [Recorded::Recorded, Recorded::Recorded, AlreadyThere, AlreadyThere]
    );
    assert_eq!(stage.rows().await.len(), 2);

    let rows = vec![unreadable(too_large()), unreadable(too_large())];
    let recorded = stage.ledger.record(rows, stage.deadline()).await;
    assert!(
        matches!(&recorded[..], [Recorded::Rejected(_), Recorded::Rejected(_)]),
        "{recorded:?}"
    );

    stage.claim_due().await;
    stage
        .ledger
        .complete(&a.event(), daybook_schema::Attempt(1), "arn")
        .await
        .unwrap();
    assert_eq!(stage.record(&[a.clone(), a]).await, [Covered, Covered]);

    stage.wire.inject_always("BatchExecuteStatement", Fault::NotSent);
    let c = Upload::new("c.json", 3, "e");
    let recorded = stage.record(&[c.clone(), c]).await;
    assert!(
        matches!(&recorded[..], [Recorded::Unknown(_), Recorded::Unknown(_)]),
        "{recorded:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn exactly_the_messages_that_are_not_safe_are_returned_to_the_queue() {
    let stage = Stage::usual().await;
    let test_event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "data"}).to_string();
    let twice =
        json!({"Records": [Upload::new("b.json", 2, "e").record(), Upload::new("c.json", 3, "e").record()]});
    let messages = all_delivered([
        ("one", Upload::new("a.json", 1, "e").notification()),
        ("large", too_large()),
        ("two", twice.to_string()),
        ("again", Upload::new("a.json", 1, "e").event_bridge()),
        ("test", test_event),
        ("odd", "hello".into()),
        ("large again", too_large()),
    ]);
    assert_eq!(ingest(&stage, &messages).await, ["large", "large again"]);
    let rows = stage.rows().await;
    let parked = rows.values().filter(|row| row.status == Status::Parked).count();
    assert_eq!(
        (rows.len(), parked),
        (4, 1),
        "a, b, c, and the odd one kept as it came"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_one_of_whose_records_is_not_safe_is_returned_whole() {
    let stage = Stage::usual().await;
    // Two requests of 25 and 5: the second one is throttled to the end.
    let uploads = uploads(30);
    let first = json!({"Records": uploads[..20].iter().map(Upload::record).collect::<Vec<_>>()}).to_string();
    let second = json!({"Records": uploads[20..].iter().map(Upload::record).collect::<Vec<_>>()}).to_string();
    stage
        .wire
        .inject(|request| match request.body["Statements"].as_array() {
            Some(statements) if statements.len() == 5 => Fault::Throttled,
            _ => Fault::None,
        });
    let messages = all_delivered([("first", first), ("second", second.clone())]);
    assert_eq!(ingest(&stage, &messages).await, ["second"]);
    assert_eq!(stage.rows().await.len(), 25);
    stage.wire.heal();
    assert!(
        ingest(&stage, &all_delivered([("second", second)]))
            .await
            .is_empty()
    );
    assert_eq!(
        stage.rows().await.len(),
        30,
        "the five that were missing, and no row twice"
    );
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_read_is_one_parked_row_however_often_it_comes() {
    let stage = Stage::usual().await;
    let payload = Payload {
        body: r#"{"Records": [{"eventSource": "aws:s3"}]}"#.into(),
        trace: Some("Root=1".into()),
        message_id: None,
        again: false,
    };
    let first = stage
        .ingest()
        .ingest(std::slice::from_ref(&payload), stage.deadline())
        .await
        .remove(0);
    assert_eq!((first.rows, first.unreadable), (vec![Recorded::Recorded], 1));
    let second = stage
        .ingest()
        .ingest(&[payload], stage.deadline())
        .await
        .remove(0);
    assert_eq!(second.rows, [Recorded::AlreadyThere]);
    let rows = stage.rows().await;
    let row = rows.values().next().unwrap();
    assert_eq!((rows.len(), row.status), (1, Status::Parked));
    assert!(row.last_error.is_some());
    assert!(matches!(&row.subject, Subject::Raw { payload, .. } if payload.contains("aws:s3")));
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_step_functions_would_refuse_is_not_kept_and_the_event_is() {
    for (trace, is_kept) in [
        ("Root=1".to_owned(), true),
        ("x".repeat(256), true),
        ("x".repeat(257), false),
        ("Root=é".to_owned(), false),
    ] {
        let stage = Stage::usual().await;
        let payload = Payload {
            body: Upload::new("a.json", 1, "e").notification(),
            trace: Some(trace.clone()),
            message_id: None,
            again: false,
        };
        let ingested = stage
            .ingest()
            .ingest(&[payload], stage.deadline())
            .await
            .remove(0);
        assert_eq!(ingested.rows, [Recorded::Recorded]);
        let row = stage.rows().await.into_values().next().unwrap();
        assert_eq!(row.trace, is_kept.then_some(trace));
    }
}

#[tokio::test(start_paused = true)]
async fn the_outcomes_of_a_payload_are_counted() {
    let stage = Stage::usual().await;
    stage.record(&uploads(3)).await;
    let records: Vec<_> = uploads(5).iter().map(Upload::record).collect();
    let payload = Payload {
        body: json!({"Records": records}).to_string(),
        ..Payload::default()
    };
    let ingested = stage
        .ingest()
        .ingest(&[payload], stage.deadline())
        .await
        .remove(0);
    assert_eq!(ingested.count(|row| *row == Recorded::Recorded), 2);
    assert_eq!(ingested.count(|row| *row == Recorded::AlreadyThere), 3);
    assert_eq!(ingested.count(|row| matches!(row, Recorded::Rejected(_))), 0);
}

#[tokio::test(start_paused = true)]
async fn of_three_hundred_claimed_rows_nobody_says_that_there_are_no_more() {
    for (count, exact) in [(299, true), (300, false)] {
        let stage = Stage::usual().await;
        let rows: Vec<_> = uploads(count)
            .iter()
            .map(|upload| row_in(Status::Claimed, upload, stage.now()))
            .collect();
        stage.put_rows(&rows);
        let first = stage.ledger.claimed_first().await.unwrap();
        assert_eq!((first.held.rows, first.held.exact), (0, exact), "{count} rows");
        assert_eq!(
            (first.undelivered.rows, first.undelivered.exact),
            (0, exact),
            "{count} rows"
        );
    }
}
