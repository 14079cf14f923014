//! What targets write, kept whole where a row's last error has 256 characters: a file for each run, in a folder of bounded size.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use daybook_ledger::Clock;

use super::target::RunInput;

/// How much of what a run writes is kept, in bytes.
const MOST_OF_A_RUN: usize = 1024 * 1024;

/// How many files are kept.
const MOST_FILES: usize = 1000;

/// A folder with a file for each run, `<event id>-<attempt>.log` or `b-<batch id>.log`: the newest 1,000, each with the first
/// megabyte of what the target wrote, so a gigabyte at most. A run of an attempt that ran before is added to its file. Folder and files are for
/// their owner alone: they say what objects are called, and whatever the target says of them.
///
/// A run is never failed by its log: what cannot be written is left out, and that is said once in the log of the process.
#[derive(Debug)]
pub struct TargetLog {
    folder: PathBuf,
    clock: Clock,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    /// Oldest first.
    names: VecDeque<OsString>,
    /// Whether it was said that something cannot be written.
    is_told: bool,
}

/// The file of one run.
pub(super) struct RunOutput(Mutex<Written>);

struct Written {
    file: File,
    room: usize,
    left_out: u64,
}

impl TargetLog {
    /// In that folder, which is made if it is missing. Other files in it than `*.log` are left alone.
    ///
    /// # Errors
    /// When it cannot be made, read or written.
    pub fn open(folder: &Path, clock: Clock) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if Path::new(&name).extension().is_some_and(|end| end == "log") {
                found.push((entry.metadata()?.modified()?, name));
            }
        }
        found.sort();
        // Found out now, and not by the first run.
        tempfile::tempfile_in(folder)?;
        let names = found.into_iter().map(|(_, name)| name).collect();
        Ok(Self {
            folder: folder.to_owned(),
            clock,
            files: Mutex::new(Files {
                names,
                is_told: false,
            }),
        })
    }

    /// The file of a run that begins; `None` when it cannot be written.
    pub(super) fn begin(&self, input: &RunInput) -> Option<RunOutput> {
        let name = OsString::from(name_of(input));
        match self.try_begin(&name, input) {
            Ok(output) => Some(output),
            Err(error) => {
                let mut files = self.files();
                if !std::mem::replace(&mut files.is_told, true) {
                    let folder = self.folder.display();
                    tracing::warn!(%folder, %error, "what targets write cannot be kept there; runs go on without it");
                }
                None
            }
        }
    }

    fn try_begin(&self, name: &OsString, input: &RunInput) -> io::Result<RunOutput> {
        self.make_room(name);
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.folder.join(name))?;
        let now = self.clock.now();
        for event in input.events() {
            let about = event.event().to_string();
            writeln!(
                file,
                "== {now} attempt {} of {about:?} ({})",
                event.attempt.0, event.id
            )?;
        }
        let used = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        Ok(RunOutput(Mutex::new(Written {
            file,
            room: MOST_OF_A_RUN.saturating_sub(used),
            left_out: 0,
        })))
    }

    /// Removes the oldest files until there is a place for one of that name.
    fn make_room(&self, name: &OsString) {
        let mut files = self.files();
        files.names.retain(|kept| kept != name);
        while files.names.len() >= MOST_FILES {
            if let Some(oldest) = files.names.pop_front() {
                // One that somebody removed has made room.
                let _ = fs::remove_file(self.folder.join(oldest));
            }
        }
        files.names.push_back(name.clone());
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(input: &RunInput) -> String {
    match input {
        RunInput::Single(event) => format!("{}-{}.log", event.id, event.attempt.0),
        RunInput::Batch(batch) => format!("b-{}.log", batch.batch),
    }
}

impl RunOutput {
    /// Adds what the target wrote, as far as there is room.
    pub(super) fn write(&self, bytes: &[u8]) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = bytes.len().min(written.room);
        let outcome = written.file.write_all(&bytes[..taken]);
        // A disk that is full takes nothing more.
        written.room = if outcome.is_ok() { written.room - taken } else { 0 };
        written.left_out += (bytes.len() - taken) as u64;
    }

    /// Adds a line of Daybook's own, whether there is room or not.
    pub(super) fn line(&self, line: fmt::Arguments<'_>) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.left_out > 0 {
            let left_out = std::mem::take(&mut written.left_out);
            let _ = writeln!(written.file, "\n== {left_out} bytes more were not kept");
        }
        let _ = writeln!(written.file, "== {line}");
    }
}

#[cfg(test)]
mod tests {
    use daybook_schema::{ExecutionInput, Timestamp};

    use super::*;

    fn input(number: u32) -> RunInput {
        let text = format!(
            r#"{{"id":"00000000-0000-0000-0000-{number:012}","attempt":1,"source":"aws","bucket":"data","key":"a\u202e\n.csv","event_name":"ObjectCreated:Put","kind":"created"}}"#
        );
        RunInput::from(serde_json::from_str::<ExecutionInput>(&text).expect("an input"))
    }

    fn clock() -> Clock {
        Clock::new(|| Timestamp::from_unix_millis(1_795_251_268_758).expect("a time"))
    }

    #[test]
    fn a_run_has_a_file_with_what_was_written_and_of_a_flood_its_beginning() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("made/deep");
        let log = TargetLog::open(&folder, clock()).expect("it opens");
        let output = log.begin(&input(1)).expect("a file");
        output.write(b"hello\n");
        output.line(format_args!("exit status 0"));
        let path = folder.join("00000000-0000-0000-0000-000000000001-1.log");
        let text = fs::read_to_string(&path).expect("it is there");
        let expected = "== 2026-11-21T08:54:28.758Z attempt 1 of \"s3://data/a\\u{202e}\\n.csv\" \
                        (00000000-0000-0000-0000-000000000001)\nhello\n== exit status 0\n";
        assert_eq!(text, expected);

        let again = log.begin(&input(1)).expect("the same file");
        again.write(&vec![b'x'; 2 * MOST_OF_A_RUN]);
        again.line(format_args!("exit status 1"));
        let text = fs::read_to_string(&path).expect("it is there");
        assert!(text.starts_with(expected), "what was there before stays");
        assert!(text.len() < MOST_OF_A_RUN + 200, "{}", text.len());
        assert!(
            text.ends_with(" bytes more were not kept\n== exit status 1\n"),
            "{}",
            &text[MOST_OF_A_RUN - 50..]
        );
    }

    #[test]
    fn the_newest_thousand_files_are_kept_and_those_of_others_too() {
        let home = tempfile::tempdir().expect("a folder");
        fs::write(home.path().join("notes.txt"), "mine").expect("written");
        let first = TargetLog::open(home.path(), clock()).expect("it opens");
        for number in 0..1001 {
            drop(first.begin(&input(number)).expect("a file"));
        }
        // The next process goes on where this one ended.
        let next = TargetLog::open(home.path(), clock()).expect("it opens");
        drop(next.begin(&input(1001)).expect("a file"));
        let is_there = |number: u32| {
            let name = format!("00000000-0000-0000-0000-{number:012}-1.log");
            home.path().join(name).exists()
        };
        assert!(!is_there(0) && !is_there(1) && is_there(2) && is_there(1001));
        assert_eq!(
            fs::read_dir(home.path()).expect("a folder").count(),
            MOST_FILES + 1
        );
    }

    #[test]
    fn a_folder_that_is_gone_fails_no_run() {
        let home = tempfile::tempdir().expect("a folder");
        let log = TargetLog::open(home.path(), clock()).expect("it opens");
        home.close().expect("removed");
        assert!(log.begin(&input(1)).is_none());
        assert!(log.files().is_told);
    }
}
