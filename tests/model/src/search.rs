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
    /// Properties that do not hold, each with the way to where it does not; with one thread the shortest.
    pub failed: Vec<(&'static str, Vec<String>)>,
    /// What was reached, of what should be reached somewhere.
    pub reached: Vec<&'static str>,
}

/// Visits all states of the protocol within these bounds, or stops at the first failure.
pub fn search(bounds: Bounds, defect: Option<Defect>, threads: usize) -> Found {
    search_all(Protocol::new(Rules { bounds, defect }), threads)
}

/// Where a planted defect is seen, with the shortest way to it.
pub fn find(defect: Defect) -> Option<(&'static str, Found)> {
    let bounds = SMALL.iter().find(|bounds| bounds.name == defect.shown_in())?;
    let found = search(*bounds, Some(defect), 1);
    (!found.failed.is_empty()).then_some((bounds.name, found))
}

/// Visits all states of a model, or stops at the first failure.
#[allow(
    clippy::disallowed_methods,
    reason = "how long a search takes is part of its report, and of nothing else"
)]
pub fn search_all<M>(model: M, threads: usize) -> Found
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Display + PartialEq,
{
    let begin = Instant::now();
    let checker = model.checker().threads(threads);
    let checker = checker
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
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
