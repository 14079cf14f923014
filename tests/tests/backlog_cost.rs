//! A tick costs what it claims, however many rows wait.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::Refusal;
use daybook_schema::{Row, Status};
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;

const CLAIMED_PER_TICK: u32 = 50;

/// What a run read and wrote, as DynamoDB reports it, and what was on the wire.
#[derive(Debug, PartialEq)]
struct Cost {
    read_units: f64,
    write_units: f64,
    operations: BTreeMap<String, u64>,
    index_rows: usize,
    index_bytes: usize,
}

/// Puts `n` rows, due one after the other and all of them by now, and gives each tick its own object.
async fn stage_with_pending(n: u64) -> Stage {
    let stage = Stage::usual().await;
    let start = stage.now();
    let template = row_in(Status::Pending, &Upload::new("devices/a.json", 0, "e"), start);
    let rows: Vec<Row> = (0..n).map(|i| numbered(&template, i, i)).collect();
    stage.put_rows(&rows);
    stage.pass(Duration::from_secs(3600)).await;
    stage
}

/// The row of another event: another id, due so many milliseconds later.
fn numbered(template: &Row, n: u64, later: u64) -> Row {
    let mut event = template.event().unwrap().clone();
    // The last byte makes the shard: spread evenly, as hashes are.
    event.id = format!(
        "00000000-0000-5000-8000-{:012x}",
        n.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF_FFFF
    )
    .parse()
    .unwrap();
    event.key = format!("devices/{n:08}.json").parse().unwrap();
    let due_at = template.due_at.plus(Duration::from_millis(later));
    Row {
        due_at,
        ..Row::recorded(event, 5, None, due_at)
    }
}

async fn cost_of(stage: &Stage, run: impl AsyncFnOnce(&Stage)) -> Cost {
    let (before, operations) = (stage.ledger.consumed(), stage.wire.operations());
    stage.wire.keep_log();
    run(stage).await;
    let used = stage.ledger.consumed() - before;
    let mut cost = Cost {
        read_units: used.read_units,
        write_units: used.write_units,
        operations: BTreeMap::new(),
        index_rows: 0,
        index_bytes: 0,
    };
    for (name, count) in stage.wire.operations() {
        let new = count - operations.get(&name).copied().unwrap_or(0);
        if new > 0 {
            cost.operations.insert(name, new);
        }
    }
    for (request, _, answer) in stage.wire.log() {
        if request.operation == "Query" {
            cost.index_rows += answer["Items"].as_array().map_or(0, Vec::len);
            cost.index_bytes += answer.to_string().len();
        }
    }
    cost
}

async fn tick(stage: &Stage) {
    let report = stage.schedule().await;
    assert_eq!(
        (report.claimed, report.sent, report.lost),
        (CLAIMED_PER_TICK, CLAIMED_PER_TICK, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn claiming_fifty_of_a_hundred_thousand_rows_reads_as_much_as_fifty_of_a_thousand() {
    let small = cost_of(&stage_with_pending(1_000).await, tick).await;
    let large = cost_of(&stage_with_pending(100_000).await, tick).await;
    assert_eq!(small.operations, large.operations);
    assert_eq!(small.read_units, large.read_units);
    assert_eq!(small.write_units, large.write_units);
    assert_eq!(small.index_rows, large.index_rows);
    let difference = small.index_bytes.abs_diff(large.index_bytes);
    assert!(
        difference * 20 < small.index_bytes,
        "{} and {} bytes",
        small.index_bytes,
        large.index_bytes
    );

    // And it is little: a page per shard, a control item, the version of the first row, the grant, two batches of claims, five of
    // messages.
    assert_eq!(large.operations["Query"], 16);
    assert_eq!(large.operations["BatchGetItem"], 1);
    assert_eq!(large.operations["BatchExecuteStatement"], 2);
    assert_eq!(large.operations["SendMessageBatch"], 5);
    assert_eq!(large.write_units, f64::from(CLAIMED_PER_TICK) * 3.0 + 1.0);
    assert!(
        large.read_units <= 16.0 * 0.5 + 1.0 + 0.5,
        "{} read units",
        large.read_units
    );
    assert!(
        large.index_rows <= 16 * 12,
        "{} rows of the index",
        large.index_rows
    );
}

/// A window of a day has a tick every minute.
#[tokio::test(start_paused = true)]
async fn a_tick_that_finds_its_window_spent_reads_how_old_the_oldest_row_is_and_no_more() {
    let stage = stage_with_pending(1_000).await;
    let first = cost_of(&stage, tick).await;
    let spent = cost_of(&stage, async |stage| {
        let report = stage.schedule().await;
        assert_eq!(report.refusal, Some(Refusal::WindowFull));
        assert_eq!(report.oldest_due_seconds, Some(3599));
    })
    .await;
    assert_eq!((spent.write_units, spent.operations["Query"]), (0.0, 16));
    assert!(
        spent.index_rows * 2 <= first.index_rows,
        "{} and {} rows of the index",
        spent.index_rows,
        first.index_rows
    );
}

#[tokio::test(start_paused = true)]
async fn a_sweep_reads_as_much_beside_a_hundred_thousand_pending_rows_as_beside_none() {
    let stage_with_stale = async |pending| {
        let stage = stage_with_pending(pending).await;
        let lease_end = stage.now();
        let template = row_in(
            Status::Claimed,
            &Upload::new("devices/stale.json", 0, "e"),
            lease_end,
        );
        let stale: Vec<Row> = (0..5)
            .map(|i| {
                let row = numbered(&template, 0xABCD_0000 + i, 0);
                Row {
                    subject: row.subject,
                    id: row.id,
                    due_at: lease_end,
                    ..template.clone()
                }
            })
            .collect();
        stage.put_rows(&stale);
        stage.pass(Duration::from_secs(1)).await;
        stage
    };
    let sweep = async |stage: &Stage| {
        let swept = stage.sweep().await;
        assert_eq!((swept.stale, swept.redelivered), (5, 5), "{swept:?}");
    };
    let small = cost_of(&stage_with_stale(0).await, sweep).await;
    let large = cost_of(&stage_with_stale(100_000).await, sweep).await;
    assert_eq!(small, large);
    assert_eq!(large.operations["Query"], 16);
    assert_eq!(large.operations.get("Scan"), None);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_finds_nothing_due_reads_the_same_beside_a_hundred_thousand_rows_due_later() {
    let cost = async |n| {
        let stage = Stage::usual().await;
        let tomorrow = stage.now().plus(Duration::from_secs(24 * 3600));
        let template = row_in(Status::Pending, &Upload::new("devices/a.json", 0, "e"), tomorrow);
        let rows: Vec<Row> = (0..n).map(|i| numbered(&template, i, i)).collect();
        stage.put_rows(&rows);
        let idle = async |stage: &Stage| assert_eq!(stage.schedule().await.claimed, 0);
        cost_of(&stage, idle).await
    };
    let (none, many) = (cost(0).await, cost(20_000).await);
    assert_eq!(none, many);
    assert_eq!((many.write_units, many.index_rows), (0.0, 0));
}
