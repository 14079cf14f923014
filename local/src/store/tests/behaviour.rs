//! What a store promises beyond what is on disk.

use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::time::Duration;

use redb::ReadableDatabase;

use crate::store::Store;
use crate::store::error::StoreError;
#[cfg(target_os = "linux")]
use crate::store::folder::open;
use crate::store::folder::open_on;
use crate::store::maps::{Change, Look, Map};
use crate::store::rows::{Changes, Snapshot};
use crate::store::tests::disk::TestDisk;
use crate::store::tests::life::{Life, content, job, new_ledger};

fn keys(look: &dyn Look, range: (Bound<&[u8]>, Bound<&[u8]>), backwards: bool, most: usize) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let visited = look.visit(Map::Items, range, backwards, &mut |key, _| {
        keys.push(key.to_vec());
        match keys.len() < most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    visited.expect("it answers");
    keys
}

/// The same requests in memory and in a file: the same answers, of changes before they are committed and of looks after.
#[tokio::test]
async fn in_a_file_it_answers_as_in_memory() {
    let folder = tempfile::tempdir().expect("a directory");
    let (memory, file) = (Store::in_memory(), Store::open(folder.path()).expect("it opens"));
    let mut rng = fastrand::Rng::with_seed(31);
    for round in 0..150 {
        let seed = rng.u64(..);
        let change = move |change: &mut dyn Change| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut seen = Vec::new();
            for _ in 0..1 + rng.usize(..12) {
                let key = vec![rng.u8(..30); 1 + rng.usize(..2)];
                let other = vec![rng.u8(..30); 1 + rng.usize(..2)];
                let map = Map::ALL[rng.usize(..3)];
                match rng.u8(..5) {
                    0 | 1 => change.put(map, &key, &vec![rng.u8(..); rng.usize(..2000)])?,
                    2 => change.remove(map, &key)?,
                    3 => seen.push(change.get(map, &key)?.into_iter().collect()),
                    _ => {
                        let bound = |rng: &mut fastrand::Rng, key| match rng.u8(..3) {
                            0 => Bound::Included(key),
                            1 => Bound::Excluded(key),
                            _ => Bound::Unbounded,
                        };
                        let range = (bound(&mut rng, key.as_slice()), bound(&mut rng, other.as_slice()));
                        seen.push(keys(change, range, rng.bool(), 1 + rng.usize(..20)));
                    }
                }
            }
            Ok(seen)
        };
        let (one, other) = (memory.change(change).await, file.change(change).await);
        assert_eq!(
            one.expect("it answers"),
            other.expect("it answers"),
            "round {round}"
        );
        assert_eq!(
            memory.look(content).expect("it answers"),
            file.look(content).expect("it answers"),
            "round {round}"
        );
    }
    let before = file.look(content).expect("it answers");
    drop(file);
    let file = Store::open(folder.path()).expect("it opens again");
    assert_eq!(file.look(content).expect("it answers"), before);
}

