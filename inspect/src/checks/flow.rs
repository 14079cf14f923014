//! Does it move: the clock, pause, the schedule, the sweep, N, the state machine.

use std::time::Duration;

use aws_sdk_sfn::types::StateMachineType;
use daybook_ledger::{Cause, Control, Count};
use daybook_manager::{Batching, Dispatch};
use daybook_schema::Timestamp;

use crate::aws::answer::Answer;
use crate::checks::check::Check;
use crate::checks::finding::Item;
use crate::limits::{self, Limit};
use crate::parts::UpState;
use crate::wording::{dispatch, text, time};

/// Windows without a grant, or with a row that is due, until the schedule is said not to run.
const WINDOWS: u32 = 3;

/// A clock that is wrong by so much is worth a word.
const SKEW: Duration = Duration::from_secs(5);

/// Signatures are refused beyond five minutes; windows and leases go wrong before ("Signing AWS API requests", IAM User Guide).
const BAD_SKEW: Duration = Duration::from_secs(60);

/// Messages that may be in flight on a standard queue ("Amazon SQS message quotas").
const IN_FLIGHT: u64 = 120_000;

/// What was observed of the ledger's rows.
#[derive(Clone, Debug)]
pub struct FlowSeen {
    /// When.
    pub now: Timestamp,
    /// The control item.
    pub control: Result<Control, Cause>,
    /// Due since, of the pending row that is due first.
    pub oldest_due: Result<Option<Timestamp>, Cause>,
    /// The end of the lease that ended first.
    pub oldest_lease: Result<Option<Timestamp>, Cause>,
    /// Parked rows.
    pub parked: Result<Count, Cause>,
    /// Claimed rows that were put on the queue five times or more: how many of the first few hundred.
    pub undelivered: Result<Count, Cause>,
    /// Open rows whose key was ambiguous: how many of the first few thousand.
    pub ambiguous: Result<Count, Cause>,
    /// Rows that a newer release wrote: how many of the first few hundred of each status.
    pub newer: Result<Count, Cause>,
    /// The `daybook up` of a folder.
    pub up: Option<UpState>,
    /// What may keep the row that is due first from being sent.
    pub limits: limits::Observed,
}

/// How it is configured.
#[derive(Clone, Copy, Debug)]
pub struct Configured {
    /// N, unless set while running.
    pub per_window: u32,
    /// The window.
    pub window: Duration,
    /// The lease.
    pub lease: Duration,
    /// How events are put together, if they are.
    pub batching: Option<Batching>,
    /// How many events may be in flight, where there is a cap.
    pub max_in_flight: Option<u32>,
}

impl Default for Configured {
    /// As schedulers are configured unless told otherwise.
    fn default() -> Self {
        let Dispatch {
            per_window,
            window,
            lease,
            batching,
            max_in_flight,
            ..
        } = Dispatch::default();
        Self {
            per_window,
            window,
            lease,
            batching,
            max_in_flight,
        }
    }
}

/// A state machine as it was described.
#[derive(Clone, Debug)]
pub struct MachineSeen {
    /// Standard or Express.
    pub kind: StateMachineType,
    /// The customer's KMS key that its data is encrypted with, if one is.
    pub key: Option<String>,
    /// Why its executions cannot be described; `None` where they can be, or that was not asked.
    pub undescribed: Option<Cause>,
}

