//! Tables in the embedded AWS, and clients of it.

use anyhow::{Context, bail};
use daybook_ledger::{TableName, client_timeouts};
use daybook_local::{Answer, LocalAws};
use daybook_schema::tables::TableDefinition;
use serde_json::Value;

/// The SDK's clients of the embedded AWS, in process.
#[derive(Clone, Debug)]
pub struct Clients {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
}

/// One client. A macro, because their configurations are three types with the same methods.
macro_rules! client {
    ($sdk:ident, $aws:expr) => {{
        let config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new("us-east-1"))
            .endpoint_url("http://embedded.invalid")
            // Nobody looks at a signature.
            .allow_no_auth()
            .http_client($aws.http_client())
            .timeout_config(client_timeouts())
            // A long poll in this process moves no bytes while it waits.
            .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled())
            .build();
        $sdk::Client::from_conf(config)
    }};
}

impl Clients {
    /// Clients of that embedded AWS.
    pub fn of(aws: &LocalAws) -> Self {
        Self {
            dynamodb: client!(aws_sdk_dynamodb, aws),
            sqs: client!(aws_sdk_sqs, aws),
            sfn: client!(aws_sdk_sfn, aws),
        }
    }
}

/// Makes the table if it is not there, with the TTL that its definition has.
///
/// # Errors
/// When it cannot be made.
pub async fn create_table(
    aws: &LocalAws,
    definition: TableDefinition,
    name: &str,
) -> anyhow::Result<TableName> {
    if !has_table(aws, name).await? {
        request(aws, "CreateTable", &definition.create_table(name))
            .await
            .with_context(|| format!("table {name} cannot be created"))?;
    }
    if let Some(ttl) = definition.enable_ttl(name) {
        // Refused where it is on already.
        if let Err(cause) = request(aws, "UpdateTimeToLive", &ttl).await {
            tracing::debug!(%cause, table = name, "TTL is not switched on again");
        }
    }
    name.parse().context("the name of an embedded table")
}

/// Whether there is a table of that name.
///
/// # Errors
/// When that cannot be found out.
pub async fn has_table(aws: &LocalAws, name: &str) -> anyhow::Result<bool> {
    let describe = serde_json::json!({ "TableName": name });
    let described = aws
        .handle("DynamoDB_20120810.DescribeTable", describe.to_string().as_bytes())
        .await;
    match described.error_code.as_deref() {
        Some("ResourceNotFoundException") => Ok(false),
        _ => done(described).map(|()| true),
    }
}

async fn request(aws: &LocalAws, operation: &str, body: &Value) -> anyhow::Result<()> {
    let target = format!("DynamoDB_20120810.{operation}");
    done(aws.handle(&target, body.to_string().as_bytes()).await)
}

fn done(answer: Answer) -> anyhow::Result<()> {
    if answer.status != 200 {
        bail!("{}", String::from_utf8_lossy(&answer.body));
    }
    Ok(())
}
