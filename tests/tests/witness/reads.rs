//! Requests that read items.

use serde_json::{Map, Value as Json, json};

use super::Request;
use super::draw::{Draw, members};
use super::expressions::Given;
use super::writes::request;

impl Draw {
    pub(super) fn get(&mut self) -> Request {
        let table = self.table();
        let mut body = members(json!({"TableName": self.name_of(table), "Key": self.key(table)}));
        self.consistent(&mut body);
        self.projected(&mut body, Given::default());
        self.capacity(&mut body);
        request("GetItem", body)
    }

    fn consistent(&mut self, body: &mut Map<String, Json>) {
        if self.one_in(3) {
            body.insert("ConsistentRead".to_owned(), json!(self.random.bool()));
        }
    }

    /// Puts a projection in, sometimes, and the names and values of all expressions.
    fn projected(&mut self, body: &mut Map<String, Json>, mut given: Given) {
        if self.one_in(4) {
            body.insert(
                "ProjectionExpression".to_owned(),
                json!(self.projection_text(&mut given)),
            );
        }
        given.put_into(self, body);
    }

    /// What Query and Scan have in common.
    fn paged(&mut self, is_index: bool, body: &mut Map<String, Json>, mut given: Given) {
        if self.one_in(3) {
            body.insert(
                "FilterExpression".to_owned(),
                json!(self.condition_text(&mut given)),
            );
        }
        if !is_index || self.one_in(20) {
            self.consistent(body);
        }
        if self.one_in(5) {
            body.insert(
                "Select".to_owned(),
                json!(*self.pick(&["COUNT", "ALL_ATTRIBUTES", "COUNT", "ALL_PROJECTED_ATTRIBUTES"])),
            );
            given.put_into(self, body);
        } else {
            self.projected(body, given);
        }
        if self.one_in(3) {
            body.insert("Limit".to_owned(), json!(*self.pick(&[1, 2, 3, 0, 100])));
        }
        self.capacity(body);
    }

    pub(super) fn query(&mut self) -> Request {
        let table = self.table();
        let mut given = Given::default();
        let mut body = members(json!({"TableName": self.name_of(table)}));
        let index = self.index(table);
        let (partition, sort) = match index {
            Some((name, partition, sort)) => {
                body.insert("IndexName".to_owned(), json!(name));
                (partition, sort)
            }
            None => (table.partition, table.sort),
        };
        let text = self.key_condition_text(partition, sort, &mut given);
        body.insert("KeyConditionExpression".to_owned(), json!(text));
        if self.one_in(3) {
            body.insert("ScanIndexForward".to_owned(), json!(self.random.bool()));
        }
        if index.is_none() && sort.is_some() && self.one_in(6) {
            body.insert("ExclusiveStartKey".to_owned(), self.key(table));
        }
        self.paged(index.is_some(), &mut body, given);
        request("Query", body)
    }

    pub(super) fn scan(&mut self) -> Request {
        let table = self.table();
        let mut body = members(json!({"TableName": self.name_of(table)}));
        let index = self.index(table);
        if let Some((name, _, _)) = index {
            body.insert("IndexName".to_owned(), json!(name));
        }
        if self.one_in(4) {
            let segments = *self.pick(&[1, 2, 3, 7]);
            body.insert("TotalSegments".to_owned(), json!(segments));
            body.insert(
                "Segment".to_owned(),
                json!(self.random.u32(..segments + u32::from(segments == 7))),
            );
        }
        self.paged(index.is_some(), &mut body, Given::default());
        request("Scan", body)
    }

    pub(super) fn batch_get(&mut self) -> Request {
        let mut tables = Map::new();
        for _ in 0..=self.random.usize(..2) {
            let table = self.table();
            let count = 1 + self.random.usize(..3);
            let keys: Vec<Json> = (0..count).map(|_| self.key(table)).collect();
            let mut body = members(json!({"Keys": keys}));
            self.consistent(&mut body);
            self.projected(&mut body, Given::default());
            body.remove("ExpressionAttributeValues");
            tables.insert(self.name_of(table).to_owned(), Json::Object(body));
        }
        let mut body = members(json!({"RequestItems": tables}));
        self.capacity(&mut body);
        request("BatchGetItem", body)
    }

    pub(super) fn transact_get(&mut self) -> Request {
        let count = 1 + self.random.usize(..3);
        let one = |draw: &mut Self| {
            let table = draw.table();
            let mut body = members(json!({"TableName": draw.name_of(table), "Key": draw.key(table)}));
            draw.projected(&mut body, Given::default());
            body.remove("ExpressionAttributeValues");
            json!({"Get": body})
        };
        let all: Vec<Json> = (0..count).map(|_| one(self)).collect();
        let mut body = members(json!({"TransactItems": all}));
        self.capacity(&mut body);
        request("TransactGetItems", body)
    }
}
