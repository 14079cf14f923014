//! Projections: the parts of an item that are asked for.

use crate::dynamodb::expression::path::{Path, Step, check_overlaps};
use crate::dynamodb::expression::written::{Resolve, WrittenPath};
use crate::dynamodb::value::{Invalid, Item, Value};

/// Paths, none in another, in the order of the elements of lists.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Projection {
    paths: Vec<Path>,
    /// Each part is an attribute of its own, as PartiQL has it.
    flat: bool,
}

impl Projection {
    /// # Errors
    /// When a name in a path is not defined, or two paths overlap.
    pub(crate) fn resolve(written: Vec<WrittenPath>, with: &mut dyn Resolve) -> Result<Self, Invalid> {
        let mut paths = Vec::with_capacity(written.len());
        for path in written {
            paths.push(with.path(path)?);
        }
        check_overlaps(&paths.iter().collect::<Vec<_>>())?;
        Ok(Self::nested(paths))
    }

    /// As [`resolve`](Self::resolve), of a SELECT: `m.a[0]` is the attribute `a[0]` of what is found.
    ///
    /// # Errors
    /// When a path is not one.
    pub(crate) fn resolve_flat(written: Vec<WrittenPath>, with: &mut dyn Resolve) -> Result<Self, Invalid> {
        let paths: Result<Vec<Path>, Invalid> = written.into_iter().map(|path| with.path(path)).collect();
        Ok(Self {
            paths: paths?,
            flat: true,
        })
    }

    fn nested(mut paths: Vec<Path>) -> Self {
        paths.sort();
        paths.dedup();
        Self { paths, flat: false }
    }

    /// These paths, but of one with an index the whole attribute.
    pub(super) fn of_attributes_and_paths(paths: &[&Path]) -> Self {
        let whole = |path: &&Path| match path.steps().iter().any(|step| matches!(step, Step::Index(_))) {
            true => Path::new(path.attribute().to_owned(), Vec::new()),
            false => (*path).clone(),
        };
        Self::nested(paths.iter().map(whole).collect())
    }

    /// The attributes that it names parts of.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(Path::attribute)
    }

    /// The parts of an item that are there. Elements of a list come without those between them.
    pub(crate) fn of(&self, item: &Item) -> Item {
        let mut parts = Item::new();
        let mut last: Option<&Path> = None;
        for path in &self.paths {
            let Some(value) = path.get(item) else {
                continue;
            };
            if self.flat {
                parts.insert(last_name(path), value.clone());
                continue;
            }
            let same = last.map_or(0, |last| common(last, path));
            put(&mut parts, path, same, value.clone());
            last = Some(path);
        }
        parts
    }
}

/// The last name of a path with the indexes behind it.
fn last_name(path: &Path) -> String {
    let mut name = path.attribute().to_owned();
    for step in path.steps() {
        match step {
            Step::Name(step) => name.clone_from(step),
            Step::Index(index) => name.push_str(&format!("[{index}]")),
        }
    }
    name
}

/// How many steps two paths have in common at their beginning; none of paths in two attributes.
fn common(left: &Path, right: &Path) -> usize {
    let steps = left.steps().iter().zip(right.steps());
    match left.attribute() == right.attribute() {
        true => steps.take_while(|(left, right)| left == right).count(),
        false => 0,
    }
}

/// Puts a part in, of which the first `same` steps are those of the part before.
fn put(parts: &mut Item, path: &Path, same: usize, value: Value) {
    let steps = path.steps();
    let container = |steps: &[Step]| match steps.first() {
        Some(Step::Index(_)) => Value::L(Vec::new()),
        _ => Value::M(Item::new()),
    };
    let Some((_, _)) = steps.split_first() else {
        parts.insert(path.attribute().to_owned(), value);
        return;
    };
    let mut place = parts
        .entry(path.attribute().to_owned())
        .or_insert_with(|| container(steps));
    for (at, step) in steps.iter().enumerate() {
        let below = &steps[at + 1..];
        let new = || {
            if below.is_empty() {
                Value::Null
            } else {
                container(below)
            }
        };
        place = match (step, place) {
            (Step::Name(name), Value::M(map)) => map.entry(name.clone()).or_insert_with(new),
            (Step::Index(_), Value::L(list)) => {
                if at >= same || list.is_empty() {
                    list.push(new());
                }
                let Some(last) = list.last_mut() else {
                    return;
                };
                last
            }
            _ => return,
        };
    }
    *place = value;
}
