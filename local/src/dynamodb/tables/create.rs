//! CreateTable.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Code, Failure, Refusal};
use crate::dynamodb::tables::describe::TableDescription;
use crate::dynamodb::tables::schema::{Definition, Index, Keys, Projection, Table};
use crate::dynamodb::value::KeyType;
use crate::dynamodb::wire::{check_name, invalid, missing, one_of, request, response};
use crate::store::Map;

/// How many indexes of each kind a table has at most.
const MOST_GLOBAL: usize = 20;
const MOST_LOCAL: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateTable {
    table_name: String,
    attribute_definitions: Vec<AttributeDefinition>,
    key_schema: Vec<KeySchemaElement>,
    #[serde(default)]
    global_secondary_indexes: Option<Vec<IndexRequest>>,
    #[serde(default)]
    local_secondary_indexes: Option<Vec<IndexRequest>>,
    billing_mode: Option<String>,
    provisioned_throughput: Option<Throughput>,
    stream_specification: Option<StreamSpecification>,
    table_class: Option<String>,
    deletion_protection_enabled: Option<bool>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamSpecification {
    #[serde(default)]
    stream_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttributeDefinition {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeySchemaElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct IndexRequest {
    pub(super) index_name: String,
    key_schema: Vec<KeySchemaElement>,
    projection: ProjectionRequest,
    provisioned_throughput: Option<Throughput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProjectionRequest {
    projection_type: Option<String>,
    non_key_attributes: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Throughput {
    pub(super) read_capacity_units: u64,
    pub(super) write_capacity_units: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

/// Makes a table, which is ready at once.
pub(crate) async fn create(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: CreateTable = request(body)?;
    let table = table(engine, request)?;
    let described = response(&TableDescription::of(engine, &table).as_answer("TableDescription"));
    engine
        .change(move |change| {
            if Table::find(change, &table.name)?.is_some() {
                let message = format!("Table already exists: {}", table.name);
                return Err(Refusal::new(Code::ResourceInUse, message).into());
            }
            Ok(change.put(Map::Tables, table.name.as_bytes(), &table.kept())?)
        })
        .await?;
    Ok(described)
}

fn table(engine: &Engine, request: CreateTable) -> Result<Table, Refusal> {
    check_name(&request.table_name, "tableName")?;
    if request
        .stream_specification
        .is_some_and(|stream| stream.stream_enabled)
    {
        return Err(Refusal::validation(
            "Daybook's embedded DynamoDB has no streams: leave StreamSpecification out",
        ));
    }
    let attributes = definitions(request.attribute_definitions)?;
    let keys = keys(&request.key_schema, &attributes, true)?;
    let provisioned = provisioned(request.billing_mode.as_deref(), request.provisioned_throughput)?;
    let mut indexes = Vec::new();
    let (global, local) = (
        request.global_secondary_indexes.unwrap_or_default(),
        request.local_secondary_indexes.unwrap_or_default(),
    );
    for (requests, is_local, most, kind) in [
        (global, false, MOST_GLOBAL, "GlobalSecondaryIndex"),
        (local, true, MOST_LOCAL, "LocalSecondaryIndex"),
    ] {
        if requests.len() > most {
            return Err(Refusal::validation(format!(
                "One or more parameter values were invalid: {kind} count exceeds the per-table limit of {most}"
            )));
        }
        for one in requests {
            indexes.push(index(one, &attributes, is_local, &keys)?);
        }
    }
    let mut table = Table {
        name: request.table_name,
        id: engine.ids.uuid().to_string(),
        created: engine.now_ms() as f64 / 1e3,
        attributes,
        keys,
        indexes,
        provisioned,
        deletion_protection: request.deletion_protection_enabled.unwrap_or_default(),
        ttl: None,
        table_class: request.table_class,
        tags: Default::default(),
    };
    for tag in request.tags.unwrap_or_default() {
        table.tags.insert(tag.key, tag.value);
    }
    check_indexes(&table)?;
    Ok(table)
}

/// Names are there once, and every attribute is of some key.
pub(super) fn check_indexes(table: &Table) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    for index in &table.indexes {
        if !names.insert(index.name.as_str()) {
            return Err(Refusal::validation(format!(
                "One or more parameter values were invalid: Duplicate index name: {}",
                index.name
            )));
        }
    }
    let of_keys = |name: &str| table.keys.has(name) || table.indexes.iter().any(|index| index.keys.has(name));
    if !table.attributes.iter().all(|one| of_keys(&one.name)) {
        let used: BTreeSet<&str> = (table.keys.iter())
            .chain(table.indexes.iter().flat_map(|index| index.keys.iter()))
            .map(|key| key.name.as_str())
            .collect();
        return Err(Refusal::validation(format!(
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match \
             number of attributes defined in AttributeDefinitions. Keys: {used:?}"
        )));
    }
    Ok(())
}

pub(super) fn definitions(requests: Vec<AttributeDefinition>) -> Result<Vec<Definition>, Refusal> {
    let mut definitions: Vec<Definition> = Vec::new();
    for (index, one) in requests.into_iter().enumerate() {
        let member = format!("attributeDefinitions.{}.member.attributeType", index + 1);
        let kinds = [("S", KeyType::S), ("N", KeyType::N), ("B", KeyType::B)];
        let kind = one_of(&member, Some(&one.attribute_type), &kinds)?;
        if definitions.iter().any(|there| there.name == one.attribute_name) {
            return Err(Refusal::validation(
                "Duplicate AttributeName in AttributeDefinitions",
            ));
        }
        definitions.push(Definition {
            name: one.attribute_name,
            kind,
        });
    }
    Ok(definitions)
}

fn keys(schema: &[KeySchemaElement], definitions: &[Definition], of_table: bool) -> Result<Keys, Refusal> {
    if schema.is_empty() {
        return Err(missing("KeySchema"));
    }
    let roles = [("HASH", true), ("RANGE", false)];
    let mut keys = Vec::new();
    for (index, key) in schema.iter().enumerate() {
        let member = format!("keySchema.{}.member.keyType", index + 1);
        let is_partition = one_of(&member, Some(&key.key_type), &roles)?;
        if is_partition != (index == 0) {
            let words = match index {
                0 => "The first KeySchemaElement is not a HASH key type",
                _ => "The second KeySchemaElement is not a RANGE key type",
            };
            return Err(Refusal::validation(format!("Invalid KeySchema: {words}")));
        }
        let defined = definitions.iter().find(|one| one.name == key.attribute_name);
        keys.push(defined.cloned().ok_or_else(|| {
            let which = if of_table { "" } else { "index " };
            Refusal::validation(format!(
                "One or more parameter values were invalid: Some {which}key attributes are not defined in \
                 AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
                names(schema.iter().map(|key| &key.attribute_name)),
                names(definitions.iter().map(|one| &one.name)),
            ))
        })?);
    }
    let mut keys = keys.into_iter();
    let (partition, sort, more) = (keys.next(), keys.next(), keys.next());
    match (partition, more) {
        (Some(partition), None) if sort.as_ref() != Some(&partition) => Ok(Keys { partition, sort }),
        (_, Some(_)) => Err(invalid(&[
            "Value at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2"
                .to_owned(),
        ])),
        _ => Err(Refusal::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        )),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// An index as it was asked for.
pub(super) fn index(
    request: IndexRequest,
    definitions: &[Definition],
    local: bool,
    table: &Keys,
) -> Result<Index, Refusal> {
    check_name(&request.index_name, "indexName")?;
    let keys = keys(&request.key_schema, definitions, false)?;
    if local && (keys.partition != table.partition || keys.sort.is_none()) {
        return Err(Refusal::validation(format!(
            "One or more parameter values were invalid: Index KeySchema does not have the table's hash key and a \
             range key for index: {}",
            request.index_name
        )));
    }
    let projection = request.projection;
    let projection = match (
        projection.projection_type.as_deref(),
        projection.non_key_attributes,
    ) {
        (Some("ALL"), None) => Projection::All,
        (Some("KEYS_ONLY"), None) => Projection::KeysOnly,
        (Some("INCLUDE"), Some(names)) if !names.is_empty() => Projection::Include(names),
        (Some("INCLUDE"), _) => {
            return Err(Refusal::validation(
                "One or more parameter values were invalid: ProjectionType is INCLUDE, but NonKeyAttributes is not \
                 specified",
            ));
        }
        (Some(kind @ ("ALL" | "KEYS_ONLY")), Some(_)) => {
            return Err(Refusal::validation(format!(
                "One or more parameter values were invalid: ProjectionType is {kind}, but NonKeyAttributes is specified"
            )));
        }
        (kind, _) => {
            return Err(Refusal::validation(format!(
                "One or more parameter values were invalid: Unknown ProjectionType: {}",
                kind.unwrap_or("null")
            )));
        }
    };
    Ok(Index {
        name: request.index_name,
        local,
        keys,
        projection,
        provisioned: request
            .provisioned_throughput
            .map(|units| (units.read_capacity_units, units.write_capacity_units)),
    })
}

/// The units that are paid for beforehand, or none on demand.
pub(super) fn provisioned(
    billing_mode: Option<&str>,
    throughput: Option<Throughput>,
) -> Result<Option<(u64, u64)>, Refusal> {
    let modes = [("PROVISIONED", false), ("PAY_PER_REQUEST", true)];
    match (one_of("billingMode", billing_mode, &modes)?, throughput) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(Refusal::validation(
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be \
             specified when BillingMode is PAY_PER_REQUEST",
        )),
        (false, Some(units)) if units.read_capacity_units > 0 && units.write_capacity_units > 0 => {
            Ok(Some((units.read_capacity_units, units.write_capacity_units)))
        }
        (false, Some(_)) => Err(invalid(&[
            "Value '0' at 'provisionedThroughput' failed to satisfy constraint: Member must have value greater than \
             or equal to 1"
                .to_owned(),
        ])),
        (false, None) => Err(Refusal::validation(
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be \
             specified when BillingMode is PROVISIONED",
        )),
    }
}
