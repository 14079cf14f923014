//! The tables, as data. Local mode, the tests and the deploy template are held to these definitions.

use serde_json::{Value, json};

/// The attribute names that more than one crate spells.
pub mod attribute {
    /// Partition key of both tables.
    pub const ID: &str = "id";
    /// Partition key of the index.
    pub const STATUS_SHARD: &str = "status_shard";
    /// Sort key of the index.
    pub const DUE_AT: &str = "due_at";
    /// TTL of the receipts.
    pub const EXPIRES_AT: &str = "expires_at";
}

/// The index of the ledger by status and due time.
pub const BY_STATUS: &str = "by_status";

/// The `id` of the ledger's one item that is no row. It has no `status_shard`, so it is in no index.
pub const CONTROL_ID: &str = "control";

/// A table: on demand, all key attributes are strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// What it holds.
    pub role: &'static str,
    /// The partition key.
    pub partition_key: &'static str,
    /// Its indexes.
    pub indexes: &'static [IndexDefinition],
    /// The attribute that DynamoDB's TTL reads, in seconds since 1970.
    pub ttl_attribute: Option<&'static str>,
}

/// A global secondary index, KEYS_ONLY: a write of any other attribute of a row costs it nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    /// Its name.
    pub name: &'static str,
    /// Its partition key.
    pub partition_key: &'static str,
    /// Its sort key.
    pub sort_key: &'static str,
}

/// Open work and the control item, nothing else.
pub const LEDGER: TableDefinition = TableDefinition {
    role: "ledger",
    partition_key: attribute::ID,
    indexes: &[IndexDefinition {
        name: BY_STATUS,
        partition_key: attribute::STATUS_SHARD,
        sort_key: attribute::DUE_AT,
    }],
    ttl_attribute: None,
};

/// What is done, until its TTL.
pub const RECEIPTS: TableDefinition = TableDefinition {
    role: "receipts",
    partition_key: attribute::ID,
    indexes: &[],
    ttl_attribute: Some(attribute::EXPIRES_AT),
};

impl TableDefinition {
    /// The CreateTable request for a table of this definition.
    pub fn create_table(&self, name: &str) -> Value {
        let key = |name: &str, role: &str| json!({"AttributeName": name, "KeyType": role});
        let mut attributes = vec![self.partition_key];
        attributes.extend(
            self.indexes
                .iter()
                .flat_map(|index| [index.partition_key, index.sort_key]),
        );
        let indexes: Vec<Value> = self
            .indexes
            .iter()
            .map(|index| {
                json!({
                    "IndexName": index.name,
                    "KeySchema": [key(index.partition_key, "HASH"), key(index.sort_key, "RANGE")],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                })
            })
            .collect();
        let mut request = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attributes
                .iter()
                .map(|name| json!({"AttributeName": name, "AttributeType": "S"}))
                .collect::<Vec<_>>(),
            "KeySchema": [key(self.partition_key, "HASH")],
        });
        if !indexes.is_empty() {
            request["GlobalSecondaryIndexes"] = Value::Array(indexes);
        }
        request
    }

    /// The UpdateTimeToLive request, for a table that has a TTL.
    pub fn enable_ttl(&self, name: &str) -> Option<Value> {
        self.ttl_attribute.map(|attribute| {
            json!({
                "TableName": name,
                "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
            })
        })
    }
}
