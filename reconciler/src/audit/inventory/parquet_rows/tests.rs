//! What is read of Parquet files.

use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use parquet::file::metadata::ParquetMetaDataWriter;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::super::manifest::Columns;
use super::*;

/// A file of one key and one time.
fn file(key: &str, time: &str, value: i64) -> File {
    let schema = format!("message m {{ {key}; {time}; }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let file = tempfile::tempfile().unwrap();
    let copy = file.try_clone().unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(copy, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let keys = [ByteArray::from(&b"\xffkey"[..])];
    column
        .typed::<ByteArrayType>()
        .write_batch(&keys, None, None)
        .unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<Int64Type>()
        .write_batch(&[value], Some(&[1]), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    file
}

fn read(file: File) -> Result<Row, String> {
    let mut rows = ParquetRows::open(file, &Columns::of_csv("Key, LastModifiedDate"), 0)?;
    let read = rows.read(10)?;
    assert_eq!((read.len(), rows.read(10)?.len()), (1, 0));
    Ok(read[0].clone())
}

const KEY: &str = "required binary key";

#[test]
fn a_time_is_read_in_each_unit_that_writers_use() {
    let millis = 1_790_000_000_123;
    let units = [
        ("(TIMESTAMP(MILLIS,true))", 1),
        ("(TIMESTAMP_MILLIS)", 1),
        ("(TIMESTAMP(MICROS,true))", 1000),
        ("(TIMESTAMP_MICROS)", 1000),
        ("(TIMESTAMP(NANOS,true))", 1_000_000),
    ];
    for (unit, factor) in units {
        let time = format!("optional int64 last_modified_date {unit}");
        let row = read(file(KEY, &time, millis * factor)).unwrap();
        assert_eq!(row.last_modified, Timestamp::from_unix_millis(millis), "{unit}");
        assert_eq!(row.key, b"\xffkey");
    }
}

#[test]
fn columns_of_another_kind_are_named() {
    let plain = read(file(KEY, "optional int64 last_modified_date", 1)).unwrap_err();
    assert!(
        plain.starts_with("its column last_modified_date is no timestamp"),
        "{plain}"
    );
    let time = "optional int64 last_modified_date (TIMESTAMP_MILLIS)";
    let many = read(file(KEY, &time.replace("last_modified_date", "at"), 1)).unwrap_err();
    assert_eq!(
        many,
        "it has no column last_modified_date, and by the manifest it has"
    );
    let columns = Columns::of_csv("Key, LastModifiedDate, ETag");
    let none = ParquetRows::open(file(KEY, time, 1), &columns, 0).unwrap_err();
    assert_eq!(none, "it has no column e_tag, and by the manifest it has");
    let swapped = file(
        "required binary last_modified_date",
        "optional int64 key (TIMESTAMP_MILLIS)",
        1,
    );
    assert!(read(swapped).is_err());
}

const SCHEMA: &str = "message m { required binary key; \
                      optional int64 last_modified_date (TIMESTAMP_MILLIS); optional binary e_tag (UTF8); }";

/// The `n`th row of a file of many; every third has no etag.
fn nth(n: u32) -> Row {
    Row {
        key: format!("key {n}").into_bytes(),
        last_modified: Timestamp::from_unix_millis(i64::from(n)),
        etag: (n % 3 != 1).then(|| format!("etag {n}")),
        ..Row::default()
    }
}

/// A file of numbered rows, so many in each row group.
fn grouped(groups: &[u32]) -> File {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let file = tempfile::tempfile().unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file.try_clone().unwrap(), schema, properties).unwrap();
    let mut first = 0;
    for count in groups {
        let rows: Vec<Row> = (first..first + count).map(nth).collect();
        first += count;
        let mut group = writer.next_row_group().unwrap();
        let keys: Vec<ByteArray> = rows.iter().map(|row| row.key.clone().into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&keys, None, None).unwrap();
        column.close().unwrap();
        let times = rows.iter().flat_map(|row| row.last_modified);
        let times: Vec<i64> = times.map(Timestamp::unix_millis).collect();
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<Int64Type>();
        typed
            .write_batch(&times, Some(&vec![1; rows.len()]), None)
            .unwrap();
        column.close().unwrap();
        let etags = rows.iter().flat_map(|row| row.etag.clone());
        let etags: Vec<ByteArray> = etags.map(|etag| etag.into_bytes().into()).collect();
        let levels: Vec<i16> = rows.iter().map(|row| row.etag.is_some().into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&etags, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    file
}

fn open(file: &File, skip: u64) -> Result<ParquetRows, String> {
    let columns = Columns::of_csv("Key, LastModifiedDate, ETag");
    ParquetRows::open(file.try_clone().unwrap(), &columns, skip)
}

#[test]
fn rows_are_read_in_parts_and_from_the_middle() {
    let file = grouped(&[4, 3, 5]);
    let all: Vec<Row> = (0..12).map(nth).collect();
    for skip in 0..=13 {
        for step in [1, 3, 5, 20] {
            let mut rows = open(&file, skip).unwrap();
            let mut behind = skip.min(12);
            let mut read = Vec::new();
            loop {
                assert_eq!(rows.fraction_read(), behind as f64 / 12.0, "{skip} {step}");
                assert_eq!(format!("{rows:?}"), format!("ParquetRows({behind} of 12)"));
                let more = rows.read(step).unwrap();
                if more.is_empty() {
                    break;
                }
                assert!(more.len() <= step, "{}", more.len());
                behind += more.len() as u64;
                read.extend(more);
            }
            assert_eq!(behind, 12);
            let from = usize::try_from(skip.min(12)).unwrap();
            assert_eq!(read, all[from..], "{skip} {step}");
        }
    }
}

/// The same file with an end that says of each row group that it has so many rows.
fn saying(mut file: File, rows: i64) -> File {
    let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
    let mut metadata = reader.metadata().clone().into_builder();
    let groups = metadata.take_row_groups().into_iter();
    let groups = groups.map(|group| group.into_builder().set_num_rows(rows).build().unwrap());
    let metadata = metadata.set_row_groups(groups.collect()).build();
    file.seek(SeekFrom::End(0)).unwrap();
    ParquetMetaDataWriter::new(&mut file, &metadata).finish().unwrap();
    file
}

#[test]
fn a_column_that_has_fewer_values_than_the_file_says_is_named() {
    let file = saying(grouped(&[3]), 5);
    let said = "its column key: it has fewer values than rows";
    assert_eq!(open(&file, 0).unwrap().read(5).unwrap_err(), said);
    assert_eq!(open(&file, 3).unwrap().read(1).unwrap_err(), said);
    assert_eq!(open(&file, 5).unwrap_err(), said, "and when its rows are skipped");
}
