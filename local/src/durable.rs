//! DynamoDB on disk: one fsync serves many events, and no answer is given before what it rests on is on disk.
//!
//! SQLite keeps the database in a write-ahead log, `ledger.sqlite-wal`, and would flush it once per transaction, 25
//! times for a batch of 25 statements. It is told not to (`synchronous = NORMAL`), and the log is flushed here, by
//! the rule of [`GroupCommit`], once for all requests that wait. This is enough because
//!
//! - the log is only ever appended to, with a checksum over all before: one flush makes every earlier commit durable;
//! - when SQLite moves the log into the database (a checkpoint, every 1000 pages), it still flushes the log before
//!   and the database after, and the log's header when it starts over;
//! - the log file stays the same one as long as the connection is open: SQLite removes it when the last connection
//!   of all processes closes, and other processes' changes of journal mode are locked out.
//!
//! The log is opened once, at the start, and held: Linux tells of a failed write-back once per open file, so an
//! error that SQLite's checkpoint gets and swallows still fails the next flush here. The database file itself and
//! `ledger.sqlite-shm` must never be opened beside SQLite: closing them would drop the process's POSIX locks on them.
//! SQLite takes none on the log.
//!
//! After a failed flush, the log's pages in memory can differ from the disk. Nothing more is answered, and SQLite is
//! not closed, which would copy such pages into the database. The next start reads the log anew, takes it up to its
//! first bad checksum, and writes it into the database, flushed, before anything is answered.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use dynoxide::Database;

use crate::answer::Answer;
use crate::dynoxide_wire;
use crate::error::LocalError;
use crate::group_commit::GroupCommit;
use crate::integrity::{self, LEDGER_FILE};

/// DynamoDB in a directory. Blocks its threads.
pub(crate) struct DurableDatabase {
    database: Database,
    commit: GroupCommit,
    log: PathBuf,
}

impl DurableDatabase {
    /// Opens the database in `directory`, or makes both.
    pub(crate) fn open(directory: &Path) -> Result<Self, LocalError> {
        create_private(directory).map_err(|source| LocalError::DataDir {
            path: directory.to_owned(),
            source,
        })?;
        let Some(file) = directory.join(LEDGER_FILE).to_str().map(str::to_owned) else {
            let path = directory.to_owned();
            return Err(LocalError::DataDirName { path });
        };
        // Before anything is written: SQLite would make its tables in whatever is there.
        integrity::look(directory)?;
        let failed = |source| LocalError::Database {
            path: file.clone(),
            source: Box::new(source),
        };
        // Opened and closed first: SQLite then moves a log that a killed process left into the database and flushes
        // that. The log alone might be read from the page cache, and not be on disk.
        drop(Database::new(&file).map_err(failed)?);
        let database = Database::new(&file).map_err(failed)?;
        // Sets `synchronous = NORMAL`; the cache size, temp store and mmap that it sets too are SQLite's defaults.
        database.disable_bulk_loading().map_err(failed)?;

        let path = PathBuf::from(format!("{file}-wal"));
        let flush_failed = |source| LocalError::Flush {
            path: path.clone(),
            source,
        };
        // Where another process holds the database open, the log is still in use, with what that left unflushed.
        let log = File::options().write(true).open(&path).map_err(flush_failed)?;
        log.sync_all().map_err(flush_failed)?;
        flush_directory(directory).map_err(|source| LocalError::Flush {
            path: directory.to_owned(),
            source,
        })?;
        Ok(Self::flushed_by(database, path, move || log.sync_data()))
    }

    fn flushed_by(
        database: Database,
        log: PathBuf,
        flush: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let file = log.clone();
        let commit = GroupCommit::new(move || {
            // Here, where it happens once, and not at the refusals that follow from it.
            flush().inspect_err(|error| {
                let (file, error) = (file.display(), error as &dyn std::error::Error);
                tracing::error!(%file, error, "flush failed: DynamoDB answers nothing until a restart");
            })
        });
        Self {
            database,
            commit,
            log,
        }
    }

