//! What `daybook why` can be asked for.

use clap::Args;
use daybook_inspect::aws::notifications;
use daybook_inspect::object_ref::Wanted;
use daybook_schema::SourceName;

use crate::args::values;
use crate::deployment::DeploymentArguments;
use crate::deployment::s3::S3Arguments;

/// Say why an object is not processed, or confirm that it is
///
/// It asks the ledger and its receipts, the execution, the dispatch queue and, in S3, the object itself
/// (HeadObject) and the bucket's notifications. For a folder of `daybook up`, S3 is asked only where
/// --s3-endpoint, --s3-region or AWS's own configuration (AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE) says
/// which one. What could not be determined is named; if it could change the answer, the exit code is 1.
#[derive(Args, Debug)]
pub struct WhyArguments {
    /// s3://bucket/key, or an event id
    ///
    /// With ?versionId=… for one version
    #[arg(value_name = "S3-URI|ID")]
    pub(crate) what: Wanted,

    #[command(flatten)]
    pub deployment: DeploymentArguments,

    /// N, to estimate how long a backlog takes
    ///
    /// An N that was set while running takes precedence
    #[arg(long, value_name = "N", value_parser = values::at_least_one, help_heading = "Dispatch")]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    pub per_window: Option<u32>,

    /// SQS queue that notifications arrive on: only what is sent there counts as covered
    #[arg(long, value_name = "URL", value_parser = values::queue_url, help_heading = "Deployment")]
    #[arg(env = "DAYBOOK_INTAKE_QUEUE_URL", hide_env_values = true)]
    pub intake_queue_url: Option<String>,

    /// Name of the S3 that holds the object
    ///
    /// As given to ingest. By default the folder's (aws on AWS) for receipts, and any for open rows
    #[arg(long, value_name = "NAME", help_heading = "Object")]
    #[arg(env = "DAYBOOK_SOURCE", hide_env_values = true)]
    pub source: Option<SourceName>,

    /// Event that should have notified; uploads by default
    ///
    /// A deletion is s3:ObjectRemoved:Delete
    #[arg(long, value_name = "EVENT", value_parser = notifications::event, help_heading = "Object")]
    pub event: Option<String>,

    /// For an id without a row: read all receipts
    ///
    /// It ends where its receipt is found, and costs half a read unit per 4 KB. A local folder is always
    /// searched this way
    #[arg(long, help_heading = "Object")]
    pub scan_receipts: bool,

    #[command(flatten)]
    pub s3: S3Arguments,

    /// Do not ask S3
    #[arg(long, help_heading = "S3")]
    pub no_s3: bool,
}
