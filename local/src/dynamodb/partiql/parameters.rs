//! What stands for `?` in a statement.

use crate::dynamodb::expression::path::{Path, Step};
use crate::dynamodb::expression::substitutions::path_of;
use crate::dynamodb::expression::written::{Resolve, Term, WrittenPath, WrittenStep};
use crate::dynamodb::value::{Invalid, Item, Number, Value};

pub(super) struct Parameters<'p>(pub(super) &'p [Value]);

impl Resolve for Parameters<'_> {
    fn path(&mut self, written: WrittenPath) -> Result<Path, Invalid> {
        let step = |step| match step {
            WrittenStep::Name(name) | WrittenStep::Alias(name) => Step::Name(name),
            WrittenStep::Index(index) => Step::Index(index),
        };
        path_of(written.0.into_iter().map(step).collect())
    }

    fn value(&mut self, written: Term) -> Result<Value, Invalid> {
        Ok(match written {
            Term::Parameter(nth) => match self.0.get(nth) {
                Some(value) => value.clone(),
                None => return Err(count_differs()),
            },
            Term::Reference(name) => {
                return Err(Invalid::new(format!(
                    "{name} is not supported in a PartiQL statement: use ? and Parameters"
                )));
            }
            Term::Text(text) => Value::S(text),
            Term::Number(number) => Value::N(number),
            Term::Bool(is) => Value::Bool(is),
            Term::Null => Value::Null,
            Term::List(terms) => Value::L(self.values(terms)?),
            Term::Map(entries) => Value::M(self.item(entries)?),
            Term::Set(terms) => set(self.values(terms)?)?,
        })
    }
}

impl Parameters<'_> {
    fn values(&mut self, terms: Vec<Term>) -> Result<Vec<Value>, Invalid> {
        terms.into_iter().map(|term| self.value(term)).collect()
    }

    /// # Errors
    /// When a name is in it twice, or a value is not defined.
    pub(super) fn item(&mut self, entries: Vec<(String, Term)>) -> Result<Item, Invalid> {
        let mut item = Item::new();
        for (name, term) in entries {
            let value = self.value(term)?;
            if name.is_empty() {
                return Err(Invalid::new("Empty attribute name"));
            }
            if item.contains_key(&name) {
                return Err(Invalid::new(format!(
                    "Duplicate attribute name in the item: {name}"
                )));
            }
            item.insert(name, value);
        }
        Ok(item)
    }
}

pub(super) fn count_differs() -> Invalid {
    Invalid::new("Number of parameters in request and statement don't match.")
}

/// The set of values of one type, which is that of the first.
fn set(values: Vec<Value>) -> Result<Value, Invalid> {
    let mixed = || Invalid::new("A set has texts, numbers or binary values, all of one type, at least one");
    let found = match values.first() {
        Some(Value::S(_)) => Value::Ss(texts(&values).ok_or_else(mixed)?.into_iter().collect()),
        Some(Value::N(_)) => Value::Ns(numbers(&values).ok_or_else(mixed)?.into_iter().collect()),
        Some(Value::B(_)) => Value::Bs(bytes(&values).ok_or_else(mixed)?.into_iter().collect()),
        _ => return Err(mixed()),
    };
    Ok(found)
}

fn texts(values: &[Value]) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::S(text) => Some(text.clone()),
        _ => None,
    };
    values.iter().map(text).collect()
}

fn numbers(values: &[Value]) -> Option<Vec<Number>> {
    let number = |value: &Value| match value {
        Value::N(number) => Some(*number),
        _ => None,
    };
    values.iter().map(number).collect()
}

fn bytes(values: &[Value]) -> Option<Vec<Vec<u8>>> {
    let bytes = |value: &Value| match value {
        Value::B(bytes) => Some(bytes.clone()),
        _ => None,
    };
    values.iter().map(bytes).collect()
}
