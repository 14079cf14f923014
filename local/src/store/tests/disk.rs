//! A disk that does what disks do: it loses what was not flushed, in any order, tears writes, fails, and lies.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// What the engine did to the disk.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Flush,
}

/// What the disk does at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails that write, change of length or flush, and nothing of it is done.
    Fail,
    /// There is no room: a write or a change of length fails. A flush does not.
    Full,
    /// It says that it has flushed, and has not.
    Lie,
}

/// A disk. Clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct TestDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What was there in the beginning.
    first: Vec<u8>,
    /// What is read.
    now: Vec<u8>,
    steps: Vec<Step>,
    faults: Vec<(usize, Fault)>,
    /// At which read from now it fails.
    reads_left: Option<u64>,
}

/// What is left of writes that were not flushed.
#[derive(Clone, Debug)]
pub(super) enum Loss {
    All,
    Nothing,
    /// Only this one is there.
    AllBut(usize),
    /// All are there but this one.
    Only(usize),
    /// All before this one are there, and of this one only its first half.
    Torn(usize),
    /// As chance decides: each is there, not there, or there in part, sector by sector.
    Chance(u64),
}

const SECTOR: usize = 512;

impl TestDisk {
    pub(super) fn with(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        {
            let mut state = disk.state();
            state.first = bytes.clone();
            state.now = bytes;
        }
        disk
    }

    /// At these steps, counted from the first of this disk, it does that.
    pub(super) fn faults(&self, faults: impl IntoIterator<Item = (usize, Fault)>) {
        self.state().faults.extend(faults);
    }

    pub(super) fn fail_read_after(&self, reads: u64) {
        self.state().reads_left = Some(reads);
    }

    /// Flips a bit of what is read from now on.
    pub(super) fn flip(&self, at: usize) {
        self.state().now[at] ^= 1 << (at % 8);
    }

    /// How many steps there were.
    pub(super) fn steps(&self) -> usize {
        self.state().steps.len()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state().now.clone()
    }

    /// What is found there after the power went off before this step; which flushes were lies is as the faults say.
    pub(super) fn after_power_cut(&self, step: usize, loss: &Loss) -> Vec<u8> {
        let state = self.state();
        let steps = &state.steps[..step];
        let lie = |at: usize| state.faults.contains(&(at, Fault::Lie));
        let flushed = (0..step)
            .rev()
            .find(|at| matches!(steps[*at], Step::Flush) && !lie(*at))
            .unwrap_or(0);
        let mut bytes = state.first.clone();
        steps[..flushed].iter().for_each(|step| apply(&mut bytes, step));
        let unflushed: Vec<&Step> = steps[flushed..]
            .iter()
            .filter(|step| !matches!(step, Step::Flush))
            .collect();
        lose(&mut bytes, &unflushed, loss);
        bytes
    }

    /// How many steps since the last flush that was none of its lies, before this step.
    pub(super) fn unflushed(&self, step: usize) -> usize {
        let state = self.state();
        let lie = |at: usize| state.faults.contains(&(at, Fault::Lie));
        let flushed = (0..step)
            .rev()
            .find(|at| matches!(state.steps[*at], Step::Flush) && !lie(*at))
            .unwrap_or(0);
        let steps = &state.steps[flushed..step];
        steps.iter().filter(|step| !matches!(step, Step::Flush)).count()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no code panics while it holds it")
    }

    fn take(&self, step: Step) -> io::Result<()> {
        let mut state = self.state();
        let at = state.steps.len();
        let fault = state
            .faults
            .iter()
            .find(|(step, _)| *step == at)
            .map(|(_, fault)| *fault);
        match fault {
            Some(Fault::Fail) => {
                // It counts, and does nothing.
                let length = state.now.len() as u64;
                state.steps.push(Step::SetLength(length));
                return Err(io::Error::other("Input/output error (os error 5)"));
            }
            Some(Fault::Full) if !matches!(step, Step::Flush) => {
                let length = state.now.len() as u64;
                state.steps.push(Step::SetLength(length));
                return Err(io::ErrorKind::StorageFull.into());
            }
            _ => {}
        }
        apply(&mut state.now, &step);
        state.steps.push(step);
        Ok(())
    }
}

fn apply(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write(offset, written) => {
            let start = usize::try_from(*offset).expect("small");
            let end = start + written.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(written);
        }
        Step::SetLength(length) => bytes.resize(usize::try_from(*length).expect("small"), 0),
        Step::Flush => {}
    }
}

fn lose(bytes: &mut Vec<u8>, unflushed: &[&Step], loss: &Loss) {
    let mut rng = fastrand::Rng::with_seed(match loss {
        Loss::Chance(seed) => *seed,
        _ => 0,
    });
    for (at, step) in unflushed.iter().enumerate() {
        match loss {
            Loss::All => {}
            Loss::Nothing => apply(bytes, step),
            Loss::AllBut(kept) if at == *kept => apply(bytes, step),
            Loss::AllBut(_) => {}
            Loss::Only(lost) if at == *lost => {}
            Loss::Only(_) => apply(bytes, step),
            Loss::Torn(torn) if at < *torn => apply(bytes, step),
            Loss::Torn(torn) if at == *torn => match step {
                Step::Write(offset, written) => {
                    apply(
                        bytes,
                        &Step::Write(*offset, written[..written.len() / 2].to_vec()),
                    );
                }
                other => apply(bytes, other),
            },
            Loss::Torn(_) => {}
            Loss::Chance(_) => match (rng.u8(..4), step) {
                (0, _) => {}
                (1, Step::Write(offset, written)) => {
                    for (n, sector) in written.chunks(SECTOR).enumerate() {
                        if rng.bool() {
                            apply(bytes, &Step::Write(offset + (n * SECTOR) as u64, sector.to_vec()));
                        }
                    }
                }
                _ => apply(bytes, step),
            },
        }
    }
}

impl StorageBackend for TestDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        if let Some(left) = &mut state.reads_left {
            if *left == 0 {
                return Err(io::Error::other("Input/output error (os error 5)"));
            }
            *left -= 1;
        }
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let there = state.now.get(start..start + out.len());
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.take(Step::SetLength(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.take(Step::Flush)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.take(Step::Write(offset, data.to_vec()))
    }
}
