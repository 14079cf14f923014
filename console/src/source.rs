//! Where the console gets its deployment from.

use std::sync::Arc;

use daybook_inspect::aws::s3::S3;
use daybook_inspect::metrics::Counted;
use daybook_inspect::parts::Parts;
use daybook_inspect::rate::Rate;
use daybook_ledger::RetryPolicy;
use futures::future::BoxFuture;

/// A deployment, opened for one request or for as long as it is held.
pub trait Deployment: Send + Sync {
    /// Its parts, as far as they can be asked.
    fn parts(&self) -> Parts<'_>;

    /// What to call it, such as `stack prod in region eu-central-1`.
    fn name(&self) -> String;

    /// N and its window, as far as the deployment says it.
    fn rate(&self) -> Rate;

    /// After how many failed attempts its events are parked.
    fn max_attempts(&self) -> u32;

    /// How long its failed attempts wait.
    fn retry(&self) -> RetryPolicy;

    /// The S3 to ask about objects, or why none is asked.
    ///
    /// # Errors
    /// Why none is asked, in words.
    fn s3(&self) -> Result<S3, String>;

    /// The queue that notifications arrive on, if it is named: who asks for it, and its URL.
    fn intake(&self) -> Option<(aws_sdk_sqs::Client, String)> {
        None
    }

    /// The flags that name it on the command line, such as `--stack prod`, as a shell takes them.
    fn flags(&self) -> String;
}

/// Opens the deployment. The console never holds a folder between requests: other verbs need it too.
pub trait Source: Send + Sync {
    /// Opens it.
    ///
    /// The error says in words why it cannot be opened, and what to do.
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Deployment>, String>>;

    /// What the process has counted since it began, for `GET /metrics`; `None` where it records and works on nothing.
    fn counted(&self) -> Option<Counted> {
        None
    }
}
