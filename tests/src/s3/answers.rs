//! S3's answers, as XML.

use std::fmt::Write;

use daybook_schema::Timestamp;

use super::{Answer, Asked, Bucket, Version, Versioning};

/// Entries per page.
pub(super) const PAGE: usize = 1000;

impl Answer {
    fn xml(root: &str, content: &str) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/xml".into())],
            body: format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{content}</{root}>"
            )
            .into_bytes(),
        }
    }

    pub(super) fn error(status: u16, code: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/xml".into())],
            body: format!("<Error><Code>{code}</Code><Message>no</Message></Error>").into_bytes(),
        }
    }

    /// A HEAD's answer has no body.
    fn bare(status: u16, headers: Vec<(&'static str, String)>) -> Self {
        Self {
            status,
            headers,
            body: Vec::new(),
        }
    }

    pub(super) fn put(version: &Version) -> Self {
        let mut headers = version_headers(version);
        headers.retain(|(name, _)| *name != "content-length");
        Self::bare(200, headers)
    }
}

pub(super) fn versioning(versioning: Versioning) -> Answer {
    let status = match versioning {
        Versioning::Never => "",
        Versioning::Enabled => "<Status>Enabled</Status>",
        Versioning::Suspended => "<Status>Suspended</Status>",
    };
    Answer::xml("VersioningConfiguration", status)
}

/// A page of ListObjectsV2, put together of its objects in order.
pub(super) struct ObjectPage {
    encoded: bool,
    content: String,
    pub(super) count: usize,
}

impl ObjectPage {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            encoded: asked.get("encoding-type") == Some("url"),
            content: String::new(),
            count: 0,
        }
    }

    pub(super) fn add(&mut self, key: &str, version: &Version) {
        self.count += 1;
        let (key, object) = (name(key, self.encoded), object(version));
        write!(self.content, "<Contents><Key>{key}</Key>{object}</Contents>").unwrap();
    }

    /// The answer; `next` is the token of the next page, if there is one.
    pub(super) fn answer(self, asked: &Asked, next: Option<String>) -> Answer {
        let token = next.as_ref().map_or(String::new(), |token| {
            format!("<NextContinuationToken>{}</NextContinuationToken>", escape(token))
        });
        let head = head_of(asked, self.encoded, next.is_some());
        let count = self.count;
        let content = self.content;
        Answer::xml(
            "ListBucketResult",
            &format!("{head}<KeyCount>{count}</KeyCount>{token}{content}"),
        )
    }
}

pub(super) fn list_objects(bucket: &Bucket, asked: &Asked) -> Answer {
    let prefix = asked.get("prefix").unwrap_or_default();
    // A token is the last key. Real ones are opaque; nobody may look into them.
    let token = asked
        .get("continuation-token")
        .map(|token| token.trim_start_matches("token:"));
    let after = token.or(asked.get("start-after")).unwrap_or_default();
    let mut page = ObjectPage::new(asked);
    let mut last = String::new();
    for (key, versions) in &bucket.keys {
        let newest = versions.front().filter(|version| version.etag.is_some());
        let Some(newest) = newest.filter(|_| key.as_str() > after && key.starts_with(prefix)) else {
            continue;
        };
        if page.count == PAGE {
            return page.answer(asked, Some(format!("token:{last}")));
        }
        page.add(key, newest);
        last.clone_from(key);
    }
    page.answer(asked, None)
}

