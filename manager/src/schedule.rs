//! Claiming due rows, at most N per window, and putting them on the dispatch queue.

use std::time::Duration;

use daybook_ledger::{
    Asker, Claim, Deadline, DueRows, Grant, GrantRequest, IndexKey, Ledger, LedgerError, Refusal, Window,
};
use daybook_schema::{Status, Timestamp};
use futures::StreamExt;

use crate::ahead::Ahead;
use crate::delivery::NO_ANSWER;
use crate::outlet::{HandedOn, Outlet};
use crate::schedule_report::ScheduleReport;
use crate::settings::{Dispatch, Start};
use crate::worker::Places;

/// Rows that are claimed and sent together: a deadline or a failure is noticed between two of these. As many as are claimed by 8 requests
/// at once; with fewer, most of the places for requests are empty while a chunk is claimed and when its last messages are sent.
const CHUNK: usize = 200;

/// How many times as many rows as it wants a run reads for workers of its own process, which want a few at a time: the runs after it need
/// not look through the index again.
const AHEAD: usize = 8;

/// Chunks under way at once.
const CHUNKS_AT_ONCE: usize = 4;

/// Nothing is claimed or redelivered in the last 5 seconds before a deadline: sending or giving back must still be possible.
pub const TIME_TO_SEND: Duration = Duration::from_secs(5);

/// Claims due rows and sends them.
#[derive(Clone, Debug)]
pub struct Scheduler {
    ledger: Ledger,
    outlet: Outlet,
    dispatch: Dispatch,
    /// Where the run before stopped reading.
    ahead: Ahead,
}

/// Rows that may be claimed: where they come from and since when that is open, the oldest of them, and the places for as many as are granted.
struct Begun {
    due: DueRows,
    opened: Timestamp,
    first: Vec<IndexKey>,
    places: Places,
}

impl Scheduler {
    /// Claims from that ledger, for that queue or those workers.
    pub fn new(ledger: Ledger, outlet: impl Into<Outlet>, dispatch: Dispatch) -> Self {
        Self {
            ledger,
            outlet: outlet.into(),
            dispatch,
            ahead: Ahead::default(),
        }
    }

    /// One run for that window: oldest due rows first, across all shards. It ends soon after the deadline, whatever hangs; the
    /// report says what was done until then.
    ///
    /// # Errors
    /// When the control item cannot be read or the budget not be taken; nothing was claimed then. Failures of single rows and
    /// batches are in the report.
    pub async fn run(&self, window: Window, deadline: Deadline) -> Result<ScheduleReport, LedgerError> {
        let mut report = ScheduleReport::new(window);
        let begun = deadline
            .bound(self.ledger.clock(), self.begin(&mut report, deadline))
            .await;
        match begun {
            Some(begun) => {
                if let Some(Begun {
                    mut due,
                    opened,
                    first,
                    places,
                }) = begun?
                {
                    let before = due.newer();
                    self.dispatch(&mut due, first, places, &mut report, deadline)
                        .await;
                    report.newer += due.newer() - before;
                    for cause in due.failures() {
                        report.failure(cause);
                    }
                    if self.outlet.looks_ahead() && !report.out_of_time {
                        self.ahead.keep(due, opened);
                    }
                }
            }
            // Nothing is claimed yet. What may have been granted is lost to this window.
            None => {
                report.out_of_time = true;
                report.failure(NO_ANSWER);
            }
        }
        Ok(report)
    }

