//! PartiQL: statements on one item, and SELECT, as conditions, updates and projections like those of expressions.

mod grammar;
mod parameters;
mod statement;
mod token;
mod where_clause;

#[cfg(test)]
mod tests;

pub(crate) use statement::{Action, Returning, Statement, parse};
pub(crate) use where_clause::{Lookup, key_of, lookup_of};
