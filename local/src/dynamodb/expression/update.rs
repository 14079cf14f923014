//! Updates, and what they make of an item.

use crate::dynamodb::expression::path::{Path, check_overlaps, compare};
use crate::dynamodb::expression::projection::Projection;
use crate::dynamodb::expression::written::{Resolve, Term, WrittenPath};
use crate::dynamodb::value::{Invalid, Item, Value};

const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
const WRONG_TYPE: &str = "An operand in the update expression has an incorrect data type";

/// What is to be changed in an item; of written paths and values until they are resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Update<P = Path, V = Value> {
    pub(crate) set: Vec<(P, Assigned<P, V>)>,
    pub(crate) remove: Vec<P>,
    pub(crate) add: Vec<(P, V)>,
    pub(crate) delete: Vec<(P, V)>,
}

/// What SET sets something to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Assigned<P = Path, V = Value> {
    Path(P),
    Value(V),
    IfNotExists(P, Box<Self>),
    ListAppend(Box<Self>, Box<Self>),
    Plus(Box<Self>, Box<Self>),
    Minus(Box<Self>, Box<Self>),
}

/// An item before and after an update.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Updated {
    pub(crate) item: Item,
    /// What the update speaks of, as it was.
    pub(crate) updated_old: Item,
    /// What the update speaks of, as it is.
    pub(crate) updated_new: Item,
}

impl<P, V> Update<P, V> {
    pub(crate) fn new() -> Self {
        Self {
            set: Vec::new(),
            remove: Vec::new(),
            add: Vec::new(),
            delete: Vec::new(),
        }
    }

    pub(crate) fn targets_nothing(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && self.add.is_empty() && self.delete.is_empty()
    }
}

impl Update<WrittenPath, Term> {
    /// # Errors
    /// When a name or a value in it is not defined, or two of its paths overlap.
    pub(crate) fn resolve(self, with: &mut dyn Resolve) -> Result<Update, Invalid> {
        let mut update = Update::new();
        for (path, assigned) in self.set {
            update.set.push((with.path(path)?, assigned.resolve(with)?));
        }
        for path in self.remove {
            update.remove.push(with.path(path)?);
        }
        for (path, value) in self.add {
            update.add.push((with.path(path)?, with.value(value)?));
        }
        for (path, value) in self.delete {
            update.delete.push((with.path(path)?, with.value(value)?));
        }
        check_overlaps(&update.targets())?;
        Ok(update)
    }
}

impl Assigned<WrittenPath, Term> {
    fn resolve(self, with: &mut dyn Resolve) -> Result<Assigned, Invalid> {
        let mut both = |left: Box<Self>, right: Box<Self>| -> Result<_, Invalid> {
            Ok((Box::new(left.resolve(with)?), Box::new(right.resolve(with)?)))
        };
        Ok(match self {
            Self::ListAppend(left, right) => {
                let (left, right) = both(left, right)?;
                Assigned::ListAppend(left, right)
            }
            Self::Plus(left, right) => {
                let (left, right) = both(left, right)?;
                Assigned::Plus(left, right)
            }
            Self::Minus(left, right) => {
                let (left, right) = both(left, right)?;
                Assigned::Minus(left, right)
            }
            Self::Path(path) => Assigned::Path(with.path(path)?),
            Self::Value(value) => Assigned::Value(with.value(value)?),
            Self::IfNotExists(path, otherwise) => {
                Assigned::IfNotExists(with.path(path)?, Box::new(otherwise.resolve(with)?))
            }
        })
    }
}

impl Assigned {
    /// What it is, of the item as it was before the update.
    fn of(&self, item: &Item) -> Result<Value, Invalid> {
        Ok(match self {
            Self::Path(path) => path.get(item).ok_or_else(|| Invalid::new(MISSING))?.clone(),
            Self::Value(value) => value.clone(),
            Self::IfNotExists(path, otherwise) => match path.get(item) {
                Some(value) => value.clone(),
                None => otherwise.of(item)?,
            },
            Self::ListAppend(left, right) => match (left.of(item)?, right.of(item)?) {
                (Value::L(mut list), Value::L(more)) => {
                    list.extend(more);
                    Value::L(list)
                }
                _ => return Err(Invalid::new(WRONG_TYPE)),
            },
            Self::Plus(left, right) => match (left.of(item)?, right.of(item)?) {
                (Value::N(left), Value::N(right)) => Value::N(left.plus(right)?),
                _ => return Err(Invalid::new(WRONG_TYPE)),
            },
            Self::Minus(left, right) => match (left.of(item)?, right.of(item)?) {
                (Value::N(left), Value::N(right)) => Value::N(left.minus(right)?),
                _ => return Err(Invalid::new(WRONG_TYPE)),
            },
        })
    }
}

