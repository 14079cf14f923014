//! Requests about tables.

use serde_json::json;

use super::Request;
use super::draw::{Draw, INDEXED, PLAIN, TableShape};

impl Draw {
    pub(super) fn create(&mut self, table: &TableShape) -> Request {
        let mut definitions = vec![json!({"AttributeName": table.partition, "AttributeType": "S"})];
        let mut schema = vec![json!({"AttributeName": table.partition, "KeyType": "HASH"})];
        if let Some(sort) = table.sort {
            definitions.push(json!({"AttributeName": sort, "AttributeType": "N"}));
            schema.push(json!({"AttributeName": sort, "KeyType": "RANGE"}));
        }
        let mut body =
            json!({"TableName": table.name, "KeySchema": schema, "BillingMode": "PAY_PER_REQUEST"});
        let mut indexes = Vec::new();
        for (name, partition, sort) in table.indexes {
            definitions.push(json!({"AttributeName": partition, "AttributeType": "S"}));
            let mut schema = vec![json!({"AttributeName": partition, "KeyType": "HASH"})];
            if let Some(sort) = sort {
                definitions.push(json!({"AttributeName": sort, "AttributeType": "N"}));
                schema.push(json!({"AttributeName": sort, "KeyType": "RANGE"}));
            }
            let projection = match self.random.u32(..3) {
                0 => json!({"ProjectionType": "ALL"}),
                1 => json!({"ProjectionType": "KEYS_ONLY"}),
                _ => json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["q", "m"]}),
            };
            indexes.push(json!({"IndexName": name, "KeySchema": schema, "Projection": projection}));
        }
        body["AttributeDefinitions"] = json!(definitions);
        if !indexes.is_empty() {
            body["GlobalSecondaryIndexes"] = json!(indexes);
        }
        Request {
            operation: "CreateTable",
            body,
        }
    }

    pub(super) fn table_request(&mut self) -> Request {
        match self.random.u32(..5) {
            0 => self.create(&PLAIN),
            1 => {
                let mut request = self.create(&INDEXED);
                request.body["TableName"] = json!("table-third");
                match self.random.u32(..4) {
                    0 => drop(request.body["KeySchema"].take()),
                    1 => request.body["AttributeDefinitions"] = json!([]),
                    2 => request.body["TableName"] = json!("t"),
                    _ => {}
                }
                request
            }
            2 => Request {
                operation: "DeleteTable",
                body: json!({"TableName": *self.pick(&["table-third", "table-missing"])}),
            },
            3 => Request {
                operation: "ListTables",
                body: json!({}),
            },
            _ => Request {
                operation: "DescribeTable",
                body: json!({"TableName": *self.pick(&["table-missing", "table-none"])}),
            },
        }
    }
}
