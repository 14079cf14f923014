//! Files of JSON documents, one after another, and stdin.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use daybook_manager::Payload;
use serde_json::Deserializer;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::failure::Advised;

/// Documents that are handed on together, at most.
const BATCH: usize = 256;

/// Their bytes, at most, unless a single one is larger.
const BATCH_BYTES: usize = 1024 * 1024;

/// A file that could not be read to its end.
#[derive(Debug)]
pub struct Broken {
    file: String,
    cause: serde_json::Error,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, cause) = (&self.file, &self.cause);
        match cause.is_io() {
            true => write!(f, "{file}: {cause}"),
            false => write!(
                f,
                "{file}:{}:{}: this is no JSON: {cause}",
                cause.line(),
                cause.column()
            ),
        }
    }
}

/// Its name, and what is in it.
pub type Input = (String, Box<dyn BufRead + Send>);

/// Opens every file before anything is done: a name that is mistyped is told at once.
///
/// # Errors
/// When one cannot be opened.
pub fn open_all(files: &[PathBuf]) -> Result<Vec<Input>, Advised> {
    let open = |path: &PathBuf| -> Result<Input, Advised> {
        if path.as_os_str() == "-" {
            return Ok(("stdin".to_owned(), Box::new(BufReader::new(io::stdin()))));
        }
        let name = path.display().to_string();
        let cannot = |error: io::Error| Advised::new(format!("cannot read {name}")).because(error);
        let file = File::open(path).map_err(cannot)?;
        if file.metadata().map_err(cannot)?.is_dir() {
            return Err(cannot(io::ErrorKind::IsADirectory.into()));
        }
        Ok((name.clone(), Box::new(BufReader::new(file))))
    };
    files.iter().map(open).collect()
}

/// Reads all inputs into batches; which of them could not be read to their ends.
pub fn read_all(inputs: Vec<Input>, batches: &mpsc::Sender<Vec<Payload>>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (file, input) in inputs {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for document in Deserializer::from_reader(input).into_iter::<Box<RawValue>>() {
            let body = match document {
                Ok(document) => String::from(Box::<str>::from(document)),
                Err(cause) => {
                    let file = file.clone();
                    broken.push(Broken { file, cause });
                    break;
                }
            };
            bytes += body.len();
            batch.push(Payload { body, trace: None });
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                bytes = 0;
                if batches.blocking_send(std::mem::take(&mut batch)).is_err() {
                    return broken;
                }
            }
        }
        if !batch.is_empty() && batches.blocking_send(batch).is_err() {
            return broken;
        }
    }
    broken
}
