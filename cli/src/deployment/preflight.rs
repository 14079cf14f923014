//! What must answer before a run begins.

use daybook_inspect::aws::failure::AwsResource;
use daybook_ledger::Cause;
use daybook_manager::Executions;

use crate::aws::clients::Aws;
use crate::ui::error::UserError;

/// Finds out before anything is claimed that there is no queue: a claimed event would have to wait for its lease.
///
/// # Errors
/// When the queue does not answer.
pub async fn queue_answers(aws: &Aws, queue: &daybook_manager::DispatchQueue) -> Result<(), UserError> {
    let error = match queue.depth().await {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let advice = aws.advice(AwsResource::Queue, error.cause());
    Err(UserError::new("the dispatch queue cannot be used")
        .because(error)
        .hint_if_any(advice))
}

/// A missing receipts table would otherwise look as if nothing had ever been done.
///
/// # Errors
/// When the receipts are on and their table does not answer.
pub async fn receipts_answer(aws: &Aws, ledger: &daybook_ledger::Ledger) -> Result<(), UserError> {
    let Err(error) = ledger.check_receipts().await else {
        return Ok(());
    };
    let advice = aws.advice(AwsResource::Receipts, &Cause::from(&error));
    Err(UserError::new("the receipts table cannot be used")
        .because(error)
        .hint_if_any(advice))
}

/// The ledger did not answer.
pub fn ledger_failure(aws: &Aws, error: daybook_ledger::LedgerError) -> UserError {
    let advice = aws.advice(AwsResource::Ledger, &Cause::from(&error));
    UserError::new("the ledger table cannot be used")
        .because(error)
        .hint_if_any(advice)
}

/// With a wrong ARN every event would look as if it did not run, and be sent again for nothing.
pub async fn state_machine_answers(aws: &Aws, executions: &Executions) -> Result<(), UserError> {
    let Some(cause) = executions.running(1).await.failure else {
        return Ok(());
    };
    let advice = aws.advice(AwsResource::StateMachine, &cause);
    let arn = executions.state_machine_arn();
    Err(UserError::new(format!("the state machine {arn} cannot be used"))
        .because(anyhow::anyhow!("{cause}"))
        .hint_if_any(advice))
}
