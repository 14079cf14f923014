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
    /// The data directory's name is not UTF-8, which SQLite needs.
    #[error("the data directory {} is not valid UTF-8", path.display())]
    DataDirName {
        /// The directory.
        path: PathBuf,
    },
    /// The file in the ledger's place is something else.
    #[error("{} is not Daybook's ledger: {what}", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// The database is not whole.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        what: String,
    },
    /// The database could not be looked at.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Box<rusqlite::Error>,
    },
    /// The database can be read, and not written.
    #[error("cannot write {}", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: Box<rusqlite::Error>,
    },
    /// SQLite could not open the database.
    #[error("cannot open the ledger database {path}")]
    Database {
        /// The file, or `:memory:`.
        path: String,
        /// What dynoxide said.
        source: Box<dynoxide::DynoxideError>,
    },
    /// What is in the data directory could not be flushed to disk.
    #[error("cannot flush {} to disk", path.display())]
    Flush {
        /// The directory, or the write-ahead log in it.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
