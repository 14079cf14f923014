//! A statement's write as any other write of one item.

use std::sync::Arc;

use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::item::{Action, Existing, ItemWrite};
use crate::dynamodb::partiql::{self, Returning, Statement, key_of};
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::{Item, KeyType, Value};
use crate::dynamodb::write::Written;

/// Reads a statement.
pub(super) fn parse(text: &str, parameters: Option<&[Value]>) -> Result<Statement, Refusal> {
    let parameters = match parameters {
        Some([]) => {
            return Err(crate::dynamodb::wire::invalid(&[
                "Value '[]' at 'parameters' failed to satisfy constraint: Member must have length greater than or equal to 1"
                    .to_owned(),
            ]));
        }
        parameters => parameters.unwrap_or_default(),
    };
    Ok(partiql::parse(text, parameters)?)
}

pub(super) fn is_read(statement: &Statement) -> bool {
    matches!(statement.action, partiql::Action::Select { .. })
}

/// The write that a statement is, and what of the item it answers.
pub(super) fn write_of(
    statement: Statement,
    table: &Table,
) -> Result<(ItemWrite, Option<Returning>), Refusal> {
    let keys: Vec<(&str, KeyType)> = table
        .keys
        .iter()
        .map(|key| (key.name.as_str(), key.kind))
        .collect();
    let (action, condition, existing, returning) = match statement.action {
        partiql::Action::Insert(item) => (Action::Put(item), None, Existing::Absent, None),
        partiql::Action::Update {
            update,
            filter,
            returning,
        } => {
            let (key, condition) = key_of(filter, &keys)?;
            let action = Action::Update(key, Some(update));
            (action, condition, Existing::Present, returning)
        }
        partiql::Action::Delete { filter, returning } => {
            let (key, condition) = key_of(filter, &keys)?;
            (Action::Delete(key), condition, Existing::IfPresent, returning)
        }
        partiql::Action::Select { .. } => {
            return Err(Refusal::validation("A SELECT writes nothing"));
        }
    };
    let write = ItemWrite {
        table: statement.table,
        action,
        condition,
        existing,
    };
    Ok((write, returning))
}

/// The write that a statement is, of the table as it stands.
pub(super) fn resolved(
    look: &(impl crate::store::Look + ?Sized),
    statement: Statement,
) -> Result<(Arc<Table>, ItemWrite, Option<Returning>), Failure> {
    let table = Table::of_items(look, &statement.table)?;
    let (write, returning) = write_of(statement, &table)?;
    Ok((table, write, returning))
}

/// What of the item the statement answers; of what it modified nothing, where there is nothing.
pub(super) fn returned(written: &Written, returning: Option<Returning>) -> Option<Item> {
    let updated = written.updated.as_ref();
    match returning? {
        Returning::AllOld => written.old.clone(),
        Returning::AllNew => written.new.clone(),
        Returning::ModifiedOld => updated.map(|(old, _)| old.clone()).filter(|old| !old.is_empty()),
        Returning::ModifiedNew => updated.map(|(_, new)| new.clone()).filter(|new| !new.is_empty()),
    }
}
