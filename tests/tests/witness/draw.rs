//! What requests are made of, drawn so that keys collide and expressions are often, and not always, right.

use fastrand::Rng;
use serde_json::{Map, Value as Json, json};

use super::Request;

/// A table of the tests: its key, and its indexes by their names and keys.
pub(super) struct TableShape {
    pub(super) name: &'static str,
    pub(super) partition: &'static str,
    pub(super) sort: Option<&'static str>,
    pub(super) indexes: &'static [(&'static str, &'static str, Option<&'static str>)],
}

pub(super) const PLAIN: TableShape = TableShape {
    name: "table-plain",
    partition: "id",
    sort: None,
    indexes: &[],
};

pub(super) const INDEXED: TableShape = TableShape {
    name: "table-indexed",
    partition: "id",
    sort: Some("at"),
    indexes: &[("by-group", "grp", Some("n")), ("by-text", "s", None)],
};

/// Draws requests, the same from the same seed.
pub(super) struct Draw {
    pub(super) random: Rng,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
        }
    }

    /// The `nth` request; the first ones make tables.
    pub(super) fn request(&mut self, nth: usize) -> Request {
        match nth {
            0 => self.create(&PLAIN),
            1 => self.create(&INDEXED),
            _ => match self.random.u32(..100) {
                0 => self.table_request(),
                1..15 => self.put(),
                15..25 => self.get(),
                25..42 => self.update(),
                42..48 => self.delete(),
                48..60 => self.query(),
                60..70 => self.scan(),
                70..74 => self.batch_get(),
                74..78 => self.batch_write(),
                78..86 => self.execute(),
                86..91 => self.batch_execute(),
                91..97 => self.transact_write(),
                _ => self.transact_get(),
            },
        }
    }

    pub(super) fn one_in(&mut self, times: u32) -> bool {
        self.random.u32(..times) == 0
    }

    pub(super) fn pick<'p, T>(&mut self, from: &'p [T]) -> &'p T {
        &from[self.random.usize(..from.len())]
    }

    pub(super) fn table(&mut self) -> &'static TableShape {
        if self.one_in(3) { &PLAIN } else { &INDEXED }
    }

    /// A table's name, seldom one that is not there.
    pub(super) fn name_of(&mut self, table: &TableShape) -> &'static str {
        if self.one_in(150) {
            "table-missing"
        } else {
            table.name
        }
    }

    pub(super) fn partition_value(&mut self) -> Json {
        json!({"S": *self.pick(&["a", "b", "c", "aé", "a\u{0}"])})
    }

    pub(super) fn sort_value(&mut self) -> Json {
        json!({"N": *self.pick(&["0", "1", "2.5", "-3", "10", "1e2", "0.001"])})
    }

    /// A key, seldom a wrong one.
    pub(super) fn key(&mut self, table: &TableShape) -> Json {
        let mut key = Map::new();
        key.insert(table.partition.to_owned(), self.partition_value());
        if let Some(sort) = table.sort {
            key.insert(sort.to_owned(), self.sort_value());
        }
        if self.one_in(100) {
            match self.random.u32(..4) {
                0 => drop(key.insert("extra".to_owned(), json!({"S": "x"}))),
                1 => drop(key.insert(table.partition.to_owned(), json!({"N": "1"}))),
                2 => drop(key.insert(table.partition.to_owned(), json!({"S": ""}))),
                _ => drop(key.remove(table.partition)),
            }
        }
        Json::Object(key)
    }

    pub(super) fn number(&mut self) -> &'static str {
        self.pick::<&str>(&[
            "0",
            "1",
            "-1",
            "2",
            "3.50",
            "10",
            "1e20",
            "0.0001",
            "12345678901234567890",
            "7",
        ])
    }

    pub(super) fn text(&mut self) -> &'static str {
        self.pick::<&str>(&["", "a", "ab", "abc", "b", "é", "x y", "zzz"])
    }

    /// A value of any type, two levels deep at most.
    pub(super) fn value(&mut self, depth: u32) -> Json {
        match self.random.u32(..if depth == 0 { 8 } else { 10 }) {
            0 | 1 => json!({"N": self.number()}),
            2 | 3 => json!({"S": self.text()}),
            4 => json!({"BOOL": self.random.bool()}),
            5 => json!({"NULL": true}),
            6 => self.set(),
            7 => json!({"B": *self.pick(&["", "AA==", "AAEC", "/w=="])}),
            8 => {
                let length = self.random.usize(..4);
                let list: Vec<Json> = (0..length).map(|_| self.value(depth - 1)).collect();
                json!({"L": list})
            }
            _ => {
                let mut map = Map::new();
                for name in ["x", "y"] {
                    if self.random.bool() {
                        map.insert(name.to_owned(), self.value(depth - 1));
                    }
                }
                json!({"M": map})
            }
        }
    }

    /// Numbers as they are stored: dynoxide adds and deletes them by their texts.
    pub(super) fn set(&mut self) -> Json {
        json!(match self.random.u32(..6) {
            0 | 1 => json!({"SS": ["a", "b"]}),
            2 => json!({"SS": ["c"]}),
            3 => json!({"NS": ["1", "2"]}),
            4 => json!({"NS": ["2"]}),
            _ => json!({"BS": ["AA==", "AQ=="]}),
        })
    }

    /// What an attribute of that name mostly is.
    pub(super) fn value_of(&mut self, attribute: &str) -> Json {
        if self.one_in(8) {
            return self.value(2);
        }
        match attribute {
            "n" => json!({"N": self.number()}),
            "s" | "grp" => json!({"S": *self.pick(&["a", "ab", "b"])}),
            "l" => {
                let length = self.random.usize(..4);
                let list: Vec<Json> = (0..length).map(|_| self.value(1)).collect();
                json!({"L": list})
            }
            "m" => json!({"M": {"x": self.value(1), "y": {"N": self.number()}}}),
            "set" => self.set(),
            _ => self.value(2),
        }
    }

    /// An item, its attributes those that expressions speak of.
    pub(super) fn item(&mut self, table: &TableShape) -> Json {
        let Json::Object(mut item) = self.key(table) else {
            unreachable!("a key is an object");
        };
        for name in ATTRIBUTES {
            if self.random.bool() {
                item.insert((*name).to_owned(), self.value_of(name));
            }
        }
        // A key of an index of another type is refused.
        for name in ["n", "s", "grp"] {
            if !self.one_in(40)
                && let Some(value) = item.get(name)
                && !is_of_index(name, value)
            {
                item.remove(name);
            }
        }
        if self.one_in(200) {
            let wrong = [
                json!({"N": "x"}),
                json!({"SS": []}),
                json!({"NS": ["1", "1.0"]}),
                json!({}),
                json!({"NULL": false}),
                json!({"S": 1}),
            ];
            item.insert("wrong".to_owned(), self.pick(&wrong).clone());
        }
        Json::Object(item)
    }

    /// What is returned of capacity.
    pub(super) fn capacity(&mut self, body: &mut Map<String, Json>) {
        match self.random.u32(..4) {
            0 => drop(body.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"))),
            1 | 2 => drop(body.insert("ReturnConsumedCapacity".to_owned(), json!("INDEXES"))),
            _ => {}
        }
    }
}

/// The attributes besides keys.
pub(super) const ATTRIBUTES: &[&str] = &["n", "s", "grp", "l", "m", "set", "q"];

fn is_of_index(name: &str, value: &Json) -> bool {
    match name {
        "n" => value.get("N").is_some(),
        _ => value.get("S").is_some_and(|text| text != ""),
    }
}

/// A request's members.
pub(super) fn members(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(members) => members,
        other => panic!("{other} has no members"),
    }
}
