//! All queues together, and what moves messages between them.

use std::collections::BTreeMap;

use super::error::SqsError;
use super::message::{Message, Millis, Presence};
use super::move_task::MoveTask;
use super::queue::Queue;
use crate::ids::Ids;

/// All queues, by name; what was deleted when; and every move task, oldest first.
#[derive(Default)]
pub(super) struct State {
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) deleted: BTreeMap<String, Millis>,
    pub(super) moves: Vec<MoveTask>,
}

impl State {
    pub(super) fn advance(&mut self, now: Millis, ids: &Ids) {
        for queue in self.queues.values_mut() {
            queue.advance(now);
        }
        self.advance_moves(now, ids);
    }

    pub(super) fn queue(&mut self, name: &str) -> Result<&mut Queue, SqsError> {
        self.queues.get_mut(name).ok_or_else(SqsError::no_queue)
    }

    pub(super) fn queue_by_arn(&mut self, arn: &str) -> Option<&mut Queue> {
        self.queues.values_mut().find(|queue| queue.arn == arn)
    }

    /// Moves a message that was received too often to the dead-letter queue. It keeps its id, its receive
    /// count and, on a standard queue, its age; on FIFO the age starts again.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>
    ///
    /// Returns whether it moved: without the dead-letter queue it stays where it is.
    pub(super) fn dead_letter(&mut self, source: &str, place: u64, now: Millis) -> bool {
        let Some(queue) = self.queues.get_mut(source) else {
            return false;
        };
        let Some(arn) = queue
            .attributes
            .redrive
            .as_ref()
            .map(|redrive| redrive.dead_letter_arn.clone())
        else {
            return false;
        };
        let source_arn = queue.arn.clone();
        if self.queue_by_arn(&arn).is_none() {
            return false;
        }
        let message = self.queues.get_mut(source).and_then(|queue| queue.remove(place));
        let (Some(message), Some(target)) = (message, self.queue_by_arn(&arn)) else {
            return false;
        };
        let fifo = target.attributes.fifo;
        let sequence_number = fifo.then(|| target.sequence_number());
        target.insert(Message {
            sent_at: if fifo { now } else { message.sent_at },
            sequence_number,
            presence: Presence::Visible,
            dead_letter_source: Some(source_arn),
            ..message
        });
        true
    }
}
