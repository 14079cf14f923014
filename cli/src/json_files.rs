//! Files of JSON documents, one after another, and stdin.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use daybook_manager::Payload;
use serde_json::Deserializer;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::aws::encoding;
use crate::aws::encoding::Decoded;
use crate::ui::error::UserError;

/// Documents that are handed on together, at most.
const BATCH: usize = 256;

/// Their bytes, at most, unless a single one is larger.
const BATCH_BYTES: usize = 1024 * 1024;

/// Bytes of one document that came compressed, at most. What is compressed can become a thousand times longer, and a document
/// is in memory as a whole.
const LONGEST_UNPACKED: u64 = 32 * 1024 * 1024;

/// A file that could not be read to its end.
#[derive(Debug)]
pub struct Broken {
    file: String,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// From its start.
    Encoding(io::Error),
    /// At one of its documents.
    Document(serde_json::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match &self.cause {
            Cause::Encoding(cause) => write!(f, "{file}: {cause}"),
            Cause::Document(cause) if cause.is_io() => write!(f, "{file}: {cause}"),
            Cause::Document(cause) => write!(
                f,
                "{file}:{}:{}: this is not JSON: {cause}",
                cause.line(),
                cause.column()
            ),
        }
    }
}

/// Its name, and what is in it.
pub type Input = (String, Box<dyn Read + Send>);

/// Opens every file before anything is done: a name that is mistyped is told at once.
///
/// # Errors
/// When one cannot be opened.
pub fn open_all(files: &[PathBuf]) -> Result<Vec<Input>, UserError> {
    let open = |path: &PathBuf| -> Result<Input, UserError> {
        if path.as_os_str() == "-" {
            return Ok(("stdin".to_owned(), Box::new(io::stdin())));
        }
        let name = path.display().to_string();
        let cannot = |error: io::Error| UserError::new(format!("cannot read {name}")).because(error);
        let file = File::open(path).map_err(cannot)?;
        if file.metadata().map_err(cannot)?.is_dir() {
            return Err(cannot(io::ErrorKind::IsADirectory.into()));
        }
        Ok((name.clone(), Box::new(file)))
    };
    files.iter().map(open).collect()
}

/// Reads all inputs into batches; which of them could not be read to their ends.
pub fn read_all(inputs: Vec<Input>, batches: &mpsc::Sender<Vec<Payload>>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (file, input) in inputs {
        match read(input, batches) {
            Ok(true) => {}
            Ok(false) => break,
            Err(cause) => broken.push(Broken { file, cause }),
        }
    }
    broken
}

/// Reads one input; false when nobody takes its documents any more.
fn read(input: Box<dyn Read + Send>, batches: &mpsc::Sender<Vec<Payload>>) -> Result<bool, Cause> {
    let decoded = encoding::decoded(input).map_err(Cause::Encoding)?;
    let left = Arc::new(AtomicU64::new(LONGEST_UNPACKED));
    let bounded = Bounded {
        input: decoded,
        left: left.clone(),
    };
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let documents = Deserializer::from_reader(BufReader::new(bounded)).into_iter::<Box<RawValue>>();
    let mut end = Ok(true);
    for document in documents {
        let body = match document {
            Ok(document) => String::from(Box::<str>::from(document)),
            Err(cause) => {
                end = Err(Cause::Document(cause));
                break;
            }
        };
        left.store(LONGEST_UNPACKED, Ordering::Relaxed);
        bytes += body.len();
        batch.push(Payload {
            body,
            ..Payload::default()
        });
        if batch.len() >= BATCH || bytes >= BATCH_BYTES {
            bytes = 0;
            if batches.blocking_send(std::mem::take(&mut batch)).is_err() {
                return Ok(false);
            }
        }
    }
    if !batch.is_empty() && batches.blocking_send(batch).is_err() {
        return Ok(false);
    }
    end
}

/// Ends at a document that is unpacked longer than it may be.
struct Bounded {
    input: Decoded,
    /// Bytes that may still come until a document ends.
    left: Arc<AtomicU64>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.text.read(buffer)?;
        if !self.input.compressed {
            return Ok(read);
        }
        let left = self.left.load(Ordering::Relaxed).checked_sub(read as u64);
        let Some(left) = left else {
            let mib = LONGEST_UNPACKED / (1024 * 1024);
            let error = format!("unpacked, a document is longer than {mib} MiB: unpack the file first");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, error));
        };
        self.left.store(left, Ordering::Relaxed);
        Ok(read)
    }
}
