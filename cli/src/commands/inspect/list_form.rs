//! The forms of a list: a table, JSON, a line of JSON for each row, CSV.

use std::io::Write;

use clap::{Args, ValueEnum};
use daybook_inspect::lookup::list::List;
use daybook_inspect::lookup::rows::Listed;
use daybook_inspect::parts::Runs;
use daybook_inspect::views::status_word;
use daybook_schema::{CloudEvent, ObjectEvent, Row, SourceName, Subject, Timestamp};

use crate::args::values;
use crate::ui::output::Output;
use crate::ui::{escape, output, row_table, table};

/// How it is printed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct FormArguments {
    /// Cut nothing, however wide the terminal is
    #[arg(long)]
    wide: bool,

    /// Columns of a table or CSV, separated by commas
    ///
    /// They are status, due-at, recorded-at, attempt, max-attempts, id, source, bucket, key, version-id,
    /// size, etag, type, subject, batch, last-error, note
    #[arg(
        long,
        value_name = "NAMES",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true
    )]
    columns: Vec<Column>,

    /// Form, in place of --output
    ///
    /// jsonl is one JSON object per row
    #[arg(long, value_name = "FORM", value_enum)]
    format: Option<Format>,
}

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Jsonl,
    Csv,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Column {
    Status,
    DueAt,
    RecordedAt,
    Attempt,
    MaxAttempts,
    Id,
    Source,
    Bucket,
    Key,
    VersionId,
    Size,
    Etag,
    Type,
    Subject,
    Batch,
    LastError,
    Note,
}

/// The columns of CSV, unless it is said which.
const USUAL: [Column; 9] = [
    Column::Status,
    Column::DueAt,
    Column::Attempt,
    Column::MaxAttempts,
    Column::Id,
    Column::Bucket,
    Column::Key,
    Column::VersionId,
    Column::LastError,
];

impl Column {
    /// As JSON calls it, with hyphens.
    fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::DueAt => "due-at",
            Self::RecordedAt => "recorded-at",
            Self::Attempt => "attempt",
            Self::MaxAttempts => "max-attempts",
            Self::Id => "id",
            Self::Source => "source",
            Self::Bucket => "bucket",
            Self::Key => "key",
            Self::VersionId => "version-id",
            Self::Size => "size",
            Self::Etag => "etag",
            Self::Type => "type",
            Self::Subject => "subject",
            Self::Batch => "batch",
            Self::LastError => "last-error",
            Self::Note => "note",
        }
    }

    /// What a row has in it; nothing where that is not known.
    fn of(self, listed: &Listed) -> String {
        match (self, listed) {
            (Self::Status, _) => status_word(listed.status()),
            (Self::DueAt, _) => listed.due_at().to_string(),
            (Self::Id, _) => listed.id().to_string(),
            (_, Listed::Row(row)) => self.of_row(row).unwrap_or_default(),
            (Self::LastError, Listed::Unreadable { why, .. }) => why.clone(),
            (_, Listed::Unreadable { .. }) => String::new(),
        }
    }

    fn of_row(self, row: &Row) -> Option<String> {
        let of_event = |text: fn(&ObjectEvent) -> Option<String>| row.object_event().and_then(text);
        let of_general = |text: fn(&CloudEvent) -> Option<&str>| row.cloud_event().and_then(text);
        match self {
            Self::Status | Self::DueAt | Self::Id => None,
            Self::RecordedAt => Some(row.recorded_at.to_string()),
            Self::Attempt => Some(row.attempt.to_string()),
            Self::MaxAttempts => Some(row.max_attempts.to_string()),
            Self::Source => Some(source(row).to_string()),
            Self::Bucket => of_event(|event| Some(event.bucket.as_str().to_owned())),
            Self::Key => of_event(|event| Some(event.key.as_str().to_owned())),
            Self::VersionId => of_event(|event| event.version_id.clone()),
            Self::Size => of_event(|event| event.size.map(|size| size.to_string())),
            Self::Etag => of_event(|event| event.etag.clone()),
            Self::Type => of_general(|event| Some(&event.event_type)).map(str::to_owned),
            Self::Subject => of_general(|event| event.subject.as_deref()).map(str::to_owned),
            Self::Batch => row.batch.map(|batch| batch.to_string()),
            Self::LastError => row.last_error.clone(),
            Self::Note => row.note.clone(),
        }
    }
}

fn source(row: &Row) -> &SourceName {
    match &row.subject {
        Subject::Event(event) => &event.source,
        Subject::Raw { source, .. } => source,
    }
}

impl FormArguments {
    /// The form that is asked for.
    pub fn format(&self, output: Output) -> Format {
        self.format.unwrap_or(match output {
            Output::Table => Format::Table,
            Output::Json => Format::Json,
        })
    }

    /// The width that a table has to keep to, if any.
    pub fn width(&self) -> Option<u16> {
        table::terminal_width().filter(|_| !self.wide)
    }

    /// Only what has columns can have those that are chosen.
    ///
    /// # Errors
    /// A usage error of clap's.
    pub fn check(&self, output: Output) -> Result<(), clap::Error> {
        match self.format(output) {
            Format::Json | Format::Jsonl if self.has_columns() => Err(values::usage_of(
                "columns",
                &"JSON has all fields; a table or CSV has columns",
            )),
            _ => Ok(()),
        }
    }

    /// Whether columns are chosen.
    pub fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Prints it, with what a process of this machine runs, where that is known.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn print(
        &self,
        list: &List,
        runs: Option<Runs<'_>>,
        output: Output,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        match self.format(output) {
            Format::Table => output::print_either(Output::Table, || self.table(&list.rows, runs, now), &()),
            Format::Json => output::print_either(Output::Json, String::new, &list.output(runs)),
            Format::Jsonl => {
                let mut stdout = std::io::stdout().lock();
                for row in &list.rows {
                    // As a value first: its fields are in the order of their names.
                    writeln!(stdout, "{}", serde_json::to_value(row.output(runs))?)?;
                }
                Ok(stdout.flush()?)
            }
            Format::Csv => {
                let columns = match self.columns.as_slice() {
                    [] => &USUAL[..],
                    columns => columns,
                };
                let mut csv = csv::Writer::from_writer(std::io::stdout().lock());
                csv.write_record(columns.iter().map(|column| column.name().replace('-', "_")))?;
                for row in &list.rows {
                    csv.write_record(columns.iter().map(|column| column.of(row)))?;
                }
                Ok(csv.flush()?)
            }
        }
    }

    fn table(&self, rows: &[Listed], runs: Option<Runs<'_>>, now: Timestamp) -> String {
        if self.columns.is_empty() || rows.is_empty() {
            return match self.wide {
                true => row_table::wide(rows, runs, now),
                false => row_table::table(rows, runs, now),
            };
        }
        let header: Vec<&str> = self.columns.iter().map(|column| column.name()).collect();
        let cells = |row: &Listed| {
            let cell = |column: &Column| escape::escaped(&column.of(row));
            self.columns.iter().map(cell).collect()
        };
        let width = self.width();
        let id = self.columns.iter().position(|column| *column == Column::Id);
        table::table(&header, id.as_slice(), rows.iter().map(cells).collect(), width)
    }
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;

    #[test]
    fn the_help_names_every_column() {
        let help = FormArguments::augment_args(clap::Command::new("list"))
            .render_long_help()
            .to_string();
        for column in Column::value_variants() {
            assert!(help.contains(column.name()), "{}: {help}", column.name());
        }
    }
}
