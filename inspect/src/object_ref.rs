//! Events as people name them: by id, or by object.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use daybook_ledger::RowFilter;
use daybook_schema::identity::ObjectParts;
use daybook_schema::{
    BatchId, BatchName, BucketName, EventId, Kind, ObjectEvent, ObjectId, ObjectKey, RunName, SourceName,
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

    /// Which rows may be about it, as far as the ledger can tell; [`ObjectText::is_of`] tells.
    pub fn rows(&self) -> RowFilter {
        RowFilter {
            bucket: Some(self.bucket.clone()),
            keys: self
                .candidates()
                .into_iter()
                .map(|(key, _)| key.to_owned())
                .collect(),
            ..RowFilter::default()
        }
    }

    /// Whether the event is about it; of any source unless one is given.
    pub fn is_of(&self, event: &ObjectEvent, source: Option<&SourceName>) -> bool {
        event.is_of_object()
            && event.bucket.as_str() == self.bucket
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
        let event = match text.parse::<RunName>() {
            Ok(RunName::Batch(BatchName { batch, alone: None })) => {
                return Err(format!(
                    "one event is needed: `daybook show b-{batch}` lists those of the batch"
                ));
            }
            Ok(RunName::Batch(name)) => name.alone,
            Ok(RunName::Single(name)) => Some(name.id),
            Err(_) => None,
        };
        text.parse::<EventId>()
            .ok()
            .or(event)
            .map(Self::Id)
            .ok_or_else(|| "an event's id (a UUID), or s3://bucket/key, is needed".to_owned())
    }
}

/// What all is known of: an event, the events of an object, or those of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// An event, or those of an object.
    Events(Wanted),
    /// A batch.
    Batch(BatchId),
}

impl FromStr for Shown {
    type Err = String;

    /// A batch is `b-` and its id, the name of its execution, or the id alone: a random UUID, which an event's id never is.
    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_lowercase();
        let is_random = |batch: &BatchId| batch.0.get_version_num() == 4;
        let batch = match lower.parse::<RunName>() {
            Ok(RunName::Batch(BatchName { batch, alone: None })) => Some(batch),
            _ => lower.parse().ok().filter(is_random),
        };
        match batch {
            Some(batch) => Ok(Self::Batch(batch)),
            None if lower.starts_with("s3://") => text.parse().map(Self::Events),
            None => text.parse().map(Self::Events).map_err(|_| {
                "an event's id (a UUID), a batch's (32 hexadecimal digits), or s3://bucket/key, is needed"
                    .to_owned()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_events_are_told_apart() {
        let (id, simple) = (
            "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11",
            "0b8f7a529c5e5a068d6c0d6f1a3e9a11",
        );
        let batch = "5f0c2b7e31d84a6f9e0d4c3b2a190817";
        let event = Ok(Shown::Events(Wanted::Id(id.parse().unwrap())));
        for text in [id, &format!("{id}-3"), &format!("b-{batch}-{id}")] {
            assert_eq!(text.parse(), event, "{text}");
        }
        let shown = Ok(Shown::Batch(batch.parse().unwrap()));
        for text in [
            batch,
            &batch.to_uppercase(),
            &format!("b-{batch}"),
            &format!(" B-{batch} "),
        ] {
            assert_eq!(text.parse(), shown, "{text}");
        }
        // With hyphens it is an event's id, of somebody who makes ids by chance.
        let hyphens = "5f0c2b7e-31d8-4a6f-9e0d-4c3b2a190817";
        assert_eq!(
            hyphens.parse(),
            Ok(Shown::Events(Wanted::Id(hyphens.parse().unwrap())))
        );
        for bad in [
            simple.to_owned(),
            format!("b-{batch}-"),
            format!("b-{id}"),
            format!("b-{batch}-3"),
            format!("{batch}-1"),
        ] {
            assert!(bad.parse::<Shown>().is_err(), "{bad}");
        }
        let error = format!("b-{batch}").parse::<Wanted>().unwrap_err();
        assert!(error.contains(&format!("`daybook show b-{batch}`")), "{error}");
        let of_event = format!("b-{batch}-{id}").parse();
        assert_eq!(of_event, Ok(Wanted::Id(id.parse().unwrap())));
    }

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
