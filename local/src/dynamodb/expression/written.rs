//! What an expression says before its names and values are put in.

use crate::dynamodb::expression::path::Path;
use crate::dynamodb::value::{Invalid, Number, Value};

/// A document path as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WrittenPath(pub(crate) Vec<WrittenStep>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WrittenStep {
    Name(String),
    /// `#name`, with its sign.
    Alias(String),
    Index(usize),
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    /// `:value`, with its sign.
    Reference(String),
    /// PartiQL's `?`, the how many-th.
    Parameter(usize),
    Text(String),
    Number(Number),
    Bool(bool),
    Null,
    List(Vec<Term>),
    Map(Vec<(String, Term)>),
    Set(Vec<Term>),
}

/// Puts names and values in.
pub(crate) trait Resolve {
    /// # Errors
    /// When a name in it is not defined.
    fn path(&mut self, written: WrittenPath) -> Result<Path, Invalid>;

    /// # Errors
    /// When a value in it is not defined.
    fn value(&mut self, written: Term) -> Result<Value, Invalid>;
}
