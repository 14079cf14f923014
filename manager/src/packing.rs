//! Which messages claimed rows make: one each, or one for all rows of a batch's execution.

use daybook_schema::{BatchMessage, BatchName, DispatchMessage, LONGEST_BATCH_INPUT, Row, RunName};

/// What an entry of a batch's input costs besides its own text, and the input as a whole.
const COMMA: usize = 1;
const FRAME: usize = 64;

/// A message and the rows that it is for.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Their positions among those that were packed.
    pub(crate) rows: Vec<usize>,
    pub(crate) body: String,
    name: RunName,
    first: &'a Row,
}

/// The messages of rows. Rows that have nothing to run are nowhere.
#[derive(Debug, Default)]
pub(crate) struct Packed<'a> {
    pub(crate) entries: Vec<Entry<'a>>,
    /// Rows that would make their batch's input too long.
    pub(crate) surplus: Vec<usize>,
}

/// Packs rows into messages, in their order.
pub(crate) fn pack(rows: &[Row]) -> Packed<'_> {
    let mut packed = Packed::default();
    let mut batches: Vec<(BatchName, Vec<usize>, usize)> = Vec::new();
    for (position, row) in rows.iter().enumerate() {
        let Some(message) = DispatchMessage::for_row(row) else {
            continue;
        };
        let name = match row.run_name() {
            RunName::Batch(name) => name,
            name @ RunName::Single(_) => {
                packed.entries.push(Entry {
                    rows: vec![position],
                    body: message.to_json(),
                    name,
                    first: row,
                });
                continue;
            }
        };
        let bytes = message.input.to_json().len() + COMMA;
        match batches.iter_mut().rfind(|(of, ..)| *of == name) {
            None => batches.push((name, vec![position], FRAME + bytes)),
            Some((_, _, length)) if *length + bytes > LONGEST_BATCH_INPUT => packed.surplus.push(position),
            Some((_, positions, length)) => {
                positions.push(position);
                *length += bytes;
            }
        }
    }
    for (name, positions, _) in batches {
        let first = &rows[positions[0]];
        let message = BatchMessage::for_rows(name, positions.iter().map(|position| &rows[*position]));
        packed.entries.extend(message.map(|message| Entry {
            body: message.to_json(),
            rows: positions,
            name: name.into(),
            first,
        }));
    }
    packed
}

impl Entry<'_> {
    /// What a FIFO queue keeps in order: an object's messages, or those of general events with one partition key; of a batch, which has
    /// many objects, its own.
    pub(crate) fn group(&self) -> String {
        match (self.name, self.first.event()) {
            // A partition key may be longer than a group's id, and have other characters.
            (RunName::Single(_), Some(event)) => event.order_id().to_string(),
            (name, _) => match name {
                RunName::Batch(name) => name.batch.to_string(),
                RunName::Single(name) => name.id.to_string(),
            },
        }
    }

    /// What SQS compares for five minutes: a retry of one delivery is a duplicate, the next delivery is not.
    pub(crate) fn deduplication_id(&self) -> String {
        let token = self.first.claim_token.unwrap_or_default().simple();
        let deliveries = self.first.deliveries;
        match self.name {
            RunName::Single(name) => format!("{}-{token}-{deliveries}", name.id),
            RunName::Batch(name) => format!("{name}-{token}-{deliveries}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use daybook_schema::{BatchId, Status, Timestamp};

    use super::*;

    fn batch(number: u128) -> BatchId {
        format!("{number:032x}").parse().expect("a batch's id")
    }

    fn row(key: &str, in_batch: Option<u128>) -> Row {
        let notification = serde_json::json!({"Records": [{
            "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-20T10:15:00Z",
            "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 5, "eTag": "e", "sequencer": "0068B5C2F4A1E3D200"}},
        }]});
        let read = daybook_schema::notification::read(&notification.to_string(), &Default::default());
        let now: Timestamp = "2026-11-20T10:15:00Z".parse().expect("a time");
        let event = read.events.into_iter().next().expect("an event");
        let recorded = Row::recorded(event, 5, None, now);
        Row {
            status: Status::Claimed,
            attempt: recorded.attempt.next(),
            deliveries: 1,
            batch: in_batch.map(batch),
            ..recorded
        }
    }

    #[test]
    fn rows_of_one_batch_share_a_message_and_a_row_that_is_alone_has_its_own() {
        let mut rows = vec![
            row("a", Some(1)),
            row("b", None),
            row("c", Some(1)),
            row("d", Some(2)),
        ];
        rows.push(Row {
            alone: true,
            ..row("e", Some(1))
        });
        let packed = pack(&rows);
        let positions: Vec<_> = packed.entries.iter().map(|entry| entry.rows.clone()).collect();
        assert_eq!(positions, [vec![1], vec![0, 2], vec![3], vec![4]]);
        assert!(packed.surplus.is_empty());
        let ids: std::collections::BTreeSet<_> = packed.entries.iter().map(Entry::deduplication_id).collect();
        assert_eq!(ids.len(), 4, "{ids:?}");
        assert!(ids.iter().all(|id| id.len() <= 128), "{ids:?}");
        let one = [row("a", Some(1))];
        assert!(
            pack(&one).entries[0].body.contains(r#""events":[{"#),
            "one form, whatever its number"
        );
    }

    #[test]
    fn an_input_stays_below_its_limit_and_what_is_too_much_is_left_over() {
        let long = "k".repeat(1000);
        let rows: Vec<Row> = (0..300).map(|n| row(&format!("{long}{n}"), Some(1))).collect();
        let packed = pack(&rows);
        let [entry] = packed.entries.as_slice() else {
            panic!("{} messages", packed.entries.len());
        };
        assert_eq!(entry.rows.len() + packed.surplus.len(), rows.len());
        let message = BatchMessage::for_rows(
            BatchName {
                batch: batch(1),
                alone: None,
            },
            entry.rows.iter().map(|position| &rows[*position]),
        );
        let input = message.expect("a message").input().to_json().len();
        assert!(
            (LONGEST_BATCH_INPUT - 2000..=LONGEST_BATCH_INPUT).contains(&input),
            "{input}"
        );
    }
}
