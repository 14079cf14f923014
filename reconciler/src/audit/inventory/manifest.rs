//! The manifest of an inventory: which files, of which bucket, of when ("Locating your inventory list", Amazon S3 User Guide).

use daybook_schema::{BucketName, Timestamp};
use parquet::schema::parser::parse_message_type;
use serde::Deserialize;

use super::super::inventory_error::InventoryError;

/// A manifest that was checked.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    /// Where it was read, for errors.
    pub(super) what: String,
    /// The MD5 of its text: another one is another inventory.
    pub(super) id: String,
    /// When its making began. What was modified later may or may not be in it.
    pub(super) at: Timestamp,
    pub(super) format: Format,
    /// The fields, in the order of a CSV file's columns.
    pub(super) columns: Columns,
    pub(super) files: Vec<DataFile>,
}

/// A data file, as the manifest has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct DataFile {
    pub(super) key: String,
    /// Bytes.
    pub(super) size: u64,
    /// Of the file's bytes as they are, in hexadecimal.
    #[serde(rename = "MD5checksum")]
    pub(super) md5: String,
}

/// What data files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Compressed by gzip, without a header, keys encoded as in forms.
    Csv,
    Parquet,
}

/// A field that an audit reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Bucket,
    Key,
    VersionId,
    IsLatest,
    IsDeleteMarker,
    Size,
    LastModified,
    ETag,
}

/// The fields of an inventory, in order; none for those that an audit does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns(Vec<Option<Column>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    source_bucket: String,
    creation_timestamp: String,
    file_format: String,
    file_schema: String,
    files: Vec<DataFile>,
}

impl Column {
    const ALL: [Self; 8] = [
        Self::Bucket,
        Self::Key,
        Self::VersionId,
        Self::IsLatest,
        Self::IsDeleteMarker,
        Self::Size,
        Self::LastModified,
        Self::ETag,
    ];

    /// Its name in CSV manifests and configurations.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bucket => "Bucket",
            Self::Key => "Key",
            Self::VersionId => "VersionId",
            Self::IsLatest => "IsLatest",
            Self::IsDeleteMarker => "IsDeleteMarker",
            Self::Size => "Size",
            Self::LastModified => "LastModifiedDate",
            Self::ETag => "ETag",
        }
    }

    /// Its name in Parquet files.
    pub(super) fn parquet_name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Key => "key",
            Self::VersionId => "version_id",
            Self::IsLatest => "is_latest",
            Self::IsDeleteMarker => "is_delete_marker",
            Self::Size => "size",
            Self::LastModified => "last_modified_date",
            Self::ETag => "e_tag",
        }
    }
}

impl Columns {
    pub(super) fn of_csv(schema: &str) -> Self {
        let column = |name: &str| {
            Column::ALL
                .into_iter()
                .find(|column| column.name() == name.trim())
        };
        Self(schema.split(',').map(column).collect())
    }

    fn of_parquet(schema: &str) -> Result<Self, String> {
        let schema = parse_message_type(schema).map_err(|error| error.to_string())?;
        let column = |name: &str| {
            Column::ALL
                .into_iter()
                .find(|column| column.parquet_name() == name)
        };
        let fields = schema.get_fields().iter();
        Ok(Self(fields.map(|field| column(field.name())).collect()))
    }

    /// How many fields there are, the others included.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn position(&self, column: Column) -> Option<usize> {
        self.0.iter().position(|it| *it == Some(column))
    }

    pub(super) fn has(&self, column: Column) -> bool {
        self.position(column).is_some()
    }
}

impl Manifest {
    /// Reads a manifest whose text has that MD5.
    ///
    /// # Errors
    /// When it is none, of another bucket, in a format that is not read, or without key or time.
    pub(super) fn read(
        text: &[u8],
        id: String,
        what: &str,
        bucket: &BucketName,
    ) -> Result<Self, InventoryError> {
        let none = |cause: String| InventoryError::NotAManifest {
            what: what.to_owned(),
            cause,
        };
        let text: Text = serde_json::from_slice(text).map_err(|error| none(error.to_string()))?;
        if text.source_bucket != bucket.as_str() {
            return Err(InventoryError::OtherBucket {
                what: what.to_owned(),
                listed: text.source_bucket,
                audited: bucket.to_string(),
            });
        }
        let at = text
            .creation_timestamp
            .parse()
            .ok()
            .and_then(Timestamp::from_unix_millis);
        let at = at.ok_or_else(|| {
            let said = text.creation_timestamp.escape_debug();
            none(format!(
                "its creationTimestamp is {said}, and no number of milliseconds"
            ))
        })?;
        let (format, columns) = match text.file_format.as_str() {
            "CSV" => (Format::Csv, Columns::of_csv(&text.file_schema)),
            "Parquet" => {
                let columns = Columns::of_parquet(&text.file_schema);
                (
                    Format::Parquet,
                    columns.map_err(|cause| none(format!("its fileSchema: {cause}")))?,
                )
            }
            _ => {
                return Err(InventoryError::Format {
                    what: what.to_owned(),
                    format: text.file_format,
                });
            }
        };
        let manifest = Self {
            what: what.to_owned(),
            id,
            at,
            format,
            columns,
            files: text.files,
        };
        manifest.needs(Column::Key, "and so nothing could be found")?;
        manifest.needs(
            Column::LastModified,
            "and without a time no upload can be told from another: add LastModifiedDate to the inventory's fields",
        )?;
        Ok(manifest)
    }

    /// Whether it has what tells one upload from another, in a bucket with or without versions.
    ///
    /// # Errors
    /// Which field is not there, and what for it is needed.
    pub(super) fn check_versions(&self, bucket: &BucketName, by_version: bool) -> Result<(), InventoryError> {
        if !by_version {
            // Without a version, what is done is told by its etag.
            return self.needs(
                Column::ETag,
                "and in a bucket without versions nothing else tells an upload from the one before it: add ETag to the \
                 inventory's fields",
            );
        }
        if !self.columns.has(Column::VersionId) {
            return Err(InventoryError::CurrentOnly {
                what: self.what.clone(),
                bucket: bucket.to_string(),
            });
        }
        self.needs(Column::IsLatest, "which an inventory of all versions has")?;
        self.needs(
            Column::IsDeleteMarker,
            "and delete markers would be taken for objects; an inventory of all versions has it",
        )
    }

    fn needs(&self, column: Column, why: &'static str) -> Result<(), InventoryError> {
        match self.columns.has(column) {
            true => Ok(()),
            false => Err(InventoryError::Column {
                what: self.what.clone(),
                column: column.name(),
                why,
            }),
        }
    }
}
