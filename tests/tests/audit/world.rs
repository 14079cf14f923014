//! A bucket, a stage, and what passes between them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_manager::Dispatch;
use daybook_reconciler::audit::{
    Audit, AuditSettings, Checkpoint, Class, Finding, ListedObject, Progress, Repair, RepairCounts, Repaired,
    Repairer, Run, Scope,
};
use daybook_schema::{ObjectEvent, SourceName, Status, Timestamp, notification};
use daybook_tests::notifications::Upload;
use daybook_tests::s3::{S3, Version, Versioning};
use daybook_tests::{Stage, StageOptions};
use serde_json::json;

pub const BUCKET: &str = "data";
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// A stage whose ledger is installed, and a bucket.
pub struct AuditedBucket {
    pub stage: Stage,
    pub s3: S3,
    uploads: AtomicU64,
}

/// One upload: which key, and what S3 says of it.
#[derive(Clone, Debug)]
pub struct Uploaded {
    pub key: String,
    pub version: Version,
    /// The event's time, in milliseconds since 1970.
    pub at: i64,
    pub sequencer: u64,
}

/// What an audit came to.
#[derive(Debug)]
pub struct Audited {
    pub findings: Vec<Finding>,
    pub checkpoint: Checkpoint,
    pub progress: Progress,
}

impl AuditedBucket {
    pub async fn new(versioning: Versioning) -> Self {
        let world = Self::uninstalled(versioning).await;
        world.install().await;
        world
    }

    pub async fn uninstalled(versioning: Versioning) -> Self {
        let stage = Stage::new(StageOptions {
            dispatch: Dispatch {
                per_window: 500,
                ..Dispatch::default()
            },
            ..StageOptions::default()
        })
        .await;
        let s3 = S3::new(stage.clock.clone());
        s3.create_bucket(BUCKET, versioning);
        Self {
            stage,
            s3,
            uploads: AtomicU64::new(1),
        }
    }

    /// The first grant installs the ledger.
    pub async fn install(&self) {
        let marker = Upload {
            bucket: "elsewhere".into(),
            ..Upload::new("installation", 0, "e")
        };
        self.stage.ingest_all(&[marker.notification()]).await;
        self.drain().await;
        assert!(self.stage.ledger.control().await.unwrap().installed_at.is_some());
    }

    pub fn put(&self, key: &str, content: &str) -> Uploaded {
        self.uploaded(key, self.s3.put(BUCKET, key, content))
    }

    pub fn uploaded(&self, key: &str, version: Version) -> Uploaded {
        Uploaded {
            key: key.to_owned(),
            version,
            at: self.stage.now().unix_millis(),
            sequencer: 0x0062_E99A_88DC_0000 + self.uploads.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Tells the ledger of uploads.
    pub async fn notify<'a>(&self, uploads: impl IntoIterator<Item = &'a Uploaded>) {
        let payloads: Vec<String> = uploads.into_iter().map(Uploaded::notification).collect();
        for chunk in payloads.chunks(100) {
            self.stage.ingest_all(chunk).await;
        }
    }

    /// Runs everything in the ledger with success, until nothing is left.
    pub async fn drain(&self) {
        for _ in 0..100 {
            self.stage.schedule().await;
            self.stage.invoke_all().await;
            self.stage.succeed_running();
            self.stage.complete_all().await;
            let waiting = self.stage.rows_in(Status::Pending).await;
            if waiting + self.stage.rows_in(Status::Claimed).await == 0 {
                return;
            }
            self.stage.pass(MINUTE).await;
        }
        panic!("the ledger does not drain");
    }

    pub fn settings(&self) -> AuditSettings {
        AuditSettings::new(Scope {
            source: SourceName::default(),
            bucket: BUCKET.parse().unwrap(),
            prefix: String::new(),
        })
    }

    pub fn audit_with(&self, settings: AuditSettings) -> Audit {
        Audit::new(self.s3.client(), self.stage.ledger.clone(), settings)
    }

    pub async fn audit(&self) -> Audited {
        self.run_to_end(self.audit_with(self.settings()).begin().await.unwrap())
            .await
    }

    pub async fn run_to_end(&self, mut run: Run) -> Audited {
        let mut findings = Vec::new();
        while let Some(batch) = run.next().await.unwrap() {
            findings.extend(batch.findings);
        }
        Audited {
            findings,
            checkpoint: run.checkpoint().clone(),
            progress: run.progress(),
        }
    }

    pub fn repairer(&self) -> Repairer {
        Repairer::new(self.s3.client(), self.stage.ledger.clone(), self.settings(), 5)
    }

    pub async fn repair(
        &self,
        objects: Vec<ListedObject>,
        repair: Repair,
    ) -> (RepairCounts, Vec<(ListedObject, Repaired)>) {
        let outcomes = self
            .repairer()
            .repair(objects, repair, self.stage.deadline())
            .await
            .unwrap();
        let mut counts = RepairCounts::default();
        for (_, outcome) in &outcomes {
            counts.count(outcome);
        }
        (counts, outcomes)
    }

    pub async fn pass(&self, duration: Duration) {
        self.stage.pass(duration).await;
    }

    pub fn executions(&self) -> usize {
        self.stage.execution_names().len()
    }
}

impl Uploaded {
    /// The event as ingest reads it.
    pub fn event(&self) -> ObjectEvent {
        let read = notification::read(&self.notification(), &SourceName::default());
        read.events.into_iter().next().unwrap()
    }

    pub fn notification(&self) -> String {
        let key: String = form_urlencoded::byte_serialize(self.key.as_bytes()).collect();
        let at = Timestamp::from_unix_millis(self.at).unwrap();
        let mut object = json!({
            "key": key, "size": self.version.size, "eTag": self.version.etag,
            "sequencer": format!("{:016X}", self.sequencer),
        });
        if let Some(id) = &self.version.id {
            object["versionId"] = json!(id);
        }
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": at.to_string(), "eventName": "ObjectCreated:Put",
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "daybook",
                "bucket": {"name": BUCKET, "arn": format!("arn:aws:s3:::{BUCKET}")},
                "object": object,
            },
        }]})
        .to_string()
    }
}

impl Audited {
    /// The class of each object that is not done, by key (and version, if it has one).
    pub fn classes(&self) -> BTreeMap<(String, Option<String>), &'static str> {
        let object = |finding: &Finding| match finding {
            Finding::Object { object, class } => Some((
                (object.key.to_string(), object.version_id.clone()),
                class_name(class),
            )),
            _ => None,
        };
        self.findings.iter().filter_map(object).collect()
    }

    /// The objects of a class.
    pub fn of_class(&self, name: &str) -> Vec<ListedObject> {
        let object = |finding: &Finding| match finding {
            Finding::Object { object, class } if class_name(class) == name => Some(object.clone()),
            _ => None,
        };
        self.findings.iter().filter_map(object).collect()
    }

    /// The keys of rows whose objects are gone.
    pub fn gone(&self) -> Vec<String> {
        let key = |finding: &Finding| match finding {
            Finding::Gone { row, unconfirmed } => {
                assert_eq!(*unconfirmed, None);
                Some(row.key.to_string())
            }
            _ => None,
        };
        self.findings.iter().filter_map(key).collect()
    }
}

pub fn class_name(class: &Class) -> &'static str {
    match class {
        Class::Done => "done",
        Class::Removed => "removed",
        Class::Open(_) => "open",
        Class::TooNew => "too new",
        Class::Missing => "missing",
        Class::MayWait => "may wait",
        Class::BeforeWatermark { .. } => "before",
        Class::Changed => "changed",
        Class::Unknown { .. } => "unknown",
    }
}
