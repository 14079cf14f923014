//! The reports that the audit function leaves in a bucket, as kept audits.

use std::cmp::Reverse;

use aws_sdk_s3::Client;
use daybook_ledger::{Cause, describe};
use daybook_reconciler::audit::ListedObject;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::audits::{AuditBrief, KeptAudit, StatementRecord, Tally, is_id};

/// Where the function's reports are in the bucket.
pub const FOLDER: &str = "audits/";

/// The file that is written last: where it is, the report is whole.
const SUMMARY: &str = "/summary.json";

/// So many of the newest are looked at.
const NEWEST: usize = 10;

/// Pages of 1,000 keys that are listed at most.
const PAGES: usize = 20;

/// Missing objects that are named at most.
const NAMED: usize = 1000;

/// Parts of the findings, 4 MB each, that are read for them at most.
const PARTS: usize = 3;

/// The reports of a bucket.
#[derive(Clone, Debug)]
pub struct Reports {
    client: Client,
    bucket: String,
}

/// A summary, as far as it is needed here.
#[derive(Deserialize)]
struct Summary {
    #[serde(flatten)]
    tally: Tally,
    complete: bool,
    missing_left: u64,
    findings: Vec<String>,
}

impl Reports {
    /// Those of that bucket.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Where they are, for people.
    pub fn place(&self) -> String {
        format!("s3://{}/{FOLDER}", self.bucket)
    }

    /// The newest, newest first. Of a bucket with more than 20,000 objects below the folder only those that come first by name.
    ///
    /// # Errors
    /// Why they cannot be listed or read.
    pub async fn list(&self) -> Result<Vec<AuditBrief>, String> {
        let mut found = self.summaries().await?;
        found.truncate(NEWEST);
        let briefs = found.iter().map(|(_, key)| self.brief(key));
        let mut briefs: Vec<AuditBrief> = futures::future::try_join_all(briefs).await?;
        briefs.sort_by_key(|brief| Reverse(brief.began_at));
        Ok(briefs)
    }

    /// The one that began at that time, whole; `None` where there is none.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn read(&self, id: &str) -> Result<Option<KeptAudit>, String> {
        let found = self.summaries().await?;
        let Some((_, key)) = found.into_iter().find(|(found, _)| found == id) else {
            return Ok(None);
        };
        let text = self.get(&key).await?;
        let folder = key.trim_end_matches("summary.json");
        let summary: Summary = parsed(&key, &text)?;
        let mut report: Map<String, Value> = parsed(&key, &text)?;
        let parts = summary
            .findings
            .iter()
            .take(PARTS)
            .map(|part| format!("{folder}{part}"));
        let parts: Vec<String> = match summary.tally.missing {
            0 => Vec::new(),
            _ => parts.collect(),
        };
        let statement = format!("{folder}statement.csv");
        let (statement, missing) = futures::try_join!(self.statement(&statement), self.missing(&parts))?;
        report.insert("statement".to_owned(), statement);
        report.insert("failures".to_owned(), json!([]));
        report.insert(
            "report".to_owned(),
            format!("s3://{}/{folder}", self.bucket).into(),
        );
        Ok(Some(KeptAudit {
            brief: brief(&key, &text)?,
            report: Value::Object(report),
            missing,
        }))
    }

    /// The keys of all summaries with the times at which their audits began, the newest first.
    async fn summaries(&self) -> Result<Vec<(String, String)>, String> {
        let mut found = Vec::new();
        let mut token = None;
        for _ in 0..PAGES {
            let asked = self.client.list_objects_v2().bucket(&self.bucket).prefix(FOLDER);
            let answer = asked.set_continuation_token(token).send().await;
            let answer = answer.map_err(|error| self.cannot("ListObjectsV2", FOLDER, &describe(&error)))?;
            let keys = answer
                .contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(|object| object.key);
            found.extend(keys.filter_map(|key| Some((id(&key)?.to_owned(), key))));
            token = answer.next_continuation_token;
            if token.is_none() {
                break;
            }
        }
        found.sort_by(|one, other| other.cmp(one));
        Ok(found)
    }

    async fn brief(&self, key: &str) -> Result<AuditBrief, String> {
        brief(key, &self.get(key).await?)
    }

    async fn get(&self, key: &str) -> Result<Vec<u8>, String> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await;
        let answer = answer.map_err(|error| self.cannot("GetObject", key, &describe(&error)))?;
        let body = answer.body.collect().await;
        let body = body.map_err(|error| format!("s3://{}/{key} broke off: {error}", self.bucket))?;
        Ok(body.to_vec())
    }

    /// The lines by prefix and day, in the form in which `daybook audit` says them.
    async fn statement(&self, key: &str) -> Result<Value, String> {
        let text = self.get(key).await?;
        let lines = StatementRecord::read_csv(&text).map_err(|error| other_form(key, &error))?;
        // Of all, and of what found no place.
        let lines = lines.iter().filter(|line| line.day != "any");
        Ok(lines.map(|line| json!(line)).collect())
    }

    /// The first of the missing objects that these parts name. The parts are read at once.
    async fn missing(&self, parts: &[String]) -> Result<Vec<ListedObject>, String> {
        let mut missing = Vec::new();
        let reading: Vec<_> = parts.iter().map(|part| self.get(part)).collect();
        let mut texts = futures::stream::iter(reading).buffered(PARTS);
        for part in parts {
            let Some(text) = texts.next().await else { break };
            let text = text?;
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: Value = parsed(part, line)?;
                if missing.len() >= NAMED {
                    return Ok(missing);
                }
                if line["class"] == "missing" {
                    missing.push(ListedObject::deserialize(line).map_err(|error| other_form(part, &error))?);
                }
            }
        }
        Ok(missing)
    }

    fn cannot(&self, operation: &str, key: &str, cause: &Cause) -> String {
        format!("{operation} s3://{}/{key}: {cause}", self.bucket)
    }
}

