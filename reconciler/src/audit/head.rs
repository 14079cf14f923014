//! One look at one object.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use daybook_ledger::{ResponseDate, describe};
use daybook_schema::{BucketName, Timestamp};

use super::entry::{ListedObject, NULL_VERSION, timestamp, unquoted};

/// What HeadObject says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// It is there.
    There(ObjectSeen),
    /// It is not, or the version is a delete marker.
    Gone,
    /// S3 does not say: denied, throttled, unreachable, or encrypted with a key of the customer's.
    Unknown(String),
}

/// An object, or a version of one, as HeadObject shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSeen {
    /// Without quotes.
    pub etag: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// In whole seconds.
    pub last_modified: Option<Timestamp>,
    /// The version's id; none for the null version, and where there are no versions.
    pub version_id: Option<String>,
    /// The `Date` of the response.
    pub answered_at: Option<Timestamp>,
}

/// Whether an object is still what was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// It is.
    Same(ObjectSeen),
    /// Another upload took its place.
    Changed,
    /// It is gone.
    Gone,
    /// Nobody knows.
    Unknown(String),
}

/// Looks at a key, or at a version of it, by one request; none if it is not there or a delete marker.
///
/// # Errors
/// When S3 does not say: denied, throttled, unreachable, or encrypted with a key of the customer's.
pub async fn head_object(
    s3: &Client,
    bucket: &str,
    key: &str,
    version_id: Option<&str>,
) -> Result<Option<ObjectSeen>, Box<SdkError<HeadObjectError>>> {
    let date = ResponseDate::default();
    let answer = s3
        .head_object()
        .bucket(bucket)
        .key(key)
        .set_version_id(version_id.map(str::to_owned))
        .customize()
        .interceptor(date.clone())
        .send()
        .await;
    let answer = match answer {
        Ok(answer) if answer.delete_marker == Some(true) => return Ok(None),
        Ok(answer) => answer,
        // 405 is a version that is a delete marker.
        Err(error) if matches!(status(&error), Some(404 | 405)) => return Ok(None),
        Err(error) => return Err(Box::new(error)),
    };
    Ok(Some(ObjectSeen {
        etag: answer.e_tag.as_deref().and_then(unquoted),
        size: answer.content_length.and_then(|size| size.try_into().ok()),
        last_modified: answer.last_modified.and_then(timestamp),
        version_id: answer.version_id.filter(|id| id != NULL_VERSION),
        answered_at: date.get(),
    }))
}

