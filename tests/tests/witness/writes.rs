//! Requests that write items.

use serde_json::{Map, Value as Json, json};

use super::Request;
use super::draw::{Draw, members};
use super::expressions::Given;

impl Draw {
    pub(super) fn put(&mut self) -> Request {
        let table = self.table();
        let mut body = members(json!({"TableName": self.name_of(table), "Item": self.item(table)}));
        self.returned(&["NONE", "ALL_OLD"], &mut body);
        self.conditioned(&mut body, Given::default());
        self.capacity(&mut body);
        request("PutItem", body)
    }

    pub(super) fn update(&mut self) -> Request {
        let table = self.table();
        let mut given = Given::default();
        let mut body = members(json!({"TableName": self.name_of(table), "Key": self.key(table)}));
        if !self.one_in(40) {
            body.insert("UpdateExpression".to_owned(), json!(self.update_text(&mut given)));
        }
        self.returned(
            &[
                "NONE",
                "ALL_OLD",
                "ALL_NEW",
                "UPDATED_OLD",
                "UPDATED_NEW",
                "ALL_NEW",
            ],
            &mut body,
        );
        self.conditioned(&mut body, given);
        self.capacity(&mut body);
        request("UpdateItem", body)
    }

    pub(super) fn delete(&mut self) -> Request {
        let table = self.table();
        let mut body = members(json!({"TableName": self.name_of(table), "Key": self.key(table)}));
        self.returned(&["NONE", "ALL_OLD"], &mut body);
        self.conditioned(&mut body, Given::default());
        self.capacity(&mut body);
        request("DeleteItem", body)
    }

    fn returned(&mut self, which: &[&str], body: &mut Map<String, Json>) {
        if self.random.bool() {
            body.insert("ReturnValues".to_owned(), json!(*self.pick(which)));
        } else if self.one_in(100) {
            body.insert("ReturnValues".to_owned(), json!("SOME"));
        }
    }

    /// Puts a condition in, mostly, and the names and values of all expressions.
    fn conditioned(&mut self, body: &mut Map<String, Json>, mut given: Given) {
        if !self.one_in(3) {
            body.insert(
                "ConditionExpression".to_owned(),
                json!(self.condition_text(&mut given)),
            );
            if self.random.bool() {
                body.insert("ReturnValuesOnConditionCheckFailure".to_owned(), json!("ALL_OLD"));
            }
        }
        given.put_into(self, body);
    }

    pub(super) fn batch_write(&mut self) -> Request {
        let mut tables: Map<String, Json> = Map::new();
        for _ in 0..=self.random.usize(..3) {
            let table = self.table();
            let one = match self.random.bool() {
                true => json!({"PutRequest": {"Item": self.item(table)}}),
                false => json!({"DeleteRequest": {"Key": self.key(table)}}),
            };
            let name = self.name_of(table).to_owned();
            let requests = tables.entry(name).or_insert_with(|| json!([]));
            requests.as_array_mut().expect("requests").push(one);
        }
        let mut body = members(json!({"RequestItems": tables}));
        self.capacity(&mut body);
        request("BatchWriteItem", body)
    }

    pub(super) fn transact_write(&mut self) -> Request {
        let count = 1 + self.random.usize(..3);
        let all: Vec<Json> = (0..count).map(|_| self.transacted()).collect();
        let mut body = members(json!({"TransactItems": all}));
        self.capacity(&mut body);
        request("TransactWriteItems", body)
    }

    fn transacted(&mut self) -> Json {
        let table = self.table();
        let mut given = Given::default();
        let mut body = members(json!({"TableName": self.name_of(table)}));
        let kind = *self.pick(&["Put", "Update", "Delete", "ConditionCheck"]);
        match kind {
            "Put" => body.insert("Item".to_owned(), self.item(table)),
            _ => body.insert("Key".to_owned(), self.key(table)),
        };
        if kind == "Update" {
            body.insert("UpdateExpression".to_owned(), json!(self.update_text(&mut given)));
        }
        if kind == "ConditionCheck" || self.random.bool() {
            body.insert(
                "ConditionExpression".to_owned(),
                json!(self.condition_text(&mut given)),
            );
            if self.random.bool() {
                body.insert("ReturnValuesOnConditionCheckFailure".to_owned(), json!("ALL_OLD"));
            }
        }
        given.put_into(self, &mut body);
        json!({kind: body})
    }
}

pub(super) fn request(operation: &'static str, body: Map<String, Json>) -> Request {
    Request {
        operation,
        body: Json::Object(body),
    }
}
