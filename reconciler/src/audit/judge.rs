//! Judging many objects: receipts, a second and consistent look at what seems to have none, a HEAD where only that can tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use daybook_ledger::{Ledger, LedgerError, Lookup};
use daybook_schema::identity::ObjectParts;
use daybook_schema::{Kind, ObjectId, Receipt, Timestamp};
use futures::StreamExt;

use super::classify::{Class, Cuts, Evidence, Judgement, Unknown, classify};
use super::entry::ListedObject;
use super::error::AuditError;
use super::head::{Still, look_again};
use super::intake::{IntakeSeen, before};
use super::open::OpenRows;
use super::settings::{AuditSettings, Scope};

/// HEAD requests under way at once.
pub(super) const HEADS: usize = 16;

/// Judges objects of one scope by one ledger.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) s3: Client,
    pub(super) ledger: Ledger,
    pub(super) scope: Scope,
    grace: Duration,
    intake: IntakeSeen,
    installed_at: Option<Timestamp>,
    receipts_keep: Duration,
    /// Whether a HEAD must show that what is missing is still there, because the source is of a while ago.
    pub(super) confirms_missing: bool,
    heads: AtomicU64,
}

impl Judge {
    /// Reads what all objects are judged by.
    ///
    /// # Errors
    /// With receipts off, or when the ledger or its receipts cannot be read.
    pub(super) async fn new(
        s3: Client,
        ledger: Ledger,
        settings: &AuditSettings,
    ) -> Result<Self, AuditError> {
        let receipts_keep = ledger.receipts_kept_for().ok_or(AuditError::ReceiptsOff)?;
        ledger.check_receipts().await?;
        let control = ledger.control().await?;
        Ok(Self {
            s3,
            ledger,
            scope: settings.scope.clone(),
            grace: settings.grace,
            intake: settings.intake.clone(),
            installed_at: control.installed_at,
            receipts_keep,
            confirms_missing: false,
            heads: AtomicU64::new(0),
        })
    }

    pub(super) async fn scan(&self) -> Result<OpenRows, LedgerError> {
        OpenRows::scan(&self.ledger, &self.scope).await
    }

