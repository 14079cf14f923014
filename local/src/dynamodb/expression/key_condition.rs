//! Key conditions: one value of the partition key, and a range of the sort key.

use crate::dynamodb::expression::check::bounds;
use crate::dynamodb::expression::condition::{Comparator, Condition, Operand};
use crate::dynamodb::value::{Invalid, KeyType, Value};

/// What a key condition says, whatever the key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyClauses(Vec<(String, SortRange)>);

/// Which items of a table or an index are asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyCondition {
    pub(crate) partition: Value,
    pub(crate) sort: Option<SortRange>,
}

/// Which values of the sort key are asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SortRange {
    Compare(Comparator, Value),
    Between(Value, Value),
    BeginsWith(Value),
}

impl SortRange {
    fn values(&self) -> Vec<&Value> {
        match self {
            Self::Compare(_, value) | Self::BeginsWith(value) => vec![value],
            Self::Between(low, high) => vec![low, high],
        }
    }

    fn is_equality(&self) -> bool {
        matches!(self, Self::Compare(Comparator::Equal, _))
    }
}

impl KeyClauses {
    /// # Errors
    /// When a condition says something that is no clause of a key condition, or two things of one attribute.
    pub(crate) fn new(condition: Condition) -> Result<Self, Invalid> {
        let mut clauses: Vec<(String, SortRange)> = Vec::new();
        let mut open = vec![condition];
        while let Some(condition) = open.pop() {
            let clause = match condition {
                Condition::And(all) => {
                    open.extend(all.into_iter().rev());
                    continue;
                }
                other => clause(other)?,
            };
            if clauses.iter().any(|(name, _)| *name == clause.0) {
                return Err(Invalid::new(
                    "KeyConditionExpressions must only contain one condition per key",
                ));
            }
            clauses.push(clause);
        }
        Ok(Self(clauses))
    }

    /// What it says of a key.
    ///
    /// # Errors
    /// When it does not say which value the partition key has, speaks of other attributes, or has values of another type.
    pub(crate) fn bind(
        self,
        partition: (&str, KeyType),
        sort: Option<(&str, KeyType)>,
    ) -> Result<KeyCondition, Invalid> {
        let defined = 1 + usize::from(sort.is_some());
        if self.0.len() > defined {
            return Err(Invalid::new(format!(
                "The number of query conditions ({}) exceeds the number of key attributes defined in the schema ({defined})",
                self.0.len()
            )));
        }
        let mut clauses = self.0;
        let mut take = |name: &str| {
            let at = clauses.iter().position(|(clause, _)| clause == name)?;
            Some(clauses.remove(at).1)
        };
        let missed = |name: &str| Invalid::new(format!("Query condition missed key schema element: {name}"));
        let of_partition = take(partition.0).ok_or_else(|| missed(partition.0))?;
        if !of_partition.is_equality() {
            return Err(Invalid::new("Query key condition not supported"));
        }
        let of_sort = sort.and_then(|(name, _)| take(name));
        if let Some((name, _)) = clauses.first() {
            return Err(missed(sort.map_or(name, |(name, _)| name)));
        }
        let sort_type = sort.map(|(_, key_type)| key_type);
        let sorted = of_sort
            .iter()
            .flat_map(|range| range.values().into_iter().map(|value| (sort_type, value)));
        let parted = of_partition
            .values()
            .into_iter()
            .map(|value| (Some(partition.1), value));
        for (key_type, value) in parted.chain(sorted) {
            if key_type.is_some_and(|key_type| !key_type.is_of(value)) {
                return Err(Invalid::parameter(
                    "Condition parameter type does not match schema type",
                ));
            }
        }
        match of_partition {
            SortRange::Compare(_, partition) => Ok(KeyCondition {
                partition,
                sort: of_sort,
            }),
            _ => Err(Invalid::new("Query key condition not supported")),
        }
    }
}

fn clause(condition: Condition) -> Result<(String, SortRange), Invalid> {
    let invalid = |operator: &str| {
        Invalid::new(format!(
            "Invalid operator used in KeyConditionExpression: {operator}"
        ))
    };
    match condition {
        Condition::Compare(_, Comparator::Unequal, _) => Err(invalid("<>")),
        Condition::Compare(left, comparator, Operand::Value(value)) => {
            Ok((attribute(left)?, SortRange::Compare(comparator, value)))
        }
        Condition::Compare(Operand::Value(value), comparator, right) => {
            Ok((attribute(right)?, SortRange::Compare(comparator.turned(), value)))
        }
        Condition::Between(operand, Operand::Value(low), Operand::Value(high)) => {
            bounds(&low, &high)?;
            Ok((attribute(operand)?, SortRange::Between(low, high)))
        }
        Condition::BeginsWith(operand, Operand::Value(prefix)) => {
            Ok((attribute(operand)?, SortRange::BeginsWith(prefix)))
        }
        Condition::Or(_) => Err(invalid("OR")),
        Condition::Not(_) => Err(invalid("NOT")),
        Condition::In(..) => Err(invalid("IN")),
        Condition::Exists(_) => Err(invalid("attribute_exists")),
        Condition::NotExists(_) => Err(invalid("attribute_not_exists")),
        Condition::HasType(..) => Err(invalid("attribute_type")),
        Condition::Contains(..) => Err(invalid("contains")),
        Condition::And(_) => Err(invalid("AND")),
        Condition::Compare(..) | Condition::Between(..) | Condition::BeginsWith(..) => Err(Invalid::new(
            "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        )),
    }
}

fn attribute(operand: Operand) -> Result<String, Invalid> {
    match operand {
        Operand::Path(path) if path.is_attribute() => Ok(path.attribute().to_owned()),
        Operand::Path(_) => Err(Invalid::new(
            "KeyConditionExpressions cannot have conditions on nested attributes",
        )),
        Operand::Size(_) => Err(Invalid::new(
            "Invalid operator used in KeyConditionExpression: size",
        )),
        Operand::Value(_) => Err(Invalid::new(
            "Invalid condition in KeyConditionExpression: No key attribute specified",
        )),
    }
}
