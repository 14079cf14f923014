//! Executions: one per event and attempt, and an attempt begins only when the one before it has failed.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use daybook_local::{ExecutionStatus, Outcome};
use serde_json::{Value, json};

use super::{Checker, Findings, Property, has_failed};
use crate::simulation::scenario::{FIRST_DELAY, SKEW};
use crate::stage::Stage;

/// One execution.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) attempt: u64,
    pub(super) status: ExecutionStatus,
    pub(super) started: DateTime<Utc>,
    pub(super) ended: Option<DateTime<Utc>>,
    pub(super) runs: u32,
}

/// One run of a worker. One that was dropped has ended and has no status but RUNNING.
#[derive(Clone, Debug)]
pub(crate) struct WorkerRun {
    pub(crate) id: String,
    pub(crate) attempt: u64,
    pub(crate) status: ExecutionStatus,
    pub(crate) started: DateTime<Utc>,
    pub(crate) ended: Option<DateTime<Utc>>,
}

/// The events that an execution's input names.
pub(crate) fn events(input: &Value) -> Vec<&Value> {
    match input["events"].as_array() {
        Some(events) => events.iter().collect(),
        None => vec![input],
    }
}

/// What a successful execution says of its events.
enum Listed {
    These(Vec<String>),
    /// It makes no sense: all have failed.
    All,
}

impl Listed {
    fn of(outcome: Option<&Outcome>) -> Self {
        let Some(Outcome::Succeeded { output }) = outcome else {
            return Self::These(Vec::new());
        };
        let output: Value = serde_json::from_str(output).unwrap();
        match &output["batchItemFailures"] {
            Value::Null => Self::These(Vec::new()),
            Value::Array(items) => {
                let id = |item: &Value| item["itemIdentifier"].as_str().unwrap_or_default().to_owned();
                Self::These(items.iter().map(id).collect())
            }
            _ => Self::All,
        }
    }

    fn has(&self, id: &str) -> bool {
        match self {
            Self::These(ids) => ids.iter().any(|listed| listed == id),
            Self::All => true,
        }
    }
}

/// All executions, by the row that they were for, as their inputs say it.
pub(super) struct Runs(pub(super) BTreeMap<String, Vec<Run>>);

impl Runs {
    pub(super) fn of(checker: &Checker, stage: &Stage) -> Self {
        let mut runs: BTreeMap<String, Vec<Run>> = BTreeMap::new();
        for run in &checker.world.lock().worker_runs {
            runs.entry(run.id.clone()).or_default().push(Run {
                attempt: run.attempt,
                status: run.status,
                started: run.started,
                ended: run.ended,
                runs: 1,
            });
        }
        for one in stage.aws.executions().all() {
            let input: Value = serde_json::from_str(&one.input).unwrap();
            let failed = Listed::of(one.outcome.as_ref());
            for event in events(&input) {
                let id = event["id"].as_str().unwrap_or_default().to_owned();
                let status = match failed.has(&id) {
                    true => ExecutionStatus::Failed,
                    false => one.status,
                };
                runs.entry(id).or_default().push(Run {
                    attempt: event["attempt"].as_u64().unwrap_or(0),
                    status,
                    started: one.started_at,
                    ended: one.stopped_at,
                    runs: one.runs,
                });
            }
        }
        for of_row in runs.values_mut() {
            of_row.sort_by_key(|run| (run.attempt, run.started));
        }
        Self(runs)
    }

    pub(super) fn running(&self) -> usize {
        let all = self.0.values().flatten();
        all.filter(|run| run.status == ExecutionStatus::Running && run.ended.is_none())
            .count()
    }

    /// How many successes there are of that row.
    pub(super) fn successes(&self, id: &str) -> usize {
        let of_row = self.0.get(id).into_iter().flatten();
        of_row
            .filter(|run| run.status == ExecutionStatus::Succeeded)
            .count()
    }
}

pub(super) fn attempts_are_honest(checker: &Checker, rows: &[Value], runs: &Runs, findings: &mut Findings) {
    let (world, shadow) = (checker.world.lock(), checker.shadows.lock());
    for (id, of_row) in &runs.0 {
        findings.executions += of_row.len();
        let failed = of_row.iter().filter(|run| has_failed(run.status)).count();
        findings.failed_attempts += failed;
        // A batch's name does not protect an event that is recorded again.
        let is_again = shadow
            .inserts
            .get(id)
            .is_some_and(|insert| insert.last_millis > insert.at_millis);
        let is_another = is_batched(checker) && (is_again || !world.restores.is_empty());
        // An invalid input costs an attempt, and has no execution.
        let by_person = world.failed_by_person.contains(id)
            || world.cancelled.contains(id)
            || shadow.invalid.contains(id)
            || is_another;
        one_by_one(id, of_row, by_person, checker, findings);
        for row in rows.iter().filter(|row| row["id"]["S"] == json!(id)) {
            let counted: usize = row["attempt"]["N"]
                .as_str()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            // A row that was restored may be parked as it was before a redrive; what a person failed ran no execution. Where both
            // happened, neither bound holds.
            let is_honest = is_another
                || match (by_person, world.restores.is_empty()) {
                    (true, true) => counted >= failed,
                    (false, true) => counted == failed,
                    (false, false) => counted <= failed,
                    (true, false) => true,
                };
            if !is_honest {
                let text = format!("{id} counts {counted} attempts, {failed} executions failed");
                findings.violate(Property::Attempts, text);
            }
        }
    }
}

