//! From a batch's message to its execution. Only what the execution's input names is its; every other row of the message goes back.

use daybook_ledger::{Deadline, Lookup, Moved, Released};
use daybook_schema::{
    BatchId, BatchInput, BatchMessage, BatchName, ExecutionInput, ExecutionName, Row, Status,
};

use crate::executions::{Described, EndedStatus, Observed, Started, observed};
use crate::invoke::{Invoked, Invoker, MOST_UNTOLD, returned};
use crate::settle_batch::{BatchEnd, SettledBatch, named};
use crate::settle_execution::Settled;

/// What is known of the rows of a message.
struct Seen {
    message: BatchMessage,
    /// As they stand, where that was read: rows of a repeated delivery.
    rows: Vec<Row>,
}

impl Seen {
    fn names(&self) -> Vec<ExecutionName> {
        self.message.events.iter().map(|part| part.input.name()).collect()
    }
}

impl Invoker {
    /// Starts the execution of a batch, or finds out what became of it.
    pub(crate) async fn invoke_batch(&self, message: BatchMessage, deadline: Deadline) -> Invoked {
        let name = message.name();
        let seen = match message.is_repeated() {
            false => Seen {
                message,
                rows: Vec::new(),
            },
            true => match self.look(message, deadline).await {
                Ok(seen) => seen,
                Err(invoked) => return invoked,
            },
        };
        if seen.message.events.is_empty() {
            return Invoked::Dropped;
        }
        let (message, batch) = (&seen.message, Some(name.batch));
        match self.start(name, &message.input(), message.trace.as_deref()).await {
            Started::Running if message.is_repeated() => {
                // This delivery arrived, and must not look undelivered. When a renewal fails the execution runs all the same.
                self.ledger
                    .renew(&seen.names(), batch, self.dispatch.lease, deadline)
                    .await;
                Invoked::Started
            }
            Started::Running => Invoked::Started,
            Started::Untracked => {
                self.count_starts(&seen, deadline).await;
                Invoked::Started
            }
            Started::Done(by) => {
                let inputs: Vec<&ExecutionInput> = message.events.iter().map(|part| &part.input).collect();
                self.settle_sent(&inputs, &by, deadline).await
            }
            Started::NameTaken => self.probe_batch(&seen, name, false, deadline).await,
            Started::Invalid(cause) => self.invalid(&seen, name, &cause, deadline).await,
            Started::Throttled(cause) => {
                Invoked::Throttled(format!("{} {name}: {cause}", self.target.request()))
            }
            Started::NotStarted(cause) => {
                Invoked::Returned(format!("{} {name}: {cause}", self.target.request()))
            }
        }
    }

    async fn start(&self, name: BatchName, input: &BatchInput, trace: Option<&str>) -> Started {
        self.target.start_batch(name, input, trace, &self.pace).await
    }

