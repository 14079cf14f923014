//! DescribeTable and ListTables.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use serde::{Deserialize, Serialize};

use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::Failure;
use crate::dynamodb::tables::schema::{Index, Keys, Projection, Table};
use crate::dynamodb::tokens;
use crate::dynamodb::wire::{check_name, invalid, request, response};
use crate::store::Map;

/// How many names ListTables gives at most.
const MOST_NAMES: usize = 100;

/// A table as AWS describes it. How many items it has AWS counts every six hours; here nobody counts, and it says 0.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TableDescription<'a> {
    table_name: &'a str,
    table_id: &'a str,
    table_arn: String,
    pub(super) table_status: &'static str,
    creation_date_time: f64,
    attribute_definitions: Vec<AttributeDefinition<'a>>,
    key_schema: Vec<KeySchemaElement<'a>>,
    item_count: u64,
    table_size_bytes: u64,
    provisioned_throughput: Throughput,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing_mode_summary: Option<BTreeMap<&'static str, &'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table_class_summary: Option<BTreeMap<&'static str, &'a str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    global_secondary_indexes: Vec<IndexDescription<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    local_secondary_indexes: Vec<IndexDescription<'a>>,
    deletion_protection_enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeDefinition<'a> {
    attribute_name: &'a str,
    attribute_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeySchemaElement<'a> {
    attribute_name: &'a str,
    key_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Throughput {
    number_of_decreases_today: u64,
    read_capacity_units: u64,
    write_capacity_units: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct IndexDescription<'a> {
    index_name: &'a str,
    index_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_status: Option<&'static str>,
    key_schema: Vec<KeySchemaElement<'a>>,
    projection: ProjectionDescription<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioned_throughput: Option<Throughput>,
    item_count: u64,
    index_size_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ProjectionDescription<'a> {
    projection_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    non_key_attributes: Option<&'a [String]>,
}

impl<'a> TableDescription<'a> {
    pub(super) fn of(engine: &Engine, table: &'a Table) -> Self {
        let arn = engine.table_arn(&table.name);
        let indexes = |local: bool| {
            let indexes = table.indexes.iter().filter(|index| index.local == local);
            indexes
                .map(|index| IndexDescription::of(&arn, index))
                .collect::<Vec<_>>()
        };
        let on_demand = table.provisioned.is_none();
        Self {
            table_name: &table.name,
            table_id: &table.id,
            table_status: "ACTIVE",
            creation_date_time: table.created,
            attribute_definitions: (table.attributes.iter())
                .map(|one| AttributeDefinition {
                    attribute_name: &one.name,
                    attribute_type: one.kind.name(),
                })
                .collect(),
            key_schema: schema(&table.keys),
            item_count: 0,
            table_size_bytes: 0,
            provisioned_throughput: Throughput::of(table.provisioned),
            billing_mode_summary: on_demand.then(|| BTreeMap::from([("BillingMode", "PAY_PER_REQUEST")])),
            table_class_summary: (table.table_class.as_deref())
                .map(|class| BTreeMap::from([("TableClass", class)])),
            global_secondary_indexes: indexes(false),
            local_secondary_indexes: indexes(true),
            deletion_protection_enabled: table.deletion_protection,
            table_arn: arn,
        }
    }

    pub(super) fn as_answer(&self, member: &'static str) -> BTreeMap<&'static str, &Self> {
        BTreeMap::from([(member, self)])
    }
}

impl Throughput {
    fn of(provisioned: Option<(u64, u64)>) -> Self {
        let (read_capacity_units, write_capacity_units) = provisioned.unwrap_or_default();
        Self {
            number_of_decreases_today: 0,
            read_capacity_units,
            write_capacity_units,
        }
    }
}

impl<'a> IndexDescription<'a> {
    fn of(table_arn: &str, index: &'a Index) -> Self {
        let (projection_type, non_key_attributes) = match &index.projection {
            Projection::All => ("ALL", None),
            Projection::KeysOnly => ("KEYS_ONLY", None),
            Projection::Include(names) => ("INCLUDE", Some(names.as_slice())),
        };
        Self {
            index_name: &index.name,
            index_arn: format!("{table_arn}/index/{}", index.name),
            index_status: (!index.local).then_some("ACTIVE"),
            key_schema: schema(&index.keys),
            projection: ProjectionDescription {
                projection_type,
                non_key_attributes,
            },
            provisioned_throughput: (!index.local).then(|| Throughput::of(index.provisioned)),
            item_count: 0,
            index_size_bytes: 0,
        }
    }
}

fn schema(keys: &Keys) -> Vec<KeySchemaElement<'_>> {
    keys.iter()
        .zip(["HASH", "RANGE"])
        .map(|(key, key_type)| KeySchemaElement {
            attribute_name: &key.name,
            key_type,
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeTable {
    table_name: String,
}

pub(crate) async fn describe(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let DescribeTable { table_name } = request(body)?;
    check_name(&table_name, "tableName")?;
    let table = engine
        .look(move |look| Table::described(look, &table_name))
        .await?;
    let description = TableDescription::of(engine, &table);
    Ok(response(&description.as_answer("Table")))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListTables {
    exclusive_start_table_name: Option<String>,
    limit: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    table_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_evaluated_table_name: Option<String>,
}

pub(crate) async fn list(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let ListTables {
        exclusive_start_table_name: start,
        limit,
    } = request(body)?;
    let limit = match limit {
        None => MOST_NAMES,
        Some(limit @ 1..=100) => usize::try_from(limit).unwrap_or(MOST_NAMES),
        Some(limit) => {
            let bound = if limit < 1 {
                "greater than or equal to 1"
            } else {
                "less than or equal to 100"
            };
            return Err(invalid(&[format!(
                "Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value {bound}"
            )])
            .into());
        }
    };
    let mut names = engine
        .look(move |look| {
            let mut names = Vec::new();
            let from = match &start {
                Some(start) => Bound::Excluded(start.as_bytes()),
                None => Bound::Included(tokens::BEHIND),
            };
            look.visit(Map::Tables, (from, Bound::Unbounded), false, &mut |name, _| {
                names.push(String::from_utf8_lossy(name).into_owned());
                match names.len() > limit {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })?;
            Ok(names)
        })
        .await?;
    let more = names.len() > limit;
    names.truncate(limit);
    Ok(response(&Listed {
        last_evaluated_table_name: names.last().filter(|_| more).cloned(),
        table_names: names,
    }))
}
