//! One message of the dispatch queue, from the rows that are taken to what becomes of the message.

use std::time::Duration;

use daybook_ledger::{Blame, Deadline, Taken, chain};
use daybook_schema::{BatchId, BatchMessage, DispatchMessage, QueueMessage, Row, Status};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::iter;

use super::inbox::{Held, Inbox, Message};
use super::job::{Call, Job, Mine, Report};
use super::room::{Room, bytes_of, is_run_by_itself};
use super::target::Stop;
use super::worked::Worked;

/// So many workers may die with an attempt, or lose their leases; then it has failed.
const MOST_DEATHS: u32 = 3;

/// How long a message stays hidden of which nothing was taken that is not done with.
const RETURN_AFTER: Duration = Duration::from_secs(30);

/// Rows of one run that are taken at once.
const TAKES_AT_ONCE: usize = 16;

/// When taking the rows of a batch takes longer, its message is hidden anew: the leases end later than it is seen again.
const SOON: Duration = Duration::from_secs(5);

/// What ends work on a message early.
#[derive(Clone, Debug)]
pub(super) struct Signals {
    /// Runs are to end.
    pub(super) stop: Stop,
    /// No further run is to begin.
    pub(super) draining: Stop,
}

/// What came of a message, event by event, and when it is to be seen again if it must be.
#[derive(Default)]
struct Outcome {
    worked: Vec<Worked>,
    /// So soon, if no row of it is perhaps held.
    again: Option<Duration>,
    /// A row may be held that nobody works on: seen before that lease is over, the message would find it taken.
    perhaps_held: bool,
}

/// Rows of a message that are to be taken for one run.
struct Group {
    parts: Vec<DispatchMessage>,
    /// The batch that they are in.
    of: Option<BatchId>,
    /// The batch that the target is given; without one it is given the only event by itself.
    given_as: Option<BatchId>,
    /// Whether other rows of the message had their run before.
    follows: bool,
}

/// Rows that were taken, and the marks that they are worked on here.
#[derive(Default)]
struct Ours<'a> {
    rows: Vec<Row>,
    /// Rows with which another worker died since they were read: not to be run with the others.
    aside: Vec<(Row, bool)>,
    marks: Vec<Mine<'a>>,
}

impl Outcome {
    fn count(&mut self, worked: Worked) {
        // Not reported, or not ours any more.
        self.perhaps_held |= matches!(worked, Worked::Returned(_) | Worked::LeaseLost(_));
        self.worked.push(worked);
    }

    /// Nothing was done with an event of it.
    fn not_begun(&mut self, cause: impl Into<String>, again: Duration) {
        self.worked.push(Worked::Returned(cause.into()));
        self.again = Some(self.again.unwrap_or(again).max(again));
    }
}

impl Job {
    /// Works on one message; a message that came while the worker drains is given back unseen. What came of each of its events.
    pub(super) async fn work(&self, inbox: &Inbox, held: Held, signals: Signals) -> Vec<Worked> {
        let told = Message { inbox, held: &held };
        let outcome = self.outcome(told, signals).await;
        let mut is_done_with = true;
        for worked in &outcome.worked {
            match worked {
                Worked::Completed
                | Worked::Failed(_)
                | Worked::Later(_)
                | Worked::Dropped
                | Worked::Stopped => {}
                Worked::LeaseLost(cause) => {
                    is_done_with = false;
                    tracing::warn!(sqs.message_id = %held.delivered.message_id, %cause, "a lease was lost; its run is stopped");
                }
                Worked::Returned(cause) => {
                    is_done_with = false;
                    tracing::warn!(sqs.message_id = %held.delivered.message_id, %cause, "a dispatch message is returned");
                }
            }
        }
        match outcome.again {
            // Report, then acknowledge. A crash in between costs one delivery, which finds its rows gone on.
            _ if is_done_with => inbox.delete(&held).await,
            Some(again) if !outcome.perhaps_held => inbox.hide(&held, again).await,
            // The message is left to its visibility timeout: it is the other holder's too if SQS delivered it twice.
            _ => {}
        }
        outcome.worked
    }

