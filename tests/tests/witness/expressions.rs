//! Expressions with their names and values.

use serde_json::{Map, Value as Json, json};

use super::draw::{Draw, TableShape};

/// The names and values of a request's expressions.
#[derive(Default)]
pub(super) struct Given {
    names: Map<String, Json>,
    values: Map<String, Json>,
}

impl Given {
    fn name(&mut self, name: &str) -> String {
        let alias = format!("#{name}");
        self.names.insert(alias.clone(), json!(name));
        alias
    }

    pub(super) fn value(&mut self, value: Json) -> String {
        let reference = format!(":v{}", self.values.len());
        self.values.insert(reference.clone(), value);
        reference
    }

    /// Puts them into a request, seldom one more or one less.
    pub(super) fn put_into(mut self, draw: &mut Draw, body: &mut Map<String, Json>) {
        if draw.one_in(120) {
            self.values.insert(":unused".to_owned(), json!({"S": "x"}));
        }
        if draw.one_in(120) {
            self.names.insert("#unused".to_owned(), json!("x"));
        }
        if draw.one_in(120) {
            self.values.remove(":v0");
        }
        if !self.names.is_empty() {
            body.insert("ExpressionAttributeNames".to_owned(), Json::Object(self.names));
        }
        if !self.values.is_empty() {
            body.insert("ExpressionAttributeValues".to_owned(), Json::Object(self.values));
        }
    }
}

