//! The tables as the wire shows them to be: every write that DynamoDB did, read from the requests themselves. What is wrong
//! the moment it happens is found here.

mod budget;
mod history;
mod receipts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::DateTime;
use serde_json::Value;

use super::actors::is_newer;
use super::checker::{Property, Violation};
use super::scenario::{PER_WINDOW, SKEW, Scenario, WINDOW};
use super::statement::{Attributes, Statement, attributes, plain};
use super::world::{Restore, SharedHistory};
use crate::stage::{EPOCH_SECONDS, Stage};
use crate::wire::Request;

/// An open row.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShadowRow {
    pub(crate) status: String,
    pub(crate) attempt: u32,
    due_at: i64,
}

/// What a row was about, from its first insert on, and when it was first there.
#[derive(Clone, Debug)]
pub(crate) struct Insert {
    pub(crate) key: String,
    /// Whether it is of a general event.
    pub(crate) general: bool,
    /// Of the object; of a general event its source.
    pub(crate) version: Option<String>,
    pub(crate) removed: bool,
    pub(crate) etag: Option<String>,
    pub(crate) sequencer: Option<String>,
    pub(crate) event_millis: Option<i64>,
    pub(crate) at_millis: i64,
    /// When it was written last; later than `at_millis` if it was recorded again after it was deleted.
    pub(crate) last_millis: i64,
    /// For a repair: when it last looked at the open rows.
    pub(crate) looked_at: Option<i64>,
}

/// So long after the look for an event's receipt it is recorded at most, in milliseconds, where no request has a fault.
const LOOK_UNTIL_INSERT: i64 = 1000;

#[derive(Default)]
pub(crate) struct Shadow {
    pub(crate) rows: BTreeMap<String, ShadowRow>,
    pub(crate) inserts: BTreeMap<String, Insert>,
    /// When rows were deleted last.
    deleted: BTreeMap<String, i64>,
    /// Rows that were deleted just before they were recorded again: the look for their receipts may have come before.
    pub(crate) overtaken: BTreeSet<String>,
    receipts: BTreeMap<Object, Attributes>,
    scans: BTreeMap<u64, i64>,
    /// Which processes claimed a row, or took it for another delivery.
    claimers: BTreeSet<(u64, String)>,
    /// Which processes were told last that a row is not claimed.
    refused: BTreeSet<(u64, String)>,
    /// The window that each process was granted anything of last.
    granted: BTreeMap<u64, i64>,
    /// The newest window of the control item, what was granted in it, and in the one before it.
    newest: (i64, u32, u32),
    /// What the grants that were written came to, by window.
    windows: BTreeMap<i64, u32>,
    /// N, since when: always one at least.
    per_window: Vec<(i64, u32)>,
    paused: Option<Option<i64>>,
    pub(crate) sent: BTreeMap<i64, u64>,
    pub(crate) deliveries: BTreeMap<(String, u64), u64>,
    /// How often a worker took a row, by row and attempt.
    pub(crate) takes: BTreeMap<(String, u64), usize>,
    pub(crate) write_units: f64,
    pub(crate) steps: BTreeMap<String, u64>,
    pub(crate) grants: u64,
    /// What people wrote to the control item: pauses, their ends, and N.
    pub(crate) commands: u64,
    pub(crate) most_claimed: usize,
    pub(crate) states: BTreeSet<String>,
    pub(crate) violations: Vec<Violation>,
    /// Rows that a newer release has written.
    pub(crate) newer: BTreeSet<String>,
    /// Rows that were parked since Step Functions called their input invalid.
    pub(crate) invalid: BTreeSet<String>,
    /// Windows of which a restore has made the control item forget what was granted.
    forgotten: BTreeSet<i64>,
    cap: Option<u32>,
    receipts_on: bool,
}

/// What a receipt speaks of: key, version, kind; of a general event its id, its source, "event".
type Object = (String, Option<String>, String);

/// The shadow. Clones are one.
#[derive(Clone)]
pub(crate) struct Shadows(Arc<Mutex<Shadow>>);

