//! When the intake was last seen drained: looked at once in each round, and kept between them.
//!
//! A queue that many write to is rarely empty at the moment at which an audit looks. Rounds come every quarter of an hour, and what one
//! of them has seen holds for ever: what had arrived by then does not wait any more. So it is kept, beside the audits and for all of
//! them. Two rounds that overlap may leave the older of two times, which permits less.

use std::time::Duration;

use daybook_ledger::{Clock, Deadline, chain};
use daybook_schema::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::report_store::{ReportStore, ReportStoreError};
use crate::audit::{Intake, IntakeSeen};

/// The most that is spent on it. A fourth of the time where that is less.
const MOST: Duration = Duration::from_secs(30);

/// The content of `intake-….json`.
#[derive(Serialize, Deserialize)]
struct Kept {
    queue: String,
    drained_until: Timestamp,
}

/// Looks at the intake, keeps what is seen, and falls back on what was kept.
pub(super) async fn look(
    intake: &Intake,
    reports: &ReportStore,
    clock: &Clock,
    deadline: Deadline,
) -> IntakeSeen {
    let Intake::Queue(queue) = intake else {
        return IntakeSeen::Unchecked;
    };
    let time = Deadline::after(clock, MOST.min(deadline.left(clock) / 4));
    let seen = time.bound(clock, intake.look(clock)).await;
    let seen = seen.unwrap_or_else(|| IntakeSeen::Waiting {
        until: None,
        messages: None,
        failure: Some("there was no time to look at it".into()),
    });
    let kept = time.bound(clock, keep(&seen, queue.url(), reports)).await;
    match kept.transpose() {
        Ok(earlier) => seen.or_earlier(earlier.flatten()),
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "what the intake was seen to be cannot be kept"
            );
            seen
        }
    }
}

/// Writes that the queue was seen drained; else reads when it was.
async fn keep(
    seen: &IntakeSeen,
    queue: &str,
    reports: &ReportStore,
) -> Result<Option<Timestamp>, ReportStoreError> {
    let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, queue.as_bytes());
    let key = format!("audits/intake-{}.json", name.simple());
    if let IntakeSeen::Drained { until } = seen {
        let kept = Kept {
            queue: queue.to_owned(),
            drained_until: *until,
        };
        // Writing strings into memory cannot fail.
        let text = serde_json::to_vec(&kept).unwrap_or_default();
        reports.write(&key, text, "application/json").await?;
        return Ok(None);
    }
    let read = reports.read(&key).await?;
    let kept = read.and_then(|(text, _)| serde_json::from_slice::<Kept>(&text).ok());
    Ok(kept
        .filter(|kept| kept.queue == queue)
        .map(|kept| kept.drained_until))
}
