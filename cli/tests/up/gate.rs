//! Commands that wait until a test lets them go on.

use std::path::{Path, PathBuf};

/// Says that it has begun, waits for the gate, and says which attempt has ended. A test that ends with its gate closed takes the
/// folder along, and the command ends too.
const SCRIPT: &str = r#": > "$1/begun.$DAYBOOK_ID.$$"
while [ ! -e "$1/open" ]; do [ -d "$1" ] || exit 1; sleep 0.02; done
printf %s "$DAYBOOK_ATTEMPT" > "$1/ended.$DAYBOOK_ID""#;

/// A gate that commands wait at.
pub struct Gate(PathBuf);

impl Gate {
    /// Closed.
    pub fn new(folder: &Path) -> Self {
        let folder = folder.join("gate");
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// These options, then those that make it run commands that wait at the gate.
    pub fn options<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        let exec = ["--exec", "/bin/sh", "-c", SCRIPT, "sh", self.0.to_str().unwrap()];
        [options, &exec].concat()
    }

    /// Lets all commands go on.
    pub fn open(&self) {
        std::fs::write(self.0.join("open"), "").unwrap();
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter_map(|name| name.strip_prefix(prefix).map(str::to_owned))
            .collect()
    }

    /// The process groups of the commands that have begun.
    pub fn begun(&self) -> Vec<u32> {
        let names = self.names("begun.");
        names
            .iter()
            .map(|name| name.split_once('.').unwrap().1.parse().unwrap())
            .collect()
    }

    /// The attempts that have ended well, one of each event.
    pub fn ended(&self) -> Vec<String> {
        let names = self.names("ended.");
        names
            .iter()
            .map(|id| std::fs::read_to_string(self.0.join(format!("ended.{id}"))).unwrap())
            .collect()
    }
}

/// Whether a process of that group runs. One that has ended and is not reaped yet does not.
pub fn group_runs(group: u32) -> bool {
    let group = group.to_string();
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // pid (name) state ppid pgrp …; the name may have anything in it.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_whitespace().take(3).collect();
        matches!(fields[..], [state, _, of] if of == group && state != "Z")
    })
}
