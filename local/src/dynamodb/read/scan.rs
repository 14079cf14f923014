//! Scan.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::dynamodb::capacity::Wanted;
use crate::dynamodb::clauses::Clauses;
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::keys;
use crate::dynamodb::read::pages::{self, Asked};
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::Item;
use crate::dynamodb::wire::{Unserved, check_name, invalid, refuse_unserved, request, response};

/// How many segments a scan has at most.
const MOST_SEGMENTS: i64 = 1_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Scan {
    table_name: String,
    index_name: Option<String>,
    filter_expression: Option<String>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<Item>,
    select: Option<String>,
    limit: Option<i64>,
    exclusive_start_key: Option<Item>,
    consistent_read: Option<bool>,
    segment: Option<i64>,
    total_segments: Option<i64>,
    return_consumed_capacity: Option<String>,
    #[serde(default)]
    scan_filter: Unserved,
    #[serde(default)]
    attributes_to_get: Unserved,
    #[serde(default)]
    conditional_operator: Unserved,
}

pub(crate) async fn scan(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: Scan = request(body)?;
    check_name(&request.table_name, "tableName")?;
    refuse_unserved([
        ("ScanFilter", &request.scan_filter, "use FilterExpression"),
        (
            "AttributesToGet",
            &request.attributes_to_get,
            "use ProjectionExpression",
        ),
        (
            "ConditionalOperator",
            &request.conditional_operator,
            "use FilterExpression",
        ),
    ])?;
    let segment = segment(request.segment, request.total_segments)?;
    let mut clauses = Clauses::new(
        &request.expression_attribute_names,
        &request.expression_attribute_values,
        &[
            ("FilterExpression", &request.filter_expression),
            ("ProjectionExpression", &request.projection_expression),
        ],
    )?;
    let asked = Asked {
        filter: clauses.filter(&request.filter_expression)?,
        projection: clauses.projection(&request.projection_expression)?,
        select: pages::select(
            request.select.as_deref(),
            request.projection_expression.is_some(),
            request.index_name.is_some(),
        )?,
        table: request.table_name,
        index: request.index_name,
        limit: pages::limit(request.limit)?,
        start: request.exclusive_start_key,
        consistent: request.consistent_read.unwrap_or_default(),
        wanted: Wanted::of(request.return_consumed_capacity.as_deref())?,
    };
    clauses.finish()?;
    let answered = engine.look(move |look| {
        let table = Table::of_items(look, &asked.table)?;
        let index = asked.index(&table)?;
        let prefix = match index {
            Some(index) => keys::of_index(&table.name, &index.name),
            None => keys::of_table(&table.name),
        };
        let part = match segment {
            Some((segment, segments)) => keys::of_segment(&prefix, segment, segments),
            None => keys::beginning_with(prefix),
        };
        asked.read(look, &table, index, part, false)
    });
    Ok(response(&answered.await?))
}

/// The segment, and of how many.
fn segment(segment: Option<i64>, segments: Option<i64>) -> Result<Option<(u64, u64)>, Refusal> {
    let outside = |value: i64, member: &str, most: i64, least: i64| {
        let bound = match value < least {
            true => format!("greater than or equal to {least}"),
            false => format!("less than or equal to {most}"),
        };
        let words = format!(
            "Value '{value}' at '{member}' failed to satisfy constraint: Member must have value {bound}"
        );
        Err(invalid(&[words]))
    };
    match (segment, segments) {
        (None, None) => Ok(None),
        (_, Some(segments)) if !(1..=MOST_SEGMENTS).contains(&segments) => {
            outside(segments, "totalSegments", MOST_SEGMENTS, 1)
        }
        (Some(segment), _) if !(0..MOST_SEGMENTS).contains(&segment) => {
            outside(segment, "segment", MOST_SEGMENTS - 1, 0)
        }
        (Some(segment), Some(segments)) if segment < segments => {
            Ok(Some((segment.unsigned_abs(), segments.unsigned_abs())))
        }
        (Some(_), Some(_)) => Err(Refusal::validation(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments",
        )),
        (Some(_), None) => Err(Refusal::validation(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        )),
        (None, Some(_)) => Err(Refusal::validation(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        )),
    }
}
