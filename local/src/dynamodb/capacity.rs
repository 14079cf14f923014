//! Consumed capacity, by AWS's rules.
//!
//! A write costs a unit for each KB begun of the larger of what was there and what is there then, at least one; one refused by its
//! condition as well, by what is there. An index costs what its entry's change costs: nothing where the entry stays as it is, and a
//! deletion and an insertion where its key changes. A read costs a unit for each 4 KB begun, half of that where it may be stale, at least
//! half a unit. In a transaction the table's part is double.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::dynamodb::error::Refusal;
use crate::dynamodb::wire::one_of;

/// What of it the request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    Total,
    Indexes,
}

impl Wanted {
    pub(crate) fn of(member: Option<&str>) -> Result<Self, Refusal> {
        let modes = [
            ("NONE", Self::Nothing),
            ("TOTAL", Self::Total),
            ("INDEXES", Self::Indexes),
        ];
        one_of("returnConsumedCapacity", member, &modes)
    }
}

/// Units of a write of that many bytes.
pub(crate) fn write_units(bytes: usize) -> f64 {
    bytes.div_ceil(1024).max(1) as f64
}

/// Units of a read of that many bytes.
pub(crate) fn read_units(bytes: usize, consistent: bool) -> f64 {
    let units = bytes.div_ceil(4096).max(1) as f64;
    if consistent { units } else { units / 2.0 }
}

/// Which kind of units a transaction's are, beside being capacity units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// It is not told.
    Untold,
    Read,
    Write,
}

/// What was consumed of one table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Units {
    pub(crate) table: f64,
    /// Of requests that were refused: part of the total, and of no part.
    pub(crate) refused: f64,
    /// By index; whether that is a local one.
    pub(crate) indexes: BTreeMap<String, (bool, f64)>,
}

impl Units {
    pub(crate) fn of_table(units: f64) -> Self {
        Self {
            table: units,
            ..Self::default()
        }
    }

    pub(crate) fn of_index(name: &str, local: bool, units: f64) -> Self {
        Self {
            indexes: BTreeMap::from([(name.to_owned(), (local, units))]),
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.table += other.table;
        self.refused += other.refused;
        for (name, (local, units)) in &other.indexes {
            self.indexes.entry(name.clone()).or_insert((*local, 0.0)).1 += units;
        }
    }

    pub(crate) fn total(&self) -> f64 {
        self.table + self.refused + self.indexes.values().map(|(_, units)| units).sum::<f64>()
    }
}

/// As it is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Consumed {
    table_name: String,
    #[serde(flatten)]
    total: Told,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<Told>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    global_secondary_indexes: BTreeMap<String, Told>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    local_secondary_indexes: BTreeMap<String, Told>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    capacity_units: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_capacity_units: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_capacity_units: Option<f64>,
}

impl Told {
    fn new(units: f64, axis: Axis) -> Self {
        Self {
            capacity_units: units,
            read_capacity_units: (axis == Axis::Read).then_some(units),
            write_capacity_units: (axis == Axis::Write).then_some(units),
        }
    }
}

impl Consumed {
    /// `None` where the request does not ask for it.
    pub(crate) fn new(table: &str, units: &Units, wanted: Wanted, axis: Axis) -> Option<Self> {
        if wanted == Wanted::Nothing {
            return None;
        }
        let told = |local: bool| -> BTreeMap<String, Told> {
            let of_kind = units
                .indexes
                .iter()
                .filter(|(_, (is_local, _))| *is_local == local);
            match wanted {
                Wanted::Indexes => of_kind
                    .map(|(name, (_, units))| (name.clone(), Told::new(*units, axis)))
                    .collect(),
                _ => BTreeMap::new(),
            }
        };
        Some(Self {
            table_name: table.to_owned(),
            total: Told::new(units.total(), axis),
            table: (wanted == Wanted::Indexes).then(|| Told::new(units.table, axis)),
            global_secondary_indexes: told(false),
            local_secondary_indexes: told(true),
        })
    }
}

/// What was consumed of several tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByTable(BTreeMap<String, Units>);

impl ByTable {
    pub(crate) fn add(&mut self, table: &str, units: &Units) {
        match self.0.get_mut(table) {
            Some(there) => there.add(units),
            None => drop(self.0.insert(table.to_owned(), units.clone())),
        }
    }

    /// Adds what another has of the tables that are in this one.
    pub(crate) fn add_to_same(&mut self, other: &Self) {
        for (table, units) in &mut self.0 {
            if let Some(more) = other.0.get(table) {
                units.add(more);
            }
        }
    }

    /// `None` where the request does not ask for it.
    pub(crate) fn consumed(&self, wanted: Wanted, axis: Axis) -> Option<Vec<Consumed>> {
        let tables = self.0.iter();
        let consumed = tables.filter_map(|(table, units)| Consumed::new(table, units, wanted, axis));
        (wanted != Wanted::Nothing).then(|| consumed.collect())
    }
}
