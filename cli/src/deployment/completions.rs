//! The files beside the ledger that list what a folder's workers completed lately.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use daybook_inspect::activity::completions::{Completions, Line};
use daybook_schema::Timestamp;

/// The file that is written, and the one before it.
const FILES: [&str; 2] = ["completed.jsonl", "completed.1.jsonl"];

/// A file of so many bytes is full: some 15,000 completions.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// What is listed; whether a process has the folder and writes.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn read(dir: &Path, is_running: bool) -> io::Result<Completions> {
    // The newer one first: if it becomes the older one in between, it is read twice, and no line is skipped.
    let newer = text(&dir.join(FILES[0]))?;
    let older = text(&dir.join(FILES[1]))?;
    Ok(match newer.lines().next() {
        Some(first) if older.lines().next() == Some(first) => Completions::of(&[&older], is_running),
        _ => Completions::of(&[&older, &newer], is_running),
    })
}

fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Appends the lines. They are not flushed to the disk: a power cut may lose the newest.
///
/// # Errors
/// When they cannot be written; none of them is in the file then.
pub fn append(dir: &Path, lines: &[Line], now: Timestamp) -> io::Result<()> {
    append_within(dir, lines, now, MOST_BYTES)
}

fn append_within(dir: &Path, lines: &[Line], now: Timestamp, most: u64) -> io::Result<()> {
    let path = dir.join(FILES[0]);
    let mut file = open(&path)?;
    let mut length = file.metadata()?.len();
    let begins = lines.iter().any(|line| matches!(line, Line::Start(_)));
    // A process that begins says so in the file of the one before: so it is known how that one ended.
    if length >= most && !begins {
        std::fs::rename(&path, dir.join(FILES[1]))?;
        file = open(&path)?;
        length = 0;
    }
    let mut text = Vec::new();
    if length == 0 {
        push(&mut text, &Line::From(now))?;
    } else if !ends_a_line(&mut file)? {
        text.push(b'\n');
    }
    let is_first = length == 0;
    for line in lines {
        // There is none before the first.
        if !(is_first && matches!(line, Line::Start(_))) {
            push(&mut text, line)?;
        }
    }
    file.write_all(&text).inspect_err(|_| {
        // Else they would be there twice after the next try.
        let _ = file.set_len(length);
    })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

fn push(text: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daybook_inspect::activity::completions::Completion;
    use daybook_schema::Attempt;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        let begin: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        begin.plus(Duration::from_secs(seconds))
    }

    fn done(seconds: u64) -> Line {
        Line::Done(Completion {
            done_at: at(seconds),
            id: "a4c13efc-a32a-80cf-8b7b-2fd4ba88a10d".parse().unwrap(),
            attempt: Attempt(1),
            bucket: "data".to_owned(),
            key: format!("key-{seconds}"),
            version_id: None,
            millis: 20,
        })
    }

    #[test]
    fn the_newest_stay_within_the_bound_and_it_is_known_since_when() {
        let home = tempfile::tempdir().unwrap();
        append_within(home.path(), &[Line::Start(at(0))], at(0), 2000).unwrap();
        for second in 1..=200 {
            append_within(home.path(), &[done(second)], at(second), 2000).unwrap();
        }
        let sizes = FILES.map(|file| std::fs::metadata(home.path().join(file)).unwrap().len());
        assert!(sizes.iter().all(|size| *size < 2500), "{sizes:?}");
        let found = read(home.path(), true)
            .unwrap()
            .within(at(200), None, 1000, |_| true);
        let first = found.completed.last().unwrap().done_at;
        let count = u64::try_from(found.completed.len()).unwrap();
        assert!((5..30).contains(&count), "{count}");
        assert_eq!(
            (first, found.known_since),
            (at(201 - count), Some(at(201 - count)))
        );
        assert_eq!(found.may_miss_until, None);
    }

    #[test]
    fn after_half_a_line_the_next_process_begins_a_new_one() {
        let home = tempfile::tempdir().unwrap();
        append(home.path(), &[Line::Start(at(0)), done(1)], at(0)).unwrap();
        let path = home.path().join(FILES[0]);
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"done\":{");
        std::fs::write(&path, text).unwrap();
        append(home.path(), &[Line::Start(at(5)), done(6)], at(5)).unwrap();
        let found = read(home.path(), true).unwrap().within(at(9), None, 10, |_| true);
        assert_eq!((found.completed.len(), found.may_miss_until), (2, Some(at(5))));
    }

    #[test]
    fn a_folder_without_the_files_knows_of_none() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(home.path(), false).unwrap(), Completions::default());
    }
}
