//! Why a store does not answer.

use std::sync::Arc;

/// Why a store does not answer. Its text is for whoever runs it: what happened, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StoreError(Arc<str>);

impl StoreError {
    /// What is stored is not what was written: from then on the store answers nothing.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into().into())
    }
}
