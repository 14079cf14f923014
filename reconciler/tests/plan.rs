//! What the sweep decides, as a pure function of what it observed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook_ledger::Lease;
use daybook_reconciler::{UNKNOWN_AT_MOST, sort};
use daybook_schema::{
    Attempt, BatchId, EventId, ExecutionName, Kind, ObjectEvent, ObjectId, Origin, Outcome, Receipt, Row,
    RunName, Status, Timestamp,
};
use proptest::prelude::*;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_795_219_200_000 + minute * 60_000).unwrap()
}

const NOW: i64 = 1000;

fn event(n: u32) -> ObjectEvent {
    ObjectEvent {
        id: format!("00000000-0000-5000-8000-{n:012x}").parse().unwrap(),
        source: "aws".parse().unwrap(),
        bucket: "data".parse().unwrap(),
        key: format!("key-{n}").parse().unwrap(),
        version_id: None,
        kind: Kind::Created,
        etag: Some("e".into()),
        size: None,
        sequencer: Some("05".parse().unwrap()),
        event_name: "ObjectCreated:Put".into(),
        event_time: Some(at(0)),
        region: None,
        origin: Origin::Notification,
        general: None,
    }
}

/// A claimed row whose lease ended so many minutes ago.
fn stale(n: u32, minutes_ago: i64) -> Row {
    Row {
        status: Status::Claimed,
        attempt: Attempt(1),
        deliveries: 1,
        due_at: at(NOW - minutes_ago),
        ..Row::recorded(event(n), 5, None, at(0))
    }
}

fn name(row: &Row) -> ExecutionName {
    ExecutionName {
        id: row.id,
        attempt: row.attempt,
    }
}

fn receipt(row: &Row) -> (ObjectId, Receipt) {
    let keep = Duration::from_secs(60);
    let event = row.event().unwrap();
    let receipt = Receipt::new(
        event,
        Attempt(1),
        Outcome::Succeeded,
        "x".into(),
        None,
        at(0),
        keep,
    );
    (event.object_id(), receipt)
}

fn ids(leases: &[Lease]) -> Vec<EventId> {
    leases.iter().map(|lease| lease.id).collect()
}

/// All that is decided when the list of running executions is complete.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    renew: Vec<ExecutionName>,
    count: Vec<Lease>,
    covered: Vec<Row>,
    move_lease: Vec<Lease>,
    redeliver: Vec<Lease>,
}

fn plan(
    rows: Vec<Row>,
    running: &BTreeSet<ExecutionName>,
    receipts: &BTreeMap<ObjectId, Receipt>,
    depth: u64,
    now: Timestamp,
) -> Plan {
    let running = running.iter().map(|name| RunName::Single(*name)).collect();
    planned(rows, &running, receipts, depth, now)
}

fn planned(
    rows: Vec<Row>,
    running: &BTreeSet<RunName>,
    receipts: &BTreeMap<ObjectId, Receipt>,
    depth: u64,
    now: Timestamp,
) -> Plan {
    let sorted = sort(rows, running, receipts, now);
    let plan = daybook_reconciler::plan(sorted.unlisted, depth);
    Plan {
        renew: sorted.renew,
        count: sorted.count,
        covered: sorted.covered,
        move_lease: plan.move_lease,
        redeliver: plan.redeliver,
    }
}

fn with_depth(rows: Vec<Row>, depth: u64) -> Plan {
    plan(rows, &BTreeSet::new(), &BTreeMap::new(), depth, at(NOW))
}

#[test]
fn a_row_whose_execution_runs_is_renewed_and_nothing_else() {
    let row = stale(1, 5);
    let plan = plan(
        vec![row.clone()],
        &BTreeSet::from([name(&row)]),
        &BTreeMap::new(),
        0,
        at(NOW),
    );
    assert_eq!(
        plan,
        Plan {
            renew: vec![name(&row)],
            ..Plan::default()
        }
    );
}

/// Attempts begin at 1: no message and no execution can be of attempt 0.
#[test]
fn a_claimed_row_without_an_attempt_is_left_alone() {
    let row = Row {
        attempt: Attempt(0),
        ..stale(1, 5)
    };
    assert_eq!(with_depth(vec![row], 0), Plan::default());
    assert_eq!(with_depth(vec![stale(1, 5)], 0).redeliver.len(), 1);
}

