//! ExpressionAttributeNames and ExpressionAttributeValues.

use std::collections::{BTreeMap, BTreeSet};

use crate::dynamodb::expression::path::{Path, Step};
use crate::dynamodb::expression::written::{Resolve, Term, WrittenPath, WrittenStep};
use crate::dynamodb::value::{Invalid, Item, Value};

/// A request's names and values, and which of them its expressions used.
#[derive(Debug)]
pub(crate) struct Substitutions<'r> {
    names: Option<&'r BTreeMap<String, String>>,
    values: Option<&'r Item>,
    used_names: BTreeSet<String>,
    used_values: BTreeSet<String>,
}

impl<'r> Substitutions<'r> {
    /// `expressions`: each parameter that can hold an expression, and whether it does.
    ///
    /// # Errors
    /// When names or values are given for no expression, are empty, or have other names than `#name` and `:value`.
    pub(crate) fn new(
        names: Option<&'r BTreeMap<String, String>>,
        values: Option<&'r Item>,
        expressions: &[(&str, bool)],
    ) -> Result<Self, Invalid> {
        if !expressions.iter().any(|(_, given)| *given) {
            let only = "can only be specified when using expressions";
            if names.is_some() {
                return Err(Invalid::new(format!("ExpressionAttributeNames {only}")));
            }
            if values.is_some() {
                let null: Vec<String> = expressions
                    .iter()
                    .map(|(name, _)| format!("{name} is null"))
                    .collect();
                return Err(Invalid::new(format!(
                    "ExpressionAttributeValues {only}: {}",
                    null.join(" and ")
                )));
            }
        }
        check("ExpressionAttributeNames", '#', names.map(|names| names.keys()))?;
        check(
            "ExpressionAttributeValues",
            ':',
            values.map(|values| values.keys()),
        )?;
        for (key, value) in values.into_iter().flatten() {
            value.check_nesting().map_err(|invalid| {
                Invalid::new(format!(
                    "ExpressionAttributeValues contains invalid value: {invalid} for key {key}"
                ))
            })?;
        }
        Ok(Self {
            names,
            values,
            used_names: BTreeSet::new(),
            used_values: BTreeSet::new(),
        })
    }

    /// # Errors
    /// When a name or a value was given that no expression used.
    pub(crate) fn finish(self) -> Result<(), Invalid> {
        let names = self.names.map(|names| names.keys());
        unused("ExpressionAttributeNames", names, &self.used_names)?;
        let values = self.values.map(|values| values.keys());
        unused("ExpressionAttributeValues", values, &self.used_values)
    }
}

fn check<'k>(
    parameter: &str,
    sign: char,
    keys: Option<impl ExactSizeIterator<Item = &'k String>>,
) -> Result<(), Invalid> {
    let Some(mut keys) = keys else {
        return Ok(());
    };
    if keys.len() == 0 {
        return Err(Invalid::new(format!("{parameter} must not be empty")));
    }
    let is_valid = |key: &str| {
        key.strip_prefix(sign).is_some_and(|name| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        })
    };
    match keys.find(|key| !is_valid(key)) {
        Some(key) => Err(Invalid::new(format!(
            "{parameter} contains invalid key: Syntax error; key: \"{key}\""
        ))),
        None => Ok(()),
    }
}

fn unused<'k>(
    parameter: &str,
    given: Option<impl Iterator<Item = &'k String>>,
    used: &BTreeSet<String>,
) -> Result<(), Invalid> {
    let unused = given.into_iter().flatten().filter(|key| !used.contains(*key));
    let unused: Vec<&str> = unused.map(String::as_str).collect();
    match unused.is_empty() {
        true => Ok(()),
        false => Err(Invalid::new(format!(
            "Value provided in {parameter} unused in expressions: keys: {{{}}}",
            unused.join(", ")
        ))),
    }
}

impl Resolve for Substitutions<'_> {
    fn path(&mut self, written: WrittenPath) -> Result<Path, Invalid> {
        let mut steps = Vec::with_capacity(written.0.len());
        for step in written.0 {
            steps.push(match step {
                WrittenStep::Name(name) => Step::Name(name),
                WrittenStep::Index(index) => Step::Index(index),
                WrittenStep::Alias(alias) => {
                    let Some(name) = self.names.and_then(|names| names.get(&alias)) else {
                        return Err(Invalid::new(format!(
                            "An expression attribute name used in the document path is not defined; attribute name: {alias}"
                        )));
                    };
                    self.used_names.insert(alias);
                    Step::Name(name.clone())
                }
            });
        }
        path_of(steps)
    }

    fn value(&mut self, written: Term) -> Result<Value, Invalid> {
        let Term::Reference(reference) = written else {
            return Err(Invalid::new(
                "A value in an expression must be in ExpressionAttributeValues",
            ));
        };
        let Some(value) = self.values.and_then(|values| values.get(&reference)) else {
            return Err(Invalid::new(format!(
                "An expression attribute value used in expression is not defined; attribute value: {reference}"
            )));
        };
        self.used_values.insert(reference);
        Ok(value.clone())
    }
}

/// The path of steps that begin with a name.
pub(crate) fn path_of(steps: Vec<Step>) -> Result<Path, Invalid> {
    let mut steps = steps.into_iter();
    match steps.next() {
        Some(Step::Name(attribute)) => Ok(Path::new(attribute, steps.collect())),
        _ => Err(Invalid::new(
            "A document path must begin with the name of an attribute",
        )),
    }
}
