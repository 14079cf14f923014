//! What SQS allows, and the emulator with it (Amazon SQS Developer Guide, "Amazon SQS quotas").

/// The fastest that AWS moves, and the pace without a limit here, in messages per second.
pub const MAX_PER_SECOND: u64 = 500;

/// The most entries in a batch.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
pub const MAX_ENTRIES: usize = 10;

/// The longest visibility timeout, in seconds: 12 hours.
pub const MAX_VISIBILITY_SECONDS: u64 = 43_200;

/// The longest delay of a queue or message, in seconds: 15 minutes.
pub const MAX_DELAY_SECONDS: u64 = 900;

/// The longest long poll, in seconds.
pub const MAX_WAIT_SECONDS: u64 = 20;

/// The largest message, and the largest batch altogether, in bytes: 1 MiB.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// The most messages in flight.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_IN_FLIGHT: usize = 120_000;
