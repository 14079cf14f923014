//! Messages for a queue that come at the same time, so that one request sends them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use daybook_schema::RunName;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::executions::Started;
use crate::send_batch::{BATCH_BYTES, BATCH_ENTRIES};

/// A message for the queue.
pub(super) struct Message {
    /// What a FIFO queue recognises a copy by: an event and its attempt, or a batch.
    pub(super) name: RunName,
    /// What a FIFO queue keeps in order.
    pub(super) group: String,
    pub(super) body: String,
    /// The X-Ray header.
    pub(super) trace: Option<String>,
}

/// Messages that wait for the request before theirs.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whoever has it sends for all.
    sending: tokio::sync::Mutex<()>,
}

struct Waiting {
    message: Message,
    tell: oneshot::Sender<Started>,
}

/// What became of a message, once somebody has sent it.
pub(super) struct Told(oneshot::Receiver<Started>);

/// Messages that are sent together.
pub(super) struct Together {
    pub(super) messages: Vec<Message>,
    tell: Vec<oneshot::Sender<Started>>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    /// Puts a message behind those that wait.
    pub(super) fn put(&self, message: Message) -> Told {
        let (tell, told) = oneshot::channel();
        self.locked().push_back(Waiting { message, tell });
        Told(told)
    }

    /// Waits until no request is under way. Until the guard is dropped none begins but the caller's.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.sending.lock().await
    }

    /// The messages of the next request, in their order. Nobody waits any more for those that are left out.
    pub(super) fn take(&self) -> Together {
        let mut waiting = self.locked();
        let mut together = Together {
            messages: Vec::new(),
            tell: Vec::new(),
        };
        let mut bytes = 0;
        while let Some(next) = waiting.pop_front() {
            if next.tell.is_closed() {
                continue;
            }
            bytes += next.message.body.len();
            let is_full = together.messages.len() == BATCH_ENTRIES || bytes > BATCH_BYTES;
            if is_full && !together.messages.is_empty() {
                waiting.push_front(next);
                break;
            }
            together.messages.push(next.message);
            together.tell.push(next.tell);
        }
        together
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// The outcome, if somebody has sent the message meanwhile.
    pub(super) fn now(&mut self) -> Option<Started> {
        match self.0.try_recv() {
            Ok(started) => Some(started),
            Err(TryRecvError::Empty) => None,
            // Whoever sent it was given up before the answer.
            Err(TryRecvError::Closed) => Some(Started::NotStarted(
                "SendMessageBatch was given up before its answer: the queue may have the message".to_owned(),
            )),
        }
    }
}

impl Together {
    /// Tells each its outcome.
    pub(super) fn tell(self, outcomes: Vec<Started>) {
        for (tell, outcome) in self.tell.into_iter().zip(outcomes) {
            // Nobody may wait any more.
            tell.send(outcome).ok();
        }
    }
}
