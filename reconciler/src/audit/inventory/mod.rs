//! An S3 Inventory: what was in the bucket at one time, written by S3 into files.
//!
//! It is a snapshot. Its manifest says when its making began (`creationTimestamp`); what was modified later is outside of the
//! audit. Objects that are missing are looked at by a HEAD, because they may have been overwritten or deleted since.
//!
//! A file is had whole, compared with the manifest's MD5, and (CSV) unpacked once, before anything of it is judged: what a
//! damaged file lacks is not taken for absent. It is read from disk, so many rows at a time.

mod csv_rows;
mod manifest;
mod parquet_rows;
mod row;
mod rows;
mod store;

use aws_sdk_s3::Client;
use daybook_schema::Timestamp;
use serde::Serialize;

use super::entry::{Entry, Marker, Page, RowMarker};
use super::error::AuditError;
use super::inventory_error::InventoryError;
use super::manifest_place::ManifestPlace;
use super::settings::{Scope, Versions};
use super::versioning::has_versions;
use manifest::{Column, Format, Manifest};
use rows::Rows;
use store::Store;

/// Entries per page.
const PAGE: usize = 1000;

/// Rows that are read for one page at most, if most are of other prefixes or delete markers.
const ROWS: usize = 20_000;

/// What an audit by an inventory speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventorySummary {
    /// Where its manifest is.
    pub manifest: String,
    /// When its making began: the audit speaks of what was last modified before.
    pub at: Timestamp,
    /// Files.
    pub files: usize,
    /// Their bytes together.
    pub bytes: u64,
    /// Fields that it lacks, by their names in its configuration; it can be audited without them.
    pub lacks: Vec<&'static str>,
}

/// How much of an inventory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InventoryProgress {
    /// Files that were read to their end, by other processes before included.
    pub files_read: usize,
    /// Files.
    pub files: usize,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// An inventory, read page by page.
#[derive(Debug)]
pub(super) struct Inventory {
    store: Store,
    manifest: Manifest,
    scope: Scope,
    by_version: bool,
    asked: u64,
    /// Everything before it was given out; none at the end.
    next: Option<RowMarker>,
    /// The file of `next`, at its row.
    current: Option<Rows>,
}

impl Inventory {
    /// The inventory whose manifest is there, from its start or after `after`.
    ///
    /// # Errors
    /// When the manifest cannot be read, or its inventory not be used; when the bucket does not say whether it has versions.
    pub(super) async fn open(
        s3: Client,
        place: ManifestPlace,
        scope: Scope,
        versions: Versions,
        after: Option<RowMarker>,
    ) -> Result<Self, AuditError> {
        let what = place.to_string();
        let mut store = Store::new(s3.clone(), place);
        let (text, id) = store.manifest().await?;
        let manifest = Manifest::read(&text, id, &what, &scope.bucket)?;
        let (by_version, asked) = match versions {
            Versions::All => (true, 0),
            Versions::Never => (false, 0),
            Versions::Ask => (has_versions(&s3, &scope).await?, 1),
        };
        manifest.check_versions(&scope.bucket, by_version)?;
        Ok(Self {
            store,
            manifest,
            scope,
            by_version,
            asked,
            next: Some(after.unwrap_or_default()),
            current: None,
        })
    }

    /// The MD5 of its manifest.
    pub(super) fn id(&self) -> &str {
        &self.manifest.id
    }

    pub(super) fn at(&self) -> Timestamp {
        self.manifest.at
    }

    pub(super) fn is_by_version(&self) -> bool {
        self.by_version
    }

    /// Requests that were made, GetBucketVersioning included.
    pub(super) fn requests(&self) -> u64 {
        self.asked + self.store.requests
    }

    pub(super) fn summary(&self) -> InventorySummary {
        let columns = [Column::ETag, Column::Size];
        let lacks = columns
            .into_iter()
            .filter(|column| !self.manifest.columns.has(*column));
        InventorySummary {
            manifest: self.manifest.what.clone(),
            at: self.manifest.at,
            files: self.manifest.files.len(),
            bytes: self.bytes_before(self.manifest.files.len()),
            lacks: lacks.map(Column::name).collect(),
        }
    }

