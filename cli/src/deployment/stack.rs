//! A CloudFormation stack's outputs: what the parts of a deployment are called.

use std::collections::BTreeMap;

use daybook_inspect::aws::failure::AwsResource;
use daybook_ledger::{Cause, CauseKind, describe};

use crate::args::values;
use crate::aws::clients::Aws;
use crate::ui::error::UserError;

/// The output that every stack of Daybook's has.
pub const LEDGER_TABLE: &str = "LedgerTableName";

/// The receipts table, where receipts are on.
pub const RECEIPTS_TABLE: &str = "ReceiptsTableName";

/// The dispatch queue.
pub const DISPATCH_QUEUE: &str = "DispatchQueueUrl";

/// The queue that S3's notifications arrive on.
pub const INTAKE_QUEUE: &str = "IntakeQueueUrl";

/// The queue that the ends of executions arrive on, where there is a state machine.
pub const COMPLETION_QUEUE: &str = "CompletionQueueUrl";

/// The bucket with the reports of the audit function.
pub const REPORTS_BUCKET: &str = "ReportsBucketName";

/// The state machine, where there is one.
pub const STATE_MACHINE: &str = "StateMachineArn";

/// The function that is the target, where one is.
pub const TARGET_FUNCTION: &str = "TargetFunctionArn";

/// The queue that is the target, where one is.
pub const TARGET_QUEUE: &str = "TargetQueueUrl";

/// When an event is done that the target queue gets.
pub const TARGET_COMPLETION: &str = "TargetCompletion";

/// What a stack says of itself; nothing, where no stack is given.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    stack: String,
    values: BTreeMap<String, String>,
}

impl Outputs {
    /// Asks CloudFormation.
    ///
    /// # Errors
    /// When it does not answer, has no such stack, or the stack is none of Daybook's.
    pub async fn of(aws: &Aws, stack: &str) -> Result<Self, UserError> {
        let cannot = |cause: Cause| {
            let region = aws.region();
            let advice = aws.advice(AwsResource::Stack, &cause);
            UserError::new(format!("the stack {stack} cannot be read in region {region}"))
                .because(anyhow::anyhow!("DescribeStacks: {cause}"))
                .hint_if_any(advice)
        };
        let answer = aws
            .cloudformation()
            .describe_stacks()
            .stack_name(stack)
            .send()
            .await
            .map_err(|error| cannot(describe(&error)))?;
        // As CloudFormation says it.
        let absent = Cause::new(
            CauseKind::Service {
                code: Some("ValidationError".to_owned()),
                status: 400,
            },
            format!("Stack with id {stack} does not exist"),
        );
        let Some(found) = answer.stacks.unwrap_or_default().into_iter().next() else {
            return Err(cannot(absent));
        };
        let values: BTreeMap<String, String> = found
            .outputs
            .unwrap_or_default()
            .into_iter()
            .filter_map(|output| Some((output.output_key?, output.output_value?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let outputs = Self {
            stack: stack.to_owned(),
            values,
        };
        match outputs.values.contains_key(LEDGER_TABLE) {
            true => Ok(outputs),
            false => Err(outputs.foreign()),
        }
    }

    /// A queue's URL, by a flag or by the output of that name.
    ///
    /// # Errors
    /// When the output is no URL.
    pub fn queue(&self, given: Option<&String>, output: &str) -> Result<Option<String>, UserError> {
        match given {
            Some(url) => Ok(Some(url.clone())),
            None => self.read(output, values::queue_url),
        }
    }

    /// The output of that name, in the form that its flag has.
    ///
    /// # Errors
    /// When it cannot be what it should be.
    pub fn read<T, E: std::fmt::Display>(
        &self,
        output: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, UserError> {
        let Some(value) = self.values.get(output) else {
            return Ok(None);
        };
        parse(value).map(Some).map_err(|error| {
            UserError::new(format!(
                "the output {output} of stack {} is not valid",
                self.stack
            ))
            .because(anyhow::anyhow!("{error}"))
            .hint("is this a Daybook stack?")
        })
    }

    fn foreign(&self) -> UserError {
        let names: Vec<&str> = self.values.keys().map(String::as_str).collect();
        let has = match names.as_slice() {
            [] => "it has no outputs".to_owned(),
            names => format!("its outputs are {}", names.join(", ")),
        };
        without(&self.stack, LEDGER_TABLE)
            .because(anyhow::anyhow!("{has}"))
            .hint(
                "is this a Daybook stack, and is it fully created? --ledger-table (DAYBOOK_LEDGER_TABLE) names the \
                 table without a stack",
            )
    }
}

/// A stack lacks an output.
pub fn without(stack: &str, output: &str) -> UserError {
    UserError::new(format!("the stack {stack} has no output {output}"))
}