impl Shadows {
    /// Watches the wire from now on.
    pub(crate) fn watch(stage: &Stage, scenario: &Scenario, world: &SharedHistory) -> Self {
        let shadow = Shadow {
            per_window: vec![(i64::MIN, PER_WINDOW)],
            cap: scenario.cap(),
            receipts_on: scenario.has_receipts(),
            ..Shadow::default()
        };
        let shadows = Self(Arc::new(Mutex::new(shadow)));
        let (seen, world, clock) = (shadows.clone(), world.clone(), stage.clock.clone());
        stage.wire.observe(move |request, answer| {
            seen.lock()
                .see(request, answer, clock.now().unix_millis(), &world);
        });
        shadows
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shadow> {
        self.0.lock().unwrap()
    }

    /// How many rows have that status.
    pub(crate) fn rows_in(&self, status: &str) -> usize {
        self.lock()
            .rows
            .values()
            .filter(|row| row.status == status)
            .count()
    }

    /// The ledger was restored to these items.
    pub(crate) fn restored(&self, items: &[Value], restore: &Restore) {
        let rows = items
            .iter()
            .map(attributes)
            .filter(|item| item["id"] != "control");
        let row = |item: Attributes| {
            let row = ShadowRow {
                status: item["status"].clone(),
                attempt: item.get("attempt").and_then(|n| n.parse().ok()).unwrap_or(0),
                due_at: item.get("due_at").map_or(0, |at| millis(at)),
            };
            (item["id"].clone(), row)
        };
        let mut shadow = self.lock();
        shadow.newer = items
            .iter()
            .filter(|item| is_newer(item))
            .map(|item| plain(&item["id"]))
            .collect();
        shadow.rows = rows.map(row).collect();
        let control = items.iter().map(attributes).find(|item| item["id"] == "control");
        let control = control.unwrap_or_default();
        shadow.paused = control
            .get("paused_at")
            .map(|_| control.get("paused_until").map(|at| millis(at)));
        let n = control.get("per_window").and_then(|n| n.parse().ok());
        shadow.per_window.push((restore.at, n.unwrap_or(PER_WINDOW)));
        let length = WINDOW.as_millis() as i64;
        let start = |at: i64| at - at.rem_euclid(length);
        let windows = (start(restore.to) / length - 1)..=(start(restore.at) / length);
        shadow.forgotten.extend(windows.map(|n| n * length));
    }

    /// A receipt was removed by something else than Daybook.
    pub(crate) fn receipt_removed(&self, id: &str) {
        self.lock().receipts.retain(|_, receipt| receipt["id"] != id);
    }
}

impl Shadow {
    /// The largest N in force at any time from then on until now.
    pub(crate) fn most_per_window(&self, since: i64) -> u32 {
        let before = self.per_window.iter().rev().find(|(at, _)| *at <= since);
        let after = self.per_window.iter().filter(|(at, _)| *at > since);
        before
            .into_iter()
            .chain(after)
            .map(|(_, n)| *n)
            .max()
            .unwrap_or(PER_WINDOW)
    }

    fn violation(&mut self, now: i64, property: Property, text: String) {
        let at = now - EPOCH_SECONDS * 1000;
        let text = format!("at {at}: {text}");
        self.violations.push(Violation { property, text });
    }

    fn see(&mut self, request: &Request, answer: &Value, now: i64, world: &SharedHistory) {
        if let Some(refused) = answer["__type"].as_str() {
            // One bad statement takes 24 good ones along: two on one key, for example.
            if request.operation == "BatchExecuteStatement" && refused.ends_with("ValidationException") {
                let text = format!(
                    "DynamoDB refused {} statements whole: {answer}",
                    request.batch_size()
                );
                self.violation(now, Property::Counts, text);
            }
            return;
        }
        let table = request.body["TableName"].as_str().unwrap_or_default();
        match (request.operation.as_str(), table) {
            ("BatchExecuteStatement", _) => self.statements(request, answer, now, world),
            ("PutItem", "receipts") => {
                self.spend(answer, 1.0, "a receipt", now);
                self.receipt(attributes(&request.body["Item"]), now);
            }
            ("UpdateItem", "ledger") => self.control(request, answer, now),
            ("DeleteItem", "ledger") => {
                let id = plain(&request.body["Key"]["id"]);
                self.spend(answer, 2.0, "deletion", now);
                self.delete(&id, now, world);
            }
            ("Scan", "ledger") => {
                if let Some(process) = &request.process
                    && request.body.get("ExclusiveStartKey").is_none()
                {
                    self.scans.insert(process.number, now);
                }
            }
            ("SendMessageBatch", _) => self.messages(request, answer, now),
            _ => {}
        }
    }

