//! The power goes off: whatever is left of what was not flushed, a start finds whole commits, and all that were acknowledged.
//!
//! ```console
//! $ DAYBOOK_SEEDS=10000 cargo test -p daybook-local --lib store::tests::crashes -- --nocapture
//! ```

use crate::error::LocalError;
use crate::store::maps::Map;
use crate::store::tests::disk::{Fault, Loss, TestDisk};
use crate::store::tests::life::{Content, Life, Request, found, new_ledger};

fn value(rng: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let byte = rng.u8(..);
    vec![byte; rng.usize(..most)]
}

/// A batch as a ledger's: rows and their entries come, change and go, a few or many at once.
pub(super) fn batch(rng: &mut fastrand::Rng, content: &Content) -> Vec<Request> {
    let requests = 1 + rng.usize(..4);
    let request = |rng: &mut fastrand::Rng| -> Request {
        if rng.u8(..12) == 0 {
            // Much goes at once, so that the file is made smaller.
            let map = |map: u8| Map::ALL[usize::from(map)];
            return content
                .keys()
                .filter(|_| rng.u8(..10) > 0)
                .map(|(at, key)| (map(*at), key.clone(), None))
                .collect();
        }
        let rows = 1 + rng.usize(..6);
        let row = |rng: &mut fastrand::Rng| {
            let map = Map::ALL[rng.usize(..3)];
            let key = vec![rng.u8(..); 1 + rng.usize(..3)];
            let most = if rng.u8(..8) == 0 { 9_000 } else { 900 };
            let value = (rng.u8(..3) > 0).then(|| value(rng, most));
            (map, key, value)
        };
        (0..rows).map(|_| row(rng)).collect()
    };
    (0..requests).map(|_| request(rng)).collect()
}

fn run(life: &mut Life, rng: &mut fastrand::Rng, commits: usize) {
    for _ in 0..commits {
        let content = life.states.last().expect("there is a first").clone();
        life.commit(batch(rng, &content)).expect("the disk is good");
    }
}

/// A start on that finds no less than was acknowledged, no more than was asked for, and whole commits.
#[track_caller]
fn finds_what_was_acknowledged(life: &Life, step: usize, loss: &Loss) -> Content {
    let bytes = life.disk.after_power_cut(step, loss);
    let content = found(bytes).unwrap_or_else(|error| panic!("step {step}, {loss:?}: {error}"));
    let commits = life.commits_of(&content);
    let commits = commits.unwrap_or_else(|| panic!("step {step}, {loss:?}: no whole commits"));
    let must = life.must_hold(step);
    assert!(
        commits >= must,
        "step {step}, {loss:?}: {commits} commits of {must}"
    );
    content
}

fn losses(unflushed: usize) -> impl Iterator<Item = Loss> {
    let each = (0..unflushed).flat_map(|n| [Loss::AllBut(n), Loss::Only(n), Loss::Torn(n)]);
    [Loss::All, Loss::Nothing].into_iter().chain(each)
}

#[test]
fn after_a_power_cut_at_any_step_a_start_finds_what_was_acknowledged() {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    run(&mut life, &mut rng, 9);
    let steps = life.disk.steps();
    let (mut starts, mut rolled_back) = (0, 0);
    for step in 0..=steps {
        for loss in losses(life.disk.unflushed(step)) {
            let content = finds_what_was_acknowledged(&life, step, &loss);
            starts += 1;
            rolled_back += usize::from(content != *life.states.last().expect("there is a first"));
        }
    }
    println!("{steps} steps, {starts} starts");
    assert!(
        starts > 1000 && rolled_back > 0,
        "{starts} starts, {rolled_back} rolled back"
    );
}

#[test]
fn after_a_power_cut_at_any_step_of_the_start_after_one_the_next_finds_it_all() {
    let mut rng = fastrand::Rng::with_seed(12);
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    run(&mut life, &mut rng, 5);
    let steps = life.disk.steps();
    for step in (0..=steps).rev().take(12) {
        for loss in [Loss::All, Loss::Nothing, Loss::Chance(step as u64)] {
            let content = finds_what_was_acknowledged(&life, step, &loss);
            let again =
                Life::start(TestDisk::with(life.disk.after_power_cut(step, &loss))).expect("it opens");
            for step in 0..=again.disk.steps() {
                for loss in losses(again.disk.unflushed(step)) {
                    assert_eq!(finds_what_was_acknowledged(&again, step, &loss), content);
                }
            }
        }
    }
}

