//! The folder that `daybook up` keeps its ledger in, and who is using it.
//!
//! One process at a time runs the pipeline of a folder, held by a lock on `up.lock` that the operating system drops when
//! the process ends, however it ends. Any number of others may read and write the ledger beside it: SQLite keeps them apart.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use daybook_inspect::parts::Running;
use daybook_ledger::{Clock, Ledger, Random, ReceiptSettings, TokenMark};
use daybook_local::{Found, LEDGER_FILE, LocalAws, LocalError};
use daybook_manager::Dispatch;
use daybook_schema::notification::KeyEncoding;
use daybook_schema::{SourceName, tables};
use serde::{Deserialize, Serialize};

use crate::deployment::embedded::{Clients, create_table, drop_half_made};
use crate::signals;
use crate::ui::error::UserError;

/// The ledger's table in a folder, as AWS clients name it.
pub const LEDGER_TABLE: &str = "daybook-ledger";

/// The receipts' table in a folder.
pub const RECEIPTS_TABLE: &str = "daybook-receipts";

/// The file whose lock says that a process runs the folder's pipeline.
const LOCK_FILE: &str = "up.lock";

/// A process that was just killed may hold its lock for a moment: in a command that it was about to start.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file that says how the folder's pipeline is set.
const SETTINGS_FILE: &str = "settings.json";

/// What `daybook up` was told and others must know who write beside it: an event under another source would be another event,
/// and with receipts off nothing can be said of what is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the events come from.
    pub source: SourceName,
    /// How the source sends keys.
    #[serde(default)]
    pub keys: KeyEncoding,
    /// After how many failed attempts an event is parked.
    pub max_attempts: u32,
    /// How long receipts stay, in seconds; 0 is receipts off.
    pub receipts_keep_seconds: u64,
    /// N.
    pub per_window: Option<u32>,
    /// The window's length, in milliseconds.
    pub window_millis: Option<u64>,
    /// Whether the ledger was made: from then on a folder without it has lost it.
    #[serde(default)]
    pub ledger_made: bool,
    /// How the tokens of the workers of this folder's own processes begin. It stays the same from start to start.
    #[serde(default)]
    pub token_mark: Option<TokenMark>,
}

/// The right to run the folder's pipeline; given back when it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock(File);

/// A folder with a ledger, opened.
#[derive(Clone)]
pub struct Folder {
    /// DynamoDB on the folder's files; queues and executions in memory, of this process alone.
    pub aws: LocalAws,
    /// Its clients.
    pub clients: Clients,
    /// The ledger.
    pub ledger: Ledger,
    /// How its pipeline is set, or was when it last ran.
    pub settings: Settings,
    /// The mark that the tokens of earlier processes' workers bear; `None` when it is not known.
    pub mark_before: Option<TokenMark>,
}

impl Lock {
    /// Takes the folder, which is made if it is not there.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub fn take(dir: &Path) -> Result<Self, UserError> {
        let cannot = |error: std::io::Error| {
            UserError::new(format!("the folder {} cannot be used", dir.display()))
                .because(error)
                .hint("give a folder that this user may write with --data-dir (DAYBOOK_DATA_DIR)")
        };
        make(dir).map_err(cannot)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(LOCK_FILE))
            .map_err(cannot)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(TryLockError::WouldBlock) => return Err(in_use(dir)),
            }
        }
    }

    /// Says who has the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn say(&mut self, running: &Running) -> anyhow::Result<()> {
        let text = serde_json::to_string(running)?;
        self.0.set_len(0)?;
        self.0.rewind()?;
        self.0.write_all(text.as_bytes())?;
        Ok(self.0.flush()?)
    }
}

