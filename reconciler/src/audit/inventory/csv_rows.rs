//! Rows of a CSV file, compressed by gzip.

use std::fs::File;
use std::io::{BufReader, Read, Seek};

use csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::read::MultiGzDecoder;

use super::manifest::{Column, Columns};
use super::rows::Row;

/// Bytes that are unpacked before others get their turn.
const STEP: usize = 1 << 20;

/// Rows that are skipped before others get their turn.
const SKIPPED: u64 = 10_000;

/// An open CSV file.
#[derive(Debug)]
pub(super) struct CsvRows {
    reader: Reader<MultiGzDecoder<BufReader<File>>>,
    columns: Columns,
    record: ByteRecord,
    row: u64,
}

impl CsvRows {
    /// Unpacks the file once to see that it is whole, and opens it.
    pub(super) async fn open(mut file: File, columns: Columns, skip: u64) -> Result<Self, String> {
        let rewound = |file: &mut File| file.rewind().map_err(|error| error.to_string());
        let mut bytes = vec![0; STEP];
        let mut unpacked = MultiGzDecoder::new(BufReader::new(&file));
        while unpacked.read(&mut bytes).map_err(|error| unpackable(&error))? > 0 {
            tokio::task::yield_now().await;
        }
        rewound(&mut file)?;
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(MultiGzDecoder::new(BufReader::new(file)));
        let mut rows = Self {
            reader,
            columns,
            record: ByteRecord::new(),
            row: 0,
        };
        while rows.row < skip && rows.next()? {
            if rows.row.is_multiple_of(SKIPPED) {
                tokio::task::yield_now().await;
            }
        }
        Ok(rows)
    }

    pub(super) fn read(&mut self, rows: usize) -> Result<Vec<Row>, String> {
        let mut read = Vec::with_capacity(rows);
        while read.len() < rows && self.next()? {
            read.push(self.row()?);
        }
        Ok(read)
    }

    /// Compressed bytes that were taken from the file.
    pub(super) fn bytes_read(&self) -> u64 {
        let mut file = self.reader.get_ref().get_ref().get_ref();
        file.stream_position().unwrap_or(0)
    }

    fn next(&mut self) -> Result<bool, String> {
        let read = self.reader.read_byte_record(&mut self.record);
        if !read.map_err(|error| format!("row {}: {error}", self.row + 1))? {
            return Ok(false);
        }
        self.row += 1;
        let (is, expected) = (self.record.len(), self.columns.len());
        if is != expected {
            return Err(self.wrong(format!("it has {is} fields, and by the manifest {expected}")));
        }
        Ok(true)
    }

    fn row(&self) -> Result<Row, String> {
        let last_modified = match self.text(Column::LastModified)? {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|error| self.wrong(format!("LastModifiedDate: {error}")))?,
            ),
        };
        let size = match self.text(Column::Size)? {
            None => None,
            Some(text) => {
                let wrong = |_| self.wrong(format!("Size is {}, and no number", text.escape_debug()));
                Some(text.parse().map_err(wrong)?)
            }
        };
        Ok(Row {
            bucket: self.field(Column::Bucket).map(<[u8]>::to_vec),
            key: self.field(Column::Key).unwrap_or_default().to_vec(),
            version_id: self.text(Column::VersionId)?,
            is_latest: self.boolean(Column::IsLatest)?,
            is_delete_marker: self.boolean(Column::IsDeleteMarker)?,
            size,
            last_modified,
            etag: self.text(Column::ETag)?,
        })
    }

    /// A field that is there and not empty.
    fn field(&self, column: Column) -> Option<&[u8]> {
        let field = self.columns.position(column).and_then(|at| self.record.get(at));
        field.filter(|field| !field.is_empty())
    }

    fn text(&self, column: Column) -> Result<Option<String>, String> {
        let Some(field) = self.field(column) else {
            return Ok(None);
        };
        match std::str::from_utf8(field) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(self.wrong(format!("{} is no UTF-8", column.name()))),
        }
    }

    fn boolean(&self, column: Column) -> Result<Option<bool>, String> {
        match self.text(column)? {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(text) => {
                let (name, text) = (column.name(), text.escape_debug());
                Err(self.wrong(format!("{name} is {text}, and neither true nor false")))
            }
        }
    }

    fn wrong(&self, cause: String) -> String {
        format!("row {}: {cause}", self.row)
    }
}

fn unpackable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "it ends in the middle: its gzip is cut off".to_owned(),
        _ => format!("it cannot be unpacked as gzip: {error}"),
    }
}
