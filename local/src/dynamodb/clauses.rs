//! The expressions of a request, where they are given, with its names and values put in.

use std::collections::BTreeMap;

use crate::dynamodb::error::Refusal;
use crate::dynamodb::expression::{
    self, Condition, ConditionKind, KeyClauses, Projection, Substitutions, Update,
};
use crate::dynamodb::value::Item;

/// The names and values of a request.
pub(crate) struct Clauses<'r>(Substitutions<'r>);

impl<'r> Clauses<'r> {
    /// `expressions`: each parameter that can have an expression, and what it has.
    pub(crate) fn new(
        names: &'r Option<BTreeMap<String, String>>,
        values: &'r Option<Item>,
        expressions: &[(&str, &Option<String>)],
    ) -> Result<Self, Refusal> {
        let given: Vec<(&str, bool)> = expressions
            .iter()
            .map(|(name, text)| (*name, text.is_some()))
            .collect();
        let substitutions = Substitutions::new(names.as_ref(), values.as_ref(), &given)?;
        Ok(Self(substitutions))
    }

    pub(crate) fn condition(&mut self, text: &Option<String>) -> Result<Option<Condition>, Refusal> {
        self.of(text, |text, with| {
            expression::condition(ConditionKind::Condition, text, with)
        })
    }

    pub(crate) fn filter(&mut self, text: &Option<String>) -> Result<Option<Condition>, Refusal> {
        self.of(text, |text, with| {
            expression::condition(ConditionKind::Filter, text, with)
        })
    }

    pub(crate) fn update(&mut self, text: &Option<String>) -> Result<Option<Update>, Refusal> {
        self.of(text, expression::update)
    }

    pub(crate) fn projection(&mut self, text: &Option<String>) -> Result<Option<Projection>, Refusal> {
        self.of(text, expression::projection)
    }

    pub(crate) fn key_condition(&mut self, text: &Option<String>) -> Result<KeyClauses, Refusal> {
        self.of(text, expression::key_condition)?.ok_or_else(|| {
            Refusal::validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            )
        })
    }

    /// # Errors
    /// When a name or a value was given that no expression used.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        Ok(self.0.finish()?)
    }

    fn of<T>(
        &mut self,
        text: &Option<String>,
        read: impl FnOnce(&str, &mut Substitutions<'r>) -> Result<T, crate::dynamodb::value::Invalid>,
    ) -> Result<Option<T>, Refusal> {
        match text {
            Some(text) => Ok(Some(read(text, &mut self.0)?)),
            None => Ok(None),
        }
    }
}
