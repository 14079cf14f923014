//! UpdateTable.

use serde::Deserialize;

use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Code, Failure, Refusal};
use crate::dynamodb::keys;
use crate::dynamodb::tables::create::{self, AttributeDefinition, IndexRequest, Throughput};
use crate::dynamodb::tables::describe::TableDescription;
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::wire::{Unserved, check_name, refuse_unserved, request, response};
use crate::dynamodb::write::fill_index;
use crate::store::{Change, Map};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateTable {
    table_name: String,
    attribute_definitions: Option<Vec<AttributeDefinition>>,
    billing_mode: Option<String>,
    provisioned_throughput: Option<Throughput>,
    global_secondary_index_updates: Option<Vec<IndexUpdate>>,
    deletion_protection_enabled: Option<bool>,
    table_class: Option<String>,
    #[serde(default)]
    stream_specification: Unserved,
    #[serde(default)]
    replica_updates: Unserved,
    #[serde(rename = "SSESpecification", default)]
    sse_specification: Unserved,
    #[serde(default)]
    on_demand_throughput: Unserved,
    #[serde(default)]
    warm_throughput: Unserved,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexUpdate {
    create: Option<IndexRequest>,
    delete: Option<DeleteIndex>,
    update: Option<ThroughputUpdate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteIndex {
    index_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ThroughputUpdate {
    index_name: String,
    provisioned_throughput: Throughput,
}

/// Changes a table, at once: an index that is added is complete with the answer.
pub(crate) async fn update(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: UpdateTable = request(body)?;
    check_name(&request.table_name, "tableName")?;
    let instead = "it has no such setting";
    refuse_unserved([
        (
            "StreamSpecification",
            &request.stream_specification,
            "it has no streams",
        ),
        ("ReplicaUpdates", &request.replica_updates, "it is on one machine"),
        ("SSESpecification", &request.sse_specification, instead),
        ("OnDemandThroughput", &request.on_demand_throughput, instead),
        ("WarmThroughput", &request.warm_throughput, instead),
    ])?;
    let table = engine
        .change(move |change| {
            let mut table = Table::described(change, &request.table_name)?;
            apply(change, &mut table, request)?;
            change.put(Map::Tables, table.name.as_bytes(), &table.kept())?;
            Ok(table)
        })
        .await?;
    let description = TableDescription::of(engine, &table);
    Ok(response(&description.as_answer("TableDescription")))
}

/// Everything is checked before the first entry is written, so that a refusal changes nothing.
fn apply(change: &mut dyn Change, table: &mut Table, request: UpdateTable) -> Result<(), Failure> {
    let UpdateTable {
        attribute_definitions,
        billing_mode,
        provisioned_throughput,
        global_secondary_index_updates,
        ..
    } = request;
    table.deletion_protection = request
        .deletion_protection_enabled
        .unwrap_or(table.deletion_protection);
    table.table_class = request.table_class.or(table.table_class.take());
    if billing_mode.is_some() || provisioned_throughput.is_some() {
        let mode = match table.provisioned {
            None => "PAY_PER_REQUEST",
            Some(_) => "PROVISIONED",
        };
        let mode = billing_mode.as_deref().unwrap_or(mode);
        table.provisioned = create::provisioned(Some(mode), provisioned_throughput)?;
    }
    define(table, attribute_definitions.unwrap_or_default())?;
    let (added, deleted) = update_indexes(table, global_secondary_index_updates.unwrap_or_default())?;
    let of_keys = |table: &Table, name: &str| {
        table.keys.has(name) || table.indexes.iter().any(|index| index.keys.has(name))
    };
    let kept = (table.attributes.iter())
        .filter(|one| of_keys(table, &one.name))
        .cloned();
    table.attributes = kept.collect();
    create::check_indexes(table)?;
    for name in deleted {
        keys::remove_all(change, Map::Entries, &keys::of_index(&table.name, &name))?;
    }
    for name in added {
        fill_index(change, table, table.index(&name)?)?;
    }
    Ok(())
}

/// Defines attributes; those that are defined stay as they are.
fn define(table: &mut Table, definitions: Vec<AttributeDefinition>) -> Result<(), Refusal> {
    for definition in create::definitions(definitions)? {
        match table
            .attributes
            .iter()
            .find(|there| there.name == definition.name)
        {
            None => table.attributes.push(definition),
            Some(there) if *there == definition => {}
            Some(_) => {
                return Err(Refusal::validation(format!(
                    "One or more parameter values were invalid: The type of the key attribute {} cannot be changed",
                    definition.name
                )));
            }
        }
    }
    Ok(())
}

/// Changes the description's indexes; the names of those that are added and deleted.
fn update_indexes(
    table: &mut Table,
    updates: Vec<IndexUpdate>,
) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let (mut added, mut deleted) = (Vec::new(), Vec::new());
    for update in updates {
        match update {
            IndexUpdate {
                create: Some(one), ..
            } => {
                let index = create::index(one, &table.attributes, false, &table.keys)?;
                added.push(index.name.clone());
                table.indexes.push(index);
            }
            IndexUpdate {
                delete: Some(one), ..
            } => {
                existing(table, &one.index_name)?;
                table.indexes.retain(|index| index.name != one.index_name);
                deleted.push(one.index_name);
            }
            IndexUpdate {
                update: Some(one), ..
            } => {
                let units = one.provisioned_throughput;
                let at = existing(table, &one.index_name)?;
                table.indexes[at].provisioned = Some((units.read_capacity_units, units.write_capacity_units));
            }
            _ => {
                return Err(Refusal::validation(
                    "One or more parameter values were invalid: One of GlobalSecondaryIndexUpdate's Create, Update and \
                     Delete must be specified",
                ));
            }
        }
    }
    Ok((added, deleted))
}

/// Where the global index of that name is.
fn existing(table: &Table, name: &str) -> Result<usize, Refusal> {
    let at = table
        .indexes
        .iter()
        .position(|index| index.name == name && !index.local);
    at.ok_or_else(|| {
        Refusal::new(
            Code::ResourceNotFound,
            format!("Requested resource not found: Index: {name} not found"),
        )
    })
}
