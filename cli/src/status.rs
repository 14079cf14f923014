//! `daybook status`: how many events stand where, and whether anything moves.

use std::process::ExitCode;

use clap::Args;
use daybook_ledger::{Control, Count, IndexKey, Ledger, LedgerError};
use daybook_schema::{Status, Timestamp};
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::deployment::{Deployment, DeploymentArguments, Place};
use crate::report;
use crate::view;

/// Show how many events wait, are on their way and wait for a person, and whether anything moves
///
/// The budget, a pause and the queue's depth are shown beside the counts. What cannot be found out is called unknown, and
/// stderr says why.
///
/// Counting reads the index: about one read unit per 50 rows. Up to 10,000 rows are counted in each of the 16 shards of a
/// status (--count-to), and beyond that the number is "at least". --exact counts all, however many there are.
///
/// With --output json: pending, claimed and parked each have rows, exact (false: at least so many) and first (id, due_at,
/// recorded_at of the row that comes first); pending has due and later, claimed has within_lease and lease_over, and each of
/// these has an _exact beside it. dispatch has per_window (null: as configured), window (start, seconds, granted), owed and
/// paused. What is not known is null, and failures says why.
#[derive(Args, Debug)]
pub struct StatusArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// Count all rows, however many there are
    #[arg(long, help_heading = "Counting", conflicts_with = "count_to")]
    exact: bool,

    /// Stop counting at about so many rows in each of the 16 shards of a status, and say "at least"
    #[arg(long, value_name = "N", default_value = "10000", help_heading = "Counting")]
    #[arg(value_parser = crate::settings::at_least_one)]
    count_to: u32,
}

/// What was found out; each part by itself.
struct Found {
    now: Timestamp,
    control: Part<Control>,
    due: Part<Count>,
    later: Part<Count>,
    within_lease: Part<Count>,
    lease_over: Part<Count>,
    parked: Part<Count>,
    first: [FirstPart; 3],
    depth: Option<Result<u64, String>>,
}

type Part<T> = Result<T, LedgerError>;

/// Told by several requests, of which more than one may fail.
type FirstPart = Result<Option<First>, String>;

/// The row of a status that comes first.
#[derive(Clone, Copy)]
struct First {
    key: IndexKey,
    /// Not known when the row has gone on meanwhile.
    recorded_at: Option<Timestamp>,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, its ledger not be read, or a part is not known.
pub async fn run(arguments: StatusArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open().await?;
    let enough = Some(arguments.count_to).filter(|_| !arguments.exact);
    let found = gather(&deployment, enough).await;
    if found.counts().iter().all(|count| count.is_err())
        && let Err(error) = found.control
    {
        return Err(deployment.place.ledger_failure(error).into());
    }
    let failures = found.failures();
    report::print(
        output,
        &found.lines(&deployment),
        &found.json(&deployment, &failures),
    )?;
    if matches!((&found.depth, &deployment.place), (None, Place::Aws { .. })) {
        eprintln!(
            "note: the queue's depth is unknown, because no queue is named: --dispatch-queue-url \
             (DAYBOOK_DISPATCH_QUEUE_URL) names it, or --stack (DAYBOOK_STACK)"
        );
    }
    report::incomplete(&failures, &deployment.place)
}

async fn gather(deployment: &Deployment, enough: Option<u32>) -> Found {
    let ledger = &deployment.ledger;
    let now = ledger.clock().now();
    let depth = async {
        let queue = deployment.queue.as_ref()?;
        Some(queue.depth().await.map_err(|error| error.to_string()))
    };
    let counts = async {
        tokio::join!(
            ledger.count(Status::Pending, Some(now), enough),
            ledger.count_after(Status::Pending, now, enough),
            ledger.count_after(Status::Claimed, now, enough),
            ledger.count(Status::Claimed, Some(now), enough),
            ledger.count(Status::Parked, None, enough),
        )
    };
    let firsts = async {
        tokio::join!(
            first(ledger, Status::Pending),
            first(ledger, Status::Claimed),
            first(ledger, Status::Parked),
        )
    };
    let (control, (due, later, within_lease, lease_over, parked), firsts, depth) =
        tokio::join!(ledger.control(), counts, firsts, depth);
    Found {
        now,
        control,
        due,
        later,
        within_lease,
        lease_over,
        parked,
        first: [firsts.0, firsts.1, firsts.2],
        depth,
    }
}

async fn first(ledger: &Ledger, status: Status) -> FirstPart {
    let mut rows = ledger.due(status, None, 1);
    let keys = rows.next(1).await;
    if let Some(failure) = report::shard_failures(rows.failures()).into_iter().next() {
        return Err(failure);
    }
    let Some(key) = keys.first().copied() else {
        return Ok(None);
    };
    // One that cannot be read is shown by `list`; here its place in the index says enough.
    let row = match ledger.get(key.id).await {
        Ok(row) => row,
        Err(LedgerError::Item { .. }) => None,
        Err(error) => return Err(report::chain(&error)),
    };
    Ok(Some(First {
        key,
        recorded_at: row.map(|row| row.recorded_at),
    }))
}

impl Found {
    fn counts(&self) -> [&Part<Count>; 5] {
        [
            &self.due,
            &self.later,
            &self.within_lease,
            &self.lease_over,
            &self.parked,
        ]
    }

