//! No function has more than 70 lines and no file more than 500, without what only tests compile.
//!
//! Functions are found by the form that rustfmt gives them: one ends at the first `}` below it that is indented as it is.

use std::path::{Path, PathBuf};

use crate::crates;

/// From the line with `fn` to the closing brace.
const LINES_OF_A_FUNCTION: usize = 70;

const LINES_OF_A_FILE: usize = 500;

/// Lines with their numbers in the file, from 1.
type Lines<'a> = Vec<(usize, &'a str)>;

#[test]
fn no_function_and_no_file_is_too_long() {
    let root = super::root();
    let mut too_long = Vec::new();
    for name in crates::shipped() {
        let mut count = 0;
        for path in sources(&root.join(name).join("src")) {
            let text = std::fs::read_to_string(&path).expect("a source can be read");
            let lines = shipped(&text);
            let path = path.strip_prefix(&root).expect("below the workspace").display();
            if lines.len() > LINES_OF_A_FILE {
                too_long.push(format!("{path} has {} lines", lines.len()));
            }
            let functions = functions(&lines);
            count += functions.len();
            let long = functions
                .iter()
                .filter(|(.., length)| *length > LINES_OF_A_FUNCTION);
            too_long
                .extend(long.map(|(name, line, length)| format!("{path}:{line}: {name} has {length} lines")));
        }
        println!("{name}: {count} functions");
        assert!(
            count > 30,
            "{count} functions were found in {name}: the check is blind"
        );
    }
    assert!(too_long.is_empty(), "too long:\n{}", too_long.join("\n"));
}

#[test]
fn a_function_is_counted_from_its_first_line_to_its_brace() {
    let text = "\
#[cfg(test)]
mod tests;

impl Thing {
    pub(crate) async fn one<'a>(
        &self,
    ) -> u8 {
        if true {
            1
        } else {
            2
        }
    }

    fn two() {}
}

#[cfg(test)]
mod more {
    use super::*;

    fn three() {
        3
    }
}

trait Other {
    fn four(
        &self,
    ) -> u8;
}

pub const fn five() -> u8 {
    5
}
";
    let expected = [("one", 5, 9), ("two", 15, 1), ("four", 28, 3), ("five", 33, 3)];
    assert_eq!(functions(&shipped(text)), expected);
}

/// Every file of Rust below a folder, except for those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources can be read") {
        let path = entry.expect("a folder of sources can be read").path();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        } else if path.is_dir() {
            found.extend(sources(&path));
        } else if is_rust {
            found.push(path);
        }
    }
    found
}

/// The lines of a file, without the items that only tests compile.
fn shipped(text: &str) -> Lines<'_> {
    let mut lines = text.lines().zip(1..).map(|(line, number)| (number, line));
    let mut kept = Lines::new();
    while let Some((number, line)) = lines.next() {
        match line.trim() {
            "#[cfg(test)]" => drop(lines.by_ref().find(|(_, later)| ends(later, line))),
            _ => kept.push((number, line)),
        }
    }
    kept
}

/// The name, first line and length of each function.
fn functions<'a>(lines: &[(usize, &'a str)]) -> Vec<(&'a str, usize, usize)> {
    let mut found = Vec::new();
    for (index, (number, line)) in lines.iter().enumerate() {
        let Some(name) = name(line) else { continue };
        let rest = lines.iter().skip(index);
        let before_the_end = match line.ends_with(['}', ';']) {
            true => 0,
            false => rest.take_while(|(_, later)| !ends(later, line)).count(),
        };
        found.push((name, *number, before_the_end + 1));
    }
    found
}

/// Whether a line ends the item that begins on an earlier one.
fn ends(line: &str, first: &str) -> bool {
    let text = line.trim_start();
    let is_indented_alike = line.len() - text.len() == first.len() - first.trim_start().len();
    is_indented_alike && (text == "}" || text.ends_with(';'))
}

/// The name of the function that begins on a line.
fn name(line: &str) -> Option<&str> {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| matches!(*word, "pub" | "async" | "const" | "unsafe") || word.starts_with("pub("));
    words.next().filter(|word| *word == "fn")?;
    words.next()?.split(['(', '<']).next()
}