    /// No write costs more than the documents say.
    fn spend(&mut self, answer: &Value, most: f64, what: &str, now: i64) {
        let capacity = &answer["ConsumedCapacity"];
        let units = |one: &Value| one["CapacityUnits"].as_f64().unwrap_or(0.0);
        let spent: f64 = match capacity.as_array() {
            Some(tables) => tables.iter().map(units).sum(),
            None => units(capacity),
        };
        self.write_units += spent;
        if spent > most {
            self.violation(
                now,
                Property::Counts,
                format!("{spent} write units for {what}, the documents say at most {most}"),
            );
        }
    }

    fn statements(&mut self, request: &Request, answer: &Value, now: i64, world: &SharedHistory) {
        let statements = request.body["Statements"].as_array().cloned().unwrap_or_default();
        let responses = answer["Responses"].as_array().cloned().unwrap_or_default();
        let mut most = 0.0;
        let process = request.process.as_ref().map(|process| process.number);
        for (statement, response) in statements.iter().zip(&responses) {
            if let Some(error) = response.get("Error") {
                most += 1.0;
                self.refusal(process, statement, error);
                continue;
            }
            match Statement::read(statement) {
                Some(Statement::Insert { table, item }) if table == "receipts" => {
                    most += 1.0;
                    self.receipt(item, now);
                }
                Some(Statement::Insert { item, .. }) => {
                    most += 2.0;
                    self.insert(item, request, now);
                }
                Some(Statement::Update { id, set, when }) => {
                    most += 3.0;
                    self.update(&id, (&set, &when), process, now);
                }
                Some(Statement::Delete(id)) => {
                    most += 2.0;
                    self.delete(&id, now, world);
                }
                None => self.violation(
                    now,
                    Property::Counts,
                    format!("a statement that is no step: {statement}"),
                ),
            }
        }
        self.spend(answer, most, "a batch of statements", now);
    }

    fn insert(&mut self, item: Attributes, request: &Request, now: i64) {
        let id = item["id"].clone();
        let row = ShadowRow {
            status: item["status"].clone(),
            attempt: item.get("attempt").and_then(|n| n.parse().ok()).unwrap_or(0),
            due_at: item.get("due_at").map_or(0, |at| millis(at)),
        };
        let is_claimed = row.status == "CLAIMED";
        let step = if is_claimed { "record and claim" } else { "record" };
        *self.steps.entry(step.into()).or_default() += 1;
        self.states
            .insert(format!("→{} attempt {}", row.status, row.attempt));
        if let (true, Some(process)) = (is_claimed, &request.process) {
            self.claimers.insert((process.number, id.clone()));
        }
        self.rows.insert(id.clone(), row);
        let deleted = self.deleted.get(&id);
        if deleted.is_some_and(|at| now - at < LOOK_UNTIL_INSERT) {
            self.overtaken.insert(id.clone());
        }
        let looked_at = match item.contains_key("covers_until") {
            true => request
                .process
                .as_ref()
                .and_then(|process| self.scans.get(&process.number).copied()),
            false => None,
        };
        // Of a general event the receipt has the CloudEvent's id as its key, and its source.
        let general: Option<Value> = item
            .get("cloud_event")
            .map(|text| serde_json::from_str(text).unwrap());
        let of_general = |name: &str| {
            let event = general.as_ref()?;
            event[name].as_str().map(str::to_owned)
        };
        let key = of_general("id").or_else(|| item.get("key").cloned());
        let insert = self.inserts.entry(id).or_insert_with(|| Insert {
            key: key.unwrap_or_default(),
            general: general.is_some(),
            version: of_general("source").or_else(|| item.get("version_id").cloned()),
            removed: item.get("kind").is_some_and(|kind| kind == "removed"),
            etag: item.get("etag").cloned(),
            sequencer: item.get("sequencer").cloned(),
            event_millis: item.get("event_time").map(|at| millis(at)),
            at_millis: now,
            last_millis: now,
            looked_at,
        });
        insert.last_millis = now;
    }

    /// A condition that was false tells the process that the row is not as it thought.
    fn refusal(&mut self, process: Option<u64>, statement: &Value, error: &Value) {
        let Some((process, Statement::Update { id, .. })) = process.zip(Statement::read(statement)) else {
            return;
        };
        let is_claimed = self.rows.get(&id).is_some_and(|row| row.status == "CLAIMED");
        if error["Code"] == *"ConditionalCheckFailed" && !is_claimed {
            self.refused.insert((process, id));
        }
    }

