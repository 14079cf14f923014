//! Ledgers that are not what they were: an error that says so, and not a byte changed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::machine::{Up, command, counts, ledger};
use crate::notices::{notification, record};
use crate::stand_in::{daybook, run};

const PAGE: usize = 4096;

/// A folder in which 300 events wait, ended well; the bytes of its files.
async fn whole(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut up = Up::start(dir, &[]).await;
    for n in 0..10 {
        let records = (0..30).map(|k| record(&format!("devices/{n}/{k}"), n * 30 + k));
        assert_eq!(up.record(notification(records.collect()).to_string()).await, 30);
    }
    up.drained().await;
    files(dir)
}

/// The files of a folder, by name.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read(entry.path()).unwrap())
    };
    std::fs::read_dir(dir).unwrap().map(file).collect()
}

/// A folder with these files, and with that in the ledger's place; `None` is nothing.
fn folder(dir: &Path, files: &BTreeMap<String, Vec<u8>>, ledger: Option<&[u8]>) {
    std::fs::create_dir(dir).unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
    match ledger {
        Some(bytes) => std::fs::write(dir.join("ledger.redb"), bytes).unwrap(),
        None => std::fs::remove_file(dir.join("ledger.redb")).unwrap(),
    }
}

/// What is in the place of the ledger.
fn data(dir: &Path) -> Option<Vec<u8>> {
    std::fs::read(dir.join("ledger.redb")).ok()
}

/// `daybook up` refuses the folder, says which file it is about and what to do, and leaves it as it is.
async fn is_refused(what: &str, dir: &Path) {
    let before = data(dir);
    // For whoever reads of one that is not refused, and does not end.
    println!("{what}");
    let ended = Up::spawn(command(dir, &[])).ended().await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), ""),
        "{what}: {ended:?}"
    );
    let said = format!("error: the ledger in {} cannot be opened", dir.display());
    assert!(ended.stderr.starts_with(&said), "{what}: {}", ended.stderr);
    let file = dir.join("ledger.redb").display().to_string();
    assert!(ended.stderr.contains(&file), "{what}: {}", ended.stderr);
    assert!(ended.stderr.contains("hint: "), "{what}: {}", ended.stderr);
    assert!(data(dir) == before, "{what}: something was written");
}

/// So does a command beside it.
fn is_refused_to_others(what: &str, dir: &Path) {
    let before = data(dir);
    let mut status = daybook(&["status", "--local"]);
    let (code, _, stderr) = run(status.arg(dir));
    assert_ne!(code, 0, "{what}");
    assert!(stderr.contains("error: "), "{what}: {stderr}");
    assert!(data(dir) == before, "{what}: something was written");
}

#[tokio::test]
async fn what_is_no_ledger_any_more_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let files = whole(&home.path().join("whole")).await;
    let good = &files["ledger.redb"];
    let pages = good.len() / PAGE;
    assert!(pages >= 20, "{pages} pages");
    let mut damaged: Vec<(String, Option<Vec<u8>>)> = vec![
        ("a missing file".into(), None),
        ("an empty file".into(), Some(Vec::new())),
        ("a few bytes".into(), Some(b"not a ledger".to_vec())),
        (
            "garbage".into(),
            Some((0..50_000u32).map(|n| ((n * 7919) >> 3) as u8).collect()),
        ),
    ];
    let lengths = [
        100,
        512,
        PAGE - 1,
        PAGE,
        pages / 2 * PAGE,
        pages / 2 * PAGE + 17,
        good.len() - PAGE,
    ];
    for length in lengths.into_iter().chain([good.len() - 1]) {
        let cut = good[..length].to_vec();
        damaged.push((format!("cut off at {length}"), Some(cut)));
    }
    for at in [0, 5, 16] {
        let mut bytes = good.clone();
        bytes[at] ^= 0xFF;
        damaged.push((format!("byte {at} of the header"), Some(bytes)));
    }
    for (n, (what, bytes)) in damaged.iter().enumerate() {
        let dir = home.path().join(n.to_string());
        folder(&dir, &files, bytes.as_deref());
        is_refused(what, &dir).await;
        is_refused_to_others(what, &dir);
    }
}

#[tokio::test]
async fn settings_that_cannot_be_read_do_not_make_a_lost_ledger_a_new_one() {
    let home = tempfile::tempdir().unwrap();
    let mut files = whole(&home.path().join("whole")).await;
    files.insert("settings.json".into(), b"{".to_vec());
    for (n, ledger) in [None, Some(&[][..])].into_iter().enumerate() {
        let dir = home.path().join(n.to_string());
        folder(&dir, &files, ledger);
        is_refused("no ledger, and no settings", &dir).await;
    }
    // Beside a whole ledger they are written anew.
    let dir = home.path().join("good");
    folder(&dir, &files, Some(&files["ledger.redb"]));
    Up::start(&dir, &[]).await.drained().await;
    assert_eq!(counts(&ledger(&dir)).await.iter().sum::<u64>(), 300);
}

