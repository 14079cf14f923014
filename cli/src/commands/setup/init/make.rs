//! Making one table or queue.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, Projection, ProjectionType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName;
use daybook_inspect::aws::queues;
use daybook_inspect::checks::role::Role;
use daybook_ledger::{Cause, describe};
use daybook_schema::tables::TableDefinition;
use serde_json::json;

use crate::aws::clients::Aws;
use crate::commands::setup::init::part::What;

/// How often a new table is looked at until it is there, once a second.
const LOOKS: u32 = 300;

/// Fourteen days, the longest that SQS keeps a message.
const LONGEST: &str = "1209600";

/// What will be made, in words.
pub fn words(what: What) -> String {
    match what {
        What::Table(definition) => {
            let index = definition
                .indexes
                .iter()
                .map(|index| format!(", index {}", index.name));
            let ttl = definition
                .ttl_attribute
                .map(|attribute| format!(", expiry by {attribute}"));
            let backups = match definition.ttl_attribute {
                None => ", point-in-time recovery",
                Some(_) => "",
            };
            format!(
                "on demand{}{}{backups}, protected against deletion",
                index.collect::<String>(),
                ttl.unwrap_or_default()
            )
        }
        What::Queue(role) => format!(
            "standard, encrypted by SQS, with a dead-letter queue after {} receives",
            role.receives()
        ),
    }
}

fn key(name: &str, role: KeyType) -> KeySchemaElement {
    let element = KeySchemaElement::builder().attribute_name(name).key_type(role);
    element.build().expect("name and role are set")
}

fn create(aws: &Aws, definition: &TableDefinition, name: &str) -> CreateTableFluentBuilder {
    let indexed = definition
        .indexes
        .iter()
        .flat_map(|index| [index.partition_key, index.sort_key]);
    let attributes = std::iter::once(definition.partition_key)
        .chain(indexed)
        .map(|name| {
            let attribute = AttributeDefinition::builder().attribute_name(name);
            attribute
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("name and type are set")
        });
    let indexes = definition.indexes.iter().map(|index| {
        let keys_only = Projection::builder()
            .projection_type(ProjectionType::KeysOnly)
            .build();
        GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .key_schema(key(index.partition_key, KeyType::Hash))
            .key_schema(key(index.sort_key, KeyType::Range))
            .projection(keys_only)
            .build()
            .expect("name and keys are set")
    });
    let indexes: Vec<GlobalSecondaryIndex> = indexes.collect();
    aws.dynamodb()
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes.collect()))
        .key_schema(key(definition.partition_key, KeyType::Hash))
        .set_global_secondary_indexes(Some(indexes).filter(|indexes| !indexes.is_empty()))
        .deletion_protection_enabled(true)
}

/// Makes a table and waits until it is there; what the service did not take, in words.
///
/// # Errors
/// What the service said.
pub async fn table(aws: &Aws, definition: &TableDefinition, name: &str) -> Result<Vec<String>, Cause> {
    let client = aws.dynamodb();
    let made = create(aws, definition, name).send().await;
    made.map_err(|error| describe(&error).of("CreateTable"))?;
    let mut looks = 0;
    loop {
        let seen = client.describe_table().table_name(name).send().await;
        // Right after CreateTable, a table may not be known everywhere.
        let status = seen.ok().and_then(|seen| seen.table?.table_status);
        if status == Some(TableStatus::Active) {
            break;
        }
        looks += 1;
        if looks == LOOKS {
            return Err(format!("after {LOOKS} seconds the table is not ACTIVE").into());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut left_out = Vec::new();
    if let Some(attribute) = definition.ttl_attribute {
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(attribute)
            .enabled(true);
        let set = client
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(specification.build().expect("attribute and switch are set"));
        if let Err(error) = set.send().await {
            left_out.push(format!(
                "table {name} does not expire anything: UpdateTimeToLive: {}",
                describe(&error)
            ));
        }
    } else {
        let specification = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
        let set = client
            .update_continuous_backups()
            .table_name(name)
            .point_in_time_recovery_specification(specification.build().expect("the switch is set"));
        if let Err(error) = set.send().await {
            let cause = describe(&error);
            left_out.push(format!(
                "table {name} has no point-in-time recovery: UpdateContinuousBackups: {cause}"
            ));
        }
    }
    Ok(left_out)
}

/// Makes a queue and its dead-letter queue.
///
/// # Errors
/// What the service said.
pub async fn queue(aws: &Aws, role: Role, name: &str) -> Result<(), Cause> {
    let dead = create_queue(
        aws,
        &format!("{name}-dead"),
        &[
            (QueueAttributeName::MessageRetentionPeriod, LONGEST.to_owned()),
            (QueueAttributeName::SqsManagedSseEnabled, "true".to_owned()),
        ],
    )
    .await?;
    let arn = queues::arn_of(&aws.queues(), &dead)
        .await
        .map_err(|cause| cause.of(format_args!("GetQueueAttributes {dead}")))?;
    let count = role.receives().to_string();
    let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": count}).to_string();
    // Less than its dead letters are kept, whose time counts from the first send.
    let retention = role.retention_seconds().to_string();
    create_queue(
        aws,
        name,
        &[
            (QueueAttributeName::MessageRetentionPeriod, retention),
            (QueueAttributeName::VisibilityTimeout, "180".to_owned()),
            (QueueAttributeName::SqsManagedSseEnabled, "true".to_owned()),
            (QueueAttributeName::RedrivePolicy, policy),
        ],
    )
    .await?;
    Ok(())
}

async fn create_queue(
    aws: &Aws,
    name: &str,
    attributes: &[(QueueAttributeName, String)],
) -> Result<String, Cause> {
    let attributes: HashMap<QueueAttributeName, String> = attributes.iter().cloned().collect();
    let made = aws
        .queues()
        .create_queue()
        .queue_name(name)
        .set_attributes(Some(attributes))
        .send()
        .await
        .map_err(|error| describe(&error).of(format_args!("CreateQueue {name}")))?;
    made.queue_url
        .ok_or_else(|| format!("CreateQueue {name}: the answer has no URL").into())
}

/// A queue's URL.
///
/// # Errors
/// What the service said.
pub async fn url(aws: &Aws, name: &str) -> Result<String, Cause> {
    let asked = aws.queues().get_queue_url().queue_name(name).send().await;
    let answer = asked.map_err(|error| describe(&error).of(format_args!("GetQueueUrl {name}")))?;
    answer
        .queue_url
        .ok_or_else(|| format!("GetQueueUrl {name}: the answer has no URL").into())
}
