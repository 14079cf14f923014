//! How values that are stored as text or as a number are described to programs.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::{
    Attempt, BucketName, CloudEvent, EventId, Kind, ObjectId, ObjectKey, Outcome, Sequencer, SourceName,
    Timestamp,
};

macro_rules! described {
    ($($type:ty: $json:literal $(, $format:literal)?;)*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": $json $(, "format": $format)?})
            }
        }
    )*};
}

described! {
    Attempt: "integer";
    BucketName: "string";
    CloudEvent: "object", "CloudEvents 1.0";
    EventId: "string", "UUID";
    Kind: "string";
    ObjectId: "string", "UUID";
    ObjectKey: "string";
    Outcome: "string", "succeeded or removed";
    Sequencer: "string", "hexadecimal";
    SourceName: "string";
    Timestamp: "string", "RFC 3339, UTC, milliseconds";
}