    async fn outcome(&self, told: Message<'_>, signals: Signals) -> Outcome {
        let mut outcome = Outcome::default();
        if signals.draining.is_requested() {
            outcome.not_begun("the worker shuts down", Duration::ZERO);
            return outcome;
        }
        match QueueMessage::from_json(&told.held.delivered.body) {
            Ok(QueueMessage::Single(message)) => {
                let group = Group {
                    parts: vec![message],
                    of: None,
                    given_as: None,
                    follows: false,
                };
                self.take_and_run(group, told, signals.stop, &mut outcome).await;
            }
            Ok(QueueMessage::Batch(message)) => {
                self.work_on_batch(&message, told, signals, &mut outcome).await;
            }
            Err(error) => outcome.not_begun(error.to_string(), RETURN_AFTER),
        }
        outcome
    }

    /// Reads the rows first. Those that nobody has had in this attempt, and that are not alone, are taken and run together. Each other
    /// one is taken right before its own run: a row that is held while another one runs dies with it, though it only waits.
    async fn work_on_batch(
        &self,
        message: &BatchMessage,
        told: Message<'_>,
        signals: Signals,
        outcome: &mut Outcome,
    ) {
        let parts = message.parts();
        let ids: Vec<_> = parts.iter().map(|part| part.input.id).collect();
        let (mut company, mut by_themselves) = (Vec::new(), Vec::new());
        for (part, row) in parts.into_iter().zip(self.ledger.get_each(&ids).await) {
            match row {
                Ok(Some(row)) if is_at(&row, &part, message.batch) => {
                    match row.is_held() || is_run_by_itself(&row) {
                        true => by_themselves.push(part),
                        false => company.push(part),
                    }
                }
                Ok(_) => outcome.count(Worked::Dropped),
                Err(error) => outcome.not_begun(chain(&error), RETURN_AFTER),
            }
        }
        let most = self.settings.batch_size;
        let groups = together(company, most);
        let groups = groups
            .into_iter()
            .chain(by_themselves.into_iter().map(|part| vec![part]));
        for (position, parts) in groups.enumerate() {
            if position > 0 && signals.draining.is_requested() {
                for _ in parts {
                    outcome.not_begun("the worker shuts down", Duration::ZERO);
                }
                continue;
            }
            let group = Group {
                parts,
                of: Some(message.batch),
                given_as: (most > 1).then_some(message.batch),
                follows: position > 0,
            };
            self.take_and_run(group, told, signals.stop.clone(), outcome)
                .await;
        }
    }

    async fn take_and_run(&self, group: Group, told: Message<'_>, stop: Stop, outcome: &mut Outcome) {
        let given_as = group.given_as;
        let Ours { rows, aside, marks } = self.take(group, told, outcome).await;
        // Beside the run: while the ledger is down, neither is to wait for the other.
        let aside = async {
            let put_aside = |(row, after_another)| self.put_aside(row, after_another);
            join_all(aside.into_iter().map(put_aside)).await
        };
        let run = async {
            match rows.is_empty() {
                true => Vec::new(),
                false => {
                    let call = Call {
                        rows,
                        batch: given_as,
                    };
                    self.report_each(self.call(call, Some(told), stop).await).await
                }
            }
        };
        let (aside, worked) = futures::join!(aside, run);
        drop(marks);
        aside
            .into_iter()
            .chain(worked)
            .for_each(|worked| outcome.count(worked));
    }

