//! Open rows that match: what DynamoDB lets through is what a reader of all rows would pick, and what nobody can read is never left out.

use std::collections::BTreeSet;

use daybook_ledger::RowFilter;
use daybook_schema::{EventId, Row, Status};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::{newer_item, row_in};
use daybook_tests::{Fault, Stage};

/// Ids of the rows that match, and how many rows cannot be read.
async fn matching(stage: &Stage, filter: &RowFilter) -> (BTreeSet<EventId>, usize) {
    let mut pages = stage.ledger.open_rows_matching(filter);
    let (mut ids, mut unreadable) = (BTreeSet::new(), 0);
    while let Some(page) = pages.next().await.unwrap() {
        for row in page {
            match row {
                Ok(row) => assert!(ids.insert(row.id), "{} is there twice", row.id),
                Err(_) => unreadable += 1,
            }
        }
    }
    assert!(pages.is_done());
    (ids, unreadable)
}

/// What [`RowFilter`] says in words.
fn is_meant(filter: &RowFilter, row: &Row) -> bool {
    let event = row.event();
    let bucket = event.map(|event| event.bucket.as_str());
    let key = event.map(|event| event.key.as_str());
    let error = row.last_error.as_deref();
    let asks_no_bucket = filter.bucket.is_none();
    let asks_no_key = filter.keys.is_empty();
    (asks_no_bucket || bucket == filter.bucket.as_deref())
        && (asks_no_key || key.is_some_and(|key| filter.keys.iter().any(|asked| asked == key)))
        && (filter.key_prefix.as_ref()).is_none_or(|prefix| key.is_some_and(|key| key.starts_with(prefix)))
        && (filter.error.as_ref()).is_none_or(|text| error.is_some_and(|error| error.contains(text)))
        && filter.recorded_until.is_none_or(|until| row.recorded_at <= until)
        && filter.batch.is_none_or(|batch| row.batch == Some(batch))
        && filter.status.is_none_or(|status| row.status == status)
        && (!filter.only_failed || error.is_some())
        && (!filter.only_raw || event.is_none())
}

#[tokio::test(start_paused = true)]
async fn what_matches_is_what_a_reader_of_all_rows_would_pick() {
    let stage = Stage::usual().await;
    let now = stage.now();
    let statuses = [Status::Pending, Status::Claimed, Status::Parked];
    // More than a megabyte, so that each part has pages.
    let rows: Vec<Row> = (0..4000u32)
        .map(|n| {
            let key = format!(
                "{}/{}{n}.json",
                ["in", "out", "i"][n as usize % 3],
                "k".repeat(300)
            );
            let mut row = row_in(statuses[n as usize % 3], &Upload::new(&key, n.into(), "e"), now);
            row.last_error = (n % 4 == 0).then(|| format!("exit status {}: no such column", n % 8));
            row.recorded_at = now.minus(std::time::Duration::from_secs(u64::from(n)));
            row
        })
        .collect();
    stage.put_rows(&rows);
    let raw = Row::unreadable(
        &"aws".parse().unwrap(),
        "<html>".into(),
        "no JSON".into(),
        None,
        now,
    );
    stage.put_rows([&raw]);
    let key = |n: usize| rows[n].event().unwrap().key.as_str().to_owned();
    let bucket = Some(rows[0].event().unwrap().bucket.as_str().to_owned());
    let none = RowFilter::default();
    let filters = [
        none.clone(),
        RowFilter {
            bucket: bucket.clone(),
            ..none.clone()
        },
        RowFilter {
            bucket: Some("other".into()),
            ..none.clone()
        },
        RowFilter {
            keys: vec![key(7), key(1000), "absent".into()],
            bucket,
            ..none.clone()
        },
        RowFilter {
            key_prefix: Some("in/".into()),
            status: Some(Status::Parked),
            ..none.clone()
        },
        RowFilter {
            key_prefix: Some("i".into()),
            error: Some("status 4: no".into()),
            ..none.clone()
        },
        RowFilter {
            recorded_until: Some(rows[3990].recorded_at),
            ..none.clone()
        },
        RowFilter {
            batch: Some("00000000000000000000000000000001".parse().unwrap()),
            ..none.clone()
        },
        RowFilter {
            only_failed: true,
            ..none.clone()
        },
        RowFilter {
            only_raw: true,
            ..none.clone()
        },
        RowFilter {
            only_raw: true,
            status: Some(Status::Pending),
            ..none
        },
    ];
    for filter in &filters {
        let expected: BTreeSet<EventId> = rows
            .iter()
            .chain([&raw])
            .filter(|row| is_meant(filter, row))
            .map(|row| row.id)
            .collect();
        let (found, unreadable) = matching(&stage, filter).await;
        assert!(
            found == expected,
            "{filter:?}: {} found, {} expected",
            found.len(),
            expected.len()
        );
        assert_eq!(unreadable, 0, "{filter:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_of_a_newer_release_may_be_any_of_its_status() {
    let stage = Stage::usual().await;
    let row = row_in(Status::Parked, &Upload::new("a.json", 1, "e"), stage.now());
    stage.put_items("ledger", vec![newer_item(&row)]);
    let filter = |status| RowFilter {
        key_prefix: Some("b".into()),
        status,
        ..RowFilter::default()
    };
    for (status, unreadable) in [(None, 1), (Some(Status::Parked), 1), (Some(Status::Pending), 0)] {
        let found = matching(&stage, &filter(status)).await;
        assert_eq!((found.0.len(), found.1), (0, unreadable), "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_could_not_be_read_is_read_by_the_next_call_and_the_others_once() {
    let stage = Stage::usual().await;
    let rows: Vec<Row> = (0..200)
        .map(|n| row_in(Status::Parked, &Upload::new(&format!("{n}"), n, "e"), stage.now()))
        .collect();
    stage.put_rows(&rows);
    stage.wire.inject_next("Scan", [Fault::Throttled]);
    let mut pages = stage.ledger.open_rows_matching(&RowFilter::default());
    let mut ids = Vec::new();
    loop {
        match pages.next().await {
            Ok(Some(page)) => ids.extend(page.into_iter().map(|row| row.unwrap().id)),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    ids.sort_unstable();
    let mut expected: Vec<EventId> = rows.iter().map(|row| row.id).collect();
    expected.sort_unstable();
    assert_eq!(ids, expected);
}
