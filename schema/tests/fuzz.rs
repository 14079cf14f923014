//! The fuzzer's corpus, as a plain test: every file through its target, as it is and with bytes changed.
//!
//! The fuzzer itself, which looks for bytes that reach new code, is in `schema/fuzz`: see its README.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(missing_docs)]

#[path = "fuzz/targets.rs"]
mod targets;

use std::path::Path;

use proptest::prelude::*;
use targets::TARGETS;

/// The files of a target's corpus, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.display().to_string(), std::fs::read(&path).unwrap())
    };
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(file)
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_of_the_corpus_passes_its_target() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(files.len() >= 5, "{name} has {} files", files.len());
        for (file, bytes) in files {
            eprintln!("{file}");
            target(&bytes);
        }
    }
}

/// Something happens to a byte, a stretch of bytes, or two files are joined.
fn mutated(files: &[Vec<u8>], seed: &[(u8, usize, usize, u8)], first: usize) -> Vec<u8> {
    let mut bytes = files[first % files.len()].clone();
    for (what, at, length, byte) in seed {
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        let end = (at + length % 16 + 1).min(bytes.len());
        match what % 5 {
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copied = bytes[at..end].to_vec();
                bytes.splice(at..at, copied);
            }
            _ => {
                let other = &files[*length % files.len()];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[other.len().min(at)..]);
            }
        }
    }
    bytes
}

/// By chance the bytes of a file came to this: kept whole, as one payload for a person.
#[test]
fn records_that_are_given_twice_are_kept_whole() {
    let twice =
        br#"{"Records": "x","Key":"a","Records":[{"eventSource":"minio:s3"},{"eventSource":"minio:s3"}]}"#;
    targets::notification(twice);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn so_does_every_file_with_bytes_changed(
        seed in prop::collection::vec(any::<(u8, usize, usize, u8)>(), 1..6),
        first: usize,
        which in 0..TARGETS.len(),
    ) {
        let (_, target) = TARGETS[which];
        static FILES: std::sync::LazyLock<Vec<Vec<Vec<u8>>>> = std::sync::LazyLock::new(|| {
            let bytes = |target| corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
            TARGETS.iter().map(|(name, _)| bytes(name)).collect()
        });
        target(&mutated(&FILES[which], &seed, first));
    }
}
