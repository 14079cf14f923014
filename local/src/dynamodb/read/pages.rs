//! What queries and scans have in common: what is asked of a page, and how it is answered.

use std::ops::Bound;

use serde::Serialize;

use crate::dynamodb::capacity::{Axis, Consumed, Units, Wanted, read_units};
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::expression::{Condition, Projection};
use crate::dynamodb::keys;
use crate::dynamodb::read::key_condition::Part;
use crate::dynamodb::read::page::{Page, Source};
use crate::dynamodb::tables::schema::{self, Index, Table};
use crate::dynamodb::value::Item;
use crate::dynamodb::wire::{invalid, one_of};
use crate::store::Look;

/// Which attributes are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Select {
    /// All of the table, or all that the index has.
    Usual,
    All,
    Projected,
    Count,
    Specific,
}

/// What is asked of a page.
pub(crate) struct Asked {
    pub(crate) table: String,
    pub(crate) index: Option<String>,
    pub(crate) select: Select,
    pub(crate) filter: Option<Condition>,
    pub(crate) projection: Option<Projection>,
    pub(crate) limit: Option<usize>,
    pub(crate) start: Option<Item>,
    pub(crate) consistent: bool,
    pub(crate) wanted: Wanted,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answered {
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Item>>,
    count: usize,
    scanned_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_evaluated_key: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Consumed>,
}

pub(crate) fn select(member: Option<&str>, has_projection: bool, has_index: bool) -> Result<Select, Refusal> {
    let values = [
        ("SPECIFIC_ATTRIBUTES", Select::Specific),
        ("COUNT", Select::Count),
        ("ALL_ATTRIBUTES", Select::All),
        ("ALL_PROJECTED_ATTRIBUTES", Select::Projected),
    ];
    let Some(member) = member else {
        return Ok(Select::Usual);
    };
    let select = one_of("select", Some(member), &values)?;
    match (select, has_projection) {
        (Select::Specific, false) => Err(Refusal::validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        )),
        (Select::Projected, _) if !has_index => Err(Refusal::validation(
            "One or more parameter values were invalid: ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an \
             IndexName",
        )),
        (Select::Specific, true) | (_, false) => Ok(select),
        _ => Err(Refusal::validation(format!(
            "Cannot specify the AttributesToGet when choosing to get {member}"
        ))),
    }
}

pub(crate) fn limit(member: Option<i64>) -> Result<Option<usize>, Refusal> {
    match member {
        None => Ok(None),
        Some(limit) => match usize::try_from(limit) {
            Ok(limit) if limit > 0 => Ok(Some(limit)),
            _ => Err(invalid(&[format!(
                "Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
            )])),
        },
    }
}

impl Asked {
    /// The index that is read, if it may be read so.
    pub(crate) fn index<'t>(&self, table: &'t Table) -> Result<Option<&'t Index>, Refusal> {
        let Some(name) = &self.index else {
            return Ok(None);
        };
        let index = table.index(name)?;
        if index.local {
            return Ok(Some(index));
        }
        if self.consistent {
            return Err(Refusal::validation(
                "Consistent reads are not supported on global secondary indexes",
            ));
        }
        let has_all = index.projection == schema::Projection::All;
        if self.select == Select::All && !has_all {
            return Err(Refusal::validation(format!(
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary \
                 index {name} because its projection type is not ALL"
            )));
        }
        if let Some(projection) = &self.projection
            && let Some(lacking) = projection.attributes().find(|one| !index.projects(table, one))
        {
            return Err(Refusal::validation(format!(
                "One or more parameter values were invalid: Global secondary index {name} does not project {lacking}"
            )));
        }
        Ok(Some(index))
    }

    /// Whether the table's items are read beside the index's.
    fn whole(&self, table: &Table, index: Option<&Index>) -> bool {
        let Some(index) = index.filter(|index| index.local) else {
            return false;
        };
        let has_all = index.projection == schema::Projection::All;
        let lacks_some = self
            .projection
            .iter()
            .flat_map(Projection::attributes)
            .any(|one| !index.projects(table, one));
        !has_all && (self.select == Select::All || lacks_some)
    }

    /// The key to go on behind.
    pub(crate) fn start(
        &self,
        table: &Table,
        index: Option<&Index>,
        part: &Part,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(start) = &self.start else {
            return Ok(None);
        };
        let wrong = || Refusal::validation("The provided starting key is invalid");
        let mut names = (table.keys.iter()).chain(index.iter().flat_map(|index| index.keys.iter()));
        let expected = keys::keys_of(table, index, start);
        let all_there = names.all(|key| start.get(&key.name).is_some_and(|value| key.kind.is_of(value)));
        if !all_there || expected.len() != start.len() {
            return Err(Refusal::validation(
                "The provided starting key is invalid: The provided key element does not match the schema",
            ));
        }
        let key = match index {
            None => keys::of_item(table, start)?,
            Some(index) => keys::of_entry(table, index, start)?.ok_or_else(wrong)?.key,
        };
        let (from, to) = part;
        let is_before = match from {
            Bound::Included(from) | Bound::Excluded(from) => key < *from,
            Bound::Unbounded => false,
        };
        let is_behind = match to {
            Bound::Included(to) => key > *to,
            Bound::Excluded(to) => key >= *to,
            Bound::Unbounded => false,
        };
        match is_before || is_behind {
            true => Err(Refusal::validation(
                "The provided starting key is outside query boundaries based on provided conditions",
            )),
            false => Ok(Some(key)),
        }
    }

    /// Reads the page of that part.
    pub(crate) fn read(
        &self,
        look: &dyn Look,
        table: &Table,
        index: Option<&Index>,
        part: Part,
        backwards: bool,
    ) -> Result<Answered, Failure> {
        let (mut from, mut to) = part;
        if let Some(start) = self.start(table, index, &(from.clone(), to.clone()))? {
            match backwards {
                false => from = Bound::Excluded(start),
                true => to = Bound::Excluded(start),
            }
        }
        let source = Source {
            table,
            index,
            whole: self.whole(table, index),
            from,
            to,
            backwards,
            limit: self.limit,
            filter: self.filter.as_ref(),
            only_count: self.select == Select::Count,
        };
        let page = source.read(look, |item| match &self.projection {
            Some(projection) => projection.of(&item),
            None => item,
        })?;
        let units = self.units(index, &page, source.whole);
        Ok(Answered {
            count: page.count,
            scanned_count: page.scanned,
            items: (self.select != Select::Count).then_some(page.items),
            last_evaluated_key: page.last,
            consumed_capacity: Consumed::new(&self.table, &units, self.wanted, Axis::Untold),
        })
    }

    fn units(&self, index: Option<&Index>, page: &Page, whole: bool) -> Units {
        let read = read_units(page.bytes, self.consistent);
        let Some(index) = index else {
            return Units::of_table(read);
        };
        let mut units = Units::of_index(&index.name, index.local, read);
        if whole {
            units.add(&Units::of_table(read_units(page.whole_bytes, self.consistent)));
        }
        units
    }
}