#[test]
fn after_a_power_cut_at_any_step_of_a_good_end_a_start_finds_it_all() {
    let mut rng = fastrand::Rng::with_seed(13);
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    run(&mut life, &mut rng, 6);
    let before = life.disk.steps();
    let last = life.states.last().expect("there is a first").clone();
    let disk = life.close();
    assert!(disk.steps() > before);
    for step in before..=disk.steps() {
        for loss in losses(disk.unflushed(step)) {
            let content = found(disk.after_power_cut(step, &loss));
            assert_eq!(
                content.unwrap_or_else(|error| panic!("step {step}, {loss:?}: {error}")),
                last
            );
        }
    }
}

#[test]
fn after_a_power_cut_at_any_step_while_the_file_is_made_smaller_a_start_finds_it_all() {
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    let put = |n: u16| vec![(Map::Items, n.to_be_bytes().to_vec(), Some(vec![7; 900]))];
    life.commit((0..300).map(put).collect()).expect("it is made");
    let (before, large) = (life.disk.steps(), life.disk.bytes().len());
    let remove = |n: u16| vec![(Map::Items, n.to_be_bytes().to_vec(), None)];
    // The last are at the end of the file.
    life.commit((0..290).map(remove).collect()).expect("it is made");
    let small = life.disk.bytes().len();
    assert!(small < 96 << 10 && small * 4 < large, "{small} bytes of {large}");
    let steps = life.disk.steps();
    println!("{large} bytes, then {small}, in {} steps", steps - before);
    for step in before..=steps {
        let losses = losses(life.disk.unflushed(step));
        for loss in losses.chain((0..4).map(Loss::Chance)) {
            finds_what_was_acknowledged(&life, step, &loss);
        }
    }
}

fn seeds(usual: u64) -> u64 {
    let said = std::env::var("DAYBOOK_SEEDS").ok();
    said.map_or(usual, |text| text.parse().expect("a number"))
}

#[test]
fn through_many_power_cuts_nothing_acknowledged_is_lost() {
    let mut starts = 0;
    for seed in 0..seeds(200) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bytes = new_ledger();
        let mut content = Content::new();
        for _ in 0..3 {
            let mut life =
                Life::start(TestDisk::with(bytes)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(life.states[0], content, "seed {seed}");
            let commits = 4 + rng.usize(..20);
            run(&mut life, &mut rng, commits);
            for _ in 0..2 {
                let (step, loss) = (rng.usize(..=life.disk.steps()), Loss::Chance(rng.u64(..)));
                finds_what_was_acknowledged(&life, step, &loss);
                starts += 1;
            }
            let (step, loss) = (
                rng.usize(life.disk.steps() / 2..=life.disk.steps()),
                Loss::Chance(rng.u64(..)),
            );
            content = finds_what_was_acknowledged(&life, step, &loss);
            bytes = life.disk.after_power_cut(step, &loss);
            starts += 1;
        }
    }
    println!("{starts} starts after a power cut");
}

/// A disk that says it has flushed and has not may lose what was acknowledged, and nobody can know. What is there is whole commits, or it
/// is refused.
#[test]
fn a_disk_that_lies_leaves_whole_commits_or_a_file_that_is_refused() {
    let (mut whole, mut refused) = (0, 0);
    for seed in 0..seeds(100) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let disk = TestDisk::with(new_ledger());
        let lies = (0..600)
            .filter(|_| rng.u8(..3) > 0)
            .map(|step| (step, Fault::Lie));
        disk.faults(lies.collect::<Vec<_>>());
        let mut life = Life::start(disk).expect("it opens");
        let commits = 4 + rng.usize(..20);
        run(&mut life, &mut rng, commits);
        for _ in 0..8 {
            let (step, loss) = (rng.usize(..=life.disk.steps()), Loss::Chance(rng.u64(..)));
            match found(life.disk.after_power_cut(step, &loss)) {
                Ok(content) => {
                    assert!(
                        life.commits_of(&content).is_some(),
                        "seed {seed}, step {step}, {loss:?}"
                    );
                    whole += 1;
                }
                Err(LocalError::Damaged { .. } | LocalError::NotALedger { .. }) => refused += 1,
                Err(other) => panic!("seed {seed}, step {step}, {loss:?}: {other}"),
            }
        }
    }
    println!("{whole} whole, {refused} refused");
    assert!(whole > 0 && refused > 0, "{whole} whole, {refused} refused");
}
