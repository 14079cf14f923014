//! Maps in a file: looks on their callers' threads, changes on the writer's.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use crate::error::LocalError;
use crate::store::error::StoreError;
use crate::store::folder::Opened;
use crate::store::ledger::{Job, Ledger, Waiting};
use crate::store::maps::{Change, Look};
use crate::store::shrink::Shrinking;
use crate::store::writer::Writer;

/// How many changes wait for the writer; whoever comes then waits to be let in.
const QUEUE: usize = 1024;

/// A store in a file. Dropping it ends its writer, which closes the file well.
pub(super) struct Disk {
    ledger: Arc<Ledger>,
    /// `None` once it is being dropped.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
}

impl Disk {
    /// Over what `open` opens, now and whenever the disk was full.
    pub(super) fn start(
        path: &Path,
        open: impl Fn() -> Result<Opened, LocalError> + Send + 'static,
    ) -> Result<Self, LocalError> {
        let ledger = Arc::new(Ledger::new(path, open()?));
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let mut writer = Writer::new(Arc::clone(&ledger), open, Shrinking::default());
        let writing = thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            while let Some(first) = waiting.blocking_recv() {
                let mut batch = vec![first];
                while batch.len() < QUEUE
                    && let Ok(next) = waiting.try_recv()
                {
                    batch.push(next);
                }
                writer.run(batch);
            }
            writer.close();
        });
        Ok(Self {
            ledger,
            queue: Some(queue),
            writer: Some(writing.map_err(LocalError::Thread)?),
        })
    }

    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&dyn Look) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ledger.look(look)
    }

    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut dyn Change) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ledger.usable()?;
        let (answer, answered) = oneshot::channel();
        let job = Waiting::new(change, answer);
        let ended = |_| StoreError::new("the ledger's writer has ended");
        if let Some(queue) = &self.queue {
            queue.send(Box::new(job)).await.map_err(|_| ended(()))?;
        }
        answered.await.map_err(|_| ended(()))?
    }

    /// How many flushes there were for changes.
    pub(super) fn flushes(&self) -> u64 {
        self.ledger.flushes()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take()
            // A change that held the last clone ends it on the writer's own thread.
            && writer.thread().id() != thread::current().id()
        {
            let _ = writer.join();
        }
    }
}
