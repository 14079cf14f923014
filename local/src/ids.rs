//! Everything random: message ids, receipt handles, request ids. Same seed, same ids.

use std::sync::Mutex;

use uuid::Uuid;

pub(crate) struct Ids {
    generator: Mutex<fastrand::Rng>,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            generator: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// A version 4 UUID drawn from the seeded generator.
    pub(crate) fn uuid(&self) -> Uuid {
        let mut generator = self
            .generator
            .lock()
            .expect("no code panics while it holds the generator");
        uuid::Builder::from_random_bytes(generator.u128(..).to_be_bytes()).into_uuid()
    }

    /// 64 random bits.
    pub(crate) fn word(&self) -> u64 {
        self.generator
            .lock()
            .expect("no code panics while it holds the generator")
            .u64(..)
    }
}
