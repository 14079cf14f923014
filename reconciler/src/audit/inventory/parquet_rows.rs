//! Rows of a Parquet file, read column by column, so many rows at a time.

use std::fs::File;

use daybook_schema::Timestamp;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::manifest::{Column, Columns};
use super::row::Row;

/// An open Parquet file. Memory: one page of each column.
pub(super) struct ParquetRows {
    reader: SerializedFileReader<File>,
    at: Positions,
    /// How long one unit of the time is.
    unit: Unit,
    /// The next row group.
    group: usize,
    open: Option<Group>,
    /// Rows that were read.
    row: u64,
    rows: u64,
}

impl std::fmt::Debug for ParquetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ParquetRows({} of {})", self.row, self.rows)
    }
}

/// The columns by their number in the file.
struct Positions {
    bucket: Option<usize>,
    key: usize,
    version_id: Option<usize>,
    is_latest: Option<usize>,
    is_delete_marker: Option<usize>,
    size: Option<usize>,
    last_modified: usize,
    etag: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// A row group that is being read.
struct Group {
    left: usize,
    bucket: Option<Values<ByteArrayType>>,
    key: Values<ByteArrayType>,
    version_id: Option<Values<ByteArrayType>>,
    is_latest: Option<Values<BoolType>>,
    is_delete_marker: Option<Values<BoolType>>,
    size: Option<Values<Int64Type>>,
    last_modified: Values<Int64Type>,
    etag: Option<Values<ByteArrayType>>,
}

/// One column of it.
struct Values<T: DataType> {
    reader: ColumnReaderImpl<T>,
    is_optional: bool,
    name: &'static str,
}

impl ParquetRows {
    /// A file behind its first `skip` rows; it has the columns that the manifest says.
    pub(super) fn open(file: File, columns: &Columns, skip: u64) -> Result<Self, String> {
        let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
        let metadata = reader.metadata();
        let rows = u64::try_from(metadata.file_metadata().num_rows()).map_err(|error| error.to_string())?;
        let schema = metadata.file_metadata().schema_descr();
        let (at, unit) = Positions::of(schema, columns)?;
        let mut it = Self {
            reader,
            at,
            unit,
            group: 0,
            open: None,
            row: 0,
            rows,
        };
        it.skip(skip)?;
        Ok(it)
    }

    pub(super) fn read(&mut self, rows: usize) -> Result<Vec<Row>, String> {
        let unit = self.unit;
        let Some(group) = self.group()? else {
            return Ok(Vec::new());
        };
        let rows = rows.min(group.left);
        let read = group.read(rows, unit)?;
        group.left -= rows;
        self.row += rows as u64;
        Ok(read)
    }

    /// Between 0 and 1.
    pub(super) fn fraction_read(&self) -> f64 {
        self.row as f64 / self.rows.max(1) as f64
    }

    fn skip(&mut self, rows: u64) -> Result<(), String> {
        while self.row < rows {
            let left = usize::try_from(rows - self.row).unwrap_or(usize::MAX);
            let Some(group) = self.group()? else {
                return Ok(());
            };
            let skipped = left.min(group.left);
            group.skip(skipped)?;
            group.left -= skipped;
            self.row += skipped as u64;
        }
        Ok(())
    }

    /// A row group with rows left; none at the end.
    fn group(&mut self) -> Result<Option<&mut Group>, String> {
        while self.open.as_ref().is_none_or(|group| group.left == 0) {
            if self.group == self.reader.num_row_groups() {
                return Ok(None);
            }
            let group = self
                .reader
                .get_row_group(self.group)
                .map_err(|error| error.to_string())?;
            self.open = Some(Group::open(&*group, &self.at)?);
            self.group += 1;
        }
        Ok(self.open.as_mut())
    }
}

impl Positions {
    fn of(schema: &SchemaDescriptor, columns: &Columns) -> Result<(Self, Unit), String> {
        let find = |column: Column| {
            let name = column.parquet_name();
            let is_it = |it: &ColumnDescriptor| it.path().parts() == [name];
            let at = (0..schema.num_columns()).find(|at| is_it(&schema.column(*at)));
            if at.is_none() && columns.has(column) {
                return Err(format!("it has no column {name}, and by the manifest it has"));
            }
            Ok(at)
        };
        let none = |column: Column| format!("it has no column {}", column.parquet_name());
        let last_modified = find(Column::LastModified)?.ok_or_else(|| none(Column::LastModified))?;
        let positions = Self {
            bucket: find(Column::Bucket)?,
            key: find(Column::Key)?.ok_or_else(|| none(Column::Key))?,
            version_id: find(Column::VersionId)?,
            is_latest: find(Column::IsLatest)?,
            is_delete_marker: find(Column::IsDeleteMarker)?,
            size: find(Column::Size)?,
            last_modified,
            etag: find(Column::ETag)?,
        };
        let column = schema.column(last_modified);
        let unit = match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Timestamp(it)), _) => match it.unit {
                TimeUnit::MILLIS => Unit::Millis,
                TimeUnit::MICROS => Unit::Micros,
                TimeUnit::NANOS => Unit::Nanos,
            },
            (_, ConvertedType::TIMESTAMP_MILLIS) => Unit::Millis,
            (_, ConvertedType::TIMESTAMP_MICROS) => Unit::Micros,
            (logical, converted) => {
                return Err(format!(
                    "its column last_modified_date is no timestamp but {logical:?}, {converted}"
                ));
            }
        };
        Ok((positions, unit))
    }
}

