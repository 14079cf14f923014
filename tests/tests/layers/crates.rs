//! The workspace's crates, and which may depend on which.

use std::collections::BTreeSet;
use std::path::Path;

/// From the bottom up: each crate and the crates of the workspace that its own code may depend on.
const MAY_DEPEND_ON: [(&str, &[&str]); 8] = [
    ("schema", &[]),
    ("ledger", &["schema"]),
    ("local", &[]),
    ("manager", &["schema", "ledger"]),
    ("reconciler", &["schema", "ledger", "manager"]),
    ("inspect", &["schema", "ledger", "manager", "reconciler"]),
    ("console", &["schema", "ledger", "inspect"]),
    (
        "cli",
        &[
            "schema",
            "ledger",
            "local",
            "manager",
            "reconciler",
            "inspect",
            "console",
        ],
    ),
];

/// The folders of the crates that are shipped.
pub fn shipped() -> impl Iterator<Item = &'static str> {
    MAY_DEPEND_ON.iter().map(|(name, _)| *name)
}

/// The workspace's crates that a crate's own code depends on, tests aside: `[dependencies]` of its Cargo.toml.
fn dependencies(root: &Path, name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root.join(name).join("Cargo.toml")).expect("a crate has a Cargo.toml");
    text.lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.strip_prefix("daybook-"))
        .filter_map(|line| line.split([' ', '.', '=']).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_depend_downwards_only() {
    for (name, allowed) in MAY_DEPEND_ON {
        let found = dependencies(&super::root(), name);
        assert_eq!(
            found,
            allowed.iter().map(|name| (*name).to_owned()).collect(),
            "what {name} depends on"
        );
    }
}
