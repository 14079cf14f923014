//! The rows of one data file, in either format.

use std::fs::File;

use super::csv_rows::CsvRows;
use super::manifest::{Columns, Format};
use super::parquet_rows::ParquetRows;
use super::row::Row;

/// An open data file.
#[derive(Debug)]
pub(super) enum Rows {
    Csv(Box<CsvRows>),
    Parquet(Box<ParquetRows>),
}

impl Rows {
    /// A file behind its first `skip` rows.
    pub(super) async fn open(
        file: File,
        format: Format,
        columns: &Columns,
        skip: u64,
    ) -> Result<Self, String> {
        Ok(match format {
            Format::Csv => Self::Csv(Box::new(CsvRows::open(file, columns.clone(), skip).await?)),
            Format::Parquet => Self::Parquet(Box::new(ParquetRows::open(file, columns, skip)?)),
        })
    }

    /// Up to so many rows; none at the end.
    pub(super) fn read(&mut self, rows: usize) -> Result<Vec<Row>, String> {
        match self {
            Self::Csv(csv) => csv.read(rows),
            Self::Parquet(parquet) => parquet.read(rows),
        }
    }

    /// How much of it is read, of so many bytes.
    pub(super) fn bytes_read(&self, size: u64) -> u64 {
        match self {
            Self::Csv(csv) => csv.bytes_read().min(size),
            Self::Parquet(parquet) => (parquet.fraction_read() * size as f64) as u64,
        }
    }
}
