//! Requests, taken apart.

use std::collections::{BTreeMap, VecDeque};

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use super::Bucket;

/// A request, taken apart.
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) bucket: String,
    pub(super) key: String,
    query: BTreeMap<String, String>,
    if_match: Option<String>,
    if_none_match: Option<String>,
}

impl Asked {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let uri = request.uri();
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        let asked = Self::new(request.method(), rest.find('/').map_or("/", |at| &rest[at..]));
        let header = |name| request.headers().get(name).map(str::to_owned);
        asked.on_condition(header("if-match"), header("if-none-match"))
    }

    pub(super) fn on_condition(self, if_match: Option<String>, if_none_match: Option<String>) -> Self {
        Self {
            if_match,
            if_none_match,
            ..self
        }
    }

    /// Whether the conditions of an upload hold.
    pub(super) fn allows(&self, bucket: &Bucket) -> bool {
        let newest = bucket.keys.get(&self.key).and_then(VecDeque::front);
        let etag = newest.and_then(|version| version.etag.as_deref());
        let matches = |wanted: &String| etag == Some(wanted.trim_matches('"'));
        self.if_match.as_ref().is_none_or(matches) && (self.if_none_match.is_none() || etag.is_none())
    }

    pub(super) fn new(method: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .unwrap()
                .into_owned()
        };
        Self {
            method: method.to_owned(),
            bucket: decoded(bucket),
            key: decoded(key),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            if_match: None,
            if_none_match: None,
        }
    }

    pub(super) fn operation(&self) -> &'static str {
        let asks = |name: &str| self.query.contains_key(name);
        match (self.method.as_str(), self.key.is_empty()) {
            ("GET", true) if asks("notification") => "GetBucketNotification",
            ("GET", true) if asks("versioning") => "GetBucketVersioning",
            ("GET", true) if asks("versions") => "ListObjectVersions",
            ("GET", true) if asks("list-type") => "ListObjectsV2",
            ("HEAD", false) => "HeadObject",
            ("GET", false) => "GetObject",
            ("PUT", false) => "PutObject",
            _ => "Other",
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}
