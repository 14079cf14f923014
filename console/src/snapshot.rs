//! Where a deployment stands, asked once per process and interval and shared by all tabs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use daybook_inspect::audits::KeptAudits;
use daybook_inspect::checks::finding::Item;
use daybook_inspect::errors::{Errors, errors};
use daybook_inspect::metrics;
use daybook_inspect::rate::Rate;
use daybook_inspect::status::observe::gather;
use daybook_schema::Timestamp;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::look::Counter;
use crate::source::{Deployment, Source};

/// Rows are counted up to about this many per shard of a status: beyond that the console says "at least".
const ENOUGH: u32 = 250;

/// How old what is known of failed events may be: all open rows are read for it.
const ERRORS_EVERY: Duration = Duration::from_secs(15);

/// Findings and audits are looked at again after so many intervals.
const HEALTH_POLLS: u32 = 10;

/// Where looks may be repeated so soon, they are quick.
const QUICK: Duration = Duration::from_secs(5);

/// Where a deployment stands.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When that was.
    pub at: Timestamp,
    /// The deployment's name.
    pub name: String,
    /// The flags that name it on the command line.
    pub flags: String,
    /// What `daybook status --output json` says.
    pub status: Value,
    /// The same as metrics.
    pub gauges: String,
}

/// What events failed of.
pub struct Causes {
    /// When that was.
    pub at: Timestamp,
    /// The deployment's name.
    pub name: String,
    /// The flags that name it on the command line.
    pub flags: String,
    /// What `daybook errors --output json` says.
    pub errors: Errors,
}

/// Whether the parts of a deployment are as they should be, and which audits there were.
pub struct Health {
    /// When that was.
    pub at: Timestamp,
    /// The deployment's name.
    pub name: String,
    /// What `daybook doctor` finds, but for the write that it tries; or why that is not known.
    pub findings: Result<Vec<Item>, String>,
    /// The audits that are kept; or why they are not known.
    pub audits: Result<KeptAudits, String>,
}

/// The newest snapshots. Whoever asks while one is being made waits for it, and nobody makes a second.
pub struct Snapshots {
    source: Arc<dyn Source>,
    /// What the deployment is called, once it was opened.
    name: OnceLock<String>,
    poll: Duration,
    status: Cell<Snapshot>,
    causes: Cell<Causes>,
    health: Cell<Health>,
}

/// What was found out last, and when. A failure is kept as long as a success: a ledger in trouble is not asked more often.
type Cell<T> = Mutex<Option<(Instant, Result<Arc<T>, String>)>>;

impl Snapshots {
    /// None yet; one is not older than `poll`.
    pub fn new(source: Arc<dyn Source>, poll: Duration) -> Self {
        Self {
            source,
            name: OnceLock::new(),
            poll,
            status: Mutex::default(),
            causes: Mutex::default(),
            health: Mutex::default(),
        }
    }

    /// What opens the deployment.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// Opens the deployment.
    ///
    /// # Errors
    /// Why it cannot be opened, in words.
    pub async fn open(&self) -> Result<Arc<dyn Deployment>, String> {
        let deployment = self.source.open().await?;
        self.name.get_or_init(|| deployment.name());
        Ok(deployment)
    }

    /// What the deployment is called, as far as that is known without opening it.
    pub fn name(&self) -> &str {
        self.name.get().map_or("Daybook", String::as_str)
    }

    /// The newest, not older than the interval.
    ///
    /// # Errors
    /// Why the deployment cannot be opened, in words.
    pub async fn status(&self) -> Result<Arc<Snapshot>, String> {
        fresh(&self.status, self.poll, || self.look()).await
    }

    /// What events fail of, read again after 15 seconds; `rows` counts what is read for it.
    ///
    /// # Errors
    /// As [`Snapshots::status`].
    pub async fn causes(&self, rows: Counter) -> Result<Arc<Causes>, String> {
        fresh(&self.causes, ERRORS_EVERY, || self.group(rows)).await
    }

    /// Findings and audits, looked at again after ten intervals.
    ///
    /// # Errors
    /// As [`Snapshots::status`].
    pub async fn health(&self) -> Result<Arc<Health>, String> {
        fresh(&self.health, self.poll * HEALTH_POLLS, || self.examine()).await
    }

    /// The same for a page that must not wait: where looking may take seconds, as on AWS, what was known last, if anything.
    pub async fn health_at_hand(&self) -> Option<Arc<Health>> {
        if self.poll <= QUICK {
            return self.health().await.ok();
        }
        let kept = self.health.try_lock().ok()?;
        let (_, last) = kept.as_ref()?;
        last.clone().ok()
    }

    /// Something was changed: what was known before is not shown any more.
    pub async fn forget(&self) {
        *self.status.lock().await = None;
        *self.causes.lock().await = None;
        *self.health.lock().await = None;
    }

    async fn look(&self) -> Result<Snapshot, String> {
        let deployment = self.open().await?;
        let parts = deployment.parts();
        let found = gather(&parts, Some(ENOUGH), Rate::default(), deployment.rate()).await;
        let failures = found.failures();
        let output = found.output(deployment.name(), parts.folder, &failures);
        Ok(Snapshot {
            at: found.now,
            name: deployment.name(),
            flags: deployment.flags(),
            status: serde_json::to_value(output).map_err(|error| error.to_string())?,
            gauges: metrics::gauges(&metrics::Seen {
                found: &found,
                folder: parts.folder,
            }),
        })
    }

    async fn examine(&self) -> Result<Health, String> {
        let deployment = self.open().await?;
        let (findings, audits) = futures::join!(deployment.findings(), deployment.audits());
        Ok(Health {
            at: deployment.parts().ledger.clock().now(),
            name: deployment.name(),
            findings,
            audits,
        })
    }

    async fn group(&self, rows: Counter) -> Result<Causes, String> {
        let deployment = self.open().await?;
        let ledger = &deployment.parts().ledger.counting(rows);
        Ok(Causes {
            at: ledger.clock().now(),
            name: deployment.name(),
            flags: deployment.flags(),
            errors: errors(ledger, |_| {}).await,
        })
    }
}

async fn fresh<T, F: Future<Output = Result<T, String>>>(
    cell: &Cell<T>,
    keep: Duration,
    make: impl FnOnce() -> F,
) -> Result<Arc<T>, String> {
    let mut kept = cell.lock().await;
    if let Some((made, result)) = &*kept
        && made.elapsed() < keep
    {
        return result.clone();
    }
    let result = make().await.map(Arc::new);
    *kept = Some((Instant::now(), result.clone()));
    result
}