    /// The oldest due rows and where they come from, when some of them may be claimed.
    async fn begin(
        &self,
        report: &mut ScheduleReport,
        deadline: Deadline,
    ) -> Result<Option<Begun>, LedgerError> {
        let control = self.ledger.control().await?;
        let now = self.ledger.clock().now();
        let n = control.per_window.unwrap_or(self.dispatch.per_window);
        let left = n.saturating_sub(control.granted_in(report.window));
        let pause = control.pause(now).map(Refusal::Paused);
        // A window of a day has a tick every minute: those that find it spent read no more than how old the oldest row is.
        // The first of them leaves word that it wanted something, for the sweep that may have spent it.
        let is_known = n == 0 || control.knows_of_scheduler(report.window);
        if pause.is_some() || (left == 0 && is_known) {
            let mut due = self.ledger.due(Status::Pending, Some(now), 1);
            let first = due.next_own(1).await;
            report.see_oldest(&first, &due.failures(), now);
            report.newer = due.newer();
            if pause.is_none() {
                self.note(control.backlog_at, report, !first.is_empty()).await;
            }
            report.refusal = Some(pause.unwrap_or(match first.is_empty() {
                true => Refusal::NothingWanted,
                false => Refusal::WindowFull,
            }));
            return Ok(None);
        }
        if self.out_of_time(deadline) {
            report.out_of_time = true;
            return Ok(None);
        }
        let mut places = self.outlet.reserve(left.max(1).min(self.room(n).await?));
        let wanted = places.count();
        // One row more, to see how old the oldest is, and whether any is left behind.
        let (due, opened, first) = self.oldest(wanted as usize + 1, now).await;
        let found = self.ready(&first, wanted, now);
        report.see_oldest(&first, &due.failures(), now);
        report.newer = due.newer();
        let request = GrantRequest {
            window: report.window,
            per_window: self.dispatch.per_window,
            wanted: wanted.min(u32::try_from(found).unwrap_or(u32::MAX)),
            asker: Asker::Scheduler,
        };
        // The budget is asked for what is there, so an idle tick writes nothing.
        let mut noted = control.backlog_at;
        let grant = self.ledger.grant_noting(&request, control, &mut noted);
        match grant.await? {
            Grant::Granted(granted) => report.granted = granted,
            Grant::Refused(refusal) => report.refusal = Some(refusal),
        }
        self.note(noted, report, found > report.granted as usize).await;
        for cause in due.failures() {
            report.failure(cause);
        }
        let places = places.split(report.granted);
        let begun = Begun {
            due,
            opened,
            first,
            places,
        };
        Ok(Some(begun).filter(|_| report.granted > 0))
    }

    /// The `n` oldest due rows, fewer if there are no more, where the next ones come from, and since when that is open.
    async fn oldest(&self, n: usize, now: Timestamp) -> (DueRows, Timestamp, Vec<IndexKey>) {
        if let Some((mut due, opened)) = self.ahead.take(now) {
            let first = due.next_own(n).await;
            // With fewer, others may have come due since.
            if first.len() == n {
                return (due, opened, first);
            }
        }
        let ahead = if self.outlet.looks_ahead() { AHEAD } else { 1 };
        let mut due = self.ledger.due(Status::Pending, Some(now), n * ahead);
        let first = due.next_own(n).await;
        (due, now, first)
    }

    /// How many of these rows, the oldest that are due, need not wait for company; all of them, if there are more than are wanted.
    fn ready(&self, first: &[IndexKey], wanted: u32, now: Timestamp) -> usize {
        match self.outlet.batching(self.dispatch.batching) {
            Some(batching) if first.len() <= wanted as usize => {
                batching.ready(first.iter().map(|key| key.due_at), now)
            }
            _ => first.len(),
        }
    }

    /// Leaves word for ingest that rows which are due are left behind, or that none are. Where nothing is dispatched at once nobody
    /// asks for it; a note that an earlier setting left is taken off.
    async fn note(&self, noted: Option<Timestamp>, report: &mut ScheduleReport, behind: bool) {
        report.left_behind = behind;
        // Said again in each tick: another one, which found none behind, may be about to take the last note off. That note is the one that
        // was read before the due rows were, or the run's own.
        let noted = match (behind, self.dispatch.start, noted) {
            (true, Start::Immediate, _) => self.ledger.note_backlog().await.map(drop),
            (false, _, Some(seen)) => self.ledger.take_off_backlog(seen).await,
            (true, Start::Scheduled, _) | (false, _, None) => return,
        };
        if let Err(error) = noted {
            report.failure(error);
        }
    }

    /// How many more rows may be in flight, at most `n`.
    async fn room(&self, n: u32) -> Result<u32, LedgerError> {
        let Some(cap) = self.dispatch.max_in_flight else {
            return Ok(n);
        };
        let room = |claimed: u64| u32::try_from(u64::from(cap).saturating_sub(claimed)).unwrap_or(0);
        let claimed = self.ledger.count(Status::Claimed, None, Some(cap)).await?.rows;
        if room(claimed) >= n {
            return Ok(n);
        }
        // Rows of a newer release whose leases are over stay claimed until that release is back. Counted, they would end
        // dispatch for as long.
        let left = self.left_to_newer().await;
        let claimed = match left {
            0 => claimed,
            _ => {
                let enough = cap.saturating_add(left);
                self.ledger.count(Status::Claimed, None, Some(enough)).await?.rows
            }
        };
        Ok(room(claimed.saturating_sub(u64::from(left))))
    }

