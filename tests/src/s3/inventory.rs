//! Inventories of buckets as S3 writes them: a manifest, its checksum, and files in CSV or Parquet.

use std::io::Write;
use std::sync::Arc;

use daybook_schema::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::basic::Compression as Codec;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::{S3, Versioning, md5_hex};

/// An inventory that is to be written.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// CSV or Parquet.
    pub form: Form,
    /// How many files; each row goes into one of them, and no file is in the order of keys.
    pub files: usize,
    /// Whether all versions are listed, and not the current ones alone.
    pub all_versions: bool,
    /// Fields that are left out, by their names in CSV manifests.
    pub without: Vec<&'static str>,
    /// When its making began.
    pub at: Timestamp,
}

/// What its files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By gzip, keys encoded as in forms.
    Csv,
    /// By Snappy, so many rows per row group.
    Parquet(usize),
}

/// A row of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryRow {
    /// Of which bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Empty for the null version.
    pub version_id: String,
    /// Whether it is the newest.
    pub is_latest: bool,
    /// Whether it is a delete marker: those have neither size nor etag.
    pub is_delete_marker: bool,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was last modified; none is written as nothing.
    pub last_modified: Option<Timestamp>,
    /// The etag without quotes.
    pub etag: Option<String>,
}

/// Every field, in the order in which S3 writes them: its names, and its type in Parquet.
const FIELDS: [(&str, &str, &str); 9] = [
    ("Bucket", "bucket", "required binary bucket (UTF8)"),
    ("Key", "key", "required binary key (UTF8)"),
    ("VersionId", "version_id", "optional binary version_id (UTF8)"),
    ("IsLatest", "is_latest", "optional boolean is_latest"),
    (
        "IsDeleteMarker",
        "is_delete_marker",
        "optional boolean is_delete_marker",
    ),
    ("Size", "size", "optional int64 size"),
    (
        "LastModifiedDate",
        "last_modified_date",
        "optional int64 last_modified_date (TIMESTAMP(MILLIS,true))",
    ),
    ("ETag", "e_tag", "optional binary e_tag (UTF8)"),
    (
        "StorageClass",
        "storage_class",
        "optional binary storage_class (UTF8)",
    ),
];

/// What all versions have, and current ones alone do not.
const OF_VERSIONS: [&str; 3] = ["VersionId", "IsLatest", "IsDeleteMarker"];

impl Inventory {
    /// In one file, of that time.
    pub fn new(form: Form, all_versions: bool, at: Timestamp) -> Self {
        Self {
            form,
            files: 1,
            all_versions,
            without: Vec::new(),
            at,
        }
    }

    fn fields(&self) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
        let is_in =
            |name: &str| !self.without.contains(&name) && (self.all_versions || !OF_VERSIONS.contains(&name));
        FIELDS.iter().filter(move |(name, ..)| is_in(name))
    }

    fn schema(&self) -> String {
        match self.form {
            Form::Csv => self.fields().map(|field| field.0).collect::<Vec<_>>().join(", "),
            Form::Parquet(_) => {
                let fields: String = self.fields().map(|field| format!(" {};", field.2)).collect();
                format!("message s3.inventory {{{fields} }}")
            }
        }
    }

    fn file(&self, rows: &[InventoryRow]) -> Vec<u8> {
        match self.form {
            Form::Csv => self.csv(rows),
            Form::Parquet(group) => self.parquet(rows, group),
        }
    }

    fn csv(&self, rows: &[InventoryRow]) -> Vec<u8> {
        let packed = GzEncoder::new(Vec::new(), Compression::fast());
        let mut csv = csv::WriterBuilder::new()
            .quote_style(csv::QuoteStyle::Always)
            .from_writer(packed);
        for row in rows {
            csv.write_record(self.fields().map(|field| row.text(field.0)))
                .unwrap();
        }
        csv.into_inner().unwrap().finish().unwrap()
    }

    fn parquet(&self, rows: &[InventoryRow], group: usize) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(&self.schema()).unwrap());
        let properties = WriterProperties::builder().set_compression(Codec::SNAPPY).build();
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
        for rows in rows.chunks(group) {
            let mut group = writer.next_row_group().unwrap();
            for field in self.fields() {
                let mut column = group.next_column().unwrap().unwrap();
                match column.untyped() {
                    ColumnWriter::ByteArrayColumnWriter(column) => {
                        let is_required = matches!(field.0, "Bucket" | "Key");
                        let texts = rows.iter().map(|row| match field.0 {
                            "Key" => row.key.clone(),
                            name => row.text(name),
                        });
                        let texts: Vec<Option<ByteArray>> = texts
                            .map(|text| Some(text).filter(|text| is_required || !text.is_empty()))
                            .map(|text| text.map(|text| ByteArray::from(text.into_bytes())))
                            .collect();
                        let levels = levels(&texts);
                        let levels = (!is_required).then_some(&levels[..]);
                        let values: Vec<ByteArray> = texts.into_iter().flatten().collect();
                        column.write_batch(&values, levels, None).unwrap();
                    }
                    ColumnWriter::BoolColumnWriter(column) => {
                        let value = |row: &InventoryRow| match field.0 {
                            "IsLatest" => row.is_latest,
                            _ => row.is_delete_marker,
                        };
                        let values: Vec<bool> = rows.iter().map(value).collect();
                        column
                            .write_batch(&values, Some(&vec![1; rows.len()]), None)
                            .unwrap();
                    }
                    ColumnWriter::Int64ColumnWriter(column) => {
                        let value = |row: &InventoryRow| match field.0 {
                            "Size" => row.size.map(|size| size.try_into().unwrap()),
                            _ => row.last_modified.map(Timestamp::unix_millis),
                        };
                        let numbers: Vec<Option<i64>> = rows.iter().map(value).collect();
                        let values: Vec<i64> = numbers.iter().flatten().copied().collect();
                        column
                            .write_batch(&values, Some(&levels(&numbers)), None)
                            .unwrap();
                    }
                    _ => unreachable!("no field has another type"),
                }
                column.close().unwrap();
            }
            group.close().unwrap();
        }
        writer.into_inner().unwrap()
    }
}

