//! One statement, what came of it, and the values in it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::InvalidRow;
use daybook_schema::tables::attribute::ID;
use serde::Serialize;

use crate::cause::{Cause, CauseKind};
use crate::settings::TableName;

/// Why the outcome of a statement that was sent is unknown.
const NO_ANSWER: &str = "no answer before the deadline";

/// Why a statement was not applied whose request was never made.
pub(crate) const NOT_SENT: &str = "not sent before the deadline";

pub(crate) type Item = HashMap<String, AttributeValue>;

/// One PartiQL statement that writes one item.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) parameters: Vec<AttributeValue>,
}

impl Statement {
    /// Inserts an item whose key is not taken.
    ///
    /// # Errors
    /// When the item has no form as one of DynamoDB's.
    pub(crate) fn insert(table: &TableName, item: &impl Serialize) -> Result<Self, serde_dynamo::Error> {
        let item: Item = serde_dynamo::to_item(item)?;
        // A fixed order: the same item is the same request.
        let item: BTreeMap<_, _> = item.into_iter().collect();
        let fields: Vec<String> = item.keys().map(|name| format!("'{name}': ?")).collect();
        Ok(Self {
            text: format!("INSERT INTO \"{table}\" VALUE {{{}}}", fields.join(", ")),
            parameters: item.into_values().collect(),
        })
    }
}

/// What came of one statement.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// Done; the item as RETURNING asked for it.
    Applied(Option<Item>),
    /// The condition was false; the item as it stands, if there is one.
    ConditionFailed(Option<Item>),
    /// The condition was false, and cannot be true: a newer release wrote the row.
    Newer(InvalidRow),
    /// An INSERT found the key taken.
    Duplicate,
    /// Never going to work: the item is too large, access is denied, the table is missing.
    Refused(Cause),
    /// Throttled until the deadline, or not sent before it; certainly not applied.
    Throttled(Cause),
    /// Perhaps applied.
    Unknown(Cause),
}

impl Written {
    /// The statement is on its way: it is no longer known that it was not applied, whatever an earlier try was told.
    pub(crate) fn sent(&mut self) {
        let cause = match self {
            Self::Throttled(before) if before.words() != NOT_SENT => {
                let words = format!("{NO_ANSWER}; before that, {before}");
                Cause::new(CauseKind::NoAnswer, words)
            }
            _ => Cause::no_answer(NO_ANSWER),
        };
        *self = Self::Unknown(cause);
    }
}

/// A string parameter.
pub(crate) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// A number parameter.
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The `id` of a stored item, for messages about it.
pub(crate) fn id_of(item: &Item) -> String {
    match item.get(ID) {
        Some(AttributeValue::S(id)) => id.clone(),
        _ => "without an id".to_owned(),
    }
}