/// All checks of rows and dispatch.
pub fn checks(seen: &FlowSeen, configured: Configured) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(up) = seen.up {
        items.push(match up {
            UpState::Working(_) => Item::ok(&Check::UpRuns, "it runs"),
            UpState::Collecting => Item::problem(
                &Check::UpRuns,
                "it runs without a target: events are recorded, and nothing sends them",
                "start it with --exec COMMAND or --post URL",
            ),
            UpState::NotRunning => Item::problem(
                &Check::UpRuns,
                "it does not run: nothing moves",
                "start `daybook up` on its folder",
            ),
        });
    }
    items.push(pause(seen));
    // A folder's pipeline has its own clock for these.
    items.push(schedule(seen, configured));
    items.push(sweep(seen, configured));
    items.push(counted(&Check::Parked, &seen.parked, |n| {
        Item::warning(
            &Check::Parked,
            format!("{n}, waiting for a person"),
            "`daybook list --status parked` shows why; fix the cause, then `daybook redrive`, or `daybook remove`",
        )
    }));
    items.push(counted(&Check::Undelivered, &seen.undelivered, |n| {
        Item::problem(
            &Check::Undelivered,
            format!("{n}, put on the dispatch queue five times or more and never taken"),
            "is the function or worker that reads the queue running, and may it start the state machine? Its log says why",
        )
    }));
    items.push(counted(&Check::Keys, &seen.ambiguous, |n| {
        Item::warning(
            &Check::Keys,
            format!("{n} whose notification does not say whether the key is form-encoded"),
            "set --key-encoding (DAYBOOK_KEY_ENCODING) to encoded or plain, whichever the source is; `daybook why` shows the key",
        )
    }));
    items.push(counted(&Check::Newer, &seen.newer, |n| {
        Item::problem(
            &Check::Newer,
            format!("{n}, written by a newer Daybook: this one leaves them alone"),
            "use that release: nothing else moves them",
        )
    }));
    items
}

fn unknown(check: &Check, cause: &Cause) -> Item {
    Item::unknown(check, cause.words(), "the ledger has to answer first")
}

fn counted(check: &Check, count: &Result<Count, Cause>, found: impl FnOnce(String) -> Item) -> Item {
    match count {
        Err(cause) => unknown(check, cause),
        Ok(count) if count.rows == 0 => Item::ok(check, "none"),
        Ok(count) => {
            let rows = match count.rows {
                1 => "row",
                _ => "rows",
            };
            found(format!("{} {rows}", text::count(*count)))
        }
    }
}

fn pause(seen: &FlowSeen) -> Item {
    let control = match &seen.control {
        Ok(control) => control,
        Err(cause) => return unknown(&Check::Pause, cause),
    };
    match control.pause(seen.now) {
        None => Item::ok(&Check::Pause, "not paused"),
        Some(pause) => Item::warning(
            &Check::Pause,
            format!("dispatch is paused {}: nothing is sent", dispatch::paused(&pause)),
            "`daybook resume` ends it",
        ),
    }
}

fn schedule(seen: &FlowSeen, configured: Configured) -> Item {
    let (control, oldest) = match (&seen.control, &seen.oldest_due) {
        (Ok(control), Ok(oldest)) => (control, *oldest),
        (Err(cause), _) | (_, Err(cause)) => return unknown(&Check::Schedule, cause),
    };
    let window = match control.window_millis {
        0 => configured.window,
        millis => Duration::from_millis(millis),
    };
    // A row may wait for its batch to become full.
    let company = configured
        .batching
        .map_or(Duration::ZERO, |batching| batching.window);
    let patience = window * WINDOWS + company;
    let Some(oldest) = oldest else {
        return Item::ok(&Check::Schedule, "nothing is due");
    };
    let waits = format!("the oldest row is due since {}", time::at(oldest, seen.now));
    if seen.now.since(oldest) <= patience {
        return Item::ok(&Check::Schedule, waits);
    }
    if control.pause(seen.now).is_some() {
        return Item::ok(&Check::Schedule, format!("paused; {waits}"));
    }
    if let Some(UpState::NotRunning | UpState::Collecting) = seen.up {
        return Item::ok(
            &Check::Schedule,
            format!("nothing is sent, as {} says; {waits}", Check::UpRuns),
        );
    }
    if let Some(item) = limited(seen, &waits) {
        return item;
    }
    let granted = control
        .window
        .filter(|start| seen.now.since(*start) <= patience + window);
    match (granted, control.window) {
        (Some(start), _) => Item::warning(
            &Check::Schedule,
            format!(
                "a backlog: {waits}, and windows are granted (the last from {})",
                time::at(start, seen.now)
            ),
            match seen.limits.limit(seen.now) {
                Limit::Budget => "nothing, or raise N if the target can take more",
                _ => "nothing; `daybook status` shows whether all of N is granted: raise it only then",
            },
        ),
        (None, last) => {
            let last = last.map_or_else(
                || "no window was ever granted".to_owned(),
                |at| {
                    format!(
                        "the last window that was granted is from {}",
                        time::at(at, seen.now)
                    )
                },
            );
            Item::problem(
                &Check::Schedule,
                format!("{waits}, and {last}: the schedule seems not to run"),
                "is its rule or cron enabled, and does its log say why it fails? `daybook schedule` runs it once",
            )
        }
    }
}

