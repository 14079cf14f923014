//! Reading all open rows, or those of them that DynamoDB lets through.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use daybook_schema::tables::CONTROL_ID;
use daybook_schema::tables::attribute::ID;
use daybook_schema::{BatchId, NEWEST_ROW_VERSION, Row, Status, Timestamp};
use futures::future::join_all;

use crate::cause::describe;
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::statement::{Item, text};

/// How many parts of the table are read at once where only some rows are wanted.
const SEGMENTS: i32 = 4;

/// Which open rows are wanted; all that is given must hold. A row that this release cannot read is there whatever is wanted, unless what can be
/// read of it says that it is not meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFilter {
    /// Of this bucket.
    pub bucket: Option<String>,
    /// With one of these keys; none is any. At most 100 (an IN of a FilterExpression).
    pub keys: Vec<String>,
    /// With a key that begins so.
    pub key_prefix: Option<String>,
    /// Whose last error contains that.
    pub error: Option<String>,
    /// Recorded at that time or before.
    pub recorded_until: Option<Timestamp>,
    /// In this batch.
    pub batch: Option<BatchId>,
    /// Of this status.
    pub status: Option<Status>,
    /// Those that have failed before.
    pub only_failed: bool,
    /// Notifications that could not be read, and nothing else.
    pub only_raw: bool,
}

impl Ledger {
    /// All open rows, page by page, by a Scan of the table: it holds open work only.
    pub fn open_rows(&self) -> OpenRows<'_> {
        OpenRows {
            ledger: self,
            filter: None,
            segments: vec![Segment::default()],
        }
    }

    /// The open rows that are wanted, page by page. DynamoDB reads all rows for it, half a read unit per 4 KB in four parts at once,
    /// and sends those that are wanted: what nobody looks at does not travel.
    pub fn open_rows_matching(&self, filter: &RowFilter) -> OpenRows<'_> {
        OpenRows {
            ledger: self,
            filter: Some(Expression::of(filter)),
            segments: (0..SEGMENTS).map(|_| Segment::default()).collect(),
        }
    }
}

/// A scan of open rows.
#[derive(Debug)]
pub struct OpenRows<'a> {
    ledger: &'a Ledger,
    filter: Option<Expression>,
    segments: Vec<Segment>,
}

/// How far a part of the table has been read.
#[derive(Clone, Debug, Default)]
struct Segment {
    after: Option<Item>,
    done: bool,
}

/// A FilterExpression.
#[derive(Clone, Debug, PartialEq)]
struct Expression {
    expression: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

/// One page of one part.
type Page = Result<Vec<Result<Row, LedgerError>>, LedgerError>;

impl OpenRows<'_> {
    /// Whether the last page was read.
    pub fn is_done(&self) -> bool {
        self.segments.iter().all(|segment| segment.done)
    }

    /// The next page, up to 1 MB of rows of each part that is read at once; perhaps without a row that is wanted. `None` after the last
    /// one. A row that this release cannot read is an error of its own in the page, and the others are there all the same.
    ///
    /// # Errors
    /// When a page cannot be read; call again to retry it, and only it.
    pub async fn next(&mut self) -> Result<Option<Vec<Result<Row, LedgerError>>>, LedgerError> {
        if self.is_done() {
            return Ok(None);
        }
        let total = i32::try_from(self.segments.len()).unwrap_or(i32::MAX);
        let (ledger, filter) = (self.ledger, self.filter.as_ref());
        let pages = self.segments.iter_mut().zip(0..total);
        let pages = pages
            .filter(|(segment, _)| !segment.done)
            .map(|(segment, number)| ledger.page(segment, (number, total), filter));
        let mut rows = Vec::new();
        let mut failure = None;
        for page in join_all(pages).await {
            match page {
                Ok(page) => rows.extend(page),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            // What the other parts said comes first: their pages are not read again.
            Some(error) if rows.is_empty() => Err(error),
            _ => Ok(Some(rows)),
        }
    }
}

impl Ledger {
    /// Reads the next page of a part, and notes how far it is.
    async fn page(
        &self,
        segment: &mut Segment,
        (number, total): (i32, i32),
        filter: Option<&Expression>,
    ) -> Page {
        let is_in_parts = total > 1;
        let answer = self
            .client
            .scan()
            .table_name(self.table.as_str())
            .consistent_read(true)
            .set_segment(is_in_parts.then_some(number))
            .set_total_segments(is_in_parts.then_some(total))
            .set_filter_expression(filter.map(|filter| filter.expression.clone()))
            .set_expression_attribute_names(filter.map(|filter| filter.names.clone()))
            .set_expression_attribute_values(filter.map(|filter| filter.values.clone()))
            .set_exclusive_start_key(segment.after.clone())
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| self.read_error("Scan", describe(&error)))?;
        self.meter.read(answer.consumed_capacity.as_ref());
        if let Some(rows) = &self.looked_through {
            rows.fetch_add(answer.scanned_count.try_into().unwrap_or(0), Ordering::Relaxed);
        }
        let is_row = |item: &Item| item.get(ID) != Some(&AttributeValue::S(CONTROL_ID.to_owned()));
        let items = answer.items.unwrap_or_default().into_iter().filter(is_row);
        let rows = items.map(|item| self.row(item)).collect();
        segment.after = answer.last_evaluated_key;
        segment.done = segment.after.is_none();
        Ok(rows)
    }
}