fn is_batched(checker: &Checker) -> bool {
    checker.scenario.batching().is_some()
}

fn one_by_one(id: &str, runs: &[Run], by_person: bool, checker: &Checker, findings: &mut Findings) {
    let mut violation = |text: String| findings.violate(Property::Attempts, format!("{id}: {text}"));
    for run in runs.iter().filter(|run| run.runs != 1) {
        violation(format!("attempt {} ran {} times", run.attempt, run.runs));
    }
    // Clocks of two functions may be off in opposite directions.
    let skew = match checker.scenario.has("clock_skew") {
        true => SKEW * 2,
        false => std::time::Duration::ZERO,
    };
    for pair in runs.windows(2) {
        let [before, run] = pair else { continue };
        if run.attempt == before.attempt && !(by_person && is_batched(checker)) {
            violation(format!("two executions of attempt {}", run.attempt));
            continue;
        }
        // What a person calls failed may run, and may succeed.
        if by_person {
            continue;
        }
        if run.attempt != before.attempt + 1 {
            violation(format!("attempt {} began without the one before it", run.attempt));
        }
        if !has_failed(before.status) {
            violation(format!(
                "attempt {} began, and the one before it had not failed",
                run.attempt
            ));
        }
        // Jitter takes up to half of the backoff away; it doubles up to an hour.
        let backoff = FIRST_DELAY.mul_f64(2f64.powf(before.attempt as f64 - 1.0));
        let backoff = (backoff.min(std::time::Duration::from_secs(3600)) / 2).saturating_sub(skew);
        let earliest = before
            .ended
            .map(|ended| ended + Duration::from_std(backoff).unwrap_or_default());
        // A redrive comes when a person wants it.
        let is_redriven = before.attempt >= 4;
        if !is_redriven && earliest.is_none_or(|earliest| run.started < earliest) {
            violation(format!(
                "attempt {} began before the backoff was over",
                run.attempt
            ));
        }
    }
    if runs.first().is_some_and(|run| run.attempt != 1) && !by_person {
        violation("the first attempt was not attempt 1".into());
    }
}

/// A worker fails an attempt that so many before it took and let go (docs/guarantees.md).
const MOST_DEATHS: usize = 3;

/// Of workers less is promised: an attempt may be run again when its worker died. No two runs of one event overlap, an attempt
/// begins only when the one before it was tried, and a row has used no more attempts than there were runs without success,
/// and attempts that workers took three times and died with before anything ran.
pub(super) fn workers_are_honest(checker: &Checker, rows: &[Value], runs: &Runs, findings: &mut Findings) {
    let (world, shadow) = (checker.world.lock(), checker.shadows.lock());
    // A lease ends by two clocks.
    let skew = match checker.scenario.has("clock_skew") {
        true => Duration::from_std(SKEW * 2).unwrap_or_default(),
        false => Duration::zero(),
    };
    for (id, of_row) in &runs.0 {
        findings.executions += of_row.len();
        let failed = of_row
            .iter()
            .filter(|run| run.status == ExecutionStatus::Failed)
            .count();
        findings.failed_attempts += failed;
        // A person may give back, fail or cancel what a worker still works on.
        let is_meddled_with = world.failed_by_person.contains(id)
            || world.cancelled.contains(id)
            || world.freed.contains(id)
            || !world.restores.is_empty();
        if is_meddled_with {
            continue;
        }
        let mut by_time = of_row.clone();
        by_time.sort_by_key(|run| run.started);
        for pair in by_time.windows(2) {
            let [before, run] = pair else { continue };
            if before.ended.is_none_or(|ended| run.started + skew < ended) {
                let text = format!("{id}: a worker began attempt {} while another ran", run.attempt);
                findings.violate(Property::Attempts, text);
            }
            if run.attempt > before.attempt + 1 {
                let text = format!("{id}: attempt {} began without the one before it", run.attempt);
                findings.violate(Property::Attempts, text);
            }
        }
        let unsuccessful = of_row
            .iter()
            .filter(|run| run.status != ExecutionStatus::Succeeded)
            .count();
        for row in rows.iter().filter(|row| row["id"]["S"] == json!(id)) {
            let counted: usize = row["attempt"]["N"]
                .as_str()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            let died_with = |attempt: &u64| {
                let takes = shadow.takes.get(&(id.clone(), *attempt)).copied().unwrap_or(0);
                takes >= MOST_DEATHS && of_row.iter().all(|run| run.attempt != *attempt)
            };
            let unrun = (1..=counted as u64).filter(died_with).count();
            if counted > unsuccessful + unrun {
                let text = format!(
                    "{id} counts {counted} attempts, {unsuccessful} runs were without success, {unrun} never ran"
                );
                findings.violate(Property::Attempts, text);
            }
        }
    }
}
