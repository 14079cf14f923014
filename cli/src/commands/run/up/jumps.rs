//! Jumps of the machine's clock: it was set, or the machine was suspended.

use std::time::Duration;

use daybook_ledger::Clock;
use daybook_schema::Timestamp;
use tokio::time::Instant;

/// A clock that is corrected bit by bit, or read twice in a row, differs by less.
const NO_JUMP: Duration = Duration::from_secs(5);

/// Compares the clock with the time that passes while the machine is awake.
#[derive(Debug)]
pub struct Jumps<'a> {
    clock: &'a Clock,
    seen: (Timestamp, Instant),
}

/// How the clock went since it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// As time did.
    Steadily,
    /// It was set ahead, or the machine was suspended.
    Ahead,
    /// It was set back.
    Back,
}

impl<'a> Jumps<'a> {
    /// From now on.
    pub fn of(clock: &'a Clock) -> Self {
        let seen = (clock.now(), Instant::now());
        Self { clock, seen }
    }

    /// How it went since the last look.
    pub fn look(&mut self) -> Went {
        let (before, at) = self.seen;
        let expected = before.plus(at.elapsed());
        self.seen = (self.clock.now(), Instant::now());
        let now = self.seen.0;
        match (now.since(expected) > NO_JUMP, expected.since(now) > NO_JUMP) {
            (true, _) => Went::Ahead,
            (_, true) => Went::Back,
            (false, false) => Went::Steadily,
        }
    }
}

/// Returns when the clock has gone steadily for so long.
pub async fn steady(clock: &Clock, duration: Duration) {
    let mut jumps = Jumps::of(clock);
    loop {
        tokio::time::sleep(duration).await;
        if jumps.look() == Went::Steadily {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A clock that is ahead by so many seconds.
    fn clock() -> (Clock, Arc<AtomicI64>) {
        let (ahead, started) = (Arc::new(AtomicI64::new(0)), Instant::now());
        let by = ahead.clone();
        let clock = Clock::new(move || {
            let seconds = 2_000_000_000 + by.load(Ordering::Relaxed);
            Timestamp::from_unix_millis(seconds * 1000)
                .unwrap()
                .plus(started.elapsed())
        });
        (clock, ahead)
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_or_slept_is_noticed_once_and_one_that_is_late_is_not() {
        let (clock, ahead) = clock();
        let mut jumps = Jumps::of(&clock);
        for (seconds, went) in [
            (0, Went::Steadily),
            (4, Went::Steadily),
            (3604, Went::Ahead),
            (3604, Went::Steadily),
            (-86_400, Went::Back),
            (-86_400, Went::Steadily),
        ] {
            ahead.store(seconds, Ordering::Relaxed);
            // However late it looks.
            tokio::time::sleep(10 * MINUTE).await;
            assert_eq!(jumps.look(), went, "ahead by {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_right_soon_after_the_start_is_not_believed_before() {
        let (clock, ahead) = clock();
        ahead.store(30 * 86_400, Ordering::Relaxed);
        let started = Instant::now();
        let right_again = async {
            tokio::time::sleep(3 * MINUTE).await;
            ahead.store(0, Ordering::Relaxed);
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = right_again => {}
            () = steady(&clock, 10 * MINUTE) => {}
        }
        assert_eq!(started.elapsed(), 20 * MINUTE);
        assert_eq!(ahead.load(Ordering::Relaxed), 0);
    }
}
