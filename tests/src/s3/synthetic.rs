//! Buckets whose objects are computed as they are listed.

use std::sync::Arc;

use super::answers::{ObjectPage, PAGE};
use super::{Answer, Asked, Version};

/// Very many objects, by number.
#[derive(Clone)]
pub struct Synthetic {
    count: u64,
    object: Arc<dyn Fn(u64) -> (String, Version) + Send + Sync>,
}

impl Synthetic {
    /// `count` objects; `object` gives the key and the version of each. Keys must rise with the numbers.
    pub fn new(count: u64, object: impl Fn(u64) -> (String, Version) + Send + Sync + 'static) -> Self {
        Self {
            count,
            object: Arc::new(object),
        }
    }

    pub(super) fn list(&self, asked: &Asked) -> Answer {
        let token = asked
            .get("continuation-token")
            .and_then(|token| token.parse().ok());
        let start = token.unwrap_or_else(|| self.first_after(asked.get("start-after").unwrap_or_default()));
        let end = (start + PAGE as u64).min(self.count);
        let mut page = ObjectPage::new(asked);
        for n in start..end {
            let (key, version) = (self.object)(n);
            page.add(&key, &version);
        }
        let next = (end < self.count).then(|| end.to_string());
        page.answer(asked, next)
    }

    fn first_after(&self, key: &str) -> u64 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match (self.object)(middle).0.as_str() > key {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        low
    }
}
