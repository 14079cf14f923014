//! The ledger's file in its folder: how it is made, looked at and opened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError, TableDefinition,
};

use crate::error::LocalError;
use crate::store::guard::Guard;
use crate::store::rows;

/// The file in [`crate::LocalAwsBuilder::data_dir`] that holds every DynamoDB table.
pub const LEDGER_FILE: &str = "ledger.redb";

/// Where an earlier build kept it, in SQLite.
const EARLIER_FILE: &str = "ledger.sqlite";

/// A ledger that is being made. It gets its name when it is whole.
const NEW_FILE: &str = "ledger.redb.new";

/// What the database engine's files begin with.
const MAGIC: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";

const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

const PAGE_BYTES: u64 = 4096;

/// What a file says of itself.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");

/// How rows are kept in it. A later release may raise it; this one opens no other.
const FORMAT: u64 = 1;

/// Pages in memory at most, in bytes. A ledger of 100,000 open events fits; what does not is read from the operating system's memory.
pub(super) const CACHE_BYTES: usize = 64 << 20;

/// How much of the file is read at once before it is opened, in bytes.
const AHEAD_BYTES: usize = 8 << 20;

/// How long another process may still hold the file: one that was just killed does, in a command that it was about to start.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a data directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No ledger, or an empty file in its place: new, or not what it was.
    Nothing,
    /// A ledger.
    Ledger,
}

/// An opened ledger.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) guard: Guard,
}

/// Looks at what is there, quickly. [`crate::LocalAwsBuilder::build`] reads it all.
///
/// # Errors
/// When the file in the ledger's place is something else ([`LocalError::NotALedger`]), of an earlier build
/// ([`LocalError::EarlierBuild`]) or visibly damaged ([`LocalError::Damaged`]), or cannot be read. Nothing was changed.
pub fn look(directory: &Path) -> Result<Found, LocalError> {
    let path = directory.join(LEDGER_FILE);
    let unreadable = |source| LocalError::Unreadable {
        path: path.clone(),
        source: Box::new(source),
    };
    let not_a_ledger = |what: &str| LocalError::NotALedger {
        path: path.clone(),
        what: what.to_owned(),
    };
    let data = match fs::metadata(&path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return nothing(directory),
        Err(error) => return Err(unreadable(error)),
    };
    if !data.is_file() {
        return Err(not_a_ledger("it is not a file"));
    }
    if data.len() == 0 {
        return nothing(directory);
    }
    let mut start = Vec::new();
    let file = File::open(&path).map_err(unreadable)?;
    file.take(16).read_to_end(&mut start).map_err(unreadable)?;
    if start.starts_with(SQLITE_MAGIC) {
        return Err(not_a_ledger("it is a SQLite database"));
    }
    if !start.starts_with(MAGIC) {
        return Err(not_a_ledger("it does not begin as one"));
    }
    if !data.len().is_multiple_of(PAGE_BYTES) {
        return Err(damaged(&path, "it ends within a page: its end is missing"));
    }
    Ok(Found::Ledger)
}

