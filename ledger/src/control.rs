//! The control item: the budget of each window, pause, and N while it runs.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_schema::Timestamp;
use daybook_schema::tables::{CONTROL_ID, attribute::ID};
use serde::{Deserialize, Serialize};

use crate::answers::{AnswerWatch, Verdict, describe};
use crate::people::Person;
use crate::settle::clipped;
use crate::statement::{number, text};
use crate::{Ledger, LedgerError};

/// How often a grant is tried when others change the control item at the same moment.
const GRANT_TRIES: usize = 16;

/// For how many windows the scheduler leaves room for the sweep that found none.
const OWED_WINDOWS: u32 = 10;

/// So much may the clocks of two functions differ.
const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// The ledger's one item that is no row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Start of the newest window in which anything was granted.
    pub window: Option<Timestamp>,
    /// Its length in milliseconds.
    #[serde(default)]
    pub window_millis: u64,
    /// What was granted in it.
    #[serde(default)]
    pub granted: u32,
    /// What was granted in the window right before it.
    #[serde(default)]
    pub granted_before: u32,
    /// Who granted last.
    pub grant_token: Option<String>,
    /// Redeliveries for which the sweep found no budget. The scheduler leaves room for them.
    #[serde(default)]
    pub owed: u32,
    /// The window of the sweep that was owed.
    pub owed_at: Option<Timestamp>,
    /// The window in which the last sweep was granted anything; none if it found no budget. With an N of 1 it says whose turn
    /// it is.
    pub redelivered_at: Option<Timestamp>,
    /// N as set while running; takes the place of the configured one.
    pub per_window: Option<u32>,
    /// When, by whom and why it was set.
    pub per_window_note: Option<String>,
    /// Since when dispatch is paused.
    pub paused_at: Option<Timestamp>,
    /// Until when; none is until resumed.
    pub paused_until: Option<Timestamp>,
    /// By whom.
    pub paused_by: Option<String>,
    /// Why.
    pub paused_why: Option<String>,
    /// When the ledger was first used: the audit's watermark.
    pub installed_at: Option<Timestamp>,
}

impl Control {
    /// The pause in force at that time.
    pub fn pause(&self, now: Timestamp) -> Option<Pause> {
        self.paused_at?;
        if self.paused_until.is_some_and(|until| until <= now) {
            return None;
        }
        Some(Pause {
            until: self.paused_until,
            by: self.paused_by.clone().unwrap_or_default(),
            why: self.paused_why.clone().unwrap_or_default(),
        })
    }
}

impl Control {
    /// How much of that window's budget is spent, as far as it is known: 0 for a window that is not one of the two that are kept.
    pub fn granted_in(&self, window: Window) -> u32 {
        let is_before = |newest: Timestamp| {
            self.window_millis == millis(window.length) && window.start.plus(window.length) == newest
        };
        match self.window {
            Some(newest) if newest == window.start => self.granted,
            Some(newest) if is_before(newest) => self.granted_before,
            _ => 0,
        }
    }

    /// What the scheduler leaves to the sweep in that window. A sweep that does not come any more is owed nothing: otherwise
    /// it would take the scheduler's share down with it.
    fn owed_in(&self, window: Window) -> u32 {
        let is_recent = |since: Timestamp| window.start <= since.plus(window.length * OWED_WINDOWS);
        if self.owed_at.is_some_and(is_recent) {
            self.owed
        } else {
            0
        }
    }

    /// What that run leaves of N to the other kind of run. An N of 1 has no half: there the scheduler leaves it to a sweep that
    /// got nothing the last time, and the sweep does not take it twice in a row.
    fn reserved(&self, request: &GrantRequest, n: u32) -> u32 {
        let window = request.window;
        match (request.redelivery, self.redelivered_at) {
            (true, Some(last)) if n == 1 && last.plus(window.length) == window.start => 1,
            (true, _) => 0,
            (false, Some(_)) if n == 1 => 0,
            (false, _) => self.owed_in(window).min(n.div_ceil(2)),
        }
    }

