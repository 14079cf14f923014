//! Where servers differ in what the same field means.

use crate::kind::Kind;
use crate::sequencer::Sequencer;
use crate::time::Timestamp;

/// How far a Ceph sequencer's clock may be from the event's time to be taken as it is, in seconds.
const CEPH_CLOCK_SECONDS: u64 = 3600;
/// 2006-03-14, when S3 began, in seconds since 1970: no sequencer's clock shows an earlier time.
const S3_BEGAN: u64 = 0x4416_0B80;

/// Sequencers that are examples in documentation, which emulators send for every event.
const EXAMPLES: [&str; 9] = [
    // "Event message structure" (Amazon S3 User Guide). LocalStack's notifications bear it.
    "0055AED6DCD90281E5",
    // "EventBridge event message structure" (Amazon S3 User Guide). moto's events bear the first.
    "617F08299329D189",
    "617F0837B476E463",
    "617B398000000000",
    "617F08299329D190",
    // The sample event in EventBridge's console and User Guide.
    "00617F08299329D189",
    // LocalStack's EventBridge events.
    "0062E99A88DC407460",
    // "Process Amazon S3 event notifications with Lambda" and Lambda's sample events (Lambda Developer Guide).
    "0A1B2C3D4E5F678901",
    "0C0F6F405D6ED209E1",
];

/// The id of a request that is an example in documentation ("EventBridge event message structure", Amazon S3 User Guide), and that
/// moto's events bear, every one.
const EXAMPLE_REQUEST: &str = "N4N7GDK58NMKJ12R";

/// Whether that id says which request it was.
pub(super) fn is_one_request(id: &str) -> bool {
    !EXAMPLE_REQUEST.eq_ignore_ascii_case(id)
}

/// Who sent a record, by its `eventSource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// `aws:s3`, or an event of EventBridge.
    Aws,
    /// `minio:s3`.
    Minio,
    /// `rustfs:s3`, which follows MinIO.
    RustFs,
    /// `ceph:s3`.
    Ceph,
    /// Any other, or none.
    Unknown,
}

impl Server {
    pub fn of(event_source: Option<&str>) -> Self {
        let vendor = event_source
            .and_then(|name| name.split(':').next())
            .unwrap_or_default();
        match vendor.trim().to_ascii_lowercase().as_str() {
            "aws" => Self::Aws,
            "ceph" => Self::Ceph,
            "minio" => Self::Minio,
            "rustfs" => Self::RustFs,
            _ => Self::Unknown,
        }
    }

    /// Whether S3 itself may have sent it.
    pub fn is_s3(self) -> bool {
        self == Self::Aws
    }

    /// Whether this server's sequencer tells the events of that kind apart. MinIO and RustFS send the object's modification
    /// time: two changes of tags, or two reads, of one object share it, and would look like one event twice. AWS sends none
    /// for these either.
    pub fn sequences(self, kind: &Kind) -> bool {
        match self {
            Self::Minio | Self::RustFs => matches!(kind, Kind::Created | Kind::Removed),
            Self::Aws | Self::Ceph => true,
            Self::Unknown => false,
        }
    }

    /// The sequencer, where it orders the events of a key and tells them apart: in the form that this server is known to keep.
    /// Anything else (a counter that starts again with the server, an example of the documentation, a random text) gives no
    /// order, and taken for one it would make new uploads old ones.
    pub fn sequencer(self, sent: &str, event_time: Option<Timestamp>) -> Option<Sequencer> {
        if sent.len() > 18 || !sent.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        match self {
            Self::Aws => is_s3_form(sent).then_some(sent.to_owned()),
            Self::Minio | Self::RustFs => is_nanoseconds(sent).then_some(sent.to_owned()),
            Self::Ceph => ceph_order(sent, event_time),
            Self::Unknown => None,
        }
        .and_then(|text| Sequencer::try_from(text).ok())
    }
}

/// Whether these are S3's digits: 16 or 18 (17 were never seen, and would compare as well), of which the first ten are seconds
/// since 1970. That is not documented, but holds for every sequencer that S3 was ever seen to send, and is what tells its form
/// from a counter with leading zeros. Should S3 change it, its events are told apart by time and request.
fn is_s3_form(digits: &str) -> bool {
    let seconds = digits
        .get(..10)
        .and_then(|seconds| u64::from_str_radix(seconds, 16).ok());
    let is_clock = seconds.is_some_and(|seconds| (S3_BEGAN..=u64::from(u32::MAX)).contains(&seconds));
    let is_example = EXAMPLES
        .iter()
        .any(|example| example.eq_ignore_ascii_case(digits));
    (16..=18).contains(&digits.len()) && is_clock && !is_example
}

/// Whether these are MinIO's 16 digits of nanoseconds since 1970 (`newEvent` in its `cmd/event-notification.go`), after
/// S3 began and before they would begin with a 4 in the year 2116 ([`Sequencer::comparable`]).
fn is_nanoseconds(digits: &str) -> bool {
    digits.len() == 16 && matches!(digits.as_bytes().first(), Some(b'1'..=b'3'))
}