fn status(error: &SdkError<HeadObjectError>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Looks at a key, or at a version of it.
pub(super) async fn head(s3: &Client, bucket: &BucketName, key: &str, version_id: Option<&str>) -> Head {
    match head_object(s3, bucket.as_str(), key, version_id).await {
        Ok(Some(seen)) => Head::There(seen),
        Ok(None) => Head::Gone,
        // An answer to HEAD has no body that could say more than its status.
        Err(error) => Head::Unknown(match status(&error) {
            Some(status) if status >= 300 => format!("HeadObject was answered with status {status}"),
            _ => format!("HeadObject: {}", describe(&*error)),
        }),
    }
}

/// Looks whether a listed object is still there and the same.
pub(super) async fn look_again(s3: &Client, bucket: &BucketName, object: &ListedObject) -> Still {
    let version_id = match &object.version_id {
        Some(version_id) => Some(version_id.as_str()),
        // Of the time before versioning, and no longer what the key shows.
        None if !object.is_latest => Some(NULL_VERSION),
        None => None,
    };
    match head(s3, bucket, object.key.as_str(), version_id).await {
        Head::Gone => Still::Gone,
        Head::Unknown(cause) => Still::Unknown(cause),
        Head::There(seen) => seen.compared_to(object),
    }
}

impl ObjectSeen {
    fn compared_to(self, object: &ListedObject) -> Still {
        // A version has one content.
        if object.version_id.is_some() {
            return Still::Same(self);
        }
        let (Some(etag), Some(modified)) = (&self.etag, self.last_modified) else {
            return Still::Unknown("HeadObject gave no etag or no time".into());
        };
        let Some(listed) = &object.etag else {
            return Still::Unknown(
                "it was listed without an etag, so that nobody can tell whether it is the same".into(),
            );
        };
        // HTTP's dates are whole seconds, whatever the listing has.
        let same_time = modified.truncated_to_seconds() == object.last_modified.truncated_to_seconds();
        match same_time && etag == listed {
            true => Still::Same(self),
            false => Still::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::canned_s3::CannedS3;
    use super::*;

    const MODIFIED: (&str, &str) = ("last-modified", "Fri, 20 Nov 2026 01:02:03 GMT");
    const DATE: (&str, &str) = ("date", "Fri, 20 Nov 2026 04:05:06 GMT");
    const ETAG: (&str, &str) = ("etag", "\"e\"");

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn object() -> ListedObject {
        ListedObject {
            key: "key".parse().unwrap(),
            version_id: None,
            etag: Some("e".into()),
            size: Some(1),
            last_modified: at("2026-11-20T01:02:03.456Z"),
            is_latest: true,
        }
    }

    fn bucket() -> BucketName {
        "data".parse().unwrap()
    }

    #[tokio::test]
    async fn an_object_is_there_or_gone_or_s3_does_not_say() {
        let seen = ObjectSeen {
            etag: Some("e".into()),
            last_modified: Some(at("2026-11-20T01:02:03Z")),
            answered_at: Some(at("2026-11-20T04:05:06Z")),
            ..ObjectSeen::default()
        };
        let marker = ("x-amz-delete-marker", "true");
        let no_marker = ("x-amz-delete-marker", "false");
        let unknown = Head::Unknown("HeadObject was answered with status 403".into());
        for (status, headers, expected) in [
            (200, vec![ETAG, MODIFIED, DATE], Head::There(seen.clone())),
            (200, vec![ETAG, MODIFIED, DATE, no_marker], Head::There(seen)),
            (200, vec![MODIFIED, DATE, marker], Head::Gone),
            (404, vec![marker], Head::Gone),
            (404, vec![], Head::Gone),
            (405, vec![marker], Head::Gone),
            (403, vec![], unknown),
        ] {
            let s3 = CannedS3::new(status, &headers, Vec::new());
            let is = head(&s3.client(), &bucket(), "key", None).await;
            assert_eq!(is, expected, "{status} {headers:?}");
        }
    }

    #[tokio::test]
    async fn what_is_looked_at_is_the_version_that_was_listed() {
        let version = |id: &str| Some(id.to_owned());
        for (version_id, is_latest, asked) in [
            (version("v1"), true, Some("v1")),
            (version("v1"), false, Some("v1")),
            (None, false, Some("null")),
            (None, true, None),
        ] {
            let object = ListedObject {
                version_id,
                is_latest,
                ..object()
            };
            let s3 = CannedS3::new(200, &[ETAG, MODIFIED, DATE], Vec::new());
            let still = look_again(&s3.client(), &bucket(), &object).await;
            assert!(matches!(still, Still::Same(_)), "{still:?}");
            let [address] = &s3.asked()[..] else {
                panic!("{:?}", s3.asked());
            };
            let is = address.split_once("versionId=").map(|(_, id)| id);
            assert_eq!(is, asked, "{address}");
        }
    }

    #[tokio::test]
    async fn an_object_is_the_same_by_etag_and_second_or_by_its_version() {
        let other_etag = ("etag", "\"f\"");
        let later = ("last-modified", "Fri, 20 Nov 2026 01:02:04 GMT");
        let same = [ETAG, MODIFIED];
        let versioned = ListedObject {
            version_id: Some("v1".into()),
            ..object()
        };
        let without_etag = ListedObject {
            etag: None,
            ..object()
        };
        for (object, headers, expected) in [
            (object(), &same[..], "Same"),
            (object(), &[other_etag, MODIFIED], "Changed"),
            (object(), &[ETAG, later], "Changed"),
            (object(), &[ETAG], "Unknown"),
            (object(), &[MODIFIED], "Unknown"),
            (without_etag, &same, "Unknown"),
            (versioned, &[other_etag, later], "Same"),
        ] {
            let s3 = CannedS3::new(200, headers, Vec::new());
            let still = look_again(&s3.client(), &bucket(), &object).await;
            assert!(
                format!("{still:?}").starts_with(expected),
                "{still:?} {headers:?}"
            );
        }
        let gone = CannedS3::new(404, &[], Vec::new());
        let still = look_again(&gone.client(), &bucket(), &object()).await;
        assert_eq!(still, Still::Gone);
    }
}
