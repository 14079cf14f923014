//! Imports point one way: between the crates, and between the files of each crate.
//!
//! A file imports another when a path in it (`crate::…`, `super::…`, `self::…`, in a `use` or anywhere else) leads to an item that is
//! defined there; a re-export is followed to the definition. That a module declares its children is no import. What only tests
//! compile is left out.

#[path = "layers/circles.rs"]
mod circles;
#[path = "layers/crates.rs"]
mod crates;
#[path = "layers/sizes.rs"]
mod sizes;
#[path = "layers/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use source::Source;

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("tests is a folder of the workspace")
        .to_path_buf()
}

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let mut found = BTreeMap::new();
    for name in crates::shipped() {
        let source = Source::of_crate(&root().join(name).join("src"));
        let imports = source.imports();
        let arrows: usize = imports.values().map(|others| others.len()).sum();
        println!("{name}: {} files, {arrows} imports", source.files());
        assert!(
            source.files() == 1 || arrows > 0,
            "no import was found in {name}: the check is blind"
        );
        let circles = circles::circles(&imports);
        if !circles.is_empty() {
            found.insert(name, circles);
        }
    }
    assert!(
        found.is_empty(),
        "files that import each other in a circle: {found:#?}"
    );
}