/// What a path is written with.
enum Write<'u> {
    Set(Value),
    Add(&'u Value),
    Delete(&'u Value),
}

impl Update {
    /// The paths that it speaks of, in the order in which they are written by clause.
    pub(crate) fn targets(&self) -> Vec<&Path> {
        let set = self.set.iter().map(|(path, _)| path);
        let add = self.add.iter().map(|(path, _)| path);
        let delete = self.delete.iter().map(|(path, _)| path);
        set.chain(&self.remove).chain(add).chain(delete).collect()
    }

    /// # Errors
    /// When it changes one of these attributes, which are the key.
    pub(crate) fn check_keys<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Result<(), Invalid> {
        let targets = self.targets();
        let mut keys = keys.into_iter();
        match keys.find(|key| targets.iter().any(|path| path.attribute() == *key)) {
            Some(key) => Err(Invalid::parameter(format_args!(
                "Cannot update attribute {key}. This attribute is part of the key"
            ))),
            None => Ok(()),
        }
    }

    /// What it makes of an item, or of none with that key. All of it, or nothing.
    ///
    /// # Errors
    /// When what it refers to is not there, or of another type.
    pub(crate) fn apply(&self, before: Option<&Item>, key: &Item) -> Result<Updated, Invalid> {
        // A new item has its key, for what the update reads too.
        let old = before.unwrap_or(key);
        let mut item = old.clone();
        for (path, value) in &self.add {
            check_fits(path.get(old), value)?;
        }
        for (path, value) in &self.delete {
            check_fits(path.get(old), value)?;
        }
        let mut emptied = self.write(old, &mut item)?;
        for path in &self.remove {
            match path.get(old) {
                Some(_) => emptied.push(path),
                // What was appended there in this update stays.
                None => path.check_parent(old)?,
            }
        }
        // From behind: an element's removal moves those behind it.
        emptied.sort_by(|left, right| compare(right, left));
        emptied.into_iter().try_for_each(|path| path.remove(&mut item))?;
        let mentioned = Projection::of_attributes_and_paths(&self.targets());
        Ok(Updated {
            updated_old: before.map(|before| mentioned.of(before)).unwrap_or_default(),
            updated_new: mentioned.of(&item),
            item,
        })
    }

    /// Sets, adds and deletes in the order of the paths, so that what is appended to a list comes in the order of its indexes.
    /// The paths of sets of which nothing is left are returned.
    fn write<'u>(&'u self, old: &Item, item: &mut Item) -> Result<Vec<&'u Path>, Invalid> {
        let mut writes = Vec::with_capacity(self.set.len() + self.add.len() + self.delete.len());
        for (path, assigned) in &self.set {
            writes.push((path, Write::Set(assigned.of(old)?)));
        }
        writes.extend(self.add.iter().map(|(path, value)| (path, Write::Add(value))));
        writes.extend(
            self.delete
                .iter()
                .map(|(path, value)| (path, Write::Delete(value))),
        );
        writes.sort_by(|(left, _), (right, _)| compare(left, right));
        let mut emptied = Vec::new();
        for (path, write) in writes {
            match write {
                Write::Set(value) => path.set(item, value)?,
                Write::Add(more) => path.set(item, sum(path.get(old), more)?)?,
                Write::Delete(members) => {
                    path.check_parent(item)?;
                    match path.get(old).map(|set| without(set, members)) {
                        Some(Some(rest)) => path.set(item, rest)?,
                        Some(None) => emptied.push(path),
                        None => {}
                    }
                }
            }
        }
        Ok(emptied)
    }
}

/// # Errors
/// When what is there is not of the type that is added to it or deleted from it.
fn check_fits(there: Option<&Value>, value: &Value) -> Result<(), Invalid> {
    match there.is_none_or(|there| there.type_name() == value.type_name()) {
        true => Ok(()),
        false => Err(Invalid::new(WRONG_TYPE)),
    }
}

fn sum(there: Option<&Value>, more: &Value) -> Result<Value, Invalid> {
    Ok(match (there, more) {
        (None, more) => more.clone(),
        (Some(Value::N(there)), Value::N(more)) => Value::N(there.plus(*more)?),
        (Some(Value::Ss(there)), Value::Ss(more)) => Value::Ss(there | more),
        (Some(Value::Ns(there)), Value::Ns(more)) => Value::Ns(there | more),
        (Some(Value::Bs(there)), Value::Bs(more)) => Value::Bs(there | more),
        _ => return Err(Invalid::new(WRONG_TYPE)),
    })
}

/// What is left of a set; a set has members.
fn without(there: &Value, members: &Value) -> Option<Value> {
    match (there, members) {
        (Value::Ss(there), Value::Ss(members)) => Some(there - members)
            .filter(|left| !left.is_empty())
            .map(Value::Ss),
        (Value::Ns(there), Value::Ns(members)) => Some(there - members)
            .filter(|left| !left.is_empty())
            .map(Value::Ns),
        (Value::Bs(there), Value::Bs(members)) => Some(there - members)
            .filter(|left| !left.is_empty())
            .map(Value::Bs),
        _ => Some(there.clone()),
    }
}