impl Group {
    fn open(group: &dyn RowGroupReader, at: &Positions) -> Result<Self, String> {
        Ok(Self {
            left: usize::try_from(group.metadata().num_rows()).map_err(|error| error.to_string())?,
            bucket: Values::open_if(group, at.bucket, Column::Bucket)?,
            key: Values::open(group, at.key, Column::Key)?,
            version_id: Values::open_if(group, at.version_id, Column::VersionId)?,
            is_latest: Values::open_if(group, at.is_latest, Column::IsLatest)?,
            is_delete_marker: Values::open_if(group, at.is_delete_marker, Column::IsDeleteMarker)?,
            size: Values::open_if(group, at.size, Column::Size)?,
            last_modified: Values::open(group, at.last_modified, Column::LastModified)?,
            etag: Values::open_if(group, at.etag, Column::ETag)?,
        })
    }

    fn read(&mut self, rows: usize, unit: Unit) -> Result<Vec<Row>, String> {
        let mut bucket = read_if(&mut self.bucket, rows)?;
        let mut key = self.key.read(rows)?.into_iter();
        let mut version_id = read_if(&mut self.version_id, rows)?;
        let mut is_latest = read_if(&mut self.is_latest, rows)?;
        let mut is_delete_marker = read_if(&mut self.is_delete_marker, rows)?;
        let mut size = read_if(&mut self.size, rows)?;
        let mut last_modified = self.last_modified.read(rows)?.into_iter();
        let mut etag = read_if(&mut self.etag, rows)?;
        let row = |_| {
            Ok(Row {
                bucket: bucket.next().flatten().map(|bytes| bytes.data().to_vec()),
                key: key
                    .next()
                    .flatten()
                    .map_or_else(Vec::new, |bytes| bytes.data().to_vec()),
                version_id: text(version_id.next().flatten(), Column::VersionId)?,
                is_latest: is_latest.next().flatten(),
                is_delete_marker: is_delete_marker.next().flatten(),
                size: size.next().flatten().and_then(|size| size.try_into().ok()),
                last_modified: last_modified.next().flatten().and_then(|at| unit.timestamp(at)),
                etag: text(etag.next().flatten(), Column::ETag)?,
            })
        };
        (0..rows).map(row).collect()
    }

    fn skip(&mut self, rows: usize) -> Result<(), String> {
        skip_if(&mut self.bucket, rows)?;
        self.key.skip(rows)?;
        skip_if(&mut self.version_id, rows)?;
        skip_if(&mut self.is_latest, rows)?;
        skip_if(&mut self.is_delete_marker, rows)?;
        skip_if(&mut self.size, rows)?;
        self.last_modified.skip(rows)?;
        skip_if(&mut self.etag, rows)
    }
}

impl<T: DataType> Values<T> {
    fn open_if(
        group: &dyn RowGroupReader,
        at: Option<usize>,
        column: Column,
    ) -> Result<Option<Self>, String> {
        at.map(|at| Self::open(group, at, column)).transpose()
    }

    fn open(group: &dyn RowGroupReader, at: usize, column: Column) -> Result<Self, String> {
        let name = column.parquet_name();
        let schema = group.metadata().schema_descr().column(at);
        let is = schema.physical_type();
        let reader = group.get_column_reader(at).map_err(|error| error.to_string())?;
        let reader = T::get_column_reader(reader).filter(|_| schema.max_rep_level() == 0);
        let reader = reader.ok_or_else(|| {
            format!(
                "its column {name} is {is}, and should be {}",
                T::get_physical_type()
            )
        })?;
        Ok(Self {
            reader,
            is_optional: schema.max_def_level() > 0,
            name,
        })
    }

    fn read(&mut self, rows: usize) -> Result<Vec<Option<T::T>>, String> {
        let (mut values, mut levels) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let asked = self.is_optional.then_some(&mut levels);
        let read = self.reader.read_records(rows, asked, None, &mut values);
        let (read, ..) = read.map_err(|error| self.wrong(&error.to_string()))?;
        if read != rows {
            return Err(self.wrong("it has fewer values than rows"));
        }
        if !self.is_optional {
            return Ok(values.into_iter().map(Some).collect());
        }
        let mut values = values.into_iter();
        let value = |level: i16| if level > 0 { values.next() } else { None };
        Ok(levels.into_iter().map(value).collect())
    }

    fn skip(&mut self, rows: usize) -> Result<(), String> {
        match self.reader.skip_records(rows) {
            Ok(skipped) if skipped == rows => Ok(()),
            Ok(_) => Err(self.wrong("it has fewer values than rows")),
            Err(error) => Err(self.wrong(&error.to_string())),
        }
    }

    fn wrong(&self, cause: &str) -> String {
        format!("its column {}: {cause}", self.name)
    }
}

impl Unit {
    fn timestamp(self, value: i64) -> Option<Timestamp> {
        Timestamp::from_unix_millis(match self {
            Self::Millis => value,
            Self::Micros => value.div_euclid(1000),
            Self::Nanos => value.div_euclid(1_000_000),
        })
    }
}

/// As many values as rows, or none at all where there is no such column.
fn read_if<T: DataType>(
    column: &mut Option<Values<T>>,
    rows: usize,
) -> Result<std::vec::IntoIter<Option<T::T>>, String> {
    let values = column.as_mut().map(|column| column.read(rows)).transpose()?;
    Ok(values.unwrap_or_default().into_iter())
}

fn skip_if<T: DataType>(column: &mut Option<Values<T>>, rows: usize) -> Result<(), String> {
    column.as_mut().map_or(Ok(()), |column| column.skip(rows))
}

fn text(bytes: Option<ByteArray>, column: Column) -> Result<Option<String>, String> {
    let text = bytes
        .map(|bytes| String::from_utf8(bytes.data().to_vec()))
        .transpose();
    let text = text.map_err(|_| format!("a value of its column {} is no UTF-8", column.parquet_name()))?;
    Ok(text.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests;