/// What is said of a row that is late because of something else than the schedule and N, if it is known to be so.
fn limited(seen: &FlowSeen, waits: &str) -> Option<Item> {
    let finding = format!("a backlog: {waits}; the limit is {}", seen.limits.words(seen.now));
    let remedy = match (seen.limits.limit(seen.now), seen.limits.hangs_for(seen.now)) {
        (Limit::Workers, Some(silent)) => {
            let finding = format!(
                "{waits}, {}, and no run has begun or ended for {}: the target seems to hang",
                seen.limits.busy(),
                time::span(Duration::from_secs(silent.as_secs()))
            );
            let remedy =
                "`daybook list --status claimed` shows what runs; a shorter --timeout ends such runs";
            return Some(Item::problem(&Check::Schedule, finding, remedy));
        }
        (Limit::Workers, None) => "nothing, or raise --workers if this machine and the target can take more",
        (Limit::InFlightCap, _) => {
            "nothing, or raise --max-in-flight (DAYBOOK_MAX_IN_FLIGHT) if the target can take more"
        }
        (Limit::Target, _) => {
            "nothing: events come again when it takes more; `daybook errors` shows what it said"
        }
        (Limit::Ledger, _) => "make room for the ledger; `daybook status` says why it takes no writes",
        (Limit::Nothing | Limit::Stopped | Limit::Pause | Limit::Budget | Limit::Unknown, _) => return None,
    };
    Some(Item::warning(&Check::Schedule, finding, remedy))
}

fn sweep(seen: &FlowSeen, configured: Configured) -> Item {
    let oldest = match &seen.oldest_lease {
        Ok(oldest) => *oldest,
        Err(cause) => return unknown(&Check::Sweep, cause),
    };
    match oldest {
        Some(ended) if matches!(seen.up, Some(UpState::NotRunning | UpState::Collecting)) => Item::ok(
            &Check::Sweep,
            format!(
                "nothing is sent again, as {} says; a lease ended at {}",
                Check::UpRuns,
                time::at(ended, seen.now)
            ),
        ),
        Some(ended) if seen.now.since(ended) > configured.lease => {
            let paused = seen
                .control
                .as_ref()
                .is_ok_and(|control| control.pause(seen.now).is_some());
            let finding = format!(
                "a lease ended at {}, and nothing acted on it",
                time::at(ended, seen.now)
            );
            match paused {
                true => Item::ok(
                    &Check::Sweep,
                    format!("{finding}: while dispatch is paused, nothing is sent again"),
                ),
                false => Item::problem(
                    &Check::Sweep,
                    format!("{finding}: the sweep seems not to run"),
                    "is its rule or cron enabled, and does its log say why it fails? `daybook sweep` runs it once",
                ),
            }
        }
        Some(ended) => Item::ok(
            &Check::Sweep,
            format!("the first lease ended at {}", time::at(ended, seen.now)),
        ),
        None => Item::ok(&Check::Sweep, "no lease is over"),
    }
}

/// This machine's clock against a service's: when an answer came, and its `Date`.
pub fn clock(answered: Option<(Timestamp, Timestamp)>) -> Item {
    let Some((here, there)) = answered else {
        return Item::unknown(
            &Check::Clock,
            "no answer had a date",
            "a service has to answer first",
        );
    };
    // A date has whole seconds, and the answer was on its way.
    let skew = here
        .since(there)
        .max(there.since(here))
        .saturating_sub(Duration::from_secs(1));
    let words = time::span(Duration::from_secs(skew.as_secs() + 1));
    let ahead = if here > there { "ahead" } else { "behind" };
    let remedy = "let this machine set its clock by NTP (`timedatectl set-ntp true`)";
    match skew {
        skew if skew >= BAD_SKEW => Item::problem(
            &Check::Clock,
            format!(
                "this machine's clock is {words} {ahead} of AWS's: windows, leases and signatures go wrong"
            ),
            remedy,
        ),
        skew if skew >= SKEW => Item::warning(
            &Check::Clock,
            format!("this machine's clock is {words} {ahead} of AWS's"),
            remedy,
        ),
        _ => Item::ok(&Check::Clock, "as AWS's"),
    }
}

