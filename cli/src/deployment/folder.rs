//! The folder that `daybook up` keeps its ledger in, for the one process that has it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use daybook_ledger::{Clock, Ledger, Random, ReceiptSettings, TableName, TokenMark};
use daybook_local::{Found, LEDGER_FILE, LocalAws, LocalError};
use daybook_manager::Dispatch;
use daybook_schema::notification::KeyEncoding;
use daybook_schema::{SourceName, tables};
use serde::{Deserialize, Serialize};

use crate::deployment::embedded::{Clients, create_table, has_table};
use crate::deployment::lock::Lock;
use crate::ui::error::UserError;

/// The ledger's table in a folder, as AWS clients name it.
pub const LEDGER_TABLE: &str = "daybook-ledger";

/// The receipts' table in a folder.
pub const RECEIPTS_TABLE: &str = "daybook-receipts";

/// The folder of `daybook up`, and of verbs to which nothing names a deployment.
pub const USUAL_DIR: &str = "daybook-data";

/// The variable that names another.
pub const DIR_VARIABLE: &str = "DAYBOOK_DATA_DIR";

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
    /// How long failed attempts wait, in milliseconds: after the first failure, and at most. Not there where an earlier release wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_millis: Option<(u64, u64)>,
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

/// What to look at when a ledger does not open.
const IS_IT_USABLE: &str = "is it on a local disk that is not full, and may this user read and write it?";

/// What to do with a ledger that is not what it was.
const RESTORE: &str = "nothing was changed. Keep a copy of the folder; then restore ledger.redb from a backup, or begin with another \
                       folder and let `daybook audit --repair` find what is not processed";

/// What to do with one that an earlier build has made.
const EARLIER: &str = "nothing was changed. Let the build that made it finish what is open, or begin with another folder \
                       (`daybook up --data-dir`) and let `daybook audit --repair` find what is not processed";

/// As much as a start writes at least, in bytes.
const PROBE: usize = 64 * 1024;

/// What to do about a ledger that does not open. Whether the disk takes anything is tried: what the database engine says of a full one is
/// seldom more than that a write failed.
fn advice(dir: &Path) -> String {
    let tried = tempfile::NamedTempFile::new_in(dir).and_then(|mut file| file.write_all(&[0; PROBE]));
    match tried {
        Ok(()) => IS_IT_USABLE.to_owned(),
        Err(error) => format!(
            "the disk is full, or takes no file of {PROBE} bytes for another reason ({error}): free space on it, then start again. \
             Nothing that was acknowledged is lost"
        ),
    }
}

fn cannot_open(dir: &Path) -> UserError {
    UserError::new(format!("the ledger in {} cannot be opened", dir.display()))
}

/// A ledger that was looked at and is not to be touched.
fn refused(dir: &Path, error: LocalError) -> UserError {
    let hint = match error {
        LocalError::NotALedger { .. } | LocalError::Damaged { .. } => RESTORE,
        LocalError::EarlierBuild { .. } => EARLIER,
        _ => return cannot_open(dir).because(error).hint(advice(dir)),
    };
    cannot_open(dir).because(error).hint(hint)
}

/// An empty file, or none, is a new ledger only where there was none before: a truncated one must not pass for new.
fn not_lost(dir: &Path, settings: &Settings, found: Found) -> Result<(), UserError> {
    match found == Found::Nothing && settings.ledger_made {
        true => Err(lost(dir, "is empty or gone")),
        false => Ok(()),
    }
}

/// A file without content, and no word of a ledger that was there before. A verb that only looks must not make a ledger of it.
fn empty(dir: &Path) -> UserError {
    let file = dir.join(LEDGER_FILE);
    cannot_open(dir)
        .because(anyhow::anyhow!("{} is empty", file.display()))
        .hint(format!(
            "nothing was changed. If events were recorded here, restore ledger.redb from a backup; if not, \
             `daybook up --data-dir {}` makes a new ledger",
            dir.display()
        ))
}

fn lost(dir: &Path, how: &str) -> UserError {
    let file = dir.join(LEDGER_FILE);
    let lost = anyhow::anyhow!(
        "{} {how}, and there was one before, as far as {SETTINGS_FILE} can be read",
        file.display()
    );
    cannot_open(dir).because(lost).hint(RESTORE)
}

/// Whether `daybook up` has run there before.
///
/// # Errors
/// When it has not, or that cannot be found out.
pub fn has_ledger(dir: &Path) -> Result<(), UserError> {
    let file = dir.join(LEDGER_FILE);
    if let Err(error) = std::fs::metadata(&file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(UserError::new(format!("{} cannot be looked at", file.display()))
            .because(error)
            .hint(
                "whether there is a ledger is not known: ask as the user that runs `daybook up`, or as root",
            ));
    }
    if file.is_file() {
        return Ok(());
    }
    match daybook_local::look(dir) {
        Err(error) => Err(refused(dir, error)),
        Ok(_) => Err(
            UserError::new(format!("there is no ledger in {}", dir.display())).hint(format!(
                "`daybook up --data-dir {}` makes one; --local (DAYBOOK_LOCAL) names the folder that it made",
                dir.display()
            )),
        ),
    }
}

