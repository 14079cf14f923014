//! Whether a data directory holds a whole ledger: asked before anything writes to it.
//!
//! SQLite takes an empty file for a new database, makes its tables in anybody's database, and finds a torn page only when it
//! comes to it. Looking first keeps what is there as it is. Looking makes no more than an empty log and
//! `ledger.sqlite-shm`, which holds no data, and takes back the unfinished making of a database that holds nothing yet.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::LocalError;

/// The file in [`crate::LocalAwsBuilder::data_dir`] that holds every DynamoDB table.
pub const LEDGER_FILE: &str = "ledger.sqlite";

/// How long another process may keep the database locked.
const PATIENCE: Duration = Duration::from_secs(5);

/// As SQLite makes it. A database of one page has no tables.
const PAGE_BYTES: u64 = 4096;

const COUNT_TABLES: &str = "SELECT count(*) FROM sqlite_master";

/// What a data directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No database, or one without any table of DynamoDB's: new, or not what it was.
    Nothing,
    /// A database with tables.
    Tables,
}

/// Looks at what is there, quickly.
///
/// # Errors
/// When the file is no database of Daybook's ([`LocalError::NotALedger`]) or a damage shows ([`LocalError::Damaged`]). Nothing
/// was changed.
pub fn look(directory: &Path) -> Result<Found, LocalError> {
    Ok(open(directory)?.map_or(Found::Nothing, |(found, _)| found))
}

/// Looks at every page, and whether SQLite would write to it: reads the whole database once. A text that was changed within a page is not
/// found: SQLite keeps no checksums of pages.
///
/// # Errors
/// As [`look`], and when it cannot be written ([`LocalError::ReadOnly`]).
pub fn check(directory: &Path) -> Result<Found, LocalError> {
    let Some((found, connection)) = open(directory)? else {
        return Ok(Found::Nothing);
    };
    let file = directory.join(LEDGER_FILE);
    let damaged = |what: String| LocalError::Damaged {
        path: file.clone(),
        what,
    };
    let said: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| damaged(error.to_string()))?;
    if said != "ok" {
        return Err(damaged(said));
    }
    drop(connection);
    can_be_written(&file)?;
    Ok(found)
}

fn open(directory: &Path) -> Result<Option<(Found, Connection)>, LocalError> {
    let file = directory.join(LEDGER_FILE);
    if !file.exists() {
        return Ok(None);
    }
    let refused = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => LocalError::NotALedger {
            path: file.clone(),
            what: "it is no SQLite database".into(),
        },
        Some(ErrorCode::DatabaseCorrupt) => LocalError::Damaged {
            path: file.clone(),
            what: error.to_string(),
        },
        _ => LocalError::Unreadable {
            path: file.clone(),
            source: Box::new(error),
        },
    };
    half_made(&file)?;
    let connection = connect(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(refused)?;
    cut_off(&file, &connection)?;
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
    let named = |name: &str| {
        count(&format!(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '{name}'"
        ))
    };
    let tables = count(COUNT_TABLES).map_err(refused)?;
    if tables == 0 {
        return Ok(Some((Found::Nothing, connection)));
    }
    if named("_config").map_err(refused)? == 0 || named("_tables").map_err(refused)? == 0 {
        return Err(LocalError::NotALedger {
            path: file.clone(),
            what: "it is a SQLite database of something else".into(),
        });
    }
    let found = match count("SELECT count(*) FROM _tables").map_err(refused)? {
        0 => Found::Nothing,
        _ => Found::Tables,
    };
    Ok(Some((found, connection)))
}

/// Takes back the unfinished making of a database: a process that died in it left a rollback journal, and SQLite reads no file
/// before that is rolled back. A ledger has a log from its first page on and no journal ever after: one that lies beside
/// more is of something else, and rolling back to it would destroy the ledger.
fn half_made(file: &Path) -> Result<(), LocalError> {
    let reader = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let read = reader.and_then(|reader| reader.query_row(COUNT_TABLES, [], |_| Ok(())));
    let unfinished = |error: &rusqlite::Error| {
        let code = error.sqlite_error().map(|error| error.extended_code);
        code == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
    };
    if !read.is_err_and(|error| unfinished(&error)) {
        return Ok(());
    }
    if length(file) > PAGE_BYTES {
        return Err(LocalError::Damaged {
            path: file.to_owned(),
            what: format!("{LEDGER_FILE}-journal lies beside it, which a ledger never has"),
        });
    }
    // What fails here fails again where the file is read, and is told there.
    let _ = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|writer| writer.query_row(COUNT_TABLES, [], |_| Ok(())));
    Ok(())
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
}

/// A database is whole pages. With a log, one may be on its way into it.
fn cut_off(file: &Path, connection: &Connection) -> Result<(), LocalError> {
    let damaged = |what: String| LocalError::Damaged {
        path: file.to_owned(),
        what,
    };
    let page: u64 = connection
        .query_row("PRAGMA page_size", [], |row| row.get(0))
        .map_err(|error| damaged(error.to_string()))?;
    let log = file.with_file_name(format!("{LEDGER_FILE}-wal"));
    match length(&log) == 0 && !length(file).is_multiple_of(page) {
        true => Err(damaged("it ends within a page: its end is missing".into())),
        false => Ok(()),
    }
}

fn connect(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // The last connection to close would move the log into the database.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Begins to write, and writes nothing. By its header or its mode SQLite may take a database for one to be read only.
fn can_be_written(file: &Path) -> Result<(), LocalError> {
    let begun = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|connection| connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK"));
    match begun {
        // Another process writes to it.
        Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => {
            Err(LocalError::ReadOnly {
                path: file.to_owned(),
                source: Box::new(error),
            })
        }
        _ => Ok(()),
    }
}
