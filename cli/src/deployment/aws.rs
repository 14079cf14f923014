//! A deployment on AWS: the names of its parts, and the clients.

use clap::ValueEnum;
use daybook_inspect::checks::target::OtherTarget;
use daybook_ledger::Ledger;
use daybook_manager::{AttemptTarget, Executions, FunctionTarget, QueueCompletion, QueueTarget};

use crate::args::values;
use crate::aws::clients::Aws;
use crate::deployment::Outputs;
use crate::deployment::stack::{TARGET_COMPLETION, TARGET_FUNCTION, TARGET_QUEUE};
use crate::ui::error::UserError;

/// A deployment's parts on AWS.
#[derive(Debug)]
pub struct AwsDeployment {
    /// Clients.
    pub aws: Aws,
    /// The ledger.
    pub ledger: Ledger,
    /// The dispatch queue's URL, if known.
    pub queue_url: Option<String>,
    /// The state machine's ARN, if there is one.
    pub state_machine_arn: Option<String>,
    /// The function or queue that the stack has as its target, if it has one.
    pub other_target: Option<OtherTarget>,
    /// What the stack says, if one is given.
    pub outputs: Outputs,
    /// What to call it.
    pub name: String,
}

impl Outputs {
    /// The function or queue that the stack has as its target.
    ///
    /// # Errors
    /// When an output cannot be what it should be.
    pub fn other_target(&self) -> Result<Option<OtherTarget>, UserError> {
        let function = self.read(TARGET_FUNCTION, values::function_arn)?;
        let queue = self.read(TARGET_QUEUE, values::queue_url)?;
        Ok(function
            .map(OtherTarget::Function)
            .or(queue.map(OtherTarget::Queue)))
    }
}

impl AwsDeployment {
    /// What its attempts are handed to; none where workers process the events.
    ///
    /// # Errors
    /// When an output cannot be what it should be.
    pub fn target(&self) -> Result<Option<AttemptTarget>, UserError> {
        let of_machine = |arn: &String| Executions::new(self.aws.step_functions(), arn).into();
        Ok(match (&self.state_machine_arn, &self.other_target) {
            (Some(arn), _) => Some(of_machine(arn)),
            (None, Some(OtherTarget::Function(arn))) => {
                Some(FunctionTarget::new(self.aws.lambda(), arn).into())
            }
            (None, Some(OtherTarget::Queue(url))) => {
                let completion = |text: &str| QueueCompletion::from_str(text, false);
                let completion = self.outputs.read(TARGET_COMPLETION, completion)?;
                let completion = completion.unwrap_or(QueueCompletion::Sent);
                Some(QueueTarget::new(self.aws.queues(), url, completion).into())
            }
            (None, None) => None,
        })
    }
}
