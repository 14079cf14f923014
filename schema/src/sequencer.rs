//! The order of the events of one key.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{InvalidName, bounded};

/// Width that sequencers are padded to. AWS sends 16 or 18 hexadecimal digits today, MinIO 16.
const WIDTH: usize = 32;

/// S3's sequencer, in the form in which plain text comparison gives the order of events of one key: upper case and
/// right-padded with zeros to 32 characters.
///
/// S3 says: compare two sequencers of one key lexicographically after padding the shorter on the right with zeros
/// ("Event message structure", Amazon S3 User Guide). The fixed width lets DynamoDB compare them in a condition. Across keys
/// a comparison means nothing, nor does one across kinds of servers ([`Sequencer::is_comparable`]). Which senders' sequencers
/// are taken at all is decided where notifications are read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sequencer(String);

impl Sequencer {
    /// The padded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the order of the two texts is the order of their events: both come from one kind of server.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.comparable() == other.comparable()
    }

    /// The sequencers that are comparable with this one: from the first text on, and below the second.
    ///
    /// Every known server's sequencer is a clock value, and the leading digit tells whose: S3's has ten digits of seconds and
    /// begins with 0 until the year 2106, MinIO's and RustFS's has 16 digits of nanoseconds and begins with 1 to 3 until 2116,
    /// Ceph's has eight digits of seconds and begins with 4 or more since 2004. A bucket that moved from one to another keeps
    /// its keys, and text order would make the new server's events older than the old one's.
    pub fn comparable(&self) -> (&'static str, &'static str) {
        match self.0.as_bytes().first() {
            Some(b'0') => ("0", "1"),
            Some(b'1'..=b'3') => ("1", "4"),
            _ => ("4", "~"),
        }
    }
}

impl TryFrom<String> for Sequencer {
    type Error = InvalidName;

    /// # Errors
    /// When the text is empty, longer than 64 characters, or not ASCII letters and digits.
    fn try_from(text: String) -> Result<Self, InvalidName> {
        let limit = "1 to 64 ASCII letters and digits";
        bounded("a sequencer", limit, 64, &text)?;
        if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(InvalidName::new("a sequencer", limit, format!("contains {c:?}")));
        }
        let text = text.to_ascii_uppercase();
        // Beyond the width trailing zeros mean as little as the padding: they are taken off to keep the form unique.
        let significant = text.trim_end_matches('0');
        Ok(Self(format!("{significant:0<WIDTH$}")))
    }
}

impl std::str::FromStr for Sequencer {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::try_from(text.to_owned())
    }
}

impl From<Sequencer> for String {
    fn from(sequencer: Sequencer) -> Self {
        sequencer.0
    }
}

impl fmt::Display for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
