//! The file of findings: a line for each.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use clap::ValueEnum;
use daybook_reconciler::audit::Line;
use serde::{Deserialize, Serialize};

use crate::ui::error::UserError;

/// The form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A JSON object per line
    Jsonl,
    /// Comma-separated values with a header, keys unchanged: a spreadsheet may take some for formulas
    Csv,
}

/// The file, if one is wanted.
#[derive(Debug, Default)]
pub struct Findings {
    to: Option<To>,
}

#[derive(Debug)]
struct To {
    file: File,
    form: Form,
    bytes: u64,
    name: String,
}

impl Findings {
    /// No file.
    pub fn none() -> Self {
        Self::default()
    }

    /// Begins the file, or goes on behind what a checkpoint says of it.
    ///
    /// # Errors
    /// When it cannot be written, or is shorter than the checkpoint says.
    pub fn open(path: &Path, form: Form, go_on_at: Option<u64>) -> Result<Self, UserError> {
        let name = path.display().to_string();
        let cannot = |error: std::io::Error| cannot_write(&name, error);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(go_on_at.is_none())
            .open(path)
            .map_err(cannot)?;
        let bytes = go_on_at.unwrap_or(0);
        if file.metadata().map_err(cannot)?.len() < bytes {
            return Err(UserError::new(format!(
                "the report {name} is not the one that the checkpoint belongs to: it is shorter"
            ))
            .hint("put that one back, or delete the checkpoint to start over"));
        }
        if go_on_at.is_some() {
            file.set_len(bytes).map_err(cannot)?;
            file.seek(SeekFrom::End(0)).map_err(cannot)?;
        }
        let mut to = To {
            file,
            form,
            bytes,
            name,
        };
        if go_on_at.is_none() && form == Form::Csv {
            let written =
                header().and_then(|header| to.file.write_all(&header).map(|()| header.len() as u64));
            to.bytes = written.map_err(|error| cannot_write(&to.name, error))?;
        }
        Ok(Self { to: Some(to) })
    }

    /// Writes lines, all of them before it returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write<'a>(&mut self, lines: impl IntoIterator<Item = Line<'a>>) -> Result<(), UserError> {
        let Some(to) = &mut self.to else {
            return Ok(());
        };
        let text = to.text(lines);
        let written = text.and_then(|text| to.file.write_all(&text).map(|()| text.len() as u64));
        to.bytes += written.map_err(|error| cannot_write(&to.name, error))?;
        Ok(())
    }

    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.to.as_ref().map_or(0, |to| to.bytes)
    }
}

impl To {
    fn text<'a>(&self, lines: impl IntoIterator<Item = Line<'a>>) -> std::io::Result<Vec<u8>> {
        match self.form {
            Form::Jsonl => {
                let mut text = Vec::new();
                for line in lines {
                    serde_json::to_writer(&mut text, &line)?;
                    text.push(b'\n');
                }
                Ok(text)
            }
            Form::Csv => {
                let mut csv = csv::WriterBuilder::new()
                    .has_headers(false)
                    .from_writer(Vec::new());
                for line in lines {
                    csv.serialize(line).map_err(std::io::Error::other)?;
                }
                csv.into_inner().map_err(|error| error.into_error())
            }
        }
    }
}

/// The names of the columns. The csv crate writes them before the first line, and there may be none.
fn header() -> std::io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.serialize(Line::default()).map_err(std::io::Error::other)?;
    let text = csv.into_inner().map_err(|error| error.into_error())?;
    let end = text
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(text.len(), |at| at + 1);
    Ok(text[..end].to_vec())
}

/// The error of a report that cannot be written.
pub fn cannot_write(name: &str, error: std::io::Error) -> UserError {
    UserError::new(format!("the report {name} cannot be written"))
        .because(error)
        .hint("give a file in an existing folder that this user may write, with --report")
}
