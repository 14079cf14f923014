//! Redriving a dead-letter queue: `StartMessageMoveTask` and its relatives.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>

use serde::Deserialize;
use serde_json::{Value, json};

use super::Sqs;
use super::error::{SqsError, SqsErrorCode};
use super::limits::MAX_PER_SECOND;
use super::message::{Message, Millis, Presence};
use super::move_task::{MoveStatus, MoveTask};
use super::state::State;
use crate::ids::Ids;

/// A task is over after 36 hours.
const LONGEST_MILLIS: Millis = 36 * 3_600_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMoveTasks {
    source_arn: String,
    max_results: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CancelMoveTask {
    task_handle: String,
}

impl State {
    /// When the next running task moves on.
    pub(super) fn next_move_at(&self) -> Option<Millis> {
        let running = self
            .moves
            .iter()
            .filter(|task| task.status == MoveStatus::Running);
        running.map(|task| task.next_at).min()
    }

    pub(super) fn advance_moves(&mut self, now: Millis, ids: &Ids) {
        // Taken out for the while, because moving needs the queues and the task at once.
        let mut tasks = std::mem::take(&mut self.moves);
        for task in tasks.iter_mut().filter(|task| task.status == MoveStatus::Running) {
            while task.status == MoveStatus::Running && task.next_at <= now {
                self.move_second(task, now, ids);
                task.next_at += 1_000;
                if task.status == MoveStatus::Running && task.next_at - task.started_at >= LONGEST_MILLIS {
                    task.status = MoveStatus::Completed;
                }
            }
        }
        self.moves = tasks;
    }

    fn move_second(&mut self, task: &mut MoveTask, now: Millis, ids: &Ids) {
        let pace = usize::try_from(task.asked_per_second.unwrap_or(MAX_PER_SECOND)).unwrap_or(1);
        let Some(queue) = self.queues.get_mut(&task.source) else {
            (task.status, task.failure) = (
                MoveStatus::Failed,
                Some("AWS.SimpleQueueService.NonExistentQueue"),
            );
            return;
        };
        let places = queue.on_offer(pace);
        for place in places.iter().copied() {
            if !self.move_one(task, place, now, ids) {
                (task.status, task.failure) = (MoveStatus::Failed, Some("CouldNotDetermineMessageSource"));
                return;
            }
            task.moved += 1;
        }
        let left = self
            .queues
            .get(&task.source)
            .map_or(0, |queue| queue.on_offer(1).len());
        if left == 0 {
            task.status = MoveStatus::Completed;
        }
    }

    /// A redriven message is a new one: new id, new age, nothing received yet.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>
    fn move_one(&mut self, task: &MoveTask, place: u64, now: Millis, ids: &Ids) -> bool {
        let came_from = self
            .queues
            .get(&task.source)
            .and_then(|queue| queue.message(place))
            .and_then(|message| message.dead_letter_source.clone());
        let Some(target) = task.destination_arn.clone().or(came_from) else {
            return false;
        };
        if self.queue_by_arn(&target).is_none() {
            return false;
        }
        let message = self
            .queues
            .get_mut(&task.source)
            .and_then(|queue| queue.remove(place));
        let (Some(message), Some(queue)) = (message, self.queue_by_arn(&target)) else {
            return false;
        };
        let sequence_number = queue.attributes.fifo.then(|| queue.sequence_number());
        queue.insert(Message {
            id: ids.uuid().to_string(),
            sequence_number,
            content: message.content,
            sent_at: now,
            first_received_at: None,
            last_received_at: now,
            receive_count: 0,
            receipt: 0,
            presence: Presence::Visible,
            visible_at: now,
            dead_letter_source: None,
        });
        true
    }
}

impl Sqs {
    pub(super) fn start_move_task(&self, request: StartMoveTask) -> Result<Value, SqsError> {
        let now = self.now();
        let mut state = self.state();
        let asked_per_second = match request.max_number_of_messages_per_second {
            None => None,
            Some(rate) => Some(
                u64::try_from(rate)
                    .ok()
                    .filter(|rate| (1..=MAX_PER_SECOND).contains(rate))
                    .ok_or_else(|| {
                        let name = "MaxNumberOfMessagesPerSecond";
                        SqsError::parameter(rate, name, "Must be between 1 and 500, if provided.")
                    })?,
            ),
        };
        let source = source(&mut state, &request.source_arn)?;
        if request
            .destination_arn
            .as_ref()
            .is_some_and(|arn| state.queue_by_arn(arn).is_none())
        {
            return Err(no_resource("DestinationArn"));
        }
        let is_source = |task: &MoveTask| task.source_arn == request.source_arn;
        if state
            .moves
            .iter()
            .any(|task| is_source(task) && task.status == MoveStatus::Running)
        {
            let message = "There is already a task running. Only one active task is allowed for a source queue arn at a \
                           given time.";
            return Err(SqsError::new(SqsErrorCode::UnsupportedOperation, message));
        }
        let (to_move, _, _) = state.queue(&source)?.depth();
        let handle = self.inner.ids.uuid().simple().to_string();
        state.moves.push(MoveTask {
            handle: handle.clone(),
            source,
            source_arn: request.source_arn,
            destination_arn: request.destination_arn,
            asked_per_second,
            started_at: now,
            next_at: now,
            moved: 0,
            to_move,
            status: MoveStatus::Running,
            failure: None,
        });
        state.advance_moves(now, &self.inner.ids);
        Ok(json!({"TaskHandle": handle}))
    }

    pub(super) fn list_move_tasks(&self, request: ListMoveTasks) -> Result<Value, SqsError> {
        let mut state = self.state();
        let count = request.max_results.unwrap_or(1);
        if !(1..=10).contains(&count) {
            return Err(SqsError::parameter(
                count,
                "MaxResults",
                "Must be between 1 and 10, if provided.",
            ));
        }
        source(&mut state, &request.source_arn)?;
        let of_source = state
            .moves
            .iter()
            .rev()
            .filter(|task| task.source_arn == request.source_arn);
        let results: Vec<Value> = of_source.take(count).map(MoveTask::shown).collect();
        Ok(json!({"Results": results}))
    }

    pub(super) fn cancel_move_task(&self, request: CancelMoveTask) -> Result<Value, SqsError> {
        let mut state = self.state();
        let task = state
            .moves
            .iter_mut()
            .find(|task| task.handle == request.task_handle);
        let Some(task) = task else {
            return Err(no_resource("TaskHandle"));
        };
        if task.status != MoveStatus::Running {
            let message = "Only active tasks can be cancelled.";
            return Err(SqsError::new(SqsErrorCode::UnsupportedOperation, message));
        }
        task.status = MoveStatus::Cancelled;
        Ok(json!({"ApproximateNumberOfMessagesMoved": task.moved}))
    }
}

fn no_resource(parameter: &str) -> SqsError {
    let message = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
    SqsError::new(SqsErrorCode::ResourceNotFound, message)
}

/// The name of the source, which must be some queue's dead-letter queue.
fn source(state: &mut State, arn: &str) -> Result<String, SqsError> {
    let name = match state.queue_by_arn(arn) {
        Some(queue) => queue.name.clone(),
        None => return Err(no_resource("SourceArn")),
    };
    let is_dead_letter = state.queues.values().any(|queue| {
        queue
            .attributes
            .redrive
            .as_ref()
            .is_some_and(|redrive| redrive.dead_letter_arn == arn)
    });
    if is_dead_letter {
        return Ok(name);
    }
    let message = "Source queue must be configured as a Dead Letter Queue.";
    Err(SqsError::new(SqsErrorCode::InvalidParameterValue, message))
}
