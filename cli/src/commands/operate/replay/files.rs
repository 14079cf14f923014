//! Files of raw notifications, batch by batch.

use std::path::PathBuf;

use daybook_manager::Payload;
use daybook_schema::ObjectEvent;
use daybook_schema::notification::Reading;
use tokio::sync::mpsc;

use crate::json_files;
use crate::json_files::{Broken, Input};

/// Batches that are read ahead.
const AHEAD: usize = 2;

/// What the documents of one batch hold.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events as they were notified.
    pub events: Vec<ObjectEvent>,
    /// Parts that are no object event.
    pub unreadable: u64,
    /// s3:TestEvent.
    pub test_events: u64,
}

/// Whether stdin is among the files.
pub fn has_stdin(files: &[PathBuf]) -> bool {
    files.iter().any(|file| file.as_os_str() == "-")
}

/// Hands over what is in the files, until `each` says that it is enough; which of them could not be read to their ends.
pub async fn each_batch(
    inputs: Vec<Input>,
    reading: &Reading,
    mut each: impl AsyncFnMut(Batch) -> bool,
) -> anyhow::Result<Vec<Broken>> {
    let (batches, mut read) = mpsc::channel::<Vec<Payload>>(AHEAD);
    let files = tokio::task::spawn_blocking(move || json_files::read_all(inputs, &batches));
    while let Some(payloads) = read.recv().await {
        let mut batch = Batch::default();
        for payload in payloads {
            let found = reading.read(&payload.body, None);
            batch.events.extend(found.events);
            batch.unreadable += found.unreadable.len() as u64;
            batch.test_events += found.test_events as u64;
        }
        if !each(batch).await {
            break;
        }
    }
    // Whoever reads ahead learns that nobody wants more.
    drop(read);
    Ok(files.await?)
}
