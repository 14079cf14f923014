//! The embedded AWS: DynamoDB, SQS and Step Functions in one process.
//!
//! It stands in for AWS at the wire, behind the SDK's own `HttpClient` ([`LocalAws::http_client`]) or on a
//! loopback port ([`LocalAws::serve`]), so that local mode, tests and simulation run the very requests that AWS
//! would get. DynamoDB is dynoxide on SQLite; SQS and Step Functions are the operations that Daybook uses,
//! held to the contract tests in `tests/tests/contract.rs`. `docs/emulators.md` says where it and others differ
//! from AWS.
//!
//! It checks no credentials and belongs on a loopback address.

mod answer;
mod clock;
mod dynamodb;
pub mod executions;
mod http_client;
mod ids;
mod server;
pub mod sqs;

use std::{future::Future, path::PathBuf, sync::Arc};

use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use answer::Answer;
pub use clock::{Clock, system_clock};
pub use dynoxide;
pub use executions::{
    ExecutionError, ExecutionStatus, ExecutionView, Executions, Outcome, StartedExecution, Target,
};
pub use sqs::{Depth, MessageView, Purged, QueueAttributes, RedrivePolicy, Sqs, SqsError};

use clock::DynoxideClock;
use ids::Ids;

/// The file in [`LocalAwsBuilder::data_dir`] that holds every DynamoDB table.
pub const LEDGER_FILE: &str = "ledger.sqlite";

/// Why the embedded AWS did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The data directory could not be made.
    #[error("cannot create the data directory {}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The data directory's name is not UTF-8, which SQLite needs.
    #[error("the data directory {} is not valid UTF-8", path.display())]
    DataDirName {
        /// The directory.
        path: PathBuf,
    },
    /// SQLite could not open the database.
    #[error("cannot open the ledger database {path}")]
    Database {
        /// The file, or `:memory:`.
        path: String,
        /// What dynoxide said.
        source: Box<dynoxide::DynoxideError>,
    },
}

/// The embedded AWS. Clones share one state; when the last one is dropped, running executions stop.
#[derive(Clone)]
pub struct LocalAws {
    inner: Arc<Inner>,
}

struct Inner {
    database: dynoxide::Database,
    /// SQLite on a disk blocks for an fsync; in memory it does not, and simulation needs it to answer at once.
    durable: bool,
    sqs: Sqs,
    executions: Executions,
    request_ids: Ids,
}

/// Settings of the embedded AWS; see [`LocalAws::builder`].
pub struct LocalAwsBuilder {
    clock: Clock,
    seed: Option<u64>,
    data_dir: Option<PathBuf>,
    region: String,
    account: String,
}

impl LocalAwsBuilder {
    /// Whose time SQS, executions and (in memory) DynamoDB live in. Default: [`system_clock`].
    ///
    /// On disk dynoxide takes no clock, so there DynamoDB keeps the system's; it matters for table creation
    /// times and TTL only.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What message ids, receipt handles and all else that is random derive from: same seed, same ids.
    /// Default: a random one.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Keeps DynamoDB in the file [`LEDGER_FILE`] of this directory, every write flushed to disk before it is
    /// answered. Queues and executions stay in memory. Default: everything in memory.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// The region in ARNs. Default: `us-east-1`.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// The account in ARNs and queue URLs. Default: `000000000000`.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// Starts the embedded AWS.
    ///
    /// # Errors
    /// When the data directory or the database in it cannot be opened.
    pub fn build(self) -> Result<LocalAws, LocalError> {
        let durable = self.data_dir.is_some();
        let database = open_database(self.data_dir, &self.clock)?;
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        // A stream of ids per service, so that one more DynamoDB request does not change every message id.
        let sqs = Sqs::new(
            self.clock.clone(),
            Ids::new(seed ^ 1),
            &self.region,
            &self.account,
        );
        let executions = Executions::new(
            self.clock,
            Ids::new(seed ^ 2),
            &self.region,
            &self.account,
            sqs.clone(),
        );
        let inner = Inner {
            database,
            durable,
            sqs,
            executions,
            request_ids: Ids::new(seed ^ 3),
        };
        Ok(LocalAws {
            inner: Arc::new(inner),
        })
    }
}

