//! What is refused at a start, and left as it is.

use std::fs;
use std::path::Path;

use crate::error::LocalError;
use crate::store::Store;
use crate::store::folder::{Found, LEDGER_FILE, look, open_on};
use crate::store::ledger::Ledger;
use crate::store::maps::Map;
use crate::store::tests::disk::{Loss, TestDisk};
use crate::store::tests::life::{Content, Life, content, found, new_ledger};

/// A ledger of some pages that was closed well, and what is in it.
fn whole(closed: bool) -> (Vec<u8>, Vec<Content>) {
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    for n in 0..30u8 {
        let row = |map| (map, vec![n; 20], Some(vec![n; 700]));
        life.commit(vec![vec![row(Map::Items), row(Map::Entries)]])
            .expect("it is made");
    }
    let states = life.states.clone();
    let bytes = match closed {
        true => life.close().bytes(),
        false => life.disk.after_power_cut(life.disk.steps(), &Loss::Nothing),
    };
    (bytes, states)
}

/// Of every byte of a ledger that ended well: where one is changed, that is found, or it was none that matters.
#[test]
fn a_changed_byte_anywhere_is_found_at_the_start() {
    let (bytes, states) = whole(true);
    let last = states.last().expect("there is one");
    let (mut refused, mut meant_nothing) = (0, 0);
    // Every byte of the header, and enough of the rest to meet every page.
    for at in (0..512).chain((512..bytes.len()).step_by(61)) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        match found(changed) {
            Ok(content) => {
                assert!(content == *last, "byte {at}");
                meant_nothing += 1;
            }
            Err(LocalError::Damaged { .. } | LocalError::NotALedger { .. }) => refused += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    println!("{refused} refused, {meant_nothing} meant nothing");
    assert!(refused > 500, "{refused} refused");
}

/// The engine does not check a page that it reads again.
#[test]
fn a_byte_that_changes_later_is_found_when_it_is_read_again() {
    let (bytes, states) = whole(true);
    let last = states.last().expect("there is one");
    let mut refused = 0;
    for at in (512..bytes.len()).step_by(211) {
        let disk = TestDisk::with(bytes.clone());
        let opened = open_on(Path::new(LEDGER_FILE), disk.clone(), 0).expect("it opens");
        disk.flip(at);
        let ledger = Ledger::new(Path::new(LEDGER_FILE), opened);
        match ledger.look(content) {
            Ok(content) => assert!(content == *last, "byte {at}"),
            Err(error) => {
                assert!(error.to_string().contains("restart"), "{error}");
                assert!(ledger.look(|_| Ok(())).is_err());
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused} refused");
}

/// After a kill, the last commit looks like one that was being written where it is damaged; all before is checked.
#[test]
fn after_a_kill_a_changed_byte_costs_at_most_the_last_commit() {
    let (bytes, states) = whole(false);
    let before = &states[states.len() - 2..];
    for at in (0..512).chain((512..bytes.len()).step_by(61)) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        match found(changed) {
            Ok(content) => assert!(before.contains(&content), "byte {at}"),
            Err(LocalError::Damaged { .. } | LocalError::NotALedger { .. }) => {}
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_or_has_lost_a_page_is_refused() {
    for closed in [true, false] {
        let (bytes, states) = whole(closed);
        let lengths = (1..bytes.len())
            .step_by(4096)
            .chain((4096..bytes.len()).step_by(4096));
        for length in lengths {
            if let Ok(content) = found(bytes[..length].to_vec()) {
                // Pages at the end that nobody uses.
                assert_eq!(
                    content,
                    *states.last().expect("there is one"),
                    "cut off at {length}"
                );
            }
        }
        for page in (0..bytes.len()).step_by(4096) {
            let mut lost = bytes.clone();
            lost[page..page + 4096].fill(0);
            if let Ok(content) = found(lost) {
                let least = states.len() - if closed { 1 } else { 2 };
                assert!(states[least..].contains(&content), "page {page}");
            }
        }
    }
}

fn refused(folder: &Path) -> LocalError {
    let before = files(folder);
    let error = match Store::open(folder) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    };
    assert!(files(folder) == before, "{error}: something was written");
    error
}

fn files(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read"))
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap_or_default()))
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_something_else_is_refused_by_its_name_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join(LEDGER_FILE);
    let other = {
        let disk = TestDisk::default();
        drop(
            redb::Builder::new()
                .create_with_backend(disk.clone())
                .expect("it is made"),
        );
        disk.bytes()
    };
    let newer = {
        let disk = TestDisk::with(new_ledger());
        let database = redb::Builder::new()
            .create_with_backend(disk.clone())
            .expect("it opens");
        let about = redb::TableDefinition::<&str, u64>::new("about");
        let transaction = database.begin_write().expect("it begins");
        transaction
            .open_table(about)
            .expect("opened")
            .insert("format", 2)
            .expect("put");
        transaction.commit().expect("it is made");
        drop(database);
        disk.bytes()
    };
    let (good, _) = whole(true);
    for (bytes, told) in [
        (b"SQLite format 3\0 and more".to_vec(), "SQLite"),
        (b"not a ledger".to_vec(), "does not begin as one"),
        (b"r".to_vec(), "does not begin as one"),
        (other, "redb database of something else"),
        (newer, "format 2"),
        (good[..good.len() - 1].to_vec(), "its end is missing"),
    ] {
        fs::write(&path, bytes).expect("written");
        let said = refused(folder.path()).to_string();
        assert!(said.contains(told) && said.contains(LEDGER_FILE), "{said}");
    }
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    assert!(refused(folder.path()).to_string().contains("not a file"));
}

#[test]
fn a_ledger_of_an_earlier_build_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a directory");
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        fs::write(folder.path().join(name), "SQLite format 3\0").expect("written");
    }
    assert!(matches!(refused(folder.path()), LocalError::EarlierBuild { .. }));
    assert!(matches!(
        look(folder.path()),
        Err(LocalError::EarlierBuild { .. })
    ));
}

#[test]
fn a_folder_without_a_ledger_gets_one_and_a_start_that_died_over_it_is_no_hindrance() {
    let folder = tempfile::tempdir().expect("a directory");
    assert_eq!(look(folder.path()).expect("it can be looked at"), Found::Nothing);
    fs::write(folder.path().join("ledger.redb.new"), "half made").expect("written");
    fs::write(folder.path().join(LEDGER_FILE), "").expect("written");
    assert_eq!(look(folder.path()).expect("it can be looked at"), Found::Nothing);
    let store = Store::open(folder.path()).expect("it opens");
    assert_eq!(look(folder.path()).expect("it can be looked at"), Found::Ledger);
    assert_eq!(store.look(content).expect("it answers"), Content::new());
    assert!(!folder.path().join("ledger.redb.new").exists());
    // And while it is open nobody else opens it.
    assert!(matches!(
        Store::open(folder.path()),
        Err(LocalError::InUse { .. })
    ));
}

#[cfg(unix)]
#[test]
fn what_is_made_is_private_and_what_is_there_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let parent = tempfile::tempdir().expect("a directory");
    let shared = parent.path().join("shared");
    fs::create_dir(&shared).expect("made");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o750)).expect("set");
    drop(Store::open(&shared).expect("it opens"));
    assert_eq!(mode(&shared), 0o750);
    assert_eq!(mode(&shared.join(LEDGER_FILE)), 0o600);
    let made = shared.join("made").join("deep");
    drop(Store::open(&made).expect("it opens"));
    assert_eq!((mode(&made), mode(&shared.join("made"))), (0o700, 0o700));
}
