//! Counts as a person reads them.

use indicatif::HumanCount;

/// `10,000`.
pub fn grouped(n: usize) -> String {
    HumanCount(n as u64).to_string()
}
