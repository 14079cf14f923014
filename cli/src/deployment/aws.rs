//! A deployment on AWS: the names of its parts, and the clients.

use daybook_ledger::Ledger;

use crate::aws::clients::Aws;
use crate::deployment::Outputs;

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
    /// What the stack says, if one is given.
    pub outputs: Outputs,
    /// What to call it.
    pub name: String,
}
