//! What is in the bucket, entry by entry: the same from a listing and from an inventory.

use aws_smithy_types::DateTime;
use daybook_schema::{ObjectKey, Timestamp};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

/// The version id that S3 gives to objects of the time before versioning.
pub(super) const NULL_VERSION: &str = "null";

/// An object, or one version of it, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
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

/// A place in a source: everything up to it is done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Marker {
    /// Behind a key of a listing.
    Key(KeyMarker),
    /// Behind a row of an inventory.
    Row(RowMarker),
}

/// A place in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyMarker {
    /// The key, decoded.
    pub key: String,
    /// The version as the server writes it, "null" included; none where no versions are listed.
    pub version_id: Option<String>,
}

/// A place in an inventory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowMarker {
    /// The file by its number in the manifest, from 0.
    pub file: usize,
    /// So many of its rows are done with.
    pub row: u64,
}

/// A page of a source, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Up to 1,000 entries.
    pub entries: Vec<Entry>,
    /// The `Date` of the response; none where none was needed for the page.
    pub listed_at: Option<Timestamp>,
    /// Where the next page begins; none after the last.
    pub next: Option<Marker>,
    /// Behind which row of an inventory each entry ends; empty for a listing.
    pub(super) rows: Vec<RowMarker>,
}

/// What a source says of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) key: String,
    /// Whether the key is encoded as in forms.
    pub(super) is_encoded: bool,
    pub(super) version_id: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) last_modified: Option<Timestamp>,
    pub(super) is_latest: bool,
}

impl Page {
    /// The place behind an entry of it, which is that object.
    pub(super) fn behind(&self, position: usize, object: &ListedObject, by_version: bool) -> Marker {
        if let Some(row) = self.rows.get(position) {
            return Marker::Row(*row);
        }
        let version_id = || {
            object
                .version_id
                .clone()
                .unwrap_or_else(|| NULL_VERSION.to_owned())
        };
        Marker::Key(KeyMarker {
            key: object.key.to_string(),
            version_id: by_version.then(version_id),
        })
    }
}

impl Found {
    pub(super) fn entry(self) -> Entry {
        let key = decode(&self.key, self.is_encoded)
            .and_then(|key| ObjectKey::try_from(key).map_err(|error| error.to_string()));
        let time = self
            .last_modified
            .ok_or_else(|| "it has no time of its last modification".to_owned());
        match (key, time) {
            (Ok(key), Ok(last_modified)) => Entry::Object(ListedObject {
                key,
                version_id: self.version_id.filter(|id| !id.is_empty() && id != NULL_VERSION),
                etag: self.etag.as_deref().and_then(unquoted),
                size: self.size,
                last_modified,
                is_latest: self.is_latest,
            }),
            (Err(cause), _) | (_, Err(cause)) => Entry::Unreadable(UnreadableEntry { key: self.key, cause }),
        }
    }
}

/// S3's "url" encoding is that of forms: `+` is a space, and a plus is `%2B`. Servers that write a space as `%20` are read
/// the same way.
pub(super) fn decode(text: &str, is_encoded: bool) -> Result<String, String> {
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
    fn a_key_is_decoded_exactly_once_and_only_if_it_was_encoded() {
        assert_eq!(decode("a+b%2Bc%2520/%C3%A9", true), Ok("a b+c%20/é".into()));
        assert_eq!(decode("a%20b", true), Ok("a b".into()));
        assert_eq!(decode("a+b%2Bc", false), Ok("a+b%2Bc".into()));
        assert!(decode("%ff", true).is_err());
    }

    #[test]
    fn a_place_in_a_listing_reads_back_as_one_and_a_place_in_an_inventory_as_the_other() {
        let (key, version_id) = ("a".to_owned(), None);
        let places = [
            Marker::Key(KeyMarker { key, version_id }),
            Marker::Row(RowMarker { file: 2, row: 7 }),
        ];
        for place in places {
            let text = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<Marker>(&text).unwrap(), place, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_an_object_is_an_unreadable_entry() {
        let entry = |key: &str, last_modified| {
            let key = key.to_owned();
            let found = Found {
                key,
                is_encoded: true,
                last_modified,
                ..Found::default()
            };
            found.entry()
        };
        let at = Timestamp::from_unix_millis(0);
        assert!(matches!(entry("a", at), Entry::Object(_)));
        for (key, at) in [("%ff", at), ("", at), (&*"x".repeat(1025), at), ("a", None)] {
            assert!(matches!(entry(key, at), Entry::Unreadable(_)), "{key}");
        }
    }
}
