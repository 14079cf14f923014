//! Settings of a relay.

use std::time::Duration;

/// Where messages come from, where they go, and how.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// URL of the queue that messages are taken from.
    pub from: String,
    /// URL of the queue that they are sent to.
    pub to: String,
    /// N: how many messages one run takes at most.
    pub per_window: u32,
    /// How long a poll waits for a message, 1 to 20 seconds. A run ends at the first poll that finds nothing.
    pub wait: Duration,
    /// What a FIFO queue is given to recognise repeated messages by.
    pub deduplication_id: DeduplicationId,
}

/// What a FIFO queue recognises a repeated message by, for five minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "arguments", derive(clap::ValueEnum))]
pub enum DeduplicationId {
    /// The message's id in the queue it comes from: a message that is sent twice is one message, and two messages are always two.
    #[default]
    MessageId,
    /// The deduplication id that it was sent with, where the source is FIFO. Two messages that were sent with one id more than five minutes
    /// apart, and pass the relay within five minutes, are one message then: the second is lost.
    Kept,
}
