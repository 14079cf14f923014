//! SELECT: by keys, or over a whole table or index.

use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Units, read_units};
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::expression::{Comparator, Condition, KeyCondition, Projection, SortRange};
use crate::dynamodb::keys;
use crate::dynamodb::partiql::{Action, Lookup, Statement, lookup_of};
use crate::dynamodb::read::{Source, part};
use crate::dynamodb::tables::schema::{Definition, Index, Table};
use crate::dynamodb::value::{Item, KeyType, item_size};
use crate::store::Look;

/// A SELECT of the one item of a key.
pub(super) struct Keyed {
    pub(super) table: String,
    pub(super) place: Vec<u8>,
    filter: Option<Condition>,
    projection: Option<Projection>,
}

fn named(key: &Definition) -> (&str, KeyType) {
    (&key.name, key.kind)
}

/// A statement that is a SELECT of one item.
pub(super) fn keyed(statement: Statement, table: &Table) -> Result<Keyed, Refusal> {
    let unkeyed = || {
        Refusal::validation(
            "Select statements within BatchExecuteStatement must specify the primary key in the where clause.",
        )
    };
    let Action::Select {
        projection, filter, ..
    } = statement.action
    else {
        return Err(unkeyed());
    };
    if statement.index.is_some() {
        return Err(unkeyed());
    }
    let lookup = lookup_of(
        filter,
        named(&table.keys.partition),
        table.keys.sort.as_ref().map(named),
    )?;
    let Some([one]) = lookup.keys.as_deref() else {
        return Err(unkeyed());
    };
    let mut key = Item::from([(table.keys.partition.name.clone(), one.partition.clone())]);
    match (&table.keys.sort, &one.sort) {
        (None, _) => {}
        (Some(sort), Some(SortRange::Compare(Comparator::Equal, value))) => {
            key.insert(sort.name.clone(), value.clone());
        }
        _ => return Err(unkeyed()),
    }
    keys::check_key(&table.keys, &key)?;
    Ok(Keyed {
        place: keys::of_item(table, &key)?,
        table: statement.table,
        filter: lookup.filter,
        projection,
    })
}

impl Keyed {
    /// The item, if it is there and meant, and what that costs.
    pub(super) fn read(&self, look: &dyn Look, consistent: bool) -> Result<(Option<Item>, Units), Failure> {
        let item = keys::item_at(look, &self.place)?;
        let units = Units::of_table(read_units(item.as_ref().map_or(0, item_size), consistent));
        let meant = |item: &Item| self.filter.as_ref().is_none_or(|filter| filter.holds(Some(item)));
        let item = item.filter(meant).map(|item| match &self.projection {
            Some(projection) => projection.of(&item),
            None => item,
        });
        Ok((item, units))
    }
}

/// Where a SELECT goes on: at which of its keys, and behind which item.
#[derive(Deserialize, Serialize)]
struct Next {
    at: usize,
    behind: Option<Item>,
}

/// What a SELECT reads in one request.
pub(super) struct Selection {
    pub(super) statement: Statement,
    pub(super) limit: Option<usize>,
    pub(super) next: Option<String>,
    pub(super) consistent: bool,
}

/// What it has read.
pub(super) struct Selected {
    pub(super) items: Vec<Item>,
    pub(super) next: Option<String>,
    pub(super) last: Option<Item>,
    pub(super) units: Units,
}

