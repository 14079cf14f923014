//! The three services in one handle, and what to start them with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::answer::Answer;
use crate::clock::{Clock, DynoxideClock, system_clock};
use crate::durable::DurableDatabase;
use crate::dynamodb::{self, Engine};
use crate::dynoxide_wire;
use crate::error::LocalError;
use crate::executions::Executions;
use crate::ids::Ids;
use crate::sqs::Sqs;
use crate::store;

/// The embedded AWS. Clones share one state; when the last one is dropped, running executions stop.
#[derive(Clone)]
pub struct LocalAws {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    sqs: Sqs,
    executions: Executions,
    request_ids: Ids,
    requests: AtomicU64,
}

/// Where DynamoDB is. On a disk it blocks for an fsync; in memory it does not, and simulation needs it to answer at
/// once.
enum Store {
    Memory(dynoxide::Database),
    Disk(Arc<DurableDatabase>),
    /// The engine of our own, in memory or on disk.
    Own(Box<Engine>),
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
    own_dynamodb: bool,
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

    /// Keeps DynamoDB in the file [`LEDGER_FILE`](crate::LEDGER_FILE) of this directory. No request is answered, reads included, before
    /// all that its answer may rest on is flushed to disk; requests that wait together share one fsync. If a flush
    /// fails, every DynamoDB request from then on is answered with 500 `InternalServerError`, until a restart.
    ///
    /// A directory that is not there is made, readable by this user alone (0700 on Unix). Queues and executions stay
    /// in memory. Default: everything in memory.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Keeps DynamoDB's tables in the engine of this crate's own, which is to take dynoxide's place: in memory, or in the file `ledger.redb`
    /// of the data directory. Default: dynoxide.
    #[must_use]
    pub fn own_dynamodb(mut self, own: bool) -> Self {
        self.own_dynamodb = own;
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
    /// When the data directory or the database in it cannot be opened, or not flushed to disk.
    pub fn build(self) -> Result<LocalAws, LocalError> {
        #[allow(
            clippy::disallowed_methods,
            reason = "an edge: it draws the seed that nobody gave"
        )]
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let store = match self.own_dynamodb {
            false => open_store(self.data_dir, &self.clock)?,
            true => {
                let store = match &self.data_dir {
                    Some(path) => store::Store::open(path)?,
                    None => store::Store::in_memory(),
                };
                let (clock, ids) = (self.clock.clone(), Ids::new(seed ^ 4));
                let engine = Engine::new(store, clock, ids, &self.region, &self.account);
                Store::Own(Box::new(engine))
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
            store,
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

fn open_store(data_dir: Option<PathBuf>, clock: &Clock) -> Result<Store, LocalError> {
    if let Some(path) = data_dir {
        return Ok(Store::Disk(Arc::new(DurableDatabase::open(&path)?)));
    }
    let clock = Arc::new(DynoxideClock(clock.clone()));
    let opened = dynoxide::Database::memory_with_clock(clock);
    opened.map(Store::Memory).map_err(|source| LocalError::Database {
        path: ":memory:".to_owned(),
        source: Box::new(source),
    })
}

fn swept(database: &dynoxide::Database) -> Result<u64, PastTheWire> {
    let swept = database.sweep_ttl();
    swept
        .map(|items| items as u64)
        .map_err(|error| PastTheWire(error.to_string()))
}

impl LocalAws {
    /// Settings to start from: everything in memory, the system's clock, `us-east-1`, account `000000000000`.
    pub fn builder() -> LocalAwsBuilder {
        LocalAwsBuilder {
            clock: system_clock(),
            seed: None,
            data_dir: None,
            own_dynamodb: false,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }

    /// The database behind the DynamoDB endpoint, for what the API does not show (`sweep_ttl`, sizes).
    ///
    /// What is written through it on disk (`import_items`) goes past the wait for the disk: a crash can lose it until
    /// the next write that the endpoint answers, and the endpoint's reads show it before that. Do not call
    /// `enable_bulk_loading`: it takes SQLite's own flushes away.
    ///
    /// # Panics
    /// With [`LocalAwsBuilder::own_dynamodb`], which has no such database.
    pub fn dynamodb(&self) -> &dynoxide::Database {
        match &self.inner.store {
            Store::Memory(database) => database,
            Store::Disk(durable) => durable.database(),
            Store::Own(_) => panic!("the tables are not dynoxide's"),
        }
    }

    /// Removes the items whose time to live is over from the tables that have one; how many.
    ///
    /// # Errors
    /// When they cannot be read or removed.
    pub async fn expire(&self) -> Result<u64, PastTheWire> {
        match &self.inner.store {
            Store::Own(engine) => dynamodb::expire(engine).await.map_err(PastTheWire),
            Store::Memory(database) => swept(database),
            Store::Disk(durable) => swept(durable.database()),
        }
    }

    /// Puts items, as DynamoDB's JSON has them, into a table: for tests. The engine of this crate's own does it in one commit.
    ///
    /// # Errors
    /// When there is no such table, or it cannot take one of them.
    pub async fn import(&self, table: &str, items: Vec<serde_json::Value>) -> Result<(), PastTheWire> {
        if let Store::Own(engine) = &self.inner.store {
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

    /// How many times DynamoDB's log has been flushed to disk (fdatasync) for requests since the start; always 0 in
    /// memory. Flushes at the start and SQLite's own, about three per 1000 pages of log, are not among them.
    pub fn syncs(&self) -> u64 {
        match &self.inner.store {
            Store::Memory(_) => 0,
            Store::Disk(durable) => durable.flushes(),
            Store::Own(engine) => engine.store.flushes(),
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

    #[allow(
        clippy::disallowed_methods,
        reason = "an fsync must not stall the runtime's other tasks"
    )]
    async fn dynamodb_answer(&self, operation: &str, body: &[u8]) -> Answer {
        let durable = match &self.inner.store {
            Store::Memory(database) => return dynoxide_wire::answer(database, operation, body),
            Store::Disk(durable) => Arc::clone(durable),
            Store::Own(engine) => return dynamodb::answer(engine, operation, body).await,
        };
        let (operation, body) = (operation.to_owned(), body.to_vec());
        let blocking = tokio::task::spawn_blocking(move || durable.answer(&operation, &body));
        blocking
            .await
            .unwrap_or_else(|error| dynoxide_wire::internal_error(&error.to_string()))
    }
}