/// Makes the folder, for its owner alone: object keys are other people's data.
fn make(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn in_use(dir: &Path) -> UserError {
    let by = match said(dir) {
        Some(running) => format!(": process {} runs its pipeline, at {}", running.pid, running.url),
        None => " by another process".to_owned(),
    };
    UserError::new(format!("the folder {} is in use{by}", dir.display())).hint(
        "one `daybook up` per folder: stop that one, or give this one a folder of its own with --data-dir \
         (DAYBOOK_DATA_DIR)",
    )
}

/// What the last process that had the folder said of itself.
fn said(dir: &Path) -> Option<Running> {
    let mut text = String::new();
    File::open(dir.join(LOCK_FILE))
        .ok()?
        .read_to_string(&mut text)
        .ok()?;
    serde_json::from_str(&text).ok()
}

/// The process that runs the folder's pipeline now, if one does.
pub fn running(dir: &Path) -> Option<Running> {
    let file = File::open(dir.join(LOCK_FILE)).ok()?;
    match file.try_lock_shared() {
        // Given back at once, with the file.
        Ok(()) | Err(TryLockError::Error(_)) => None,
        Err(TryLockError::WouldBlock) => said(dir),
    }
}

/// What to look at when a ledger does not open.
const IS_IT_USABLE: &str = "is it on a local disk that is not full, and may this user read and write it?";

/// What to do with a ledger that is not what it was.
const RESTORE: &str = "nothing was changed. Keep a copy of the folder; then restore ledger.sqlite and ledger.sqlite-wal together \
                       from a backup, or begin with another folder and let `daybook audit --repair` find what is not processed";

fn cannot_open(dir: &Path) -> UserError {
    UserError::new(format!("the ledger in {} cannot be opened", dir.display()))
}

/// A ledger that was looked at and is not to be touched.
fn refused(dir: &Path, error: LocalError) -> UserError {
    let hint = match error {
        LocalError::NotALedger { .. } | LocalError::Damaged { .. } => RESTORE,
        _ => IS_IT_USABLE,
    };
    cannot_open(dir).because(error).hint(hint)
}

/// An empty file, or none, is a new ledger only where there was none before: a truncated one must not pass for new.
fn not_lost(dir: &Path, settings: &Settings, found: Found) -> Result<(), UserError> {
    if found == Found::Nothing && settings.ledger_made {
        let file = dir.join(LEDGER_FILE);
        let lost = anyhow::anyhow!(
            "{} is empty or gone, and there was one before, as far as {SETTINGS_FILE} can be read",
            file.display()
        );
        return Err(cannot_open(dir).because(lost).hint(RESTORE));
    }
    Ok(())
}

impl Folder {
    /// Opens the ledger of a folder in which `daybook up` has run before.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub async fn open(dir: &Path) -> anyhow::Result<Self> {
        let file = dir.join(LEDGER_FILE);
        if let Err(error) = std::fs::metadata(&file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(UserError::new(format!("{} cannot be looked at", file.display()))
                .because(error)
                .hint("whether there is a ledger is not known: ask as the user that runs `daybook up`, or as root")
                .into());
        }
        if !file.is_file() {
            return Err(UserError::new(format!("there is no ledger in {}", dir.display()))
                .hint(format!(
                    "`daybook up --data-dir {}` makes one; --local (DAYBOOK_LOCAL) names the folder that it made",
                    dir.display()
                ))
                .into());
        }
        let settings = Settings::read(dir).map_err(|error| {
            let file = dir.join(SETTINGS_FILE);
            UserError::new(format!("{} cannot be read", file.display()))
                .because(error)
                .hint("`daybook up` writes it at every start")
        })?;
        let found = daybook_local::look(dir).map_err(|error| refused(dir, error))?;
        not_lost(dir, &settings, found)?;
        Self::open_or_make(dir, settings, false).await
    }

    /// Opens the ledger of a folder that is locked, makes what is missing, and writes down the settings. Reads the whole
    /// database once before anything is written.
    ///
    /// # Errors
    /// When it cannot be opened or made, is damaged, or was there before and is gone.
    pub async fn create(dir: &Path, settings: Settings) -> anyhow::Result<Self> {
        let found = daybook_local::check(dir).map_err(|error| refused(dir, error))?;
        let before = Settings::read(dir).ok();
        let mark_before = before.as_ref().and_then(|before| before.token_mark);
        let mut settings = Settings {
            // What a start writes that dies before it has made the ledger says nothing of one. What cannot be read may have.
            ledger_made: before.is_none_or(|before| before.ledger_made),
            token_mark: Some(mark_before.unwrap_or_else(|| TokenMark::draw(&Random::from_os()))),
            ..settings
        };
        not_lost(dir, &settings, found)?;
        let write = |settings: &Settings| {
            settings
                .write(dir)
                .with_context(|| format!("{} cannot be written", dir.join(SETTINGS_FILE).display()))
        };
        write(&settings)?;
        // Nobody but the holder of the lock takes back what another start has half made: it may be at it.
        let takes_back = !settings.ledger_made;
        let folder = Self::open_or_make(dir, settings.clone(), takes_back).await?;
        settings.ledger_made = true;
        write(&settings)?;
        Ok(Self {
            settings,
            mark_before,
            ..folder
        })
    }

    async fn open_or_make(dir: &Path, settings: Settings, takes_back: bool) -> anyhow::Result<Self> {
        let cannot = || cannot_open(dir).hint(IS_IT_USABLE);
        signals::survive_file_size_limits();
        let aws = LocalAws::builder()
            .data_dir(PathBuf::from(dir))
            .build()
            .map_err(|error| cannot().because(error))?;
        let made = async {
            if takes_back {
                drop_half_made(&aws, &tables::LEDGER, LEDGER_TABLE).await?;
                drop_half_made(&aws, &tables::RECEIPTS, RECEIPTS_TABLE).await?;
            }
            let ledger = create_table(&aws, tables::LEDGER, LEDGER_TABLE).await?;
            let receipts = create_table(&aws, tables::RECEIPTS, RECEIPTS_TABLE).await?;
            anyhow::Ok((ledger, receipts))
        };
        let (ledger_table, receipts_table) = made.await.map_err(|error| cannot().because(error))?;
        let clients = Clients::of(&aws);
        let receipts = Some(ReceiptSettings {
            table: receipts_table,
            keep: Duration::from_secs(settings.receipts_keep_seconds),
        });
        let random = match settings.token_mark {
            Some(mark) => Random::from_os().marking(mark),
            None => Random::from_os(),
        };
        let ledger = Ledger::new(
            clients.dynamodb.clone(),
            ledger_table,
            receipts.filter(|receipts| !receipts.keep.is_zero()),
            Clock::system(),
            random,
        );
        Ok(Self {
            aws,
            clients,
            ledger,
            mark_before: settings.token_mark,
            settings,
        })
    }

    /// Removes receipts whose time is over; how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn expire_receipts(&self) -> anyhow::Result<usize> {
        let database = self.aws.dynamodb().clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await?;
        swept.context("receipts whose time is over cannot be removed")
    }
}

