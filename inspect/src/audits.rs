//! Audits that are kept where the console finds them: what each came to, and what was missing by name.

use daybook_reconciler::audit::ListedObject;
pub use daybook_reconciler::audit::{StatementRecord, Tally};
use daybook_schema::{BucketName, SourceName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An audit in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBrief {
    /// By what it is asked for: when it began, without colons.
    pub id: String,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The source whose rows and receipts counted.
    pub source: SourceName,
    /// The bucket.
    pub bucket: BucketName,
    /// Keys that begin so.
    pub prefix: String,
    /// Whether all of the scope was judged, and repaired where that was asked for.
    pub finished: bool,
    /// Whether it is finished and every object accounted for.
    pub complete: bool,
    /// Objects that were judged.
    pub objects: u64,
    /// Missing and not known to be in the ledger.
    pub missing_left: u64,
    /// Objects of which nothing is known.
    pub unknown: u64,
    /// Objects whose notifications may still wait in the intake.
    pub may_wait: u64,
}

/// An audit as it was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptAudit {
    /// In short.
    pub brief: AuditBrief,
    /// What `daybook audit --output json` said.
    pub report: Value,
    /// The first objects that were missing when they were judged.
    pub missing: Vec<ListedObject>,
}

/// The audits that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptAudits {
    /// Where they are; `None` where nothing names a place.
    pub place: Option<String>,
    /// In short, the newest first; `None` where it is not known which there are.
    pub audits: Option<Vec<AuditBrief>>,
}

/// The name of an audit that began then.
pub fn id(began_at: Timestamp) -> String {
    began_at.to_string().replace(':', "")
}

/// Whether a text can be the name of an audit, such as 2026-11-21T003000.123Z: it is part of a path.
pub fn is_id(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    text.len() == 22 && text.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        let began_at = "2026-11-21T00:30:00.123Z".parse().unwrap();
        assert_eq!(id(began_at), "2026-11-21T003000.123Z");
        assert!(is_id(&id(began_at)));
        for other in [
            "",
            "..",
            "../../../etc/passwd....",
            "2026-11-21T00:30:00.123Z",
            "2026-11-21T003000/123Z",
        ] {
            assert!(!is_id(other), "{other}");
        }
    }
}
