//! Where the console gets its deployment from.

use std::sync::Arc;

use daybook_inspect::audits::{KeptAudit, KeptAudits};
use daybook_inspect::aws::s3::S3;
use daybook_inspect::checks::deployment::without_writes;
use daybook_inspect::checks::finding::Item;
use daybook_inspect::checks::flow::Configured;
use daybook_inspect::checks::role::Role;
use daybook_inspect::metrics::Counted;
use daybook_inspect::operate::log::Log;
use daybook_inspect::parts::Parts;
use daybook_inspect::rate::Rate;
use daybook_ledger::RetryPolicy;
use futures::future::{BoxFuture, FutureExt, ready};

/// The queues of a deployment on AWS.
pub struct Queues {
    /// Who asks for them.
    pub sqs: aws_sdk_sqs::Client,
    /// What each is for, and its URL.
    pub urls: Vec<(Role, String)>,
}

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

    /// Its queues, whose dead letters may be moved back; none of a folder.
    ///
    /// # Errors
    /// Why they are not known, in words.
    fn queues(&self) -> Result<Option<Queues>, String> {
        Ok(None)
    }

    /// How its dispatch is configured, as far as it is known.
    fn configured(&self) -> Configured {
        Configured::default()
    }

    /// What `daybook doctor` finds, the worst first, but for the write that it tries: looking costs no write unit. These are the checks of a
    /// folder; a deployment on AWS has others.
    ///
    /// The error says in words why it cannot be looked at.
    fn findings(&self) -> BoxFuture<'_, Result<Vec<Item>, String>> {
        async { Ok(without_writes(&self.parts(), self.rate(), self.configured()).await) }.boxed()
    }

    /// The audits that are kept.
    ///
    /// The error says in words why they cannot be read.
    fn audits(&self) -> BoxFuture<'_, Result<KeptAudits, String>> {
        ready(Ok(KeptAudits::default())).boxed()
    }

    /// The kept audit of that name, if there is one.
    ///
    /// The error says in words why it cannot be read.
    fn audit(&self, _id: String) -> BoxFuture<'_, Result<Option<KeptAudit>, String>> {
        ready(Ok(None)).boxed()
    }

    /// The log of what people do with it, where one is kept: on one machine.
    fn log(&self) -> Option<Arc<dyn Log>> {
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
