//! Writes in batches of 25, each row with an outcome of its own.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    BatchStatementError, BatchStatementErrorCodeEnum, BatchStatementRequest, BatchStatementResponse,
    ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::cause::{Cause, CauseKind, describe};
use crate::ledger::Ledger;
use crate::statement::{NOT_SENT, Statement, Written};
use crate::time::Deadline;
use crate::update::Update;
use crate::version;
use crate::write_certainty::{AnswerWatch, Verdict};

/// Statements per BatchExecuteStatement (DynamoDB API Reference).
pub(crate) const BATCH: usize = 25;

/// Requests under way at once.
const CONCURRENCY: usize = 8;

impl Ledger {
    /// Takes a step of each of these rows, no row twice, and gives the outcome of each, in their order.
    pub(crate) async fn update(
        &self,
        updates: impl IntoIterator<Item = Update>,
        deadline: Deadline,
    ) -> Vec<Written> {
        let statements = updates.into_iter().map(|update| update.statement(&self.table));
        self.write(statements.collect(), deadline).await
    }

    /// Executes statements, no two of them on one key, and gives the outcome of each, in their order. Throttled ones are
    /// retried with backoff until the deadline. Ends half a second after it at the latest: what is not sent by then is
    /// certainly not applied, and what is sent and not answered is unknown.
    pub(crate) async fn write(&self, statements: Vec<Statement>, deadline: Deadline) -> Vec<Written> {
        let mut outcomes = vec![Written::Throttled(NOT_SENT.into()); statements.len()];
        // One bound around all rounds and all requests: a bound per answer would start again with every answer.
        let all = self.write_in_rounds(statements, &mut outcomes, deadline);
        deadline.bound(&self.clock, all).await;
        outcomes
    }

    /// Round after round until nothing is throttled, or the next round would begin after the deadline. `outcomes` is true at
    /// every await: dropping the future leaves what is known.
    async fn write_in_rounds(
        &self,
        statements: Vec<Statement>,
        outcomes: &mut [Written],
        deadline: Deadline,
    ) {
        let mut waiting: Vec<(usize, Statement)> = statements.into_iter().enumerate().collect();
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .with_jitter_seed(self.random.next_u64())
            .without_max_times()
            .build();
        loop {
            let mut throttled = self.write_round(waiting, outcomes).await;
            let delay = delays.next().unwrap_or(Duration::from_secs(2));
            if throttled.is_empty() || deadline.left(&self.clock) <= delay {
                return;
            }
            throttled.sort_by_key(|(position, _)| *position);
            waiting = throttled;
            tokio::time::sleep(delay).await;
        }
    }

    /// Sends each statement once, and gives back those that were throttled, and those that a row of version 1 needs in
    /// another form. A request is made when its turn comes.
    async fn write_round(
        &self,
        waiting: Vec<(usize, Statement)>,
        outcomes: &mut [Written],
    ) -> Vec<(usize, Statement)> {
        let mut waiting = waiting.into_iter();
        let mut requests = FuturesUnordered::new();
        let mut throttled = Vec::new();
        loop {
            while requests.len() < CONCURRENCY && waiting.len() > 0 {
                let batch: Vec<_> = waiting.by_ref().take(BATCH).collect();
                for (position, _) in &batch {
                    outcomes[*position].sent();
                }
                requests.push(self.write_batch(batch));
            }
            let Some((batch, written)) = requests.next().await else {
                return throttled;
            };
            for ((position, statement), outcome) in batch.into_iter().zip(written) {
                let (statement, outcome) = match version::for_version_one(&statement, &outcome) {
                    // Refused, and so not applied; the next round sends it in the form for such a row.
                    Some(again) => (again, Written::Throttled(NOT_SENT.into())),
                    None => (statement, outcome),
                };
                if matches!(outcome, Written::Throttled(_)) {
                    throttled.push((position, statement));
                }
                outcomes[position] = outcome;
            }
        }
    }

