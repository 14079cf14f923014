//! Rows that are in a batch: what speaks of a batch means rows of that batch only, and what speaks of a single row means none of them.

use daybook_ledger::{
    Blame, Claim, Extended, Failed, FailedAttempt, Hand, Moved, Postponed, Released, RetryPolicy, Taken,
};
use daybook_schema::{Attempt, BATCH_ROW_VERSION, BatchId, DispatchMessage, ROW_VERSION, Row, Status};
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use serde_json::json;
use uuid::Uuid;

use crate::conditions::{LEASE, PERSON, in_a_batch, pending_key, seen};
use crate::name_of;

const OTHER: BatchId = BatchId(Uuid::from_u128(0x0BA7));

/// What is done to a row that was seen in a batch; whether it applied.
#[derive(Clone, Copy, Debug)]
enum Did {
    Renew,
    Leave,
    LeaveAlone,
    Fail(Blame),
    Park,
    Release,
    Redeliver,
    Unsend,
    Move,
    Take,
    Extend,
    Postpone,
    PutBack,
    FailTaken,
    EndLease,
    FailByPerson,
}

const ALL: [Did; 18] = [
    Did::Renew,
    Did::Leave,
    Did::LeaveAlone,
    Did::Fail(Blame::Own),
    Did::Fail(Blame::Named),
    Did::Fail(Blame::Shared),
    Did::Park,
    Did::Release,
    Did::Redeliver,
    Did::Unsend,
    Did::Move,
    Did::Take,
    Did::Extend,
    Did::Postpone,
    Did::PutBack,
    Did::FailTaken,
    Did::EndLease,
    Did::FailByPerson,
];

async fn applies(stage: &Stage, did: Did, seen: &Row) -> bool {
    let (ledger, deadline, rows) = (&stage.ledger, stage.deadline(), [seen.clone()]);
    let (policy, batch, name) = (RetryPolicy::default(), seen.batch, name_of(seen));
    let failed = |failed: Result<Failed, _>| failed.unwrap() != Failed::Stale;
    match did {
        Did::Renew => ledger.renew(&[name], batch, LEASE, deadline).await == [Moved::Moved],
        Did::Leave | Did::LeaveAlone => {
            let alone = matches!(did, Did::LeaveAlone);
            let left = ledger.leave_batch(&[name], batch.unwrap(), alone, deadline).await;
            left == [Released::Released]
        }
        Did::Fail(blame) => {
            let told = [FailedAttempt {
                name,
                blame,
                why: "no",
            }];
            let told = ledger.fail_many(batch, &told, &policy, deadline).await;
            failed(told.into_iter().next().unwrap())
        }
        Did::Park => failed(ledger.park(name, batch, "no", deadline).await),
        Did::Release => ledger.release(&rows, deadline).await == [Released::Released],
        Did::Redeliver => matches!(
            ledger.redeliver(&rows, LEASE, deadline).await.remove(0),
            Claim::Claimed(row) if row.batch == batch
        ),
        Did::Unsend => ledger.unsend(&rows, deadline).await == [Released::Released],
        Did::Move => ledger.move_leases(&rows, LEASE, deadline).await == [Moved::Moved],
        Did::Take => {
            let message = DispatchMessage::for_row(seen).unwrap();
            let taken = ledger.take(&message, batch, LEASE, deadline).await;
            matches!(taken, Taken::Taken { .. })
        }
        Did::Extend => matches!(ledger.extend(seen, LEASE, deadline).await, Extended::Extended(_)),
        Did::Postpone => {
            let postponed = ledger.postpone(seen, LEASE, None, deadline).await;
            matches!(postponed, Postponed::Until(_))
        }
        Did::PutBack => ledger.put_back(&rows, deadline).await == [Released::Released],
        Did::FailTaken => failed(ledger.fail_taken(seen, Blame::Own, "no", &policy, deadline).await),
        Did::EndLease => ledger.free_rows(&rows, PERSON, deadline).await.remove(0).unwrap(),
        Did::FailByPerson => failed(ledger.fail_rows(&rows, PERSON, &policy, deadline).await.remove(0)),
    }
}

