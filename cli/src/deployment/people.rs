//! The files beside the ledger that keep what people did: who, when, what, why, how many.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use daybook_inspect::operate::log;
use daybook_inspect::operate::log::{Entry, Log};
use daybook_schema::Timestamp;

/// The file that is written, and the one before it.
const FILES: [&str; 2] = ["people.jsonl", "people.1.jsonl"];

/// A file of so many bytes is full: some 700 lines.
const MOST_BYTES: u64 = 256 * 1024;

/// The log of a folder.
#[derive(Clone, Debug)]
pub struct PeopleLog {
    dir: PathBuf,
    most: u64,
}

impl PeopleLog {
    /// Of that folder.
    pub fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            most: MOST_BYTES,
        }
    }

    /// Opened and locked: of several processes one writes. It is the file of that name still when this returns.
    fn open(&self) -> io::Result<File> {
        let path = self.dir.join(FILES[0]);
        loop {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .open(&path)?;
            file.lock()?;
            if file.metadata()?.len() < self.most {
                return Ok(file);
            }
            // Whoever waited for the lock on it meanwhile finds it full, and this for full as well: it is renamed once.
            if is_at(&file, &path)? {
                std::fs::rename(&path, self.dir.join(FILES[1]))?;
            }
        }
    }

    fn text(&self, name: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        match File::open(self.dir.join(name)) {
            Ok(mut file) => file.read_to_end(&mut bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
            Err(error) => return Err(error),
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Whether that file has that name. None has it after it was renamed, until the next is made.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let opened = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((opened.dev(), opened.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Log for PeopleLog {
    /// Not flushed to the disk: a power cut may lose the newest lines.
    fn write(&self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        // A line that a full disk cut off ends here.
        line.insert(0, b'\n');
        line.push(b'\n');
        self.open()?.write_all(&line)
    }

    fn read(&self) -> io::Result<Vec<Entry>> {
        // The newer one first: if it becomes the older one in between, it is read twice, and no line is missed.
        let newer = self.text(FILES[0])?;
        let older = self.text(FILES[1])?;
        Ok(log::read(&format!("{older}\n{newer}")))
    }
}

/// Keeps that a person changed dispatch, where there is a folder. What is done is done, whether or not it can be kept.
pub fn keep(dir: Option<&Path>, now: Timestamp, what: &str, who: (&str, Option<&str>)) {
    let Some(dir) = dir else { return };
    let entry = Entry::begin(now, std::process::id(), what, who).ended(now, "done");
    if let Err(error) = PeopleLog::of(dir).write(&entry) {
        note(&error);
    }
}

/// Says on stderr that it could not be kept.
pub fn note(error: &io::Error) {
    eprintln!("note: who did this, and why, could not be written to the folder's log: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64) -> Entry {
        let begun = "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap();
        let now = begun.plus(std::time::Duration::from_secs(n));
        Entry::begin(now, 7, "pause", ("kim", Some("a \"release\"\nand more")))
    }

    #[test]
    fn the_newest_stay_within_the_bound_also_when_many_write() {
        let home = tempfile::tempdir().unwrap();
        let log = PeopleLog {
            dir: home.path().to_owned(),
            most: 4096,
        };
        assert!(log.read().unwrap().is_empty());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let log = &log;
                scope.spawn(move || {
                    (0..100).for_each(|n| log.write(&entry(thread * 1000 + n)).unwrap());
                });
            }
        });
        let sizes = FILES.map(|file| std::fs::metadata(home.path().join(file)).unwrap().len());
        assert!(sizes.iter().all(|size| *size < 4096 + 512), "{sizes:?}");
        let kept = log.read().unwrap();
        assert!(kept.len() >= 12, "{}", kept.len());
        assert_eq!(kept[0].why.as_deref(), Some("a \"release\"\nand more"));
        log.write(&entry(9999)).unwrap();
        assert_eq!(log.read().unwrap()[0], entry(9999), "the newest comes first");
    }

    #[test]
    fn a_line_that_was_cut_off_hides_no_other() {
        let home = tempfile::tempdir().unwrap();
        let log = PeopleLog::of(home.path());
        log.write(&entry(1)).unwrap();
        let mut file = OpenOptions::new()
            .append(true)
            .open(home.path().join(FILES[0]))
            .unwrap();
        file.write_all(b"{\"id\":\"cut o").unwrap();
        log.write(&entry(2)).unwrap();
        assert_eq!(log.read().unwrap(), [entry(2), entry(1)]);
    }
}
