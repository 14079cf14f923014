//! A table's description, as it is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dynamodb::error::{Code, Failure, Refusal};
use crate::dynamodb::texts::Texts;
use crate::dynamodb::value::KeyType;
use crate::store::{Look, Map};

/// A table.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: f64,
    pub(crate) attributes: Vec<Definition>,
    pub(crate) keys: Keys,
    pub(crate) indexes: Vec<Index>,
    /// Read and write units per second; `None` is on demand.
    pub(crate) provisioned: Option<(u64, u64)>,
    pub(crate) deletion_protection: bool,
    pub(crate) ttl: Option<String>,
    pub(crate) table_class: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An attribute that a key is made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) kind: KeyType,
}

/// What a table or an index is ordered by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Keys {
    pub(crate) partition: Definition,
    pub(crate) sort: Option<Definition>,
}

impl Keys {
    /// The attributes, the partition key first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Definition> {
        std::iter::once(&self.partition).chain(&self.sort)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.iter().any(|key| key.name == name)
    }
}

/// A secondary index.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Index {
    pub(crate) name: String,
    /// Within the table's partitions, and not over all of them.
    pub(crate) local: bool,
    pub(crate) keys: Keys,
    pub(crate) projection: Projection,
    pub(crate) provisioned: Option<(u64, u64)>,
}

/// Which attributes an index has, beside its keys and the table's.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) enum Projection {
    All,
    KeysOnly,
    Include(Vec<String>),
}

impl Index {
    /// Whether the attribute is in the index.
    pub(crate) fn projects(&self, table: &Table, name: &str) -> bool {
        match &self.projection {
            Projection::All => true,
            Projection::KeysOnly => self.keys.has(name) || table.keys.has(name),
            Projection::Include(names) => {
                self.keys.has(name) || table.keys.has(name) || names.iter().any(|one| one == name)
            }
        }
    }
}

impl Table {
    /// The table of that name.
    pub(crate) fn find(look: &(impl Look + ?Sized), name: &str) -> Result<Option<Self>, Failure> {
        let Some(kept) = look.get(Map::Tables, name.as_bytes())? else {
            return Ok(None);
        };
        Self::read(name, &kept).map(Some)
    }

    fn read(name: &str, kept: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(kept).map_err(|error| {
            let what = format!("the description of the table {name} cannot be read: {error}");
            Failure::Store(crate::store::StoreError::new(what))
        })
    }

    /// The table that a request reads or writes items of.
    pub(crate) fn of_items(look: &(impl Look + ?Sized), name: &str) -> Result<Arc<Self>, Failure> {
        static DESCRIPTIONS: Texts<Table> = Texts::new();
        let Some(kept) = look.get(Map::Tables, name.as_bytes())? else {
            return Err(not_found("Requested resource not found"));
        };
        match std::str::from_utf8(&kept) {
            Ok(text) => DESCRIPTIONS.read(text, || Self::read(name, &kept)),
            Err(_) => Self::read(name, &kept).map(Arc::new),
        }
    }

    /// The table that a request is about.
    pub(crate) fn described(look: &(impl Look + ?Sized), name: &str) -> Result<Self, Failure> {
        let missing = || not_found(format!("Requested resource not found: Table: {name} not found"));
        Self::find(look, name)?.ok_or_else(missing)
    }

    pub(crate) fn kept(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a description has only what JSON has")
    }

    /// The index of that name.
    pub(crate) fn index(&self, name: &str) -> Result<&Index, Refusal> {
        let found = self.indexes.iter().find(|index| index.name == name);
        found.ok_or_else(|| {
            Refusal::validation(format!("The table does not have the specified index: {name}"))
        })
    }
}

fn not_found(message: impl Into<String>) -> Failure {
    Refusal::new(Code::ResourceNotFound, message).into()
}