    /// The rows of a repeated delivery that are still in the batch, at the attempts of the message. Those whose executions kept ending
    /// untold fail instead of being started once more.
    async fn look(&self, mut message: BatchMessage, deadline: Deadline) -> Result<Seen, Invoked> {
        let batch = message.batch;
        let ids: Vec<_> = message.events.iter().map(|part| part.input.id).collect();
        let mut rows = Vec::with_capacity(ids.len());
        for row in self.ledger.get_each(&ids).await {
            rows.extend(row.map_err(returned)?);
        }
        let is_at = |row: &Row, name: ExecutionName| {
            row.id == name.id
                && row.status == Status::Claimed
                && row.attempt == name.attempt
                && row.batch == Some(batch)
        };
        rows.retain(|row| message.events.iter().any(|part| is_at(row, part.input.name())));
        let (dead, rows): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.deaths >= MOST_UNTOLD);
        let untold = self.fail_untold_rows(&dead, &message, deadline).await?;
        message
            .events
            .retain(|part| rows.iter().any(|row| row.id == part.input.id));
        if message.events.is_empty() && untold != SettledBatch::default() {
            return Err(Invoked::UntoldBatch(untold));
        }
        Ok(Seen { message, rows })
    }

    /// An input that the target calls invalid. By itself a row is parked for it. Of several nobody knows whose fault it is, and a
    /// message with some of them may be on its way, so the name is taken first, by an input that names nobody, where names protect.
    async fn invalid(&self, seen: &Seen, name: BatchName, cause: &str, deadline: Deadline) -> Invoked {
        if let [one] = seen.names().as_slice() {
            let parked = self.ledger.park(*one, Some(name.batch), cause, deadline).await;
            return parked.map_or_else(returned, Invoked::Parked);
        }
        if !self.target.may_have_names() {
            return self.leave_all(seen, name.batch, deadline).await;
        }
        let nobody = BatchInput::new(name.batch, Vec::new());
        match self.start(name, &nobody, None).await {
            Started::Running | Started::NameTaken => self.probe_batch(seen, name, true, deadline).await,
            // Its name protects from nothing, and nobody can ask for it.
            Started::Untracked => self.leave_all(seen, name.batch, deadline).await,
            Started::Throttled(cause) => Invoked::Throttled(format!("StartExecution {name}: {cause}")),
            other => Invoked::Returned(format!("StartExecution {name} without events: {other:?}")),
        }
    }

    /// Gives back all of the message, to be run one by one.
    async fn leave_all(&self, seen: &Seen, batch: BatchId, deadline: Deadline) -> Invoked {
        match self.leave(&seen.names(), batch, true, deadline).await {
            Ok(()) => Invoked::Dropped,
            Err(returned) => returned,
        }
    }

    /// The name is taken: what that execution was given is renewed or settled, and what it was not given goes back.
    async fn probe_batch(&self, seen: &Seen, name: BatchName, alone: bool, deadline: Deadline) -> Invoked {
        let described = match self.target.describe(name.into()).await {
            Lookup::Found(described) => *described,
            Lookup::Absent => {
                return Invoked::Returned(format!("DescribeExecution {name}: ExecutionDoesNotExist"));
            }
            Lookup::Unknown(cause) => return Invoked::Returned(cause.into()),
        };
        let Some(named) = named(name, described.input.as_deref()) else {
            return Invoked::Returned(format!("DescribeExecution {name}: its input cannot be read"));
        };
        let named: Vec<ExecutionName> = named.iter().map(|input| input.name()).collect();
        let unnamed: Vec<ExecutionName> = seen
            .names()
            .into_iter()
            .filter(|name| !named.contains(name))
            .collect();
        let (followed, left) = futures::join!(
            self.follow(name, described, &named, deadline),
            self.leave(&unnamed, name.batch, alone, deadline)
        );
        match (followed, left) {
            (Invoked::Dropped | Invoked::Renewed | Invoked::SettledBatch(_), Err(returned)) => returned,
            (followed, _) => followed,
        }
    }

    /// Renews or settles what the execution was given.
    async fn follow(
        &self,
        name: BatchName,
        described: Described,
        named: &[ExecutionName],
        deadline: Deadline,
    ) -> Invoked {
        match observed(described) {
            Observed::Running => {
                let lease = self.dispatch.lease;
                let moved = self.ledger.renew(named, Some(name.batch), lease, deadline).await;
                let left = moved.into_iter().find_map(|moved| match moved {
                    Moved::Left(cause) => Some(Invoked::Returned(cause.into())),
                    Moved::Moved | Moved::Stale => None,
                });
                left.unwrap_or(Invoked::Renewed)
            }
            Observed::Ended(ended) => match BatchEnd::of(name, &ended) {
                Some(end) => {
                    let settled = end.settle(&self.ledger, &self.dispatch.retry, deadline).await;
                    settled.map_or_else(returned, Invoked::SettledBatch)
                }
                None => {
                    let what = match ended.status {
                        EndedStatus::Succeeded => "output",
                        EndedStatus::Failed => "input",
                    };
                    Invoked::Returned(format!("DescribeExecution {name}: its {what} cannot be read"))
                }
            },
            Observed::Unknown(cause) => Invoked::Returned(cause.into()),
        }
    }

    /// Gives back what the execution does not name; it gets another batch.
    async fn leave(
        &self,
        unnamed: &[ExecutionName],
        batch: BatchId,
        alone: bool,
        deadline: Deadline,
    ) -> Result<(), Invoked> {
        for left in self.ledger.leave_batch(unnamed, batch, alone, deadline).await {
            match left {
                Released::Released | Released::Stale => {}
                Released::Left(cause) => return Err(Invoked::Returned(cause.into())),
            }
        }
        Ok(())
    }

    /// Counts a start that nobody can ask for, for each row that it was a repeated delivery of.
    async fn count_starts(&self, seen: &Seen, deadline: Deadline) {
        let lease = self.counted_lease();
        let counted = seen.rows.iter().filter(|row| {
            let is_it = |part: &&daybook_schema::BatchPart| part.input.id == row.id;
            let part = seen.message.events.iter().find(is_it);
            part.is_some_and(|part| part.delivery > 1 && part.delivery == row.deliveries)
        });
        let counted = counted.map(|row| self.ledger.count_start(row, lease, deadline));
        futures::future::join_all(counted).await;
    }

    async fn fail_untold_rows(
        &self,
        rows: &[Row],
        message: &BatchMessage,
        deadline: Deadline,
    ) -> Result<SettledBatch, Invoked> {
        let mut settled = SettledBatch::default();
        let is_this = |row: &&Row| {
            let is_it = |part: &&daybook_schema::BatchPart| part.input.id == row.id;
            let part = message.events.iter().find(is_it);
            part.is_some_and(|part| part.delivery == row.deliveries)
        };
        for row in rows.iter().filter(is_this) {
            let blame = match message.events.len() {
                1 => daybook_ledger::Blame::Own,
                _ => daybook_ledger::Blame::Shared,
            };
            let why = self.target.untold(row.deaths);
            let failed = self
                .ledger
                .fail_taken(row, blame, &why, &self.dispatch.retry, deadline)
                .await;
            settled = settled.and(Settled::Failed(failed.map_err(returned)?).into());
        }
        Ok(settled)
    }
}
