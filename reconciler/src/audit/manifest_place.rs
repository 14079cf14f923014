//! Where an S3 Inventory's manifest is.

use std::fmt;
use std::path::PathBuf;

/// Where a manifest.json is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestPlace {
    /// In a bucket. Its files are in the same bucket, at their keys.
    S3 {
        /// The bucket.
        bucket: String,
        /// The manifest's key.
        key: String,
    },
    /// In a folder. Its files are beside it, in a folder `data` beside its own, or at their keys from a folder above it.
    File(PathBuf),
}

impl fmt::Display for ManifestPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{}", key.escape_debug()),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl ManifestPlace {
    /// A file of that name in the same folder.
    pub(super) fn beside(&self, name: &str) -> Self {
        match self {
            Self::S3 { bucket, key } => {
                let folder = key.rfind('/').map_or("", |at| &key[..=at]);
                Self::S3 {
                    bucket: bucket.clone(),
                    key: format!("{folder}{name}"),
                }
            }
            Self::File(path) => Self::File(path.with_file_name(name)),
        }
    }
}
