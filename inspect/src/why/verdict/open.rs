//! Answers about open rows.

use daybook_ledger::{Lookup, Pause};
use daybook_manager::Described;
use daybook_schema::{Attempt, Kind, ObjectEvent, Row, Status, Subject, Timestamp, notification};

use crate::aws::s3::Head;
use crate::lookup::run::{Named, Run};
use crate::parts::UpState;
use crate::why::verdict::due;
use crate::why::verdict::facts::{Fact, Observed, Seen, Situation, Verdict};
use crate::wording::{dispatch, text, time};

/// The answer about that row.
pub fn verdict(seen: &Observed, one: &Seen) -> Verdict {
    let row = &one.row;
    let verdict = match row.status {
        Status::Pending => pending(seen, row),
        Status::Claimed => claimed(seen, one),
        Status::Parked => parked(seen, row),
    };
    let note = row
        .note
        .as_deref()
        .map(|note| format!("Last change by an operator: {note}."));
    let alone = (row.alone && row.batch.is_none())
        .then(|| "It failed together with others, so that it is run by itself.".to_owned());
    let verdict = verdict
        .also(alone)
        .also(note)
        .also(row.caveat.as_deref().map(caveat));
    let verdict = match (row.status, is_gone(seen, row)) {
        (_, None | Some(false)) => verdict,
        (Status::Claimed, Some(true)) => verdict.also(Some("The object itself no longer exists.".to_owned())),
        (_, Some(true)) => Verdict {
            situation: Situation::ObjectGone,
            says: format!("It was seen, but the object no longer exists. {}", verdict.says),
            next: "If it was deleted on purpose, `daybook remove` removes the event. Otherwise restore it first."
                .to_owned(),
            ..verdict
        },
    };
    verdict.of(row.id)
}

/// Whether the object of an upload is there no more; `None` where that is unknown, or nothing is expected there.
fn is_gone(seen: &Observed, row: &Row) -> Option<bool> {
    let is_upload = row.event().is_some_and(|event| event.kind == Kind::Created);
    let head = seen.object.known().filter(|_| is_upload)?;
    Some(*head == Head::Gone)
}

/// What was not as it should be in the notification, and what to do about a key that may be the wrong one.
fn caveat(caveat: &str) -> String {
    let says = format!("About its notification: {caveat}.");
    match notification::is_ambiguous(caveat) {
        false => says,
        true => format!(
            "{says} If the key above is not the object's, set --key-encoding (DAYBOOK_KEY_ENCODING) to encoded or plain for this \
             source, `daybook remove` the event, and give its notification to `daybook ingest` again."
        ),
    }
}

/// `; 2 attempts failed, and the last error is: …`. What was put off used none, and its error may be newer than theirs.
fn last_error(row: &Row) -> String {
    match &row.last_error {
        Some(error) if row.attempt == Attempt(0) => format!("; it was put off, no attempt used: {error}"),
        Some(error) => {
            let attempts = text::many(row.attempt.0.into(), "attempt");
            format!("; {attempts} failed, and the last error is: {error}")
        }
        None => String::new(),
    }
}

fn pending(seen: &Observed, row: &Row) -> Verdict {
    let now = seen.now;
    let pause = seen.control.known().and_then(|control| control.pause(now));
    if row.due_at > now {
        let says = format!(
            "Waiting because its next attempt is not before {}{}.",
            time::at(row.due_at, now),
            last_error(row)
        );
        let next = match stands_still(seen) {
            Some((_, _, next)) => next,
            None => "Nothing: one of the windows after that sends it.",
        };
        let verdict = Verdict::new(Situation::Backoff, says, next)
            .also(pause.as_ref().map(also_paused))
            .also(stands_still(seen).map(|(_, why, _)| format!("Then nothing sends it, because {why}.")));
        return verdict.without("pause", seen.control.why_not());
    }
    if let Some(pause) = pause {
        let says = format!("Waiting because dispatch is paused {}.", dispatch::paused(&pause));
        let next = "`daybook resume` ends the pause; otherwise wait until it ends.";
        let also = stands_still(seen).map(|(_, why, next)| format!("Besides, {why}: {}", lowered(next)));
        return Verdict::new(Situation::Paused, says, next).also(also);
    }
    if let Some((situation, why, next)) = stands_still(seen) {
        let says = format!("Waiting because {why}: due since {}.", time::at(row.due_at, now));
        return Verdict::new(situation, says, next).without("pause", seen.control.why_not());
    }
    due::verdict(seen, row, &last_error(row)).unless("pause", seen.control.why_not())
}