/// Without a ledger there may be one of an earlier build.
fn nothing(directory: &Path) -> Result<Found, LocalError> {
    let path = directory.join(EARLIER_FILE);
    match fs::symlink_metadata(&path) {
        Ok(_) => Err(LocalError::EarlierBuild { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(LocalError::Unreadable {
            path,
            source: Box::new(error),
        }),
    }
}

/// Opens the ledger in `directory`, or makes both. Reads the whole file, and writes nothing to one that is not whole.
pub(super) fn open(directory: &Path) -> Result<Opened, LocalError> {
    create_private(directory).map_err(|source| LocalError::DataDir {
        path: directory.to_owned(),
        source,
    })?;
    let path = directory.join(LEDGER_FILE);
    if look(directory)? == Found::Nothing {
        make(directory)?;
    }
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.map_err(|error| LocalError::ReadOnly {
        path: path.clone(),
        source: Box::new(error),
    })?;
    let flush_failed = |path: &Path, source| LocalError::Flush {
        path: path.to_owned(),
        source,
    };
    // A process whose flush failed may have left pages in memory that are not on disk, and look as if they were. What is read
    // below must be what is on the disk.
    file.sync_all().map_err(|error| flush_failed(&path, error))?;
    forget_cached(&file);
    hold_by_pages(&file);
    read_ahead(&file).map_err(|error| LocalError::Unreadable {
        path: path.clone(),
        source: Box::new(error),
    })?;
    flush_directory(directory).map_err(|error| flush_failed(directory, error))?;
    let backend = || {
        let backend = file
            .try_clone()
            .map_err(DatabaseError::from)
            .and_then(FileBackend::new);
        backend.map_err(|error| refused(&path, error))
    };
    let attempts = PATIENCE.as_millis() / 20;
    for _ in 0..attempts {
        match open_on(&path, backend()?, CACHE_BYTES) {
            Err(LocalError::InUse { .. }) => thread::sleep(Duration::from_millis(20)),
            outcome => return outcome,
        }
    }
    open_on(&path, backend()?, CACHE_BYTES)
}

/// Opens the ledger on this backend; `path` names it in errors.
pub(super) fn open_on(
    path: &Path,
    file: impl StorageBackend,
    cache_bytes: usize,
) -> Result<Opened, LocalError> {
    let guard = Guard::holding_back(file).map_err(|error| refused(path, error.into()))?;
    let verify = || -> Result<Database, LocalError> {
        let mut builder = Builder::new();
        builder
            .set_cache_size(cache_bytes)
            .set_check_integrity_on_open(true);
        let opened = builder.create_with_backend(guard.clone());
        let database = opened.map_err(|error| refused(path, error))?;
        is_a_ledger(path, &database)?;
        Ok(database)
    };
    // The engine reports what is damaged; should it panic over it, that says the same.
    let verified = catch_unwind(AssertUnwindSafe(verify));
    let database = verified.unwrap_or_else(|_| Err(damaged(path, "the database engine cannot read it")))?;
    guard.accept().map_err(|source| LocalError::Flush {
        path: path.to_owned(),
        source,
    })?;
    Ok(Opened { database, guard })
}

/// Makes an empty ledger on this backend, flushed.
pub(super) fn make_on(file: impl StorageBackend) -> Result<(), redb::Error> {
    let database = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(file)?;
    let transaction = database.begin_write()?;
    transaction.open_table(ABOUT)?.insert("format", FORMAT)?;
    rows::create(&transaction)?;
    transaction.commit()?;
    Ok(database.close()?)
}

/// Makes an empty ledger, which has its name when it is whole.
fn make(directory: &Path) -> Result<(), LocalError> {
    let (new, path) = (directory.join(NEW_FILE), directory.join(LEDGER_FILE));
    let cannot = |error: redb::Error| LocalError::Make {
        path: path.clone(),
        source: Box::new(error),
    };
    let file = create_new_private(&new).map_err(|error| cannot(error.into()))?;
    let backend = file.try_clone().map_err(|error| cannot(error.into()))?;
    let backend = FileBackend::new(backend).map_err(|error| cannot(error.into()))?;
    make_on(backend).map_err(cannot)?;
    let named = file
        .sync_all()
        .and_then(|()| fs::rename(&new, &path))
        .and_then(|()| flush_directory(directory));
    named.map_err(|error| cannot(error.into()))
}

/// What a start that died has left is made again.
fn create_new_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Has the operating system forget what it holds of the file in memory, so that it is read from the disk.
fn forget_cached(file: &File) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed) {
        tracing::debug!(%error, "the ledger is read as the operating system holds it in memory");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Has the operating system hold in memory page by page what is read from now on. What Linux reads ahead by itself it holds in pieces of up to
/// 2 MB, and ext4 walks through a whole piece for each page of it that is written or flushed: with a million open rows that was
/// two fifths of the processor time.
fn hold_by_pages(file: &File) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Random) {
        tracing::debug!(%error, "the ledger is held in memory in pieces, and each write takes longer");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// Reads the file from its beginning to its end, into the operating system's memory. The engine, which reads all of it next, jumps from page
/// to page, and from a disk that takes several times as long.
fn read_ahead(file: &File) -> io::Result<()> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut block = vec![0; AHEAD_BYTES];
    while file.read(&mut block)? > 0 {}
    Ok(())
}

/// Whether what the engine has opened is a ledger, of this release's format.
fn is_a_ledger(path: &Path, database: &Database) -> Result<(), LocalError> {
    let format = || -> Result<Option<u64>, redb::Error> {
        let transaction = database.begin_read()?;
        let about = match transaction.open_table(ABOUT) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            about => about?,
        };
        Ok(redb::ReadableTable::get(&about, "format")?.map(|format| format.value()))
    };
    let not_a_ledger = |what: String| LocalError::NotALedger {
        path: path.to_owned(),
        what,
    };
    match format().map_err(|error| damaged(path, &error.to_string()))? {
        Some(FORMAT) => Ok(()),
        Some(other) => Err(not_a_ledger(format!(
            "it is kept in format {other}, by another release, and this one reads format {FORMAT}"
        ))),
        None => Err(not_a_ledger("it is a redb database of something else".into())),
    }
}

fn damaged(path: &Path, what: &str) -> LocalError {
    LocalError::Damaged {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

/// Why the engine did not open it.
fn refused(path: &Path, error: DatabaseError) -> LocalError {
    let path = PathBuf::from(path);
    match error {
        DatabaseError::DatabaseAlreadyOpen => LocalError::InUse { path },
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            io::ErrorKind::InvalidData => LocalError::Damaged {
                path,
                what: error.to_string(),
            },
            io::ErrorKind::UnexpectedEof => damaged(&path, "its end is missing"),
            _ => LocalError::Unreadable {
                path,
                source: Box::new(error),
            },
        },
        DatabaseError::UpgradeRequired(version) => LocalError::NotALedger {
            path,
            what: format!("it is a redb database of version {version}, which no release has written"),
        },
        DatabaseError::Storage(StorageError::Corrupted(what)) => LocalError::Damaged { path, what },
        error => LocalError::Damaged {
            path,
            what: error.to_string(),
        },
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
