//! The file in which a command lists the events of its batch that failed.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use daybook_schema::{EventId, ItemFailures};
use tempfile::TempDir;

/// The longest list that is read, in bytes: many times what a hundred ids take.
pub(super) const LONGEST_LIST: u64 = 256 * 1024;

/// An empty file in a folder of its own, which only this user may enter; both are removed when this is dropped.
#[derive(Debug)]
pub(super) struct FailuresFile {
    path: PathBuf,
    _folder: TempDir,
}

impl FailuresFile {
    /// Makes it among the temporary files of the system (`TMPDIR`).
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn new() -> io::Result<Self> {
        let folder = TempDir::with_prefix("daybook-")?;
        let path = folder.path().join("failures");
        std::fs::File::create_new(&path)?;
        Ok(Self {
            path,
            _folder: folder,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What a command that has ended has listed. A list that cannot be read is malformed: it may name any of them.
    pub(super) fn read(&self, named: &BTreeSet<EventId>) -> ItemFailures {
        match self.text() {
            Ok(text) => listed(&text, named),
            Err(error) => ItemFailures::Malformed(format!("DAYBOOK_FAILURES cannot be read: {error}")),
        }
    }

    fn text(&self) -> io::Result<String> {
        // What a command may have put in its place: a pipe would be waited for.
        if !std::fs::symlink_metadata(&self.path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut text = String::new();
        let mut file = std::fs::File::open(&self.path)?.take(LONGEST_LIST + 1);
        file.read_to_string(&mut text)?;
        match text.len() as u64 > LONGEST_LIST {
            true => Err(io::Error::other(format!(
                "it is longer than {LONGEST_LIST} bytes"
            ))),
            false => Ok(text),
        }
    }
}

/// Ids, one on a line, or the JSON of an answer.
fn listed(text: &str, named: &BTreeSet<EventId>) -> ItemFailures {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with(['{', '[', '"']) {
        return match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
            Ok(_) => ItemFailures::read(text, named),
            Err(error) => ItemFailures::Malformed(format!("DAYBOOK_FAILURES is no JSON object: {error}")),
        };
    }
    let mut failed = BTreeSet::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.parse().ok().filter(|id| named.contains(id)) {
            Some(id) => failed.insert(id),
            None => {
                let line: String = line.chars().take(80).collect();
                return ItemFailures::Malformed(format!(
                    "DAYBOOK_FAILURES names {line:?}, which was not given to it"
                ));
            }
        };
    }
    ItemFailures::Listed(failed)
}

#[cfg(test)]
mod tests {
    use daybook_tests::notifications::Upload;

    use super::*;

    fn id(n: u32) -> EventId {
        Upload::new(&n.to_string(), 1, "e").event().id
    }

    fn ids(ids: &[u32]) -> BTreeSet<EventId> {
        ids.iter().map(|n| id(*n)).collect()
    }

    fn read(text: impl AsRef<[u8]>) -> Option<BTreeSet<EventId>> {
        let file = FailuresFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        match file.read(&ids(&[1, 2, 3])) {
            ItemFailures::Listed(listed) => Some(listed),
            ItemFailures::Malformed(_) => None,
        }
    }

    #[test]
    fn ids_stand_on_lines_or_in_the_json_of_an_answer() {
        assert_eq!(read(""), Some(ids(&[])));
        assert_eq!(read("\n \r\n"), Some(ids(&[])));
        assert_eq!(
            read(format!("{}\r\n\n  {} \n{}", id(1), id(3), id(1))),
            Some(ids(&[1, 3]))
        );
        assert_eq!(
            read(format!("\u{feff}{}", id(2))),
            Some(ids(&[2])),
            "as a Windows editor writes it"
        );
        let json = format!(
            r#" {{"batchItemFailures": [{{"itemIdentifier": "{}"}}], "n": 1}}"#,
            id(2)
        );
        assert_eq!(read(json), Some(ids(&[2])));
        assert_eq!(read(r#"{"batchItemFailures": []}"#), Some(ids(&[])));
        assert_eq!(read("{}"), Some(ids(&[])));
    }

    #[test]
    fn a_list_that_makes_no_sense_is_malformed() {
        let stranger = id(4).to_string();
        let in_json = format!(r#"{{"batchItemFailures": [{{"itemIdentifier": "{stranger}"}}]}}"#);
        let half = &in_json[..30];
        for text in [
            stranger.as_str(),
            "none",
            "[]",
            r#""x""#,
            half,
            &in_json,
            &format!("{} it was broken", id(1)),
            &format!("{}\n{}", id(1), stranger),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read([0xff, 0xfe]), None, "not UTF-8");
        assert_eq!(read(" ".repeat(300_000)), None, "too long");
    }

    #[test]
    fn what_stands_in_the_place_of_the_file_is_not_waited_for_or_followed() {
        let file = FailuresFile::new().unwrap();
        std::fs::remove_file(file.path()).unwrap();
        let malformed = |file: &FailuresFile| matches!(file.read(&ids(&[1])), ItemFailures::Malformed(_));
        assert!(malformed(&file), "removed");
        std::os::unix::fs::symlink("/dev/zero", file.path()).unwrap();
        assert!(malformed(&file));
    }

    #[test]
    fn the_folder_is_removed_with_all_that_is_in_it() {
        let file = FailuresFile::new().unwrap();
        let folder = file.path().parent().unwrap().to_owned();
        std::fs::write(folder.join("draft"), "x").unwrap();
        assert_eq!(std::fs::metadata(file.path()).unwrap().len(), 0);
        drop(file);
        assert!(!folder.exists());
    }
}