/// Why nothing is sent on one machine, if that is so: the situation, the reason, and what to do.
fn stands_still(seen: &Observed) -> Option<(Situation, &'static str, &'static str)> {
    match seen.up? {
        UpState::Working(_) if seen.limits.takes_no_writes => Some((
            Situation::NoWrites,
            "the ledger takes no writes",
            "Make room for the ledger: `daybook doctor` says why it takes none.",
        )),
        UpState::Working(_) => None,
        UpState::NotRunning => Some((
            Situation::NotRunning,
            "`daybook up` does not run",
            "Start `daybook up` on its folder.",
        )),
        UpState::Collecting => Some((
            Situation::NoTarget,
            "`daybook up` runs without a target, and only collects events",
            "Start `daybook up` with --exec COMMAND or --post URL.",
        )),
    }
}

/// A sentence as the second half of one.
fn lowered(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn also_paused(pause: &Pause) -> String {
    format!("Dispatch is paused as well, {}.", dispatch::paused(pause))
}

fn claimed(seen: &Observed, one: &Seen) -> Verdict {
    let row = &one.row;
    if let Some(Run {
        lookup: Lookup::Found(execution),
        named,
        ..
    }) = &one.execution
    {
        return match named {
            Named::No => left_out(seen, row, execution),
            Named::Yes { events } => executed(seen, row, execution, Some(*events)),
            Named::Unknown => unread(seen, row, execution),
        };
    }
    // A `daybook up` without a target may have workers elsewhere.
    let stands_still = stands_still(seen).filter(|(situation, ..)| *situation != Situation::NoTarget);
    if let Some((situation, why, next)) = stands_still {
        let says = format!(
            "Claimed for {}, and nothing more is recorded of it, because {why}; its lease is until {}.",
            attempt(row),
            time::at(row.due_at, seen.now)
        );
        return Verdict::new(situation, says, next);
    }
    let is_over = row.due_at <= seen.now;
    let verdict = match (row.is_undelivered(), is_over, row.is_held()) {
        (true, _, _) => undelivered(seen, row),
        (false, true, _) => lease_over(seen, row),
        (false, false, true) => Verdict::new(
            Situation::Running,
            format!(
                "Running: a worker has it, {}; its lease ends at {}.",
                attempt(row),
                time::at(row.due_at, seen.now)
            ),
            "Nothing: the worker reports its end, or the lease ends and it is sent again.",
        ),
        (false, false, false) => queued(seen, one),
    };
    let moved = (row.lease_moves > 0).then(|| {
        let times = text::many(row.lease_moves.into(), "time");
        format!("The sweep extended its lease {times}, because the queue was slow.")
    });
    let execution = match &one.execution {
        Some(Run {
            lookup: Lookup::Unknown(why),
            ..
        }) => Some(why.words()),
        _ => None,
    };
    verdict.also(moved).unless("execution", execution)
}

fn attempt(row: &Row) -> String {
    attempt_among(row, None)
}

/// The same, of a batch of so many events where that is known.
fn attempt_among(row: &Row, events: Option<usize>) -> String {
    let batch = match row.batch {
        Some(batch) => format!(" in {}", text::batch(batch, row.alone, events)),
        None => String::new(),
    };
    format!("attempt {} of {}{batch}", row.attempt, row.max_attempts)
}

/// ` since …`, where that is known.
fn at_time(seen: &Observed, before: &str, at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!(" {before} {}", time::at(at, seen.now)))
}

/// Step Functions has the execution of its batch, and that was not given the event at this attempt.
fn left_out(seen: &Observed, row: &Row, execution: &Described) -> Verdict {
    let when = match (execution.is_running(), row.due_at > seen.now) {
        (true, _) => {
            "once its lease is over, and three more at most while the batch runs, the sweep".to_owned()
        }
        (false, true) => format!(
            "once its lease is over, at {}, the sweep",
            time::at(row.due_at, seen.now)
        ),
        (false, false) => "the next sweep".to_owned(),
    };
    Verdict::new(
        Situation::LeftOut,
        format!(
            "Left out: its batch's execution {} {}, and was not given this event: {}.",
            execution.name,
            course(seen, execution),
            attempt(row)
        ),
        format!(
            "Nothing: {when} sends it again; then it goes back, no attempt used, and gets another batch."
        ),
    )
}

/// The execution of its batch is there, and what it was given cannot be read.
fn unread(seen: &Observed, row: &Row, execution: &Described) -> Verdict {
    let situation = match execution.is_running() {
        true => Situation::Running,
        false => Situation::Ended,
    };
    Verdict::new(
        situation,
        format!(
            "Its batch's execution {} {}; whether it was given this event is not known: {}.",
            execution.name,
            course(seen, execution),
            attempt(row)
        ),
        "May whoever asks read the execution's input (states:DescribeExecution, and the key if it is encrypted)? Nothing is settled \
         before the functions can.",
    )
    .unless("execution", Some("its input cannot be read"))
}

/// What an execution does or did, as the end of a sentence about it.
fn course(seen: &Observed, execution: &Described) -> String {
    match execution.is_running() {
        true => format!("has been running{}", at_time(seen, "since", execution.started_at)),
        false => format!(
            "ended{} ({})",
            at_time(seen, "at", execution.ended_at),
            execution.status
        ),
    }
}