    fn update(&mut self, id: &str, (set, when): (&Attributes, &Attributes), process: Option<u64>, now: i64) {
        if self.newer.contains(id) || !when.contains_key("v") {
            let text = format!("{id} was changed without asking whether a newer release wrote it");
            self.violation(now, Property::Lost, text);
        }
        let Some(row) = self.rows.get_mut(id) else {
            let text = format!("{id} was changed, and there was no such row");
            self.violation(now, Property::Attempts, text);
            return;
        };
        if set
            .get("last_error")
            .is_some_and(|error| error.starts_with("InvalidExecutionInput"))
        {
            self.invalid.insert(id.to_owned());
        }
        let from = row.status.clone();
        let to = set.get("status").unwrap_or(&from).clone();
        row.status.clone_from(&to);
        match set.get("attempt").map(String::as_str) {
            Some("attempt + 1") => row.attempt += 1,
            Some("attempt - 1") => row.attempt = row.attempt.saturating_sub(1),
            _ => {}
        }
        let was_due_at = row.due_at;
        if let Some(due_at) = set.get("due_at") {
            row.due_at = millis(due_at);
        }
        let attempt = row.attempt;
        let step = format!("{from}→{to}");
        let how = set
            .keys()
            .filter(|name| !matches!(name.as_str(), "status" | "status_shard" | "due_at"));
        let how: Vec<&str> = how.map(String::as_str).collect();
        let delivery = set.get("deliveries").cloned().unwrap_or_default();
        self.states.insert(format!(
            "{step} {} attempt {attempt} delivery {delivery}",
            how.join(",")
        ));
        *self.steps.entry(step.clone()).or_default() += 1;
        let legal = matches!(
            step.as_str(),
            "PENDING→CLAIMED" | "CLAIMED→CLAIMED" | "CLAIMED→PENDING" | "CLAIMED→PARKED" | "PARKED→PENDING"
        );
        if !legal || !when.contains_key("id") {
            self.violation(
                now,
                Property::Attempts,
                format!("{id} took a step that there is not: {step}"),
            );
        }
        if to == "CLAIMED" {
            self.claimed(id, &from, set, was_due_at, process, now);
        }
        let is_claimed =
            |(id, row): &(&String, &ShadowRow)| row.status == "CLAIMED" && !self.newer.contains(*id);
        let claimed = self.rows.iter().filter(is_claimed).count();
        self.most_claimed = self.most_claimed.max(claimed);
        if let Some(cap) = self.cap
            && step == "PENDING→CLAIMED"
        {
            // A stale index is behind by minutes, so that two windows' claims may not be in the count.
            let n = self.most_per_window(now - WINDOW.as_millis() as i64);
            if claimed > (cap + n) as usize && self.forgotten.is_empty() {
                self.violation(
                    now,
                    Property::Budget,
                    format!("{claimed} rows are claimed; the cap is {cap}, N is {n}"),
                );
            }
        }
    }

    /// Nothing is claimed before it is due, nor sent again before its lease is over; and a lease that is written is a new one.
    fn claimed(
        &mut self,
        id: &str,
        from: &str,
        set: &Attributes,
        was_due_at: i64,
        process: Option<u64>,
        now: i64,
    ) {
        let earliest = was_due_at - 2 * SKEW.as_millis() as i64;
        if !set.contains_key("due_at") {
            let text = format!("a write left the lease of {id} as it was");
            self.violation(now, Property::Counts, text);
        }
        if !set.contains_key("claim_token") {
            return;
        }
        // A worker takes the row of a message as it comes: `deliveries` of 0 is its mark.
        let is_taken = set.get("deliveries").is_some_and(|n| n == "0");
        if is_taken && let Some(row) = self.rows.get(id) {
            *self.takes.entry((id.to_owned(), row.attempt.into())).or_default() += 1;
        }
        if now < earliest && !is_taken {
            let text = format!(
                "{id}, {from}, was claimed {} s before it was due",
                (was_due_at - now) / 1000
            );
            self.violation(now, Property::Attempts, text);
        }
        if let Some(process) = process {
            self.claimers.insert((process, id.to_owned()));
            self.refused.remove(&(process, id.to_owned()));
        }
    }
}

/// A time of the table in milliseconds.
fn millis(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).map_or(0, |at| at.timestamp_millis())
}
