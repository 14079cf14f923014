//! Where servers differ in what the same field means.

use super::fault::Fault;
use crate::event::Kind;
use crate::sequencer::Sequencer;
use crate::time::Timestamp;

/// How far a Ceph sequencer's clock may be from the event's time to be taken as it is, in seconds.
const CEPH_CLOCK_SECONDS: u64 = 3600;

/// Who sent a record, by its `eventSource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// `ceph:s3`.
    Ceph,
    /// `minio:s3`.
    Minio,
    /// `rustfs:s3`, which follows MinIO.
    RustFs,
    /// `aws:s3`, and whoever follows it.
    Aws,
}

impl Server {
    pub fn of(event_source: Option<&str>) -> Self {
        let vendor = event_source
            .and_then(|name| name.split(':').next())
            .unwrap_or_default();
        match vendor.to_ascii_lowercase().as_str() {
            "ceph" => Self::Ceph,
            "minio" => Self::Minio,
            "rustfs" => Self::RustFs,
            _ => Self::Aws,
        }
    }

    /// Whether keys are form-encoded. Ceph puts the object's name into the event as it is (`populate_event`
    /// in its `rgw_notify.cc`), so decoding would turn `a+b` into `a b`, another object.
    pub fn encodes_keys(self) -> bool {
        self != Self::Ceph
    }

    /// The sequencer, if it orders the events of a key and tells them apart; in a form that does.
    pub fn sequencer(
        self,
        sent: Option<Sequencer>,
        kind: &Kind,
        event_time: Option<Timestamp>,
    ) -> Result<Option<Sequencer>, Fault> {
        match (self, sent) {
            // MinIO and RustFS send the object's modification time. Two changes of tags, or two reads, of one
            // object share it, and would look like one event twice. AWS sends none for these either.
            (Self::Minio | Self::RustFs, Some(sent)) => {
                let content = matches!(kind, Kind::Created | Kind::Removed);
                Ok(Some(sent).filter(|_| content || event_time.is_none()))
            }
            (Self::Ceph, Some(sent)) => ceph_order(sent, event_time).map(Some),
            (_, sent) => Ok(sent),
        }
    }
}

/// Ceph's sequencer is the memory of a clock value, four bytes of seconds and four of nanoseconds, in the
/// machine's byte order (`populate_event` in its `rgw_notify.cc`): on x86 and Arm the least significant byte
/// comes first, so text order is no order of events. The bytes are turned round, unless the seconds are near
/// the event's time as they stand (a big-endian machine).
fn ceph_order(sent: Sequencer, event_time: Option<Timestamp>) -> Result<Sequencer, Fault> {
    let (digits, padding) = sent.as_str().split_at(16);
    let numbers = (
        u32::from_str_radix(&digits[..8], 16),
        u32::from_str_radix(&digits[8..], 16),
    );
    let (Ok(seconds), Ok(nanoseconds)) = numbers else {
        return Ok(sent);
    };
    if !padding.bytes().all(|digit| digit == b'0') {
        return Ok(sent);
    }
    let near = |seconds: u32| {
        event_time.is_some_and(|at| at.unix_seconds().abs_diff(seconds.into()) <= CEPH_CLOCK_SECONDS)
    };
    if near(seconds) && !near(seconds.swap_bytes()) {
        return Ok(sent);
    }
    let text = format!("{:08X}{:08X}", seconds.swap_bytes(), nanoseconds.swap_bytes());
    Ok(Sequencer::try_from(text)?)
}
