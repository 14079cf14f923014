//! A request that failed, with what it was about.

use std::borrow::Cow;
use std::fmt;

use daybook_ledger::Cause;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::aws::clients::AwsResource;

/// A failed request. Displayed and serialized, it is the words of its cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "Cause")]
pub struct Failure {
    /// What was asked, or asked for.
    pub about: AwsResource,
    /// Why it failed.
    pub cause: Cause,
}

impl Failure {
    /// A failure about that.
    pub fn about(about: AwsResource, cause: impl Into<Cause>) -> Self {
        Self {
            about,
            cause: cause.into(),
        }
    }

    /// A failure about the ledger.
    pub fn of_ledger(cause: impl Into<Cause>) -> Self {
        Self::about(AwsResource::Ledger, cause)
    }
}

impl JsonSchema for Failure {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Failure".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Cause::json_schema(generator)
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        failure.cause
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

/// Failures one below the other, as an error shows them.
pub fn listed<T: fmt::Display>(failures: &[T]) -> anyhow::Error {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(lines.join("\n  caused by: "))
}
