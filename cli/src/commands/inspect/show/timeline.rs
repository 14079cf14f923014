//! Telling it: one timeline per open row, and the receipts.

use daybook_inspect::lookup::history::{Found, Open};
use daybook_inspect::lookup::next_step::{Next, next};
use daybook_inspect::lookup::run::{Named, Run};
use daybook_inspect::parts::{Runs, UpState};
use daybook_inspect::views;
use daybook_inspect::wording::{text, time};
use daybook_ledger::Lookup;
use daybook_manager::Described;
use daybook_schema::cloud_event::Data;
use daybook_schema::{
    CloudEvent, ObjectEvent, Origin, Outcome, Receipt, Row, RunName, Status, Subject, Timestamp,
};

use crate::ui::escape;

/// Of a payload that cannot be read, so many characters are shown.
const PAYLOAD: usize = 400;

/// For people.
pub fn text(found: &Found, (up, runs): (Option<UpState>, Option<Runs<'_>>), now: Timestamp) -> String {
    let open = found.open.iter().map(|open| match open {
        Open::Unreadable { id, why } => section(
            "A row that this release cannot read",
            &[fact("id", escape::escaped(id)), fact("why", escape::escaped(why))],
            Vec::new(),
            now,
        ),
        Open::Row {
            row,
            execution,
            done_by_receipt,
        } => {
            let control = found.control.as_ref();
            let next = next(row, *done_by_receipt, control, now);
            let mut facts = facts(row);
            facts.push(fact("now", state(row, execution.as_ref())));
            if let Some((since, pid)) = runs.and_then(|runs| runs.of(row)) {
                let since = time::at(since, now);
                facts.push(fact(
                    "run",
                    format!("since {since}, in process {pid} (`daybook up`)"),
                ));
            }
            if let Some(run) = execution {
                facts.push(fact("execution", run_text(row, run, now)));
            }
            if let Some(error) = &row.last_error {
                facts.push(fact("last error", escape::escaped(error)));
            }
            if let Some(caveat) = &row.caveat {
                facts.push(fact("caveat", escape::escaped(caveat)));
            }
            if let Some(note) = &row.note {
                facts.push(fact("note", escape::escaped(note)));
            }
            facts.push(fact("next", escape::escaped(&next.words(up, now))));
            section(&title(row), &facts, timeline(row, execution.as_ref(), &next), now)
        }
    });
    let is_open = !found.open.is_empty();
    let done = found
        .receipts
        .iter()
        .map(|receipt| receipt_text(receipt, is_open, now));
    open.chain(done).collect::<Vec<_>>().join("\n")
}

type Fact = (&'static str, String);

/// What happened when.
type Moment = (Timestamp, String);

fn fact(what: &'static str, text: String) -> Fact {
    (what, text)
}

fn section(title: &str, facts: &[Fact], mut moments: Vec<Moment>, now: Timestamp) -> String {
    let mut text = format!("{title}\n");
    for (what, value) in facts {
        text.push_str(&format!("  {what:10}  {value}\n"));
    }
    moments.sort_by_key(|(at, _)| *at);
    if !moments.is_empty() {
        text.push('\n');
    }
    for (at, what) in moments {
        text.push_str(&format!("  {at}  {what} ({})\n", time::relative(at, now)));
    }
    text
}

fn title(row: &Row) -> String {
    match &row.subject {
        Subject::Event(event) => escape::event_uri(event),
        Subject::Raw { .. } => "A notification that cannot be read".to_owned(),
    }
}

fn facts(row: &Row) -> Vec<Fact> {
    let mut facts = vec![fact("id", row.id.to_string())];
    match &row.subject {
        Subject::Event(event) => facts.extend(event_facts(event)),
        Subject::Raw { payload, source, .. } => {
            facts.push(fact("source", source.to_string()));
            let beginning = escape::escaped(&text::shortened(payload, PAYLOAD));
            facts.push(fact("payload", format!("{} bytes: {beginning}", payload.len())));
        }
    }
    facts
}

/// What a general event says, but for its data: of that its beginning.
fn general_facts(general: &CloudEvent) -> Vec<Fact> {
    let mut facts = vec![
        fact(
            "event",
            format!("{}, a CloudEvent", escape::escaped(&general.event_type)),
        ),
        fact(
            "source",
            format!(
                "{}, id {}",
                escape::escaped(&general.source),
                escape::escaped(&general.id)
            ),
        ),
    ];
    let texts = [
        ("subject", general.subject.as_deref()),
        ("group", general.partition_key()),
    ];
    for (name, text) in texts {
        facts.extend(text.map(|text| fact(name, escape::escaped(text))));
    }
    let data = match &general.data {
        None => "none".to_owned(),
        Some(Data::Json(json)) => {
            let beginning = escape::escaped(&text::shortened(json.as_str(), PAYLOAD));
            format!("{} bytes: {beginning}", json.as_str().len())
        }
        Some(Data::Base64(base64)) => format!("{} bytes of Base64", base64.len()),
    };
    facts.push(fact("data", data));
    facts
}

fn event_facts(event: &ObjectEvent) -> Vec<Fact> {
    if let Some(general) = &event.general {
        return general_facts(general);
    }
    let region = event.region.as_deref().map(escape::escaped);
    let region = region
        .map(|region| format!(", region {region}"))
        .unwrap_or_default();
    let origin = match &event.origin {
        Origin::Notification => "reported by a notification",
        Origin::Listing { .. } => "found by listing the bucket",
        Origin::Replay { .. } => "replayed on purpose",
    };
    let name = match event.event_name.as_str() {
        "" => String::new(),
        name => format!(" ({})", escape::escaped(name)),
    };
    let unknown = || "unknown".to_owned();
    let size = event.size.map_or_else(unknown, |size| text::many(size, "byte"));
    let etag = event.etag.as_deref().map_or_else(unknown, escape::escaped);
    let sequencer = event.sequencer.as_ref().map_or_else(unknown, ToString::to_string);
    vec![
        fact(
            "event",
            format!("{}{name}, {origin}", escape::escaped(event.kind.as_str())),
        ),
        fact("source", format!("{}{region}", event.source)),
        fact(
            "object",
            format!("size {size}, etag {etag}, sequencer {sequencer}"),
        ),
    ]
}

/// Where the row stands, in words.
fn state(row: &Row, execution: Option<&Run>) -> String {
    let status = row.status;
    let alone = match row.alone && row.batch.is_none() {
        true => "; run by itself, because it failed together with others",
        false => "",
    };
    let used = |n: u32| format!("{n} of {} attempts used{alone}", row.max_attempts);
    match status {
        Status::Pending => format!("{status}: {}", used(row.attempt.0)),
        Status::Parked if matches!(row.subject, Subject::Raw { .. }) => {
            format!("{status}: nothing can be run for it")
        }
        Status::Parked => format!("{status}: {}", used(row.attempt.0)),
        Status::Claimed => {
            let where_ = match row.deliveries {
                0 => "a worker holds it".to_owned(),
                1 => "sent to the dispatch queue".to_owned(),
                n => format!("sent to the dispatch queue {n} times"),
            };
            let undelivered = match row.is_undelivered() {
                true => ": undelivered, nothing takes it from there",
                false => "",
            };
            let moves = match row.lease_moves {
                0 => String::new(),
                n => format!(
                    "; its lease was extended {}, because the queue was slow",
                    text::many(n.into(), "time")
                ),
            };
            let events = match execution.map(|run| run.named) {
                Some(Named::Yes { events }) => Some(events),
                Some(Named::No | Named::Unknown) | None => None,
            };
            let batch = match row.batch {
                Some(batch) => format!(" in {}", text::batch(batch, row.alone, events)),
                None => String::new(),
            };
            format!(
                "{status}: attempt {} of {} is under way{batch}; {where_}{undelivered}{moves}{alone}",
                row.attempt, row.max_attempts
            )
        }
    }
}

/// The execution of the row's attempt, and what follows if that was not given the event.
fn run_text(row: &Row, run: &Run, now: Timestamp) -> String {
    let name = run.name;
    if let (Lookup::Absent, false) = (&run.lookup, row.status == Status::Claimed) {
        // What ran in a batch ran under the batch's name, and only a claimed row has that.
        return format!(
            "{name}: not there; it was not started, or the attempt was made in a batch, whose name the row no longer has"
        );
    }
    let execution = execution_text(name, &run.lookup, now);
    match (&run.lookup, run.named) {
        (Lookup::Found(described), Named::No) => {
            let runs = if described.is_running() { "runs" } else { "ran" };
            format!(
                "{execution}; it does not name this event: its batch {runs} without it, the sweep sends it again, and it goes back, \
                 no attempt used"
            )
        }
        (Lookup::Found(_), Named::Unknown) => {
            format!(
                "{execution}; its input cannot be read, so that it is not known whether it names this event"
            )
        }
        _ => execution,
    }
}

/// An execution as Step Functions sees it now.
pub(super) fn execution_text(name: RunName, lookup: &Lookup<Described>, now: Timestamp) -> String {
    match lookup {
        Lookup::Absent => format!("{name}: not there; it was not started"),
        Lookup::Unknown(_) => format!("{name}: unknown"),
        Lookup::Found(described) => {
            let since = match (described.ended_at, described.started_at) {
                (Some(ended), _) => format!(" since {}", time::at(ended, now)),
                (None, Some(started)) => format!(" since {}", time::at(started, now)),
                (None, None) => String::new(),
            };
            format!("{name}: {}{since}{}", described.status, why(described))
        }
    }
}

fn why(described: &Described) -> String {
    let parts = [described.error.as_deref(), described.cause.as_deref()];
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    parts.map(|part| format!(": {}", escape::escaped(part))).collect()
}

fn timeline(row: &Row, execution: Option<&Run>, next: &Next) -> Vec<Moment> {
    let happened = row.event().and_then(|event| event.event_time);
    let mut moments: Vec<Moment> = Vec::new();
    let says = match row.cloud_event() {
        None => "happened, as S3 says",
        Some(_) => "happened, as its sender says",
    };
    moments.extend(happened.map(|at| (at, says.to_owned())));
    moments.push((row.recorded_at, "recorded in the ledger".to_owned()));
    if let Some(Run {
        lookup: Lookup::Found(described),
        named,
        ..
    }) = execution
    {
        let of = match (row.batch, named) {
            (_, Named::No) => "its batch, without it,".to_owned(),
            (Some(_), Named::Unknown) => "its batch".to_owned(),
            (Some(_), _) => format!("its batch in attempt {}", row.attempt),
            (None, _) => format!("attempt {}", row.attempt),
        };
        let started = described
            .started_at
            .map(|at| (at, format!("execution of {of} started")));
        let ended = described.ended_at.map(|at| {
            let status = &described.status;
            (at, format!("execution of {of} ended: {status}"))
        });
        moments.extend(started.into_iter().chain(ended));
    }
    let due = match (row.status, next) {
        (_, Next::Done) => None,
        (Status::Pending, _) => Some("due"),
        (Status::Claimed, Next::Sweep) => Some("its lease ended"),
        (Status::Claimed, _) => Some("its lease ends"),
        (Status::Parked, _) => Some("parked"),
    };
    moments.extend(due.map(|due| (row.due_at, due.to_owned())));
    moments
}

fn receipt_text(receipt: &Receipt, is_open: bool, now: Timestamp) -> String {
    let how = match receipt.outcome {
        Outcome::Succeeded => "done",
        Outcome::Removed => "removed by a person",
    };
    let version = receipt.version_id.as_deref();
    let general = receipt.general_event();
    let uri = match &general {
        Some(general) => escape::escaped(general),
        None => escape::object_uri(receipt.bucket.as_str(), receipt.key.as_str(), version),
    };
    let unknown = || "unknown".to_owned();
    let size = receipt.size.map_or_else(unknown, |size| text::many(size, "byte"));
    let etag = receipt.etag.as_deref().map_or_else(unknown, escape::escaped);
    let mut facts = vec![
        fact("event id", receipt.event_id.to_string()),
        fact(
            "event",
            format!(
                "{}, source {}",
                escape::escaped(receipt.kind.as_str()),
                receipt.source
            ),
        ),
        fact("object", format!("size {size}, etag {etag}")),
        fact(
            how_fact(receipt.outcome),
            format!(
                "{} by {}, in attempt {}",
                time::at(receipt.completed_at, now),
                escape::escaped(&receipt.by),
                receipt.attempt
            ),
        ),
    ];
    if general.is_some() {
        facts.retain(|(name, _)| *name != "object");
    }
    if let Some(why) = &receipt.why {
        facts.push(fact("why", escape::escaped(why)));
    }
    if let Some(note) = &receipt.note {
        facts.push(fact("note", escape::escaped(note)));
    }
    if let Some(at) = views::expires_at(receipt) {
        facts.push(fact("kept until", time::at(at, now)));
    }
    let title = match is_open {
        true => format!("{uri}: the newest event of this object that is {how}"),
        false => format!("{uri}: {how}"),
    };
    section(&title, &facts, Vec::new(), now)
}

fn how_fact(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "done",
        Outcome::Removed => "removed",
    }
}