/// When the audit began whose summary that is.
fn id(key: &str) -> Option<&str> {
    let (_, id) = key.strip_suffix(SUMMARY)?.rsplit_once('/')?;
    is_id(id).then_some(id)
}

fn brief(key: &str, text: &[u8]) -> Result<AuditBrief, String> {
    let summary: Summary = parsed(key, text)?;
    let mut brief: Map<String, Value> = parsed(key, text)?;
    brief.insert("id".to_owned(), id(key).unwrap_or_default().into());
    brief.insert(
        "ended_at".to_owned(),
        brief.get("finished_at").cloned().unwrap_or_default(),
    );
    brief.insert("finished".to_owned(), true.into());
    brief.insert("complete".to_owned(), summary.complete.into());
    brief.insert("missing_left".to_owned(), summary.missing_left.into());
    brief.insert("may_wait".to_owned(), summary.tally.may_wait.into());
    AuditBrief::deserialize(Value::Object(brief)).map_err(|error| other_form(key, &error))
}

fn parsed<T: serde::de::DeserializeOwned>(key: &str, text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| other_form(key, &error))
}

fn other_form(key: &str, error: &dyn std::error::Error) -> String {
    format!("{key} has another form: {error}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use daybook_ledger::Deadline;
    use daybook_reconciler::audit::Intake;
    use daybook_reconciler::audit_run::{ReportStore, RoundRequest, RoundSettings, Rounds, Standing};
    use daybook_schema::SourceName;
    use daybook_tests::s3::{S3, Versioning};
    use daybook_tests::stage::Stage;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Audits the bucket as its function does.
    async fn audit(stage: &Stage, s3: &S3) {
        let settings = RoundSettings {
            audited: vec!["s3://data".parse().unwrap()],
            every: HOUR,
            repair: false,
            grace: Duration::from_secs(60),
            source: SourceName::default(),
            max_attempts: 5,
        };
        let store = ReportStore::new(s3.client(), "reports".parse().unwrap());
        let rounds = Rounds::new(
            s3.client(),
            stage.ledger.clone(),
            store,
            Intake::Unchecked,
            settings,
        );
        let deadline = Deadline::after(&stage.clock, Duration::from_secs(300));
        let round = rounds.round(&RoundRequest::default(), deadline).await;
        assert_eq!(round.audits[0].standing, Standing::Finished, "{round:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_audit_function_leaves_is_read_as_an_audit() {
        let stage = Stage::usual().await;
        stage.ledger.begin_watermark().await.unwrap();
        let s3 = S3::new(stage.clock.clone());
        s3.create_bucket("data", Versioning::Never);
        s3.create_bucket("reports", Versioning::Never);
        let reports = Reports::new(s3.client(), "reports".to_owned());
        assert_eq!(reports.list().await.unwrap(), []);
        tokio::time::sleep(HOUR).await;
        for key in ["a/1", "a/2", "b,\"c\"/<script>", "top"] {
            s3.put("data", key, "content");
        }
        tokio::time::sleep(HOUR).await;
        audit(&stage, &s3).await;
        s3.put("data", "a/3", "later");
        tokio::time::sleep(HOUR * 2).await;
        audit(&stage, &s3).await;

        let briefs = reports.list().await.unwrap();
        let counts: Vec<(u64, u64, bool)> = briefs
            .iter()
            .map(|brief| (brief.objects, brief.missing_left, brief.finished))
            .collect();
        assert_eq!(counts, [(5, 5, true), (4, 4, true)]);
        assert!(briefs[0].began_at > briefs[1].began_at && briefs[1].bucket.as_str() == "data");
        let kept = reports.read(&briefs[1].id).await.unwrap().unwrap();
        assert_eq!(kept.brief, briefs[1]);
        let keys: Vec<&str> = kept.missing.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(keys, ["a/1", "a/2", "b,\"c\"/<script>", "top"]);
        let lines = kept.report["statement"].as_array().unwrap();
        let lines: Vec<(&str, u64)> = lines
            .iter()
            .map(|line| {
                (
                    line["prefix"].as_str().unwrap(),
                    line["missing"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(lines, [("", 1), ("a/", 2), ("b,\"c\"/", 1)]);
        assert_eq!(kept.report["objects"], 4);
        assert_eq!(reports.read("2026-11-21T003000.123Z").await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_is_not_there_is_said_to_be_so() {
        let stage = Stage::usual().await;
        let s3 = S3::new(stage.clock.clone());
        let reports = Reports::new(s3.client(), "nowhere".to_owned());
        let error = reports.list().await.unwrap_err();
        assert!(
            error.starts_with("ListObjectsV2 s3://nowhere/audits/: "),
            "{error}"
        );
    }
}
