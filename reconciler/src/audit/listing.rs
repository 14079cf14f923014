//! What is in the bucket: pages of objects from ListObjectsV2 or ListObjectVersions.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{EncodingType, Object, ObjectVersion};
use aws_smithy_types::DateTime;
use daybook_ledger::describe;
use daybook_schema::{ObjectKey, Timestamp};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::answered_at::AnsweredAt;
use super::settings::{Scope, Versions};

/// The version id that S3 gives to objects of the time before versioning.
pub(super) const NULL_VERSION: &str = "null";

/// An object, or one version of it, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedObject {
    /// The key, decoded exactly once.
    pub key: ObjectKey,
    /// The version; S3's "null" counts as none.
    pub version_id: Option<String>,
    /// The entity tag without quotes.
    pub etag: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// When S3 says that it was last modified. AWS gives whole seconds, and for an upload in several parts the time at which
    /// it began ("Working with object metadata", Amazon S3 User Guide).
    pub last_modified: Timestamp,
    /// Whether it is the newest version; true where there are no versions.
    pub is_latest: bool,
}

/// An entry of a listing that cannot be an object: its key is no UTF-8, empty or too long, or it has no time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableEntry {
    /// The key as the server sent it.
    pub key: String,
    /// Why it cannot be read.
    pub cause: String,
}

/// An entry of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An object, or a version of one. Delete markers are no entries: they hide nothing from an audit and hold nothing to be
    /// processed.
    Object(ListedObject),
    /// What cannot be judged.
    Unreadable(UnreadableEntry),
}

/// A place in a listing: everything up to it is done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The key, decoded.
    pub key: String,
    /// The version as the server writes it, "null" included; none where no versions are listed.
    pub version_id: Option<String>,
}

/// A page of a listing, in the listing's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Up to 1,000 entries.
    pub entries: Vec<Entry>,
    /// The `Date` of the response.
    pub listed_at: Option<Timestamp>,
    /// Where the next page begins; none after the last.
    pub next: Option<Marker>,
}

/// The bucket could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on bucket {bucket}: {cause}")]
pub struct ListingError {
    operation: &'static str,
    bucket: String,
    cause: String,
}

/// A listing of all objects of a scope, read page by page.
///
/// Keys come in the order of their UTF-8 bytes, as general purpose buckets, MinIO, Ceph and moto list them. Nothing that is
/// called missing or gone depends on it.
#[derive(Debug)]
pub struct Listing {
    s3: Client,
    scope: Scope,
    by_version: bool,
    next: Next,
    requests: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    After(Option<Marker>),
    Token { token: String, after: Marker },
    End,
}

impl Listing {
    /// The listing of that scope, from the start or after `marker`. With [`Versions::Ask`] the bucket is asked whether it has
    /// versions (GetBucketVersioning).
    ///
    /// # Errors
    /// When the bucket does not say whether it has versions.
    pub async fn open(
        s3: Client,
        scope: Scope,
        versions: Versions,
        after: Option<Marker>,
    ) -> Result<Self, ListingError> {
        let mut requests = 0;
        let by_version = match versions {
            Versions::All => true,
            Versions::Never => false,
            Versions::Ask => {
                requests += 1;
                has_versions(&s3, &scope).await?
            }
        };
        Ok(Self {
            s3,
            scope,
            by_version,
            next: Next::After(after),
            requests,
        })
    }

    /// Whether every version is listed.
    pub fn is_by_version(&self) -> bool {
        self.by_version
    }

    /// Requests that were made, GetBucketVersioning included; the SDK's own retries are not counted.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The next page, which may be empty; `None` after the last.
    ///
    /// # Errors
    /// When the page cannot be read, or its answer makes no sense. Call again to retry the page.
    pub async fn next_page(&mut self) -> Result<Option<Page>, ListingError> {
        let (page, next) = match (&self.next, self.by_version) {
            (Next::End, _) => return Ok(None),
            (next, false) => {
                self.requests += 1;
                self.list_objects(next).await?
            }
            (next, true) => {
                self.requests += 1;
                self.list_versions(next).await?
            }
        };
        if next == self.next {
            return Err(self.error("the server gave the same page twice"));
        }
        self.next = next;
        Ok(Some(page))
    }

