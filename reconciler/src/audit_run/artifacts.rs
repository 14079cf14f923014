//! The files of a finished audit: the statement of completeness and the summary.
//!
//! Both are made of the finished state alone, so that whoever writes them writes the same.

use daybook_schema::{BucketName, SourceName, Timestamp};
use serde::Serialize;

use super::state::State;
use crate::audit::{AuditCounts, StatementRecord, Tally};

/// The folder of an audit below that of its scope. Without colons, which are no part of a file's name everywhere.
pub(super) fn folder(began_at: Timestamp) -> String {
    began_at.to_string().replace(':', "")
}

/// The name of a part of the findings.
pub(super) fn part(number: u32) -> String {
    format!("findings-{number:04}.jsonl")
}

/// What each line of the statement begins with: it names the audit, so that a line that was cut out still says what it is about.
const OF_AUDIT: [&str; 3] = ["began_at", "finished_at", "bucket"];

/// The statement: a line per prefix and day, then what found no place in those (day `any`, prefix `others`), then all (day `any`,
/// prefix `all`).
pub(super) fn statement(state: &State) -> Vec<u8> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let statement = &state.checkpoint.statement;
    let of_audit = [
        state.began_at.to_string(),
        state.finished_at.map(|at| at.to_string()).unwrap_or_default(),
        state.checkpoint.scope.bucket.to_string(),
    ];
    // Writing into memory cannot fail, and each line has the same fields.
    let _ = csv.write_record(OF_AUDIT.iter().chain(&StatementRecord::COLUMNS));
    let mut write = |prefix: &str, day: &str, tally: &Tally| {
        let line = StatementRecord::of(prefix, day, *tally).fields();
        let _ = csv.write_record(of_audit.iter().chain(&line));
    };
    for line in statement.lines() {
        write(&line.prefix, &line.day, &line.tally);
    }
    if statement.others().objects > 0 {
        write("others", "any", statement.others());
    }
    write("all", "any", &state.checkpoint.tally);
    csv.into_inner().unwrap_or_default()
}

#[derive(Serialize)]
struct Summary<'a> {
    source: &'a SourceName,
    bucket: &'a BucketName,
    prefix: &'a str,
    versions: Option<bool>,
    began_at: Timestamp,
    finished_at: Option<Timestamp>,
    rounds: u32,
    #[serde(flatten)]
    counts: AuditCounts,
    statement: &'static str,
    findings: Vec<String>,
}

/// The name of the statement.
pub(super) const STATEMENT: &str = "statement.csv";

/// The summary.
pub(super) fn summary(state: &State) -> Vec<u8> {
    let checkpoint = &state.checkpoint;
    let summary = Summary {
        source: &checkpoint.scope.source,
        bucket: &checkpoint.scope.bucket,
        prefix: &checkpoint.scope.prefix,
        versions: state.by_version,
        began_at: state.began_at,
        finished_at: state.finished_at,
        rounds: state.rounds,
        counts: state.outcome().counts(),
        statement: STATEMENT,
        findings: (1..=state.parts).map(part).collect(),
    };
    // Writing strings and numbers into memory cannot fail.
    serde_json::to_vec_pretty(&summary).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditSettings, Class, ListedObject, Scope};

    const HEADER: &str = "began_at,finished_at,bucket,prefix,day,complete,objects,bytes,done,removed,open,too_new,missing,\
                          before_watermark,changed,unknown,may_wait\n";

    /// A finished audit of four objects under three prefixes, whose statement has room for so many lines.
    fn state(max_lines: usize) -> State {
        let settings = AuditSettings {
            max_lines,
            ..AuditSettings::new(Scope {
                source: SourceName::default(),
                bucket: "data".parse().unwrap(),
                prefix: String::new(),
            })
        };
        let began_at = "2026-11-21T01:00:00Z".parse().unwrap();
        let mut state = State::begun(&settings, began_at, began_at, None, None);
        state.finished_at = "2026-11-21T02:00:00Z".parse().ok();
        let objects = [
            ("a/1", 10, Class::Done),
            ("a/2", 20, Class::Missing),
            ("b/1", 40, Class::Removed),
            ("c/1", 80, Class::TooNew),
        ];
        for (key, size, class) in objects {
            let object = ListedObject {
                key: key.parse().unwrap(),
                version_id: None,
                etag: None,
                size: Some(size),
                last_modified: "2026-11-20T23:59:59Z".parse().unwrap(),
                is_latest: true,
            };
            state.checkpoint.tally.count(&class, object.size);
            state.checkpoint.statement.count(&object, &class);
        }
        state
    }

    /// The lines of the statement, from the bucket on.
    fn lines(state: &State) -> Vec<String> {
        let text = String::from_utf8(statement(state)).unwrap();
        let lines = text.strip_prefix(HEADER).unwrap().lines();
        let line = |line: &str| {
            let audit = "2026-11-21T01:00:00.000Z,2026-11-21T02:00:00.000Z,data,";
            line.strip_prefix(audit).unwrap().to_owned()
        };
        lines.map(line).collect()
    }

    #[test]
    fn a_statement_has_a_line_for_each_prefix_and_day_and_one_for_all() {
        assert_eq!(
            lines(&state(3)),
            [
                "a/,2026-11-20,false,2,30,1,0,0,0,1,0,0,0,0",
                "b/,2026-11-20,true,1,40,0,1,0,0,0,0,0,0,0",
                "c/,2026-11-20,false,1,80,0,0,0,1,0,0,0,0,0",
                "all,any,false,4,150,1,1,0,1,1,0,0,0,0",
            ]
        );
    }

    #[test]
    fn what_finds_no_place_in_a_statement_has_a_line_of_its_own() {
        assert_eq!(
            lines(&state(1)),
            [
                "a/,2026-11-20,false,2,30,1,0,0,0,1,0,0,0,0",
                "others,any,false,2,120,0,1,0,1,0,0,0,0,0",
                "all,any,false,4,150,1,1,0,1,1,0,0,0,0",
            ]
        );
    }
}
