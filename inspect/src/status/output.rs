//! The same for programs.

use daybook_ledger::Count;
use daybook_schema::{EventId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::activity::output::ActivityOutput;
use crate::aws::failure::Failure;
use crate::limits::Limit;
use crate::limits::drain::Drain;
use crate::parts::{LocalFolder, UpState};
use crate::status::observe::{FirstPart, Found, Part, both};
use crate::wording::dispatch::{DispatchOutput, WindowsOutput};

/// Where the events of a deployment stand. What is not known is null, and `failures` says why.
#[derive(Serialize, JsonSchema)]
pub struct StatusOutput<'a> {
    /// The deployment.
    #[serde(rename = "where")]
    location: String,
    /// What the folder's `daybook up` says is wrong with itself at /health, such as a full disk; null where it says nothing.
    trouble: Option<&'a str>,
    /// Events that wait for the scheduler.
    pending: PendingOutput,
    /// Events that are on their way.
    claimed: ClaimedOutput,
    /// Events that wait for a person.
    parked: StandingOutput,
    /// Rows that a newer release wrote, which this one leaves alone, among the 300 of each status that are due first.
    newer: Option<Count>,
    /// Messages in the dispatch queue, about; null where no queue is named, and for a folder, whose queue is in its process.
    queue_depth: Option<&'a u64>,
    /// Messages in the intake queue, about; null for a folder, and without a stack. CloudWatch alone has their age: IntakeBehindAlarm.
    intake_queue_depth: Option<&'a u64>,
    /// Executions of the state machine that run, counted up to 10,000; null where none is named.
    running_executions: Option<Count>,
    /// What keeps events that are due from being sent faster.
    limit: LimitOutput,
    /// How long sending the backlog takes; null where that is not known.
    drain: Option<DrainOutput>,
    /// What workers did in the last minute, hour and day; null on AWS, where the functions' metrics have it, and where it is not known.
    lately: Option<ActivityOutput>,
    /// The budget, and any pause.
    dispatch: Option<DispatchOutput>,
    /// What was granted in each of the last windows; null where nothing was granted yet, and where it is not known.
    windows: Option<WindowsOutput>,
    /// The folder; null on AWS.
    local: Option<LocalOutput<'a>>,
    /// What could not be read, each cause once.
    failures: &'a [Failure],
}

/// How many rows have a status.
#[derive(Serialize, JsonSchema)]
struct StandingOutput {
    /// So many were counted.
    rows: Option<u64>,
    /// Whether these are all; otherwise there are at least so many.
    exact: Option<bool>,
    /// The row that comes first.
    first: Option<FirstOutput>,
}