    /// How many rows of a newer release are claimed and their leases over. What cannot be looked at is none: it counts.
    async fn left_to_newer(&self) -> u32 {
        let now = self.ledger.clock().now();
        let mut stale = self.ledger.due(Status::Claimed, Some(now), CHUNK);
        let mut own = stale.next_own(1).await;
        while stale.newer() > 0 && !own.is_empty() {
            own = stale.next_own(CHUNK).await;
        }
        stale.newer()
    }

    /// Claims and sends until the grant is used, no row is due, or the deadline nears. Rows lost to others, or left to a newer
    /// release, are replaced by the next ones.
    async fn dispatch(
        &self,
        due: &mut DueRows,
        mut rows: Vec<IndexKey>,
        mut places: Places,
        report: &mut ScheduleReport,
        deadline: Deadline,
    ) {
        // Not granted, and older than what is still to be read: they are the first to take the place of a lost row.
        let mut spare = rows
            .split_off(rows.len().min(report.granted as usize))
            .into_iter();
        while !rows.is_empty() && !report.out_of_time {
            let window = report.window;
            let chunk = match self.outlet.batching(self.dispatch.batching) {
                Some(batching) => batching.chunk(CHUNK),
                None => CHUNK,
            };
            let chunks: Vec<_> = rows
                .chunks(chunk)
                .map(|chunk| {
                    let places = places.split(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
                    self.dispatch_chunk(window, chunk.to_vec(), places, deadline)
                })
                .collect();
            let mut parts = futures::stream::iter(chunks).buffer_unordered(CHUNKS_AT_ONCE);
            let mut round = ScheduleReport::new(report.window);
            while let Some((part, unused)) = parts.next().await {
                round.add(part);
                places.add(unused);
            }
            drop(parts);
            let lost = (round.lost + round.newer) as usize;
            if round.newer > 0 {
                due.beware();
            }
            report.add(round);
            // A claim whose outcome is unknown counts against the grant as well.
            rows = spare.by_ref().take(lost).collect();
            let next = due.next_own(lost - rows.len());
            match deadline.bound(self.ledger.clock(), next).await {
                Some(next) => rows.extend(next),
                None => report.out_of_time = true,
            }
        }
        due.put_back(spare);
    }

    async fn dispatch_chunk(
        &self,
        window: Window,
        keys: Vec<IndexKey>,
        mut places: Places,
        deadline: Deadline,
    ) -> (ScheduleReport, Places) {
        let mut report = ScheduleReport::new(window);
        if self.out_of_time(deadline) {
            report.out_of_time = true;
            return (report, places);
        }
        let mut claimed = Vec::with_capacity(keys.len());
        let claims = self.ledger.claim(
            &keys,
            self.outlet.hand(self.dispatch.batching),
            self.dispatch.lease,
            deadline,
        );
        for claim in claims.await {
            match claim {
                Claim::Claimed(row) => claimed.push(*row),
                Claim::Lost => report.lost += 1,
                Claim::Newer => report.newer += 1,
                Claim::NotApplied(cause) => report.failure(cause),
                Claim::Unknown(cause) => {
                    report.unknown += 1;
                    report.failure(cause);
                }
            }
        }
        report.claimed = claimed.len() as u32;
        for row in &claimed {
            tracing::debug!(event.id = %row.id, attempt = row.attempt.0, trace.link = row.trace, "an event is claimed");
        }
        let over = self
            .outlet
            .hand_on(&self.ledger, claimed, &mut places, deadline)
            .await;
        report.sent = over.count(HandedOn::Sent);
        report.released = over.count(HandedOn::Released);
        report.unknown += over.count(HandedOn::Unknown);
        for cause in over.failures {
            report.failure(cause);
        }
        (report, places)
    }

    fn out_of_time(&self, deadline: Deadline) -> bool {
        deadline.left(self.ledger.clock()) < TIME_TO_SEND
    }
}
