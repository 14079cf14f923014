//! Looking at everything at once; what cannot be seen is kept with its reason.

use std::time::Duration;

use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TimeToLiveStatus};
use aws_sdk_sqs::Client;
use daybook_ledger::{Cause, Clock, Count, Ledger, ResponseDate};
use daybook_schema::{Row, Status, Timestamp, notification};

use crate::aws::answer::Answer;
use crate::aws::queues;
use crate::checks::flow::FlowSeen;
use crate::checks::queues::{QueueSeen, is_idle, redrive_policy};
use crate::checks::role::Role;
use crate::checks::tables::TableSeen;
use crate::limits;
use crate::limits::observe::{Rows, oldest};
use crate::parts::LocalFolder;
use crate::rate::Rate;

/// Parked rows are counted up to about so many per shard.
const ENOUGH: u32 = 1000;

/// A table, on that clock of this machine.
pub async fn table(client: &aws_sdk_dynamodb::Client, name: &str, clock: &Clock) -> TableSeen {
    let date = ResponseDate::default();
    let describe = client
        .describe_table()
        .table_name(name)
        .customize()
        .interceptor(date.clone())
        .send();
    let describe = async {
        let table = describe.await;
        (table, date.get().map(|there| (clock.now(), there)))
    };
    let ttl = client.describe_time_to_live().table_name(name).send();
    let backups = client.describe_continuous_backups().table_name(name).send();
    let ((table, answered), ttl, backups) = tokio::join!(describe, ttl, backups);
    TableSeen {
        name: name.to_owned(),
        answered,
        table: Answer::of(table, "dynamodb:DescribeTable").and_then(|answer| answer.table.into()),
        ttl: Answer::of(ttl, "dynamodb:DescribeTimeToLive").map(|answer| {
            let description = answer.time_to_live_description?;
            let is_on = matches!(
                description.time_to_live_status,
                Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
            );
            description.attribute_name.filter(|_| is_on)
        }),
        backups: Answer::of(backups, "dynamodb:DescribeContinuousBackups").map(|answer| {
            let described = answer.continuous_backups_description;
            let status = described
                .and_then(|described| described.point_in_time_recovery_description)
                .and_then(|described| described.point_in_time_recovery_status);
            status == Some(PointInTimeRecoveryStatus::Enabled)
        }),
    }
}

/// After how long an intake queue is looked at again that has messages of which none is being worked on.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A queue and its dead-letter queue.
pub async fn queue(sqs: &Client, role: Role, url: Option<String>) -> QueueSeen {
    let Some(url) = url else {
        return QueueSeen {
            role,
            url: None,
            attributes: Answer::Absent,
            later: None,
            dead_letters: None,
        };
    };
    let attributes = queues::attributes(sqs, &url).await;
    let letters = attributes.known().and_then(redrive_policy);
    let dead_letters = match letters {
        None => None,
        Some((arn, _)) => Some((arn.clone(), queues::by_arn(sqs, &arn).await)),
    };
    // Between two receives of whoever reads it, nothing may be in flight.
    let later = match attributes.known() {
        Some(attributes) if role == Role::Intake && is_idle(attributes) => {
            tokio::time::sleep(LOOK_AGAIN).await;
            queues::attributes(sqs, &url).await.known().cloned()
        }
        _ => None,
    };
    QueueSeen {
        role,
        url: Some(url),
        attributes,
        later,
        dead_letters,
    }
}

/// The rows. `folder` is what they are in, if it is one; N and the window are these unless set while running, and so many may be in
/// flight where that is known.
pub async fn flow(
    ledger: &Ledger,
    folder: Option<LocalFolder<'_>>,
    (rate, cap): (Rate, Option<u32>),
) -> FlowSeen {
    let now = ledger.clock().now();
    let (control, oldest_due, oldest_lease, parked, claimed, ambiguous, newer, in_flight) = tokio::join!(
        ledger.control(),
        oldest(ledger, Status::Pending, now),
        oldest(ledger, Status::Claimed, now),
        ledger.count(Status::Parked, None, Some(ENOUGH)),
        ledger.claimed_first(),
        ambiguous(ledger),
        ledger.newer_rows(),
        limits::observe::claimed(ledger),
    );
    let is_due = |oldest: &Option<Timestamp>| Count {
        rows: u64::from(oldest.is_some()),
        exact: true,
    };
    let rows = Rows {
        due: oldest_due.as_ref().ok().map(is_due),
        due_since: oldest_due.as_ref().ok().copied().flatten(),
        claimed: in_flight.ok(),
    };
    let known = control.as_ref().ok();
    let rate = Rate::of(known, Rate::default(), rate);
    let seen = limits::Observed::of(folder, known, rate, rows, now);
    let limits = limits::Observed {
        cap: seen.cap.or(cap),
        ..seen
    };
    FlowSeen {
        now,
        limits,
        control: control.map_err(Cause::from),
        oldest_due,
        oldest_lease,
        parked: parked.map_err(Cause::from),
        undelivered: claimed.map(|claimed| claimed.undelivered).map_err(Cause::from),
        ambiguous,
        newer: newer.map_err(Cause::from),
        up: folder.map(LocalFolder::up),
    }
}

/// Open rows with an ambiguous key, of one page of a scan: 1 MB of rows.
async fn ambiguous(ledger: &Ledger) -> Result<Count, Cause> {
    let mut pages = ledger.open_rows();
    let page = pages.next().await.map_err(Cause::from)?;
    let is_ambiguous = |row: &Row| row.caveat.as_deref().is_some_and(notification::is_ambiguous);
    let rows = page.into_iter().flatten().flatten().filter(is_ambiguous).count();
    Ok(Count {
        rows: rows as u64,
        exact: pages.is_done(),
    })
}