#[test]
fn an_execution_of_another_attempt_renews_nothing() {
    let row = stale(1, 5);
    let old = ExecutionName {
        attempt: Attempt(0),
        ..name(&row)
    };
    let plan = plan(
        vec![row.clone()],
        &BTreeSet::from([old]),
        &BTreeMap::new(),
        0,
        at(NOW),
    );
    assert_eq!(
        plan,
        Plan {
            redeliver: vec![Lease::from(&row)],
            ..Plan::default()
        }
    );
}

#[test]
fn a_row_that_a_receipt_covers_is_deleted_even_while_its_execution_runs() {
    let row = stale(1, 5);
    let receipts = BTreeMap::from([receipt(&row)]);
    let plan = plan(
        vec![row.clone()],
        &BTreeSet::from([name(&row)]),
        &receipts,
        9,
        at(NOW),
    );
    assert_eq!(
        plan,
        Plan {
            covered: vec![row],
            ..Plan::default()
        }
    );
}

#[test]
fn with_an_empty_queue_every_row_is_redelivered_oldest_lease_first() {
    let rows = vec![stale(1, 5), stale(2, 9), stale(3, 7)];
    let plan = with_depth(rows.clone(), 0);
    assert_eq!(ids(&plan.redeliver), [rows[1].id, rows[2].id, rows[0].id]);
    assert!(plan.move_lease.is_empty());
}

#[test]
fn while_the_queue_holds_as_many_messages_as_there_are_rows_their_leases_move() {
    let rows = vec![stale(1, 5), stale(2, 9)];
    for depth in [2, 3, u64::MAX] {
        let plan = with_depth(rows.clone(), depth);
        assert_eq!(
            (plan.move_lease.len(), plan.redeliver.len()),
            (2, 0),
            "depth {depth}"
        );
    }
}

#[test]
fn of_more_rows_than_messages_the_oldest_are_redelivered_and_the_others_moved() {
    let rows: Vec<Row> = (1..=10).map(|n| stale(n, i64::from(n))).collect();
    let plan = with_depth(rows.clone(), 7);
    assert_eq!(ids(&plan.redeliver), [rows[9].id, rows[8].id, rows[7].id]);
    assert_eq!(plan.move_lease.len(), 7);
}

#[test]
fn a_lease_moves_three_times_and_then_the_row_is_redelivered_behind_any_queue() {
    for (moves, redelivered) in [(0, false), (1, false), (2, false), (3, true), (4, true)] {
        let row = Row {
            lease_moves: moves,
            ..stale(1, 5)
        };
        assert_eq!(
            with_depth(vec![row], 1_000_000).redeliver.len() == 1,
            redelivered,
            "{moves} moves"
        );
    }
}

/// The row in a batch of that number.
fn in_batch(number: u8, row: Row) -> Row {
    let batch: BatchId = format!("{number:032x}").parse().unwrap();
    Row {
        batch: Some(batch),
        ..row
    }
}

/// Rows of one execution share a message: a queue with two of them has two executions' rows, however many these are.
#[test]
fn the_queues_depth_is_compared_with_executions_and_not_with_rows() {
    let mut rows: Vec<Row> = (1..=20).map(|n| in_batch(1, stale(n, 5))).collect();
    rows.extend((21..=40).map(|n| in_batch(2, stale(n, 9))));
    rows.push(stale(41, 7));
    let alone = Row {
        alone: true,
        ..in_batch(1, stale(42, 3))
    };
    rows.push(alone);
    assert_eq!(with_depth(rows.clone(), 4).redeliver, []);
    let plan = with_depth(rows.clone(), 3);
    assert_eq!(plan.redeliver.len(), 20, "the batch whose leases ended first");
    assert!(plan.redeliver.iter().all(|lease| lease.batch == rows[20].batch));
    assert_eq!(with_depth(rows, 0).redeliver.len(), 42);
}

