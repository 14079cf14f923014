//! PartiQL statements.

use serde_json::{Map, Value as Json, json};

use super::Request;
use super::draw::{Draw, TableShape, members};
use super::writes::request;

impl Draw {
    pub(super) fn execute(&mut self) -> Request {
        let reads = self.one_in(3);
        let mut body = members(self.statement(reads));
        self.capacity(&mut body);
        request("ExecuteStatement", body)
    }

    pub(super) fn batch_execute(&mut self) -> Request {
        let reads = self.one_in(3);
        let count = 1 + self.random.usize(..3);
        let all: Vec<Json> = (0..count).map(|_| self.statement(reads)).collect();
        let mut body = members(json!({"Statements": all}));
        self.capacity(&mut body);
        request("BatchExecuteStatement", body)
    }

    fn statement(&mut self, reads: bool) -> Json {
        let table = self.table();
        let name = self.name_of(table);
        let mut parameters = Vec::new();
        let text = match (reads, self.random.u32(..4)) {
            (true, _) => {
                let filter = self.where_clause(table, &mut parameters);
                format!(
                    "SELECT {} FROM \"{name}\"{filter}",
                    self.pick(&["*", "*", "n, s", "m.y", "l[0]"])
                )
            }
            (_, 0) => {
                let item = members(self.item(table));
                let entries: Vec<String> = item.keys().map(|name| format!("'{name}': ?")).collect();
                parameters.extend(item.into_iter().map(|(_, value)| value));
                format!("INSERT INTO \"{name}\" VALUE {{{}}}", entries.join(", "))
            }
            (_, 1) => {
                let filter = self.where_clause(table, &mut parameters);
                format!(
                    "DELETE FROM \"{name}\"{filter}{}",
                    self.pick(&["", "", " RETURNING ALL OLD *", " RETURNING ALL NEW *"])
                )
            }
            _ => {
                let clauses = self.update_clauses(&mut parameters);
                let filter = self.where_clause(table, &mut parameters);
                let returning = self.pick(&[
                    "",
                    "",
                    " RETURNING ALL NEW *",
                    " RETURNING ALL OLD *",
                    " RETURNING MODIFIED NEW *",
                    " RETURNING MODIFIED OLD *",
                ]);
                format!("UPDATE \"{name}\" {clauses}{filter}{returning}")
            }
        };
        if self.one_in(80) {
            parameters.pop();
        }
        let mut body = Map::from_iter([("Statement".to_owned(), json!(text))]);
        if !parameters.is_empty() {
            body.insert("Parameters".to_owned(), json!(parameters));
        }
        if !reads && self.random.bool() {
            body.insert("ReturnValuesOnConditionCheckFailure".to_owned(), json!("ALL_OLD"));
        }
        Json::Object(body)
    }

    fn update_clauses(&mut self, parameters: &mut Vec<Json>) -> String {
        let mut clauses = Vec::new();
        for _ in 0..=self.random.usize(..2) {
            clauses.push(match self.random.u32(..7) {
                0 => "SET n = n + 1".to_owned(),
                1 => {
                    parameters.push(json!({"N": self.number()}));
                    "SET n = n - ?".to_owned()
                }
                2 => "REMOVE \"q\"".to_owned(),
                3 => {
                    parameters.push(json!({"L": [{"S": "p"}]}));
                    "SET l = list_append(l, ?)".to_owned()
                }
                4 => "SET m.y = 5".to_owned(),
                _ => {
                    let name = *self.pick(&["s", "q", "set", "grp"]);
                    parameters.push(self.value_of(name));
                    format!("SET \"{name}\" = ?")
                }
            });
        }
        clauses.join(" ")
    }

    /// Mostly the key, and often something more.
    fn where_clause(&mut self, table: &TableShape, parameters: &mut Vec<Json>) -> String {
        let mut all = Vec::new();
        if !self.one_in(20) {
            parameters.push(self.partition_value());
            all.push(format!("\"{}\" = ?", table.partition));
        }
        if let Some(sort) = table.sort.filter(|_| !self.one_in(8)) {
            parameters.push(self.sort_value());
            all.push(format!("\"{sort}\" = ?"));
        }
        if self.random.bool() {
            all.push(match self.random.u32(..7) {
                0 => "\"q\" IS MISSING".to_owned(),
                1 => "\"n\" IS NOT MISSING".to_owned(),
                2 => {
                    parameters.push(json!({"N": self.number()}));
                    "\"n\" <= ?".to_owned()
                }
                3 => {
                    parameters.push(json!({"S": "a"}));
                    "begins_with(\"s\", ?)".to_owned()
                }
                4 => "contains(\"s\", 'b')".to_owned(),
                5 => "\"n\" BETWEEN 0 AND 5".to_owned(),
                _ => {
                    parameters.push(self.value_of("s"));
                    "\"s\" = ?".to_owned()
                }
            });
        }
        match all.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", all.join(" AND ")),
        }
    }
}
