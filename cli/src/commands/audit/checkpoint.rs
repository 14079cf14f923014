//! The file that says how far an audit is. Another process goes on from it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use daybook_reconciler::audit::{Checkpoint, Repairs};
use daybook_schema::{BucketName, SourceName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commands::audit::findings::Form;
use crate::ui::error::UserError;

/// The form of the file. Another one is not read.
const VERSION: u32 = 1;

/// What must be the same for an audit to go on: with anything else its counts would be of two audits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Which deployment.
    pub deployment: String,
    /// Which S3.
    pub s3: String,
    /// By which name.
    pub source: SourceName,
    /// Which bucket.
    pub bucket: BucketName,
    /// Which keys.
    pub prefix: String,
    /// Of which time.
    pub since: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Which inventory, if it does not list the bucket.
    pub inventory: Option<String>,
    /// Which versions.
    pub versions: String,
    /// Levels of the statement.
    pub depth: usize,
    /// Whether what is missing is recorded.
    pub repair: bool,
    /// The file of findings.
    pub report: Option<PathBuf>,
    /// Its form.
    pub format: Option<Form>,
    /// Whether it lists what is done.
    pub all: bool,
}

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    v: u32,
    /// As whom it may go on.
    pub terms: Terms,
    /// How far it is.
    pub checkpoint: Checkpoint,
    /// The repairs of what is missing.
    #[serde(flatten)]
    pub repairs: Repairs,
    /// What had arrived in the intake by then does not wait there any more, as far as it was seen.
    #[serde(default)]
    pub intake_drained_until: Option<Timestamp>,
    /// So long is the file of findings; what comes after is of pages that will be listed again.
    pub report_bytes: u64,
}

impl Stored {
    /// To be written.
    pub fn new(
        terms: Terms,
        checkpoint: Checkpoint,
        mut repairs: Repairs,
        (intake_drained_until, report_bytes): (Option<Timestamp>, u64),
    ) -> Self {
        // Earlier releases read no null.
        repairs.counts.get_or_insert_default();
        Self {
            v: VERSION,
            terms,
            checkpoint,
            repairs,
            intake_drained_until,
            report_bytes,
        }
    }

    /// What the file holds of an unfinished audit; none where there is no file, or its audit is finished. Whether it is of the audit that is
    /// asked for, [`Stored::check`] says.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is another release's.
    pub fn read(path: &Path) -> Result<Option<Self>, UserError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(
                    UserError::new(format!("the checkpoint {} cannot be read", path.display()))
                        .because(error),
                );
            }
        };
        let damaged = |error: serde_json::Error| {
            refused(path, "is damaged, or another kind of file", error.to_string())
        };
        let json: Value = serde_json::from_slice(&text).map_err(damaged)?;
        if let Some(form) = json["v"].as_u64().filter(|form| *form != u64::from(VERSION)) {
            let forms = format!("it has form {form}, and this release reads form {VERSION}");
            return Err(refused(path, "is another release's", forms));
        }
        let stored: Self = serde_json::from_value(json).map_err(damaged)?;
        Ok(Some(stored).filter(|stored| !stored.is_finished()))
    }

    /// Whether it is of the audit of these terms.
    ///
    /// # Errors
    /// When it is of another.
    pub fn check(&self, path: &Path, terms: &Terms) -> Result<(), UserError> {
        match self.terms.difference(terms) {
            Some(difference) => Err(refused(path, "belongs to another audit", difference)),
            None => Ok(()),
        }
    }

    /// Whether nothing is left to do.
    pub fn is_finished(&self) -> bool {
        self.checkpoint.is_complete && self.repairs.pending.is_empty()
    }

    /// Writes it beside the file and puts it in its place, so that there is a whole one at any time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), UserError> {
        let written = || -> std::io::Result<()> {
            let mut beside = path.as_os_str().to_owned();
            beside.push(".new");
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_data()?;
            std::fs::rename(&beside, path)
        };
        written().map_err(|error| cannot_write(path, error))
    }
}

fn refused(path: &Path, what: &str, cause: String) -> UserError {
    UserError::new(format!("the checkpoint {} {what}", path.display()))
        .because(anyhow!(cause))
        .hint("give another file with --checkpoint, or delete this one to start over")
}

/// The error of a checkpoint that cannot be written.
pub fn cannot_write(path: &Path, error: std::io::Error) -> UserError {
    UserError::new(format!("the checkpoint {} cannot be written", path.display()))
        .because(error)
        .hint("give a file in an existing folder that this user may write, with --checkpoint")
}

impl Terms {
    /// What differs, in words.
    fn difference(&self, now: &Self) -> Option<String> {
        let (was, is) = (serde_json::to_value(self).ok()?, serde_json::to_value(now).ok()?);
        let mut names = was.as_object()?.keys();
        let name = names.find(|name| was[name.as_str()] != is[name.as_str()])?;
        Some(format!("its {name} was {}, and is {} now", was[name], is[name]))
    }
}
