//! What an event says about its object.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What happened to the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Kind {
    /// There is new content.
    Created,
    /// It was deleted, expired, or hidden by a delete marker.
    Removed,
    /// A restore from an archive was asked for.
    RestoreRequested,
    /// It was restored from an archive.
    Restored,
    /// The restored copy expired.
    RestoreExpired,
    /// Its tags were set.
    Tagged,
    /// Its tags were deleted.
    Untagged,
    /// Its access control list was set.
    AclChanged,
    /// It moved to another storage class.
    Transitioned,
    /// Anything else, by the event name's own words in lower case, 64 bytes at most.
    Other(String),
}

impl Kind {
    /// The stored form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Created => "created",
            Self::Removed => "removed",
            Self::RestoreRequested => "restore_requested",
            Self::Restored => "restored",
            Self::RestoreExpired => "restore_expired",
            Self::Tagged => "tagged",
            Self::Untagged => "untagged",
            Self::AclChanged => "acl_changed",
            Self::Transitioned => "transitioned",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for Kind {
    fn from(text: String) -> Self {
        match text.as_str() {
            "created" => Self::Created,
            "removed" => Self::Removed,
            "restore_requested" => Self::RestoreRequested,
            "restored" => Self::Restored,
            "restore_expired" => Self::RestoreExpired,
            "tagged" => Self::Tagged,
            "untagged" => Self::Untagged,
            "acl_changed" => Self::AclChanged,
            "transitioned" => Self::Transitioned,
            _ => Self::Other(text),
        }
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.as_str().to_owned()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