fn put(key: &'static str) -> impl FnOnce(&mut dyn Change) -> Result<(), StoreError> + Send + 'static {
    move |change| change.put(Map::Items, key.as_bytes(), b"value")
}

#[test]
fn what_waits_together_is_one_flush_and_what_only_looks_is_none() {
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    let flushes = life.flushes();
    let answers = life.run(
        (0..32u8)
            .map(|n| job(move |change| change.put(Map::Items, &[n], b"value")))
            .collect(),
    );
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(life.flushes() - flushes, 1);
    for _ in 0..3 {
        life.run(vec![job(put("alone"))]);
    }
    assert_eq!(life.flushes() - flushes, 4);
    let looked = life.run(vec![job(|change| change.get(Map::Items, b"alone"))]);
    assert_eq!(looked[0].clone().expect("it answers"), Some(b"value".to_vec()));
    assert_eq!(life.flushes() - flushes, 4);
}

#[test]
fn a_request_that_panics_is_undone_and_the_others_are_kept() {
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    life.run(vec![job(put("removed")), job(put("changed"))]);
    let panics = |change: &mut dyn Change| {
        change.put(Map::Items, b"new", b"other")?;
        change.put(Map::Items, b"changed", b"other")?;
        change.put(Map::Items, b"changed", b"another")?;
        change.remove(Map::Items, b"removed")?;
        change.put(Map::Items, b"before", b"other")?;
        panic!("on purpose")
    };
    let answers = life.run(vec![job(put("before")), job(panics), job(put("after"))]);
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(
        answers[1]
            .clone()
            .expect_err("refused")
            .to_string()
            .contains("panicked")
    );
    let expected: Vec<_> = ["after", "before", "changed", "removed"]
        .map(|key| ((Map::Items as u8, key.as_bytes().to_vec()), b"value".to_vec()))
        .into();
    assert_eq!(
        life.content()
            .expect("it answers")
            .into_iter()
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_request_that_finds_what_cannot_be_fails_the_store() {
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    let answers = life.run(vec![
        job(put("beside")),
        job(|_| Err(StoreError::new("a row that cannot be"))),
    ]);
    for answer in answers {
        let said = answer.expect_err("refused").to_string();
        assert!(
            said.contains("a row that cannot be") && said.contains("restart"),
            "{said}"
        );
    }
    assert!(life.content().is_err());
    let steps = life.disk.steps();
    assert_eq!(life.close().steps(), steps);
}

#[tokio::test]
async fn a_change_whose_answer_nobody_waits_for_is_made() {
    let folder = tempfile::tempdir().expect("a directory");
    let store = Store::open(folder.path()).expect("it opens");
    {
        let mut waiting = std::pin::pin!(store.change(put("dropped")));
        // Handed over, and not waited for.
        assert!(futures::poll!(&mut waiting).is_pending());
    }
    store.change(put("after")).await.expect("it is made");
    let found = store.look(|look| look.get(Map::Items, b"dropped"));
    assert!(found.expect("it answers").is_some());
}

#[tokio::test]
async fn a_thousand_at_once_share_few_flushes() {
    let folder = tempfile::tempdir().expect("a directory");
    let store = Store::open(folder.path()).expect("it opens");
    let change = |n: u64| store.change(move |change| change.put(Map::Items, &n.to_be_bytes(), b"value"));
    for answer in futures::future::join_all((0..3000).map(change)).await {
        answer.expect("it is made");
    }
    assert!(store.flushes() < 300, "{} flushes", store.flushes());
    let rows = store.look(content).expect("it answers").len();
    assert_eq!(rows, 3000);
}

/// More rows than may be held in memory, put and looked at.
#[test]
fn no_more_is_held_in_memory_than_it_may() {
    const CACHE: usize = 1 << 20;
    let disk = TestDisk::with(new_ledger());
    let opened = open_on(Path::new("ledger.redb"), disk.clone(), CACHE).expect("it opens");
    for first in (0..10_000u32).step_by(500) {
        let transaction = opened.database.begin_write().expect("it begins");
        {
            let mut changes = Changes::new(&transaction).expect("it begins");
            for n in first..first + 500 {
                changes
                    .put(Map::Items, &n.to_be_bytes(), &[7; 500])
                    .expect("it is put");
            }
        }
        transaction.commit().expect("it is made");
        assert!(opened.database.cache_stats().used_bytes() <= CACHE);
    }
    let rows = content(&Snapshot::new(&opened.database).expect("it begins")).expect("it answers");
    assert_eq!(rows.len(), 10_000);
    assert!(opened.database.cache_stats().used_bytes() <= CACHE);
    assert!(disk.bytes().len() > 4 * CACHE);
}

/// 100,000 rows come and go: the file is small again, and meanwhile it answers.
#[tokio::test]
async fn the_file_is_small_again_once_its_rows_are_removed() {
    const ROWS: u32 = 100_000;
    let folder = tempfile::tempdir().expect("a directory");
    let store = Store::open(folder.path()).expect("it opens");
    let length = || {
        std::fs::metadata(folder.path().join("ledger.redb"))
            .expect("it is there")
            .len()
    };
    let key = |n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes();
    for first in (0..ROWS).step_by(2000) {
        let put = store.change(move |change| {
            (first..first + 2000).try_for_each(|n| change.put(Map::Items, &key(n), &[7; 100]))
        });
        put.await.expect("it is made");
    }
    let full = length();
    assert!(full > 12 << 20, "{full} bytes");
    // The last thousand stay a while: there is no need for it to be empty.
    let mut longest = Duration::ZERO;
    for first in (0..ROWS - 1000).step_by(1000) {
        let began = tokio::time::Instant::now();
        let remove = store
            .change(move |change| (first..first + 1000).try_for_each(|n| change.remove(Map::Items, &key(n))));
        remove.await.expect("it is made");
        longest = longest.max(began.elapsed());
    }
    store.change(put("last")).await.expect("it is made");
    let small = length();
    println!("{full} bytes, then {small}; the longest wait was {longest:?}");
    assert!(small < 4 << 20, "{small} bytes of {full}");
    assert_eq!(store.look(content).expect("it answers").len(), 1001);
    drop(store);
    let store = Store::open(folder.path()).expect("it opens again");
    assert_eq!(store.look(content).expect("it answers").len(), 1001);
}

/// What this thread had the kernel write, in bytes; none where the kernel does not count it for each thread.
#[cfg(target_os = "linux")]
fn written() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    let count = counts.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Some(count.expect("it is counted").parse().expect("a number"))
}

/// Where a file system keeps files in pieces of several pages, as ext4 does on a new kernel, it counts and looks at a whole piece for each
/// page of it that is written.
#[cfg(target_os = "linux")]
#[test]
fn after_a_start_with_a_large_ledger_a_commit_writes_only_its_pages() {
    const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("large");
    let folder = tempfile::tempdir().expect("a directory");
    let commit = |database: &redb::Database, keys: &[u64], length: usize| {
        let transaction = database.begin_write().expect("it begins");
        let mut table = transaction.open_table(TABLE).expect("a table");
        for key in keys {
            let value = vec![7; length];
            table.insert(key, value.as_slice()).expect("it is taken");
        }
        drop(table);
        transaction.commit().expect("it is made");
    };
    let opened = open(folder.path()).expect("it is made");
    for first in (0..64_000).step_by(8000) {
        let keys: Vec<u64> = (first..first + 8000).collect();
        commit(&opened.database, &keys, 1000);
    }
    drop(opened);
    let opened = open(folder.path()).expect("it opens");
    let before = written();
    let commits: u64 = 50;
    for n in 0..commits {
        commit(&opened.database, &[n * 1231 % 64_000], 900);
    }
    let Some((before, after)) = before.zip(written()) else {
        return println!("not looked at: the kernel does not count what a thread writes");
    };
    let each = (after - before) / commits;
    println!("{each} bytes for each commit");
    assert!(each < 100_000, "{each} bytes for each commit");
}
