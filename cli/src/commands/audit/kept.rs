//! An audit of a folder is kept beside its ledger, where the console finds it.

use daybook_inspect::audits::{AuditBrief, KeptAudit, id};
use daybook_schema::Timestamp;

use crate::commands::audit::outcome::AuditSummary;
use crate::commands::audit::programs::AuditOutput;
use crate::deployment::{Location, audits};

/// Keeps it. That it cannot be kept changes nothing of its result, and is said on stderr.
pub fn keep(
    summary: &AuditSummary<'_>,
    output: &AuditOutput<'_>,
    (began_at, ended_at): (Timestamp, Timestamp),
) {
    let Location::Local { dir, .. } = summary.location else {
        return;
    };
    let kept = of(summary, output, (began_at, ended_at));
    let kept = kept.and_then(|kept| audits::keep(dir, &kept));
    if let Err(error) = kept {
        eprintln!(
            "note: this audit is not kept for the console: it cannot be written to {}: {error}",
            dir.display()
        );
    }
}

fn of(
    summary: &AuditSummary<'_>,
    output: &AuditOutput<'_>,
    (began_at, ended_at): (Timestamp, Timestamp),
) -> std::io::Result<KeptAudit> {
    let (scope, done) = (summary.scope, summary.done);
    let outcome = done.outcome();
    Ok(KeptAudit {
        brief: AuditBrief {
            id: id(began_at),
            began_at,
            ended_at,
            source: scope.source.clone(),
            bucket: scope.bucket.clone(),
            prefix: scope.prefix.clone(),
            finished: done.is_finished(),
            complete: outcome.is_complete(),
            objects: outcome.tally.objects,
            missing_left: outcome.missing_left(),
            unknown: outcome.tally.unknown,
            may_wait: outcome.may_wait(),
        },
        report: serde_json::to_value(output)?,
        missing: done.missing.clone(),
    })
}
