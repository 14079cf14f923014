//! Watches from outside: what S3 did and told, what executions ran, what DynamoDB and SQS did on the wire, what is in the tables
//! as raw JSON. It uses none of the ledger's own code, which could share its errors.

mod express;
mod general;
mod lost;
mod runs;
mod strangers;

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_local::ExecutionStatus;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::runs::Runs;
pub(crate) use self::runs::{WorkerRun, events};
use super::actors::GARBAGE;
use super::scenario::Scenario;
use super::shadow::Shadows;
use super::world::SharedHistory;
use crate::stage::Stage;

/// What must hold in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// Nothing that was acknowledged is lost.
    Lost,
    /// One execution per event and attempt, and attempts are honest.
    Attempts,
    /// N per window, the cap plus N in flight, nothing during a pause.
    Budget,
    /// When faults stop everything drains.
    Drain,
    /// Status, counts and write units agree with the world.
    Counts,
    /// Done twice only in the documented cases.
    Duplicates,
}

impl Property {
    /// Its number and name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "1 nothing is lost",
            Self::Attempts => "2 attempts are honest",
            Self::Budget => "3 the budget holds",
            Self::Drain => "4 everything drains",
            Self::Counts => "5 counts and costs agree",
            Self::Duplicates => "6 duplicates are documented",
        }
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which property does not hold.
    pub property: Property,
    /// What was seen.
    pub text: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.property.name(), self.text)
    }
}

impl Findings {
    fn violate(&mut self, property: Property, text: String) {
        self.violations.push(Violation { property, text });
    }
}

/// What the checker saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// What must never be. Empty in a good run.
    pub violations: Vec<Violation>,
    /// Events that S3 told of.
    pub uploads: usize,
    /// General events that are done, wait for a person, or were taken out by one.
    pub general: usize,
    /// Those of which an execution reported success.
    pub succeeded: usize,
    /// Those whose rows wait for a person.
    pub parked: usize,
    /// Those that a newer event of the same object stands for, or a person's word.
    pub covered: usize,
    /// Objects that S3 did not tell of, and that the audit had processed all the same.
    pub repaired: usize,
    /// Events that a restore took away and that no audit can find: removals, and what was overwritten since.
    pub restored_away: usize,
    /// Objects that S3 did not tell of, and that no audit saw before receipts of their time expired.
    pub out_of_reach: usize,
    /// Executions that were started.
    pub executions: usize,
    /// Attempts that failed.
    pub failed_attempts: usize,
    /// Messages sent to the dispatch queue.
    pub sent: u64,
    /// Attempts whose messages were sent more than once.
    pub redelivered: usize,
    /// Events that were claimed in the write that recorded them.
    pub at_once: usize,
    /// Executions of what had been done before, by the documented case that allows it.
    pub duplicates: BTreeMap<&'static str, u64>,
    /// Write units, as DynamoDB says.
    pub write_units: f64,
    /// Grants that were written.
    pub grants: u64,
    /// How long it took from the end of the faults until all was at rest.
    pub drained_in: Duration,
    /// Steps that rows took, told apart by attempt and delivery.
    pub states: std::collections::BTreeSet<String>,
}

pub(crate) struct Checker {
    scenario: Scenario,
    world: SharedHistory,
    shadows: Shadows,
    drained: Result<Duration, String>,
}

impl Checker {
    pub(crate) fn new(scenario: &Scenario, world: &SharedHistory, shadows: &Shadows) -> Self {
        Self {
            scenario: scenario.clone(),
            world: world.clone(),
            shadows: shadows.clone(),
            drained: Err("never looked".into()),
        }
    }

