//! What the writes of one item have in common, also where they are members of a batch or a transaction.

use std::sync::Arc;

use serde::Serialize;

use crate::dynamodb::capacity::{Axis, Consumed, Wanted};
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Code, Failure, Refusal};
use crate::dynamodb::expression::{Condition, Update};
use crate::dynamodb::keys;
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::Item;
use crate::dynamodb::wire::{one_of, response};
use crate::dynamodb::write::{
    Becomes, Make, PUT_TOO_LARGE, Planned, UPDATE_TOO_LARGE, Write, Written, apply, plan,
};
use crate::store::{Change, Look};

/// What is to be done with an item.
pub(crate) enum Action {
    Put(Item),
    /// The item of this key becomes another; with no update it is made of its key, where it is not there.
    Update(Item, Option<Update>),
    Delete(Item),
    /// Only its condition counts.
    Check(Item),
}

/// A write of one item, as it was asked for.
pub(crate) struct ItemWrite {
    pub(crate) table: String,
    pub(crate) action: Action,
    pub(crate) condition: Option<Condition>,
    pub(crate) existing: Existing,
}

/// What is asked of the item's being there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing: the condition, if there is one, says what is to be said.
    Unasked,
    /// It must not be there, which is not called a condition.
    Absent,
    /// It must be there.
    Present,
    /// If it is not there the condition is not asked.
    IfPresent,
}

impl Existing {
    fn may_write(self, condition: Option<&Condition>, item: Option<&Item>) -> Result<bool, Refusal> {
        let holds = || condition.is_none_or(|condition| condition.holds(item));
        match (self, item) {
            (Self::Absent, Some(item)) => Err(Refusal {
                item: Some(item.clone()),
                ..Refusal::new(Code::DuplicateItem, "Duplicate primary key exists in table")
            }),
            (Self::Present, None) => Ok(false),
            (Self::IfPresent, None) => Ok(true),
            _ => Ok(holds()),
        }
    }
}

impl ItemWrite {
    /// The key in the store of the item that is written.
    ///
    /// # Errors
    /// When it is not one of the table.
    pub(crate) fn key(&self, table: &Table) -> Result<Vec<u8>, Refusal> {
        match &self.action {
            Action::Put(item) => {
                keys::check_item(table, item)?;
                keys::of_item(table, item)
            }
            Action::Update(key, _) | Action::Delete(key) | Action::Check(key) => {
                keys::check_key(&table.keys, key)?;
                keys::of_item(table, key)
            }
        }
    }

    /// Whether it may be made, and what comes of it then.
    pub(crate) fn plan(
        self,
        look: &(impl Look + ?Sized),
        table: &Arc<Table>,
        key: Vec<u8>,
    ) -> Result<Planned, Failure> {
        if let Action::Update(_, Some(update)) = &self.action {
            let keys = table.keys.iter().map(|key| key.name.as_str());
            update.check_keys(keys).map_err(Refusal::from)?;
        }
        let too_large = match &self.action {
            Action::Update(..) => UPDATE_TOO_LARGE,
            _ => PUT_TOO_LARGE,
        };
        let make: Make = match self.action {
            Action::Put(item) => Box::new(|_| Ok(Becomes::Item(item))),
            Action::Delete(_) => Box::new(|_| Ok(Becomes::Nothing)),
            Action::Check(_) => Box::new(|_| Ok(Becomes::Same)),
            Action::Update(key, None) => Box::new(|there| Ok(Becomes::Item(there.cloned().unwrap_or(key)))),
            Action::Update(key, Some(update)) => {
                Box::new(move |there| Ok(Becomes::Updated(update.apply(there, &key)?)))
            }
        };
        let (condition, existing) = (self.condition, self.existing);
        let write = Write {
            may_write: Box::new(move |item| existing.may_write(condition.as_ref(), item)),
            make,
            too_large,
        };
        plan(look, table, key, write)
    }

    /// Makes it.
    pub(crate) fn run(self, change: &mut dyn Change) -> Result<Written, Failure> {
        let table = Table::of_items(change, &self.table)?;
        let key = self.key(&table)?;
        let planned = self.plan(change, &table, key)?;
        apply(change, planned)
    }
}

/// What of the item the answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    Nothing,
    AllOld,
    AllNew,
    UpdatedOld,
    UpdatedNew,
}

impl Returned {
    /// What only UpdateItem has, the others refuse.
    pub(crate) fn of(member: Option<&str>, is_update: bool) -> Result<Self, Refusal> {
        let all = [
            ("NONE", Self::Nothing),
            ("ALL_OLD", Self::AllOld),
            ("UPDATED_OLD", Self::UpdatedOld),
            ("ALL_NEW", Self::AllNew),
            ("UPDATED_NEW", Self::UpdatedNew),
        ];
        let returned = one_of("returnValues", member, &all)?;
        match (is_update, returned) {
            (true, _) | (_, Self::Nothing | Self::AllOld) => Ok(returned),
            _ => Err(Refusal::validation("Return values set to invalid value")),
        }
    }
}

/// Whether a refusal shows the item that the condition was false for.
pub(crate) fn shows_old(member: Option<&str>) -> Result<bool, Refusal> {
    let values = [("NONE", false), ("ALL_OLD", true)];
    one_of("returnValuesOnConditionCheckFailure", member, &values)
}

/// The answer of a write of one item.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Consumed>,
}

/// How a write of one item is answered.
pub(super) struct Answering {
    pub(super) returned: Returned,
    pub(super) shows_old: bool,
    pub(super) wanted: Wanted,
}

/// Makes the write and answers it.
pub(super) async fn answer(
    engine: &Engine,
    write: ItemWrite,
    answering: Answering,
) -> Result<Vec<u8>, Failure> {
    let table = write.table.clone();
    let written = match engine.change(move |change| write.run(change)).await {
        Err(Failure::Refused(refusal)) => return Err(refusal.showing(answering.shows_old).into()),
        written => written?,
    };
    let Written {
        old,
        new,
        updated,
        units,
    } = written;
    let attributes = match (answering.returned, updated) {
        (Returned::AllOld, _) => old,
        (Returned::AllNew, _) => new,
        (Returned::UpdatedOld, Some((old, _))) => Some(old),
        (Returned::UpdatedNew, Some((_, new))) => Some(new),
        _ => None,
    };
    Ok(response(&Answered {
        attributes: attributes.filter(|attributes| !attributes.is_empty()),
        consumed_capacity: Consumed::new(&table, &units, answering.wanted, Axis::Untold),
    }))
}