impl Draw {
    /// A document path, its names aliased where they must be and sometimes where not.
    pub(super) fn path(&mut self, given: &mut Given) -> String {
        let path = *self.pick(&[
            "n", "n", "s", "grp", "l", "m", "set", "q", "l[0]", "l[1]", "m.x", "m.y", "m.y", "m.x[0]", "id",
            "at", "absent",
        ]);
        let (attribute, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
        if attribute == "set" || attribute == "at" || self.one_in(4) {
            return given.name(attribute) + rest;
        }
        path.to_owned()
    }

    fn operand(&mut self, given: &mut Given) -> String {
        match self.random.u32(..8) {
            0 => format!("size({})", self.path(given)),
            1..4 => self.path(given),
            _ => {
                let value = self.value(1);
                given.value(value)
            }
        }
    }

    /// A value that compares with what is mostly at `path`.
    fn fitting(&mut self, path: &str, given: &mut Given) -> String {
        let attribute = path.trim_start_matches('#');
        let attribute = attribute.split(['.', '[']).next().unwrap_or(attribute).to_owned();
        let value = match attribute.as_str() {
            "at" => self.sort_value(),
            "id" => self.partition_value(),
            "m" => json!({"N": self.number()}),
            other => self.value_of(other),
        };
        given.value(value)
    }

    pub(super) fn condition(&mut self, depth: u32, given: &mut Given) -> String {
        if depth > 0 && self.one_in(2) {
            let left = self.condition(depth - 1, given);
            return match self.random.u32(..5) {
                0 => format!("NOT {left}"),
                1 | 2 => format!("{left} AND {}", self.condition(depth - 1, given)),
                3 => format!("({left} OR {})", self.condition(depth - 1, given)),
                _ => format!("{left} OR {}", self.condition(depth - 1, given)),
            };
        }
        let path = self.path(given);
        match self.random.u32(..16) {
            0..3 => format!("attribute_exists({path})"),
            3..5 => format!("attribute_not_exists({path})"),
            5 => {
                let kind = *self.pick(&["S", "N", "L", "M", "SS", "NULL"]);
                format!("attribute_type({path}, {})", given.value(json!({"S": kind})))
            }
            6 => format!("begins_with({path}, {})", given.value(json!({"S": self.text()}))),
            7 => format!("contains({path}, {})", self.fitting("q", given)),
            8 => {
                let (low, high) = *self.pick(&[("0", "5"), ("-1", "1"), ("2", "2")]);
                format!(
                    "{path} BETWEEN {} AND {}",
                    given.value(json!({"N": low})),
                    given.value(json!({"N": high}))
                )
            }
            9 => format!(
                "{path} IN ({}, {})",
                self.fitting(&path, given),
                self.operand(given)
            ),
            10 => {
                let comparator = *self.pick(&["=", "<>", "<", ">"]);
                format!(
                    "size({path}) {comparator} {}",
                    given.value(json!({"N": *self.pick(&["0", "1", "2"])}))
                )
            }
            11 => format!("{} = {}", self.operand(given), self.operand(given)),
            _ => {
                let comparator = *self.pick(&["=", "=", "<>", "<", "<=", ">", ">="]);
                format!("{path} {comparator} {}", self.fitting(&path, given))
            }
        }
    }

    /// A condition, seldom broken.
    pub(super) fn condition_text(&mut self, given: &mut Given) -> String {
        let text = self.condition(2, given);
        if !self.one_in(60) {
            return text;
        }
        match self.random.u32(..6) {
            0 => text.replace('=', "=="),
            1 => format!("{text} AND"),
            2 => format!("{text})"),
            3 => format!("status = {text}"),
            4 => format!("exists(n) AND {text}"),
            _ => String::new(),
        }
    }

    pub(super) fn projection_text(&mut self, given: &mut Given) -> String {
        let paths: Vec<String> = (0..=self.random.usize(..3)).map(|_| self.path(given)).collect();
        paths.join(", ")
    }

    pub(super) fn update_text(&mut self, given: &mut Given) -> String {
        let mut clauses = Vec::new();
        if self.one_in(60) {
            return (*self.pick(&[
                "",
                "SET",
                "SET n",
                "n = 1",
                "SET n = :x + :y",
                "REMOVE",
                "ADD n",
                "SET n = size(l)",
            ]))
            .to_owned();
        }
        if !self.one_in(4) {
            let sets: Vec<String> = (0..=self.random.usize(..2))
                .map(|_| self.assignment(given))
                .collect();
            clauses.push(format!("SET {}", sets.join(", ")));
        }
        if self.one_in(4) {
            clauses.push(format!("REMOVE {}", self.target(given)));
        }
        if self.one_in(4) {
            let value = if self.random.bool() {
                json!({"N": self.number()})
            } else {
                self.set()
            };
            let path = if value.get("N").is_some() {
                "n".to_owned()
            } else {
                given.name("set")
            };
            clauses.push(format!("ADD {path} {}", given.value(value)));
        }
        if self.one_in(6) || clauses.is_empty() {
            let value = self.set();
            clauses.push(format!("DELETE {} {}", given.name("set"), given.value(value)));
        }
        clauses.join(" ")
    }

    /// Mostly no key.
    fn target(&mut self, given: &mut Given) -> String {
        loop {
            let path = self.path(given);
            let is_key = ["id", "at", "#id", "#at"].contains(&path.as_str());
            if !is_key || self.one_in(10) {
                return path;
            }
        }
    }

    fn assignment(&mut self, given: &mut Given) -> String {
        let path = self.target(given);
        match self.random.u32(..8) {
            0 => format!(
                "n = n {} {}",
                self.pick(&["+", "-"]),
                given.value(json!({"N": self.number()}))
            ),
            1 => {
                let one = given.value(json!({"N": "1"}));
                format!("n = if_not_exists(n, {one}) + {one}")
            }
            2 => {
                let value = self.value(1);
                format!(
                    "{path} = if_not_exists({}, {})",
                    self.path(given),
                    given.value(value)
                )
            }
            3 => {
                let list = given.value(json!({"L": [{"S": "new"}]}));
                format!("l = list_append(l, {list})")
            }
            4 => format!("{path} = {}", self.path(given)),
            _ => format!("{path} = {}", self.fitting(&path, given)),
        }
    }

    /// A condition on a key, seldom one that is none.
    pub(super) fn key_condition_text(
        &mut self,
        partition: &str,
        sort: Option<&str>,
        given: &mut Given,
    ) -> String {
        let alias = given.name(partition);
        let value = match partition {
            "id" => self.partition_value(),
            _ => json!({"S": *self.pick(&["a", "ab", "b"])}),
        };
        let equal = format!("{alias} = {}", given.value(value));
        if self.one_in(80) {
            return format!(
                "{equal} {}",
                self.pick(&["OR n = :v0", "AND n <> :v0", "AND", "AND q = :v0"])
            );
        }
        let Some(sort) = sort.filter(|_| self.random.bool()) else {
            return equal;
        };
        let alias = given.name(sort);
        let low = given.value(json!({"N": *self.pick(&["-3", "0", "1"])}));
        let range = match self.random.u32(..4) {
            0 => format!(
                "{alias} BETWEEN {low} AND {}",
                given.value(json!({"N": *self.pick(&["1", "2.50", "100"])}))
            ),
            _ => format!("{alias} {} {low}", self.pick(&["=", "<", "<=", ">", ">="])),
        };
        format!("{equal} AND {range}")
    }

    /// Which keys an index or the table has.
    pub(super) fn index(
        &mut self,
        table: &TableShape,
    ) -> Option<(&'static str, &'static str, Option<&'static str>)> {
        match table.indexes.is_empty() || self.random.bool() {
            true => None,
            false => Some(*self.pick(table.indexes)),
        }
    }
}