/// Nothing that is torn or overwritten is taken for what was written: it is refused, or nothing has it.
#[tokio::test]
async fn a_page_that_is_torn_or_overwritten_is_found_before_anything_is_answered() {
    let home = tempfile::tempdir().unwrap();
    let files = whole(&home.path().join("whole")).await;
    let good = &files["ledger.redb"];
    let used: Vec<usize> = (1..good.len() / PAGE)
        .filter(|page| good[page * PAGE..(page + 1) * PAGE].iter().any(|byte| *byte != 0))
        .collect();
    let mut refusals = 0;
    // A page of zeros is what a lost write leaves.
    for page in (0..8).map(|n| used[n * used.len() / 8]) {
        let start = page * PAGE;
        let mut flipped = good.clone();
        flipped[start + 100..start + 108]
            .iter_mut()
            .for_each(|byte| *byte ^= 0xFF);
        let mut zeros = good.clone();
        zeros[start..start + PAGE].fill(0);
        for (what, bytes) in [("flipped", flipped), ("zeros", zeros)] {
            let dir = home.path().join(format!("{what} {page}"));
            folder(&dir, &files, Some(&bytes));
            println!("page {page} {what}");
            match daybook_local::LocalAws::builder().data_dir(&dir).build() {
                // Pages that are free keep what was in them.
                Ok(aws) => {
                    drop(aws);
                    assert_eq!(counts(&ledger(&dir)).await, [300, 0, 0]);
                }
                Err(_) => {
                    is_refused(&format!("page {page} {what}"), &dir).await;
                    refusals += 1;
                }
            }
        }
    }
    assert!(refusals >= 4, "{refusals}");
}

#[tokio::test]
async fn an_empty_ledger_in_the_place_of_one_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let files = whole(&home.path().join("whole")).await;
    let empty = home.path().join("empty");
    drop(
        daybook_local::LocalAws::builder()
            .data_dir(&empty)
            .build()
            .unwrap(),
    );
    let empty = std::fs::read(empty.join("ledger.redb")).unwrap();
    let dir = home.path().join("data");
    folder(&dir, &files, Some(&empty));
    let ended = Up::spawn(command(&dir, &[])).ended().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("holds no ledger, and there was one before"),
        "{ended:?}"
    );
    let (code, _, beside) = run(daybook(&["status", "--local"]).arg(&dir));
    assert_eq!(code, 1, "{beside}");
    assert!(
        beside.contains("holds no ledger, and there was one before"),
        "{beside}"
    );
}

#[tokio::test]
async fn a_folder_of_an_earlier_build_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("daybook-data");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("ledger.sqlite"), "SQLite format 3\0").unwrap();
    std::fs::write(dir.join("settings.json"), "{}").unwrap();
    let before = files(&dir);
    let ended = Up::spawn(command(&dir, &[])).ended().await;
    let (code, _, beside) = run(daybook(&["status"]).current_dir(home.path()));
    assert_eq!((ended.code, code), (Some(1), 1), "{ended:?} {beside}");
    for said in [&ended.stderr, &beside] {
        assert!(
            said.contains("ledger.sqlite is a ledger of an earlier build"),
            "{said}"
        );
        assert!(said.contains("daybook audit --repair"), "{said}");
    }
    let mut after = files(&dir);
    after.remove("up.lock");
    assert_eq!(after, before);
}

/// Settings that nobody can read do not take the ledger with them.
#[tokio::test]
async fn settings_that_cannot_be_read_are_written_anew() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    whole(&dir).await;
    std::fs::write(dir.join("settings.json"), "{").unwrap();
    let up = Up::start(&dir, &[]).await;
    assert_eq!(counts(&ledger(&dir)).await, [300, 0, 0]);
    up.drained().await;
}

/// A start makes a ledger under another name, and renames it when it is whole: an empty one is no new one, and looking makes none of it.
#[tokio::test]
async fn looking_makes_no_ledger_of_an_empty_file() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("ledger.redb"), "").unwrap();
    for verb in ["status", "list"] {
        let (code, stdout, stderr) = run(daybook(&[verb, "--local"]).arg(&dir));
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.contains("ledger.redb is empty"), "{stderr}");
        assert_eq!(data(&dir).unwrap(), b"");
    }
    // Where nothing says that there was a ledger, a start makes one.
    Up::start(&dir, &[]).await.drained().await;
    assert_eq!(counts(&ledger(&dir)).await, [0, 0, 0]);
}
