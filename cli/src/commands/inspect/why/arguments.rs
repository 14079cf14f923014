//! What `daybook why` can be asked for.

use clap::Args;
use daybook_schema::SourceName;

use crate::args::object_ref::Wanted;
use crate::args::values;
use crate::aws::notifications;
use crate::deployment::DeploymentArguments;
use crate::deployment::s3::S3Arguments;

/// Say in a sentence why an object is not processed, or that it is
///
/// Asked are the ledger and its receipts, the execution, the dispatch queue, and of S3 the object itself (HeadObject) and the
/// bucket's notifications. A folder of `daybook up` asks S3 only where --s3-endpoint, --s3-region or AWS's own configuration
/// (AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE) says which. What could not be found out is named; where it could change the answer, the exit code is 1.
///
/// With --output json: situation is one of done, done_row_left, removed, due, backlog, backoff, paused, not_running, queued,
/// running, ended, lease_over, undelivered, parked, unreadable, object_gone, never_there, not_covered, partly_covered,
/// on_its_way, before_ledger, maybe_expired, missed, never_seen, not_open. says and next are the sentences; event, row,
/// receipt, object and notifications are what they rest on, null where there is none or it is unknown; unknown says why.
#[derive(Args, Debug)]
pub struct WhyArguments {
    /// s3://bucket/key, with ?versionId=… for one version, or an event's id
    #[arg(value_name = "S3-URI|ID")]
    pub(crate) what: Wanted,

    #[command(flatten)]
    pub deployment: DeploymentArguments,

    /// N, for telling how long a backlog takes; what was set while running wins
    #[arg(long, value_name = "N", value_parser = values::at_least_one, help_heading = "Deployment")]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    pub per_window: Option<u32>,

    /// The SQS queue that notifications arrive on: only what is sent there counts as covered
    #[arg(long, value_name = "URL", value_parser = values::queue_url, help_heading = "Deployment")]
    #[arg(env = "DAYBOOK_INTAKE_QUEUE_URL", hide_env_values = true)]
    pub intake_queue_url: Option<String>,

    /// Which S3 the object is in, as it is called at ingest; unless given as the folder calls it (aws on AWS), and open rows
    /// of all sources
    #[arg(long, value_name = "NAME", help_heading = "Object")]
    #[arg(env = "DAYBOOK_SOURCE", hide_env_values = true)]
    pub source: Option<SourceName>,

    /// Which event should have been told, such as s3:ObjectRemoved:Delete; uploads unless given
    #[arg(long, value_name = "EVENT", value_parser = notifications::event, help_heading = "Object")]
    pub event: Option<String>,

    /// For an id without a row: read all receipts until its receipt is found (half a read unit per 4 KB). A local folder
    /// is always searched so
    #[arg(long, help_heading = "Object")]
    pub scan_receipts: bool,

    #[command(flatten)]
    pub s3: S3Arguments,

    /// Leave S3 alone
    #[arg(long, help_heading = "S3")]
    pub no_s3: bool,
}
