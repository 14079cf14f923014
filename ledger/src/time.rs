//! Time and chance are handed in, so that a simulation can replay both.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daybook_schema::{BatchId, Timestamp};
use futures::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Tells the time. One reading is too old after an await: ask again.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "the one place that reads the machine's clock"
        )]
        Self::new(|| chrono::Utc::now().into())
    }

    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// So long after a deadline nothing is waited for any more.
const LATE: Duration = Duration::from_millis(500);

/// When to stop: the instant at which the runtime ends the process, less a margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Timestamp);

impl Deadline {
    /// The deadline that is `budget` from now.
    pub fn after(clock: &Clock, budget: Duration) -> Self {
        Self(clock.now().plus(budget))
    }

    /// What is left of it.
    pub fn left(self, clock: &Clock) -> Duration {
        self.0.since(clock.now())
    }

    /// Waits until a little after the deadline: half a second, so that what begins as it comes has a chance to end well. `None`
    /// when the future has not ended by then; it is dropped, and whether a request of its was done is not known.
    pub async fn bound<F: Future>(self, clock: &Clock, future: F) -> Option<F::Output> {
        tokio::time::timeout(self.left(clock) + LATE, future).await.ok()
    }

    /// Drives futures, `at_once` of them at a time, until a little after the deadline, as [`Deadline::bound`] does: one bound
    /// around all of them. The output of each, in their order; `None` for those that had not ended by then. One that was never
    /// begun has done nothing; of the `at_once` that were dropped nobody knows.
    pub async fn bound_all<F: Future>(
        self,
        clock: &Clock,
        at_once: usize,
        futures: Vec<F>,
    ) -> Vec<Option<F::Output>> {
        let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
        let numbered = futures.into_iter().enumerate();
        let numbered = numbered.map(|(position, future)| future.map(move |output| (position, output)));
        let mut ended = futures::stream::iter(numbered).buffer_unordered(at_once);
        let all = async {
            while let Some((position, output)) = ended.next().await {
                outputs[position] = Some(output);
            }
        };
        self.bound(clock, all).await;
        outputs
    }

    /// Whether it has passed.
    pub fn is_over(self, clock: &Clock) -> bool {
        self.left(clock).is_zero()
    }
}

/// The source of tokens and jitter. Clones draw from one sequence.
#[derive(Clone, Debug)]
pub struct Random {
    numbers: Arc<Mutex<fastrand::Rng>>,
    mark: Option<TokenMark>,
}

/// How all tokens of one holder begin, so that its own are told from others': 48 bits of a token's 122 that are random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenMark(u64);

impl TokenMark {
    const BITS: u32 = 48;

    /// One that nobody else has.
    pub fn draw(random: &Random) -> Self {
        Self(random.next_u64() >> (u64::BITS - Self::BITS))
    }

    /// Whether the token bears it.
    pub fn is_on(self, token: Uuid) -> bool {
        token.as_u64_pair().0 >> (u64::BITS - Self::BITS) == self.0
    }
}

impl Random {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "the one place that draws from the operating system"
        )]
        let (high, low) = Uuid::new_v4().as_u64_pair();
        // Six bits of a version 4 UUID are fixed; the mix leaves none of the seed's bits fixed.
        Self::from_seed(high ^ low.rotate_left(32))
    }

    /// The same seed, the same sequence.
    pub fn from_seed(seed: u64) -> Self {
        Self {
            numbers: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            mark: None,
        }
    }

    /// The same sequence, and that mark on every token.
    pub fn marking(self, mark: TokenMark) -> Self {
        Self {
            mark: Some(mark),
            ..self
        }
    }

    /// The next number.
    pub fn next_u64(&self) -> u64 {
        self.numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .u64(..)
    }

    /// The id of a batch that no claim has made: its rows do not bear it.
    pub fn batch(&self) -> BatchId {
        BatchId(self.token())
    }

    /// A token that nobody else has.
    pub(crate) fn token(&self) -> Uuid {
        let (mut high, low) = (self.next_u64(), self.next_u64());
        if let Some(TokenMark(mark)) = self.mark {
            high = high >> TokenMark::BITS | mark << (u64::BITS - TokenMark::BITS);
        }
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes()).into_uuid()
    }

    /// Half to all of `duration`, so that rows which failed together do not return together.
    pub(crate) fn jittered(&self, duration: Duration) -> Duration {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let half = millis / 2;
        Duration::from_millis(half + self.next_u64() % (millis - half + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_wait_is_half_to_all_of_what_was_asked_for_and_both_ends_happen() {
        let random = Random::from_seed(7);
        let waits = |millis| -> BTreeSet<u128> {
            let wait = || random.jittered(Duration::from_millis(millis)).as_millis();
            std::iter::repeat_with(wait).take(200).collect()
        };
        assert_eq!(waits(0), BTreeSet::from([0]));
        assert_eq!(waits(1), BTreeSet::from([0, 1]));
        assert_eq!(waits(6), BTreeSet::from([3, 4, 5, 6]));
    }

    #[test]
    fn a_mark_is_on_every_token_of_its_holder_and_on_no_other() {
        let other = Random::from_seed(7);
        let mark = TokenMark::draw(&other);
        let marking = other.clone().marking(mark);
        let (a, b) = (marking.token(), marking.token());
        assert!(mark.is_on(a) && mark.is_on(b) && a != b, "{a} {b}");
        assert_eq!(a.get_version_num(), 4);
        assert!(!mark.is_on(other.token()));
    }

    #[test]
    fn two_tokens_differ_in_both_halves() {
        let random = Random::from_seed(7);
        let (a, b) = (random.token().as_u64_pair(), random.token().as_u64_pair());
        assert!(a.0 != b.0 && a.1 != b.1, "{a:?} {b:?}");
    }
}
