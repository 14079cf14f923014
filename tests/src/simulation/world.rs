//! What happened outside of Daybook, as its causes know it: what S3 did and told, what people and misfortune did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::checker::WorkerRun;
use crate::notifications::Upload;

/// The bucket.
pub(crate) const BUCKET: &str = "data";

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct S3Event {
    pub(crate) key: String,
    pub(crate) removed: bool,
    /// Whether what it made is a delete marker.
    pub(crate) marker: bool,
    /// Of what was uploaded; none of a removal.
    pub(crate) etag: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) sequencer: String,
    pub(crate) at_millis: i64,
    /// Whether S3 told of it, ever.
    pub(crate) told: bool,
}

impl S3Event {
    fn upload(&self) -> Upload {
        Upload {
            bucket: BUCKET.into(),
            key: self.key.clone(),
            etag: self.etag.clone().unwrap_or_default(),
            sequencer: Some(self.sequencer.clone()),
            at_millis: self.at_millis,
        }
    }

    /// The record of a notification.
    pub(crate) fn record(&self) -> Value {
        let mut record = self.upload().record();
        let object = record["s3"]["object"].as_object_mut().unwrap();
        if let Some(version) = &self.version {
            object.insert("versionId".into(), json!(version));
        }
        if self.removed {
            object.remove("eTag");
            object.remove("size");
            record["eventName"] = match self.marker {
                true => json!("ObjectRemoved:DeleteMarkerCreated"),
                false => json!("ObjectRemoved:Delete"),
            };
        }
        record
    }

    /// The same as EventBridge delivers it.
    pub(crate) fn event_bridge(&self) -> String {
        let mut event: Value = serde_json::from_str(&self.upload().event_bridge()).unwrap();
        let object = event["detail"]["object"].as_object_mut().unwrap();
        if let Some(version) = &self.version {
            object.insert("version-id".into(), json!(version));
        }
        if self.removed {
            object.remove("etag");
            object.remove("size");
            event["detail-type"] = json!("Object Deleted");
            event["detail"]["reason"] = json!("DeleteObject");
            event["detail"]["deletion-type"] = match self.marker {
                true => json!("Delete Marker Created"),
                false => json!("Permanently Deleted"),
            };
        }
        event.to_string()
    }

    /// What receipts speak of: the key, the version, and whether it is gone.
    pub(crate) fn object(&self) -> (String, Option<String>, bool) {
        (self.key.clone(), self.version.clone(), self.removed)
    }
}

/// A general event that somebody sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GeneralEvent {
    /// The same ids come from several sources: together they are the identity.
    pub(crate) source: &'static str,
    pub(crate) id: String,
}

impl GeneralEvent {
    pub(crate) fn json(&self) -> Value {
        json!({"specversion": "1.0", "id": self.id, "source": self.source, "type": "view", "subject": "user/1",
            "partitionkey": "user/1", "data": {"n": 1}})
    }

    /// The key of its row, and of its receipt, by the definition of the identity and not by the code that computes it.
    pub(crate) fn row(&self) -> String {
        let namespace = uuid::Uuid::from_u128(0x6e1f_0c7a_8d5b_5a52_9d55_2b6c_f0a3_11e4);
        let mut name = Vec::new();
        for field in ["general", self.source, &self.id] {
            name.push(1);
            name.extend((field.len() as u64).to_be_bytes());
            name.extend(field.as_bytes());
        }
        uuid::Uuid::new_v5(&namespace, &name).to_string()
    }
}

/// A restore of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Restore {
    /// To what it was then, in milliseconds.
    pub(crate) to: i64,
    /// Done then.
    pub(crate) at: i64,
    /// Rows that it took away.
    pub(crate) taken: BTreeSet<String>,
}

/// What happened.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) events: Vec<S3Event>,
    /// General events that reached the intake, each once.
    pub(crate) general: Vec<GeneralEvent>,
    /// Notifications that S3 will tell: late ones come hours after their event.
    pub(crate) on_their_way: usize,
    pub(crate) restores: Vec<Restore>,
    /// Rows that a person took out, or may have: the command perhaps died.
    pub(crate) closed: BTreeSet<String>,
    /// Rows that a person gave back, or may have: their attempts are sent once more.
    pub(crate) freed: BTreeSet<String>,
    /// Rows whose attempts a person called failed, or may have.
    pub(crate) failed_by_person: BTreeSet<String>,
    /// Rows that a person cancelled, or may have.
    pub(crate) cancelled: BTreeSet<String>,
    /// Keys whose receipts were removed early.
    pub(crate) receipts_removed: BTreeSet<String>,
    /// Keys whose receipts had expired, and when the first of them was removed.
    pub(crate) receipts_expired: BTreeMap<String, i64>,
    /// When those audits began that came to their ends and repaired all that they found.
    pub(crate) audited: Vec<i64>,
    /// When notifications of an event arrived in the intake, by its sequencer.
    pub(crate) arrived: BTreeMap<String, Vec<i64>>,
    /// Whether dead letters were sent back to the intake, ever.
    pub(crate) redrove_intake: bool,
    /// Lines of the trace, if it is kept.
    pub(crate) lines: Option<Vec<String>>,
    /// Ends of executions that were told, to be told again.
    pub(crate) told_ends: Vec<Value>,
    /// Express executions that ended and told nobody, by row and attempt.
    pub(crate) untold: BTreeMap<(String, u64), usize>,
    /// Executions whose end was told, and whose report was late, by row and attempt.
    pub(crate) unheard: BTreeMap<(String, u64), usize>,
    /// Rows of a newer release that stay one's, as they were put into the table.
    pub(crate) strangers: BTreeMap<String, Value>,
    /// Runs of workers.
    pub(crate) worker_runs: Vec<WorkerRun>,
    /// Messages of the intake queue that were found among its dead letters.
    pub(crate) intake_letters: usize,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

/// What happened. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct SharedHistory(Arc<Mutex<History>>);

impl SharedHistory {
    pub(crate) fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap()
    }
}

impl History {
    /// Keeps a line for the trace, if one is kept.
    pub(crate) fn line(&mut self, at_millis: i64, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let at = at_millis - crate::stage::EPOCH_SECONDS * 1000;
            lines.push(format!("{at:>10}       {}", text()));
        }
    }

    /// Counts something that is worth a figure.
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}
