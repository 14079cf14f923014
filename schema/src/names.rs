//! Names that strangers choose: bucket, key, source. Checked once, where they enter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name that cannot be what it claims to be. The message names the field, the limit and the length found, never
/// the value: object keys can be personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {limit}, and this one {found}")]
pub struct InvalidName {
    what: &'static str,
    limit: &'static str,
    found: String,
}

impl InvalidName {
    pub(crate) fn new(what: &'static str, limit: &'static str, found: String) -> Self {
        Self { what, limit, found }
    }
}

/// Refuses an empty text and one of more than `max_bytes` bytes.
pub(crate) fn bounded(
    what: &'static str,
    limit: &'static str,
    max_bytes: usize,
    text: &str,
) -> Result<(), InvalidName> {
    match text.len() {
        0 => Err(InvalidName {
            what,
            limit,
            found: "is empty".into(),
        }),
        n if n > max_bytes => Err(InvalidName {
            what,
            limit,
            found: format!("has {n} bytes"),
        }),
        _ => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                let check: fn(&str) -> Result<(), InvalidName> = $check;
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A bucket's name, 1 to 255 bytes without control characters or `/`. AWS allows 3 to 63 bytes today and 255 in
    /// old us-east-1 buckets ("Bucket naming rules", Amazon S3 User Guide); other servers differ, so the check is lax.
    BucketName,
    |text| {
        let limit = "1 to 255 bytes without control characters or /";
        bounded("a bucket name", limit, 255, text)?;
        match text.chars().find(|c| c.is_control() || *c == '/') {
            Some(c) => Err(InvalidName { what: "a bucket name", limit, found: format!("contains {c:?}") }),
            None => Ok(()),
        }
    }
);

name!(
    /// An object's key as it is in the bucket (decoded), 1 to 1,024 bytes of UTF-8, any characters ("Naming Amazon S3
    /// objects", Amazon S3 User Guide).
    ObjectKey,
    |text| bounded("an object key", "1 to 1,024 bytes", 1024, text)
);

name!(
    /// Where events come from, a configured name: two servers may both have a bucket `data`. 1 to 64 bytes of ASCII
    /// letters, digits, `.`, `_` and `-`; `aws` unless configured.
    SourceName,
    |text| {
        let limit = "1 to 64 letters, digits, dots, underscores or hyphens";
        bounded("a source name", limit, 64, text)?;
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-".contains(*c))) {
            Some(c) => Err(InvalidName { what: "a source name", limit, found: format!("contains {c:?}") }),
            None => Ok(()),
        }
    }
);

impl Default for SourceName {
    fn default() -> Self {
        Self("aws".to_owned())
    }
}
