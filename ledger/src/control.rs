//! The control item: reading it, taking from the budget of a window, pause, and N while it runs.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_schema::tables::CONTROL_ID;
use daybook_schema::tables::attribute::ID;
use daybook_schema::{DispatchHistory, Timestamp};

use crate::budget::{Asker, Control, Grant, GrantRequest, Refusal, decide};
use crate::cause::{Cause, describe};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::operator::Person;
use crate::settle::clipped;
use crate::statement::{number, text};
use crate::write_certainty::{AnswerWatch, Verdict};

/// How often a grant is tried when others change the control item at the same moment.
const GRANT_TRIES: usize = 16;

/// How often ingest tries: its events are safe as rows, and many that ask at once keep others from what they need more. Each try reads
/// the note of a backlog again, so that a scheduler or a sweep that loses to them has its turn.
const INGEST_TRIES: usize = 4;

/// How long ingest waits after a lost try, at most: half of it to all of it, so that those who lost together do not meet again.
const INGEST_PAUSE: Duration = Duration::from_millis(40);

/// After so many lost tries a scheduler or a sweep leaves a note that rows wait, so that ingest asks for nothing: at a hundred callers
/// it would lose every try otherwise, and no tick would come to leave that note after its grant.
const TRIES_UNTIL_NOTE: usize = 2;

/// As much as intake writes at once, in bytes: a file with room for less takes small writes and refuses what comes in.
pub const INTAKE_BYTES: usize = 256 * 1024;

/// A write of more costs another unit.
const WRITE_UNIT_BYTES: usize = 1024;

