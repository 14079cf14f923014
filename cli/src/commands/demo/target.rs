//! The work that each event is about: small, and real.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daybook_local::{Outcome, StartedExecution, Target};
use daybook_schema::ExecutionInput;
use futures::future::{BoxFuture, FutureExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::commands::demo::objects::{Object, hexadecimal};

/// The folder with the buckets' objects and the target's results.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes both halves below `root`.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(root: &Path) -> std::io::Result<Self> {
        let folder = Self {
            root: root.to_owned(),
        };
        std::fs::create_dir_all(folder.results())?;
        Ok(folder)
    }

    /// Stores an object, as its device's upload does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, object: &Object) -> std::io::Result<()> {
        let path = self.object(object.bucket, &object.key);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, &object.content)
    }

    /// How many results there are.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn count_results(&self) -> std::io::Result<usize> {
        Ok(std::fs::read_dir(self.results())?.count())
    }

    fn object(&self, bucket: &str, key: &str) -> PathBuf {
        self.root.join("buckets").join(bucket).join(key)
    }

    fn results(&self) -> PathBuf {
        self.root.join("results")
    }
}

/// Reads an object's file, checks and parses the reading in it, and writes a result with its checksum.
#[derive(Debug)]
pub struct ReadingTarget {
    folder: Folder,
    longest: Duration,
}

/// What a device uploads.
#[derive(Deserialize)]
struct Reading {
    device: String,
    celsius: f64,
}

/// What the target makes of it.
#[derive(Serialize)]
struct Summary<'a> {
    bucket: &'a str,
    key: &'a str,
    device: &'a str,
    fahrenheit: f64,
    sha256: String,
}

impl ReadingTarget {
    /// A target that takes a quarter of `longest` to all of it for an object: real ones take time, and the events in
    /// flight can be seen.
    pub fn new(folder: Folder, longest: Duration) -> Self {
        Self { folder, longest }
    }
}

impl Target for ReadingTarget {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome> {
        let folder = self.folder.clone();
        let longest = self.longest;
        async move {
            let input: ExecutionInput = match serde_json::from_str(&execution.input) {
                Ok(input) => input,
                Err(error) => return failed("Input.Unreadable", &error),
            };
            // The spread comes from the event's id, so that a run can be repeated.
            let spread = u32::from(input.id.to_string().bytes().last().unwrap_or(0) % 16);
            tokio::time::sleep(longest / 4 + longest * 3 / 4 * spread / 16).await;
            match work(&folder, &input) {
                Ok(output) => Outcome::Succeeded { output },
                Err(error) => failed("Reading.Failed", &error),
            }
        }
        .boxed()
    }
}

fn work(folder: &Folder, input: &ExecutionInput) -> std::io::Result<String> {
    let content = std::fs::read(folder.object(input.bucket.as_str(), input.key.as_str()))?;
    if input.size.is_some_and(|size| size != content.len() as u64) {
        return Err(std::io::Error::other(
            "the object's size is not the notification's",
        ));
    }
    let reading: Reading = serde_json::from_slice(&content)?;
    let summary = serde_json::to_string(&Summary {
        bucket: input.bucket.as_str(),
        key: input.key.as_str(),
        device: &reading.device,
        fahrenheit: reading.celsius * 1.8 + 32.0,
        sha256: hexadecimal(&Sha256::digest(&content)),
    })?;
    // Only if there is none: work done twice would show as a failure.
    let mut result = std::fs::File::create_new(folder.results().join(format!("{}.json", input.id)))?;
    result.write_all(summary.as_bytes())?;
    Ok(summary)
}

fn failed(error: &str, cause: &impl ToString) -> Outcome {
    Outcome::Failed {
        error: error.to_owned(),
        cause: cause.to_string(),
    }
}
