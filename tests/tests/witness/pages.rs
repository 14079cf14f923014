//! Reads of which nobody says in which order the items come: all pages of them, and all segments.

use serde_json::{Value as Json, json};

use super::Request;
use super::seen::Seen;

/// Scans, and queries of an index, where items can have the same key.
pub(super) fn is_without_order(request: &Request) -> bool {
    request.operation == "Scan" || (request.operation == "Query" && request.body.get("IndexName").is_some())
}

/// The first request of each segment, or the only one.
pub(super) fn starts(body: &Json) -> Vec<Json> {
    let (Some(segment), Some(segments)) = (body["Segment"].as_u64(), body["TotalSegments"].as_u64()) else {
        return vec![body.clone()];
    };
    if segment >= segments {
        return vec![body.clone()];
    }
    let start = |segment: u64| {
        let mut start = body.clone();
        start["Segment"] = json!(segment);
        start
    };
    (0..segments).map(start).collect()
}

/// What the pages have together.
#[derive(Default)]
pub(super) struct Pages {
    items: Vec<Json>,
    has_items: bool,
    count: u64,
    scanned: u64,
    refused: Option<Seen>,
}

impl Pages {
    /// Adds a page, and returns the request of the next one.
    pub(super) fn add(&mut self, body: &Json, page: Seen) -> Option<Json> {
        if page.code.is_some() {
            self.refused = Some(page);
            return None;
        }
        if let Some(items) = page.body["Items"].as_array() {
            self.has_items = true;
            self.items.extend(items.iter().cloned());
        }
        self.count += page.body["Count"].as_u64().unwrap_or(0);
        self.scanned += page.body["ScannedCount"].as_u64().unwrap_or(0);
        let last = page.body.get("LastEvaluatedKey")?;
        let mut next = body.clone();
        next["ExclusiveStartKey"] = last.clone();
        Some(next)
    }

    pub(super) fn seen(self) -> Seen {
        self.refused.unwrap_or_else(|| Seen {
            status: 200,
            code: None,
            body: json!({
                "Items": self.has_items.then_some(self.items), "Count": self.count, "ScannedCount": self.scanned,
            }),
        })
    }
}
