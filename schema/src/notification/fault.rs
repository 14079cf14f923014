//! Why a record cannot be read.

use crate::cloud_event::InvalidJson;
use crate::names::InvalidName;

/// Why a record cannot be read. The messages name fields, limits and lengths, never a value; but for the topic and the URL of a
/// confirmation, which a person needs.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    // serde_json's syntax errors say what was expected and where, and quote nothing.
    #[error("this is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error(
        "this is no event of a known form: S3's Records, an EventBridge event with detail-type \"Object …\", an SNS or SQS message, a \
         CloudEvent, or a list of these was expected"
    )]
    UnknownForm,
    #[error("the list is empty, at least one record was expected")]
    EmptyList,
    #[error("more than {0} envelopes are around the event")]
    TooDeep(usize),
    #[error("this is no event but a confirmation of SNS: {to_do}")]
    SnsConfirmation { to_do: String },
    #[error(
        "this EventBridge event is none of an S3 object: its detail-type does not begin with \"Object \""
    )]
    NoObjectEvent,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is there twice with different values, so what is meant is unknown")]
    Twice(&'static str),
    #[error("{field} must be {expected}")]
    Wrong {
        field: &'static str,
        expected: &'static str,
    },
    #[error("{field} may have {limit} bytes, and this one has {found}")]
    TooLong {
        field: &'static str,
        limit: usize,
        found: usize,
    },
    #[error("specversion must be 1.0")]
    SpecVersion,
    #[error("data and data_base64 are both there, so what is meant is unknown")]
    TwoData,
    #[error("data is JSON that not every program can read: {0}")]
    Data(InvalidJson),
    #[error("the event may have {limit} bytes with its data, and this one has {found}")]
    TooLarge { limit: usize, found: usize },
    #[error("{field} is of another major version than {major}, whose structure is unknown here")]
    Version { field: &'static str, major: u32 },
    #[error("the key is not UTF-8 after decoding")]
    KeyNotUtf8,
    #[error(transparent)]
    Name(#[from] InvalidName),
}