    /// As it counts for that window. A grant of a clock that was far ahead would make every window a passed one until its
    /// time has come: such a grant is forgotten. What it has overwritten is not known any more, so the current window and
    /// the one before count as spent: one window's budget is lost, and none is spent twice.
    fn in_time(&self, window: Window, n: u32, now: Timestamp) -> Self {
        let length = Duration::from_millis(self.window_millis).max(window.length);
        // A skew more than is granted: what one clock allowed, no other one forgets.
        let latest = latest_start(length, now).plus(CLOCK_SKEW);
        if self.window.is_none_or(|newest| newest <= latest) {
            return self.clone();
        }
        let current = Window::at(now, window.length).start;
        Self {
            window: Some(current.max(window.start)),
            window_millis: millis(window.length),
            granted: n,
            granted_before: n,
            owed: 0,
            owed_at: None,
            redelivered_at: None,
            ..self.clone()
        }
    }
}

/// The latest start of a window that anything is granted in: one window ahead, or what clocks may differ.
fn latest_start(length: Duration, now: Timestamp) -> Timestamp {
    now.plus(length.max(CLOCK_SKEW))
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Why nothing is dispatched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Who paused.
    pub by: String,
    /// And why.
    pub why: String,
}

/// A stretch of time in which no more than N may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its start: the schedule's own time rounded down.
    pub start: Timestamp,
    /// Its length.
    pub length: Duration,
}

impl Window {
    /// The window of that length that `at` lies in.
    pub fn at(at: Timestamp, length: Duration) -> Self {
        Self {
            start: at.window_start(length),
            length,
        }
    }
}

/// What a run asks the budget for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantRequest {
    /// The window it runs for.
    pub window: Window,
    /// N as configured.
    pub per_window: u32,
    /// How many messages it would send.
    pub wanted: u32,
    /// Whether these are redeliveries. They are older than anything pending, so the scheduler leaves up to half of N to
    /// those that found no budget before; with an N of 1 the two take turns.
    pub redelivery: bool,
}

/// What a run may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// So many, 1 or more and never more than wanted.
    Granted(u32),
    /// None.
    Refused(Refusal),
}

/// Why nothing may be sent. For programs it is an object with a `reason`, and a pause's fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// A person paused dispatch.
    Paused(Pause),
    /// N is reached in this window.
    WindowFull,
    /// The window is over, and its successor too: this run came too late.
    WindowPassed,
    /// The window begins more than its length, and more than ten minutes, after the ledger's clock: one of the two is wrong.
    /// Granted, it would make every window until then a passed one.
    WindowAhead,
    /// Nothing was asked for.
    #[serde(rename = "nothing_due")]
    NothingWanted,
}

/// What the control item becomes when the request is granted, or why it is not. Pure: all races are in the condition of the write.
pub fn decide(control: &Control, request: &GrantRequest, now: Timestamp) -> Result<(Control, u32), Refusal> {
    if let Some(pause) = control.pause(now) {
        return Err(Refusal::Paused(pause));
    }
    let window = request.window;
    if window.start > latest_start(window.length, now) {
        return Err(Refusal::WindowAhead);
    }
    let n = control.per_window.unwrap_or(request.per_window);
    let stored = control;
    let control = &stored.in_time(window, n, now);
    let length = millis(window.length);
    let mut next = Control {
        window_millis: length,
        ..control.clone()
    };
    // Two windows are kept: a tick that its scheduler delivers late still has its own budget, and cannot spend another's.
    let spent = match control.window {
        Some(newest) if newest == window.start => &mut next.granted,
        Some(newest) if newest > window.start => {
            if control.window_millis != length || window.start.plus(window.length) != newest {
                return Err(Refusal::WindowPassed);
            }
            &mut next.granted_before
        }
        newest => {
            let follows = newest.is_some_and(|newest| newest.plus(window.length) == window.start);
            next.granted_before = if follows { control.granted } else { 0 };
            next.granted = 0;
            next.window = Some(window.start);
            &mut next.granted
        }
    };
    let left = n
        .saturating_sub(control.reserved(request, n))
        .saturating_sub(*spent);
    let granted = request.wanted.min(left);
    let untouched = *spent == 0;
    *spent += granted;
    if request.redelivery {
        next.redelivered_at = match (granted, request.wanted) {
            (1.., _) => Some(window.start),
            (0, 0) => control.redelivered_at,
            // Nothing was left. If that was because it is the scheduler's turn, or because of a sweep just before, nothing changes.
            (0, _) => control
                .redelivered_at
                .filter(|last| untouched || *last == window.start),
        };
        next.owed = request.wanted - granted;
        next.owed_at = Some(window.start).filter(|_| next.owed > 0);
    }
    next.installed_at = control.installed_at.or(Some(now));
    let owes_as_stored = (next.owed, next.owed_at) == (stored.owed, stored.owed_at);
    match granted {
        0 if owes_as_stored && request.wanted == 0 => Err(Refusal::NothingWanted),
        0 if owes_as_stored && control == stored => Err(Refusal::WindowFull),
        // A sweep that got nothing still leaves word of what it is owed, and whoever forgets a grant of the future does.
        _ => Ok((next, granted)),
    }
}

