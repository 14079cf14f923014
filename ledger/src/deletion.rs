//! How a row that is done is deleted, and what people did to it kept.
//!
//! A row's note says what people did to it, and goes with the row. So a row with a note is deleted only when the note is in its receipt: the
//! deletion asks that the row has no note, or the very one that its receipt was written with. A row that nobody touched costs nothing more; one
//! with a note costs a refused deletion and one write of the receipt, unless whoever ends it has read the row.
//!
//! | it ends | then |
//! |---|---|
//! | before the note is in the receipt | a row that a receipt covers: whoever deletes it keeps the note first |
//! | between note and deletion | the same, and the note is written once more |

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_schema::tables::attribute::ID;
use daybook_schema::{EventId, InvalidRow, Row};

use crate::cause::{Cause, describe};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::settings::ReceiptSettings;
use crate::statement::{Item, Statement, text};
use crate::version;
use crate::write_certainty::{AnswerWatch, Verdict};

/// The row's attribute, and the receipt's.
pub(crate) const NOTE: &str = "note";

/// How often a row is tried whose note people change meanwhile.
const TRIES: usize = 4;

/// How one deletion ended.
enum Tried {
    /// The row is gone.
    Gone,
    /// A newer release wrote it.
    Newer(InvalidRow),
    /// It has a note that its receipt may not have; the row.
    Noted(Box<Item>),
}

impl Ledger {
    /// The deletion of a row, several of which go in one request: refused where the row has another note than that.
    pub(crate) fn delete_statement(&self, id: EventId, note: Option<&str>) -> Statement {
        let mut parameters = vec![text(id)];
        let noted = match (&self.receipts, note) {
            (None, _) => String::new(),
            (Some(_), None) => format!(" AND \"{NOTE}\" IS MISSING"),
            (Some(_), Some(note)) => {
                parameters.push(text(note));
                format!(" AND \"{NOTE}\" = ?")
            }
        };
        parameters.push(version::mine());
        Statement {
            text: format!(
                "DELETE FROM \"{}\" WHERE \"{ID}\" = ?{noted} AND {}",
                self.table,
                version::KNOWN
            ),
            parameters,
        }
    }

    /// Deletes a row that is done, its note kept; not one that a newer release wrote, which is what comes back then. `note` is what the
    /// receipt says already.
    pub(crate) async fn delete(
        &self,
        id: EventId,
        note: Option<&str>,
    ) -> Result<Option<InvalidRow>, LedgerError> {
        let Some(settings) = &self.receipts else {
            return self.delete_whatever_it_says(id).await;
        };
        let mut known = note.map(str::to_owned);
        for _ in 0..TRIES {
            match self.try_to_delete(id, Some(known.as_deref())).await? {
                Tried::Gone => return Ok(None),
                Tried::Newer(newer) => return Ok(Some(newer)),
                Tried::Noted(item) => {
                    let note = item.get(NOTE).and_then(|note| note.as_s().ok()).cloned();
                    // What is no row of an object has no receipt.
                    let Ok(row) = serde_dynamo::from_item::<_, Row>(*item) else {
                        return self.delete_whatever_it_says(id).await;
                    };
                    self.keep_note(settings, &row).await?;
                    known = note;
                }
            }
        }
        let cause = "people change its note all the time".into();
        Err(self.not_written(cause, false))
    }

    /// The same, whatever note it has.
    async fn delete_whatever_it_says(&self, id: EventId) -> Result<Option<InvalidRow>, LedgerError> {
        match self.try_to_delete(id, None).await? {
            Tried::Newer(newer) => Ok(Some(newer)),
            Tried::Gone | Tried::Noted(_) => Ok(None),
        }
    }

    /// Deletes it unless it has another note than that; `None` asks for no note.
    async fn try_to_delete(&self, id: EventId, note: Option<Option<&str>>) -> Result<Tried, LedgerError> {
        let watch = AnswerWatch::default();
        let (may_go, values) = may_go(note);
        let answer = self
            .client
            .delete_item()
            .table_name(self.table.as_str())
            .key(ID, text(id))
            .condition_expression(may_go)
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .customize()
            .interceptor(watch.clone())
            .send()
            .await;
        let error = match answer {
            Ok(answer) => {
                self.meter.write(answer.consumed_capacity.as_ref());
                return Ok(Tried::Gone);
            }
            Err(error) => error,
        };
        if let Some(DeleteItemError::ConditionalCheckFailedException(refused)) = error.as_service_error() {
            self.meter.write(None);
            return Ok(match refused.item() {
                None => Tried::Gone,
                Some(item) => match version::newer(item) {
                    Some(newer) => Tried::Newer(newer),
                    None => Tried::Noted(Box::new(item.clone())),
                },
            });
        }
        Err(LedgerError::Request {
            operation: "DeleteItem",
            table: self.table.to_string(),
            cause: describe(&error),
            unknown: watch.verdict(&error) == Verdict::Unknown,
        })
    }

    /// Writes a row's note to the receipt that its event left; nothing where the object's receipt is of another event. One write unit.
    async fn keep_note(&self, settings: &ReceiptSettings, row: &Row) -> Result<(), LedgerError> {
        let (Some(event), Some(note)) = (row.event(), &row.note) else {
            return Ok(());
        };
        let kept = self
            .client
            .update_item()
            .table_name(settings.table.as_str())
            .key(ID, text(event.object_id()))
            .update_expression("SET note = :note")
            .condition_expression("event_id = :event")
            .expression_attribute_values(":note", text(note))
            .expression_attribute_values(":event", text(row.id))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await;
        let cause: Cause = match kept {
            Ok(answer) => {
                self.meter.write(answer.consumed_capacity.as_ref());
                return Ok(());
            }
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                self.meter.write(None);
                return Ok(());
            }
            Err(error) => describe(&error),
        };
        if is_denied(&cause) {
            // A role of an earlier release. What is done must not wait for what only people read.
            tracing::warn!(id = %row.id, %cause, note, "what people did to an event cannot be kept in its receipt");
            return Ok(());
        }
        Err(LedgerError::Request {
            operation: "UpdateItem",
            table: settings.table.to_string(),
            cause,
            unknown: true,
        })
    }
}

/// Whether a row that is done may go, as a condition with its values: it has that note, or none, and no newer release wrote it. `None` asks
/// for no note.
pub(crate) fn may_go(note: Option<Option<&str>>) -> (String, Item) {
    let mut values = Item::from([(":mine".to_owned(), version::mine())]);
    let noted = match note {
        None => "",
        Some(None) => " AND attribute_not_exists(note)",
        Some(Some(note)) => {
            values.insert(":note".to_owned(), text(note));
            " AND note = :note"
        }
    };
    (format!("({}){noted}", version::KNOWN_EXPRESSION), values)
}

/// Whether a role forbids it.
fn is_denied(cause: &Cause) -> bool {
    let denied = ["AccessDenied", "AccessDeniedException"];
    cause.code().is_some_and(|code| denied.contains(&code))
}