/// A row that comes first in its status.
#[derive(Serialize, JsonSchema)]
struct FirstOutput {
    /// Its event.
    id: EventId,
    /// When it is due.
    due_at: Timestamp,
    /// When it was recorded; null when it has gone on meanwhile.
    recorded_at: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
struct PendingOutput {
    #[serde(flatten)]
    standing: StandingOutput,
    /// Rows that are due.
    due: Option<u64>,
    /// Whether these are all.
    due_exact: Option<bool>,
    /// Rows that are due later.
    later: Option<u64>,
    /// Whether these are all.
    later_exact: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
struct ClaimedOutput {
    #[serde(flatten)]
    standing: StandingOutput,
    /// Rows whose leases have not ended.
    within_lease: Option<u64>,
    /// Whether these are all.
    within_lease_exact: Option<bool>,
    /// Rows whose leases have ended.
    lease_over: Option<u64>,
    /// Whether these are all.
    lease_over_exact: Option<bool>,
    /// Rows that workers hold, of the 300 whose leases end first.
    held: Option<u64>,
    /// Whether these are all.
    held_exact: Option<bool>,
    /// Rows that were sent five times or more, of the 300 whose leases end first.
    undelivered: Option<u64>,
    /// Whether these are all.
    undelivered_exact: Option<bool>,
}

/// What limits, and the figures that show it; null where they are not known.
#[derive(Serialize, JsonSchema)]
struct LimitOutput {
    /// In one word.
    by: Limit,
    /// In words.
    says: String,
    /// How many runs there are at once.
    workers: Option<u32>,
    /// How many events may be in flight.
    in_flight_cap: Option<u32>,
    /// How many events end per second while the workers are busy, fewer where fewer of a standing backlog ended lately, or as many as the
    /// target took lately where that limits.
    per_second: Option<f64>,
}

/// The time in which what waits can be sent.
#[derive(Serialize, JsonSchema)]
struct DrainOutput {
    /// N.
    per_window: Option<u32>,
    /// The window's length.
    window_seconds: Option<f64>,
    /// The time.
    seconds: f64,
    /// Whether it is what N allows at most, and so takes at least as long; otherwise it is about as long, as the last runs went.
    by_budget: bool,
    /// Whether that is all that is known to take time; otherwise it takes longer: not all that waits was counted, or runs are so short that
    /// the ledger's own writes take longer than they do, and no backlog stood lately that would show how long.
    exact: bool,
}

/// A folder of one machine.
#[derive(Serialize, JsonSchema)]
struct LocalOutput<'a> {
    /// The folder.
    folder: String,
    /// Whether a `daybook up` runs on it.
    running: bool,
    /// Its process id.
    pid: Option<u32>,
    /// Where it listens.
    url: Option<&'a str>,
    /// Whether it has a target: without one events are recorded, and nothing sends them.
    has_target: Option<bool>,
}

fn known<T: Copy>(part: &Part<T>) -> Option<T> {
    part.as_ref().ok().copied()
}

fn standing(count: Option<Count>, first: &FirstPart) -> StandingOutput {
    let first = first.as_ref().ok().copied().flatten();
    StandingOutput {
        rows: count.map(|count| count.rows),
        exact: count.map(|count| count.exact),
        first: first.map(|first| FirstOutput {
            id: first.key.id,
            due_at: first.key.due_at,
            recorded_at: first.recorded_at,
        }),
    }
}

impl Found {
    /// For programs: with the deployment's name, and its folder if it is in one.
    pub fn output<'a>(
        &'a self,
        location: String,
        folder: Option<LocalFolder<'a>>,
        failures: &'a [Failure],
    ) -> StatusOutput<'a> {
        let [pending, _, parked] = &self.first;
        StatusOutput {
            location,
            trouble: self.trouble.as_deref(),
            pending: self.pending(pending),
            claimed: self.claimed(),
            parked: standing(known(&self.parked), parked),
            newer: known(&self.newer),
            queue_depth: self.depth.as_ref().and_then(|depth| depth.as_ref().ok()),
            intake_queue_depth: self.intake.as_ref().and_then(|depth| depth.as_ref().ok()),
            running_executions: self
                .running
                .as_ref()
                .and_then(|running| running.as_ref().ok().copied()),
            limit: self.limit(),
            drain: self.drain(folder),
            lately: folder
                .and_then(|folder| folder.activity)
                .map(|activity| ActivityOutput::of(activity, self.now)),
            dispatch: self
                .control
                .as_ref()
                .ok()
                .map(|control| DispatchOutput::of(control, self.now)),
            windows: self
                .control
                .as_ref()
                .ok()
                .and_then(|control| WindowsOutput::of(control, self.rate.per_window, self.now)),
            local: folder.map(|folder| LocalOutput {
                folder: folder.path.display().to_string(),
                running: folder.running.is_some(),
                pid: folder.running.map(|running| running.pid),
                url: folder.running.map(|running| running.url.as_str()),
                has_target: folder.running.map(|running| running.workers.is_some()),
            }),
            failures,
        }
    }

    fn pending(&self, first: &FirstPart) -> PendingOutput {
        let (due, later) = (known(&self.due), known(&self.later));
        PendingOutput {
            standing: standing(both(&self.due, &self.later), first),
            due: due.map(|count| count.rows),
            due_exact: due.map(|count| count.exact),
            later: later.map(|count| count.rows),
            later_exact: later.map(|count| count.exact),
        }
    }

    fn claimed(&self) -> ClaimedOutput {
        let (within, over) = (known(&self.within_lease), known(&self.lease_over));
        let looked = self.claimed.as_ref().ok();
        ClaimedOutput {
            standing: standing(both(&self.within_lease, &self.lease_over), &self.first[1]),
            within_lease: within.map(|count| count.rows),
            within_lease_exact: within.map(|count| count.exact),
            lease_over: over.map(|count| count.rows),
            lease_over_exact: over.map(|count| count.exact),
            held: looked.map(|claimed| claimed.held.rows),
            held_exact: looked.map(|claimed| claimed.held.exact),
            undelivered: looked.map(|claimed| claimed.undelivered.rows),
            undelivered_exact: looked.map(|claimed| claimed.undelivered.exact),
        }
    }

    fn limit(&self) -> LimitOutput {
        LimitOutput {
            by: self.limits.limit(self.now),
            says: self.limits.words(self.now),
            workers: self.limits.workers.map(|workers| workers.at_once),
            in_flight_cap: self.limits.cap,
            per_second: self.limits.per_second(self.now),
        }
    }

    /// How long sending the backlog takes, in seconds; `None` where that is not known, or nothing is sent.
    pub fn drain_seconds(&self, folder: Option<LocalFolder<'_>>) -> Option<f64> {
        self.drain(folder).map(|drain| drain.seconds)
    }

    fn drain(&self, folder: Option<LocalFolder<'_>>) -> Option<DrainOutput> {
        if folder.is_some_and(|folder| !matches!(folder.up(), UpState::Working(_))) {
            return None;
        }
        let waiting = both(&self.due, &self.later)?;
        let drain = self.limits.drain(waiting, self.now);
        Some(DrainOutput {
            per_window: self.rate.per_window,
            window_seconds: self.rate.window.map(|window| window.as_secs_f64()),
            seconds: drain.time()?.as_secs_f64(),
            by_budget: matches!(drain, Drain::ByBudget(_)),
            exact: waiting.exact && !matches!(drain, Drain::ByRuns { is_least: true, .. }),
        })
    }
}
