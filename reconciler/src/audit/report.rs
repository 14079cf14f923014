//! What an audit tells: findings, how far it is, and how it goes.

use std::time::Duration;

use daybook_ledger::Consumed;
use daybook_schema::Timestamp;
use serde::{Deserialize, Serialize};

use super::classify::Class;
use super::completeness::{Statement, Tally};
use super::entry::{ListedObject, Marker, UnreadableEntry};
use super::inventory::InventoryProgress;
use super::open::OpenRow;
use super::settings::Scope;

/// Something that an audit found. What is done is only counted, unless the settings say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
pub enum Finding {
    /// An object.
    Object {
        /// The object.
        #[serde(flatten)]
        object: ListedObject,
        /// What it is.
        #[serde(flatten)]
        class: Class,
    },
    /// An entry of the listing that cannot be judged.
    Unreadable(UnreadableEntry),
    /// An open row whose object is not in the bucket. It stays: only a person removes rows.
    Gone {
        /// The row.
        #[serde(flatten)]
        row: OpenRow,
        /// Why S3 could not confirm it; none when a HEAD did.
        unconfirmed: Option<String>,
    },
}

/// What came of one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the listing's order; rows whose objects are gone come last.
    pub findings: Vec<Finding>,
    /// Objects of the page that were judged.
    pub objects: u64,
}

/// How far an audit is: everything that another process needs to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where.
    pub scope: Scope,
    /// Only objects last modified at or after it.
    pub since: Option<Timestamp>,
    /// Only objects last modified before it.
    pub until: Option<Timestamp>,
    /// The MD5 of the manifest, if it is by an inventory.
    #[serde(default)]
    pub inventory: Option<String>,
    /// Everything up to here is judged; none at the start.
    pub marker: Option<Marker>,
    /// Whether that is all there is.
    pub is_complete: bool,
    /// All of them.
    pub tally: Tally,
    /// By prefix and day.
    pub statement: Statement,
    /// Open rows whose objects are gone.
    pub gone: u64,
    /// Entries that could not be read.
    pub unreadable: u64,
    /// Objects outside of `since` and `until`, or newer than the inventory.
    pub outside: u64,
}

/// How an audit goes. Counts and times are of this process; a [`Checkpoint`] has those of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Objects listed.
    pub listed: u64,
    /// Requests to S3 for listings or the files of an inventory, GetBucketVersioning included.
    pub list_requests: u64,
    /// HeadObject requests.
    pub head_requests: u64,
    /// Requests to DynamoDB that were answered, and what they cost.
    pub ledger: Consumed,
    /// How much of the inventory is read, if it is by one.
    pub inventory: Option<InventoryProgress>,
    /// Time since this process began to list.
    pub elapsed: Duration,
}

impl Progress {
    /// Objects per second; 0 before any time has passed.
    pub fn objects_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.listed as f64 / seconds
        } else {
            0.0
        }
    }

    /// How long it will take, if there are `objects` still to be listed by this process in all (CloudWatch's
    /// NumberOfObjects, or an inventory's count).
    pub fn time_left(&self, objects: u64) -> Option<Duration> {
        let rate = self.objects_per_second();
        let left = objects.saturating_sub(self.listed) as f64;
        Duration::try_from_secs_f64(left / rate).ok()
    }

    /// Requests to S3 and DynamoDB per thousand objects.
    pub fn requests_per_thousand(&self) -> f64 {
        let requests = self.list_requests + self.head_requests + self.ledger.requests;
        requests as f64 * 1000.0 / self.listed.max(1) as f64
    }
}
