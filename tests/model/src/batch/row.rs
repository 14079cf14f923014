//! The steps of a row that may bear a batch: conditions and writes.

use super::{BatchDefect as D, Batches, Name, Row};
use crate::world::Status;

impl Name {
    /// T; 0 where it has none.
    pub(super) fn batch(self) -> u8 {
        match self {
            Self::Batch(batch) | Self::Alone(batch, _) => batch,
            Self::Single(..) => 0,
        }
    }
}

impl Batches {
    /// The name under which a CLAIMED row is sent again: its form decides.
    pub(super) fn name(&self, event: u8, row: &Row) -> Name {
        match row.batch {
            0 => Name::Single(event, row.attempt),
            _ if self.has(D::SettingDecides) => Name::Single(event, row.attempt),
            batch if row.alone && !self.has(D::AloneIsIgnored) => Name::Alone(batch, event),
            batch => Name::Batch(batch),
        }
    }

    /// PENDING, due_at as the index showed it → CLAIMED, the next attempt, T.
    pub(super) fn claim(row: Row, batch: u8) -> Option<Row> {
        (row.status == Status::Pending).then_some(Row {
            status: Status::Claimed,
            attempt: row.attempt + 1,
            // A single row is written as it was before there were batches.
            batch: if batch == 0 { row.batch } else { batch },
            moves: 0,
            ..row
        })
    }

    /// What every step asks that speaks of an attempt: CLAIMED, that attempt, and that batch, or none.
    pub(super) fn is_at(&self, row: &Row, name: Name, attempt: u8, without: D) -> bool {
        let same = row.batch == name.batch() || self.has(without);
        row.status == Status::Claimed && row.attempt == attempt && same
    }

    /// → a new lease.
    pub(super) fn renew(row: Row) -> Row {
        Row { moves: 0, ..row }
    }

    /// → PENDING, due now, the attempt unused.
    pub(super) fn release(&self, row: Row, alone: bool) -> Row {
        self.leave(Row {
            status: Status::Pending,
            attempt: row.attempt - 1,
            alone: row.alone || alone,
            ..row
        })
    }

    /// → PENDING, or PARKED. In company nothing is parked that has not failed by itself: one attempt more.
    pub(super) fn fail(&self, row: Row, company: bool, parkable: bool) -> Row {
        let used = row.attempt >= row.max_attempts;
        let parks = used && (parkable || self.has(D::ParksCompany));
        self.leave(Row {
            status: if parks { Status::Parked } else { Status::Pending },
            max_attempts: row.max_attempts + u8::from(used && !parks),
            alone: row.alone || company && !self.has(D::NeverAlone),
            ..row
        })
    }

    /// → PARKED, the input of it alone being invalid.
    pub(super) fn park(&self, row: Row) -> Row {
        self.leave(Row {
            status: Status::Parked,
            ..row
        })
    }

    /// What leaves CLAIMED bears no batch.
    fn leave(&self, row: Row) -> Row {
        Row {
            batch: if self.has(D::BatchStays) { row.batch } else { 0 },
            moves: 0,
            ..row
        }
    }
}
