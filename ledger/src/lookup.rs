//! Receipts for those who must tell "no receipt" from "not known": the audit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use backon::{BackoffBuilder, ExponentialBuilder};
use daybook_schema::tables::attribute::ID;
use daybook_schema::{ObjectId, Receipt};
use futures::StreamExt;

use crate::cause::{Cause, CauseKind, describe};
use crate::ledger::Ledger;
use crate::receipts::KEYS_PER_READ;
use crate::settings::ReceiptSettings;
use crate::statement::{Item, id_of, text};

/// How often keys that DynamoDB leaves unprocessed are asked for.
const TRIES: usize = 6;

/// Requests under way at once.
const CONCURRENCY: usize = 4;

/// What a service says of one thing that was asked for by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// There is one.
    Found(Box<T>),
    /// There was none.
    Absent,
    /// Not known, and why: throttled, denied, no answer, or one that cannot be read.
    Unknown(Cause),
}

impl Ledger {
    /// How long receipts are kept; `None` with receipts off.
    pub fn receipts_kept_for(&self) -> Option<Duration> {
        self.receipts.as_ref().map(|settings| settings.keep)
    }

    /// The receipts of these objects, read consistently (one read unit each, 100 per request). Every object is in the map, and
    /// one whose receipt could not be read is there as unknown; so are all with receipts off.
    pub async fn look_up_receipts(
        &self,
        objects: impl IntoIterator<Item = ObjectId>,
    ) -> BTreeMap<ObjectId, Lookup<Receipt>> {
        let objects: Vec<ObjectId> = objects.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let Some(settings) = &self.receipts else {
            let off = Lookup::Unknown("receipts are off".into());
            return objects.into_iter().map(|object| (object, off.clone())).collect();
        };
        let requests: Vec<_> = objects
            .chunks(KEYS_PER_READ)
            .map(|chunk| self.look_up_chunk(settings, chunk))
            .collect();
        let chunks: Vec<_> = futures::stream::iter(requests)
            .buffered(CONCURRENCY)
            .collect()
            .await;
        chunks.into_iter().flatten().collect()
    }

    async fn look_up_chunk(
        &self,
        settings: &ReceiptSettings,
        objects: &[ObjectId],
    ) -> Vec<(ObjectId, Lookup<Receipt>)> {
        let mut found = BTreeMap::new();
        let mut waiting: BTreeSet<String> = objects.iter().map(ToString::to_string).collect();
        let mut cause = Cause::from("DynamoDB left it unprocessed");
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(TRIES - 1)
            .with_jitter()
            .with_jitter_seed(self.random.next_u64())
            .build();
        while !waiting.is_empty() {
            match self.read_consistently(settings, &waiting).await {
                Ok((items, unprocessed)) => {
                    waiting = unprocessed;
                    for item in items {
                        let id = id_of(&item);
                        found.insert(id, read(item));
                    }
                }
                // The SDK has retried it.
                Err(error) => {
                    cause = error;
                    break;
                }
            }
            match delays.next() {
                Some(delay) if !waiting.is_empty() => tokio::time::sleep(delay).await,
                _ => break,
            }
        }
        let outcome = |object: &ObjectId| {
            let id = object.to_string();
            let unanswered = || match waiting.contains(&id) {
                true => Lookup::Unknown(cause.clone()),
                false => Lookup::Absent,
            };
            (*object, found.remove(&id).unwrap_or_else(unanswered))
        };
        objects.iter().map(outcome).collect()
    }

    /// One request: the items, and the keys that DynamoDB left unprocessed.
    async fn read_consistently(
        &self,
        settings: &ReceiptSettings,
        ids: &BTreeSet<String>,
    ) -> Result<(Vec<Item>, BTreeSet<String>), Cause> {
        let table = settings.table.as_str();
        let key = |id: &String| Item::from([(ID.to_owned(), text(id))]);
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(ids.iter().map(key).collect()))
            .consistent_read(true)
            .build()
            .expect("keys are set");
        let answer = self
            .client
            .batch_get_item()
            .request_items(table, wanted)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| describe(&error))?;
        self.meter.read(answer.consumed_capacity());
        let unprocessed = answer.unprocessed_keys.unwrap_or_default().remove(table);
        let id_text = |key: Item| match key.get(ID) {
            Some(AttributeValue::S(id)) => Some(id.clone()),
            _ => None,
        };
        let unprocessed = unprocessed.map(|keys| keys.keys).unwrap_or_default();
        Ok((
            answer
                .responses
                .unwrap_or_default()
                .remove(table)
                .unwrap_or_default(),
            unprocessed.into_iter().filter_map(id_text).collect(),
        ))
    }
}

fn read(item: Item) -> Lookup<Receipt> {
    match serde_dynamo::from_item::<_, Receipt>(item) {
        Ok(receipt) => Lookup::Found(Box::new(receipt)),
        Err(error) => Lookup::Unknown(Cause::new(
            CauseKind::Unreadable,
            format!("it is stored, and cannot be read: {error}"),
        )),
    }
}
