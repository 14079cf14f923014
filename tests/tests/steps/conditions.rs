//! Every step against every state that a row can be in.

use std::time::Duration;

use daybook_ledger::{
    Claim, Extended, Failed, Hand, IndexKey, Moved, Person, Postponed, Redriven, Released, RetryPolicy, Taken,
};
use daybook_schema::{Attempt, BatchId, DispatchMessage, Row, Status, Step};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage};
use uuid::Uuid;

use crate::name_of;

pub(super) const LEASE: Duration = Duration::from_secs(900);
pub(super) const PERSON: Person<'_> = Person {
    by: "kim",
    why: Some("no"),
};

/// What the caller of a step last saw: claimed at attempt 1, lease over now.
pub(super) fn seen(stage: &Stage) -> Row {
    let row = row_in(Status::Claimed, &Upload::new("a.json", 1, "e"), stage.now());
    Row {
        lease_moves: 1,
        deliveries: 2,
        ..row
    }
}

/// The states that the row may be in meanwhile, by name.
pub(super) fn states(stage: &Stage) -> Vec<(&'static str, Option<Row>)> {
    let claimed = seen(stage);
    let later = stage.now().plus(Duration::from_secs(1));
    let other = Some(Uuid::from_u128(0x07E5));
    let in_status = |status| Row {
        status,
        ..claimed.clone()
    };
    vec![
        ("gone", None),
        ("pending", Some(in_status(Status::Pending))),
        (
            "pending later",
            Some(Row {
                due_at: later,
                ..in_status(Status::Pending)
            }),
        ),
        ("claimed", Some(claimed.clone())),
        (
            "other token",
            Some(Row {
                claim_token: other,
                ..claimed.clone()
            }),
        ),
        (
            "other lease",
            Some(Row {
                due_at: later,
                ..claimed.clone()
            }),
        ),
        (
            "next attempt",
            Some(Row {
                attempt: Attempt(2),
                claim_token: other,
                due_at: later,
                ..claimed.clone()
            }),
        ),
        ("parked", Some(in_status(Status::Parked))),
    ]
}

/// The row as the index showed it when it was PENDING.
pub(super) fn pending_key(seen: &Row) -> IndexKey {
    IndexKey {
        due_at: seen.due_at,
        id: seen.id,
        status_shard: seen.status_shard().to(Status::Pending),
    }
}

/// The row as it would be in a batch.
pub(super) fn in_a_batch(row: &Row) -> Row {
    Row {
        batch: Some(BatchId(row.claim_token.unwrap_or_default())),
        ..row.clone()
    }
}

/// Takes the step as somebody who last saw `seen`; whether it applied.
pub(super) async fn take(stage: &Stage, step: Step, seen: &Row) -> bool {
    let (ledger, deadline, rows) = (&stage.ledger, stage.deadline(), [seen.clone()]);
    let policy = RetryPolicy::default();
    match step {
        Step::Claim => {
            match ledger
                .claim(&[pending_key(seen)], Hand::Queue, LEASE, deadline)
                .await
                .remove(0)
            {
                Claim::Claimed(_) => true,
                Claim::Lost => false,
                other => panic!("{other:?}"),
            }
        }
        Step::Release => ledger.release(&rows, deadline).await == [Released::Released],
        Step::Renew => ledger.renew(&[name_of(seen)], None, LEASE, deadline).await == [Moved::Moved],
        Step::MoveLease => ledger.move_leases(&rows, LEASE, deadline).await == [Moved::Moved],
        Step::Redeliver => match ledger.redeliver(&rows, LEASE, deadline).await.remove(0) {
            Claim::Claimed(_) => true,
            Claim::Lost => false,
            other => panic!("{other:?}"),
        },
        Step::Unsend => ledger.unsend(&rows, deadline).await == [Released::Released],
        Step::Retry => {
            let failed = ledger
                .fail(name_of(seen), None, "no", &policy, deadline)
                .await
                .unwrap();
            failed != Failed::Stale
        }
        Step::Park => ledger.park(name_of(seen), None, "no", deadline).await.unwrap() != Failed::Stale,
        Step::Redrive => ledger.redrive(seen.id, 5, deadline).await.unwrap() == Redriven::Redriven,
        Step::Take => {
            let message = DispatchMessage::for_row(seen).unwrap();
            match ledger.take(&message, None, LEASE, deadline).await {
                Taken::Taken { .. } => true,
                Taken::Stale => false,
                other => panic!("{other:?}"),
            }
        }
        Step::Extend => matches!(ledger.extend(seen, LEASE, deadline).await, Extended::Extended(_)),
        Step::Postpone => matches!(
            ledger.postpone(seen, LEASE, None, deadline).await,
            Postponed::Until(_)
        ),
        Step::PutBack => ledger.put_back(&rows, deadline).await == [Released::Released],
        Step::Free => {
            let freed = ledger.free_rows(&rows, PERSON, deadline).await.remove(0);
            freed.unwrap()
        }
        Step::EndLease => {
            let ended = ledger.free_rows(&[in_a_batch(seen)], PERSON, deadline).await;
            matches!(ended.as_slice(), [Ok(true)])
        }
        Step::BringForward => ledger.bring_forward(&[pending_key(seen)], deadline).await == [Moved::Moved],
    }
}

