//! Recording what an audit found missing.

use std::time::Duration;

use aws_sdk_s3::Client;
use daybook_ledger::{Clock, Deadline, Ledger, NewRow, Recorded};
use daybook_schema::identity::EventBasis;
use daybook_schema::{Kind, ObjectEvent, Origin, Timestamp};
use futures::StreamExt;

use super::classify::{Class, may_wait};
use super::entry::ListedObject;
use super::error::AuditError;
use super::head::{ObjectSeen, Still, look_again};
use super::judge::{HEADS, Judge};
use super::open::OpenRows;
use super::outcome::{Repair, Repaired};
use super::settings::AuditSettings;

/// Objects that are looked at and recorded together.
const CHUNK: usize = 100;

/// What S3 would have called the event of a repaired object.
const EVENT_NAME: &str = "ObjectCreated:Listed";

/// Records objects that an audit found.
#[derive(Clone, Debug)]
pub struct Repairer {
    s3: Client,
    ledger: Ledger,
    settings: AuditSettings,
    max_attempts: u32,
}

impl Repairer {
    /// A repairer for the scope and with the grace of these settings. Rows get so many attempts.
    pub fn new(s3: Client, ledger: Ledger, settings: AuditSettings, max_attempts: u32) -> Self {
        Self {
            s3,
            ledger,
            settings,
            max_attempts,
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        self.ledger.clock()
    }

    /// Records those of the objects that on a second look are still what `repair` allows; gives the outcome of each, in their
    /// order. Repeating it records nothing twice.
    ///
    /// The second look is an audit of each by a HEAD instead of the listing: open rows anew, HEAD, receipts (consistent). One call
    /// reads all open rows once, so give it many objects, up to some 10,000. Per object one HEAD, one read unit, and two write
    /// units. What is not done by the deadline is not safe. What may wait in the intake, by the settings, is not recorded.
    ///
    /// # Errors
    /// With receipts off, or when the ledger cannot be read. Nothing was recorded then.
    pub async fn repair(
        &self,
        objects: Vec<ListedObject>,
        repair: Repair,
        deadline: Deadline,
    ) -> Result<Vec<(ListedObject, Repaired)>, AuditError> {
        let settings = &self.settings;
        let judge = Judge::new(self.s3.clone(), self.ledger.clone(), settings).await?;
        let open = judge.scan().await?;
        let mut outcomes = Vec::with_capacity(objects.len());
        for chunk in objects.chunks(CHUNK) {
            if deadline.is_over(self.ledger.clock()) {
                let cause = "there was no time left".to_owned();
                outcomes.extend(chunk.iter().map(|_| Repaired::NotSafe { cause: cause.clone() }));
                continue;
            }
            outcomes.extend(self.repair_chunk(&judge, &open, chunk, repair, deadline).await);
        }
        Ok(objects.into_iter().zip(outcomes).collect())
    }

    async fn repair_chunk(
        &self,
        judge: &Judge,
        open: &OpenRows,
        objects: &[ListedObject],
        repair: Repair,
        deadline: Deadline,
    ) -> Vec<Repaired> {
        let looks: Vec<_> = objects
            .iter()
            .map(|object| look_again(&judge.s3, &judge.scope.bucket, object))
            .collect();
        let looks: Vec<Still> = futures::stream::iter(looks).buffered(HEADS).collect().await;
        // They are what was listed, so that a newer receipt of the key does not speak against them.
        let all: Vec<&ListedObject> = objects.iter().collect();
        let classes = judge.proven_classes(&all, open).await;
        let cuts = judge.cuts(open, Duration::ZERO);
        let mut outcomes: Vec<Option<Repaired>> = Vec::with_capacity(objects.len());
        let mut rows = Vec::new();
        for ((object, look), class) in objects.iter().zip(looks).zip(classes) {
            let class = match class {
                // Of an audit it is not asked, which would call a whole bucket by what waits at the moment.
                Class::BeforeWatermark { .. } if may_wait(object, &cuts) => Class::MayWait,
                class => class,
            };
            let (outcome, row) = match self.decide(judge, object, look, class, repair) {
                Ok(row) => (None, Some(row)),
                Err(outcome) => (Some(outcome), None),
            };
            outcomes.push(outcome);
            rows.extend(row);
        }
        let mut recorded = self.ledger.record(rows, deadline).await.into_iter();
        let outcome = |decided: Option<Repaired>| decided.or_else(|| recorded.next().map(repaired));
        let unanswered = || Repaired::NotSafe {
            cause: "the ledger gave no outcome".into(),
        };
        outcomes
            .into_iter()
            .map(outcome)
            .map(|outcome| outcome.unwrap_or_else(unanswered))
            .collect()
    }

    /// The row to be recorded, or why there is none.
    fn decide(
        &self,
        judge: &Judge,
        object: &ListedObject,
        look: Still,
        class: Class,
        repair: Repair,
    ) -> Result<NewRow, Repaired> {
        let (answered_at, etag) = match look {
            Still::Same(ObjectSeen {
                answered_at: Some(answered_at),
                etag,
                ..
            }) => (answered_at, etag),
            Still::Same(_) => {
                let cause =
                    "S3 answered without a date, so that nobody knows what the receipt would cover".into();
                return Err(Repaired::NotSafe { cause });
            }
            Still::Changed => return Err(Repaired::Changed),
            Still::Gone => return Err(Repaired::Gone),
            Still::Unknown(cause) => return Err(Repaired::NotSafe { cause }),
        };
        if !repair.covers(&class) {
            return Err(Repaired::of_class(class, repair));
        }
        Ok(NewRow::Event {
            event: event(judge, object, answered_at, etag),
            max_attempts: self.max_attempts,
            trace: None,
            caveat: None,
            at_once: false,
        })
    }
}

/// The event of a listed object, which was seen in the bucket at that time (by the server's clock), with that etag: an inventory
/// of versions may lack it.
fn event(judge: &Judge, object: &ListedObject, seen_at: Timestamp, etag: Option<String>) -> ObjectEvent {
    // Listings of one server may show milliseconds, inventories do not: one identity for both.
    let last_modified = object.last_modified.truncated_to_seconds();
    let basis = EventBasis::Listing {
        etag: object.etag.as_deref(),
        last_modified,
    };
    // Whole seconds: what happened in the second of the answer may have happened after it.
    let covers_until = seen_at.unix_millis() - 1000;
    ObjectEvent {
        id: judge.parts(object).event_id(basis),
        source: judge.scope.source.clone(),
        bucket: judge.scope.bucket.clone(),
        key: object.key.clone(),
        version_id: object.version_id.clone(),
        kind: Kind::Created,
        etag: object.etag.clone().or(etag),
        size: object.size,
        sequencer: None,
        event_name: EVENT_NAME.to_owned(),
        event_time: Some(last_modified),
        region: None,
        origin: Origin::Listing {
            covers_until: Timestamp::from_unix_millis(covers_until).unwrap_or(last_modified),
        },
        general: None,
    }
}

fn repaired(recorded: Recorded) -> Repaired {
    match recorded {
        Recorded::Recorded => Repaired::Recorded,
        Recorded::AlreadyThere => Repaired::AlreadyThere,
        Recorded::Covered => Repaired::Covered,
        Recorded::Rejected(cause) | Recorded::Throttled(cause) | Recorded::Unknown(cause) => {
            Repaired::NotSafe { cause: cause.into() }
        }
    }
}
