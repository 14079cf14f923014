//! Which keys are audited, as people write it.

use std::fmt;
use std::str::FromStr;

use daybook_schema::BucketName;
use serde::{Deserialize, Serialize};

/// A bucket and what its keys begin with: `s3://bucket` or `s3://bucket/prefix`. The prefix is taken as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Keys {
    /// The bucket.
    pub bucket: BucketName,
    /// What keys begin with; empty is all.
    pub prefix: String,
}

/// A text that names no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not s3://bucket or s3://bucket/prefix{why}")]
pub struct InvalidKeys {
    text: String,
    why: String,
}

impl FromStr for Keys {
    type Err = InvalidKeys;

    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        let invalid = |why: String| InvalidKeys {
            text: text.to_owned(),
            why,
        };
        let rest = text.strip_prefix("s3://").ok_or_else(|| invalid(String::new()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            bucket: bucket.parse().map_err(|error| invalid(format!(": {error}")))?,
            prefix: prefix.to_owned(),
        })
    }
}

impl TryFrom<String> for Keys {
    type Error = InvalidKeys;

    fn try_from(text: String) -> Result<Self, InvalidKeys> {
        text.parse()
    }
}

impl From<Keys> for String {
    fn from(keys: Keys) -> Self {
        keys.to_string()
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_a_bucket_and_a_prefix_as_it_stands() {
        for (text, bucket, prefix) in [
            ("s3://data", "data", ""),
            ("s3://data/", "data", ""),
            ("s3://data/a b/%20?x", "data", "a b/%20?x"),
        ] {
            let keys: Keys = text.parse().unwrap();
            assert_eq!((keys.bucket.as_str(), keys.prefix.as_str()), (bucket, prefix));
            assert_eq!(keys.to_string().parse::<Keys>().unwrap(), keys);
            let json = serde_json::to_value(&keys).unwrap();
            assert_eq!(json, format!("s3://{bucket}/{prefix}"));
            assert_eq!(serde_json::from_value::<Keys>(json).unwrap(), keys);
        }
        for no in ["data", "s3://", "s3:///a", "http://data", ""] {
            no.parse::<Keys>().unwrap_err();
        }
    }
}
