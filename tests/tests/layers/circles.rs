//! Circles in a graph of imports.

use std::collections::{BTreeMap, BTreeSet};

/// Which file imports which others.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// The groups of files in which each reaches each other one, largest first. A file that imports itself is no circle.
pub fn circles(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = imports
        .keys()
        .map(|file| (file, reached_from(file, imports)))
        .collect();
    let mut groups = BTreeSet::new();
    for (file, others) in &reached {
        let group: BTreeSet<String> = others
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)))
            .map(|other| (*other).clone())
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

fn reached_from<'a>(file: &'a String, imports: &'a Imports) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![file];
    while let Some(next) = ahead.pop() {
        for other in imports.get(next).into_iter().flatten() {
            if reached.insert(other) {
                ahead.push(other);
            }
        }
    }
    reached
}

#[test]
fn a_circle_is_found_and_what_leads_to_it_is_not_in_it() {
    let imports = |arrows: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in arrows {
            imports
                .entry(from.to_string())
                .or_default()
                .insert(to.to_string());
            imports.entry(to.to_string()).or_default();
        }
        imports
    };
    assert!(circles(&imports(&[("a", "b"), ("b", "c"), ("a", "c"), ("a", "a")])).is_empty());
    let found = circles(&imports(&[
        ("main", "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "a"),
        ("c", "leaf"),
        ("x", "y"),
        ("y", "x"),
    ]));
    let names: Vec<Vec<&str>> = found
        .iter()
        .map(|group| group.iter().map(String::as_str).collect())
        .collect();
    assert_eq!(names, [vec!["a", "b", "c"], vec!["x", "y"]]);
}
