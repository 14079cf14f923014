//! Audits and repairs that die.

use daybook_reconciler::audit::{
    Audit, AuditSettings, Class, Finding, ListedObject, Repair, Repairer, Scope,
};
use daybook_schema::SourceName;
use daybook_tests::notifications::Upload;

use crate::checker::{End, check};
use crate::points::{Function, Plan, gated};
use crate::world::{BUCKET, MINUTE, StoryPipeline};

/// Two notifications that S3 never sent, and one that it did.
pub async fn audit(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(
        plan,
        StoryPipeline::dispatch(),
        &[Function::Audit, Function::Repair],
    )
    .await;
    let put = |key: &str| {
        let version = world.s3.put(BUCKET, key, key);
        let upload = world.upload(key);
        Upload {
            etag: version.etag.unwrap_or_default(),
            at_millis: world.stage.now().unix_millis(),
            ..upload
        }
    };
    let told = put("told");
    world.notify(&told.notification());
    world.settle().await;
    let uploads = [told, put("unheard 1"), put("unheard 2")];
    world.stage.pass(30 * MINUTE).await;
    for _ in 0..4 {
        let mut missing = None;
        let audit = async { missing = find_missing(&world).await };
        if !world.run(Function::Audit, audit).await {
            continue;
        }
        let missing = missing.unwrap_or_default();
        if missing.is_empty() {
            break;
        }
        // A repair that died is begun again with what its audit found.
        for _ in 0..3 {
            if world.run(Function::Repair, repair(&world, missing.clone())).await {
                break;
            }
        }
        world.settle().await;
        world.points.watch(&[]);
    }
    let ends = uploads.each_ref().map(|upload| (upload, End::Done(&[1])));
    check(&world, &ends, 0).await;
    world
}

fn audit_settings() -> AuditSettings {
    AuditSettings::new(Scope {
        source: SourceName::default(),
        bucket: BUCKET.parse().unwrap(),
        prefix: String::new(),
    })
}

/// What an audit calls missing; `None` when it could not tell.
async fn find_missing(world: &StoryPipeline) -> Option<Vec<ListedObject>> {
    let s3 = gated(&world.s3, &world.points);
    let audit = Audit::new(s3, world.stage.ledger.clone(), audit_settings());
    let mut run = audit.begin().await.ok()?;
    let mut missing = Vec::new();
    while let Some(batch) = run.next().await.ok()? {
        let found = batch.findings.into_iter().filter_map(|finding| match finding {
            Finding::Object {
                object,
                class: Class::Missing,
            } => Some(object),
            _ => None,
        });
        missing.extend(found);
    }
    Some(missing)
}

async fn repair(world: &StoryPipeline, missing: Vec<ListedObject>) {
    let s3 = gated(&world.s3, &world.points);
    let repairer = Repairer::new(s3, world.stage.ledger.clone(), audit_settings(), 2);
    let deadline = world.stage.deadline();
    drop(repairer.repair(missing, Repair::Missing, deadline).await);
}
