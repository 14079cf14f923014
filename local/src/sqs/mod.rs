//! SQS: the operations that Daybook uses, with AWS's limits, as an AWS JSON endpoint.
//!
//! No background task: time passes inside a queue whenever somebody looks at it, by the clock that was passed
//! in. What is left out: access control, encryption, `ReceiveRequestAttemptId`, fair queues' ordering between
//! tenants (a group id on a standard queue is taken and shown).

mod attributes;
mod batch;
mod error;
mod limits;
mod message;
mod move_task;
mod move_tasks;
mod queue;
mod queues;
mod receive;
mod send;
mod state;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard};

pub use attributes::{QueueAttributes, RedrivePolicy};
pub use error::{SqsError, SqsErrorCode};
pub use limits::{MAX_DELAY_SECONDS, MAX_MESSAGE_BYTES, MAX_VISIBILITY_SECONDS, MAX_WAIT_SECONDS};
pub use message::MessageView;
use message::{Millis, NewMessage};
use state::State;

use crate::clock::Clock;
use crate::ids::Ids;

/// The queues. Clones share one state.
#[derive(Clone)]
pub struct Sqs {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    clock: Clock,
    ids: Ids,
    region: String,
    account: String,
}

/// What a purge took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Messages that nobody had ever received.
    pub never_received: usize,
    /// Messages that had been received at least once.
    pub received: usize,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// On offer.
    pub visible: usize,
    /// Received and not deleted, within their visibility timeout.
    pub in_flight: usize,
    /// Sent with a delay that is not over.
    pub delayed: usize,
}

impl Sqs {
    pub(crate) fn new(clock: Clock, ids: Ids, region: &str, account: &str) -> Self {
        let (region, account) = (region.to_owned(), account.to_owned());
        Self {
            inner: Arc::new(Inner {
                state: Mutex::new(State::default()),
                clock,
                ids,
                region,
                account,
            }),
        }
    }

    fn now(&self) -> Millis {
        (self.inner.clock)().timestamp_millis()
    }

    /// The state, with time passed in it.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self
            .inner
            .state
            .lock()
            .expect("no code panics while it holds the queues");
        state.advance(self.now(), &self.inner.ids);
        state
    }

    /// The queue's URL as clients in this process see it.
    fn url(&self, name: &str, base_url: Option<&str>) -> String {
        let base = base_url.map_or_else(
            || format!("https://sqs.{}.amazonaws.com", self.inner.region),
            |base| base.trim_end_matches('/').to_owned(),
        );
        format!("{base}/{}/{name}", self.inner.account)
    }

    /// The queue's ARN.
    pub fn arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.inner.region, self.inner.account)
    }

    /// Creates a queue, or finds the one of this name and these attributes. Returns its URL.
    ///
    /// # Errors
    /// As `CreateQueue`: a bad name or attribute, other attributes than the queue of this name has, a queue of
    /// this name deleted less than 60 seconds ago, a dead-letter queue that does not exist.
    pub fn create_queue(&self, name: &str, attributes: QueueAttributes) -> Result<String, SqsError> {
        attributes.check()?;
        self.create(name, attributes, None)?;
        Ok(self.url(name, None))
    }

    /// Sends a plain message. Returns its `MessageId`.
    ///
    /// # Errors
    /// As `SendMessage`; on a FIFO queue always, since it has no group.
    pub fn send(&self, url: &str, body: &str) -> Result<String, SqsError> {
        Ok(self.send_one(url, NewMessage::of(body))?.id)
    }

    /// Takes every message away, those in flight too, and says what was lost. Unlike `PurgeQueue` it may be
    /// repeated within 60 seconds.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn purge(&self, url: &str) -> Result<Purged, SqsError> {
        let mut state = self.state();
        let queue = state.queue(self.name(url)?)?;
        let mut purged = Purged::default();
        for place in queue.places(|_| true) {
            match queue.remove(place).map_or(0, |message| message.receive_count) {
                0 => purged.never_received += 1,
                _ => purged.received += 1,
            }
        }
        Ok(purged)
    }

    /// How many messages it holds, exactly.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn depth(&self, url: &str) -> Result<Depth, SqsError> {
        let mut state = self.state();
        let (visible, in_flight, delayed) = state.queue(self.name(url)?)?.depth();
        Ok(Depth {
            visible,
            in_flight,
            delayed,
        })
    }

    /// Every message, oldest first.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn messages(&self, url: &str) -> Result<Vec<MessageView>, SqsError> {
        let mut state = self.state();
        let queue = state.queue(self.name(url)?)?;
        let mut views = Vec::new();
        queue.places(|message| {
            views.push(message.view());
            false
        });
        Ok(views)
    }

    /// For simulation: the messages that `pick` chooses vanish. Returns how many; 0 for an unknown queue.
    pub fn lose(&self, url: &str, mut pick: impl FnMut(&MessageView) -> bool) -> usize {
        let mut state = self.state();
        let Ok(queue) = self.name(url).and_then(|name| state.queue(name)) else {
            return 0;
        };
        let lost = queue.places(|message| pick(&message.view()));
        lost.iter().filter_map(|place| queue.remove(*place)).count()
    }

    /// For simulation: the messages that `pick` chooses arrive once more, at once, as SQS's at-least-once
    /// delivery allows. Returns how many; 0 for an unknown queue.
    pub fn duplicate(&self, url: &str, mut pick: impl FnMut(&MessageView) -> bool) -> usize {
        let mut state = self.state();
        let Ok(queue) = self.name(url).and_then(|name| state.queue(name)) else {
            return 0;
        };
        let places = queue.places(|message| pick(&message.view()));
        for place in &places {
            if let Some(mut copy) = queue.message(*place).cloned() {
                copy.presence = message::Presence::Visible;
                queue.insert(copy);
            }
        }
        places.len()
    }

    /// The queue's name from its URL: the last part of the path, after the account.
    fn name<'a>(&self, url: &'a str) -> Result<&'a str, SqsError> {
        let (rest, name) = url.rsplit_once('/').ok_or_else(SqsError::no_queue)?;
        match rest.rsplit_once('/') {
            Some((_, account)) if account == self.inner.account => Ok(name),
            _ => Err(SqsError::no_queue()),
        }
    }
}
