//! A store on a test disk, driven batch by batch on the test's thread, beside what it must hold.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::LocalError;
use crate::store::error::StoreError;
use crate::store::folder::{CACHE_BYTES, make_on, open_on};
use crate::store::ledger::{Job, Ledger, Waiting};
use crate::store::maps::{Change, Look, Map};
use crate::store::shrink::Shrinking;
use crate::store::tests::disk::TestDisk;
use crate::store::writer::Writer;

/// What a store holds.
pub(super) type Content = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// One request: rows put, and removed (`None`).
pub(super) type Request = Vec<(Map, Vec<u8>, Option<Vec<u8>>)>;

/// A store that runs.
pub(super) struct Life {
    pub(super) disk: TestDisk,
    ledger: Arc<Ledger>,
    writer: Writer,
    /// What it may hold after so many commits: the first is what it began with.
    pub(super) states: Vec<Content>,
    /// At which steps of the disk a commit was acknowledged: it, and all before it.
    pub(super) acknowledged: Vec<(usize, usize)>,
}

/// An empty ledger, as it is made.
pub(super) fn new_ledger() -> Vec<u8> {
    let disk = TestDisk::default();
    make_on(disk.clone()).expect("it is made");
    disk.bytes()
}

/// What is in it.
pub(super) fn content(look: &dyn Look) -> Result<Content, StoreError> {
    let mut content = Content::new();
    for map in Map::ALL {
        let all = (Bound::Unbounded, Bound::Unbounded);
        look.visit(map, all, false, &mut |key, value| {
            content.insert((map as u8, key.to_vec()), value.to_vec());
            ControlFlow::Continue(())
        })?;
    }
    Ok(content)
}

/// What a start on these bytes finds, or why it refuses them.
pub(super) fn found(bytes: Vec<u8>) -> Result<Content, LocalError> {
    let life = Life::start(TestDisk::with(bytes))?;
    Ok(life.states[0].clone())
}

/// A job, and where its answer comes.
pub(super) type Asked<T> = (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>);

/// Asks for that change.
pub(super) fn job<T: Send + 'static>(
    change: impl FnOnce(&mut dyn Change) -> Result<T, StoreError> + Send + 'static,
) -> Asked<T> {
    let (answer, answered) = oneshot::channel();
    (Box::new(Waiting::new(change, answer)), answered)
}

fn make(request: &Request, change: &mut dyn Change) -> Result<(), StoreError> {
    request.iter().try_for_each(|(map, key, value)| match value {
        Some(value) => change.put(*map, key, value),
        None => change.remove(*map, key),
    })
}

impl Life {
    pub(super) fn start(disk: TestDisk) -> Result<Self, LocalError> {
        let path = Path::new("/folder/ledger.redb");
        let opening = disk.clone();
        let open = move || open_on(path, opening.clone(), CACHE_BYTES);
        let ledger = Arc::new(Ledger::new(path, open()?));
        let states = vec![ledger.look(content).expect("what has opened can be read")];
        Ok(Self {
            disk,
            writer: Writer::new(Arc::clone(&ledger), open, Shrinking::from(128 << 10, 8)),
            ledger,
            states,
            acknowledged: vec![(0, 0)],
        })
    }

    /// Runs these requests as one batch; whether it was acknowledged.
    pub(super) fn commit(&mut self, batch: Vec<Request>) -> Result<(), StoreError> {
        let mut next = self.states.last().expect("there is a first").clone();
        for (map, key, value) in batch.iter().flatten() {
            let key = (*map as u8, key.clone());
            match value {
                Some(value) => next.insert(key, value.clone()),
                None => next.remove(&key),
            };
        }
        self.states.push(next);
        let jobs = batch
            .into_iter()
            .map(|request| job(move |change| make(&request, change)));
        let (jobs, answers): (Vec<_>, Vec<_>) = jobs.unzip();
        self.writer.run(jobs);
        for mut answer in answers {
            answer.try_recv().expect("all are answered")?;
        }
        let now = (self.disk.steps(), self.states.len() - 1);
        self.acknowledged.push(now);
        Ok(())
    }

    /// Takes back that it may hold what was refused: so it is where a disk was full.
    pub(super) fn forget_refused(&mut self) {
        self.states.pop();
    }

    /// Runs this as a batch of its own.
    pub(super) fn run<T: Send + 'static>(&mut self, jobs: Vec<Asked<T>>) -> Vec<Result<T, StoreError>> {
        let (jobs, answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        self.writer.run(jobs);
        let answer = |mut answer: oneshot::Receiver<_>| answer.try_recv().expect("all are answered");
        answers.into_iter().map(answer).collect()
    }

    pub(super) fn content(&self) -> Result<Content, StoreError> {
        self.ledger.look(content)
    }

    pub(super) fn flushes(&self) -> u64 {
        self.ledger.flushes()
    }

    /// Ends well.
    pub(super) fn close(self) -> TestDisk {
        self.writer.close();
        self.disk
    }

    /// How many commits must be there when the power goes off before this step.
    pub(super) fn must_hold(&self, step: usize) -> usize {
        let told = self.acknowledged.iter().filter(|(at, _)| *at <= step);
        told.map(|(_, commits)| *commits).max().expect("there is a first")
    }

    /// Whether this is what some number of commits have left, and how many, the last if several.
    pub(super) fn commits_of(&self, content: &Content) -> Option<usize> {
        self.states.iter().rposition(|state| state == content)
    }
}