impl Expression {
    fn of(wanted: &RowFilter) -> Self {
        let mut made = Self {
            expression: String::new(),
            names: HashMap::new(),
            values: HashMap::new(),
        };
        let mut parts = Vec::new();
        if let Some(bucket) = &wanted.bucket {
            parts.push(format!("{} = {}", made.name("bucket"), made.value(text(bucket))));
        }
        if !wanted.keys.is_empty() {
            let keys: Vec<String> = wanted.keys.iter().map(|key| made.value(text(key))).collect();
            parts.push(format!("{} IN ({})", made.name("key"), keys.join(", ")));
        }
        // No value of an expression may be an empty text; every key begins with one.
        if let Some(prefix) = wanted.key_prefix.as_ref().filter(|prefix| !prefix.is_empty()) {
            parts.push(format!(
                "begins_with({}, {})",
                made.name("key"),
                made.value(text(prefix))
            ));
        }
        if let Some(error) = wanted.error.as_ref().filter(|error| !error.is_empty()) {
            parts.push(format!(
                "contains({}, {})",
                made.name("last_error"),
                made.value(text(error))
            ));
        }
        if let Some(until) = wanted.recorded_until {
            parts.push(format!(
                "{} <= {}",
                made.name("recorded_at"),
                made.value(text(until))
            ));
        }
        if let Some(batch) = wanted.batch {
            parts.push(format!("{} = {}", made.name("batch"), made.value(text(batch))));
        }
        if wanted.only_failed {
            parts.push(format!("attribute_exists({})", made.name("last_error")));
        }
        if wanted.only_raw {
            parts.push(format!("attribute_exists({})", made.name("raw")));
        }
        if parts.is_empty() {
            // All of them; an empty expression is none.
            parts.push(format!("attribute_exists({})", made.name(ID)));
        }
        // What this release cannot read: of a later version, or neither an object's event, nor a general one, nor a payload.
        let newer = made.value(AttributeValue::N(NEWEST_ROW_VERSION.to_string()));
        let (v, bucket, raw) = (made.name("v"), made.name("bucket"), made.name("raw"));
        let general = made.name("cloud_event");
        let string = made.value(text("S"));
        let wanted_or_unreadable = format!(
            "(({}) OR {v} > {newer} OR (NOT attribute_type({bucket}, {string}) AND attribute_not_exists({raw}) AND \
             attribute_not_exists({general})))",
            parts.join(" AND ")
        );
        // A status can be read of any row that is in the index.
        let of_status = wanted
            .status
            .map(|status| format!(" AND {} = {}", made.name("status"), made.value(text(status))));
        made.expression = wanted_or_unreadable + &of_status.unwrap_or_default();
        made
    }

    fn name(&mut self, attribute: &str) -> String {
        let name = format!("#{attribute}");
        self.names.insert(name.clone(), attribute.to_owned());
        name
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let name = format!(":{}", self.values.len());
        self.values.insert(name.clone(), value);
        name
    }
}