    async fn list_objects(&self, from: &Next) -> Result<(Page, Next), ListingError> {
        let date = AnsweredAt::default();
        let request = self
            .s3
            .list_objects_v2()
            .bucket(self.scope.bucket.as_str())
            .set_prefix(self.prefix())
            // XML cannot carry control characters, and keys may have them.
            .encoding_type(EncodingType::Url);
        let request = match from {
            Next::Token { token, .. } => request.continuation_token(token),
            Next::After(Some(marker)) => request.start_after(&marker.key),
            Next::After(None) | Next::End => request,
        };
        let answer = request
            .customize()
            .interceptor(date.clone())
            .send()
            .await
            .map_err(|error| self.error(describe(&error)))?;
        let is_encoded = answer.encoding_type == Some(EncodingType::Url);
        let objects = answer.contents.unwrap_or_default();
        let last = objects.last().and_then(|object| object.key.as_deref());
        let next = match (answer.is_truncated == Some(true), answer.next_continuation_token) {
            (false, _) => Next::End,
            (true, None) => return Err(self.error("the server says that there is more, and not where")),
            (true, Some(token)) => {
                let before = match from {
                    Next::Token { after, .. } | Next::After(Some(after)) => after.key.as_str(),
                    Next::After(None) | Next::End => "",
                };
                let key = match last {
                    Some(key) => decode(key, is_encoded).map_err(|cause| self.error(cause))?,
                    None => before.to_owned(),
                };
                let after = Marker {
                    key,
                    version_id: None,
                };
                Next::Token { token, after }
            }
        };
        let entries = objects.into_iter().map(|object| entry(object, is_encoded));
        Ok((self.page(entries.collect(), date.get(), &next), next))
    }

    async fn list_versions(&self, from: &Next) -> Result<(Page, Next), ListingError> {
        let date = AnsweredAt::default();
        let request = self
            .s3
            .list_object_versions()
            .bucket(self.scope.bucket.as_str())
            .set_prefix(self.prefix())
            .encoding_type(EncodingType::Url);
        let request = match from {
            Next::After(Some(marker)) => request
                .key_marker(&marker.key)
                .set_version_id_marker(marker.version_id.clone()),
            _ => request,
        };
        let answer = request
            .customize()
            .interceptor(date.clone())
            .send()
            .await
            .map_err(|error| self.error(describe(&error)))?;
        let is_encoded = answer.encoding_type == Some(EncodingType::Url);
        let next = match (answer.is_truncated == Some(true), answer.next_key_marker) {
            (false, _) => Next::End,
            (true, None) => return Err(self.error("the server says that there is more, and not where")),
            (true, Some(key)) => Next::After(Some(Marker {
                key: decode(&key, is_encoded).map_err(|cause| self.error(cause))?,
                version_id: answer.next_version_id_marker.filter(|id| !id.is_empty()),
            })),
        };
        let versions = answer.versions.unwrap_or_default();
        let entries = versions
            .into_iter()
            .map(|version| version_entry(version, is_encoded));
        Ok((self.page(entries.collect(), date.get(), &next), next))
    }

    fn page(&self, entries: Vec<Entry>, listed_at: Option<Timestamp>, next: &Next) -> Page {
        let next = match next {
            Next::After(marker) => marker.clone(),
            Next::Token { after, .. } => Some(after.clone()),
            Next::End => None,
        };
        Page {
            entries,
            listed_at,
            next,
        }
    }

    fn prefix(&self) -> Option<String> {
        Some(self.scope.prefix.clone()).filter(|prefix| !prefix.is_empty())
    }

    fn error(&self, cause: impl ToString) -> ListingError {
        ListingError {
            operation: if self.by_version {
                "ListObjectVersions"
            } else {
                "ListObjectsV2"
            },
            bucket: self.scope.bucket.to_string(),
            cause: cause.to_string(),
        }
    }
}

/// Asks the bucket. One whose versioning is suspended still has versions: only silence means that it never had any.
async fn has_versions(s3: &Client, scope: &Scope) -> Result<bool, ListingError> {
    let bucket = scope.bucket.as_str();
    let error = match s3.get_bucket_versioning().bucket(bucket).send().await {
        Ok(answer) => return Ok(answer.status.is_some()),
        Err(error) => error,
    };
    let body = error
        .raw_response()
        .filter(|response| response.status().is_success())
        .and_then(|response| response.body().bytes());
    body.and_then(|body| versions_by_moto(&String::from_utf8_lossy(body)))
        .ok_or_else(|| ListingError {
            operation: "GetBucketVersioning",
            bucket: bucket.to_owned(),
            cause: describe(&error),
        })
}

