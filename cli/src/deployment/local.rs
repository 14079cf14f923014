//! The ledger of a folder for a verb: through the `daybook up` that has the folder, or alone, when none has.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use daybook_inspect::parts::Running;
use daybook_ledger::Ledger;

use crate::deployment::door;
use crate::deployment::folder::{self, Folder, Settings};
use crate::deployment::lock::{
    self, Attempt, Credential, Door, Holder, LOOK_AGAIN, Lock, PATIENCE_WITH_VERBS,
};
use crate::signals;
use crate::ui::error::UserError;

/// How long a `daybook up` that has the folder may take to answer: longer than its drain, in which its port is closed.
const PATIENCE_WITH_UP: Duration = Duration::from_secs(30);

/// After how long it is said who is waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// A folder, opened for a verb.
pub struct Opened {
    /// Its ledger.
    pub ledger: Ledger,
    /// How its pipeline is set.
    pub settings: Settings,
    /// How the ledger is reached.
    pub access: Access,
}

/// How a verb reaches a folder's ledger.
#[derive(Debug)]
pub enum Access {
    /// In this process, which has the folder until this is dropped.
    Alone {
        /// The right to it.
        _lock: Lock,
    },
    /// Through the process that runs the folder's pipeline.
    Through {
        /// That process.
        up: Running,
        /// What it was when this verb began.
        credential: Credential,
    },
}

impl Access {
    /// The process that runs the folder's pipeline, if one does.
    pub fn up(&self) -> Option<&Running> {
        match self {
            Self::Alone { .. } => None,
            Self::Through { up, .. } => Some(up),
        }
    }

    /// That the process through which the ledger was reached has ended since, if it has, as a sentence.
    pub fn ended(&self, dir: &Path) -> Option<String> {
        let Self::Through { up, credential } = self else {
            return None;
        };
        let now = lock::holder(dir).and_then(|holder| holder.door);
        let is_there = now.is_some_and(|door| door.credential == *credential);
        (!is_there).then(|| {
            format!(
                "process {}, the `daybook up` through which this worked, ended in the middle of it",
                up.pid
            )
        })
    }
}

/// Opens a folder in which `daybook up` has run before. Who has it already is waited for, within bounds.
///
/// # Errors
/// When there is no ledger, it cannot be opened, or the process that has the folder keeps it without answering.
pub async fn open(dir: &Path, verb: &str) -> anyhow::Result<Opened> {
    signals::survive_file_size_limits();
    let begun = Instant::now();
    let mut told = false;
    loop {
        let holder = match attempt(dir, verb)? {
            Attempt::Taken(lock) => {
                let folder = Folder::open(dir, &lock).await?;
                return Ok(Opened {
                    ledger: folder.ledger,
                    settings: folder.settings,
                    access: Access::Alone { _lock: lock },
                });
            }
            Attempt::Held(holder) => holder,
        };
        let (pid, door) = holder
            .as_ref()
            .map_or((0, None), |holder| (holder.pid, holder.door.clone()));
        let silent = match door {
            Some(door) => match through(dir, pid, door).await {
                Ok(opened) => return Ok(opened),
                Err(error) => Some(error),
            },
            None => None,
        };
        let patience = match &holder {
            Some(holder) if holder.is_up() => PATIENCE_WITH_UP,
            _ => PATIENCE_WITH_VERBS,
        };
        if begun.elapsed() >= patience {
            return Err(kept(dir, holder.as_ref(), silent).into());
        }
        if begun.elapsed() >= SILENCE && !std::mem::replace(&mut told, true) {
            eprintln!(
                "note: waiting for the folder {}, which is in use{}",
                dir.display(),
                lock::by(holder.as_ref())
            );
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Takes the folder if nobody has it. Nothing is made in a folder without a ledger.
fn attempt(dir: &Path, verb: &str) -> anyhow::Result<Attempt> {
    let file = lock::file(dir);
    // Where somebody has the folder, the ledger may be in the making.
    if !file.is_file() {
        folder::has_ledger(dir)?;
    }
    let error = match Lock::attempt(dir, &Holder::this_process(verb)) {
        Ok(attempt) => return Ok(attempt),
        Err(error) => error,
    };
    folder::has_ledger(dir)?;
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    Err(UserError::new(format!("{} cannot be opened", file.display()))
        .because(error)
        .hint_if_any(denied.then(|| {
            "the folder is another user's: give the command as the user that runs `daybook up`, or as root".to_owned()
        }))
        .into())
}

/// The ledger behind that door, if the process is there.
async fn through(dir: &Path, pid: u32, door: Door) -> anyhow::Result<Opened> {
    let client = door::client(&door)?;
    door::answers(&client, folder::LEDGER_TABLE).await?;
    let settings = Settings::read_or_explain(dir)?;
    let name = |name: &str| name.parse().context("the name of a folder's table");
    let tables = (name(folder::LEDGER_TABLE)?, name(folder::RECEIPTS_TABLE)?);
    Ok(Opened {
        ledger: folder::ledger(client, tables, &settings),
        settings,
        access: Access::Through {
            up: Running {
                pid,
                url: door.url,
                workers: door.workers,
            },
            credential: door.credential,
        },
    })
}

/// Another process keeps the folder.
fn kept(dir: &Path, holder: Option<&Holder>, silent: Option<anyhow::Error>) -> UserError {
    let what = format!("the folder {} is in use{}", dir.display(), lock::by(holder));
    match (holder, silent) {
        (Some(holder), Some(error)) => UserError::new(what).because(error).hint(format!(
            "it does not answer: is process {} ending, or stopped? Try again when it has ended or answers",
            holder.pid
        )),
        (Some(holder), None) => UserError::new(what).hint(format!(
            "give the command again when process {} has ended, or runs",
            holder.pid
        )),
        (None, _) => UserError::new(what)
            .hint("give the command again when that has ended; up.lock does not say which it is"),
    }
}
