//! Expressions: read by a grammar, names and values put in, and then evaluated on items. Nothing here knows of tables.

pub(super) mod check;
pub(super) mod condition;
pub(super) mod condition_grammar;
pub(super) mod failure;
pub(super) mod grammar;
pub(super) mod key_condition;
pub(super) mod path;
pub(super) mod projection;
pub(super) mod read;
mod reserved;
pub(super) mod substitutions;
pub(super) mod token;
pub(super) mod update;
pub(super) mod update_grammar;
pub(super) mod written;

#[cfg(test)]
mod tests;

pub(crate) use condition::{Comparator, Condition};
pub(crate) use key_condition::{KeyClauses, KeyCondition, SortRange};
pub(crate) use projection::Projection;
pub(crate) use read::{ConditionKind, condition, key_condition, projection, update};
pub(crate) use substitutions::Substitutions;
pub(crate) use update::{Update, Updated};