/// Step Functions has its execution; one for so many events, where that is known.
fn executed(seen: &Observed, row: &Row, execution: &Described, events: Option<usize>) -> Verdict {
    let words = |before: &str, at| at_time(seen, before, at);
    if execution.is_running() {
        let since = words("since", execution.started_at);
        return Verdict::new(
            Situation::Running,
            format!(
                "Running{since}: {}, execution {}.",
                attempt_among(row, events),
                execution.name
            ),
            match row.batch {
                None => "Nothing: its end is reported, and while it runs the sweep leaves it alone.",
                Some(_) => "Nothing: its end is reported, and while it runs the event stays with it.",
            },
        );
    }
    Verdict::new(
        Situation::Ended,
        format!(
            "Its execution {} ended{}: {}; the ledger does not know yet.",
            execution.name,
            words("at", execution.ended_at),
            execution.status
        ),
        format!(
            "Nothing: the report may be on its way; if it never comes, the end is read after the lease, at {}.",
            time::at(row.due_at, seen.now)
        ),
    )
}

fn undelivered(seen: &Observed, row: &Row) -> Verdict {
    Verdict::new(
        Situation::Undelivered,
        format!(
            "Undelivered: {} was put on the dispatch queue {} times and nothing started it; its lease {} {}.",
            attempt(row),
            row.deliveries,
            if row.due_at <= seen.now {
                "ended at"
            } else {
                "ends at"
            },
            time::at(row.due_at, seen.now)
        ),
        "Is anything reading the dispatch queue, and may it start what it should? `daybook doctor` checks.",
    )
}

fn lease_over(seen: &Observed, row: &Row) -> Verdict {
    let who = match row.is_held() {
        true => "the worker that held it was not heard from again",
        false => "nothing was heard from it",
    };
    let lease = time::at(row.due_at, seen.now);
    Verdict::new(
        Situation::LeaseOver,
        format!("Its lease ended at {lease}, and {who}: {}.", attempt(row)),
        "The next sweep checks on it; `daybook sweep` runs it once.",
    )
}

fn queued(seen: &Observed, one: &Seen) -> Verdict {
    let row = &one.row;
    let times = match row.deliveries {
        0 | 1 => String::new(),
        n => format!(" {n} times"),
    };
    let depth = match &seen.depth {
        Fact::Known(depth) => format!(", which holds about {}", text::many(*depth, "message")),
        Fact::Unknown(_) | Fact::NotAsked(_) => String::new(),
    };
    let started = match (&one.execution, seen.up) {
        (
            Some(Run {
                lookup: Lookup::Unknown(_),
                ..
            }),
            _,
        ) => "whether it was started is unknown",
        (None, None) => "no worker has taken it; whether an execution runs is not known",
        (None, Some(_)) => "no worker has taken it yet",
        (Some(_), _) => "it was not started yet",
    };
    let no_machine = matches!((&one.execution, seen.up), (None, None))
        .then_some(
            "no state machine is named: --state-machine-arn (DAYBOOK_STATE_MACHINE_ARN). A function or a queue as the target cannot be asked",
        );
    let lease = time::at(row.due_at, seen.now);
    Verdict::new(
        Situation::Queued,
        format!(
            "Sent{times} to the dispatch queue{depth}, and {started}: {}.",
            attempt(row)
        ),
        format!("Nothing: if nothing is heard by {lease}, the sweep checks on it."),
    )
    .without("execution", no_machine)
    .without("queue", seen.depth.why_not().filter(|_| seen.up.is_none()))
}

fn parked(seen: &Observed, row: &Row) -> Verdict {
    let since = time::at(row.due_at, seen.now);
    let error = row.last_error.as_deref();
    match &row.subject {
        Subject::Raw { payload, source, .. } => Verdict::new(
            Situation::Unreadable,
            format!(
                "Parked because the notification cannot be read, since {since}: {} ({} bytes from source {source}).",
                error.unwrap_or("nobody knows why"),
                payload.len()
            ),
            "`daybook show` has the payload. `daybook redrive` reads it again (with a release that can), `daybook remove` removes it.",
        ),
        Subject::Event(event) => {
            let used = match row.attempt {
                Attempt(0) => "before its first attempt".to_owned(),
                attempt => format!("after attempt {attempt} of {}", row.max_attempts),
            };
            let error = error.map_or_else(|| ".".to_owned(), |error| format!(": {error}."));
            Verdict::new(
                Situation::Parked,
                format!("Parked {used}, since {since}{error}"),
                format!(
                    "It waits for a person. Fix the cause, then `daybook redrive` gives {} another round of attempts; \
                     `daybook remove` removes it.",
                    name(event)
                ),
            )
        }
    }
}

fn name(event: &ObjectEvent) -> String {
    event.id.to_string()
}
