//! Document paths: the places in an item.

use std::cmp::Ordering;
use std::fmt::{self, Display};

use crate::dynamodb::value::{Invalid, Item, Value};

/// The place of a value in an item; it begins with an attribute's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    attribute: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Name(String),
    Index(usize),
}

/// How AWS refuses to go through what is not there.
const INVALID: &str = "The document path provided in the update expression is invalid for update";

impl Path {
    pub(crate) fn new(attribute: String, steps: Vec<Step>) -> Self {
        Self { attribute, steps }
    }

    /// The attribute that it is in.
    pub(crate) fn attribute(&self) -> &str {
        &self.attribute
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether it is a whole attribute.
    pub(crate) fn is_attribute(&self) -> bool {
        self.steps.is_empty()
    }

    pub(crate) fn get<'i>(&self, item: &'i Item) -> Option<&'i Value> {
        let attribute = item.get(&self.attribute)?;
        self.steps
            .iter()
            .try_fold(attribute, |value, step| match (step, value) {
                (Step::Name(name), Value::M(map)) => map.get(name),
                (Step::Index(index), Value::L(list)) => list.get(*index),
                _ => None,
            })
    }

    fn get_mut<'i>(attribute: &str, steps: &[Step], item: &'i mut Item) -> Option<&'i mut Value> {
        let attribute = item.get_mut(attribute)?;
        steps
            .iter()
            .try_fold(attribute, |value, step| match (step, value) {
                (Step::Name(name), Value::M(map)) => map.get_mut(name),
                (Step::Index(index), Value::L(list)) => list.get_mut(*index),
                _ => None,
            })
    }

    /// Puts a value there; behind the end of a list it is appended.
    ///
    /// # Errors
    /// When what it is to be put in is not there, or not a map or a list.
    pub(super) fn set(&self, item: &mut Item, value: Value) -> Result<(), Invalid> {
        let Some((last, steps)) = self.steps.split_last() else {
            item.insert(self.attribute.clone(), value);
            return Ok(());
        };
        match (Self::get_mut(&self.attribute, steps, item), last) {
            (Some(Value::M(map)), Step::Name(name)) => {
                map.insert(name.clone(), value);
            }
            (Some(Value::L(list)), Step::Index(index)) => match list.get_mut(*index) {
                Some(place) => *place = value,
                None => list.push(value),
            },
            _ => return Err(Invalid::new(INVALID)),
        }
        Ok(())
    }

    /// Removes what is there, if there is something.
    ///
    /// # Errors
    /// When what it would be in is not there, or not a map or a list.
    pub(super) fn remove(&self, item: &mut Item) -> Result<(), Invalid> {
        let Some((last, steps)) = self.steps.split_last() else {
            item.remove(&self.attribute);
            return Ok(());
        };
        match (Self::get_mut(&self.attribute, steps, item), last) {
            (Some(Value::M(map)), Step::Name(name)) => {
                map.remove(name);
            }
            (Some(Value::L(list)), Step::Index(index)) => {
                if *index < list.len() {
                    list.remove(*index);
                }
            }
            _ => return Err(Invalid::new(INVALID)),
        }
        Ok(())
    }

    /// # Errors
    /// When what it would be in is not there, or not a map or a list.
    pub(super) fn check_parent(&self, item: &Item) -> Result<(), Invalid> {
        let Some((last, steps)) = self.steps.split_last() else {
            return Ok(());
        };
        let parent = Self::new(self.attribute.clone(), steps.to_vec());
        match (parent.get(item), last) {
            (Some(Value::M(_)), Step::Name(_)) | (Some(Value::L(_)), Step::Index(_)) => Ok(()),
            _ => Err(Invalid::new(INVALID)),
        }
    }

    /// Whether one is in the other, or they are the same.
    fn overlaps(&self, other: &Self) -> bool {
        self.attribute == other.attribute
            && self
                .steps
                .iter()
                .zip(&other.steps)
                .all(|(left, right)| left == right)
    }

    /// Whether they go apart where one takes a name and the other an index.
    fn conflicts(&self, other: &Self) -> bool {
        let apart = self
            .steps
            .iter()
            .zip(&other.steps)
            .find(|(left, right)| left != right);
        self.attribute == other.attribute
            && matches!(
                apart,
                Some((Step::Name(_), Step::Index(_)) | (Step::Index(_), Step::Name(_)))
            )
    }
}

/// # Errors
/// When two of the paths cannot stand side by side.
pub(super) fn check_overlaps(paths: &[&Path]) -> Result<(), Invalid> {
    for (at, one) in paths.iter().enumerate() {
        for two in &paths[at + 1..] {
            let how = match (one.overlaps(two), one.conflicts(two)) {
                (true, _) => "overlap",
                (_, true) => "conflict",
                _ => continue,
            };
            return Err(Invalid::new(format!(
                "Two document paths {how} with each other; must remove or rewrite one of these paths; path one: {one}, path two: {two}"
            )));
        }
    }
    Ok(())
}

pub(super) fn compare(left: &Path, right: &Path) -> Ordering {
    left.cmp(right)
}

/// As AWS names it in errors: `[a, [0], b]`.
impl Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}", self.attribute)?;
        for step in &self.steps {
            match step {
                Step::Name(name) => write!(formatter, ", {name}")?,
                Step::Index(index) => write!(formatter, ", [{index}]")?,
            }
        }
        formatter.write_str("]")
    }
}
