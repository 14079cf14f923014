//! What an audit looks at, and how.

use std::time::Duration;

use daybook_schema::{BucketName, SourceName, Timestamp};
use serde::{Deserialize, Serialize};

use super::intake::IntakeSeen;
use super::manifest_place::ManifestPlace;

/// A bucket, or what begins with a prefix in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Which S3, by the name that ingest records its events under.
    pub source: SourceName,
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that begin with it; empty is all.
    pub prefix: String,
}

/// Whether every version of an object is listed, or only what the key holds now.
///
/// An older version whose event was never processed is as unprocessed as the newest, so versions are listed wherever there
/// are any, and each is judged by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Asks the bucket (GetBucketVersioning): all versions unless it never had any.
    #[default]
    Ask,
    /// Lists all versions (ListObjectVersions, or an inventory of all versions).
    All,
    /// The bucket never had versions (ListObjectsV2). In one that has, everything would look missing: its rows and receipts
    /// bear version ids.
    Never,
}

/// How an audit is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// Where.
    pub scope: Scope,
    /// Whether versions are listed.
    pub versions: Versions,
    /// The manifest of an S3 Inventory that is read instead of a listing; none lists the bucket.
    pub inventory: Option<ManifestPlace>,
    /// An object is too new to be judged until it is older than this by the time at which the open rows are read: its
    /// notification may be under way. S3 takes seconds to minutes.
    pub grace: Duration,
    /// What is known of notifications that wait in the intake, looked at before the audit begins. Unchecked, what has neither row nor
    /// receipt is missing, and a repair records it though its notification may wait.
    pub intake: IntakeSeen,
    /// Only objects that were last modified at or after it.
    pub since: Option<Timestamp>,
    /// Only objects that were last modified before it.
    pub until: Option<Timestamp>,
    /// Stop after so many objects, counted from where this process began or went on.
    pub limit: Option<u64>,
    /// How many levels of the key (parts that end in `/`) the statement of completeness tells apart; 0 is by day alone.
    pub depth: usize,
    /// How many lines that statement may have: what comes after is counted together. A line takes about 200 bytes of memory
    /// plus its prefix.
    pub max_lines: usize,
    /// Whether what is done is a finding, too, and not only counted.
    pub tells_done: bool,
}

impl AuditSettings {
    /// The usual: versions as the bucket has them, a grace of 15 minutes, one level, 10,000 lines, no bounds.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            versions: Versions::Ask,
            inventory: None,
            grace: Duration::from_secs(15 * 60),
            intake: IntakeSeen::Unchecked,
            since: None,
            until: None,
            limit: None,
            depth: 1,
            max_lines: 10_000,
            tells_done: false,
        }
    }

    /// Whether something of that time is to be judged.
    pub(super) fn is_within(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}
