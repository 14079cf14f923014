//! What is in the ledger's place is looked at before anything is written.

use std::path::Path;

use daybook_local::{Found, LEDGER_FILE, LocalAws, LocalError, check, look};
use rusqlite::Connection;

const TABLE: &str = r#"{"TableName":"events","BillingMode":"PAY_PER_REQUEST",
    "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],
    "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}]}"#;

fn open(directory: &Path) -> Result<LocalAws, LocalError> {
    LocalAws::builder().data_dir(directory).build()
}

fn bytes(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join(LEDGER_FILE)).expect("it is there")
}

#[tokio::test]
async fn a_new_directory_holds_nothing_and_one_with_a_table_holds_tables() {
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(look(directory.path()).expect("it looks"), Found::Nothing);
    let aws = open(directory.path()).expect("it opens");
    assert_eq!(check(directory.path()).expect("it looks"), Found::Nothing);
    let made = aws
        .handle("DynamoDB_20120810.CreateTable", TABLE.as_bytes())
        .await;
    assert_eq!(made.status, 200);
    // While it is open, and its tables are in the log only.
    assert_eq!(check(directory.path()).expect("it looks"), Found::Tables);
    drop(aws);
    assert_eq!(check(directory.path()).expect("it looks"), Found::Tables);
}

#[test]
fn a_database_of_something_else_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join(LEDGER_FILE);
    let foreign = Connection::open(&file).expect("made");
    foreign
        .execute_batch("CREATE TABLE accounts (id INTEGER); INSERT INTO accounts VALUES (1);")
        .expect("made");
    drop(foreign);
    let before = bytes(directory.path());
    for refused in [
        look(directory.path()).map(drop),
        check(directory.path()).map(drop),
        open(directory.path()).map(drop),
    ] {
        let error = refused.expect_err("refused");
        assert!(matches!(error, LocalError::NotALedger { .. }), "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains("ledger.sqlite") && said.contains("something else"),
            "{said}"
        );
    }
    assert!(bytes(directory.path()) == before);
}

#[test]
fn a_schema_of_a_newer_release_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path()).expect("it opens"));
    let newer = Connection::open(directory.path().join(LEDGER_FILE)).expect("opened");
    let changed = newer
        .execute(
            "UPDATE _config SET value = '999' WHERE key = 'schema_version'",
            [],
        )
        .expect("changed");
    assert_eq!(changed, 1);
    newer.close().expect("closed");
    let before = bytes(directory.path());
    let error = open(directory.path()).map(drop).expect_err("refused");
    let mut said = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    assert!(said.contains("ledger.sqlite") && said.contains("999"), "{said}");
    assert!(bytes(directory.path()) == before);
}

/// What a process that is killed in a transaction with a rollback journal leaves: the file and its journal.
fn killed_while_it_writes(first: &str, unfinished: &str) -> tempfile::TempDir {
    let (alive, left) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    let writer = Connection::open(alive.path().join(LEDGER_FILE)).expect("made");
    // With no page kept in memory, each is in the file, and its journal flushed, before the transaction ends.
    writer.execute_batch("PRAGMA cache_size = 1").expect("set");
    writer.execute_batch(first).expect("written");
    writer.execute_batch("BEGIN").expect("begun");
    writer.execute_batch(unfinished).expect("written");
    for name in [LEDGER_FILE, "ledger.sqlite-journal"] {
        let (from, to) = (alive.path().join(name), left.path().join(name));
        assert!(std::fs::copy(from, to).expect("copied") > 0, "{name}");
    }
    left
}

#[test]
fn a_database_whose_making_was_cut_short_is_made_anew() {
    let half = || {
        let left = killed_while_it_writes(
            "",
            "PRAGMA user_version = 1; CREATE TABLE filler (a); CREATE TABLE more (a);",
        );
        let file = std::fs::File::options()
            .write(true)
            .open(left.path().join(LEDGER_FILE))
            .expect("opened");
        // Only the first page had been written.
        file.set_len(4096).expect("cut");
        left
    };
    assert_eq!(look(half().path()).expect("it looks"), Found::Nothing);
    assert_eq!(check(half().path()).expect("it looks"), Found::Nothing);
    let left = half();
    drop(open(left.path()).expect("it opens"));
    assert!(!left.path().join("ledger.sqlite-journal").exists());
}

#[test]
fn a_journal_beside_more_than_the_first_page_is_not_rolled_back() {
    let left = killed_while_it_writes(
        "CREATE TABLE accounts (a); INSERT INTO accounts VALUES (randomblob(3000)), (randomblob(3000)), (randomblob(3000)), (randomblob(3000))",
        "UPDATE accounts SET a = randomblob(3000)",
    );
    let before = bytes(left.path());
    for refused in [
        look(left.path()).map(drop),
        check(left.path()).map(drop),
        open(left.path()).map(drop),
    ] {
        let error = refused.expect_err("refused");
        assert!(matches!(error, LocalError::Damaged { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("ledger.sqlite-journal"), "{said}");
    }
    assert!(bytes(left.path()) == before);
}