/// In which states each step applies.
pub(super) const APPLIES: [(Step, &[&str]); 16] = [
    (Step::Claim, &["pending"]),
    (Step::Release, &["claimed"]),
    (Step::Renew, &["claimed", "other token", "other lease"]),
    (Step::MoveLease, &["claimed", "other token"]),
    (Step::Redeliver, &["claimed", "other token"]),
    (Step::Unsend, &["claimed"]),
    (Step::Retry, &["claimed", "other token", "other lease"]),
    (Step::Park, &["claimed", "other token", "other lease"]),
    (Step::Redrive, &["parked"]),
    // Nobody has taken it yet, whatever its lease; an extension looks again when only the lease is another.
    (Step::Take, &["claimed", "other token", "other lease"]),
    (Step::Extend, &["claimed", "other lease"]),
    (Step::Postpone, &["claimed", "other lease"]),
    (Step::PutBack, &["claimed"]),
    // A longer lease shows that somebody works on it.
    (Step::Free, &["claimed", "other token"]),
    // Only of rows that are in a batch, and these are in none: batches.rs.
    (Step::EndLease, &[]),
    (Step::BringForward, &["pending"]),
];

#[tokio::test(start_paused = true)]
async fn every_step_applies_in_its_states_and_changes_nothing_in_any_other() {
    for (step, applies) in APPLIES {
        let stage = Stage::usual().await;
        let seen = seen(&stage);
        for (name, state) in states(&stage) {
            match &state {
                Some(row) => stage.put_rows([row]),
                None => drop(stage.ledger.delete_done(&seen).await.unwrap()),
            }
            let applied = take(&stage, step, &seen).await;
            assert_eq!(
                applied,
                applies.contains(&name),
                "{step:?} of a row that is {name}"
            );
            let now = stage.row(seen.id).await;
            if applied {
                assert_eq!(now.unwrap().status, step.to(), "{step:?} of a row that is {name}");
            } else {
                assert_eq!(now, state, "{step:?} of a row that is {name}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_step_writes_what_the_design_says_and_nothing_else() {
    let stage = Stage::usual().await;
    let claimed = seen(&stage);
    let now = stage.now();
    let due = |duration| now.plus(duration);
    let pending = Row {
        status: Status::Pending,
        ..claimed.clone()
    };
    let parked = Row {
        status: Status::Parked,
        ..claimed.clone()
    };
    let error = Some("no".to_owned());
    let held = Row {
        deliveries: 0,
        deaths: 1,
        ..claimed.clone()
    };
    let expected = [
        (
            Step::Claim,
            &pending,
            Row {
                status: Status::Claimed,
                attempt: Attempt(2),
                deliveries: 1,
                lease_moves: 0,
                due_at: due(LEASE),
                ..claimed.clone()
            },
        ),
        (
            Step::Release,
            &claimed,
            Row {
                attempt: Attempt(0),
                deliveries: 0,
                ..pending.clone()
            },
        ),
        (
            Step::Renew,
            &claimed,
            Row {
                deliveries: 1,
                lease_moves: 0,
                due_at: due(LEASE),
                ..claimed.clone()
            },
        ),
        (
            Step::MoveLease,
            &claimed,
            Row {
                lease_moves: 2,
                due_at: due(LEASE),
                ..claimed.clone()
            },
        ),
        // Two deliveries so far: the lease is four times as long.
        (
            Step::Redeliver,
            &claimed,
            Row {
                deliveries: 3,
                due_at: due(LEASE * 4),
                ..claimed.clone()
            },
        ),
        (
            Step::Unsend,
            &claimed,
            Row {
                deliveries: 1,
                ..claimed.clone()
            },
        ),
        (
            Step::Park,
            &claimed,
            Row {
                last_error: error.clone(),
                ..parked.clone()
            },
        ),
        (
            Step::Redrive,
            &parked,
            Row {
                max_attempts: 1 + 5,
                ..pending.clone()
            },
        ),
        // No deliveries since: the mark of a row that a worker holds.
        (
            Step::Take,
            &claimed,
            Row {
                deliveries: 0,
                lease_moves: 0,
                due_at: due(LEASE),
                ..claimed.clone()
            },
        ),
        (
            Step::Extend,
            &claimed,
            Row {
                lease_moves: 0,
                due_at: due(LEASE),
                ..claimed.clone()
            },
        ),
        (
            Step::Postpone,
            &claimed,
            Row {
                attempt: Attempt(0),
                deliveries: 0,
                due_at: due(LEASE),
                ..pending.clone()
            },
        ),
        (
            Step::PutBack,
            &claimed,
            Row {
                attempt: Attempt(0),
                deliveries: 0,
                ..pending.clone()
            },
        ),
        // A worker had it: one death more.
        (
            Step::PutBack,
            &held,
            Row {
                attempt: Attempt(0),
                deaths: 2,
                last_error: Some("the process ended while it worked on this event".to_owned()),
                ..Row {
                    deliveries: 0,
                    ..pending.clone()
                }
            },
        ),
        // The count of deaths stays: a person's word is none.
        (
            Step::Free,
            &held,
            Row {
                attempt: Attempt(0),
                deaths: 1,
                deliveries: 0,
                note: Some(format!("{now} released by kim: no")),
                ..pending.clone()
            },
        ),
        // A failed attempt begins the count of deaths again.
        (
            Step::Park,
            &held,
            Row {
                deaths: 0,
                last_error: error.clone(),
                ..Row {
                    deliveries: 0,
                    ..parked.clone()
                }
            },
        ),
    ];
    for (step, before, after) in expected {
        stage.put_rows([before]);
        assert!(take(&stage, step, before).await, "{step:?}");
        let mut row = stage.row(before.id).await.unwrap();
        if matches!(step, Step::Claim | Step::Redeliver | Step::Take) {
            assert_ne!(
                row.claim_token, before.claim_token,
                "{step:?} takes a token of its own"
            );
            row.claim_token = after.claim_token;
        }
        assert_eq!(row, after, "{step:?}");
        let index = stage.ledger.count(after.status, None, None).await.unwrap();
        assert_eq!(
            (index.rows, index.exact),
            (1, true),
            "{step:?} moves the row in the index"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_completion_applies_in_every_state_and_leaves_a_receipt() {
    let stage = Stage::usual().await;
    let event = Upload::new("a.json", 1, "e").event();
    for (name, state) in states(&stage) {
        if let Some(row) = &state {
            stage.put_rows([row]);
        }
        stage.ledger.complete(&event, Attempt(1), "arn").await.unwrap();
        assert_eq!(stage.row(event.id).await, None, "{name}");
        assert_eq!(stage.receipt(&event).await.unwrap().event_id, event.id, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_goes_on_between_a_steps_read_and_its_write_is_left_alone() {
    let stage = Stage::usual().await;
    let claimed = seen(&stage);
    let next = Row {
        attempt: Attempt(2),
        ..claimed.clone()
    };
    let parked = Row {
        status: Status::Parked,
        ..claimed.clone()
    };
    let parked_again = Row {
        due_at: stage.now().plus(Duration::from_secs(1)),
        attempt: Attempt(7),
        ..parked.clone()
    };
    let races = [
        (Step::Retry, &claimed, &next),
        (Step::Park, &claimed, &next),
        (Step::Redrive, &parked, &parked_again),
    ];
    for (step, before, meanwhile) in races {
        stage.put_rows([before]);
        let (other, row) = (stage.clone(), meanwhile.clone());
        stage.wire.inject(move |request| {
            if request.operation == "BatchExecuteStatement" {
                other.put_rows([&row]);
            }
            Fault::None
        });
        assert!(!take(&stage, step, before).await, "{step:?}");
        assert_eq!(stage.row(before.id).await.as_ref(), Some(meanwhile), "{step:?}");
        stage.wire.heal();
    }
}

#[tokio::test(start_paused = true)]
async fn a_claimed_row_of_version_1_that_does_not_count_deliveries_can_be_redelivered() {
    let stage = Stage::usual().await;
    let row = seen(&stage);
    let mut old = serde_json::to_value(&row).unwrap();
    for attribute in ["v", "deliveries", "lease_moves", "max_attempts"] {
        old.as_object_mut().unwrap().remove(attribute);
    }
    stage.put_items("ledger", vec![daybook_tests::rows::item(old)]);
    let swept = stage.sweep().await;
    assert_eq!((swept.redelivered, swept.failures), (1, vec![]));
    let row = stage.row(row.id).await.unwrap();
    assert_eq!((row.deliveries, row.max_attempts), (1, 5));
    assert_eq!(stage.dispatched().len(), 1);
}
