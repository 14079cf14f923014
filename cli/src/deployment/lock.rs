//! Who has a folder: one process at a time, held by a lock on `up.lock` that the operating system drops when the process ends,
//! however it ends. The text in the file says who that is, and never whether: it outlives a killed process.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use daybook_inspect::parts::Workers;
use serde::{Deserialize, Serialize};

use crate::ui::error::UserError;

/// The file whose lock says that a process has the folder.
const LOCK_FILE: &str = "up.lock";

/// What the process of a folder's pipeline is called in its lock file. All others are verbs that end by themselves.
const UP: &str = "up";

/// How long a start waits for a process that has the folder: one that was just killed may hold its lock for a moment, in a command
/// that it was about to start.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long anybody waits for a verb that has the folder. Most take less than a second.
pub const PATIENCE_WITH_VERBS: Duration = Duration::from_secs(10);

/// Between two looks at a folder that another process has.
pub const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A process that has a folder, as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its verb, such as `up` or `list`.
    pub verb: String,
    /// Where it answers for the ledger, once it does. Verbs do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<Door>,
}

/// Where a process answers for the ledger of the folder that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// As it listens, such as `http://0.0.0.0:9480`.
    pub url: String,
    /// What its requests must bear.
    pub credential: Credential,
    /// What works on events there; `None` where it has no target.
    #[serde(default)]
    pub workers: Option<Workers>,
}

/// A secret between a folder's process and the verbs beside it: whoever may read the lock file may use the ledger. It shows itself to
/// nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential(String);

/// The right to use the folder; given back when it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock(File);

/// How taking a folder ended.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Taken(Lock),
    /// Another process has it, which may not have said yet who it is.
    Held(Option<Holder>),
}

impl Credential {
    /// A new one, from the operating system: 256 bits in hexadecimal digits.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn draw() -> io::Result<Self> {
        let mut bytes = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Holder {
    /// This process, with that verb.
    pub fn this_process(verb: &str) -> Self {
        Self {
            pid: std::process::id(),
            verb: verb.to_owned(),
            door: None,
        }
    }

    /// The process of the folder's pipeline, with its door if it has one yet.
    pub fn up(door: Option<Door>) -> Self {
        Self {
            door,
            ..Self::this_process(UP)
        }
    }

    /// Whether it runs the folder's pipeline, and so does not end by itself.
    pub fn is_up(&self) -> bool {
        self.verb == UP
    }
}

impl Lock {
    /// Takes the folder for its pipeline; the folder is made if it is not there. A verb that has it is waited for.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub fn take(dir: &Path) -> Result<Self, UserError> {
        let cannot = |error: io::Error| {
            UserError::new(format!("the folder {} cannot be used", dir.display()))
                .because(error)
                .hint("give a folder that this user may write with --data-dir (DAYBOOK_DATA_DIR)")
        };
        if dir.metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(cannot(io::ErrorKind::NotADirectory.into()));
        }
        make(dir).map_err(cannot)?;
        let begun = Instant::now();
        loop {
            let holder = match Self::attempt(dir, &Holder::up(None)).map_err(cannot)? {
                Attempt::Taken(lock) => return Ok(lock),
                Attempt::Held(holder) => holder,
            };
            let patience = match &holder {
                Some(holder) if !holder.is_up() => PATIENCE_WITH_VERBS,
                _ => PATIENCE,
            };
            if begun.elapsed() >= patience {
                return Err(in_use(dir, holder.as_ref()));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Takes the folder if no other process has it, and says who does. The file is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn attempt(dir: &Path, holder: &Holder) -> io::Result<Attempt> {
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Held(said(&path))),
        }
        let mut lock = Self(file);
        lock.make_private(dir)?;
        // The lock decides, and the text is for others to read: a full disk keeps nobody from looking at what is on it.
        if let Err(error) = lock.say(holder) {
            tracing::debug!(%error, "the lock file does not say who has the folder");
        }
        Ok(Attempt::Taken(lock))
    }

    /// A credential is for the folder's owner alone, also where an older file is readable by others, or root made it.
    fn make_private(&self, dir: &Path) -> io::Result<()> {
        let (file, folder) = (self.0.metadata()?, std::fs::metadata(dir)?);
        if file.mode() & 0o777 != 0o600 {
            self.0.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
        if file.uid() != folder.uid() && rustix::process::geteuid().is_root() {
            std::os::unix::fs::fchown(&self.0, Some(folder.uid()), Some(folder.gid()))?;
        }
        Ok(())
    }

    /// Says who has the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn say(&mut self, holder: &Holder) -> io::Result<()> {
        let text = serde_json::to_string(holder)?;
        self.0.set_len(0)?;
        self.0.rewind()?;
        self.0.write_all(text.as_bytes())?;
        self.0.flush()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A text that stays is stale, which everybody has to cope with.
        let _ = self.0.set_len(0);
    }
}

