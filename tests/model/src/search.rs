//! Visiting all states of a configuration, and what was found.

use std::fmt::Display;
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use crate::bounds::{Bounds, Rules, SMALL};
use crate::defects::Defect;
use crate::protocol::Protocol;

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// States generated, repetitions included.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// The steps to the state that is farthest; with one thread the fewest.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Properties that do not hold, each with a way to where it does not.
    pub failed: Vec<(&'static str, Vec<String>)>,
    /// What was reached, of what should be reached somewhere.
    pub reached: Vec<&'static str>,
}

/// Visits all states of the protocol within these bounds, or stops soon after the first failure.
pub fn search(bounds: Bounds, defect: Option<Defect>, threads: usize) -> Found {
    search_all(Protocol::new(Rules { bounds, defect }), threads)
}

/// The model in which a planted defect is seen, and its name.
pub fn planted(defect: Defect) -> Option<(&'static str, Protocol)> {
    let bounds = *SMALL.iter().find(|bounds| bounds.name == defect.shown_in())?;
    let defect = Some(defect);
    Some((bounds.name, Protocol::new(Rules { bounds, defect })))
}

/// The shortest way to a failure.
pub fn shortest<M>(model: M) -> Option<(&'static str, Vec<String>)>
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Display + PartialEq,
{
    let mut shortest: Option<(&'static str, Vec<String>)> = None;
    // A failure that the checker finds is among the first ones, but not always the first.
    while let Some(shorter) = search_within(model.clone(), 1, shortest.as_ref().map(|(_, way)| way.len()))
        .failed
        .into_iter()
        .next()
    {
        shortest = Some(shorter);
    }
    shortest
}

/// Visits all states of a model, or stops soon after the first failure.
pub fn search_all<M>(model: M, threads: usize) -> Found
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Display + PartialEq,
{
    search_within(model, threads, None)
}

/// The same in fewer steps than that.
#[allow(
    clippy::disallowed_methods,
    reason = "how long a search takes is part of its report, and of nothing else"
)]
fn search_within<M>(model: M, threads: usize, steps: Option<usize>) -> Found
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Display + PartialEq,
{
    let begin = Instant::now();
    let mut checker = model
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(steps) = steps {
        // It counts states, and leaves out the ones at that depth.
        checker = checker.target_max_depth(steps + 1);
    }
    let checker = checker.spawn_bfs().join();
    let mut found = Found {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: begin.elapsed(),
        failed: Vec::new(),
        reached: Vec::new(),
    };
    let discoveries = checker.discoveries();
    for Property {
        name, expectation, ..
    } in checker.model().properties()
    {
        let Some(path) = discoveries.get(name) else {
            continue;
        };
        match expectation {
            Expectation::Sometimes => found.reached.push(name),
            Expectation::Always | Expectation::Eventually => {
                let steps = path.clone().into_actions();
                found
                    .failed
                    .push((name, steps.iter().map(ToString::to_string).collect()));
            }
        }
    }
    found.failed.sort_by_key(|(_, trace)| trace.len());
    found
}
