//! Settings of a table that have operations of their own: its TTL and its tags.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Code, Failure, Refusal};
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::wire::{check_name, invalid, request, response};
use crate::store::Map;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateTtl {
    table_name: String,
    time_to_live_specification: TtlSpecification,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TtlSpecification {
    attribute_name: String,
    enabled: bool,
}

pub(crate) async fn update_ttl(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: UpdateTtl = request(body)?;
    check_name(&request.table_name, "tableName")?;
    let specification = request.time_to_live_specification;
    let (name, attribute, enabled) = (
        request.table_name,
        specification.attribute_name.clone(),
        specification.enabled,
    );
    if attribute.is_empty() {
        return Err(invalid(&[
            "Value '' at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have \
             length greater than or equal to 1"
                .to_owned(),
        ])
        .into());
    }
    engine
        .change(move |change| {
            let mut table = Table::described(change, &name)?;
            let refused = match (&table.ttl, enabled) {
                (Some(there), true) if *there == attribute => Some("TimeToLive is already enabled"),
                (Some(_), true) => Some("TimeToLive is already enabled with a different attribute name"),
                (None, false) => Some("TimeToLive is already disabled"),
                (Some(there), false) if *there != attribute => {
                    Some("TimeToLive is active on a different AttributeName")
                }
                _ => None,
            };
            if let Some(refused) = refused {
                return Err(Refusal::validation(refused).into());
            }
            table.ttl = enabled.then_some(attribute);
            Ok(change.put(Map::Tables, name.as_bytes(), &table.kept())?)
        })
        .await?;
    Ok(response(&BTreeMap::from([(
        "TimeToLiveSpecification",
        specification,
    )])))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeTtl {
    table_name: String,
}

pub(crate) async fn describe_ttl(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let DescribeTtl { table_name } = request(body)?;
    check_name(&table_name, "tableName")?;
    let table = engine
        .look(move |look| Table::described(look, &table_name))
        .await?;
    let description = match &table.ttl {
        Some(attribute) => BTreeMap::from([
            ("TimeToLiveStatus", "ENABLED"),
            ("AttributeName", attribute.as_str()),
        ]),
        None => BTreeMap::from([("TimeToLiveStatus", "DISABLED")]),
    };
    Ok(response(&BTreeMap::from([(
        "TimeToLiveDescription",
        description,
    )])))
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagResource {
    resource_arn: String,
    tags: Vec<Tag>,
}

/// The table of this ARN.
fn named(engine: &Engine, arn: &str) -> Result<String, Refusal> {
    let prefix = engine.table_arn("");
    let name = arn.strip_prefix(&prefix).filter(|name| !name.is_empty());
    name.map(str::to_owned).ok_or_else(|| {
        Refusal::validation(format!(
            "Invalid TableArn: Invalid ResourceArn provided as input {arn}"
        ))
    })
}

fn find(look: &(impl crate::store::Look + ?Sized), name: &str, arn: &str) -> Result<Table, Failure> {
    let missing = || {
        let message = format!("Requested resource not found: ResourcArn: {arn} not found");
        Refusal::new(Code::ResourceNotFound, message)
    };
    Ok(Table::find(look, name)?.ok_or_else(missing)?)
}

pub(crate) async fn tag(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let TagResource { resource_arn, tags } = request(body)?;
    let name = named(engine, &resource_arn)?;
    if tags.is_empty() {
        return Err(Refusal::validation("Atleast one Tag needs to be provided as Input.").into());
    }
    engine
        .change(move |change| {
            let mut table = find(change, &name, &resource_arn)?;
            table
                .tags
                .extend(tags.into_iter().map(|tag| (tag.key, tag.value)));
            Ok(change.put(Map::Tables, name.as_bytes(), &table.kept())?)
        })
        .await?;
    Ok(b"{}".to_vec())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(crate) async fn untag(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let UntagResource {
        resource_arn,
        tag_keys,
    } = request(body)?;
    let name = named(engine, &resource_arn)?;
    if tag_keys.is_empty() {
        return Err(Refusal::validation("Atleast one Tag Key needs to be provided as Input.").into());
    }
    engine
        .change(move |change| {
            let mut table = find(change, &name, &resource_arn)?;
            table.tags.retain(|key, _| !tag_keys.contains(key));
            Ok(change.put(Map::Tables, name.as_bytes(), &table.kept())?)
        })
        .await?;
    Ok(b"{}".to_vec())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListTags {
    resource_arn: String,
}

pub(crate) async fn list_tags(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let ListTags { resource_arn } = request(body)?;
    let name = named(engine, &resource_arn)?;
    let table = engine.look(move |look| find(look, &name, &resource_arn)).await?;
    let tags: Vec<Tag> = (table.tags.into_iter())
        .map(|(key, value)| Tag { key, value })
        .collect();
    Ok(response(&BTreeMap::from([("Tags", tags)])))
}
