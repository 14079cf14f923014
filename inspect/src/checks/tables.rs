//! The two tables: there, in the form that the code expects, and kept safe.

use aws_sdk_dynamodb::types::{
    BillingMode, IndexStatus, KeyType, ProjectionType, TableDescription, TableStatus,
};
use daybook_schema::Timestamp;
use daybook_schema::tables::{IndexDefinition, TableDefinition};

use crate::aws::answer::Answer;
use crate::checks::check::{Check, OfTable};
use crate::checks::finding::Item;

/// What was observed of a table.
#[derive(Clone, Debug)]
pub struct TableSeen {
    /// Its name.
    pub name: String,
    /// When DescribeTable was answered, by this machine's clock and by the `Date` of the response.
    pub answered: Option<(Timestamp, Timestamp)>,
    /// DescribeTable.
    pub table: Answer<TableDescription>,
    /// DescribeTimeToLive: the attribute, where it is on.
    pub ttl: Answer<Option<String>>,
    /// DescribeContinuousBackups: whether a point in time can be restored.
    pub backups: Answer<bool>,
}

/// All checks of a table.
pub fn checks(seen: &TableSeen, definition: &TableDefinition) -> Vec<Item> {
    let role = definition.role;
    let check = Check::Table(role, OfTable::Form);
    let flag = format!("--{role}-table (DAYBOOK_{}_TABLE)", role.to_uppercase());
    let name = &seen.name;
    let table = match &seen.table {
        Answer::Known(table) => table,
        Answer::Absent => {
            let remedy = format!("`daybook init` makes it; or {flag}, region and account name another one");
            return vec![Item::problem(&check, format!("there is no table {name}"), remedy)];
        }
        Answer::Unknown(refusal) => return vec![Item::refused(&check, refusal)],
    };
    let mut items = vec![form(&check, table, definition)];
    items.extend(definition.indexes.iter().map(|wanted| index(role, table, wanted)));
    items.push(capacity(role, table));
    items.push(deletion(role, table));
    items.push(ttl(role, seen, definition));
    if definition.ttl_attribute.is_none() {
        items.push(backups(role, seen));
    }
    items
}

/// `id HASH, due_at RANGE`: names and roles of keys, strings all of them.
fn keys(schema: &[aws_sdk_dynamodb::types::KeySchemaElement]) -> String {
    let key = |key: &aws_sdk_dynamodb::types::KeySchemaElement| {
        let role = if key.key_type == KeyType::Hash {
            "HASH"
        } else {
            "RANGE"
        };
        format!("{} {role}", key.attribute_name)
    };
    schema.iter().map(key).collect::<Vec<_>>().join(", ")
}

/// Whether it is there, with the key that the code expects.
fn form(check: &Check, table: &TableDescription, definition: &TableDefinition) -> Item {
    let name = table.table_name().unwrap_or_default();
    let wanted = format!("{} HASH", definition.partition_key);
    let has = keys(table.key_schema());
    if has != wanted {
        return Item::problem(
            check,
            format!("table {name} has the key {has}, and {wanted} is needed"),
            "keys cannot be changed: `daybook init` makes a table that fits under another name; is this one something else's?",
        );
    }
    let not_text = table
        .attribute_definitions()
        .iter()
        .find(|attribute| attribute.attribute_type != aws_sdk_dynamodb::types::ScalarAttributeType::S);
    if let Some(attribute) = not_text {
        return Item::problem(
            check,
            format!(
                "in table {name} the key attribute {} is no string",
                attribute.attribute_name
            ),
            "keys cannot be changed: `daybook init` makes a table that fits under another name",
        );
    }
    match table.table_status() {
        Some(TableStatus::Active) | None => Item::ok(check, format!("table {name}")),
        Some(status) => Item::warning(
            check,
            format!("table {name} is {status}"),
            "wait until it is ACTIVE, and look again",
        ),
    }
}

