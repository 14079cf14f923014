//! Rows that are done, ended by one transaction: their receipts and their deletions, all of it or nothing.
//!
//! On AWS a transaction costs twice as many write units; in the embedded DynamoDB it is half of the requests and half of the commits. Receipt
//! and deletion are of one commit, so that neither is there without the other, wherever a process dies.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::types::{Delete, Put, ReturnConsumedCapacity, TransactWriteItem};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_schema::tables::attribute::ID;
use daybook_schema::{EventId, Receipt};

use crate::cause::{Cause, describe};
use crate::deletion;
use crate::ledger::Ledger;
use crate::receipts::is_older;
use crate::settings::ReceiptSettings;
use crate::statement::text;
use crate::write_certainty::{AnswerWatch, Verdict};

/// Rows that end in one transaction; each is two of the 100 writes that one may have (TransactWriteItems, DynamoDB API Reference).
pub(crate) const TOGETHER: usize = 50;

/// A row that is done.
pub(crate) struct Done<'a> {
    pub(crate) id: EventId,
    /// What people did to it, as far as that is known: its receipt has it.
    pub(crate) note: Option<&'a str>,
    pub(crate) receipt: Receipt,
}

/// What came of a transaction.
pub(crate) enum Together {
    /// All receipts are stored, and all rows are gone.
    Ended,
    /// Refused: each row is to be ended by itself. What an earlier try of the same request has done is found there.
    Refused,
    /// Perhaps all of it was done, perhaps nothing.
    Unknown(Cause),
}

impl Ledger {
    /// Stores the receipts, which take the places of older ones, and deletes the rows; no object and no row twice, none of them a replay, 50
    /// at most.
    pub(crate) async fn end_together(&self, settings: &ReceiptSettings, done: &[Done<'_>]) -> Together {
        let mut writes = Vec::with_capacity(2 * done.len());
        for one in done {
            let Ok(item) = serde_dynamo::to_item(&one.receipt) else {
                // By itself it fails once more, and says why.
                return Together::Refused;
            };
            let (is_older, values) = is_older(&one.receipt, false);
            let put = Put::builder()
                .table_name(settings.table.as_str())
                .set_item(Some(item))
                .condition_expression(is_older)
                .set_expression_attribute_values(values)
                .build()
                .expect("a table and an item are set");
            writes.push(TransactWriteItem::builder().put(put).build());
            let (may_go, values) = deletion::may_go(Some(one.note));
            let delete = Delete::builder()
                .table_name(self.table.as_str())
                .key(ID, text(one.id))
                .condition_expression(may_go)
                .set_expression_attribute_values(Some(values))
                .build()
                .expect("a table and a key are set");
            writes.push(TransactWriteItem::builder().delete(delete).build());
        }
        let watch = AnswerWatch::default();
        let answer = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .customize()
            .interceptor(watch.clone())
            .interceptor(WithoutToken)
            .send()
            .await;
        match answer {
            Ok(answer) => {
                self.meter.write(answer.consumed_capacity());
                Together::Ended
            }
            // This try has done nothing, whatever an earlier one did.
            Err(error) if error.code() == Some("TransactionCanceledException") => {
                self.meter.write(None);
                Together::Refused
            }
            Err(error) => match watch.verdict(&error) {
                Verdict::Unknown => Together::Unknown(describe(&error)),
                Verdict::Throttled | Verdict::Invalid | Verdict::Refused => Together::Refused,
            },
        }
    }
}

/// Takes off the token that the SDK gives to each transaction, and that the embedded DynamoDB would keep for ten minutes, in the same commit. A try
/// that follows one which was done is refused, and the rows end by themselves.
#[derive(Debug)]
struct WithoutToken;

impl Intercept for WithoutToken {
    fn name(&self) -> &'static str {
        "WithoutToken"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(input) = context.input_mut().downcast_mut::<TransactWriteItemsInput>() {
            input.client_request_token = None;
        }
        Ok(())
    }
}