fn levels<T>(values: &[Option<T>]) -> Vec<i16> {
    values.iter().map(|value| i16::from(value.is_some())).collect()
}

impl InventoryRow {
    /// As CSV has it.
    fn text(&self, name: &str) -> String {
        match name {
            "Bucket" => self.bucket.clone(),
            "Key" => form_urlencoded::byte_serialize(self.key.as_bytes())
                .collect::<String>()
                .replace("%2F", "/"),
            "VersionId" => self.version_id.clone(),
            "IsLatest" => self.is_latest.to_string(),
            "IsDeleteMarker" => self.is_delete_marker.to_string(),
            "Size" => self.size.map_or_else(String::new, |size| size.to_string()),
            "LastModifiedDate" => self.last_modified.map_or_else(String::new, |at| at.to_string()),
            "ETag" => self.etag.clone().unwrap_or_default(),
            _ => "STANDARD".to_owned(),
        }
    }
}

impl S3 {
    /// Writes an inventory of a bucket, as it is now, into another; the key of its manifest.
    pub fn write_inventory(&self, bucket: &str, destination: &str, inventory: &Inventory) -> String {
        let mut rows = Vec::new();
        let state = self.state.lock().unwrap();
        for (key, versions) in &state.buckets[bucket].keys {
            let shown = if inventory.all_versions { versions.len() } else { 1 };
            for (position, version) in versions.iter().take(shown).enumerate() {
                let is_delete_marker = version.etag.is_none();
                if is_delete_marker && !inventory.all_versions {
                    continue;
                }
                rows.push(InventoryRow {
                    bucket: bucket.to_owned(),
                    key: key.clone(),
                    version_id: version.id.clone().unwrap_or_default(),
                    is_latest: position == 0,
                    is_delete_marker,
                    size: (!is_delete_marker).then_some(version.size),
                    last_modified: Some(version.last_modified),
                    etag: version.etag.clone(),
                });
            }
        }
        drop(state);
        self.write_inventory_of(bucket, destination, inventory, &rows)
    }

    /// Writes an inventory of those rows; the key of its manifest.
    pub fn write_inventory_of(
        &self,
        bucket: &str,
        destination: &str,
        inventory: &Inventory,
        rows: &[InventoryRow],
    ) -> String {
        self.create_bucket(destination, Versioning::Never);
        let mut parts = vec![Vec::new(); inventory.files];
        for (n, row) in rows.iter().rev().enumerate() {
            parts[n % inventory.files].push(row.clone());
        }
        let (format, end) = match inventory.form {
            Form::Csv => ("CSV", "csv.gz"),
            Form::Parquet(_) => ("Parquet", "parquet"),
        };
        let files: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(n, rows)| {
                let (key, content) = (format!("{bucket}/daily/data/{n}.{end}"), inventory.file(rows));
                let file = json!({"key": key, "size": content.len(), "MD5checksum": md5_hex(&content)});
                self.put_file(destination, &key, &content);
                file
            })
            .collect();
        let manifest = json!({
            "sourceBucket": bucket,
            "destinationBucket": format!("arn:aws:s3:::{destination}"),
            "version": "2016-11-30",
            "creationTimestamp": inventory.at.unix_millis().to_string(),
            "fileFormat": format,
            "fileSchema": inventory.schema(),
            "files": files,
        });
        let folder = format!("{bucket}/daily/now");
        self.put_manifest(destination, &folder, &manifest.to_string());
        format!("{folder}/manifest.json")
    }

    /// Puts a manifest into a folder, and its checksum beside it.
    pub fn put_manifest(&self, destination: &str, folder: &str, manifest: &str) {
        self.put_file(
            destination,
            &format!("{folder}/manifest.json"),
            manifest.as_bytes(),
        );
        let mut checksum = md5_hex(manifest).into_bytes();
        writeln!(checksum).unwrap();
        self.put_file(destination, &format!("{folder}/manifest.checksum"), &checksum);
    }
}