/// The ledger in those tables, ledger's and receipts', of a folder that is set so.
pub fn ledger(
    dynamodb: aws_sdk_dynamodb::Client,
    (table, receipts): (TableName, TableName),
    settings: &Settings,
) -> Ledger {
    let receipts = Some(ReceiptSettings {
        table: receipts,
        keep: Duration::from_secs(settings.receipts_keep_seconds),
    });
    let random = match settings.token_mark {
        Some(mark) => Random::from_os().marking(mark),
        None => Random::from_os(),
    };
    Ledger::new(
        dynamodb,
        table,
        receipts.filter(|receipts| !receipts.keep.is_zero()),
        Clock::system(),
        random,
    )
}

impl Folder {
    /// Opens the ledger of a folder in which `daybook up` has run before. Only whoever has the lock may. Reads the whole ledger once.
    ///
    /// # Errors
    /// When there is none, or it is damaged or cannot be opened.
    pub async fn open(dir: &Path, _: &Lock) -> anyhow::Result<Self> {
        has_ledger(dir)?;
        let settings = Settings::read_or_explain(dir)?;
        let found = look(dir)?;
        not_lost(dir, &settings, found)?;
        if found == Found::Nothing {
            return Err(empty(dir).into());
        }
        Self::on(build(dir)?, dir, settings).await
    }

    /// Opens the ledger of a folder that is locked, makes what is missing, and writes down the settings. Reads the whole
    /// ledger once before anything is written.
    ///
    /// # Errors
    /// When it cannot be opened or made, is damaged, or was there before and is gone.
    pub async fn create(dir: &Path, settings: Settings, _: &Lock) -> anyhow::Result<Self> {
        let found = look(dir)?;
        let before = Settings::read(dir).ok();
        let mark_before = before.as_ref().and_then(|before| before.token_mark);
        let mut settings = Settings {
            // What a start writes that dies before it has made the ledger says nothing of one. What cannot be read may have.
            ledger_made: before.is_none_or(|before| before.ledger_made),
            token_mark: Some(mark_before.unwrap_or_else(|| TokenMark::draw(&Random::from_os()))),
            ..settings
        };
        not_lost(dir, &settings, found)?;
        let aws = build(dir)?;
        // What is there already is not written again: a disk that is full keeps no folder from starting as it was.
        let write = |settings: &Settings| {
            if Settings::stored(dir).as_ref() == Some(settings) {
                return Ok(());
            }
            settings.write(dir).map_err(|error| {
                let file = dir.join(SETTINGS_FILE);
                UserError::new(format!("{} cannot be written", file.display()))
                    .because(error)
                    .hint("is the disk full? What the last start was set to is not written again: give that, or make room")
            })
        };
        write(&settings)?;
        let is_new = !settings.ledger_made;
        let folder = Self::on(aws, dir, settings.clone()).await?;
        if is_new {
            let begun = folder.ledger.begin_watermark().await;
            begun.map_err(|error| cannot_open(dir).because(error).hint(advice(dir)))?;
        }
        settings.ledger_made = true;
        write(&settings)?;
        Ok(Self {
            settings,
            mark_before,
            ..folder
        })
    }

    async fn on(aws: LocalAws, dir: &Path, settings: Settings) -> anyhow::Result<Self> {
        let cannot = |error: anyhow::Error| cannot_open(dir).because(error).hint(advice(dir));
        if settings.ledger_made && !has_table(&aws, LEDGER_TABLE).await.map_err(cannot)? {
            return Err(lost(dir, "holds no ledger").into());
        }
        let made = async {
            let ledger = create_table(&aws, tables::LEDGER, LEDGER_TABLE).await?;
            let receipts = create_table(&aws, tables::RECEIPTS, RECEIPTS_TABLE).await?;
            anyhow::Ok((ledger, receipts))
        };
        let names = made.await.map_err(cannot)?;
        let clients = Clients::of(&aws);
        let ledger = ledger(clients.dynamodb.clone(), names, &settings).ending_together();
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
    /// When the ledger cannot be written.
    pub async fn expire_receipts(&self) -> anyhow::Result<u64> {
        let expired = self.aws.expire().await;
        expired.context("receipts whose time is over cannot be removed")
    }
}

fn look(dir: &Path) -> Result<Found, UserError> {
    daybook_local::look(dir).map_err(|error| refused(dir, error))
}

/// The embedded AWS on the folder's ledger, which is made if there is none.
fn build(dir: &Path) -> Result<LocalAws, UserError> {
    let built = LocalAws::builder().data_dir(PathBuf::from(dir)).build();
    built.map_err(|error| refused(dir, error))
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

    /// The same as [`Settings::read`], and what to do where that fails.
    pub fn read_or_explain(dir: &Path) -> Result<Self, UserError> {
        Self::read(dir).map_err(|error| {
            let file = dir.join(SETTINGS_FILE);
            UserError::new(format!("{} cannot be read", file.display()))
                .because(error)
                .hint("the next start of `daybook up` writes it anew")
        })
    }

    /// As written by the last start that changed them, if they can be read.
    fn stored(dir: &Path) -> Option<Self> {
        let text = std::fs::read(dir.join(SETTINGS_FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// As written by the last start; the usual ones where none has written them.
    fn read(dir: &Path) -> anyhow::Result<Self> {
        match std::fs::read(dir.join(SETTINGS_FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self {
                source: SourceName::default(),
                keys: KeyEncoding::default(),
                max_attempts: Dispatch::default().max_attempts,
                backoff_millis: None,
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
