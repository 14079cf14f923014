//! Receipts: read before recording, written before deleting.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_schema::tables::CONTROL_ID;
use daybook_schema::tables::attribute::ID;
use daybook_schema::{EventId, ObjectId, Receipt};
use futures::StreamExt;

use crate::cause::{Cause, chain, describe};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::settings::ReceiptSettings;
use crate::statement::{Item, id_of, text};
use crate::write_certainty::{AnswerWatch, Verdict};

/// Keys per BatchGetItem (DynamoDB API Reference).
pub(crate) const KEYS_PER_READ: usize = 100;

impl Ledger {
    /// The receipts of these objects, as far as they could be read: with receipts off, or for keys that DynamoDB left
    /// unprocessed or did not answer for, there is none in the map. Costs half a read unit per object.
    ///
    /// Absence therefore proves nothing. It may lead to recording a duplicate (which execution names absorb), never to
    /// skipping an event.
    pub async fn receipts(&self, objects: impl IntoIterator<Item = ObjectId>) -> BTreeMap<ObjectId, Receipt> {
        let Some(settings) = &self.receipts else {
            return BTreeMap::new();
        };
        let objects: Vec<ObjectId> = objects.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let table = settings.table.as_str();
        let requests: Vec<_> = objects
            .chunks(KEYS_PER_READ)
            .map(|chunk| self.read_items(table, chunk.iter().map(text).collect(), false))
            .collect();
        let pages: Vec<_> = futures::stream::iter(requests).buffered(4).collect().await;
        let mut receipts = BTreeMap::new();
        for page in pages {
            let items = page.unwrap_or_else(|error| {
                tracing::warn!(
                    error = chain(&error),
                    "receipts cannot be read and count as absent"
                );
                Vec::new()
            });
            for item in items {
                match serde_dynamo::from_item::<_, Receipt>(item) {
                    Ok(receipt) => drop(receipts.insert(receipt.id, receipt)),
                    Err(error) => tracing::warn!(%error, "a receipt cannot be read and counts as absent"),
                }
            }
        }
        receipts
    }

