//! What the `daybook up` of a folder does and did, in a file beside the ledger.

use std::io::{self, Write};
use std::path::Path;

use daybook_inspect::activity::Activity;

/// The file.
const FILE: &str = "activity.json";

/// What a `daybook up` of that folder wrote last, if anything; `None` also where it cannot be read: then nothing is known of it.
pub fn read(dir: &Path) -> Option<Activity> {
    let text = std::fs::read(dir.join(FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Writes it, so that nobody reads half of it. It is not flushed to the disk: after a power cut the counts begin anew.
///
/// # Errors
/// When it cannot be written; what was there before stays.
pub fn write(dir: &Path, activity: &Activity) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&serde_json::to_vec(activity)?)?;
    file.persist(dir.join(FILE))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nonsense_is_nothing() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(home.path()), None);
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let activity = Activity::begin(7, now, None);
        write(home.path(), &activity).unwrap();
        assert_eq!(read(home.path()), Some(activity));
        for nonsense in ["", "{", "[]", "{\"pid\":1}"] {
            std::fs::write(home.path().join(FILE), nonsense).unwrap();
            assert_eq!(read(home.path()), None, "{nonsense}");
        }
    }
}
