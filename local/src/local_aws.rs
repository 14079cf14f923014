//! The three services in one handle, and what to start them with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::answer::Answer;
use crate::clock::{Clock, system_clock};
use crate::dynamodb::{self, Engine};
use crate::error::LocalError;
use crate::executions::Executions;
use crate::ids::Ids;
use crate::sqs::Sqs;
use crate::store::Store;

/// The embedded AWS. Clones share one state; when the last one is dropped, running executions stop.
#[derive(Clone)]
pub struct LocalAws {
    inner: Arc<Inner>,
}

struct Inner {
    tables: Tables,
    sqs: Sqs,
    executions: Executions,
    request_ids: Ids,
    requests: AtomicU64,
}

/// Who answers DynamoDB's requests.
enum Tables {
    Engine(Box<Engine>),
    Other(Arc<dyn DynamoDb>),
}

/// A DynamoDB to take the place of the embedded one, in memory: for tests that compare the two.
pub trait DynamoDb: Send + Sync {
    /// Answers one request, at once.
    fn answer(&self, operation: &str, body: &[u8]) -> Answer;

    /// Removes the items whose time to live is over; how many.
    ///
    /// # Errors
    /// Why that could not be done.
    fn expire(&self) -> Result<u64, String>;
}

/// Why items could not be put or removed past the wire.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PastTheWire(String);

/// Settings of the embedded AWS; see [`LocalAws::builder`].
pub struct LocalAwsBuilder {
    clock: Clock,
    seed: Option<u64>,
    data_dir: Option<PathBuf>,
    dynamodb: Option<Arc<dyn DynamoDb>>,
    region: String,
    account: String,
}

impl LocalAwsBuilder {
    /// Whose time the services live in. Default: [`system_clock`].
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

    /// Keeps DynamoDB in the file [`LEDGER_FILE`](crate::LEDGER_FILE) of this directory. What a request writes is flushed to disk before it
    /// is answered, and a read sees only what is flushed; requests that wait together share one flush. If a flush fails, every
    /// DynamoDB request from then on is answered with 500 `InternalServerError`, until a restart; where the disk is full, until it is not.
    ///
    /// A directory that is not there is made, readable by this user alone (0700 on Unix). Queues and executions stay
    /// in memory. Default: everything in memory.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Has this answer DynamoDB's requests, and no data directory. Default: the embedded engine.
    #[must_use]
    pub fn dynamodb(mut self, dynamodb: Arc<dyn DynamoDb>) -> Self {
        self.dynamodb = Some(dynamodb);
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
    /// When the data directory or the ledger in it cannot be opened, is not whole, or cannot be flushed to disk.
    pub fn build(self) -> Result<LocalAws, LocalError> {
        #[allow(
            clippy::disallowed_methods,
            reason = "an edge: it draws the seed that nobody gave"
        )]
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let tables = match self.dynamodb {
            Some(other) => Tables::Other(other),
            None => {
                let store = match &self.data_dir {
                    Some(path) => Store::open(path)?,
                    None => Store::in_memory(),
                };
                let (clock, ids) = (self.clock.clone(), Ids::new(seed ^ 4));
                let engine = Engine::new(store, clock, ids, &self.region, &self.account);
                Tables::Engine(Box::new(engine))
            }
        };
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
            tables,
            sqs,
            executions,
            request_ids: Ids::new(seed ^ 3),
            requests: AtomicU64::new(0),
        };
        Ok(LocalAws {
            inner: Arc::new(inner),
        })
    }
}

impl LocalAws {
    /// Settings to start from: everything in memory, the system's clock, `us-east-1`, account `000000000000`.
    pub fn builder() -> LocalAwsBuilder {
        LocalAwsBuilder {
            clock: system_clock(),
            seed: None,
            data_dir: None,
            dynamodb: None,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }

    /// Removes the items whose time to live is over from the tables that have one; how many.
    ///
    /// # Errors
    /// When they cannot be read or removed.
    pub async fn expire(&self) -> Result<u64, PastTheWire> {
        let expired = match &self.inner.tables {
            Tables::Engine(engine) => dynamodb::expire(engine).await,
            Tables::Other(other) => other.expire(),
        };
        expired.map_err(PastTheWire)
    }

    /// Puts items, as DynamoDB's JSON has them, into a table: for tests. The embedded engine does it in one commit.
    ///
    /// # Errors
    /// When there is no such table, or it cannot take one of them.
    pub async fn import(&self, table: &str, items: Vec<serde_json::Value>) -> Result<(), PastTheWire> {
        if let Tables::Engine(engine) = &self.inner.tables {
            return dynamodb::import(engine, table, items).await.map_err(PastTheWire);
        }
        for item in items {
            let put = serde_json::json!({ "TableName": table, "Item": item });
            let answer = self.dynamodb_answer("PutItem", put.to_string().as_bytes()).await;
            if answer.status != 200 {
                return Err(PastTheWire(String::from_utf8_lossy(&answer.body).into_owned()));
            }
        }
        Ok(())
    }

    /// How many times the ledger's file has been flushed to disk for requests since the start; always 0 in memory.
    pub fn syncs(&self) -> u64 {
        match &self.inner.tables {
            Tables::Engine(engine) => engine.store.flushes(),
            Tables::Other(_) => 0,
        }
    }

    /// How many requests there were since the start, whoever made them and whatever came of them.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
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
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
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

    async fn dynamodb_answer(&self, operation: &str, body: &[u8]) -> Answer {
        match &self.inner.tables {
            Tables::Engine(engine) => dynamodb::answer(engine, operation, body).await,
            Tables::Other(other) => other.answer(operation, body),
        }
    }
}
