//! Rows that a newer release wrote: this one changes none of them. `newer.rs` counts them.
//!
//! The condition stands here once. A row without `v` is of version 1. A claim into a batch adds one to the version and whatever leaves
//! CLAIMED takes it off again, for a claim cannot know whether a row is about an object or a general event: the index has keys only.
//!
//! A statement asks for `v <= ?`, which is false for a row without `v`; such a row is asked for once more, by `v IS
//! MISSING`. That costs one refused write per step of such a row, in the days after an upgrade. One condition with an OR
//! would do, but DynamoDB's documentation does not say that an UPDATE may have one beside its key, and MiniStack, which
//! imitates DynamoDB, refuses it.

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::{BATCH_ROW_VERSION, InvalidRow, NEWEST_ROW_VERSION};

use crate::statement::{Item, Statement, Written, id_of, number};

/// The attribute.
pub(crate) const VERSION: &str = "v";

/// What every PartiQL statement that changes a row asks for; its one parameter is [`mine`], the statement's last.
pub(crate) const KNOWN: &str = "\"v\" <= ?";

/// The same of a row of version 1, which has no `v`.
const VERSION_ONE: &str = "\"v\" IS MISSING";

/// The same as a condition expression, with the value `:mine`.
pub(crate) const KNOWN_EXPRESSION: &str = "attribute_not_exists(v) OR v <= :mine";

/// The newest version that this release writes, as a parameter.
pub(crate) fn mine() -> AttributeValue {
    number(NEWEST_ROW_VERSION)
}

/// What a statement asks for besides that means no row in a batch: what speaks of a single row does not mean one that is in a batch, at
/// whatever attempt. It has no parameter.
pub(crate) const SINGLE: &str = "\"batch\" IS MISSING";

/// How a claim into a batch sets the version.
pub(crate) const INTO_BATCH: &str = "v + 1";

/// How it is set where a row leaves its batch.
pub(crate) const OUT_OF_BATCH: &str = "v - 1";

/// The statement as it is to be tried again, where it was refused for a row of version 1.
pub(crate) fn for_version_one(statement: &Statement, outcome: &Written) -> Option<Statement> {
    let Written::ConditionFailed(Some(item)) = outcome else {
        return None;
    };
    if item.contains_key(VERSION) {
        return None;
    }
    let (before, after) = statement.text.split_once(KNOWN)?;
    // It has no number to count from, and is about an object.
    let before = before.replace(
        &format!("\"{VERSION}\" = {INTO_BATCH}"),
        &format!("\"{VERSION}\" = {BATCH_ROW_VERSION}"),
    );
    let (_mine, parameters) = statement.parameters.split_last()?;
    Some(Statement {
        text: format!("{before}{VERSION_ONE}{after}"),
        parameters: parameters.to_vec(),
    })
}

/// Why a stored item may not be changed by this release, if a newer one wrote it.
pub(crate) fn newer(item: &Item) -> Option<InvalidRow> {
    let version = match item.get(VERSION)? {
        AttributeValue::N(version) => version.parse().ok()?,
        _ => return None,
    };
    let id = id_of(item).parse().ok()?;
    (version > NEWEST_ROW_VERSION).then_some(InvalidRow::Newer { id, version })
}