    /// Executes at most 25 statements, no two of them on one key, in one request, once; the outcome of each, in their order.
    pub(crate) async fn write_batch(
        &self,
        batch: Vec<(usize, Statement)>,
    ) -> (Vec<(usize, Statement)>, Vec<Written>) {
        let outcomes = match self.execute(&batch).await {
            Ok(outcomes) => outcomes,
            // A request rejected whole says nothing about its rows: one bad row must not take 24 good ones along.
            Err((Verdict::Invalid, _)) if batch.len() > 1 => {
                let requests: Vec<_> = batch.chunks(1).map(|one| self.write_one_of(one)).collect();
                futures::stream::iter(requests)
                    .buffered(CONCURRENCY)
                    .collect()
                    .await
            }
            Err((verdict, cause)) => vec![not_written(verdict, cause); batch.len()],
        };
        (batch, outcomes)
    }

    async fn write_one_of(&self, one: &[(usize, Statement)]) -> Written {
        match self.execute(one).await {
            Ok(mut outcomes) => outcomes.swap_remove(0),
            Err((verdict, cause)) => not_written(verdict, cause),
        }
    }

    /// One request. `Ok` holds exactly one outcome per statement.
    async fn execute(&self, batch: &[(usize, Statement)]) -> Result<Vec<Written>, (Verdict, Cause)> {
        let requests = batch.iter().map(|(_, statement)| {
            BatchStatementRequest::builder()
                .statement(&statement.text)
                .set_parameters(Some(statement.parameters.clone()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .build()
                .expect("a statement is set")
        });
        let watch = AnswerWatch::default();
        let answer = self
            .client
            .batch_execute_statement()
            .set_statements(Some(requests.collect()))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .customize()
            .interceptor(watch.clone())
            .send()
            .await
            .map_err(|error| (watch.verdict(&error), describe(&error)))?;
        self.meter.write(answer.consumed_capacity());
        let responses = answer.responses.unwrap_or_default();
        if responses.len() != batch.len() {
            let cause = format!(
                "{} statements were answered by {} responses",
                batch.len(),
                responses.len()
            );
            return Err((Verdict::Unknown, cause.into()));
        }
        Ok(responses.into_iter().map(written).collect())
    }
}

fn not_written(verdict: Verdict, cause: Cause) -> Written {
    match verdict {
        Verdict::Unknown => Written::Unknown(cause),
        Verdict::Throttled => Written::Throttled(cause),
        Verdict::Invalid | Verdict::Refused => Written::Refused(cause),
    }
}

fn written(response: BatchStatementResponse) -> Written {
    match response.error {
        None => Written::Applied(response.item),
        Some(error) => failed(error),
    }
}

fn failed(error: BatchStatementError) -> Written {
    use BatchStatementErrorCodeEnum as Code;
    let code = error
        .code
        .as_ref()
        .map_or("an error without a code", Code::as_str)
        .to_owned();
    let words = match &error.message {
        Some(message) => format!("{code}: {message}"),
        None => code,
    };
    // The answer to the batch is a success.
    let kind = CauseKind::Service {
        code: error.code.as_ref().map(|code| code.as_str().to_owned()),
        status: 200,
    };
    let cause = Cause::new(kind, words);
    match error.code {
        Some(Code::ConditionalCheckFailed) => match error.item.as_ref().and_then(version::newer) {
            Some(newer) => Written::Newer(newer),
            None => Written::ConditionFailed(error.item),
        },
        Some(Code::DuplicateItem) => Written::Duplicate,
        Some(
            Code::ThrottlingError
            | Code::ProvisionedThroughputExceeded
            | Code::RequestLimitExceeded
            | Code::TransactionConflict,
        ) => Written::Throttled(cause),
        Some(
            Code::ValidationError
            | Code::AccessDenied
            | Code::ResourceNotFound
            | Code::ItemCollectionSizeLimitExceeded,
        ) => Written::Refused(cause),
        _ => Written::Unknown(cause),
    }
}
