//! Where the emulators are known to differ from AWS, and which page says that AWS does otherwise.

/// A case in which an implementation differs.
pub struct Difference {
    pub implementation: &'static str,
    pub case: &'static str,
    /// What it does instead.
    pub what: &'static str,
    /// The AWS page that the case rests on.
    pub page: &'static str,
}

pub const DIFFERENCES: &[Difference] = &[];

/// The recorded difference, if this implementation has one in this case.
pub fn expected(implementation: &str, case: &str) -> Option<&'static Difference> {
    DIFFERENCES
        .iter()
        .find(|known| known.implementation == implementation && known.case == case)
}