    /// Each cause once: 80 requests to one table tend to fail alike.
    fn failures(&self) -> Vec<String> {
        let counts = self.counts();
        let counts = counts.iter().filter_map(|count| count.as_ref().err());
        let of_ledger = self.control.as_ref().err().into_iter().chain(counts);
        let firsts = self.first.iter().filter_map(|first| first.as_ref().err());
        let of_queue = self.depth.as_ref().and_then(|depth| depth.as_ref().err());
        let mut failures: Vec<String> = of_ledger
            .map(|error| report::chain(error))
            .chain(firsts.chain(of_queue).cloned())
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        failures.retain(|failure| seen.insert(failure.clone()));
        failures
    }

    fn lines(&self, deployment: &Deployment) -> Vec<Line> {
        let mut lines: Vec<Line> = vec![("where", deployment.place.to_string(), String::new())];
        let mut count = |what, count: Option<Count>, meaning: String| {
            lines.push((
                what,
                count.map_or_else(|| UNKNOWN.to_owned(), view::count),
                meaning,
            ));
        };
        let [pending, claimed, parked] = &self.first;
        let pending_first = self.tell(pending, "; the oldest is due since", "; the next is due");
        count(
            "pending",
            both(&self.due, &self.later),
            format!("wait to be sent{pending_first}"),
        );
        count("  due", self.due.as_ref().ok().copied(), "now".to_owned());
        count(
            "  later",
            self.later.as_ref().ok().copied(),
            "not before their time: a retry waits longer each time".to_owned(),
        );
        let claimed_first = self.tell(claimed, "; the first lease ended", "; the first lease ends");
        count(
            "claimed",
            both(&self.within_lease, &self.lease_over),
            format!("were sent, and are queued or processed{claimed_first}"),
        );
        count(
            "  in time",
            self.within_lease.as_ref().ok().copied(),
            "within their leases".to_owned(),
        );
        count(
            "  overdue",
            self.lease_over.as_ref().ok().copied(),
            "their leases are over: the next sweep looks after them".to_owned(),
        );
        let parked_first = self.tell(parked, "; the oldest since", "; the first from");
        count(
            "parked",
            self.parked.as_ref().ok().copied(),
            format!("wait for a person{parked_first}"),
        );
        match (&self.depth, &deployment.place) {
            (Some(Ok(depth)), _) => lines.push((
                "queue",
                depth.to_string(),
                "messages in the dispatch queue, as SQS counts: about".to_owned(),
            )),
            (None, Place::Local { .. }) => {}
            _ => lines.push((
                "queue",
                UNKNOWN.to_owned(),
                "messages in the dispatch queue".to_owned(),
            )),
        }
        lines.extend(self.dispatch_lines());
        if let Place::Local { running, .. } = &deployment.place {
            let says = match running {
                Some(running) => format!("runs: process {}, at {}", running.pid, running.url),
                None => "does not run: nothing moves until it is started".to_owned(),
            };
            lines.push(("daybook up", says, String::new()));
        }
        lines
    }

    /// The first row's times, or nothing when there is none.
    fn tell(&self, first: &FirstPart, past: &str, future: &str) -> String {
        let first = match first {
            Ok(Some(first)) => first,
            Ok(None) => return String::new(),
            Err(_) => return "; the oldest is unknown".to_owned(),
        };
        let words = if first.key.due_at <= self.now {
            past
        } else {
            future
        };
        let recorded = first
            .recorded_at
            .map(|at| format!(", recorded {}", view::relative(at, self.now)));
        format!(
            "{words} {}{}",
            view::at(first.key.due_at, self.now),
            recorded.unwrap_or_default()
        )
    }

