//! Results on stdout: a table for people, or one JSON object for programs.

use std::fmt::Display;
use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use crate::ui::table;

/// The form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// One line: what, how many, what that means.
pub type Line = (&'static str, String, &'static str);

/// Writes the report to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn print<M: Display>(
    output: Output,
    lines: &[(&'static str, String, M)],
    json: &impl Serialize,
) -> anyhow::Result<()> {
    print_either(output, || table::labelled(lines), json)
}

/// Exit code of a program that a closed pipe ended: 128 and the number of SIGPIPE.
pub const CLOSED: u8 = 141;

/// Whether an error says that nobody reads stdout any more. One of a connection is wrapped in what was asked over it.
pub fn nobody_reads(error: &anyhow::Error) -> bool {
    let of_csv = error
        .downcast_ref::<csv::Error>()
        .and_then(|error| match error.kind() {
            csv::ErrorKind::Io(error) => Some(error),
            _ => None,
        });
    let outermost = error.downcast_ref::<std::io::Error>().or(of_csv);
    outermost.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Writes a text for people, or JSON for programs, to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn print_either(
    output: Output,
    text: impl FnOnce() -> String,
    json: &impl Serialize,
) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => text(),
        // As a value first: its fields are in the order of their names.
        Output::Json => format!("{}\n", serde_json::to_value(json)?),
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
