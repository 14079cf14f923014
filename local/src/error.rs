//! Why the embedded AWS did not start.

use std::path::PathBuf;

/// Why the embedded AWS did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The data directory could not be made.
    #[error("cannot create the data directory {}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file in the ledger's place is something else.
    #[error("{} is not Daybook's ledger: {what}", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// The ledger is one of an earlier build, which kept it in SQLite.
    #[error("{} is a ledger of an earlier build of Daybook, which this one cannot read", path.display())]
    EarlierBuild {
        /// Its file.
        path: PathBuf,
    },
    /// Another process has the ledger open.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The thread that writes the ledger could not be started.
    #[error("cannot start the thread that writes the ledger")]
    Thread(#[source] std::io::Error),
    /// A new ledger could not be made.
    #[error("cannot make {}", path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// What the operating system or the database engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database is not whole.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The database could not be looked at.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system or the database engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database can be read, and not written.
    #[error("cannot write {}", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What the operating system or the database engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is in the data directory could not be flushed to disk.
    #[error("cannot flush {} to disk", path.display())]
    Flush {
        /// The directory, or the ledger in it.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