    /// Takes the rows of a run. What is not taken, or is done with when it is, is counted.
    async fn take(&self, group: Group, told: Message<'_>, outcome: &mut Outcome) -> Ours<'_> {
        let mut held = Ours::default();
        let in_company = group.parts.len() > 1;
        let clock = self.ledger.clock();
        let began = clock.now();
        // All of them: the first lease must be long when the run begins with the last row.
        let patience = (self.settings.lease / 3).min(Duration::from_secs(20));
        let deadline = Deadline::after(clock, patience);
        let take = |part: DispatchMessage| async move {
            // After a suspend of the machine the lease of a run may be over that goes on here: to take its row would be to run it twice.
            let mark = self.begin(part.input.name())?;
            let taken = self.ledger.take(&part, group.of, self.settings.lease, deadline);
            Some((mark, taken.await))
        };
        // Take, then work: dying after this line leaves rows that are ours until their leases end, and a message that comes
        // again just after.
        let mut takes = iter(group.parts).map(take).buffered(TAKES_AT_ONCE);
        while let Some(taken) = takes.next().await {
            let Some((mark, taken)) = taken else {
                outcome.count(Worked::Dropped);
                continue;
            };
            match taken {
                Taken::Taken { row, after_another } if in_company && row.deaths > 0 => {
                    held.aside.push((*row, after_another));
                    held.marks.push(mark);
                }
                Taken::Taken { row, after_another } => match self.after_another(&row, after_another).await {
                    Some(worked) => outcome.count(worked),
                    None => {
                        held.rows.push(*row);
                        held.marks.push(mark);
                    }
                },
                Taken::Stale => outcome.count(Worked::Dropped),
                Taken::NotApplied(cause) => outcome.not_begun(cause, RETURN_AFTER),
                // Perhaps the row is ours: seen before the lease is over, the message would be dropped. It stays hidden that long.
                Taken::Unknown(cause) => outcome.count(Worked::Returned(cause.into())),
            }
        }
        drop(takes);
        // As long as the leases that were taken now.
        let is_late = group.follows || group.of.is_some() && clock.now().since(began) > SOON;
        if is_late && !held.marks.is_empty() {
            told.hide(self.settings.visibility()).await;
        }
        held
    }

    /// Another worker took this attempt and did not report. Either its report was half done, or this event kills workers;
    /// `None` when it deserves another run.
    ///
    /// How often the message was received says nothing: it may have been returned while the ledger was down.
    async fn after_another(&self, row: &Row, after_another: bool) -> Option<Worked> {
        let event = row.event().filter(|_| after_another)?;
        let receipts = self.ledger.receipts([event.object_id()]).await;
        let is_done = receipts
            .get(&event.object_id())
            .is_some_and(|receipt| receipt.covers(event));
        // The other worker died between receipt and deletion.
        if is_done {
            return Some(match self.ledger.delete_done(row).await {
                Ok(_) => Worked::Dropped,
                Err(error) => Worked::Returned(chain(&error)),
            });
        }
        if row.deaths < MOST_DEATHS {
            return None;
        }
        let why = format!("{} workers that had it died or lost their leases", row.deaths);
        let blame = Blame::of_deaths(row);
        Some(self.report(row, Report::Failure(blame, why)).await)
    }

    /// What becomes of a row with which a worker died since it was read: it is put back, to be run by itself.
    async fn put_aside(&self, mut row: Row, after_another: bool) -> Worked {
        match self.after_another(&row, after_another).await {
            Some(worked) => worked,
            None => {
                row.alone = true;
                self.put_back(&row).await
            }
        }
    }
}

fn is_at(row: &Row, part: &DispatchMessage, batch: BatchId) -> bool {
    row.status == Status::Claimed && row.attempt == part.input.attempt && row.batch == Some(batch)
}

/// Rows for as few runs as may be.
fn together(parts: Vec<DispatchMessage>, most: u32) -> Vec<Vec<DispatchMessage>> {
    let mut groups: Vec<Vec<DispatchMessage>> = Vec::new();
    let mut room = Room::new(most);
    for part in parts {
        let bytes = bytes_of(&part.input);
        match groups.last_mut() {
            Some(group) if room.admits(bytes) => group.push(part),
            _ => {
                room = Room::new(most);
                room.admits(bytes);
                groups.push(vec![part]);
            }
        }
    }
    groups
}