impl Selection {
    pub(super) fn read(self, look: &dyn Look) -> Result<Selected, Failure> {
        let table = Table::of_items(look, &self.statement.table)?;
        let index = match &self.statement.index {
            Some(name) => Some(table.index(name)?),
            None => None,
        };
        if self.consistent && index.is_some_and(|index| !index.local) {
            let message = "Consistent reads are not supported on global secondary indexes";
            return Err(Refusal::validation(message).into());
        }
        let next = match &self.next {
            Some(token) => read_next(token)?,
            None => Next { at: 0, behind: None },
        };
        let Action::Select {
            projection,
            filter,
            order,
        } = self.statement.action
        else {
            return Err(Refusal::validation("Only a SELECT reads").into());
        };
        let keys = index.map_or(&table.keys, |index| &index.keys);
        let lookup = lookup_of(filter, named(&keys.partition), keys.sort.as_ref().map(named))?;
        let backwards = match order {
            None => false,
            Some((by, descends)) if lookup.keys.is_some() && keys.has(&by) => descends,
            Some(_) => {
                let message = "Must have WHERE clause in the statement when using ORDER BY clause.";
                return Err(Refusal::validation(message).into());
            }
        };
        let asked = Asked {
            table: &table,
            index,
            lookup,
            projection,
            backwards,
            limit: self.limit,
            consistent: self.consistent,
        };
        asked.read(look, next)
    }
}

struct Asked<'t> {
    table: &'t Table,
    index: Option<&'t Index>,
    lookup: Lookup,
    projection: Option<Projection>,
    backwards: bool,
    limit: Option<usize>,
    consistent: bool,
}

impl Asked<'_> {
    fn read(&self, look: &dyn Look, mut next: Next) -> Result<Selected, Failure> {
        let parts: Vec<Option<&KeyCondition>> = match &self.lookup.keys {
            Some(keys) => keys.iter().map(Some).collect(),
            None => vec![None],
        };
        let (mut items, mut units, mut left) = (Vec::new(), Units::default(), self.limit);
        let mut last = None;
        while last.is_none() && left != Some(0) {
            let Some(key) = parts.get(next.at) else { break };
            let source = self.source(*key, next.behind.take(), left)?;
            let page = source.read(look, |item| match &self.projection {
                Some(projection) => projection.of(&item),
                None => item,
            })?;
            let read = read_units(page.bytes, self.consistent);
            units.add(&match self.index {
                Some(index) => Units::of_index(&index.name, index.local, read),
                None => Units::of_table(read),
            });
            items.extend(page.items);
            left = left.map(|left| left.saturating_sub(page.scanned));
            match page.last {
                Some(behind) => last = Some(behind),
                None => next.at += 1,
            }
        }
        let more = last.is_some() || (left == Some(0) && next.at < parts.len());
        next.behind = last.clone();
        Ok(Selected {
            items,
            next: more.then(|| written_next(&next)),
            last,
            units,
        })
    }

    fn source(
        &self,
        key: Option<&KeyCondition>,
        behind: Option<Item>,
        limit: Option<usize>,
    ) -> Result<Source<'_>, Failure> {
        let prefix = match self.index {
            Some(index) => keys::of_index(&self.table.name, &index.name),
            None => keys::of_table(&self.table.name),
        };
        let (mut from, mut to) = match key {
            Some(key) => part(key, prefix)?,
            None => keys::beginning_with(prefix),
        };
        if let Some(item) = behind {
            let place = match self.index {
                Some(index) => keys::of_entry(self.table, index, &item)?.map(|entry| entry.key),
                None => Some(keys::of_item(self.table, &item)?),
            };
            let place = Bound::Excluded(place.ok_or_else(not_a_token)?);
            match self.backwards {
                false => from = place,
                true => to = place,
            }
        }
        Ok(Source {
            table: self.table,
            index: self.index,
            whole: false,
            from,
            to,
            backwards: self.backwards,
            limit,
            filter: self.lookup.filter.as_ref(),
            only_count: false,
        })
    }
}

fn not_a_token() -> Refusal {
    Refusal::validation("Invalid NextToken")
}

fn read_next(token: &str) -> Result<Next, Refusal> {
    let bytes = BASE64.decode(token).map_err(|_| not_a_token())?;
    serde_json::from_slice(&bytes).map_err(|_| not_a_token())
}

fn written_next(next: &Next) -> String {
    BASE64.encode(serde_json::to_vec(next).unwrap_or_default())
}