    /// Waits until nothing is open but what is parked, no message waits, no execution runs, and every object in the bucket is
    /// accounted for; or the time is up. Rows of a newer release that hide none of these go in between.
    pub(crate) async fn drain(&mut self, stage: &Stage, limit: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            tokio::time::sleep(Duration::from_secs(1200)).await;
            let open = self.shadows.rows_in("PENDING") + self.shadows.rows_in("CLAIMED");
            let queues = [&stage.intake, &stage.dispatch_queue, &stage.completion];
            let waiting: usize = queues
                .iter()
                .flat_map(|url| [(*url).clone(), stage.dead_letters_of(url)])
                .map(|url| stage.aws.sqs().depth(&url).unwrap())
                .map(|depth| depth.visible + depth.in_flight + depth.delayed)
                .sum();
            let untold = self.world.lock().on_their_way;
            self.drained = Err(format!(
                "{open} rows open, {waiting} messages waiting, {untold} yet to be told"
            ));
            if open + waiting + untold > 0 {
                continue;
            }
            strangers::take_away(self, stage).await;
            let runs = Runs::of(self, stage);
            let running = runs.running();
            let missing = lost::unaccounted(self, &runs, stage.now().unix_millis());
            if running == 0 && missing.is_empty() {
                self.drained = Ok(begun.elapsed());
                return;
            }
            self.drained = Err(format!("{running} executions run; missing: {missing:?}"));
        }
    }

    pub(crate) async fn findings(&self, stage: &Stage) -> Findings {
        let rows = scan(stage, "ledger").await;
        let runs = Runs::of(self, stage);
        let mut findings = Findings::default();
        match &self.drained {
            Ok(time) => findings.drained_in = *time,
            Err(left) => findings.violate(Property::Drain, format!("not drained: {left}")),
        }
        let now = stage.now().unix_millis();
        lost::nothing_is_lost(self, (&rows, now), &runs, &mut findings);
        general::nothing_is_lost(self, &rows, &runs, &mut findings);
        if self.scenario.has_workers() {
            runs::workers_are_honest(self, &rows, &runs, &mut findings);
        } else if self.scenario.has_express() {
            express::executions_are_honest(self, &rows, &runs, &mut findings);
        } else {
            runs::attempts_are_honest(self, &rows, &runs, &mut findings);
        }
        self.shadow_says(&rows, &mut findings);
        counts_are_true(stage, &rows, &mut findings).await;
        self.dead_letters(stage, &mut findings);
        findings
    }

    /// None is left; and however long the ledger was out, the intake kept its messages.
    fn dead_letters(&self, stage: &Stage, findings: &mut Findings) {
        for queue in [&stage.intake, &stage.dispatch_queue, &stage.completion] {
            let dead = stage.aws.sqs().depth(&stage.dead_letters_of(queue)).unwrap();
            if dead.visible > 0 {
                let text = format!("{} dead letters of {queue}", dead.visible);
                findings.violate(Property::Lost, text);
            }
        }
        let letters = self.world.lock().intake_letters;
        if letters > 0 && !self.scenario.gives_up_early() {
            let text = format!("{letters} messages of the intake queue became dead letters");
            findings.violate(Property::Lost, text);
        }
    }

    fn shadow_says(&self, rows: &[Value], findings: &mut Findings) {
        let shadow = self.shadows.lock();
        findings.violations.extend(shadow.violations.iter().cloned());
        findings.sent = shadow.sent.values().sum();
        findings.at_once = shadow.steps.get("record and claim").map_or(0, |n| *n as usize);
        findings.redelivered = shadow.deliveries.values().filter(|sent| **sent > 1).count();
        findings.write_units = shadow.write_units;
        findings.grants = shadow.grants;
        findings.states = shadow.states.clone();
        let there: BTreeMap<&str, &str> = rows
            .iter()
            .filter(|row| is_row(row))
            .map(|row| (row["id"]["S"].as_str().unwrap_or_default(), status(row)))
            .filter(|(id, _)| !self.world.lock().strangers.contains_key(*id))
            .collect();
        let seen: BTreeMap<&str, &str> = shadow
            .rows
            .iter()
            .map(|(id, row)| (id.as_str(), row.status.as_str()))
            .collect();
        if there != seen {
            let text = format!("the table holds {there:?}, and the writes on the wire came to {seen:?}");
            findings.violate(Property::Counts, text);
        }
        let parked = rows.iter().filter(|row| status(row) == "PARKED");
        for row in parked.filter(|row| row.get("last_error").is_none()) {
            findings.violate(
                Property::Drain,
                format!("{} is parked without a reason", row["id"]["S"]),
            );
        }
        let garbage = rows
            .iter()
            .filter(|row| row["raw"]["S"] == json!(GARBAGE))
            .count();
        let is_restored = !self.world.lock().restores.is_empty();
        if garbage != 1 && !(garbage == 0 && is_restored) {
            let text = format!("{garbage} rows keep the payload that nobody can read");
            findings.violate(Property::Lost, text);
        }
        // Without faults the cost is known to the unit: 8 for an event, 5 for one that is dispatched at once, 6 for every attempt that fails, 1 for a grant. A parked
        // payload has cost 2, and what a person does 3 at most.
        if self.scenario.faults.is_empty() {
            // A worker that puts a row off, or is told to stop, gives its attempt back unused.
            let puts_off = self.scenario.has_workers();
            let freed = &self.world.lock().freed.clone();
            let is_once = |id: &String| !freed.contains(id) && !shadow.overtaken.contains(id);
            let twice = shadow
                .deliveries
                .iter()
                .filter(|((id, _), sent)| **sent > 1 && is_once(id) && !puts_off);
            for ((id, attempt), sent) in twice {
                let text = format!("without faults attempt {attempt} of {id} was sent {sent} times");
                findings.violate(Property::Budget, text);
            }
            let (closed, by_person, cancelled) = {
                let world = self.world.lock();
                let many = [&world.closed, &world.failed_by_person, &world.cancelled];
                many.map(|ids| ids.len() as f64).into()
            };
            let step = |name: &str| shadow.steps.get(name).copied().unwrap_or(0) as f64;
            let (rows, at_once) = (step("record"), step("record and claim"));
            // A worker takes each row, and may put it off.
            let by_workers = match self.scenario.has_workers() {
                true => 6.0 * findings.executions as f64,
                false => 0.0,
            };
            let most = rows * 8.0
                + at_once * 5.0
                + by_workers
                + 6.0 * findings.failed_attempts as f64
                + (shadow.grants + shadow.commands) as f64
                + 3.0 * (closed + by_person + cancelled + step("PARKED→PENDING"))
                // Given back, or cancelled and redriven, and claimed again.
                + 6.0 * (freed.len() as f64 + cancelled)
                + 30.0;
            if shadow.write_units > most {
                let text = format!(
                    "{} write units; the budget for {rows} rows, and {at_once} that were dispatched at once, is {most}",
                    shadow.write_units
                );
                findings.violate(Property::Counts, text);
            }
        }
    }
}

