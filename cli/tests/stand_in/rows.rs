//! Rows in every state, with fixed times, in a stand-in or in a folder as `daybook up` keeps it.

use std::path::Path;
use std::time::Duration;

use daybook_local::LocalAws;
use daybook_schema::{
    Attempt, EventId, Kind, ObjectEvent, Origin, Outcome, Receipt, Row, SourceName, Status, Timestamp, tables,
};
use serde_json::{Value, json};

/// Long ago.
pub const PAST: &str = "2020-01-01T00:00:00.000Z";

/// Not in this century.
pub const FUTURE: &str = "2120-01-01T00:00:00.000Z";

/// A key that a terminal must not get as it is.
pub const HOSTILE_KEY: &str = "in/\u{1b}[31mred\nline\u{202e}gpj.\u{200b}exe \"日本\"";

/// Where the fixtures go: a table's name for each role, and who takes the requests.
pub struct Fixtures<'a> {
    pub aws: &'a LocalAws,
    pub ledger: &'a str,
    pub receipts: &'a str,
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An upload; `n` tells its sequencer.
pub fn event(key: &str, n: u32) -> ObjectEvent {
    let body = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": PAST,
        "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "data"}, "object": {
            "key": "to be replaced", "size": 10, "eTag": format!("{n:032x}"), "sequencer": format!("0068B5C2F4A1{n:04X}"),
        }},
    }]});
    let source = SourceName::default();
    let mut event = daybook_schema::notification::read(&body.to_string(), &source)
        .events
        .pop()
        .unwrap();
    event.key = key.parse().unwrap();
    assert_eq!(
        (&event.kind, &event.origin),
        (&Kind::Created, &Origin::Notification)
    );
    let sequencer = event.sequencer.clone().unwrap();
    event.id = event
        .object_parts()
        .event_id(daybook_schema::identity::EventBasis::Sequencer {
            sequencer: &sequencer,
            etag: event.etag.as_deref(),
        });
    event
}

/// Its row: PENDING, due and recorded long ago.
pub fn row(key: &str, n: u32) -> Row {
    Row::recorded(event(key, n), 5, None, at(PAST))
}

/// The same in another state.
pub fn row_in(key: &str, n: u32, status: Status, due_at: &str, attempt: u32, deliveries: u32) -> Row {
    Row {
        status,
        due_at: at(due_at),
        attempt: Attempt(attempt),
        deliveries,
        ..row(key, n)
    }
}

/// A row in every state.
pub fn all() -> Vec<Row> {
    let failed = |row: Row, why: &str| Row {
        last_error: Some(why.to_owned()),
        ..row
    };
    let payload = "<html>\u{1b}[2J not a notification</html>".to_owned();
    vec![
        row("due.json", 1),
        failed(
            row_in(HOSTILE_KEY, 2, Status::Pending, FUTURE, 1, 0),
            "FAILED: States.TaskFailed: the disk is full\nsecond line",
        ),
        row_in("running.json", 3, Status::Claimed, FUTURE, 1, 1),
        failed(row_in("lost.json", 4, Status::Claimed, PAST, 2, 5), "TIMED_OUT"),
        row_in("held.json", 5, Status::Claimed, FUTURE, 1, 0),
        failed(
            row_in("parked.json", 6, Status::Parked, PAST, 5, 1),
            "FAILED: no such column",
        ),
        Row::unreadable(
            &SourceName::default(),
            payload,
            "no JSON".to_owned(),
            None,
            at(PAST),
        ),
    ]
}

