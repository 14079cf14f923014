//! Rows that somebody took away from a run: completed, released, failed, cancelled or removed while their target works.

use std::time::Duration;

use daybook_ledger::Ledger;
use daybook_schema::{EventId, Row, Status};

/// What a row that is still ours looks like.
#[derive(Debug)]
pub(super) struct Ours(Vec<Row>);

impl Ours {
    /// These rows, as they are held.
    pub(super) fn of(rows: &[Row]) -> Self {
        Self(rows.to_vec())
    }
}

/// Looks at the rows of a run now and then, and returns each that went on without it, with what became of it. Never returns where no
/// look is asked for. A row that cannot be read is ours until its lease says otherwise.
pub(super) async fn overtaken(
    ledger: &Ledger,
    every: Option<Duration>,
    ours: &Ours,
) -> Vec<(EventId, String)> {
    let Some(every) = every else {
        return std::future::pending().await;
    };
    let ids: Vec<EventId> = ours.0.iter().map(|row| row.id).collect();
    loop {
        tokio::time::sleep(every.max(Duration::from_millis(10))).await;
        let now = ledger.get_each(&ids).await;
        let gone: Vec<_> = ours
            .0
            .iter()
            .zip(now)
            .filter_map(|(ours, now)| Some((ours.id, became(ours, now.ok()?.as_ref())?)))
            .collect();
        if !gone.is_empty() {
            return gone;
        }
    }
}

/// What became of a row that is not ours any more; `None` of one that is.
fn became(ours: &Row, now: Option<&Row>) -> Option<String> {
    let Some(now) = now else {
        return Some("its row is gone: it was completed or removed".to_owned());
    };
    let is_ours =
        now.status == Status::Claimed && now.claim_token == ours.claim_token && now.attempt == ours.attempt;
    if is_ours {
        return None;
    }
    let status = now.status.as_str();
    Some(match &now.note {
        Some(note) if now.note != ours.note => format!("its row is {status} by now: {note}"),
        _ => format!("its row is {status} by now, and not this worker's"),
    })
}
