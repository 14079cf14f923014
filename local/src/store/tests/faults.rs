//! The disk fails or is full while a store runs.

use crate::store::error::StoreError;
use crate::store::tests::crashes::batch;
use crate::store::tests::disk::{Fault, Loss, TestDisk};
use crate::store::tests::life::{Life, found, new_ledger};

const COMMITS: usize = 12;

/// Runs, at most so many commits, until one is refused.
fn until_refused(life: &mut Life, seed: u64) -> Option<StoreError> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..COMMITS).find_map(|_| {
        let content = life.states.last().expect("there is a first").clone();
        life.commit(batch(&mut rng, &content)).err()
    })
}

/// How many steps an opening takes, and how many that and the commits.
fn steps(seed: u64) -> (usize, usize) {
    let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
    let opening = life.disk.steps();
    assert!(until_refused(&mut life, seed).is_none());
    (opening, life.disk.steps())
}

#[test]
fn after_a_write_or_a_flush_failed_everything_is_refused_and_the_file_stays_as_it_is() {
    let (opening, all) = steps(21);
    for at in opening..all {
        let disk = TestDisk::with(new_ledger());
        disk.faults([(at, Fault::Fail)]);
        let mut life = Life::start(disk).expect("it opens");
        let refused = until_refused(&mut life, 21);
        let Some(error) = refused.or_else(|| life.content().err()) else {
            panic!("step {at} failed, and nobody was told");
        };
        let said = error.to_string();
        for told in [
            "/folder/ledger.redb",
            "Input/output error (os error 5)",
            "restart",
        ] {
            assert!(said.contains(told), "{said}");
        }
        let steps = life.disk.steps();
        assert_eq!(
            life.commit(vec![Vec::new()]).expect_err("refused").to_string(),
            said
        );
        assert_eq!(life.content().expect_err("refused").to_string(), said);
        let last = life.states.len() - 1;
        let states = life.states.clone();
        let must = life.must_hold(steps);
        let disk = life.close();
        assert_eq!(disk.steps(), steps, "step {at}: it was written after");
        for loss in [Loss::All, Loss::Nothing, Loss::Chance(at as u64)] {
            let content = found(disk.after_power_cut(steps, &loss)).expect("it opens");
            assert!(
                (must..=last).any(|commits| states[commits] == content),
                "step {at}, {loss:?}"
            );
        }
    }
}

#[test]
fn a_disk_that_is_full_refuses_what_does_not_fit_and_goes_on() {
    let (opening, all) = steps(22);
    for at in opening..all {
        let disk = TestDisk::with(new_ledger());
        disk.faults([(at, Fault::Full)]);
        let mut life = Life::start(disk).expect("it opens");
        if let Some(error) = until_refused(&mut life, 22) {
            assert!(error.to_string().contains("no room"), "{error}");
            // It may have come as far as that it is found, or not.
            let content = life.content().expect("looks go on");
            let refused = life.states.len() - 1;
            assert!(
                [refused - 1, refused]
                    .into_iter()
                    .any(|commits| life.states[commits] == content)
            );
            life.states[refused].clone_from(&content);
        }
        // With room it goes on.
        let mut rng = fastrand::Rng::with_seed(at as u64);
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            let content = life.states.last().expect("there is a first").clone();
            match life.commit(batch(&mut rng, &content)) {
                Ok(()) => break,
                Err(error) => {
                    assert!(error.to_string().contains("no room"), "{error}");
                    assert!(tokio::time::Instant::now() < deadline);
                    life.forget_refused();
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        }
        assert_eq!(
            life.content().expect("it answers"),
            *life.states.last().expect("there is one")
        );
        let last = life.states.last().expect("there is one").clone();
        let steps = life.disk.steps();
        assert_eq!(
            found(life.disk.after_power_cut(steps, &Loss::All)).expect("it opens"),
            last
        );
    }
}

#[test]
fn after_a_read_failed_everything_is_refused() {
    let mut refused = 0;
    for reads in 0..40 {
        let mut life = Life::start(TestDisk::with(new_ledger())).expect("it opens");
        assert!(until_refused(&mut life, 23).is_none());
        let bytes = life.close().bytes();
        let mut life = Life::start(TestDisk::with(bytes)).expect("it opens");
        life.disk.fail_read_after(reads);
        let Some(error) = until_refused(&mut life, 24).or_else(|| life.content().err()) else {
            continue;
        };
        assert!(error.to_string().contains("could not be read"), "{error}");
        let steps = life.disk.steps();
        assert!(life.content().is_err());
        assert!(life.commit(vec![Vec::new()]).is_err());
        assert_eq!(life.close().steps(), steps);
        refused += 1;
    }
    assert!(refused > 1, "{refused} of 40 refused");
}
