//! The target, by environment variables: exactly one of a state machine, a function and a queue.

use clap::Args;

use super::aws::{Aws, Service};
use crate::arguments;
use crate::executions::Executions;
use crate::target::{AttemptTarget, FunctionTarget, QueueCompletion, QueueTarget};

/// What attempts are handed to: one of the three.
#[derive(Args, Clone, Debug)]
pub struct TargetArguments {
    /// The Step Functions state machine that processes events
    #[arg(long, value_name = "ARN", value_parser = arguments::state_machine_arn)]
    #[arg(env = "DAYBOOK_STATE_MACHINE_ARN", hide_env_values = true)]
    state_machine_arn: Option<String>,

    /// The Lambda function that processes events: it is invoked asynchronously, and its destinations are the completion queue
    #[arg(long, value_name = "ARN", value_parser = arguments::function_arn)]
    #[arg(env = "DAYBOOK_TARGET_FUNCTION_ARN", hide_env_values = true)]
    target_function_arn: Option<String>,

    /// The SQS queue whose consumer processes events; FIFO if its name ends in .fifo
    #[arg(long, value_name = "URL", value_parser = arguments::queue_url)]
    #[arg(env = "DAYBOOK_TARGET_QUEUE_URL", hide_env_values = true)]
    target_queue_url: Option<String>,

    /// When an event is done that the target queue gets
    #[arg(long, value_enum, value_name = "WHEN")]
    #[arg(env = "DAYBOOK_TARGET_COMPLETION", hide_env_values = true)]
    target_completion: Option<QueueCompletion>,
}

/// A target that is named, and nothing else with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedTarget {
    /// A state machine's ARN.
    StateMachine(String),
    /// A function's ARN.
    Function(String),
    /// A queue's URL, and when its events are done.
    Queue(String, QueueCompletion),
}

impl TargetArguments {
    /// The one that is named.
    ///
    /// # Errors
    /// When none is, or more than one, or a queue without what it needs beside its URL.
    pub fn named(self) -> Result<NamedTarget, String> {
        let machine = self.state_machine_arn.map(NamedTarget::StateMachine);
        let function = self.target_function_arn.map(NamedTarget::Function);
        let queue = match (self.target_queue_url, self.target_completion) {
            (Some(url), Some(completion)) => Some(NamedTarget::Queue(url, completion)),
            (Some(_), None) => {
                return Err(
                    "DAYBOOK_TARGET_COMPLETION is not set: with DAYBOOK_TARGET_QUEUE_URL it is needed, as sent or \
                     reported"
                        .into(),
                );
            }
            (None, Some(_)) => {
                return Err(
                    "DAYBOOK_TARGET_COMPLETION is set without DAYBOOK_TARGET_QUEUE_URL: it is about a queue alone"
                        .into(),
                );
            }
            (None, None) => None,
        };
        const ONE: &str =
            "DAYBOOK_STATE_MACHINE_ARN, DAYBOOK_TARGET_FUNCTION_ARN and DAYBOOK_TARGET_QUEUE_URL";
        let mut named = [machine, function, queue].into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(format!("none of {ONE} is set: one of them is needed")),
            (Some(_), Some(_)) => Err(format!(
                "more than one of {ONE} is set: a deployment has one target"
            )),
        }
    }
}

impl NamedTarget {
    /// With the client that it needs.
    pub fn open(self, aws: &Aws) -> AttemptTarget {
        match self {
            Self::StateMachine(arn) => {
                let client = aws_sdk_sfn::Client::new(&aws.config(Service::StepFunctions));
                Executions::new(client, arn).into()
            }
            Self::Function(arn) => {
                let client = aws_sdk_lambda::Client::new(&aws.config(Service::Lambda));
                FunctionTarget::new(client, arn).into()
            }
            Self::Queue(url, completion) => {
                let client = aws_sdk_sqs::Client::new(&aws.config(Service::Sqs));
                QueueTarget::new(client, url, completion).into()
            }
        }
    }
}
