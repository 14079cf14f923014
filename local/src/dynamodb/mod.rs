//! The embedded DynamoDB: its operations over the store, in AWS's words and by AWS's rules.

#[allow(dead_code, unused_imports, reason = "the operations that use it come next")]
pub(crate) mod expression;
#[allow(dead_code, unused_imports, reason = "the operations that use it come next")]
pub(crate) mod partiql;
#[allow(dead_code, unused_imports, reason = "the operations that use it come next")]
pub(crate) mod value;