/// Makes the folder, for its owner alone: object keys are other people's data.
fn make(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// What the process that has, or had, the folder says of itself. `None` also while it writes that.
fn said(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    // Nonsense may be of any length.
    File::open(path).ok()?.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// The lock file of a folder.
pub fn file(dir: &Path) -> PathBuf {
    dir.join(LOCK_FILE)
}

/// Who has the folder now, if anybody has, and says so.
pub fn holder(dir: &Path) -> Option<Holder> {
    let path = file(dir);
    match File::open(&path).ok()?.try_lock_shared() {
        // Given back at once, with the file.
        Ok(()) | Err(TryLockError::Error(_)) => None,
        Err(TryLockError::WouldBlock) => said(&path),
    }
}

/// Another process has the folder, and this one is to run its pipeline.
fn in_use(dir: &Path, holder: Option<&Holder>) -> UserError {
    let error = UserError::new(format!("the folder {} is in use{}", dir.display(), by(holder)));
    match holder {
        Some(holder) if !holder.is_up() => error.hint(format!(
            "start again when process {} has ended; a `daybook up` that runs already lets commands work beside it",
            holder.pid
        )),
        _ => error.hint(
            "one `daybook up` per folder: stop that one, or give this one a folder of its own with --data-dir \
             (DAYBOOK_DATA_DIR)",
        ),
    }
}

/// `: process 7 …`, as far as it is known.
pub fn by(holder: Option<&Holder>) -> String {
    match holder {
        None => " by another process".to_owned(),
        Some(Holder {
            pid,
            door: None,
            verb,
        }) if verb == UP => {
            format!(": process {pid} (`daybook up`) is starting")
        }
        Some(Holder {
            pid,
            door: Some(door),
            ..
        }) => {
            format!(": process {pid} runs its pipeline, at {}", door.url)
        }
        Some(Holder { pid, verb, .. }) => {
            format!(": process {pid} (`daybook {}`) works on it", verb.escape_debug())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(dir: &Path, holder: &Holder) -> Lock {
        match Lock::attempt(dir, holder).unwrap() {
            Attempt::Taken(lock) => lock,
            Attempt::Held(holder) => panic!("{holder:?} has it"),
        }
    }

    fn door() -> Door {
        Door {
            url: "http://127.0.0.1:9480".to_owned(),
            credential: Credential::draw().unwrap(),
            workers: None,
        }
    }

    #[test]
    fn a_folder_has_one_owner_who_is_known_by_name() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        assert_eq!(holder(&dir), None);
        let mut lock = Lock::take(&dir).unwrap();
        let me = Holder::up(Some(door()));
        lock.say(&me).unwrap();
        assert_eq!(holder(&dir), Some(me.clone()));
        let refused = Lock::take(&dir).unwrap_err().to_string();
        let said = format!(
            "is in use: process {} runs its pipeline, at http://127.0.0.1:9480",
            me.pid
        );
        assert!(refused.ends_with(&said), "{refused}");
        drop(lock);
        assert_eq!(holder(&dir), None);
        assert_eq!(said_in(&dir), "", "a good end leaves no credential");
        drop(taken(&dir, &Holder::this_process("list")));
    }

    fn said_in(dir: &Path) -> String {
        std::fs::read_to_string(file(dir)).unwrap()
    }

    #[test]
    fn the_lock_decides_and_never_the_text() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        let stale = serde_json::to_string(&Holder::up(Some(door()))).unwrap();
        let long = "x".repeat(1 << 20);
        for text in [
            stale.as_str(),
            "",
            "{",
            "null",
            "[7]",
            "{\"pid\":-1,\"verb\":\"up\"}",
            "\0\u{1b}[31m",
            &long,
        ] {
            std::fs::write(file(dir), text).unwrap();
            assert_eq!(holder(dir), None, "{:.80}", text);
            let lock = taken(dir, &Holder::this_process("list"));
            assert_eq!(holder(dir), Some(Holder::this_process("list")), "{:.80}", text);
            // Held by whom cannot be read any more.
            std::fs::write(file(dir), text).unwrap();
            let Attempt::Held(found) = Lock::attempt(dir, &Holder::this_process("show")).unwrap() else {
                panic!("it is held")
            };
            assert_eq!(found.is_some(), text == stale, "{:.80}", text);
            drop(lock);
        }
    }

    #[test]
    fn the_file_is_its_owners_alone_also_where_it_was_not_and_the_secret_shows_itself_to_nobody() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        std::fs::write(file(dir), "").unwrap();
        std::fs::set_permissions(file(dir), PermissionsExt::from_mode(0o666)).unwrap();
        let door = door();
        let holder = Holder::up(Some(door.clone()));
        let mut lock = taken(dir, &holder);
        lock.say(&holder).unwrap();
        assert_eq!(std::fs::metadata(file(dir)).unwrap().mode() & 0o777, 0o600);
        let secret = door.credential.secret();
        assert_eq!(secret.len(), 64);
        assert!(said_in(dir).contains(secret));
        assert!(!format!("{holder:?} {lock:?}").contains(secret));
        assert_ne!(Credential::draw().unwrap(), door.credential);
    }
}
