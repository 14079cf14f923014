//! Rows of a CSV file, compressed by gzip.

use std::fs::File;
use std::io::{BufReader, Read, Seek};

use csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::read::MultiGzDecoder;

use super::manifest::{Column, Columns};
use super::row::Row;

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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        // S3 may write a file in several pieces, each compressed by itself.
        for piece in text.as_bytes().chunks(50) {
            let mut packed = GzEncoder::new(&mut file, Compression::fast());
            packed.write_all(piece).unwrap();
            packed.finish().unwrap();
        }
        file.rewind().unwrap();
        file
    }

    async fn open(text: &str, skip: u64) -> CsvRows {
        let columns = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag";
        CsvRows::open(file(text), Columns::of_csv(columns), skip)
            .await
            .unwrap()
    }

    const AT: &str = "2026-11-20T01:02:03.000Z";

    #[tokio::test]
    async fn what_is_empty_is_not_there() {
        let text = format!("\"b\",\"a+b%0A\",\"\",\"true\",\"FALSE\",\"\",\"{AT}\",\"\"\n");
        let row = open(&text, 0).await.read(5).unwrap().remove(0);
        let expected = Row {
            bucket: Some(b"b".to_vec()),
            key: b"a+b%0A".to_vec(),
            is_latest: Some(true),
            is_delete_marker: Some(false),
            last_modified: AT.parse().ok(),
            ..Row::default()
        };
        assert_eq!(row, expected);
    }

    #[tokio::test]
    async fn rows_are_read_in_parts_and_from_the_middle() {
        let line = |n: u32| format!("\"b\",\"{n}\",\"v\",\"true\",\"false\",\"7\",\"{AT}\",\"e\"\n");
        let text: String = (0..30).map(line).collect();
        let keys = |rows: Vec<Row>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
        let all = keys(open(&text, 0).await.read(100).unwrap());
        assert_eq!(all.len(), 30);
        for skip in 0..=30 {
            let mut rows = open(&text, skip).await;
            let mut read = Vec::new();
            loop {
                let more = keys(rows.read(7).unwrap());
                if more.is_empty() {
                    break;
                }
                assert!(more.len() <= 7, "{}", more.len());
                read.extend(more);
            }
            assert_eq!(read, all[usize::try_from(skip).unwrap()..], "{skip}");
        }
    }

    #[tokio::test]
    async fn it_is_known_how_many_bytes_of_a_file_are_read() {
        let line = |n: u32| format!("\"b\",\"{n}\",\"v\",\"true\",\"false\",\"7\",\"{AT}\",\"e\"\n");
        let text: String = (0..3000).map(line).collect();
        let bytes = file(&text).metadata().unwrap().len();
        let mut rows = open(&text, 0).await;
        assert_eq!(rows.read(1500).unwrap().len(), 1500);
        let half = rows.bytes_read();
        assert!((bytes / 3..bytes).contains(&half), "{half} of {bytes}");
        assert_eq!(rows.read(2000).unwrap().len(), 1500);
        assert_eq!(rows.bytes_read(), bytes);
    }

    #[tokio::test]
    async fn a_value_of_another_kind_is_named_with_its_row() {
        let good = format!("\"b\",\"k\",\"v\",\"true\",\"false\",\"7\",\"{AT}\",\"e\"\n");
        for (from, to, said) in [
            (
                "\"true\"",
                "\"yes\"",
                "row 2: IsLatest is yes, and neither true nor false",
            ),
            ("\"7\"", "\"-1\"", "row 2: Size is -1, and no number"),
            (",\"e\"\n", "\n", "row 2: it has 7 fields, and by the manifest 8"),
        ] {
            let text = format!("{good}{}", good.replace(from, to));
            assert_eq!(open(&text, 0).await.read(5).unwrap_err(), said);
        }
    }
}