impl Ledger {
    /// The control item as it stands (consistent read, one read unit).
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn control(&self) -> Result<Control, LedgerError> {
        let answer = self
            .client
            .get_item()
            .table_name(self.table.as_str())
            .key(ID, text(CONTROL_ID))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| self.control_error("GetItem", describe(&error), false))?;
        self.meter.read(answer.consumed_capacity.as_ref());
        match answer.item {
            None => Ok(Control::default()),
            Some(item) => serde_dynamo::from_item(item).map_err(|source| LedgerError::Item {
                table: self.table.to_string(),
                id: CONTROL_ID.to_owned(),
                source,
            }),
        }
    }

    /// Takes from the budget of a window, by one conditional write. Never more than N is granted in one window, to however
    /// many runs; a grant whose answer is lost is spent.
    ///
    /// # Errors
    /// When the control item cannot be read or written; nothing may be sent then.
    pub async fn grant(&self, request: &GrantRequest, seen: Control) -> Result<Grant, LedgerError> {
        let token = self.random.token().to_string();
        let mut seen = Some(seen);
        for _ in 0..GRANT_TRIES {
            let control = match seen.take() {
                Some(control) => control,
                None => self.control().await?,
            };
            let (next, granted) = match decide(&control, request, self.clock.now()) {
                Ok(decided) => decided,
                Err(refusal) => return Ok(Grant::Refused(refusal)),
            };
            if self.swap_grant(&control, &next, &token).await? {
                return Ok(match granted {
                    0 if request.wanted == 0 => Grant::Refused(Refusal::NothingWanted),
                    0 => Grant::Refused(Refusal::WindowFull),
                    granted => Grant::Granted(granted),
                });
            }
        }
        let cause = format!("other runs changed it {GRANT_TRIES} times in a row");
        Err(self.control_error("UpdateItem", cause, false))
    }

    /// Writes the grant if nobody granted since `before` was read and nobody paused. Whether it is written.
    async fn swap_grant(&self, before: &Control, next: &Control, token: &str) -> Result<bool, LedgerError> {
        let mut request = self
            .client
            .update_item()
            .table_name(self.table.as_str())
            .key(ID, text(CONTROL_ID))
            .update_expression(
                "SET #window = :window, window_millis = :millis, granted = :granted, granted_before = :before, \
                 grant_token = :token, owed = :owed, owed_at = :owed_at, redelivered_at = :redelivered_at, \
                 installed_at = if_not_exists(installed_at, :now)",
            )
            .expression_attribute_names("#window", "window")
            .expression_attribute_values(":window", next.window.map_or(AttributeValue::Null(true), text))
            .expression_attribute_values(":millis", number(next.window_millis))
            .expression_attribute_values(":granted", number(next.granted))
            .expression_attribute_values(":before", number(next.granted_before))
            .expression_attribute_values(":token", text(token))
            .expression_attribute_values(":owed", number(next.owed))
            .expression_attribute_values(
                ":owed_at",
                next.owed_at.map_or(AttributeValue::Null(true), text),
            )
            .expression_attribute_values(
                ":redelivered_at",
                next.redelivered_at.map_or(AttributeValue::Null(true), text),
            )
            .expression_attribute_values(":now", text(next.installed_at.unwrap_or_else(|| self.clock.now())));
        let same_grant = match &before.grant_token {
            None => "attribute_not_exists(grant_token)",
            Some(last) => {
                request = request.expression_attribute_values(":last", text(last));
                "grant_token = :last"
            }
        };
        let same_pause = match before.paused_at {
            None => "attribute_not_exists(paused_at)",
            Some(at) => {
                request = request.expression_attribute_values(":paused_at", text(at));
                "paused_at = :paused_at"
            }
        };
        request = request
            .condition_expression(format!("{same_grant} AND {same_pause}"))
            .return_values_on_condition_check_failure(
                aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
            )
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        let watch = AnswerWatch::default();
        match request.customize().interceptor(watch.clone()).send().await {
            Ok(answer) => {
                self.meter.write(answer.consumed_capacity.as_ref());
                Ok(true)
            }
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                self.meter.write(None);
                // Our own write whose first answer was lost shows our token.
                let old = error.as_service_error().and_then(|error| match error {
                    aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(e) => {
                        e.item()
                    }
                    _ => None,
                });
                Ok(old.and_then(|item| item.get("grant_token")) == Some(&text(token)))
            }
            Err(error) => {
                let unknown = watch.verdict(&error) == Verdict::Unknown;
                Err(self.control_error("UpdateItem", describe(&error), unknown))
            }
        }
    }

    /// Pauses dispatch: nothing is claimed or redelivered until `until`, or until [`Ledger::resume`]. Ingest, completion and
    /// repair of leases go on.
    ///
    /// # Errors
    /// When it was not certainly written; repeat it.
    pub async fn pause(&self, until: Option<Timestamp>, by: &str, why: &str) -> Result<(), LedgerError> {
        let mut values = HashMap::from([
            (":at".to_owned(), text(self.clock.now())),
            (":by".to_owned(), text(clipped(by))),
            (":why".to_owned(), text(clipped(why))),
        ]);
        let expression = match until {
            Some(until) => {
                values.insert(":until".to_owned(), text(until));
                "SET paused_at = :at, paused_by = :by, paused_why = :why, paused_until = :until"
            }
            None => "SET paused_at = :at, paused_by = :by, paused_why = :why REMOVE paused_until",
        };
        self.update_control(expression, values).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// As [`Ledger::pause`].
    pub async fn resume(&self) -> Result<(), LedgerError> {
        self.update_control(
            "REMOVE paused_at, paused_until, paused_by, paused_why",
            HashMap::new(),
        )
        .await
    }

    /// Sets N from now on, in the place of the configured one; `None` gives it back to the configuration. Who and why are
    /// kept either way.
    ///
    /// # Errors
    /// As [`Ledger::pause`].
    pub async fn set_per_window(&self, n: Option<u32>, person: Person<'_>) -> Result<(), LedgerError> {
        let note = |what| (":note".to_owned(), text(person.note(self.clock.now(), what)));
        match n {
            Some(n) => {
                let values = HashMap::from([(":n".to_owned(), number(n)), note("set")]);
                self.update_control("SET per_window = :n, per_window_note = :note", values)
                    .await
            }
            None => {
                let values = HashMap::from([note("given back")]);
                self.update_control("SET per_window_note = :note REMOVE per_window", values)
                    .await
            }
        }
    }

    async fn update_control(
        &self,
        expression: &str,
        values: HashMap<String, AttributeValue>,
    ) -> Result<(), LedgerError> {
        let watch = AnswerWatch::default();
        let answer = self
            .client
            .update_item()
            .table_name(self.table.as_str())
            .key(ID, text(CONTROL_ID))
            .update_expression(expression)
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .customize()
            .interceptor(watch.clone())
            .send()
            .await
            .map_err(|error| {
                let unknown = watch.verdict(&error) == Verdict::Unknown;
                self.control_error("UpdateItem", describe(&error), unknown)
            })?;
        self.meter.write(answer.consumed_capacity.as_ref());
        Ok(())
    }

    fn control_error(&self, operation: &'static str, cause: String, unknown: bool) -> LedgerError {
        LedgerError::Request {
            operation,
            table: self.table.to_string(),
            cause,
            unknown,
        }
    }
}
