//! A row of an inventory, and the entry that it is.

use daybook_schema::Timestamp;

use super::super::entry::{Entry, Found, UnreadableEntry, decode};

/// A row as the file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) bucket: Option<Vec<u8>>,
    /// As it was written: encoded in CSV, and not in Parquet.
    pub(super) key: Vec<u8>,
    pub(super) version_id: Option<String>,
    pub(super) is_latest: Option<bool>,
    pub(super) is_delete_marker: Option<bool>,
    pub(super) size: Option<u64>,
    pub(super) last_modified: Option<Timestamp>,
    pub(super) etag: Option<String>,
}

impl Row {
    /// The entry, if it is of that prefix and no delete marker.
    pub(super) fn entry(self, is_encoded: bool, by_version: bool, prefix: &str) -> Option<Entry> {
        if self.is_delete_marker == Some(true) {
            return None;
        }
        let key = match String::from_utf8(self.key) {
            Ok(key) => key,
            Err(error) => {
                let key = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let cause = "its key is no UTF-8".to_owned();
                let is_asked = key.starts_with(prefix);
                return is_asked.then_some(Entry::Unreadable(UnreadableEntry { key, cause }));
            }
        };
        let is_asked = match decode(&key, is_encoded) {
            Ok(key) => key.starts_with(prefix),
            // Nobody knows.
            Err(_) => true,
        };
        let found = Found {
            key,
            is_encoded,
            version_id: self.version_id,
            etag: self.etag,
            size: self.size,
            last_modified: self.last_modified,
            is_latest: self.is_latest.unwrap_or(!by_version),
        };
        is_asked.then(|| found.entry())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::ListedObject;
    use super::*;

    fn row(key: &[u8]) -> Row {
        Row {
            key: key.to_vec(),
            last_modified: Timestamp::from_unix_millis(0),
            ..Row::default()
        }
    }

    fn object(row: Row, is_encoded: bool, by_version: bool) -> ListedObject {
        match row.entry(is_encoded, by_version, "") {
            Some(Entry::Object(object)) => object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_an_inventory_of_current_versions_lists_is_the_newest() {
        let said = |is_latest| Row {
            is_latest,
            ..row(b"a")
        };
        for (is_latest, by_version, expected) in [
            (None, false, true),
            (None, true, false),
            (Some(true), true, true),
            (Some(false), true, false),
            (Some(false), false, false),
        ] {
            let object = object(said(is_latest), false, by_version);
            assert_eq!(object.is_latest, expected, "{is_latest:?} {by_version}");
        }
    }

    #[test]
    fn keys_of_other_prefixes_and_delete_markers_are_left_out() {
        let entry = |key: &[u8], prefix| row(key).entry(true, false, prefix);
        assert_eq!(object(row(b"a+b%2Fc"), true, false).key.as_str(), "a b/c");
        assert_eq!(object(row(b"a+b%2Fc"), false, false).key.as_str(), "a+b%2Fc");
        assert!(entry(b"a+b%2Fc", "a b/").is_some());
        assert_eq!(entry(b"a+b%2Fc", "a+b"), None);
        let marker = Row {
            is_delete_marker: Some(true),
            ..row(b"a")
        };
        assert_eq!(marker.entry(true, true, ""), None);
        // Which key it is nobody knows, but for what its bytes begin with.
        assert!(matches!(entry(b"a%ff", "b"), Some(Entry::Unreadable(_))));
        assert!(matches!(entry(b"a\xff", "a"), Some(Entry::Unreadable(_))));
        assert_eq!(entry(b"a\xff", "b"), None);
    }
}