#[tokio::test(start_paused = true)]
async fn what_speaks_of_a_batch_means_its_rows_only_and_who_leaves_claimed_leaves_it() {
    for did in ALL {
        let stage = Stage::usual().await;
        let seen = in_a_batch(&seen(&stage));
        let elsewhere = Row {
            batch: Some(OTHER),
            ..seen.clone()
        };
        let single = Row {
            batch: None,
            ..seen.clone()
        };
        for row in [elsewhere, single] {
            stage.put_rows([&row]);
            assert!(!applies(&stage, did, &seen).await, "{did:?}: {row:?}");
            assert_eq!(stage.row(seen.id).await, Some(row), "{did:?}");
        }
        stage.put_rows([&seen]);
        assert!(applies(&stage, did, &seen).await, "{did:?}");
        let stored = stage.row_as_stored(seen.id).await.unwrap();
        let (version, batch) = match stored["status"] == json!(Status::Claimed) {
            true => (BATCH_ROW_VERSION, json!(seen.batch)),
            false => (ROW_VERSION, json!(null)),
        };
        assert_eq!(
            (&stored["v"], &stored["batch"]),
            (&json!(version), &batch),
            "{did:?}: {stored}"
        );
        let alone = matches!(did, Did::LeaveAlone | Did::Fail(Blame::Named | Blame::Shared));
        assert_eq!(stored["alone"] == json!(true), alone, "{did:?}: {stored}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_speaks_of_a_single_row_means_none_that_is_in_a_batch() {
    let stage = Stage::usual().await;
    let single = seen(&stage);
    let row = in_a_batch(&single);
    stage.put_rows([&row]);
    let (ledger, deadline, name) = (&stage.ledger, stage.deadline(), name_of(&single));
    let policy = RetryPolicy::default();
    assert_eq!(ledger.renew(&[name], None, LEASE, deadline).await, [Moved::Stale]);
    assert_eq!(
        ledger.park(name, None, "no", deadline).await.unwrap(),
        Failed::Stale
    );
    let told = ledger.fail(name, None, "no", &policy, deadline).await.unwrap();
    assert_eq!(told, Failed::Stale);
    let taken = ledger
        .fail_taken(&single, Blame::Own, "no", &policy, deadline)
        .await;
    assert_eq!(taken.unwrap(), Failed::Stale);
    let message = DispatchMessage::for_row(&single).unwrap();
    assert_eq!(ledger.take(&message, None, LEASE, deadline).await, Taken::Stale);
    assert_eq!(ledger.release(&[single], deadline).await, [Released::Stale]);
    assert_eq!(stage.row(row.id).await, Some(row));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_parked_for_what_all_failed_together() {
    for (blame, status, max_attempts) in [
        (Blame::Own, Status::Parked, 1),
        (Blame::Named, Status::Parked, 1),
        (Blame::Shared, Status::Pending, 2),
    ] {
        let stage = Stage::usual().await;
        let row = Row {
            max_attempts: 1,
            ..in_a_batch(&seen(&stage))
        };
        stage.put_rows([&row]);
        assert!(applies(&stage, Did::Fail(blame), &row).await);
        let row = stage.row(row.id).await.unwrap();
        assert_eq!(
            (row.status, row.max_attempts),
            (status, max_attempts),
            "{blame:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_call_makes_batches_of_so_many_rows_each_with_a_token_of_its_own() {
    let stage = Stage::usual().await;
    let due = stage.now();
    let mut keys = Vec::new();
    for n in 0..7 {
        let row = row_in(Status::Pending, &Upload::new(&format!("{n}.json"), 1, "e"), due);
        stage.put_rows([&row]);
        keys.push(pending_key(&row));
    }
    let claims = stage
        .ledger
        .claim(&keys, Hand::Batches(3), LEASE, stage.deadline())
        .await;
    let rows: Vec<Row> = claims
        .into_iter()
        .map(|claim| match claim {
            Claim::Claimed(row) => *row,
            other => panic!("{other:?}"),
        })
        .collect();
    let batches: Vec<_> = rows.iter().map(|row| row.batch.unwrap()).collect();
    assert!(
        batches[..3].iter().all(|batch| *batch == batches[0]),
        "{batches:?}"
    );
    assert!(
        batches[3..6].iter().all(|batch| *batch == batches[3]),
        "{batches:?}"
    );
    assert!(batches[0] != batches[3] && batches[3] != batches[6] && batches[0] != batches[6]);
    for row in &rows {
        assert_eq!(row.claim_token.map(BatchId), row.batch);
        assert_eq!((row.attempt, row.deliveries), (Attempt(1), 1));
        assert_eq!(
            stage.row_as_stored(row.id).await.unwrap()["v"],
            json!(BATCH_ROW_VERSION)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_redrive_gives_a_row_company_again() {
    let stage = Stage::usual().await;
    let row = Row {
        alone: true,
        ..row_in(Status::Parked, &Upload::new("a.json", 1, "e"), stage.now())
    };
    stage.put_rows([&row]);
    stage.ledger.redrive(row.id, 5, stage.deadline()).await.unwrap();
    assert!(!stage.row(row.id).await.unwrap().alone);
}
