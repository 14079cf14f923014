//! Events as people name them: by id, or by object.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use daybook_schema::identity::ObjectParts;
use daybook_schema::{
    BucketName, EventId, ExecutionName, Kind, ObjectEvent, ObjectId, ObjectKey, SourceName,
};

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One event.
    Id(EventId),
    /// The events of an object.
    Object(ObjectText),
}

/// An object as a person writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectText {
    /// The bucket.
    pub bucket: String,
    /// All after the bucket.
    pub whole: String,
    /// The same, read as a key and a version; a key may itself end in `?versionId=…`, so both are looked for.
    pub parts: Option<(String, Option<String>)>,
}

impl FromStr for ObjectText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(Wanted::Object(object)) => Ok(object),
            Ok(Wanted::Id(_)) => Err("an object is needed, such as s3://data/2026/reading.json".to_owned()),
            Err(_) if !text.starts_with("s3://") => {
                Err("an object is needed, such as s3://data/2026/reading.json".to_owned())
            }
            Err(error) => Err(error),
        }
    }
}

impl ObjectText {
    /// The keys that may be meant, with the version: `None` is any.
    pub fn candidates(&self) -> Vec<(&str, Option<Option<&str>>)> {
        let parts = self
            .parts
            .iter()
            .map(|(key, version)| (key.as_str(), Some(version.as_deref())));
        std::iter::once((self.whole.as_str(), None))
            .chain(parts)
            .collect()
    }

    /// The same object in that version, unless it says one.
    pub fn at_version(&self, version_id: &str) -> Self {
        let parts = self.parts.clone();
        Self {
            parts: parts.or_else(|| Some((self.whole.clone(), Some(version_id.to_owned())))),
            ..self.clone()
        }
    }

    /// Whether the event is about it; of any source unless one is given.
    pub fn is_of(&self, event: &ObjectEvent, source: Option<&SourceName>) -> bool {
        event.bucket.as_str() == self.bucket
            && source.is_none_or(|source| event.source == *source)
            && self.candidates().into_iter().any(|(key, version)| {
                event.key.as_str() == key
                    && version.is_none_or(|version| event.version_id.as_deref() == version)
            })
    }

    /// The receipts' keys that the text may mean.
    pub fn object_ids(&self, source: Option<&SourceName>) -> BTreeSet<ObjectId> {
        let source = source.cloned().unwrap_or_default();
        let Ok(bucket) = self.bucket.parse::<BucketName>() else {
            return BTreeSet::new();
        };
        let mut ids = BTreeSet::new();
        for (key, version) in self.candidates() {
            let Ok(key) = key.parse::<ObjectKey>() else {
                continue;
            };
            for kind in [Kind::Created, Kind::Removed] {
                let parts = ObjectParts {
                    source: &source,
                    bucket: &bucket,
                    key: &key,
                    version_id: version.flatten(),
                    kind: &kind,
                };
                ids.insert(parts.object_id());
            }
        }
        ids
    }
}

impl fmt::Display for ObjectText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.whole)
    }
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, whole) = rest
                .split_once('/')
                .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
                .ok_or("a bucket and a key are needed after s3://, such as s3://data/2026/reading.json")?;
            let parts = whole
                .rsplit_once("?versionId=")
                .filter(|(key, _)| !key.is_empty());
            return Ok(Self::Object(ObjectText {
                bucket: bucket.to_owned(),
                whole: whole.to_owned(),
                // S3's "null" is the version of an object from before there were any.
                parts: parts.map(|(key, version)| {
                    let version = Some(version).filter(|version| !matches!(*version, "" | "null"));
                    (key.to_owned(), version.map(str::to_owned))
                }),
            }));
        }
        let text = text.trim().to_lowercase();
        let name = text.parse::<ExecutionName>().map(|name| name.id);
        text.parse::<EventId>()
            .or(name)
            .map(Self::Id)
            .map_err(|_| "an event's id (a UUID), or s3://bucket/key, is needed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_objects_are_told_apart() {
        let id = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11";
        let wanted = Ok(Wanted::Id(id.parse().unwrap()));
        assert_eq!(id.parse(), wanted);
        assert_eq!(id.to_uppercase().parse(), wanted);
        assert_eq!(format!("{id}-3").parse(), wanted);
        for bad in [
            "",
            "reading.json",
            "s3://",
            "s3://data",
            "s3:///key",
            "s3://data/",
        ] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
        let Ok(Wanted::Object(object)) = "s3://data/a/b?c?versionId=v1".parse() else {
            panic!("an object")
        };
        assert_eq!(
            object.candidates(),
            [("a/b?c?versionId=v1", None), ("a/b?c", Some(Some("v1")))]
        );
        let Ok(Wanted::Object(object)) = "s3://data/a?versionId=null".parse() else {
            panic!("an object")
        };
        assert_eq!(object.candidates()[1], ("a", Some(None)));
    }
}
