//! An audit in parts is the same as in one.

use daybook_reconciler::audit::{AuditError, Checkpoint, Finding, Repair};
use daybook_tests::s3::Versioning;

use crate::world::{Audited, AuditedBucket, BUCKET, HOUR};

async fn bucket(versioning: Versioning) -> AuditedBucket {
    let world = AuditedBucket::new(versioning).await;
    let mut uploads = Vec::new();
    for n in 0..1500 {
        uploads.push(world.put(&format!("p{}/key {n:04}", n % 3), "1"));
        if n % 5 == 0 {
            uploads.push(world.put(&format!("p{}/key {n:04}", n % 3), "2"));
        }
    }
    let third: Vec<_> = uploads.iter().step_by(3).collect();
    world.notify(third).await;
    for n in (0..1500).step_by(7) {
        world.s3.delete(BUCKET, &format!("p{}/key {n:04}", n % 3));
    }
    if versioning == Versioning::Enabled {
        for upload in uploads.iter().step_by(9) {
            world
                .s3
                .delete_version(BUCKET, &upload.key, upload.version.id.as_deref());
        }
    }
    world.pass(HOUR).await;
    world
}

async fn in_parts(world: &AuditedBucket, limit: u64) -> Audited {
    let mut settings = world.settings();
    settings.limit = Some(limit);
    let audit = world.audit_with(settings);
    let mut part = world.run_to_end(audit.begin().await.unwrap()).await;
    let mut findings = std::mem::take(&mut part.findings);
    while !part.checkpoint.is_complete {
        let text = serde_json::to_string(&part.checkpoint).unwrap();
        let checkpoint: Checkpoint = serde_json::from_str(&text).unwrap();
        assert_eq!(checkpoint, part.checkpoint);
        part = world.run_to_end(audit.go_on(checkpoint).await.unwrap()).await;
        assert!(part.progress.listed <= 1600);
        findings.append(&mut part.findings);
    }
    Audited { findings, ..part }
}

fn sorted(findings: &[Finding]) -> Vec<String> {
    let mut sorted: Vec<_> = findings.iter().map(|finding| format!("{finding:?}")).collect();
    sorted.sort();
    sorted
}

#[tokio::test(start_paused = true)]
async fn an_audit_in_parts_finds_the_same_as_in_one() {
    for versioning in [Versioning::Never, Versioning::Enabled] {
        let world = bucket(versioning).await;
        let whole = world.audit().await;
        assert!(whole.checkpoint.gone > 50, "{:?}", whole.checkpoint.gone);
        for limit in [97, 500, 1000, 1001, 100_000] {
            let parts = in_parts(&world, limit).await;
            assert_eq!(
                sorted(&parts.findings),
                sorted(&whole.findings),
                "{versioning:?} {limit}"
            );
            assert_eq!(parts.checkpoint.tally, whole.checkpoint.tally);
            assert_eq!(parts.checkpoint.statement, whole.checkpoint.statement);
            assert_eq!(parts.checkpoint.gone, whole.checkpoint.gone);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_finished_audit_is_over_when_it_goes_on() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.put("key", "1");
    world.pass(HOUR).await;
    let audit = world.audit_with(world.settings());
    let whole = world.run_to_end(audit.begin().await.unwrap()).await;
    let again = world
        .run_to_end(audit.go_on(whole.checkpoint.clone()).await.unwrap())
        .await;
    assert_eq!((again.checkpoint, again.findings.len()), (whole.checkpoint, 0));
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_audit_is_refused() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let checkpoint = world.audit().await.checkpoint;
    let mut settings = world.settings();
    settings.scope.prefix = "other/".into();
    let refused = world.audit_with(settings).go_on(checkpoint).await;
    assert!(matches!(refused, Err(AuditError::OtherAudit)));
}

#[tokio::test(start_paused = true)]
async fn an_audit_and_a_repair_can_be_moved_between_threads() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let world = AuditedBucket::new(Versioning::Never).await;
    let audit = world.audit_with(world.settings());
    let mut run = is_send(audit.begin()).await.unwrap();
    is_send(run.next()).await.unwrap();
    is_send(audit.go_on(run.checkpoint().clone())).await.unwrap();
    let (repairer, deadline) = (world.repairer(), world.stage.deadline());
    let outcomes = is_send(repairer.repair(Vec::new(), Repair::Missing, deadline)).await;
    assert_eq!(outcomes.unwrap(), []);
}
