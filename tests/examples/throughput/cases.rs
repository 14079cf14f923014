//! One case: a process, what it is fed with, and what it does.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::load;
use crate::process::{Spent, Up};

/// Workers: enough that none of the two ends waits for the other.
const WORKERS: &str = "32";

/// What comes in.
pub struct Feed {
    /// The number of the first event; those of one number are one event.
    pub first: u32,
    pub events: u32,
    pub per_post: u32,
    pub connections: u32,
    /// So many POSTs a second, each of one event; else as fast as they are answered.
    pub per_second: Option<u32>,
}

/// What is done with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Nothing: `daybook up` without a target only collects.
    None,
    /// A call of an HTTP server that answers at once.
    Post,
    /// A process of `true`.
    Exec,
}

pub struct Case {
    pub name: &'static str,
    pub feed: Feed,
    pub work: Work,
    pub in_memory: bool,
}

/// What one run of a case took.
pub struct Measured {
    /// Until the last event was acknowledged.
    pub taken: Duration,
    /// Until the last row was gone.
    pub done: Option<Duration>,
    /// The answer to a POST, or, where these are paced, from a POST to the target's call: half are quicker.
    pub median: Duration,
    /// And 1 in 100 is slower.
    pub slow: Duration,
    /// Bytes that it wrote to the file system.
    pub written: u64,
    /// What else it spent.
    pub spent: Spent,
}

impl Case {
    pub fn run(&self, binary: &str, folder: &Path) -> Measured {
        let calls = load::Calls::default();
        let target: Vec<String> = match self.work {
            Work::None => Vec::new(),
            Work::Post => vec!["--post".to_owned(), load::serve_nothing(calls.clone())],
            Work::Exec => vec!["--exec".to_owned(), "true".to_owned()],
        };
        let mut up = Up::start(binary, folder, WORKERS, &target);
        let began = Instant::now();
        let (mut times, begun) = match self.feed.per_second {
            None => (load::post(up.address(), &self.feed), Vec::new()),
            Some(per_second) => (Vec::new(), load::post_paced(up.address(), &self.feed, per_second)),
        };
        let taken = began.elapsed();
        let done = (self.work != Work::None).then(|| {
            up.wait_until_nothing_is_open();
            began.elapsed()
        });
        if done.is_some() {
            assert_eq!(up.receipts(), self.feed.events, "a receipt for each event");
        }
        let written = up.written();
        let spent = up.stop();
        let calls = calls.lock().unwrap();
        let waits = begun
            .iter()
            .zip(0..)
            .map(|(begun, number)| calls[&number] - *begun);
        times.extend(waits);
        times.sort();
        Measured {
            taken,
            done,
            median: times[times.len() / 2],
            slow: times[times.len() * 99 / 100],
            written,
            spent,
        }
    }
}