    /// The database, for what is not a request.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// How many flushes of the log requests have waited for.
    pub(crate) fn flushes(&self) -> u64 {
        self.commit.flushes()
    }

    /// Answers one DynamoDB request when all that the answer may rest on is on disk.
    pub(crate) fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let answer = || dynoxide_wire::answer(&self.database, operation, body);
        let answered = if dynoxide_wire::only_reads(operation) {
            self.commit.read(answer)
        } else {
            self.commit.write(answer)
        };
        answered.unwrap_or_else(|failure| {
            let log = self.log.display();
            dynoxide_wire::internal_error(&format!(
                "{log} could not be flushed to disk: {failure}. What was written last may be lost, so nothing is \
                 read or written any more. See to the disk, then restart"
            ))
        })
    }
}

impl Drop for DurableDatabase {
    fn drop(&mut self) {
        if self.commit.has_failed() {
            std::mem::forget(self.database.clone());
        }
    }
}

/// Makes the directory and those above it that are missing, for this user alone: object keys are other people's
/// data. One that is there keeps its permissions.
fn create_private(directory: &Path) -> io::Result<()> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<&Path> = directory.ancestors().take_while(missing).collect();
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)?;
    for path in made {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        flush_directory(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Flushes the names in a directory, where the operating system and the file system can: a file that was made or renamed there
/// stays so after a power cut.
///
/// # Errors
/// When the directory cannot be opened, or its flush failed.
pub fn flush_directory(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"{"TableName":"events","BillingMode":"PAY_PER_REQUEST",
        "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],
        "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}]}"#;

    #[test]
    fn after_a_failed_flush_everything_is_refused_and_the_log_stays_as_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let opened = DurableDatabase::open(directory.path()).expect("it opens");
        let log = opened.log.clone();
        let broken = DurableDatabase::flushed_by(opened.database().clone(), log.clone(), || {
            Err(io::Error::other("Input/output error (os error 5)"))
        });
        drop(opened);
        for operation in ["CreateTable", "CreateTable", "DescribeTable"] {
            let answer = broken.answer(operation, TABLE.as_bytes());
            assert_eq!(answer.status, 500);
            assert_eq!(answer.error_code.as_deref(), Some("InternalServerError"));
            let body = String::from_utf8(answer.body).expect("UTF-8");
            for told in ["ledger.sqlite-wal", "Input/output error (os error 5)", "restart"] {
                assert!(body.contains(told), "{body}");
            }
        }
        let written = fs::metadata(&log).expect("it is there").len();
        drop(broken);
        assert!(written > 0);
        assert_eq!(fs::metadata(&log).expect("it is still there").len(), written);
    }

    #[test]
    fn a_log_that_a_killed_process_left_is_in_the_database_before_the_first_answer() {
        let killed = tempfile::tempdir().expect("a directory");
        let database = DurableDatabase::open(killed.path()).expect("it opens");
        assert_eq!(database.answer("CreateTable", TABLE.as_bytes()).status, 200);
        // What is there when it is killed. (Copying drops this process's locks on the database; nobody else is there.)
        let copied = tempfile::tempdir().expect("a directory");
        let copy = |name: &str| {
            let (from, to) = (killed.path().join(name), copied.path().join(name));
            fs::copy(from, to).expect("copied")
        };
        copy(LEDGER_FILE);
        assert!(copy("ledger.sqlite-wal") > 0);

        let database = DurableDatabase::open(copied.path()).expect("it opens");
        assert_eq!(fs::metadata(&database.log).expect("it is there").len(), 0);
        assert_eq!(
            database
                .answer("DescribeTable", br#"{"TableName":"events"}"#)
                .status,
            200
        );
        assert_eq!(database.flushes(), 0);
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
        drop(DurableDatabase::open(&shared).expect("it opens"));
        assert_eq!(mode(&shared), 0o750);
        let made = shared.join("made").join("deep");
        drop(DurableDatabase::open(&made).expect("it opens"));
        assert_eq!((mode(&made), mode(&shared.join("made"))), (0o700, 0o700));
    }
}