impl Fixtures<'_> {
    /// All of it: rows in every state, one that is not readable, and receipts.
    pub async fn put_all(&self) {
        for row in all() {
            self.put_row(&row).await;
        }
        self.put_unreadable_row().await;
        self.put_receipt(&event("done.json", 7)).await;
        // An earlier upload of an object that is open again.
        self.put_receipt(&event("running.json", 0)).await;
    }

    pub async fn put_row(&self, row: &Row) {
        self.put(self.ledger, &serde_json::to_value(row).unwrap()).await;
    }

    /// A row as a later release may write it.
    pub async fn put_unreadable_row(&self) -> EventId {
        let row = row("newer.json", 8);
        let mut item = serde_json::to_value(&row).unwrap();
        item["v"] = json!(99);
        self.put(self.ledger, &item).await;
        row.id
    }

    /// An item of the ledger as it is.
    pub async fn put_item(&self, item: &Value) {
        self.put(self.ledger, item).await;
    }

    pub async fn put_receipt(&self, event: &ObjectEvent) {
        let receipt = Receipt::new(
            event,
            Attempt(2),
            Outcome::Succeeded,
            "worker a\u{1b}b".to_owned(),
            None,
            at(PAST),
            Duration::from_secs(200 * 365 * 24 * 3600),
        );
        self.put_this_receipt(&receipt).await;
    }

    pub async fn put_this_receipt(&self, receipt: &Receipt) {
        self.put(self.receipts, &serde_json::to_value(receipt).unwrap())
            .await;
    }

    /// The ledger was installed then.
    pub async fn install(&self, at: &str) {
        self.put(self.ledger, &json!({"id": "control", "installed_at": at}))
            .await;
    }

    async fn put(&self, table: &str, item: &Value) {
        let item: serde_json::Map<String, Value> = item
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), attribute(value)))
            .collect();
        let request = json!({"TableName": table, "Item": item}).to_string();
        let answer = self
            .aws
            .handle("DynamoDB_20120810.PutItem", request.as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn attribute(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"S": text}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::Bool(truth) => json!({"BOOL": truth}),
        other => panic!("no such attribute here: {other}"),
    }
}

/// A folder as `daybook up` leaves it, with that in it.
pub fn folder(dir: &Path, fill: impl AsyncFnOnce(Fixtures<'_>)) {
    let aws = LocalAws::builder().data_dir(dir).build().unwrap();
    super::runtime().block_on(async {
        let names = ["daybook-ledger", "daybook-receipts"];
        for (definition, name) in [tables::LEDGER, tables::RECEIPTS].into_iter().zip(names) {
            let request = definition.create_table(name).to_string();
            let answer = aws
                .handle("DynamoDB_20120810.CreateTable", request.as_bytes())
                .await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let [ledger, receipts] = names;
        fill(Fixtures {
            aws: &aws,
            ledger,
            receipts,
        })
        .await;
    });
}

/// Without what differs from run to run: lengths of time, instants of today, and the width of columns.
pub fn normal(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let indent = line.len() - line.trim_start().len();
        let columns = line.trim_start().split("  ").map(str::trim);
        let columns = columns.filter(|column| !column.is_empty()).map(normal_words);
        format!("{}{}\n", &line[..indent], columns.collect::<Vec<_>>().join("  "))
    });
    lines.collect()
}

fn normal_words(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut text = text.to_owned();
    for unit in ["year", "month", "day"] {
        // `6 years` is one length.
        for digit in '0'..='9' {
            text = text.replace(&format!("{digit} {unit}"), &format!("{digit}{unit}"));
        }
    }
    for word in text.split(' ') {
        let bare = word.trim_matches(['(', ')', ',', ';', '.']);
        let is_length = humantime::parse_duration(bare).is_ok() && bare.len() > 1;
        let is_today =
            bare.parse::<Timestamp>().is_ok() && !bare.starts_with("2020-") && !bare.starts_with("2120-");
        let put = |with: &str| word.replace(bare, with);
        match (is_length, is_today) {
            (true, _) if words.last().is_some_and(|last| last.ends_with("LENGTH")) => {
                let last = words.pop().unwrap();
                words.push(last + &put(""));
            }
            (true, _) => words.push(put("LENGTH")),
            (_, true) => words.push(put("TODAY")),
            _ => words.push(word.to_owned()),
        }
    }
    // Less than a second is "now", and on a busy machine it is more than that.
    words.join(" ").replace("(now)", "(LENGTH ago)")
}

/// The same for JSON: instants of today, also where a note begins with one.
pub fn normal_json(mut json: Value) -> Value {
    fn visit(json: &mut Value) {
        match json {
            Value::String(text) => {
                let first = text.split(' ').next().unwrap_or_default();
                if is_of_today(first) {
                    *text = format!("TODAY{}", &text[first.len()..]);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(visit),
            Value::Object(values) => values.values_mut().for_each(visit),
            _ => {}
        }
    }
    visit(&mut json);
    json
}

/// Whether it is an instant, and none of the fixtures'.
fn is_of_today(text: &str) -> bool {
    text.parse::<Timestamp>().is_ok() && !text.starts_with("2020-") && !text.starts_with("2120-")
}