/// What else the item may have: its key, and when a write was tried last.
const BESIDE: usize = ID.len() + CONTROL_ID.len() + "tried_at".len() + "2026-11-21T01:02:03.004Z".len();

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
        self.grant_noting(request, seen, &mut None).await
    }

    /// The same, for a scheduler: `noted` is when it said, having lost to others, that rows wait. If none are left behind after its grant
    /// it takes that note off ([`Ledger::take_off_backlog`]), or newcomers would wait for the next tick.
    ///
    /// # Errors
    /// As [`Ledger::grant`].
    pub async fn grant_noting(
        &self,
        request: &GrantRequest,
        seen: Control,
        noted: &mut Option<Timestamp>,
    ) -> Result<Grant, LedgerError> {
        let mut seen = Some(seen);
        let is_ingest = request.asker == Asker::Ingest;
        for lost in 0..if is_ingest { INGEST_TRIES } else { GRANT_TRIES } {
            if lost == TRIES_UNTIL_NOTE && !is_ingest {
                match self.note_backlog().await {
                    Ok(at) => *noted = Some(at),
                    // The grant may still be had without it.
                    Err(error) => {
                        tracing::warn!(
                            error = crate::cause::chain(&error),
                            "that rows wait could not be noted"
                        );
                    }
                }
            }
            if is_ingest && lost > 0 {
                tokio::time::sleep(self.random.jittered(INGEST_PAUSE)).await;
            }
            let control = match seen.take() {
                Some(control) => control,
                None => self.control().await?,
            };
            let (next, granted) = match decide(&control, request, self.clock.now()) {
                Ok(decided) => decided,
                Err(refusal) => return Ok(Grant::Refused(refusal)),
            };
            // Another one for each try. With one for all, the condition of another run's write would hold again after it failed to, and a late
            // repeat of that write would take this grant out of the count.
            let token = self.random.token().to_string();
            if self.swap_grant(&control, &next, &token).await? {
                return Ok(match granted {
                    0 if request.wanted == 0 => Grant::Refused(Refusal::NothingWanted),
                    0 => Grant::Refused(Refusal::WindowFull),
                    granted => Grant::Granted(granted),
                });
            }
        }
        if is_ingest {
            return Ok(Grant::Refused(Refusal::Contended));
        }
        let cause = format!("other runs changed it {GRANT_TRIES} times in a row").into();
        Err(self.control_error("UpdateItem", cause, false))
    }

    /// Notes that due rows are left behind now, so that newcomers do not overtake them. One write unit, without a condition: a grant
    /// that races with it is not disturbed, and a late tick's note is not older than another one's. The note is that time.
    ///
    /// # Errors
    /// When it was not certainly written.
    pub async fn note_backlog(&self) -> Result<Timestamp, LedgerError> {
        let now = self.clock.now();
        let values = HashMap::from([(":now".to_owned(), text(now))]);
        self.update_control("SET backlog_at = :now", None, values).await?;
        Ok(now)
    }

    /// Whether the ledger takes a write of that many bytes, at most [`INTAKE_BYTES`]: writes when it was asked, and with more than none as
    /// many bytes, into the control item, where nothing reads them, and takes the bytes off again. Where a process dies between the two the next grant
    /// takes them off, so that no later one writes them again. One write unit for none; made for the ledger of one machine.
    ///
    /// # Errors
    /// When it was not certainly written.
    pub async fn try_write(&self, bytes: usize) -> Result<(), LedgerError> {
        let mut values = HashMap::from([(":now".to_owned(), text(self.clock.now()))]);
        if bytes == 0 {
            return self
                .update_control("SET tried_at = :now REMOVE tried_with", None, values)
                .await;
        }
        values.insert(":bytes".to_owned(), text("-".repeat(bytes.min(INTAKE_BYTES))));
        self.update_control("SET tried_at = :now, tried_with = :bytes", None, values)
            .await?;
        self.update_control("REMOVE tried_with", None, HashMap::new())
            .await
    }

    /// Takes off the note of a backlog that was read as `seen`, unless another one was written since. One write unit.
    ///
    /// # Errors
    /// When it was not certainly written.
    pub async fn take_off_backlog(&self, seen: Timestamp) -> Result<(), LedgerError> {
        let values = HashMap::from([(":seen".to_owned(), text(seen))]);
        self.update_control("REMOVE backlog_at", Some("backlog_at = :seen"), values)
            .await
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
                 grant_token = :token, owed = :owed, owed_at = :owed_at, sweep_due_at = :sweep_due_at, \
                 swept_at = :swept_at, sweep_millis = :sweep_millis, redelivered_at = :redelivered_at, \
                 scheduled_at = :scheduled_at, history = :history, \
                 installed_at = if_not_exists(installed_at, :now) REMOVE tried_with",
            )
            .expression_attribute_names("#window", "window")
            .set_expression_attribute_values(Some(self.granted_values(next, token)));
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
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
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

    fn granted_values(&self, next: &Control, token: &str) -> HashMap<String, AttributeValue> {
        let history = history_that_fits(next, token);
        let history = history.map(|history| AttributeValue::B(Blob::new(history.encode())));
        let null = AttributeValue::Null(true);
        let values = [
            (":window", text_or_null(next.window)),
            (":millis", number(next.window_millis)),
            (":granted", number(next.granted)),
            (":before", number(next.granted_before)),
            (":token", text(token)),
            (":owed", number(next.owed)),
            (":owed_at", text_or_null(next.owed_at)),
            (":sweep_due_at", text_or_null(next.sweep_due_at)),
            (":swept_at", text_or_null(next.swept_at)),
            (":sweep_millis", next.sweep_millis.map_or(null.clone(), number)),
            (":redelivered_at", text_or_null(next.redelivered_at)),
            (":scheduled_at", text_or_null(next.scheduled_at)),
            (":history", history.unwrap_or(null)),
            (
                ":now",
                text(next.installed_at.unwrap_or_else(|| self.clock.now())),
            ),
        ];
        values.map(|(name, value)| (name.to_owned(), value)).into()
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
        self.update_control(expression, None, values).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// As [`Ledger::pause`].
    pub async fn resume(&self) -> Result<(), LedgerError> {
        self.update_control(
            "REMOVE paused_at, paused_until, paused_by, paused_why",
            None,
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
                self.update_control("SET per_window = :n, per_window_note = :note", None, values)
                    .await
            }
            None => {
                let values = HashMap::from([note("given back")]);
                self.update_control("SET per_window_note = :note REMOVE per_window", None, values)
                    .await
            }
        }
    }

    /// Begins the audit's watermark now, unless it has begun: what is uploaded from now on can be called missing. One write unit. For a
    /// ledger in which nobody could have recorded anything before; any other begins with its first grant.
    ///
    /// # Errors
    /// As [`Ledger::pause`].
    pub async fn begin_watermark(&self) -> Result<(), LedgerError> {
        let values = HashMap::from([(":now".to_owned(), text(self.clock.now()))]);
        let unset = Some("attribute_not_exists(installed_at)");
        self.update_control("SET installed_at = :now", unset, values)
            .await
    }

    /// Changes the control item, if the condition holds where there is one; one that does not is no error.
    async fn update_control(
        &self,
        expression: &str,
        condition: Option<&str>,
        values: HashMap<String, AttributeValue>,
    ) -> Result<(), LedgerError> {
        let watch = AnswerWatch::default();
        let answer = self
            .client
            .update_item()
            .table_name(self.table.as_str())
            .key(ID, text(CONTROL_ID))
            .update_expression(expression)
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .customize()
            .interceptor(watch.clone())
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.meter.write(answer.consumed_capacity.as_ref());
                Ok(())
            }
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                self.meter.write(None);
                Ok(())
            }
            Err(error) => {
                let unknown = watch.verdict(&error) == Verdict::Unknown;
                Err(self.control_error("UpdateItem", describe(&error), unknown))
            }
        }
    }

    fn control_error(&self, operation: &'static str, cause: Cause, unknown: bool) -> LedgerError {
        LedgerError::Request {
            operation,
            table: self.table.to_string(),
            cause,
            unknown,
        }
    }
}

/// As much of the history as leaves the item within one write unit: what people write into it may be long.
fn history_that_fits(next: &Control, token: &str) -> Option<DispatchHistory> {
    let history = next.history.clone()?;
    let others = Control {
        grant_token: Some(token.to_owned()),
        history: None,
        ..next.clone()
    };
    let others: HashMap<String, AttributeValue> = serde_dynamo::to_item(others).ok()?;
    let bytes = |(name, value): (&String, &AttributeValue)| {
        name.len()
            + match value {
                AttributeValue::S(text) => text.len(),
                // Two digits take a byte, and there is one more; "Item sizes and formats", DynamoDB Developer Guide.
                AttributeValue::N(digits) => digits.len() / 2 + 2,
                _ => 1,
            }
    };
    let others: usize = others.iter().map(bytes).sum();
    history.within(WRITE_UNIT_BYTES.checked_sub(others + BESIDE)?)
}

fn text_or_null(at: Option<Timestamp>) -> AttributeValue {
    at.map_or(AttributeValue::Null(true), text)
}
