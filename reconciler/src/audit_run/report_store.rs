//! The bucket that stores the state of audits and their reports.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use daybook_ledger::{chain, describe};
use daybook_schema::BucketName;

/// The reports bucket.
#[derive(Clone, Debug)]
pub struct ReportStore {
    s3: Client,
    bucket: BucketName,
}

/// The reports bucket does not do what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} s3://{bucket}/{key}: {cause}")]
pub struct ReportStoreError {
    operation: &'static str,
    bucket: BucketName,
    key: String,
    cause: String,
}

/// Which content of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Etag(String);

/// What came of a write under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there.
    Written(Etag),
    /// Something else is: another round was faster.
    Lost,
}

const FORBIDDEN: &str = " (the role needs s3:GetObject and s3:PutObject on the objects of the reports bucket, and s3:ListBucket on \
                         the bucket, without which S3 refuses to say that an object is not there)";

impl ReportStore {
    /// That bucket.
    pub fn new(s3: Client, bucket: BucketName) -> Self {
        Self { s3, bucket }
    }

    /// The address of a key, for people.
    pub(super) fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// What is under that key; none if nothing is. S3 answers reads after writes consistently.
    pub(super) async fn read(&self, key: &str) -> Result<Option<(Vec<u8>, Etag)>, ReportStoreError> {
        let asked = self.s3.get_object().bucket(self.bucket.as_str()).key(key);
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(self.error("GetObject", key, &error)),
        };
        let etag = Etag(answer.e_tag.unwrap_or_default());
        let body = answer.body.collect().await;
        let broken = |error: aws_sdk_s3::primitives::ByteStreamError| ReportStoreError {
            operation: "GetObject",
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            cause: format!("its transfer broke off: {}", chain(&error)),
        };
        Ok(Some((body.map_err(broken)?.to_vec(), etag)))
    }

    /// Writes what is the same whoever writes it.
    pub(super) async fn write(
        &self,
        key: &str,
        content: Vec<u8>,
        form: &str,
    ) -> Result<(), ReportStoreError> {
        let asked = self.s3.put_object().bucket(self.bucket.as_str()).key(key);
        let asked = asked.content_type(form).body(ByteStream::from(content));
        match asked.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error("PutObject", key, &error)),
        }
    }

    /// Writes only over that content, or only where nothing is.
    ///
    /// When the answer is lost the SDK asks again, and the condition fails on what the first request has written; so what is there
    /// is compared. Two rounds that write the very same state at the same time both go on, and the next write tells them apart.
    ///
    /// # Errors
    /// When it is not known to be written. It may be, later, if nobody else writes: the next round sees.
    pub(super) async fn replace(
        &self,
        key: &str,
        content: &[u8],
        before: Option<&Etag>,
    ) -> Result<Put, ReportStoreError> {
        let asked = self
            .s3
            .put_object()
            .bucket(self.bucket.as_str())
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(content.to_vec()));
        let asked = match before {
            Some(Etag(etag)) => asked.if_match(etag),
            None => asked.if_none_match("*"),
        };
        let error = match asked.send().await {
            Ok(answer) => match answer.e_tag {
                Some(etag) => return Ok(Put::Written(Etag(etag))),
                None => return self.compare(key, content, None).await,
            },
            Err(error) => error,
        };
        // 409 is another write under a condition at the same time; 404 is If-Match where nothing is.
        let status = error.raw_response().map(|response| response.status().as_u16());
        let is_lost = matches!(status, Some(404 | 409 | 412)) && error.code() != Some("NoSuchBucket");
        let unknown = (!is_lost).then(|| self.error("PutObject", key, &error));
        self.compare(key, content, unknown).await
    }

    async fn compare(
        &self,
        key: &str,
        content: &[u8],
        unknown: Option<ReportStoreError>,
    ) -> Result<Put, ReportStoreError> {
        match (self.read(key).await, unknown) {
            (Ok(Some((there, etag))), _) if there == content => Ok(Put::Written(etag)),
            (_, Some(error)) | (Err(error), None) => Err(error),
            (Ok(_), None) => Ok(Put::Lost),
        }
    }

    fn error<E>(&self, operation: &'static str, key: &str, error: &SdkError<E>) -> ReportStoreError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let hint = if status == Some(403) { FORBIDDEN } else { "" };
        ReportStoreError {
            operation,
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            cause: format!("{}{hint}", describe(error)),
        }
    }
}

fn is_absent(error: &SdkError<GetObjectError>) -> bool {
    error
        .as_service_error()
        .is_some_and(GetObjectError::is_no_such_key)
}

#[cfg(test)]
mod tests {
    use daybook_ledger::Clock;
    use daybook_schema::Timestamp;
    use daybook_tests::Fault;
    use daybook_tests::s3::{S3, Versioning};

    use super::*;

    fn reports() -> (S3, ReportStore) {
        let s3 = S3::new(Clock::new(|| {
            Timestamp::from_unix_millis(1_790_000_000_000).unwrap()
        }));
        s3.create_bucket("reports", Versioning::Never);
        let reports = ReportStore::new(s3.client(), "reports".parse().unwrap());
        (s3, reports)
    }

    async fn written(reports: &ReportStore, content: &str, before: Option<&Etag>) -> Etag {
        match reports.replace("key", content.as_bytes(), before).await {
            Ok(Put::Written(etag)) => etag,
            other => panic!("{content}: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_under_a_condition_is_done_over_what_it_expects_and_over_nothing_else() {
        let (s3, reports) = reports();
        let is = || s3.content("reports", "key").unwrap();
        let first = written(&reports, "1", None).await;
        assert_eq!(reports.replace("key", b"2", None).await, Ok(Put::Lost));
        assert_eq!(is(), "1", "something is there");
        let second = written(&reports, "2", Some(&first)).await;
        assert_ne!(second, first);
        assert_eq!(reports.replace("key", b"3", Some(&first)).await, Ok(Put::Lost));
        assert_eq!(is(), "2", "something else is there");
        let nothing_there = reports.replace("other", b"3", Some(&first)).await;
        assert_eq!(nothing_there, Ok(Put::Lost));
        assert_eq!(s3.keys("reports"), ["key"]);
        // The very same is there: it may have been this write, whose answer was lost.
        assert_eq!(written(&reports, "2", Some(&first)).await, second);
        assert_eq!(written(&reports, "2", None).await, second);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_of_a_write_without_an_answer_is_seen_by_what_is_there() {
        let (s3, reports) = reports();
        let of_writes = |fault: Fault| {
            s3.inject(move |operation, _| match operation {
                "PutObject" => fault.clone(),
                _ => Fault::None,
            });
        };
        of_writes(Fault::AnswerLost);
        let first = written(&reports, "1", None).await;
        of_writes(Fault::NotSent);
        let unknown = reports.replace("key", b"2", Some(&first)).await.unwrap_err();
        assert!(
            unknown.to_string().starts_with("PutObject s3://reports/key: "),
            "{unknown}"
        );
        assert_eq!(s3.content("reports", "key").unwrap(), "1");
        s3.inject(|_, _| Fault::NotSent);
        let unknown = reports.replace("key", b"2", Some(&first)).await.unwrap_err();
        assert!(unknown.to_string().starts_with("PutObject "), "{unknown}");
        s3.heal();
        written(&reports, "2", Some(&first)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_is_not_there_is_not_another_round() {
        let (s3, _) = reports();
        let reports = ReportStore::new(s3.client(), "nowhere".parse().unwrap());
        let error = reports.replace("key", b"1", None).await.unwrap_err();
        assert_eq!(error.to_string(), "PutObject s3://nowhere/key: NoSuchBucket: no");
    }
}