/// It runs, and perhaps without this row.
#[test]
fn of_a_batch_that_runs_a_rows_lease_is_made_longer_three_times_and_then_the_row_is_sent_again() {
    for (moves, redelivered) in [(0, false), (2, false), (3, true)] {
        let row = Row {
            lease_moves: moves,
            ..in_batch(1, stale(1, 5))
        };
        let running = BTreeSet::from([row.run_name()]);
        let plan = planned(vec![row], &running, &BTreeMap::new(), 1_000_000, at(NOW));
        let expected = if redelivered { (0, 1) } else { (1, 0) };
        assert_eq!(
            (plan.count.len(), plan.redeliver.len()),
            expected,
            "{moves} moves"
        );
        assert!(plan.renew.is_empty() && plan.move_lease.is_empty());
    }
}

#[test]
fn running_and_covered_rows_leave_the_queues_messages_to_the_others() {
    let rows = vec![stale(1, 5), stale(2, 6), stale(3, 7)];
    let running = BTreeSet::from([name(&rows[0])]);
    let receipts = BTreeMap::from([receipt(&rows[1])]);
    let plan = plan(rows.clone(), &running, &receipts, 1, at(NOW));
    assert_eq!(ids(&plan.move_lease), [rows[2].id]);
    assert!(plan.redeliver.is_empty());
}

#[test]
fn rows_that_went_on_since_the_index_was_read_are_left_alone() {
    let released = Row {
        status: Status::Pending,
        ..stale(1, 5)
    };
    let parked = Row {
        status: Status::Parked,
        ..stale(2, 5)
    };
    let renewed = stale(3, -1);
    let raw = Row {
        status: Status::Claimed,
        attempt: Attempt(1),
        ..Row::unreadable(&"aws".parse().unwrap(), "{".into(), "no".into(), None, at(0))
    };
    assert_eq!(
        with_depth(vec![released, parked, renewed, raw], 0),
        Plan::default()
    );
}

#[test]
fn a_lease_that_ends_now_is_over() {
    assert_eq!(with_depth(vec![stale(1, 0)], 0).redeliver.len(), 1);
}

#[test]
fn a_row_of_which_nothing_is_known_waits_for_six_hours() {
    let hours = i64::try_from(UNKNOWN_AT_MOST.as_secs() / 60).unwrap();
    for (minutes, overdue) in [(0, false), (hours - 1, false), (hours, true), (hours + 1, true)] {
        let sorted = sort(
            vec![stale(1, minutes)],
            &BTreeSet::new(),
            &BTreeMap::new(),
            at(NOW),
        );
        assert_eq!(sorted.unlisted[0].is_overdue(at(NOW)), overdue, "{minutes}");
    }
}

fn any_row() -> impl Strategy<Value = Row> {
    let status = prop::sample::select(Status::ALL.to_vec());
    (0u32..200, -3i64..20, 0u32..5, status).prop_map(|(n, ago, lease_moves, status)| Row {
        lease_moves,
        status,
        ..stale(n, ago)
    })
}

proptest! {
    #[test]
    fn every_stale_row_is_in_exactly_one_list_and_no_other_row_is_in_any(
        rows in prop::collection::vec(any_row(), 0..40),
        depth in 0u64..50,
        running in prop::collection::vec(0u32..200, 0..20),
        done in prop::collection::vec(0u32..200, 0..20),
    ) {
        let rows: BTreeMap<EventId, Row> = rows.into_iter().map(|row| (row.id, row)).collect();
        let rows: Vec<Row> = rows.into_values().collect();
        let running: BTreeSet<ExecutionName> = running.into_iter().map(|n| name(&stale(n, 0))).collect();
        let receipts: BTreeMap<ObjectId, Receipt> = done.into_iter().map(|n| receipt(&stale(n, 0))).collect();
        let plan = plan(rows.clone(), &running, &receipts, depth, at(NOW));
        let mut planned: Vec<EventId> = plan.renew.iter().map(|name| name.id).collect();
        planned.extend(plan.covered.iter().map(|row| row.id));
        for list in [&plan.move_lease, &plan.redeliver] {
            planned.extend(ids(list));
        }
        planned.sort();
        let mut expected: Vec<EventId> = rows
            .iter()
            .filter(|row| row.status == Status::Claimed && row.due_at <= at(NOW))
            .map(|row| row.id)
            .collect();
        expected.sort();
        prop_assert_eq!(planned, expected);
        // What is not redelivered is believed to wait in the queue: no more rows than messages.
        prop_assert!(plan.move_lease.len() as u64 <= depth);
        prop_assert!(plan.redeliver.is_sorted_by_key(|lease| (lease.due_at, lease.id)));
    }
}