/// The state machine.
pub fn state_machine(arn: Option<&str>, seen: &Answer<MachineSeen>, batching: Option<Batching>) -> Item {
    let check = &Check::StateMachine;
    let Some(arn) = arn else {
        return Item::ok(check, "none is named: workers process the events");
    };
    match seen {
        Answer::Known(machine) if machine.kind == StateMachineType::Standard => match batching {
            None => Item::ok(check, "STANDARD"),
            Some(_) => standard_with_batches(arn, machine),
        },
        Answer::Known(machine) => {
            let batches = match batching {
                None => "",
                Some(_) => "; of a batch it must report input and output as well",
            };
            Item::problem(
                check,
                format!(
                    "{arn} is {}: such executions report no end, and a name does not keep a second one from starting{batches}",
                    machine.kind.as_str()
                ),
                "make a state machine of type STANDARD with the same definition; a type cannot be changed",
            )
        }
        Answer::Absent => Item::problem(
            check,
            format!("there is no state machine {arn}: nothing can be started"),
            "--state-machine-arn (DAYBOOK_STATE_MACHINE_ARN), region and account name another one",
        ),
        Answer::Unknown(refusal) => Item::refused(check, refusal),
    }
}

/// N against what Step Functions starts: bucket and refill of StartExecution ("Service quotas for Step Functions", Step Functions
/// Developer Guide).
fn start_quota(region: &str) -> (u64, u64) {
    match region {
        "us-east-1" | "us-west-2" | "eu-west-1" => (1_300, 300),
        _ => (800, 150),
    }
}

/// What a batch's execution was given and what it gave decide which events have ended, and status events leave out what is large.
fn standard_with_batches(arn: &str, machine: &MachineSeen) -> Item {
    let check = &Check::StateMachine;
    if let Some(cause) = &machine.undescribed {
        return Item::unknown(
            check,
            format!(
                "STANDARD; whether its executions can be described is not known: {}",
                cause.words()
            ),
            "batches need states:DescribeExecution on its executions, here and in invoke, complete and reconcile",
        );
    }
    match &machine.key {
        None => Item::ok(check, "STANDARD, and its executions can be described"),
        Some(key) => Item::warning(
            check,
            format!(
                "{arn} is encrypted with {key}: without that key nobody can read which events a batch's execution was given, and \
                 batches stay claimed"
            ),
            "let the roles of invoke, complete and reconcile use the key (kms:Decrypt), if they may not yet",
        ),
    }
}

/// N against the quotas.
pub fn quotas(control: Option<&Control>, configured: Configured, region: &str, by_workers: bool) -> Item {
    let n = u64::from(
        control
            .and_then(|control| control.per_window)
            .unwrap_or(configured.per_window),
    );
    let window = configured.window.as_secs_f64();
    let told = format!("N is {n} per {}", time::span(configured.window));
    let (bucket, refill) = start_quota(region);
    let starts = bucket as f64 + refill as f64 * window;
    if !by_workers && n as f64 > starts {
        let most = format!("{bucket} and {refill} more per second");
        return Item::warning(
            &Check::Quotas,
            format!(
                "{told}, and Step Functions starts {most} in {region} unless raised: the rest is throttled and comes again"
            ),
            "lower N (`daybook set`), or have the StartExecution quota raised (Service Quotas)",
        );
    }
    let in_flight = n as f64 * (configured.lease.as_secs_f64() / window).max(1.0);
    if in_flight > IN_FLIGHT as f64 {
        return Item::warning(
            &Check::Quotas,
            format!(
                "{told}: with a lease of {} up to {in_flight:.0} could be in flight, and a queue holds {IN_FLIGHT} unacknowledged",
                time::span(configured.lease)
            ),
            "lower N, shorten the lease, or cap what is in flight (--max-in-flight)",
        );
    }
    Item::ok(&Check::Quotas, told)
}
