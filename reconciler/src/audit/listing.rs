//! A listing of the bucket: pages of objects from ListObjectsV2 or ListObjectVersions.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{EncodingType, Object, ObjectVersion};
use daybook_ledger::{Cause, ResponseDate, describe};
use daybook_schema::Timestamp;

use super::entry::{Entry, Found, KeyMarker, Marker, Page, decode, timestamp};
use super::s3_error::ListingError;
use super::settings::{Scope, Versions};
use super::versioning::has_versions;

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
    After(Option<KeyMarker>),
    Token { token: String, after: KeyMarker },
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
        after: Option<KeyMarker>,
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
        let date = ResponseDate::default();
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
                let after = KeyMarker {
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
        let date = ResponseDate::default();
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
            (true, Some(key)) => Next::After(Some(KeyMarker {
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
            next: next.map(Marker::Key),
            rows: Vec::new(),
        }
    }

    fn prefix(&self) -> Option<String> {
        Some(self.scope.prefix.clone()).filter(|prefix| !prefix.is_empty())
    }

    fn error(&self, cause: impl Into<Cause>) -> ListingError {
        ListingError {
            operation: if self.by_version {
                "ListObjectVersions"
            } else {
                "ListObjectsV2"
            },
            bucket: self.scope.bucket.to_string(),
            cause: cause.into(),
        }
    }
}

fn entry(object: Object, is_encoded: bool) -> Entry {
    let found = Found {
        key: object.key.unwrap_or_default(),
        is_encoded,
        version_id: None,
        etag: object.e_tag,
        size: size(object.size),
        last_modified: object.last_modified.and_then(timestamp),
        is_latest: true,
    };
    found.entry()
}

fn version_entry(version: ObjectVersion, is_encoded: bool) -> Entry {
    let found = Found {
        key: version.key.unwrap_or_default(),
        is_encoded,
        version_id: version.version_id,
        etag: version.e_tag,
        size: size(version.size),
        last_modified: version.last_modified.and_then(timestamp),
        is_latest: version.is_latest.unwrap_or(false),
    };
    found.entry()
}

fn size(size: Option<i64>) -> Option<u64> {
    size.and_then(|size| u64::try_from(size).ok())
}