    /// HEAD requests so far.
    pub(super) fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }

    pub(super) fn count_heads(&self, heads: usize) {
        self.heads.fetch_add(heads as u64, Ordering::Relaxed);
    }

    /// The class of each object, in their order.
    ///
    /// The order of reads is what makes it true: rows, then listing, then receipts. An event that is done in between leaves its
    /// receipt before its row goes, so it is seen in one of the two.
    pub(super) async fn classes(
        &self,
        objects: &[&ListedObject],
        open: &OpenRows,
        clock_behind: Duration,
    ) -> Vec<Class> {
        let ids: Vec<ObjectId> = objects.iter().map(|object| self.object_id(object)).collect();
        let found = self.ledger.receipts(ids.iter().copied()).await;
        let receipt = |receipt| Lookup::Found(Box::new(receipt));
        let found: BTreeMap<ObjectId, Lookup<Receipt>> =
            found.into_iter().map(|(id, it)| (id, receipt(it))).collect();
        let mut judged = self.judge(objects, &ids, &found, open, clock_behind);
        let doubted: Vec<ObjectId> = ids
            .iter()
            .zip(&judged)
            .filter(|(_, judgement)| needs_proof(judgement))
            .map(|(id, _)| *id)
            .collect();
        if !doubted.is_empty() {
            // The first read may be behind, and leaves out what it could not get. Only a consistent one proves absence.
            let mut proven = found;
            proven.extend(self.ledger.look_up_receipts(doubted).await);
            judged = self.judge(objects, &ids, &proven, open, clock_behind);
        }
        if self.confirms_missing {
            judged = judged.into_iter().map(confirmed).collect();
        }
        self.settle(objects, judged).await
    }

    /// As [`Judge::classes`], for objects that a HEAD has just shown to be what was listed. Every receipt is read consistently.
    pub(super) async fn proven_classes(&self, objects: &[&ListedObject], open: &OpenRows) -> Vec<Class> {
        let ids: Vec<ObjectId> = objects.iter().map(|object| self.object_id(object)).collect();
        let proven = self.ledger.look_up_receipts(ids.iter().copied()).await;
        let judged = self.judge(objects, &ids, &proven, open, Duration::ZERO);
        let class = |judgement| match judgement {
            Judgement::Is(class) | Judgement::IfUnchanged(class) => class,
        };
        judged.into_iter().map(class).collect()
    }

    fn judge(
        &self,
        objects: &[&ListedObject],
        ids: &[ObjectId],
        receipts: &BTreeMap<ObjectId, Lookup<Receipt>>,
        open: &OpenRows,
        clock_behind: Duration,
    ) -> Vec<Judgement> {
        let cuts = self.cuts(open, clock_behind);
        let judge = |(object, id): (&&ListedObject, &ObjectId)| {
            let key = object.key.as_str();
            let evidence = Evidence {
                rows: open.about(key, object.version_id.as_deref()),
                receipt: receipts.get(id).unwrap_or(&Lookup::Absent),
                unreadable_rows: open.summary().unreadable,
                may_be_parked: open.may_be_parked(key),
            };
            classify(object, evidence, &cuts)
        };
        objects.iter().zip(ids).map(judge).collect()
    }

    /// The cuts of now: call it after the receipts were read.
    pub(super) fn cuts(&self, open: &OpenRows, clock_behind: Duration) -> Cuts {
        let settled = |at: Timestamp| before(at, self.grace.saturating_add(clock_behind));
        let scanned_at = open.scanned_at();
        let (settled_until, drained_until) = match &self.intake {
            IntakeSeen::Unchecked => (settled(scanned_at), settled(scanned_at)),
            // What is a little newer than that is not worth a class of its own.
            IntakeSeen::Drained { until } => {
                let settled_until = settled(scanned_at.min(*until));
                (settled_until, settled_until)
            }
            IntakeSeen::Waiting { until, .. } => (settled(scanned_at), until.and_then(settled)),
        };
        Cuts {
            settled_until,
            drained_until,
            installed_at: self.installed_at,
            receipts_keep: self.receipts_keep,
            now: self.ledger.clock().now(),
        }
    }

    /// Asks S3 about those that were perhaps overwritten since they were listed.
    async fn settle(&self, objects: &[&ListedObject], judged: Vec<Judgement>) -> Vec<Class> {
        let looks: Vec<_> = objects
            .iter()
            .zip(&judged)
            .filter(|(_, judgement)| matches!(judgement, Judgement::IfUnchanged(_)))
            .map(|(object, _)| look_again(&self.s3, &self.scope.bucket, object))
            .collect();
        self.count_heads(looks.len());
        let looks: Vec<Still> = futures::stream::iter(looks).buffered(HEADS).collect().await;
        let mut looks = looks.into_iter();
        let unchanged = |class, look| match look {
            Some(Still::Same(_)) => class,
            Some(Still::Changed | Still::Gone) => Class::Changed,
            Some(Still::Unknown(cause)) => Class::Unknown {
                cause: Unknown::Head(cause),
            },
            None => Class::Unknown {
                cause: Unknown::Head("it was not asked".into()),
            },
        };
        let class = |judgement| match judgement {
            Judgement::Is(class) => class,
            Judgement::IfUnchanged(class) => unchanged(class, looks.next()),
        };
        judged.into_iter().map(class).collect()
    }

    /// The receipts' key of a listed object.
    pub(super) fn object_id(&self, object: &ListedObject) -> ObjectId {
        self.parts(object).object_id()
    }

    pub(super) fn parts<'a>(&'a self, object: &'a ListedObject) -> ObjectParts<'a> {
        ObjectParts {
            source: &self.scope.source,
            bucket: &self.scope.bucket,
            key: &object.key,
            version_id: object.version_id.as_deref(),
            kind: &Kind::Created,
        }
    }
}

/// The same, if a HEAD shows that the object is still there.
fn confirmed(judgement: Judgement) -> Judgement {
    match judgement {
        Judgement::Is(class @ (Class::Missing | Class::MayWait)) => Judgement::IfUnchanged(class),
        judgement => judgement,
    }
}

/// Whether the judgement rests on the absence of a receipt.
fn needs_proof(judgement: &Judgement) -> bool {
    match judgement {
        Judgement::IfUnchanged(_) => true,
        Judgement::Is(class) => matches!(
            class,
            Class::Missing | Class::MayWait | Class::BeforeWatermark { .. } | Class::Unknown { .. }
        ),
    }
}