/// moto (5.2) calls the document GetBucketVersioningResponse, which the SDK refuses. Its content is S3's.
fn versions_by_moto(body: &str) -> Option<bool> {
    body.contains("<GetBucketVersioningResponse")
        .then(|| body.contains("<Status>"))
}

fn entry(object: Object, is_encoded: bool) -> Entry {
    read(
        object.key,
        is_encoded,
        None,
        object.e_tag,
        object.size,
        object.last_modified,
        true,
    )
}

fn version_entry(version: ObjectVersion, is_encoded: bool) -> Entry {
    read(
        version.key,
        is_encoded,
        version.version_id,
        version.e_tag,
        version.size,
        version.last_modified,
        version.is_latest.unwrap_or(false),
    )
}

fn read(
    key: Option<String>,
    is_encoded: bool,
    version_id: Option<String>,
    etag: Option<String>,
    size: Option<i64>,
    last_modified: Option<DateTime>,
    is_latest: bool,
) -> Entry {
    let sent = key.unwrap_or_default();
    let key =
        decode(&sent, is_encoded).and_then(|key| ObjectKey::try_from(key).map_err(|error| error.to_string()));
    let time = last_modified
        .and_then(timestamp)
        .ok_or_else(|| "it has no time of its last modification".to_owned());
    match (key, time) {
        (Ok(key), Ok(last_modified)) => Entry::Object(ListedObject {
            key,
            version_id: version_id.filter(|id| !id.is_empty() && id != NULL_VERSION),
            etag: etag.as_deref().and_then(unquoted),
            size: size.and_then(|size| u64::try_from(size).ok()),
            last_modified,
            is_latest,
        }),
        (Err(cause), _) | (_, Err(cause)) => Entry::Unreadable(UnreadableEntry { key: sent, cause }),
    }
}

/// S3's "url" encoding is that of forms: `+` is a space, and a plus is `%2B`. Servers that write a space as `%20` are read
/// the same way.
fn decode(text: &str, is_encoded: bool) -> Result<String, String> {
    if !is_encoded {
        return Ok(text.to_owned());
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| "its key is no UTF-8".to_owned())
}

/// An etag as events have it: without the quotes of HTTP, and none instead of an empty one.
pub(super) fn unquoted(etag: &str) -> Option<String> {
    Some(etag.trim_matches('"').to_owned()).filter(|etag| !etag.is_empty())
}

pub(super) fn timestamp(at: DateTime) -> Option<Timestamp> {
    at.to_millis().ok().and_then(Timestamp::from_unix_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_of_motos_says_whether_it_has_versions() {
        let document = |content| format!("<?xml version=\"1.0\"?>\n<GetBucketVersioningResponse{content}");
        let never = document(" xmlns=\"x\"/>");
        let suspended = document("><Status>Suspended</Status></GetBucketVersioningResponse>");
        assert_eq!(versions_by_moto(&never), Some(false));
        assert_eq!(versions_by_moto(&suspended), Some(true));
        assert_eq!(versions_by_moto("<html>Log in</html>"), None);
    }

    #[test]
    fn a_key_is_decoded_exactly_once_and_only_if_it_was_encoded() {
        assert_eq!(decode("a+b%2Bc%2520/%C3%A9", true), Ok("a b+c%20/é".into()));
        assert_eq!(decode("a%20b", true), Ok("a b".into()));
        assert_eq!(decode("a+b%2Bc", false), Ok("a+b%2Bc".into()));
        assert!(decode("%ff", true).is_err());
    }

    #[test]
    fn what_cannot_be_an_object_is_an_unreadable_entry() {
        let entry = |key: &str, at| read(Some(key.into()), true, None, None, None, at, true);
        let at = Some(DateTime::from_secs(0));
        assert!(matches!(entry("a", at), Entry::Object(_)));
        for (key, at) in [("%ff", at), ("", at), (&*"x".repeat(1025), at), ("a", None)] {
            assert!(matches!(entry(key, at), Entry::Unreadable(_)), "{key}");
        }
    }
}
