//! The newest audits of a folder, in files beside its ledger: each has a line with the audit in short, and one with all of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use daybook_inspect::audits::{AuditBrief, KeptAudit, KeptAudits, is_id};

/// The folder of the files.
const FOLDER: &str = "audits";

/// So many are kept.
const KEPT: usize = 10;

/// Keeps an audit, and removes those that are older than the newest ten.
///
/// # Errors
/// When it cannot be written; what was there before stays.
pub fn keep(dir: &Path, audit: &KeptAudit) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    match std::fs::create_dir(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Renamed into its place, so that nobody reads half of it.
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    for line in [serde_json::to_vec(&audit.brief)?, serde_json::to_vec(audit)?] {
        file.write_all(&line)?;
        file.write_all(b"\n")?;
    }
    file.persist(path(dir, &audit.brief.id))?;
    for id in ids(dir)?.iter().skip(KEPT) {
        // One that stays is removed after the next audit.
        let _ = std::fs::remove_file(path(dir, id));
    }
    Ok(())
}

/// Those that are kept, the newest first. A file that cannot be read is left out.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(dir: &Path) -> io::Result<KeptAudits> {
    let mut audits: Vec<AuditBrief> = ids(dir)?.iter().filter_map(|id| brief(&path(dir, id))).collect();
    audits.sort_by_key(|brief| std::cmp::Reverse(brief.began_at));
    Ok(KeptAudits {
        place: Some(dir.join(FOLDER).display().to_string()),
        audits: Some(audits),
    })
}

/// The one of that name; `None` where there is none.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read(dir: &Path, id: &str) -> io::Result<Option<KeptAudit>> {
    if !is_id(id) {
        return Ok(None);
    }
    match std::fs::read_to_string(path(dir, id)) {
        Ok(text) => Ok(Some(serde_json::from_str(
            text.lines().nth(1).unwrap_or_default(),
        )?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// As [`list`]; the error in words.
///
/// # Errors
/// When the folder cannot be read.
pub fn list_or_why(dir: &Path) -> Result<KeptAudits, String> {
    list(dir).map_err(|error| why(dir, &error))
}

/// As [`read`]; the error in words.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_or_why(dir: &Path, id: &str) -> Result<Option<KeptAudit>, String> {
    read(dir, id).map_err(|error| why(dir, &error))
}

fn why(dir: &Path, error: &io::Error) -> String {
    format!(
        "what is kept in {} cannot be read: {error}",
        dir.join(FOLDER).display()
    )
}

/// Reads files where nobody waits for it but who asked.
///
/// # Errors
/// What reading says, or that the process ends.
pub async fn off_the_loop<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|error| Err(error.to_string()))
}

fn path(dir: &Path, id: &str) -> PathBuf {
    dir.join(FOLDER).join(format!("{id}.jsonl"))
}

fn brief(path: &Path) -> Option<AuditBrief> {
    let mut line = String::new();
    BufReader::new(File::open(path).ok()?).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// The names of all, the newest first.
fn ids(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
        ids.extend(id.filter(|id| is_id(id)).map(str::to_owned));
    }
    ids.sort_by(|one, other| other.cmp(one));
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daybook_inspect::audits::id;
    use daybook_schema::Timestamp;

    use super::*;

    fn audit(second: u64) -> KeptAudit {
        let begin: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let began_at = begin.plus(Duration::from_secs(second));
        KeptAudit {
            brief: AuditBrief {
                id: id(began_at),
                began_at,
                ended_at: began_at,
                source: "aws".parse().unwrap(),
                bucket: "data".parse().unwrap(),
                prefix: String::new(),
                finished: true,
                complete: true,
                objects: second,
                missing_left: 0,
                unknown: 0,
                may_wait: 0,
            },
            report: serde_json::json!({"objects": second, "text": "two\nlines"}),
            missing: Vec::new(),
        }
    }

    #[test]
    fn the_newest_ten_are_kept_and_read_as_they_were() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(list(home.path()).unwrap().audits, Some(Vec::new()));
        for second in 0..14 {
            keep(home.path(), &audit(second)).unwrap();
        }
        let audits = list(home.path()).unwrap().audits.unwrap();
        let seconds: Vec<u64> = audits.iter().map(|brief| brief.objects).collect();
        assert_eq!(seconds, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4]);
        let files = std::fs::read_dir(home.path().join(FOLDER)).unwrap().count();
        assert_eq!(files, 10);
        let newest = read(home.path(), &audits[0].id).unwrap();
        assert_eq!(newest, Some(audit(13)));
        assert_eq!(read(home.path(), &audit(0).brief.id).unwrap(), None);
        assert_eq!(read(home.path(), "../../../etc/passwd...").unwrap(), None);
    }

    #[test]
    fn a_file_of_nonsense_is_left_out_and_keeps_nothing_from_being_kept() {
        let home = tempfile::tempdir().unwrap();
        keep(home.path(), &audit(1)).unwrap();
        for (name, text) in [("2026-11-21T130000.000Z.jsonl", "{"), ("notes.txt", "mine")] {
            std::fs::write(home.path().join(FOLDER).join(name), text).unwrap();
        }
        keep(home.path(), &audit(2)).unwrap();
        let audits = list(home.path()).unwrap().audits.unwrap();
        assert_eq!(audits.len(), 2);
        assert!(home.path().join(FOLDER).join("notes.txt").exists());
        read(home.path(), "2026-11-21T130000.000Z").unwrap_err();
    }
}
