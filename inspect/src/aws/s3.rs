//! S3 as far as it is asked: is an object there, and whom does its bucket notify.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
use aws_sdk_s3::types::NotificationConfiguration;
use daybook_ledger::{Cause, CauseKind, describe};
use daybook_reconciler::audit::head_object;
use daybook_schema::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// S3, or what stands in for it.
#[derive(Clone, Debug)]
pub struct S3 {
    client: aws_sdk_s3::Client,
}

/// What HeadObject says of a key or a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// It is there.
    There(ObjectNow),
    /// It is not, or is a delete marker.
    Gone,
}

/// An object as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ObjectNow {
    /// Without quotes.
    pub etag: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// To the second.
    pub last_modified: Option<Timestamp>,
    /// The version, where the bucket has versions.
    pub version_id: Option<String>,
}

impl ObjectNow {
    /// Whether it was uploaded in parts: its etag ends in their number ("Checking object integrity", Amazon S3 User Guide).
    pub fn came_in_parts(&self) -> bool {
        let parts = self.etag.as_deref().and_then(|etag| etag.rsplit_once('-'));
        parts.is_some_and(|(_, parts)| parts.parse::<u16>().is_ok())
    }
}

impl S3 {
    /// The S3 that this client asks.
    pub fn new(client: aws_sdk_s3::Client) -> Self {
        Self { client }
    }

    /// Looks at a key, or at a version of it.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn head(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Result<Head, Cause> {
        match head_object(&self.client, bucket, key, version_id).await {
            Ok(Some(seen)) => Ok(Head::There(ObjectNow {
                etag: seen.etag,
                size: seen.size,
                last_modified: seen.last_modified,
                version_id: seen.version_id,
            })),
            Ok(None) => Ok(Head::Gone),
            Err(error) if status(&error) == Some(403) => Err(Cause::new(
                CauseKind::Service {
                    code: None,
                    status: 403,
                },
                "HeadObject: 403, not allowed: s3:GetObject is needed, and s3:ListBucket to tell an object that is \
                 gone from one that is forbidden",
            )),
            Err(error) => Err(refusal("HeadObject", bucket, &error)),
        }
    }

    /// Whom the bucket notifies, whole, as it can be written back.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn notifications(&self, bucket: &str) -> Result<NotificationConfiguration, Cause> {
        let answer = self
            .client
            .get_bucket_notification_configuration()
            .bucket(bucket)
            .send()
            .await
            .map_err(|error| refusal("GetBucketNotificationConfiguration", bucket, &error))?;
        Ok(whole(answer))
    }

    /// Who asks it.
    pub fn client(&self) -> &aws_sdk_s3::Client {
        &self.client
    }
}

/// All that the answer has: what is not written back is deleted.
fn whole(answer: GetBucketNotificationConfigurationOutput) -> NotificationConfiguration {
    let some = |is_empty: bool| !is_empty;
    NotificationConfiguration::builder()
        .set_topic_configurations(answer.topic_configurations.filter(|all| some(all.is_empty())))
        .set_queue_configurations(answer.queue_configurations.filter(|all| some(all.is_empty())))
        .set_lambda_function_configurations(
            answer
                .lambda_function_configurations
                .filter(|all| some(all.is_empty())),
        )
        .set_event_bridge_configuration(answer.event_bridge_configuration)
        .build()
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Why S3 did not do it.
pub fn refusal<E>(operation: &str, bucket: &str, error: &SdkError<E, HttpResponse>) -> Cause
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if status(error) == Some(301) {
        let region = error
            .raw_response()
            .and_then(|response| response.headers().get("x-amz-bucket-region"));
        let region = region.map_or_else(
            || "another region".to_owned(),
            |region| format!("region {region}"),
        );
        return Cause::new(
            describe(error).kind().clone(),
            format!("{operation}: bucket {bucket} is in {region}: --s3-region (DAYBOOK_S3_REGION) names it"),
        );
    }
    describe(error).of(format_args!("{operation} on bucket {bucket}"))
}
