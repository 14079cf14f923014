//! Keeping below a rate.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Lets calls through one after the other, at most so many a second.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most that many calls a second; 0 counts as 1.
    pub fn per_second(rate: u32) -> Self {
        Self {
            gap: Duration::from_secs(1) / rate.max(1),
            next: Mutex::new(None),
        }
    }

    /// Waits for this call's turn.
    pub async fn turn(&self) {
        self.turns(1).await;
    }

    /// Waits for the last of as many turns, for what is done by one call. None are waited for as one is.
    pub async fn turns(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let last = {
            let mut next = self.next.lock().await;
            let first = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
            let last = first + self.gap * (count - 1);
            *next = Some(last + self.gap);
            last
        };
        tokio::time::sleep_until(last).await;
    }
}