/// What the ledger says of itself at rest is what is there.
async fn counts_are_true(stage: &Stage, rows: &[Value], findings: &mut Findings) {
    for wanted in daybook_schema::Status::ALL {
        let is_wanted = |row: &&Value| is_row(row) && status(row) == wanted.as_str();
        let there = rows.iter().filter(is_wanted).count() as u64;
        match stage.ledger.count(wanted, None, None).await {
            Ok(count) if count.rows == there && count.exact => {}
            other => {
                let text = format!("{there} rows are {wanted}, the ledger says {other:?}");
                findings.violate(Property::Counts, text);
            }
        }
    }
}

fn is_row(item: &Value) -> bool {
    item["id"]["S"] != json!("control")
}

fn status(item: &Value) -> &str {
    item["status"]["S"].as_str().unwrap_or_default()
}

fn has_failed(status: ExecutionStatus) -> bool {
    !matches!(status, ExecutionStatus::Running | ExecutionStatus::Succeeded)
}

/// A table's items as they are, without the ledger, the SDK or the faulty wire.
pub(crate) async fn scan(stage: &Stage, table: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut request = json!({"TableName": table, "ConsistentRead": true});
    loop {
        let answer = stage
            .aws
            .handle("DynamoDB_20120810.Scan", request.to_string().as_bytes())
            .await;
        let mut page: Value = serde_json::from_slice(&answer.body).unwrap();
        items.append(page["Items"].as_array_mut().unwrap());
        match page.get("LastEvaluatedKey") {
            Some(key) => request["ExclusiveStartKey"] = key.clone(),
            None => return items,
        }
    }
}
