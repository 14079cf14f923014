//! The relay: from one SQS queue to another, at most N messages a run, without a ledger.
//!
//! A message is received, sent, and deleted only when the target has certainly taken it; whatever happens in between, it comes again after its
//! visibility timeout. So nothing is lost, and a message may be sent twice: when the answer of the target or of the deletion is lost, or
//! when the process dies between the two. A FIFO target recognises those copies for five minutes.
//!
//! Runs that overlap take N each. Order: within a group of a FIFO source, and to a FIFO target, a message is sent only when the one before it
//! was; while a message of a group is in flight SQS delivers no later one of it.

mod carried;
mod report;
mod settings;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use aws_smithy_types::timeout::TimeoutConfig;
use daybook_ledger::{Cause, Clock, Deadline, describe};
use futures::stream::{FuturesUnordered, StreamExt};

use crate::send_batch::{BATCH_BYTES, BATCH_ENTRIES, Delivery, entry_id, send_batch};
use carried::{Carried, Kind};
pub use report::RelayReport;
pub use settings::{DeduplicationId, RelaySettings};

/// Receive, send and delete under way at once.
const LANES: usize = 8;

/// How long a received message is hidden from others: longer than sending and deleting ten messages takes, retries included, so that what is
/// deleted late is not being sent by somebody else.
const HIDDEN: Duration = Duration::from_secs(120);

/// Nothing is received in the last seconds before a deadline: sending and deleting must still be possible.
const TIME_TO_SEND: Duration = Duration::from_secs(5);

/// A poll waits at least a second: one that does not wait asks only some of SQS's servers, and finds nothing where there is something.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// The longest poll of SQS.
const MOST_WAIT: Duration = Duration::from_secs(20);

/// Takes messages from one queue to another.
#[derive(Clone, Debug)]
pub struct Relay {
    client: Client,
    settings: RelaySettings,
    clock: Clock,
}

/// What the lanes of a run share.
#[derive(Debug)]
struct Run {
    /// How many messages may still be received.
    left: u32,
    /// No lane receives any more.
    stopped: bool,
    /// Lanes that have messages.
    busy: u32,
    /// How often a lane has taken messages from beginning to end.
    rounds: u64,
    report: RelayReport,
}

/// How things stood when a poll began.
#[derive(Debug)]
struct PollBegun {
    places: u32,
    /// Whether other lanes had messages.
    others: bool,
    rounds: u64,
}

/// What a poll found.
#[derive(Debug)]
enum Polled {
    Messages(Vec<Carried>),
    Nothing,
    /// Nothing, and there may be something all the same.
    Again,
}

impl Relay {
    /// A relay between two queues of one region.
    pub fn new(client: Client, settings: RelaySettings, clock: Clock) -> Self {
        Self {
            client,
            settings,
            clock,
        }
    }

    /// Takes messages until N are taken, a poll finds none, something goes wrong, or the deadline is near.
    pub async fn run(&self, deadline: Deadline) -> RelayReport {
        let run = Mutex::new(Run {
            left: self.settings.per_window,
            stopped: false,
            busy: 0,
            rounds: 0,
            report: RelayReport::default(),
        });
        // One poll says whether there is anything to do.
        self.carry(&run, deadline).await;
        let lanes: FuturesUnordered<_> = (0..LANES)
            .map(|_| async { while self.carry(&run, deadline).await {} })
            .collect();
        lanes.collect::<Vec<()>>().await;
        run.into_inner().unwrap_or_else(PoisonError::into_inner).report
    }