    fn dispatch_lines(&self) -> Vec<Line> {
        let Ok(control) = &self.control else {
            return vec![("dispatch", UNKNOWN.to_owned(), String::new())];
        };
        let dispatch = pause_words(control, self.now);
        let n = per_window_words(control);
        let window = match control.window {
            Some(start) => {
                let length = std::time::Duration::from_millis(control.window_millis);
                format!(
                    "{} granted in the newest window, from {}, {} long",
                    control.granted,
                    view::at(start, self.now),
                    humantime::format_duration(length)
                )
            }
            None => "nothing was ever granted".to_owned(),
        };
        vec![
            ("dispatch", dispatch, String::new()),
            ("budget", format!("{n}; {window}"), String::new()),
        ]
    }

    fn json(&self, deployment: &Deployment, failures: &[String]) -> Value {
        let rows = |count: &Part<Count>| count.as_ref().ok().map(|count| count.rows);
        let exact = |count: &Part<Count>| count.as_ref().ok().map(|count| count.exact);
        let whole = |count: Option<Count>, first: &FirstPart, parts: Value| {
            let mut whole = json!({
                "rows": count.map(|count| count.rows),
                "exact": count.map(|count| count.exact),
                "first": first.as_ref().ok().copied().flatten().map(|first| json!({
                    "id": first.key.id, "due_at": first.key.due_at, "recorded_at": first.recorded_at,
                })),
            });
            if let (Value::Object(whole), Value::Object(parts)) = (&mut whole, parts) {
                whole.extend(parts);
            }
            whole
        };
        let [pending, claimed, parked] = &self.first;
        let local = match &deployment.place {
            Place::Aws { .. } => Value::Null,
            Place::Local { dir, running, .. } => json!({
                "folder": dir.display().to_string(),
                "running": running.is_some(),
                "pid": running.as_ref().map(|running| running.pid),
                "url": running.as_ref().map(|running| &running.url),
            }),
        };
        json!({
            "where": deployment.place.to_string(),
            "pending": whole(
                both(&self.due, &self.later),
                pending,
                json!({
                    "due": rows(&self.due),
                    "due_exact": exact(&self.due),
                    "later": rows(&self.later),
                    "later_exact": exact(&self.later),
                }),
            ),
            "claimed": whole(
                both(&self.within_lease, &self.lease_over),
                claimed,
                json!({
                    "within_lease": rows(&self.within_lease),
                    "within_lease_exact": exact(&self.within_lease),
                    "lease_over": rows(&self.lease_over),
                    "lease_over_exact": exact(&self.lease_over),
                }),
            ),
            "parked": whole(self.parked.as_ref().ok().copied(), parked, json!({})),
            "queue_depth": self.depth.as_ref().and_then(|depth| depth.as_ref().ok()),
            "dispatch": self.control.as_ref().ok().map(|control| dispatch_json(control, self.now)),
            "local": local,
            "failures": failures,
        })
    }
}

type Line = (&'static str, String, String);

const UNKNOWN: &str = "unknown";

fn both(one: &Part<Count>, other: &Part<Count>) -> Option<Count> {
    let (one, other) = (one.as_ref().ok()?, other.as_ref().ok()?);
    Some(view::sum(*one, *other))
}

/// Whether dispatch is paused, in words that follow "dispatch".
fn pause_words(control: &Control, now: Timestamp) -> String {
    let Some(pause) = control.pause(now) else {
        return "is not paused".to_owned();
    };
    let since = control
        .paused_at
        .map(|at| format!(", since {}", view::at(at, now)));
    format!(
        "is paused {}{}",
        report::paused(&pause),
        since.unwrap_or_default()
    )
}

/// What N is, in words.
pub fn per_window_words(control: &Control) -> String {
    match control.per_window {
        Some(n) => format!("N is {n} per window, set while running"),
        None => "N is as the scheduler is configured".to_owned(),
    }
}

/// The control item for programs.
pub fn dispatch_json(control: &Control, now: Timestamp) -> Value {
    let window = control.window.map(|start| {
        let seconds = std::time::Duration::from_millis(control.window_millis).as_secs_f64();
        json!({"start": start, "seconds": seconds, "granted": control.granted})
    });
    let paused = control.pause(now).map(
        |pause| json!({"since": control.paused_at, "until": pause.until, "by": pause.by, "why": pause.why}),
    );
    json!({
        "per_window": control.per_window,
        "window": window,
        "owed": control.owed,
        "paused": paused,
        "installed_at": control.installed_at,
    })
}
