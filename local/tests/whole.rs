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