    /// Receives up to ten messages, sends them, and deletes those that were sent. Whether to go on.
    async fn carry(&self, run: &Mutex<Run>, deadline: Deadline) -> bool {
        let Some(poll) = self.begin_poll(run, deadline) else {
            return false;
        };
        let received = self.receive(poll.places, deadline).await;
        let messages = match self.end_poll(&mut locked(run), &poll, received) {
            Polled::Messages(messages) => messages,
            Polled::Again => return true,
            Polled::Nothing => return false,
        };
        let outcomes = self.send(&messages).await;
        let sent: Vec<&Carried> = messages
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, Delivery::Sent(_)))
            .map(|(message, _)| message)
            .collect();
        let not_deleted = self.delete(&sent).await;
        note(&mut locked(run), outcomes, not_deleted)
    }

    /// A poll for up to ten of the messages that may still be received.
    fn begin_poll(&self, run: &Mutex<Run>, deadline: Deadline) -> Option<PollBegun> {
        let mut run = locked(run);
        if run.stopped || run.left == 0 {
            return None;
        }
        if deadline.left(&self.clock) <= TIME_TO_SEND {
            run.report.out_of_time = true;
            run.stopped = true;
            return None;
        }
        let places = run.left.min(BATCH_ENTRIES as u32);
        run.left -= places;
        Some(PollBegun {
            places,
            others: run.busy > 0,
            rounds: run.rounds,
        })
    }

    fn end_poll(&self, run: &mut Run, poll: &PollBegun, received: Result<Vec<Carried>, Cause>) -> Polled {
        let messages = match received {
            Ok(messages) => messages,
            Err(cause) => {
                run.stopped = true;
                run.report.fail(cause);
                return Polled::Nothing;
            }
        };
        let count = u32::try_from(messages.len()).unwrap_or(poll.places);
        run.left += poll.places.saturating_sub(count);
        run.report.received += count;
        if !messages.is_empty() {
            run.busy += 1;
            return Polled::Messages(messages);
        }
        // A FIFO queue shows nothing of a group while another lane has messages of it.
        let hidden = poll.others || run.busy > 0 || run.rounds != poll.rounds;
        if Kind::of(&self.settings.from) == Kind::Fifo && hidden && !run.stopped {
            return Polled::Again;
        }
        run.report.empty = !run.stopped;
        run.stopped = true;
        Polled::Nothing
    }

    async fn receive(&self, places: u32, deadline: Deadline) -> Result<Vec<Carried>, Cause> {
        let left = deadline.left(&self.clock).saturating_sub(TIME_TO_SEND);
        let wait = self.settings.wait.clamp(LEAST_WAIT, MOST_WAIT).min(left);
        // A long poll is meant to take long: the client's own limit is for requests that should be quick.
        let limit = wait + Duration::from_secs(5);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(limit)
            .operation_timeout(limit)
            .build();
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.settings.from)
            .max_number_of_messages(places as i32)
            .wait_time_seconds(wait.as_secs() as i32)
            .visibility_timeout(HIDDEN.as_secs() as i32)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::AwsTraceHeader)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::MessageDeduplicationId)
            .customize()
            .config_override(aws_sdk_sqs::config::Builder::default().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| describe(&error).of("ReceiveMessage"))?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().map(Carried::of).collect())
    }

    /// Sends them, and gives the outcome of each in their order.
    async fn send(&self, messages: &[Carried]) -> Vec<Delivery> {
        let to = Kind::of(&self.settings.to);
        let mut outcomes =
            vec![Delivery::NotSent("an earlier message of its group was not sent".into()); messages.len()];
        let mut held: HashSet<&str> = HashSet::new();
        for wave in waves(messages, to) {
            let wave: Vec<usize> = wave
                .into_iter()
                .filter(|position| to == Kind::Standard || !held.contains(messages[*position].group()))
                .collect();
            for request in requests(messages, &wave) {
                let entries = request.iter().enumerate().map(|(number, position)| {
                    messages[*position].entry(number, to, self.settings.deduplication_id)
                });
                let sent = send_batch(&self.client, &self.settings.to, entries.collect()).await;
                for (position, outcome) in request.into_iter().zip(sent) {
                    if !matches!(outcome, Delivery::Sent(_)) {
                        held.insert(messages[position].group());
                    }
                    outcomes[position] = outcome;
                }
            }
        }
        outcomes
    }

    /// Deletes them from the source. How many deletions are not confirmed, and why.
    async fn delete(&self, messages: &[&Carried]) -> (u32, Option<Cause>) {
        let entries: Vec<DeleteMessageBatchRequestEntry> = messages
            .iter()
            .filter_map(|message| message.handle.as_deref())
            .enumerate()
            .map(|(number, handle)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(entry_id(number));
                entry
                    .receipt_handle(handle)
                    .build()
                    .expect("id and handle are set")
            })
            .collect();
        if entries.is_empty() {
            return (0, None);
        }
        let count = entries.len() as u32;
        let request = self.client.delete_message_batch().queue_url(&self.settings.from);
        // Repeated by the SDK where it can be: a deletion does no harm twice.
        match request.set_entries(Some(entries)).send().await {
            Err(error) => (count, Some(describe(&error).of("DeleteMessageBatch"))),
            Ok(answer) => {
                let cause = answer.failed().first().map(|entry| {
                    let words = entry.message().unwrap_or_default();
                    Cause::from(format!("DeleteMessageBatch: {} {words}", entry.code()).as_str())
                });
                // An entry that is in neither list is not confirmed.
                (count.saturating_sub(answer.successful().len() as u32), cause)
            }
        }
    }
}

fn locked(run: &Mutex<Run>) -> MutexGuard<'_, Run> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts what became of a lane's messages. Whether to go on: what fails for one request fails for the next.
fn note(run: &mut Run, outcomes: Vec<Delivery>, (not_deleted, why): (u32, Option<Cause>)) -> bool {
    run.busy -= 1;
    run.rounds += 1;
    let report = &mut run.report;
    let all = outcomes.len();
    let mut not_sent = 0;
    for outcome in outcomes {
        match outcome {
            Delivery::Sent(_) => report.sent += 1,
            Delivery::NotSent(cause) | Delivery::Throttled(cause) => {
                not_sent += 1;
                report.not_sent += 1;
                report.fail(cause.of("SendMessageBatch"));
            }
            Delivery::Unknown(cause) => {
                not_sent += 1;
                report.unknown += 1;
                report.fail(cause.of("SendMessageBatch"));
            }
        }
    }
    report.not_deleted += not_deleted;
    if let Some(cause) = why {
        report.fail(cause);
        run.stopped = true;
    }
    run.stopped |= not_sent == all;
    !run.stopped
}

/// Which messages are sent together, by position: to a FIFO queue the n-th of each group in the n-th wave, because SQS may take a later entry of
/// a request and refuse an earlier one.
fn waves(messages: &[Carried], to: Kind) -> Vec<Vec<usize>> {
    if to == Kind::Standard {
        return vec![(0..messages.len()).collect()];
    }
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut waves: Vec<Vec<usize>> = Vec::new();
    for (position, message) in messages.iter().enumerate() {
        let number = seen.entry(message.group()).or_default();
        if waves.len() == *number {
            waves.push(Vec::new());
        }
        waves[*number].push(position);
        *number += 1;
    }
    waves
}

/// Positions in requests of at most 1 MiB; a receive never gives more than a request may have.
fn requests(messages: &[Carried], wave: &[usize]) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for position in wave {
        bytes += messages[*position].bytes();
        match requests.last_mut() {
            Some(request) if bytes <= BATCH_BYTES => request.push(*position),
            _ => {
                bytes = messages[*position].bytes();
                requests.push(vec![*position]);
            }
        }
    }
    requests
}