    pub(super) fn progress(&self) -> InventoryProgress {
        let files = self.manifest.files.len();
        let files_read = self.next.map_or(files, |next| next.file);
        let in_file = match (&self.current, self.manifest.files.get(files_read)) {
            (Some(rows), Some(file)) => rows.bytes_read(file.size),
            _ => 0,
        };
        InventoryProgress {
            files_read,
            files,
            bytes_read: self.bytes_before(files_read).saturating_add(in_file),
            bytes: self.bytes_before(files),
        }
    }

    fn bytes_before(&self, file: usize) -> u64 {
        let sizes = self.manifest.files.iter().take(file).map(|file| file.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// The next page, which may be empty; `None` after the last.
    ///
    /// # Errors
    /// When a file cannot be had or read. Call again to try the same page again. The same holds when the future is dropped.
    pub(super) async fn next_page(&mut self) -> Result<Option<Page>, InventoryError> {
        let Some(at) = self.next else {
            return Ok(None);
        };
        let Some(file) = self.manifest.files.get(at.file) else {
            self.next = None;
            return Ok(Some(page(Vec::new(), None, None)));
        };
        let mut answered_at = None;
        let rows = match &mut self.current {
            Some(rows) => rows,
            none => {
                let fetched = self.store.fetch(file).await?;
                answered_at = fetched.answered_at;
                let (format, columns) = (self.manifest.format, &self.manifest.columns);
                let rows = Rows::open(fetched.file, format, columns, at.row).await;
                none.insert(rows.map_err(|cause| damaged(self.store.name(file), cause))?)
            }
        };
        // From here on nothing waits: a dropped call has read nothing that is not given out.
        let is_encoded = self.manifest.format == Format::Csv;
        let read = read_page(rows, at, &self.scope, is_encoded, self.by_version);
        let (entries, behind) = read.map_err(|cause| {
            self.current = None;
            damaged(self.store.name(file), cause)
        })?;
        let next = match behind {
            Some(behind) => Some(behind),
            None => {
                self.current = None;
                let next = RowMarker {
                    file: at.file + 1,
                    row: 0,
                };
                Some(next).filter(|next| next.file < self.manifest.files.len())
            }
        };
        self.next = next;
        Ok(Some(page(entries, answered_at, next)))
    }
}

type Entries = Vec<(Entry, RowMarker)>;

fn page(entries: Entries, listed_at: Option<Timestamp>, next: Option<RowMarker>) -> Page {
    let (entries, rows) = entries.into_iter().unzip();
    Page {
        entries,
        listed_at,
        next: next.map(Marker::Row),
        rows,
    }
}

/// The entries of a page, and the place behind it; none at the end of the file.
fn read_page(
    rows: &mut Rows,
    at: RowMarker,
    scope: &Scope,
    is_encoded: bool,
    by_version: bool,
) -> Result<(Entries, Option<RowMarker>), String> {
    let mut entries = Vec::with_capacity(PAGE);
    let mut behind = at;
    let mut left = ROWS;
    while entries.len() < PAGE && left > 0 {
        let read = rows.read(left.min(PAGE - entries.len()))?;
        if read.is_empty() {
            return Ok((entries, None));
        }
        left -= read.len();
        for row in read {
            behind.row += 1;
            if let Some(bucket) = row
                .bucket
                .as_deref()
                .filter(|it| *it != scope.bucket.as_str().as_bytes())
            {
                let bucket = String::from_utf8_lossy(bucket);
                return Err(format!(
                    "row {} is of bucket {}",
                    behind.row,
                    bucket.escape_debug()
                ));
            }
            let entry = row.entry(is_encoded, by_version, &scope.prefix);
            entries.extend(entry.map(|entry| (entry, behind)));
        }
    }
    Ok((entries, Some(behind)))
}

fn damaged(what: String, cause: String) -> InventoryError {
    InventoryError::Damaged { what, cause }
}

#[cfg(test)]
mod tests;
