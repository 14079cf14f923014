//! What each page was when it was last written or read.
//!
//! The engine checks its pages' checksums when a file is opened, and not when it reads a page again. So their sums are kept in memory, four
//! bytes a page: a page that is not what it was, since the disk changed it or never wrote it, is found when it is read again.

use std::sync::{Mutex, MutexGuard};

/// The engine's pages begin at multiples of that, in bytes. Before the first is the file's header, which it reads once.
const PAGE_BYTES: usize = 4096;

/// The sums by page number; 0 is not known.
#[derive(Default)]
pub(super) struct Sums(Mutex<Vec<u32>>);

impl Sums {
    /// This is there now.
    pub(super) fn keep(&self, offset: u64, bytes: &[u8]) {
        let Some(page) = page(offset, bytes) else { return };
        let mut sums = self.sums();
        if sums.len() <= page {
            sums.resize(page + 1, 0);
        }
        sums[page] = sum(bytes);
    }

    /// Whether this is what was there last. Where that is not known it is, from now on.
    pub(super) fn is_the_same(&self, offset: u64, bytes: &[u8]) -> bool {
        let Some(page) = page(offset, bytes) else {
            return true;
        };
        let known = self.sums().get(page).copied().filter(|known| *known != 0);
        match known {
            Some(known) => known == sum(bytes),
            None => {
                self.keep(offset, bytes);
                true
            }
        }
    }

    /// The file ends there now.
    pub(super) fn cut(&self, length: u64) {
        let pages = usize::try_from(length / PAGE_BYTES as u64).unwrap_or(usize::MAX);
        self.sums().truncate(pages);
    }

    fn sums(&self) -> MutexGuard<'_, Vec<u32>> {
        self.0.lock().expect("no code panics while it holds them")
    }
}

fn page(offset: u64, bytes: &[u8]) -> Option<usize> {
    let page = usize::try_from(offset / PAGE_BYTES as u64).ok()?;
    let whole = offset.is_multiple_of(PAGE_BYTES as u64) && bytes.len().is_multiple_of(PAGE_BYTES);
    (whole && page > 0).then_some(page)
}

fn sum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes).max(1)
}
