//! Writes in batches of 25, each row with an outcome of its own.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementError, BatchStatementErrorCodeEnum, BatchStatementRequest,
    BatchStatementResponse, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};
use backon::{BackoffBuilder, ExponentialBuilder};
use daybook_schema::tables::attribute::ID;
use futures::StreamExt;

use crate::Ledger;
use crate::answers::{AnswerWatch, Verdict, describe};
use crate::time::Deadline;
use crate::update::Update;

/// Statements per BatchExecuteStatement (DynamoDB API Reference).
const BATCH: usize = 25;

/// Why the outcome of a statement is not known that nobody answered for.
const NO_ANSWER: &str = "no answer before the deadline";

/// Requests under way at once.
const CONCURRENCY: usize = 8;

pub(crate) type Item = HashMap<String, AttributeValue>;

/// One PartiQL statement that writes one item.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) parameters: Vec<AttributeValue>,
}

/// What came of one statement.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// Done; the item as RETURNING asked for it.
    Applied(Option<Item>),
    /// The condition was false; the item as it stands, if there is one.
    ConditionFailed(Option<Item>),
    /// An INSERT found the key taken.
    Duplicate,
    /// Never going to work: the item is too large, access is denied, the table is missing.
    Refused(String),
    /// Throttled until the deadline; certainly not applied.
    Throttled(String),
    /// Perhaps applied.
    Unknown(String),
}

impl Ledger {
    /// Takes a step of each of these rows, no row twice, and gives the outcome of each, in their order.
    pub(crate) async fn update(
        &self,
        updates: impl IntoIterator<Item = Update>,
        deadline: Deadline,
    ) -> Vec<Written> {
        let statements = updates
            .into_iter()
            .map(|update| update.statement(&self.table))
            .collect();
        self.write(statements, deadline).await
    }

    /// Executes statements, no two of them on one key, and gives the outcome of each, in their order. Throttled ones are
    /// retried with backoff until the deadline, and what has no answer half a second after it is unknown.
    pub(crate) async fn write(&self, statements: Vec<Statement>, deadline: Deadline) -> Vec<Written> {
        let mut outcomes: Vec<Option<Written>> = vec![None; statements.len()];
        let mut waiting: Vec<(usize, Statement)> = statements.into_iter().enumerate().collect();
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .with_jitter_seed(self.random.next_u64())
            .without_max_times()
            .build();
        loop {
            // The futures are made before they are driven: a closure inside the stream would tie it to one lifetime.
            let requests: Vec<_> = waiting
                .chunks(BATCH)
                .map(|batch| self.write_batch(batch.to_vec()))
                .collect();
            let mut answers = futures::stream::iter(requests).buffer_unordered(CONCURRENCY);
            let mut throttled = Vec::new();
            // What has no answer by then is unknown, whatever an earlier try was told.
            while let Some(answer) = deadline.bound(&self.clock, answers.next()).await {
                let Some((batch, written)) = answer else { break };
                for ((position, statement), outcome) in batch.into_iter().zip(written) {
                    if matches!(outcome, Written::Throttled(_)) {
                        throttled.push((position, statement));
                    }
                    outcomes[position] = Some(outcome);
                }
            }
            let delay = delays.next().unwrap_or(Duration::from_secs(2));
            if throttled.is_empty() || deadline.left(&self.clock) <= delay {
                break;
            }
            throttled.sort_by_key(|(position, _)| *position);
            waiting = throttled;
            tokio::time::sleep(delay).await;
            for (position, _) in &waiting {
                if let Some(Written::Throttled(cause)) = &outcomes[*position] {
                    outcomes[*position] =
                        Some(Written::Unknown(format!("{NO_ANSWER}; before that, {cause}")));
                }
            }
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|| Written::Unknown(NO_ANSWER.into())))
            .collect()
    }

    async fn write_batch(&self, batch: Vec<(usize, Statement)>) -> (Vec<(usize, Statement)>, Vec<Written>) {
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
    async fn execute(&self, batch: &[(usize, Statement)]) -> Result<Vec<Written>, (Verdict, String)> {
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
            return Err((Verdict::Unknown, cause));
        }
        Ok(responses.into_iter().map(written).collect())
    }
}

fn not_written(verdict: Verdict, cause: String) -> Written {
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
    let cause = match &error.message {
        Some(message) => format!("{code}: {message}"),
        None => code,
    };
    match error.code {
        Some(Code::ConditionalCheckFailed) => Written::ConditionFailed(error.item),
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

/// A string parameter.
pub(crate) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// A number parameter.
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The `id` of a stored item, for messages about it.
pub(crate) fn id_of(item: &Item) -> String {
    match item.get(ID) {
        Some(AttributeValue::S(id)) => id.clone(),
        _ => "without an id".to_owned(),
    }
}