fn open_database(data_dir: Option<PathBuf>, clock: &Clock) -> Result<dynoxide::Database, LocalError> {
    let Some(path) = data_dir else {
        let clock = Arc::new(DynoxideClock(clock.clone()));
        return dynoxide::Database::memory_with_clock(clock).map_err(|source| LocalError::Database {
            path: ":memory:".to_owned(),
            source: Box::new(source),
        });
    };
    if let Err(source) = std::fs::create_dir_all(&path) {
        return Err(LocalError::DataDir { path, source });
    }
    let Some(file) = path.join(LEDGER_FILE).to_str().map(str::to_owned) else {
        return Err(LocalError::DataDirName { path });
    };
    dynoxide::Database::new(&file).map_err(|source| LocalError::Database {
        path: file,
        source: Box::new(source),
    })
}

impl LocalAws {
    /// Settings to start from: everything in memory, the system's clock, `us-east-1`, account `000000000000`.
    pub fn builder() -> LocalAwsBuilder {
        LocalAwsBuilder {
            clock: system_clock(),
            seed: None,
            data_dir: None,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }

    /// The database behind the DynamoDB endpoint, for what the API does not show (`sweep_ttl`, sizes).
    pub fn dynamodb(&self) -> &dynoxide::Database {
        &self.inner.database
    }

    /// The queues.
    pub fn sqs(&self) -> &Sqs {
        &self.inner.sqs
    }

    /// The state machines and their executions.
    pub fn executions(&self) -> &Executions {
        &self.inner.executions
    }

    /// Answers one AWS JSON request; `target` is its `X-Amz-Target` header.
    ///
    /// Returns at once, except for a `ReceiveMessage` that waits (at most 20 seconds) and for DynamoDB on disk.
    /// Dropping the future gives up waiting; a write to disk that has begun is applied all the same.
    pub async fn handle(&self, target: &str, body: &[u8]) -> Answer {
        self.handle_at(target, body, None).await
    }

    /// As [`handle`](Self::handle), with the address that queue URLs in the answer begin with.
    pub(crate) async fn handle_at(&self, target: &str, body: &[u8], base_url: Option<&str>) -> Answer {
        let answer = match target.split_once('.') {
            Some(("DynamoDB_20120810", operation)) => self.dynamodb_answer(operation, body).await,
            Some(("AmazonSQS", operation)) => self.inner.sqs.answer(operation, body, base_url).await,
            Some(("AWSStepFunctions", operation)) => self.inner.executions.answer(operation, body),
            _ => Answer::unknown_operation(target),
        };
        self.identified(answer)
    }

    /// The answer with a request id, which AWS gives to refusals too.
    pub(crate) fn identified(&self, answer: Answer) -> Answer {
        answer.with_header("x-amzn-requestid", self.inner.request_ids.uuid().to_string())
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "an fsync must not stall the runtime's other tasks"
    )]
    async fn dynamodb_answer(&self, operation: &str, body: &[u8]) -> Answer {
        if !self.inner.durable {
            return dynamodb::answer(&self.inner.database, operation, body);
        }
        let (database, operation, body) = (self.inner.database.clone(), operation.to_owned(), body.to_vec());
        let blocking = tokio::task::spawn_blocking(move || dynamodb::answer(&database, &operation, &body));
        blocking.await.unwrap_or_else(|error| {
            Answer::error(
                500,
                "com.amazonaws.dynamodb.v20120810#InternalServerError",
                &error.to_string(),
            )
        })
    }

    /// The SDK's HTTP client, in process. Any endpoint URL does: the target decides.
    pub fn http_client(&self) -> SharedHttpClient {
        http_client::client(self.clone())
    }

    /// Serves the same on `listener` (bind it to 127.0.0.1) until `shutdown` resolves; then finishes the
    /// requests that run, cuts waiting long polls short, and returns.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: tokio::net::TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        server::serve(self.clone(), listener, shutdown).await
    }
}