pub(super) fn list_versions(bucket: &Bucket, asked: &Asked) -> Answer {
    let prefix = asked.get("prefix").unwrap_or_default();
    let encoded = asked.get("encoding-type") == Some("url");
    let key_marker = asked.get("key-marker").unwrap_or_default();
    let version_marker = asked.get("version-id-marker");
    let mut content = String::new();
    let mut count = 0;
    let mut last = (String::new(), String::new());
    for (key, versions) in &bucket.keys {
        if !key.starts_with(prefix) || key.as_str() < key_marker {
            continue;
        }
        // Without a version marker, a key marker stands for all versions of its key.
        let mut is_behind = key == key_marker;
        for (position, version) in versions.iter().enumerate() {
            let id = version.id.as_deref().unwrap_or("null");
            if is_behind {
                is_behind = version_marker != Some(id);
                continue;
            }
            if count == PAGE {
                let markers = format!(
                    "<NextKeyMarker>{}</NextKeyMarker><NextVersionIdMarker>{}</NextVersionIdMarker>",
                    name(&last.0, encoded),
                    escape(&last.1)
                );
                let head = head_of(asked, encoded, true);
                return Answer::xml("ListVersionsResult", &format!("{head}{markers}{content}"));
            }
            count += 1;
            last = (key.clone(), id.to_owned());
            let element = if version.etag.is_some() {
                "Version"
            } else {
                "DeleteMarker"
            };
            let (key, id, is_latest) = (name(key, encoded), escape(id), position == 0);
            let object = object(version);
            write!(
                content,
                "<{element}><Key>{key}</Key><VersionId>{id}</VersionId><IsLatest>{is_latest}</IsLatest>\
                 {object}</{element}>"
            )
            .unwrap();
        }
    }
    let head = head_of(asked, encoded, false);
    Answer::xml("ListVersionsResult", &format!("{head}{content}"))
}

pub(super) fn head(bucket: &Bucket, asked: &Asked) -> Answer {
    let none = || Answer::bare(404, Vec::new());
    let Some(versions) = bucket.keys.get(&asked.key) else {
        return none();
    };
    let version = match asked.get("versionId") {
        None => versions.front(),
        Some("null") => versions.iter().find(|version| version.id.is_none()),
        Some(id) => versions.iter().find(|version| version.id.as_deref() == Some(id)),
    };
    match version {
        None => none(),
        Some(marker) if marker.etag.is_none() => {
            let status = if asked.get("versionId").is_some() {
                405
            } else {
                404
            };
            Answer::bare(status, vec![("x-amz-delete-marker", "true".into())])
        }
        Some(version) => Answer::bare(200, version_headers(version)),
    }
}

/// The newest version; others are not kept.
pub(super) fn get(bucket: &Bucket, asked: &Asked) -> Answer {
    let newest = bucket.keys.get(&asked.key).and_then(|versions| versions.front());
    let content = bucket.contents.get(&asked.key);
    match (newest.filter(|version| version.etag.is_some()), content) {
        (Some(version), Some(content)) => Answer {
            status: 200,
            headers: version_headers(version),
            body: content.clone(),
        },
        _ => Answer::error(404, "NoSuchKey"),
    }
}

fn version_headers(version: &Version) -> Vec<(&'static str, String)> {
    let etag = version.etag.as_deref().unwrap_or_default();
    let mut headers = vec![
        ("etag", format!("\"{etag}\"")),
        ("last-modified", http_date(version.last_modified)),
        ("content-length", version.size.to_string()),
    ];
    headers.extend(version.id.clone().map(|id| ("x-amz-version-id", id)));
    headers
}

fn head_of(asked: &Asked, encoded: bool, is_truncated: bool) -> String {
    let encoding = if encoded {
        "<EncodingType>url</EncodingType>"
    } else {
        ""
    };
    format!(
        "<Name>{}</Name><Prefix>{}</Prefix><MaxKeys>{PAGE}</MaxKeys>{encoding}<IsTruncated>{is_truncated}</IsTruncated>",
        escape(&asked.bucket),
        name(asked.get("prefix").unwrap_or_default(), encoded),
    )
}

fn object(version: &Version) -> String {
    let at = version.last_modified;
    match &version.etag {
        Some(etag) => format!(
            "<LastModified>{at}</LastModified><ETag>&quot;{etag}&quot;</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass>",
            version.size
        ),
        None => format!("<LastModified>{at}</LastModified>"),
    }
}

/// A key in an answer: encoded as forms are but with its slashes, or as XML.
fn name(key: &str, encoded: bool) -> String {
    match encoded {
        true => form_urlencoded::byte_serialize(key.as_bytes())
            .collect::<String>()
            .replace("%2F", "/"),
        false => escape(key),
    }
}

fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            // What XML 1.0 cannot say, as AWS writes it; a parser stops here.
            c if c.is_control() => format!("&#x{:x};", u32::from(c)),
            c => c.to_string(),
        })
        .collect()
}

/// A time as HTTP writes it.
pub(super) fn http_date(at: Timestamp) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at.unix_millis()).unwrap();
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
