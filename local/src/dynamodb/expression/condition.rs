//! Conditions, and whether they hold.

use std::borrow::Cow;

use crate::dynamodb::expression::path::Path;
use crate::dynamodb::expression::written::{Resolve, Term, WrittenPath};
use crate::dynamodb::value::{Invalid, Item, Number, Value};

/// What may hold for an item; of written paths and values until they are resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition<P = Path, V = Value> {
    Compare(Operand<P, V>, Comparator, Operand<P, V>),
    Between(Operand<P, V>, Operand<P, V>, Operand<P, V>),
    In(Operand<P, V>, Vec<Operand<P, V>>),
    Exists(P),
    NotExists(P),
    /// Of a type with that name.
    HasType(P, Operand<P, V>),
    BeginsWith(Operand<P, V>, Operand<P, V>),
    Contains(Operand<P, V>, Operand<P, V>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand<P = Path, V = Value> {
    Path(P),
    Value(V),
    /// The length of what is at a path.
    Size(P),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    pub(crate) fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "=" => Self::Equal,
            "<>" | "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// With its operands exchanged.
    pub(crate) fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    pub(crate) fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }

    /// Values of two types are unequal and in no order.
    pub(crate) fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (left, right) {
            (Value::S(left), Value::S(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Value::N(left), Value::N(right)) => left.cmp(right),
            (Value::B(left), Value::B(right)) => left.cmp(right),
            _ => {
                return match self {
                    Self::Equal => left == right,
                    Self::Unequal => left != right,
                    _ => false,
                };
            }
        };
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Condition<WrittenPath, Term> {
    /// # Errors
    /// When a name or a value in it is not defined.
    pub(crate) fn resolve(self, with: &mut dyn Resolve) -> Result<Condition, Invalid> {
        Ok(match self {
            Self::Compare(left, comparator, right) => {
                Condition::Compare(left.resolve(with)?, comparator, right.resolve(with)?)
            }
            Self::Between(operand, low, high) => {
                Condition::Between(operand.resolve(with)?, low.resolve(with)?, high.resolve(with)?)
            }
            Self::In(operand, among) => {
                let operand = operand.resolve(with)?;
                let among: Result<_, _> = among.into_iter().map(|one| one.resolve(with)).collect();
                Condition::In(operand, among?)
            }
            Self::Exists(path) => Condition::Exists(with.path(path)?),
            Self::NotExists(path) => Condition::NotExists(with.path(path)?),
            Self::HasType(path, name) => Condition::HasType(with.path(path)?, name.resolve(with)?),
            Self::BeginsWith(operand, prefix) => {
                Condition::BeginsWith(operand.resolve(with)?, prefix.resolve(with)?)
            }
            Self::Contains(operand, part) => Condition::Contains(operand.resolve(with)?, part.resolve(with)?),
            Self::And(all) => Condition::And(resolve_all(all, with)?),
            Self::Or(any) => Condition::Or(resolve_all(any, with)?),
            Self::Not(condition) => Condition::Not(Box::new(condition.resolve(with)?)),
        })
    }
}

fn resolve_all(
    written: Vec<Condition<WrittenPath, Term>>,
    with: &mut dyn Resolve,
) -> Result<Vec<Condition>, Invalid> {
    written.into_iter().map(|one| one.resolve(with)).collect()
}

impl Operand<WrittenPath, Term> {
    fn resolve(self, with: &mut dyn Resolve) -> Result<Operand, Invalid> {
        Ok(match self {
            Self::Path(path) => Operand::Path(with.path(path)?),
            Self::Value(value) => Operand::Value(with.value(value)?),
            Self::Size(path) => Operand::Size(with.path(path)?),
        })
    }
}

impl Operand {
    /// What it is of an item; nothing of what is not there, and no size of what has none.
    fn of<'a>(&'a self, item: &'a Item) -> Option<Cow<'a, Value>> {
        match self {
            Self::Path(path) => path.get(item).map(Cow::Borrowed),
            Self::Value(value) => Some(Cow::Borrowed(value)),
            Self::Size(path) => {
                let length = match path.get(item)? {
                    Value::S(text) => text.encode_utf16().count(),
                    Value::B(bytes) => bytes.len(),
                    Value::M(map) => map.len(),
                    Value::L(list) => list.len(),
                    Value::Ss(set) => set.len(),
                    Value::Ns(set) => set.len(),
                    Value::Bs(set) => set.len(),
                    Value::N(_) | Value::Bool(_) | Value::Null => return None,
                };
                // An item has 400 KB at most.
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                Some(Cow::Owned(Value::N(Number::from(length))))
            }
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) | Self::Size(path) => Some(path),
            Self::Value(_) => None,
        }
    }
}

impl Condition {
    /// Whether it holds for an item, or for none.
    pub(crate) fn holds(&self, item: Option<&Item>) -> bool {
        const NONE: &Item = &Item::new();
        self.holds_for(item.unwrap_or(NONE))
    }

    fn holds_for(&self, item: &Item) -> bool {
        match self {
            Self::Compare(left, comparator, right) => match (left.of(item), right.of(item)) {
                (Some(left), Some(right)) => comparator.holds(&left, &right),
                // What is not there is unequal to everything.
                _ => *comparator == Comparator::Unequal,
            },
            Self::Between(operand, low, high) => match (operand.of(item), low.of(item), high.of(item)) {
                (Some(value), Some(low), Some(high)) => {
                    Comparator::GreaterOrEqual.holds(&value, &low)
                        && Comparator::LessOrEqual.holds(&value, &high)
                }
                _ => false,
            },
            Self::In(operand, among) => operand.of(item).is_some_and(|value| {
                let mut among = among.iter().filter_map(|one| one.of(item));
                among.any(|one| one == value)
            }),
            Self::Exists(path) => path.get(item).is_some(),
            Self::NotExists(path) => path.get(item).is_none(),
            Self::HasType(path, name) => match (path.get(item), name.of(item).as_deref()) {
                (Some(value), Some(Value::S(name))) => value.type_name() == name,
                _ => false,
            },
            Self::BeginsWith(operand, prefix) => {
                match (operand.of(item).as_deref(), prefix.of(item).as_deref()) {
                    (Some(Value::S(text)), Some(Value::S(prefix))) => text.starts_with(prefix.as_str()),
                    (Some(Value::B(bytes)), Some(Value::B(prefix))) => bytes.starts_with(prefix),
                    _ => false,
                }
            }
            Self::Contains(operand, part) => match (operand.of(item), part.of(item)) {
                (Some(whole), Some(part)) => contains(&whole, &part),
                _ => false,
            },
            Self::And(all) => all.iter().all(|condition| condition.holds_for(item)),
            Self::Or(any) => any.iter().any(|condition| condition.holds_for(item)),
            Self::Not(condition) => !condition.holds_for(item),
        }
    }

    /// The attributes that decide it.
    pub(crate) fn attributes(&self) -> Vec<&str> {
        let mut attributes = Vec::new();
        self.visit_paths(&mut |path| attributes.push(path.attribute()));
        attributes
    }

    /// Calls for each path in it.
    pub(crate) fn visit_paths<'c>(&'c self, visit: &mut dyn FnMut(&'c Path)) {
        let mut operands = |operands: &[&'c Operand]| {
            let paths = operands.iter().filter_map(|operand| operand.path());
            paths.for_each(&mut *visit);
        };
        match self {
            Self::Compare(left, _, right) | Self::BeginsWith(left, right) | Self::Contains(left, right) => {
                operands(&[left, right]);
            }
            Self::Between(operand, low, high) => operands(&[operand, low, high]),
            Self::In(operand, among) => {
                operands(&[operand]);
                operands(&among.iter().collect::<Vec<_>>());
            }
            Self::HasType(path, name) => {
                visit(path);
                name.path().into_iter().for_each(visit);
            }
            Self::Exists(path) | Self::NotExists(path) => visit(path),
            Self::And(all) | Self::Or(all) => {
                all.iter().for_each(|condition| condition.visit_paths(visit));
            }
            Self::Not(condition) => condition.visit_paths(visit),
        }
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::S(text), Value::S(part)) => text.contains(part.as_str()),
        (Value::B(bytes), Value::B(part)) => {
            part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
        }
        (Value::Ss(set), Value::S(part)) => set.contains(part),
        (Value::Ns(set), Value::N(part)) => set.contains(part),
        (Value::Bs(set), Value::B(part)) => set.contains(part),
        (Value::L(list), part) => list.contains(part),
        _ => false,
    }
}