/// Ceph's sequencer is the memory of a clock value, four bytes of seconds and four of nanoseconds, in the
/// machine's byte order (`populate_event` in its `rgw_notify.cc`): on x86 and Arm the least significant byte
/// comes first, so text order is no order of events. The bytes are turned round, unless the seconds are near
/// the event's time as they stand (a big-endian machine). None when they are no clock value in either order.
fn ceph_order(digits: &str, event_time: Option<Timestamp>) -> Option<String> {
    if digits.len() != 16 {
        return None;
    }
    let seconds = u32::from_str_radix(&digits[..8], 16).ok()?;
    let nanoseconds = u32::from_str_radix(&digits[8..], 16).ok()?;
    let is_clock =
        |(seconds, nanoseconds): (u32, u32)| u64::from(seconds) >= S3_BEGAN && nanoseconds < 1_000_000_000;
    let near = |(seconds, _): (u32, u32)| {
        event_time.is_some_and(|at| at.unix_seconds().abs_diff(seconds.into()) <= CEPH_CLOCK_SECONDS)
    };
    let as_sent = (seconds, nanoseconds);
    let turned = (seconds.swap_bytes(), nanoseconds.swap_bytes());
    let (seconds, nanoseconds) = match (is_clock(as_sent), is_clock(turned)) {
        (true, _) if near(as_sent) && !near(turned) => as_sent,
        (_, true) => turned,
        (true, false) => as_sent,
        (false, false) => return None,
    };
    Some(format!("{seconds:08X}{nanoseconds:08X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequencer(server: Server, sent: &str) -> Option<String> {
        server
            .sequencer(sent, None)
            .map(|sequencer| sequencer.to_string())
    }

    #[test]
    fn a_sequencer_counts_in_the_form_that_its_server_keeps() {
        let good = [
            (
                Server::Aws,
                "0069601A256BF73578",
                "0069601A256BF7357800000000000000",
            ),
            (
                Server::Aws,
                "0069601a256bf73578",
                "0069601A256BF7357800000000000000",
            ),
            (
                Server::Aws,
                "0057D4CA36222030",
                "0057D4CA362220300000000000000000",
            ),
            (
                Server::Minio,
                "1879B2F6C1D0A300",
                "1879B2F6C1D0A3000000000000000000",
            ),
            (
                Server::RustFs,
                "1879B2F6C1D0A300",
                "1879B2F6C1D0A3000000000000000000",
            ),
            (
                Server::Ceph,
                "806E006B07000000",
                "6B006E80000000070000000000000000",
            ),
        ];
        for (server, sent, expected) in good {
            assert_eq!(
                sequencer(server, sent).as_deref(),
                Some(expected),
                "{server:?} {sent}"
            );
        }
    }

    #[test]
    fn what_is_in_another_form_is_no_sequencer() {
        let bad = [
            "",
            "1",
            "10",
            "9",
            "00",
            "0000000000000001",
            "000000000000000001",
            "00000000000000FFFF",
            "19aa0b1c2d3",
            "1763791200478",
            "0066601A9646B04",
            "0066601A9646B04A9E0",
            "0066601A9646B04A9G",
            "-066601A9646B04A9E",
            "+066601A9646B04A9E",
            "FFFFFFFFFFFFFFFFFF",
            "ABCDEF0123456789",
            "a1b2c3d4-e5f6-7890",
        ];
        for sent in bad.into_iter().chain(EXAMPLES) {
            assert_eq!(sequencer(Server::Aws, sent), None, "{sent}");
            assert_eq!(sequencer(Server::Unknown, sent), None, "{sent}");
        }
        for sent in [
            "0066601A9646B04A9E",
            "0000000000000001",
            "1879B2F6C1D0A30",
            "4879B2F6C1D0A300",
        ] {
            assert_eq!(sequencer(Server::Minio, sent), None, "{sent}");
        }
        for sent in ["0000000000000001", "1", "FFFFFFFFFFFFFFFF", "806E006B0700000"] {
            assert_eq!(sequencer(Server::Ceph, sent), None, "{sent}");
        }
        assert_eq!(sequencer(Server::Unknown, "0066601A9646B04A9E"), None);
    }

    #[test]
    fn sequencers_of_different_servers_are_not_comparable() {
        let of = |server: Server, sent| server.sequencer(sent, None).unwrap_or_else(|| panic!("{sent}"));
        let aws = of(Server::Aws, "0069601A256BF73578");
        let minio = of(Server::Minio, "1879B2F6C1D0A300");
        let ceph = of(Server::Ceph, "806E006B07000000");
        assert!(!aws.is_comparable(&minio) && !minio.is_comparable(&ceph) && !ceph.is_comparable(&aws));
        assert!(aws.is_comparable(&of(Server::Aws, "0057D4CA36222030")));
    }
}
