//! What DynamoDB says that the requests cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units and requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// Requests that were answered.
    pub requests: u64,
    /// Read units of the tables and their indexes.
    pub read_units: f64,
    /// Write units of the tables and their indexes.
    pub write_units: f64,
}

impl std::ops::Sub for Consumed {
    type Output = Consumed;

    fn sub(self, earlier: Consumed) -> Consumed {
        Consumed {
            requests: self.requests - earlier.requests,
            read_units: self.read_units - earlier.read_units,
            write_units: self.write_units - earlier.write_units,
        }
    }
}

/// Half units: DynamoDB reports an eventually consistent read as 0.5.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    read_halves: AtomicU64,
    write_halves: AtomicU64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Counters>);

impl Meter {
    /// Counts the answer of a read.
    pub(crate) fn read<'a>(&self, capacity: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        self.add(&self.0.read_halves, capacity);
    }

    /// Counts the answer of a write.
    pub(crate) fn write<'a>(&self, capacity: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        self.add(&self.0.write_halves, capacity);
    }

    fn add<'a>(&self, halves: &AtomicU64, capacity: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        let units: f64 = capacity
            .into_iter()
            .filter_map(ConsumedCapacity::capacity_units)
            .sum();
        halves.fetch_add((units * 2.0).round() as u64, Ordering::Relaxed);
    }

    pub(crate) fn consumed(&self) -> Consumed {
        Consumed {
            requests: self.0.requests.load(Ordering::Relaxed),
            read_units: self.0.read_halves.load(Ordering::Relaxed) as f64 / 2.0,
            write_units: self.0.write_halves.load(Ordering::Relaxed) as f64 / 2.0,
        }
    }
}
