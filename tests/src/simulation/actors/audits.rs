//! The audit's cron: it compares the bucket with ledger and receipts, and records what is missing.

use std::time::Duration;

use daybook_manager::IntakeQueue;
use daybook_reconciler::audit::{
    Audit, AuditSettings, Class, Finding, Intake, IntakeSeen, ListedObject, Repair, Repaired, Repairer, Scope,
};
use daybook_schema::{SourceName, Timestamp};

use super::Cast;
use crate::simulation::scenario::GRACE;
use crate::simulation::world::BUCKET;
use crate::stage::Stage;

pub(super) async fn audits(cast: Cast) {
    let mut rng = cast.chaos.stream("audits");
    let mut drained_until = None;
    loop {
        tokio::time::sleep(Duration::from_secs(rng.u64(2 * 3600..8 * 3600))).await;
        if cast.chaos.strikes("s3_error") {
            let statuses = [500, 503, 0].map(|status| [status; 2]).concat();
            let operations = ["ListObjectsV2", "ListObjectVersions", "HeadObject"];
            let count = 1 + cast.chaos.below("s3_error", 5) as usize;
            cast.s3
                .fail_next(operations[rng.usize(0..3)], statuses.into_iter().take(count));
        }
        let stage = cast.as_seen_by("audit", 0);
        let begun = cast.now();
        let found = cast.process("audit", None, audit(&cast, &stage, drained_until));
        let Some(found) = found.await.flatten() else {
            continue;
        };
        let (intake, missing) = (found.intake, found.missing);
        drained_until = intake.until();
        cast.line(|| {
            format!(
                "audit: {} missing, {} may wait, {intake:?}",
                missing.len(),
                found.may_wait
            )
        });
        if found.may_wait > 0 {
            cast.world.lock().count("audits that found what may wait");
        }
        let is_judged = found.may_wait + found.unknown == 0;
        if missing.is_empty() {
            if is_judged {
                cast.world.lock().audited.push(begun);
            }
            continue;
        }
        // A repair may be the same run's, or follow when somebody has read the report.
        let later = if rng.bool() { 0 } else { rng.u64(0..3600) };
        tokio::time::sleep(Duration::from_secs(later)).await;
        let repair = async {
            let repairer = Repairer::new(cast.s3.client(), stage.ledger.clone(), settings(intake), 4);
            repairer.repair(missing, Repair::Missing, stage.deadline()).await
        };
        let repaired = cast.process("repair", None, repair).await;
        let Some(Ok(repaired)) = repaired else { continue };
        // A repair that comes too late for the receipts does nothing, and says so.
        let is_settled =
            |(_, outcome): &(_, Repaired)| !matches!(outcome, Repaired::NotSafe { .. } | Repaired::MayWait);
        if is_judged && repaired.iter().all(is_settled) {
            cast.world.lock().audited.push(begun);
        }
        for (object, outcome) in repaired {
            if outcome == Repaired::Recorded {
                cast.world.lock().count("objects repaired");
            }
            cast.line(|| format!("repair: {} {outcome:?}", object.key));
        }
    }
}

fn settings(intake: IntakeSeen) -> AuditSettings {
    let scope = Scope {
        source: SourceName::default(),
        bucket: BUCKET.parse().unwrap(),
        prefix: String::new(),
    };
    AuditSettings {
        grace: GRACE,
        intake,
        ..AuditSettings::new(scope)
    }
}

struct Found {
    intake: IntakeSeen,
    missing: Vec<ListedObject>,
    may_wait: usize,
    unknown: usize,
}

/// What is missing, after a look at the intake; `None` when it could not be finished.
async fn audit(cast: &Cast, stage: &Stage, earlier: Option<Timestamp>) -> Option<Found> {
    let intake = Intake::Queue(IntakeQueue::new(stage.sqs.clone(), &stage.intake));
    let intake = intake.look(&stage.clock).await.or_earlier(earlier);
    let audit = Audit::new(cast.s3.client(), stage.ledger.clone(), settings(intake.clone()));
    let mut run = audit.begin().await.ok()?;
    let (mut missing, mut may_wait, mut unknown) = (Vec::new(), 0, 0);
    while let Some(batch) = run.next().await.ok()? {
        for finding in batch.findings {
            match finding {
                Finding::Object {
                    object,
                    class: Class::Missing,
                } => missing.push(object),
                Finding::Object {
                    class: Class::MayWait,
                    ..
                } => may_wait += 1,
                // A row that cannot be read, such as one of a newer release, may be the object's.
                Finding::Object {
                    class: Class::Unknown { .. },
                    ..
                } => unknown += 1,
                _ => {}
            }
        }
    }
    Some(Found {
        intake,
        missing,
        may_wait,
        unknown,
    })
}