    /// The receipt that this very event left, by a Scan: receipts are kept by object, not by event. Reads all receipts, half
    /// a read unit per 4 KB of them, until it is found; none with receipts off, or when a newer event of the object is done.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub async fn receipt_of_event(&self, id: EventId) -> Result<Option<Receipt>, LedgerError> {
        let Some(settings) = &self.receipts else {
            return Ok(None);
        };
        let mut after = None;
        loop {
            let answer = self
                .client
                .scan()
                .table_name(settings.table.as_str())
                .filter_expression("event_id = :id")
                .expression_attribute_values(":id", text(id))
                .set_exclusive_start_key(after.take())
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send()
                .await
                .map_err(|error| receipts_error("Scan", settings, describe(&error)))?;
            self.meter.read(answer.consumed_capacity.as_ref());
            if let Some(item) = answer.items.unwrap_or_default().pop() {
                return read_receipt(settings, item).map(Some);
            }
            after = answer.last_evaluated_key;
            if after.is_none() {
                return Ok(None);
            }
        }
    }

    /// Finds out whether the receipts table answers, if receipts are on. [`Ledger::receipts`] takes a table that does not for an
    /// empty one, so whoever starts with new settings asks first. Half a read unit.
    ///
    /// # Errors
    /// When it does not.
    pub async fn check_receipts(&self) -> Result<(), LedgerError> {
        if let Some(settings) = &self.receipts {
            self.read_items(settings.table.as_str(), vec![text(CONTROL_ID)], false)
                .await?;
        }
        Ok(())
    }

    /// Reads at most 100 items by their `id`. Missing and unprocessed keys are absent.
    pub(crate) async fn read_items(
        &self,
        table: &str,
        ids: Vec<AttributeValue>,
        consistent: bool,
    ) -> Result<Vec<Item>, LedgerError> {
        let keys = ids
            .into_iter()
            .map(|id| Item::from([(ID.to_owned(), id)]))
            .collect();
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(consistent)
            .build()
            .expect("keys are set");
        let answer = self
            .client
            .batch_get_item()
            .request_items(table, wanted)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| LedgerError::Request {
                operation: "BatchGetItem",
                table: table.to_owned(),
                cause: describe(&error),
                unknown: false,
            })?;
        self.meter.read(answer.consumed_capacity());
        Ok(answer
            .responses
            .unwrap_or_default()
            .remove(table)
            .unwrap_or_default())
    }

    /// Writes a receipt unless the stored one is the same or newer; one write unit. `Ok` means that a receipt at least as new
    /// as this one is stored. One of a replay (`again`) bears the sequencer and the time of the event that it replays, and takes
    /// the place of that one's receipt: what was removed, replayed and done is done.
    pub(crate) async fn put_receipt(
        &self,
        settings: &ReceiptSettings,
        receipt: &Receipt,
        again: bool,
    ) -> Result<(), LedgerError> {
        let failed = |cause, unknown| LedgerError::Request {
            operation: "PutItem",
            table: settings.table.to_string(),
            cause,
            unknown,
        };
        let item: Item = serde_dynamo::to_item(receipt).map_err(|source| LedgerError::Item {
            table: settings.table.to_string(),
            id: receipt.id.to_string(),
            source,
        })?;
        let watch = AnswerWatch::default();
        let (is_older, values) = is_older(receipt, again);
        let written = self
            .client
            .put_item()
            .table_name(settings.table.as_str())
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .condition_expression(is_older)
            .set_expression_attribute_values(values)
            .customize()
            .interceptor(watch.clone())
            .send()
            .await;
        match written {
            Ok(answer) => {
                self.meter.write(answer.consumed_capacity.as_ref());
                Ok(())
            }
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                self.meter.write(None);
                Ok(())
            }
            Err(error) => Err(failed(
                describe(&error),
                watch.verdict(&error) == Verdict::Unknown,
            )),
        }
    }
}

/// Whether the stored receipt, if there is one, is older than this one: as a condition, with its values.
pub(crate) fn is_older(receipt: &Receipt, again: bool) -> (String, Option<Item>) {
    let mut values = Item::new();
    let before = if again { "<=" } else { "<" };
    let by_time = match receipt.order_at {
        Some(at) => {
            values.insert(":at".to_owned(), text(at));
            format!("(attribute_not_exists(order_at) OR order_at {before} :at)")
        }
        // Without a time of its own it is newer only than one that has none either.
        None => "attribute_not_exists(order_at)".to_owned(),
    };
    let older = match &receipt.sequencer {
        Some(sequencer) => {
            let (from, below) = sequencer.comparable();
            values.insert(":sequencer".to_owned(), text(sequencer));
            values.insert(":from".to_owned(), text(from));
            values.insert(":below".to_owned(), text(below));
            // Where sequencers do not tell, time does. Two events share one only at a server that sends a constant.
            format!(
                "(sequencer >= :from AND sequencer {before} :sequencer) OR ((attribute_not_exists(sequencer) OR sequencer < \
                 :from OR sequencer >= :below OR sequencer = :sequencer) AND {by_time})"
            )
        }
        None => by_time,
    };
    let is_older = format!("attribute_not_exists(id) OR {older}");
    (is_older, Some(values).filter(|values| !values.is_empty()))
}

fn receipts_error(operation: &'static str, settings: &ReceiptSettings, cause: Cause) -> LedgerError {
    LedgerError::Request {
        operation,
        table: settings.table.to_string(),
        cause,
        unknown: false,
    }
}

fn read_receipt(settings: &ReceiptSettings, item: Item) -> Result<Receipt, LedgerError> {
    let id = id_of(&item);
    serde_dynamo::from_item(item).map_err(|source| LedgerError::Item {
        table: settings.table.to_string(),
        id,
        source,
    })
}