fn index(role: &'static str, table: &TableDescription, wanted: &IndexDefinition) -> Item {
    let check = Check::Table(role, OfTable::Index);
    let name = wanted.name;
    let on = table.table_name().unwrap_or_default();
    let found = table
        .global_secondary_indexes()
        .iter()
        .find(|index| index.index_name() == Some(name));
    let again = format!(
        "without it nothing is claimed: add the index {name} ({} HASH, {} RANGE, KEYS_ONLY) to table {on}, with \
         `aws dynamodb update-table` or in its template",
        wanted.partition_key, wanted.sort_key
    );
    let Some(index) = found else {
        return Item::problem(&check, format!("table {on} has no index {name}"), again);
    };
    let has = keys(index.key_schema());
    if has != format!("{} HASH, {} RANGE", wanted.partition_key, wanted.sort_key) {
        let finding = format!("the index {name} has the keys {has}");
        return Item::problem(&check, finding, format!("delete it first; {again}"));
    }
    if let Some(status) = index
        .index_status()
        .filter(|status| **status != IndexStatus::Active)
    {
        let finding = format!("the index {name} is {status}");
        return Item::warning(&check, finding, "wait until it is ACTIVE, and look again");
    }
    let projection = index
        .projection()
        .and_then(|projection| projection.projection_type());
    match projection {
        Some(ProjectionType::KeysOnly) => Item::ok(&check, format!("{name}, KEYS_ONLY")),
        other => Item::warning(
            &check,
            format!(
                "the index {name} projects {}: every write of a row costs more than it should",
                other.map_or("something unknown", ProjectionType::as_str)
            ),
            "recreate it as KEYS_ONLY when no events are open: nothing is claimed while there is no index",
        ),
    }
}

fn capacity(role: &'static str, table: &TableDescription) -> Item {
    let check = Check::Table(role, OfTable::Capacity);
    let name = table.table_name().unwrap_or_default();
    let mode = table
        .billing_mode_summary()
        .and_then(|summary| summary.billing_mode());
    // A table that was always provisioned has no summary.
    if mode == Some(&BillingMode::PayPerRequest) {
        return Item::ok(&check, "on demand");
    }
    let writes = table
        .provisioned_throughput()
        .and_then(|throughput| throughput.write_capacity_units())
        .unwrap_or(0);
    Item::warning(
        &check,
        format!(
            "provisioned, {writes} write units per second: a burst of uploads is throttled, and waits in the intake queue"
        ),
        format!("`aws dynamodb update-table --table-name {name} --billing-mode PAY_PER_REQUEST`"),
    )
}

fn deletion(role: &'static str, table: &TableDescription) -> Item {
    let check = Check::Table(role, OfTable::Deletion);
    let name = table.table_name().unwrap_or_default();
    match table.deletion_protection_enabled() {
        Some(true) => Item::ok(&check, "protected"),
        Some(false) | None => Item::warning(
            &check,
            "the table is not protected against deletion",
            format!("`aws dynamodb update-table --table-name {name} --deletion-protection-enabled`"),
        ),
    }
}

fn ttl(role: &'static str, seen: &TableSeen, definition: &TableDefinition) -> Item {
    let check = Check::Table(role, OfTable::Expiry);
    let name = &seen.name;
    let on = match &seen.ttl {
        Answer::Known(on) => on,
        Answer::Absent => return Item::unknown(&check, "the table is gone meanwhile", "look again"),
        Answer::Unknown(refusal) => return Item::refused(&check, refusal),
    };
    match (on.as_deref(), definition.ttl_attribute) {
        (on, wanted) if on == wanted => match wanted {
            Some(attribute) => Item::ok(&check, format!("by {attribute}")),
            None => Item::ok(&check, "never: rows stay until they are done"),
        },
        (Some(attribute), None) => Item::problem(
            &check,
            format!("DynamoDB deletes rows of table {name} by {attribute}: open events could vanish"),
            format!(
                "`aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification \
                 Enabled=false,AttributeName={attribute}`"
            ),
        ),
        (on, wanted) => {
            let wanted = wanted.unwrap_or_default();
            let finding = match on {
                None => format!("nothing expires: {wanted} is not switched on, and receipts pile up"),
                Some(on) => format!("it expires by {on}, and the code writes {wanted}"),
            };
            Item::warning(
                &check,
                finding,
                format!(
                    "`aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification \
                     Enabled=true,AttributeName={wanted}`"
                ),
            )
        }
    }
}

fn backups(role: &'static str, seen: &TableSeen) -> Item {
    let check = Check::Table(role, OfTable::Backups);
    match &seen.backups {
        Answer::Known(true) => Item::ok(&check, "a point in time can be restored"),
        Answer::Known(false) => Item::warning(
            &check,
            "no point in time can be restored: what is deleted by mistake is gone",
            format!(
                "`aws dynamodb update-continuous-backups --table-name {} --point-in-time-recovery-specification \
                 PointInTimeRecoveryEnabled=true`",
                seen.name
            ),
        ),
        Answer::Absent => Item::unknown(&check, "the table is gone meanwhile", "look again"),
        Answer::Unknown(refusal) => Item::refused(&check, refusal),
    }
}
