//! Logs for people, on stderr; quiet unless something is wrong.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use chrono::{SecondsFormat, Utc};
use clap::ValueEnum;
use indicatif::MultiProgress;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

use crate::ui::repeats::Repeats;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line: timestamp, level, message, and what else there is to say.
    Json,
}

/// The form that was asked for.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// The progress on the screen, if there is one: a log line must not be written into the middle of it.
static PROGRESS: OnceLock<MultiProgress> = OnceLock::new();

/// From now on log lines go above that progress.
pub fn above(progress: MultiProgress) {
    // Only one demo runs in a process; a second call would be harmless.
    let _ = PROGRESS.set(progress);
}

/// Starts logging, more with every `-v`. RUST_LOG takes the place of what the flags say. A verb that shows its failures itself needs
/// no warnings. Without -vv and RUST_LOG, what goes wrong all the time is said now and then.
pub fn start(verbose: u8, shows_failures: bool, format: LogFormat) {
    let levels = match (verbose, shows_failures) {
        (0, true) => "error",
        (0, _) => "error,daybook=warn",
        (1, _) => "warn,daybook=info",
        (2, _) => "warn,daybook=debug",
        _ => "debug",
    };
    // The SDK reports as an error that a client without connections, such as that of the embedded AWS, has none to close.
    let noise = match verbose {
        0..=2 => ",aws_smithy_runtime::client::http::connection_poisoning=off",
        _ => "",
    };
    let (filter, is_asked_for) = match EnvFilter::try_from_default_env() {
        Ok(filter) => (filter, true),
        Err(_) => (EnvFilter::new(levels.to_owned() + noise), verbose >= 2),
    };
    let _ = FORMAT.set(format);
    let lines = fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(|| Lines);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let repeats = (!is_asked_for).then(|| Repeats::new(say));
    registry().with(filter).with(lines.with_filter(repeats)).init();
}

/// Tells a person what a command that goes on does, whatever is logged: as it is, or in JSON as a line of the log.
pub fn say(text: &str) {
    match FORMAT.get() {
        Some(LogFormat::Json) => {
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
            let line = serde_json::json!({"timestamp": now, "level": "INFO", "message": text.trim_start(), "target": "daybook"});
            eprintln!("{line}");
        }
        Some(LogFormat::Text) | None => eprintln!("{text}"),
    }
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match PROGRESS.get() {
            Some(progress) => progress.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        };
        // Where nobody reads it any more it is lost: what writes the lines would tell an error on stderr, too, and panic.
        Ok(written.unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
