//! The file of findings: a line for each.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use clap::ValueEnum;
use daybook_reconciler::audit::{Class, Finding, ListedObject, Repaired, Watermark};
use daybook_schema::{EventId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::failure::Advised;
use crate::view;

/// The form of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A JSON object per line
    Jsonl,
    /// Comma-separated values with a header, keys untouched: mind that a spreadsheet takes some for formulas
    Csv,
}

/// One line. Every field is always there, null or empty where it means nothing.
#[derive(Debug, Default, Serialize)]
pub struct Line<'a> {
    /// The class of an object, or `gone`, `unreadable`, `repaired`.
    pub class: &'static str,
    key: &'a str,
    version_id: Option<&'a str>,
    etag: Option<&'a str>,
    size: Option<u64>,
    last_modified: Option<Timestamp>,
    is_latest: Option<bool>,
    event_id: Option<EventId>,
    status: Option<String>,
    recorded_at: Option<Timestamp>,
    attempt: Option<u32>,
    deliveries: Option<u32>,
    last_error: Option<&'a str>,
    /// Why it is of that class, or what came of its repair.
    pub cause: Option<String>,
}

impl<'a> Line<'a> {
    fn object(object: &'a ListedObject) -> Self {
        Self {
            key: object.key.as_str(),
            version_id: object.version_id.as_deref(),
            etag: object.etag.as_deref(),
            size: object.size,
            last_modified: Some(object.last_modified),
            is_latest: Some(object.is_latest),
            ..Self::default()
        }
    }

    /// Of a finding.
    pub fn finding(finding: &'a Finding) -> Self {
        match finding {
            Finding::Object { object, class } => {
                let mut line = Self {
                    class: class_word(class),
                    ..Self::object(object)
                };
                match class {
                    Class::Open(open) => {
                        line.event_id = Some(open.event_id);
                        line.status = Some(view::status_word(open.status));
                        line.recorded_at = Some(open.since);
                        line.attempt = Some(open.attempt.0);
                        line.deliveries = Some(open.deliveries);
                        line.last_error = open.last_error.as_deref();
                    }
                    Class::BeforeWatermark { reason } => {
                        line.cause = Some(watermark_word(*reason).to_owned())
                    }
                    Class::Unknown { cause } => line.cause = Some(cause.to_string()),
                    _ => {}
                }
                line
            }
            Finding::Unreadable(entry) => Self {
                class: "unreadable",
                key: &entry.key,
                cause: Some(entry.cause.clone()),
                ..Self::default()
            },
            Finding::Gone { row, unconfirmed } => Self {
                class: "gone",
                key: &row.key,
                version_id: row.version_id.as_deref(),
                etag: row.etag.as_deref(),
                event_id: Some(row.id),
                status: Some(view::status_word(row.status)),
                recorded_at: Some(row.recorded_at),
                attempt: Some(row.attempt.0),
                deliveries: Some(row.deliveries),
                last_error: row.last_error.as_deref(),
                cause: unconfirmed.clone(),
                ..Self::default()
            },
        }
    }

    /// Of a repair.
    pub fn repaired(object: &'a ListedObject, outcome: &Repaired) -> Self {
        Self {
            class: "repaired",
            cause: Some(repaired_words(outcome)),
            ..Self::object(object)
        }
    }
}

/// A class as one word.
pub fn class_word(class: &Class) -> &'static str {
    match class {
        Class::Done => "done",
        Class::Removed => "removed",
        Class::Open(_) => "open",
        Class::TooNew => "too_new",
        Class::Missing => "missing",
        Class::BeforeWatermark { .. } => "before_watermark",
        Class::Changed => "changed",
        Class::Unknown { .. } => "unknown",
    }
}

fn watermark_word(reason: Watermark) -> &'static str {
    match reason {
        Watermark::BeforeInstallation => "before_installation",
        Watermark::BeforeReceipts => "before_receipts",
    }
}

fn repaired_words(outcome: &Repaired) -> String {
    match outcome {
        Repaired::Recorded => "recorded".to_owned(),
        Repaired::AlreadyThere => "already_there".to_owned(),
        Repaired::Covered => "covered".to_owned(),
        Repaired::Changed => "changed".to_owned(),
        Repaired::Gone => "gone".to_owned(),
        Repaired::Otherwise(class) => format!("otherwise: {}", class_word(class)),
        Repaired::NotSafe { cause } => format!("not_safe: {cause}"),
    }
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
    pub fn open(path: &Path, form: Form, go_on_at: Option<u64>) -> Result<Self, Advised> {
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
            return Err(Advised::new(format!(
                "the report {name} is not the one that the checkpoint goes on with: it is shorter"
            ))
            .hint("put that one back, or delete the checkpoint to begin anew"));
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
    pub fn write<'a>(&mut self, lines: impl IntoIterator<Item = Line<'a>>) -> Result<(), Advised> {
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

fn cannot_write(name: &str, error: std::io::Error) -> Advised {
    Advised::new(format!("the report {name} cannot be written"))
        .because(error)
        .hint("give a file in a folder that is there and that this user may write, with --report")
}