impl Settings {
    fn write(&self, dir: &Path) -> anyhow::Result<()> {
        // Renamed into its place, so that nobody reads half of it.
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer(&mut file, self)?;
        // After a power cut it must not say less than what was made since.
        file.as_file().sync_all()?;
        file.persist(dir.join(SETTINGS_FILE))?;
        daybook_local::flush_directory(dir)?;
        Ok(())
    }

    /// As written by the last start; the usual ones where none has written them.
    fn read(dir: &Path) -> anyhow::Result<Self> {
        match std::fs::read(dir.join(SETTINGS_FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self {
                source: SourceName::default(),
                keys: KeyEncoding::default(),
                max_attempts: Dispatch::default().max_attempts,
                receipts_keep_seconds: 14 * 24 * 3600,
                per_window: None,
                window_millis: None,
                ledger_made: false,
                token_mark: None,
            }),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_who_is_known_by_name() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        assert_eq!(running(&dir), None);
        let mut lock = Lock::take(&dir).unwrap();
        let me = Running {
            pid: 7,
            url: "http://127.0.0.1:9480".to_owned(),
        };
        lock.say(&me).unwrap();
        assert_eq!(running(&dir), Some(me));
        let refused = Lock::take(&dir).unwrap_err().to_string();
        assert!(refused.contains("is in use: process 7"), "{refused}");
        drop(lock);
        assert_eq!(running(&dir), None);
        Lock::take(&dir).unwrap();
    }
}
