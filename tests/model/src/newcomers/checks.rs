//! What can happen next with the budget, and what must hold.

use std::fmt;

use stateright::{Model, Property};

use super::{Act, At, Budget, Newcomers, Run};
use crate::budget::Control;

impl Newcomers {
    /// So many ticks, or sweeps, in a row may be granted nothing: the first one leaves word of it, and what clocks that are ahead had
    /// taken by then is gone.
    fn tolerated(&self) -> u8 {
        1 + self.ahead.min(1)
    }
}

impl Model for Newcomers {
    type State = Budget;
    type Action = Act;

    fn init_states(&self) -> Vec<Budget> {
        vec![Budget {
            clock: 0,
            control: Control::default(),
            backlog: 0,
            runs: Vec::new(),
            ticks: 0,
            swept: false,
            granted: vec![0; usize::from(self.windows)],
            fared: [None; 2],
            refused: [0; 2],
            unanswered: None,
            gave_up: false,
            opened: false,
        }]
    }

    fn actions(&self, budget: &Budget, acts: &mut Vec<Act>) {
        acts.extend((0..=self.ahead).map(Act::Newcomer));
        acts.extend([
            Act::Tick,
            Act::Sweep(0),
            Act::Sweep(self.per_window),
            Act::NextWindow,
        ]);
        let mut runs = budget.runs.clone();
        runs.dedup();
        acts.extend(runs.into_iter().map(Act::Step));
    }

    fn next_state(&self, budget: &Budget, act: Act) -> Option<Budget> {
        self.after(budget, act)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "never more than N per window",
                |model: &Newcomers, budget: &Budget| {
                    budget.granted.iter().all(|granted| *granted <= model.per_window)
                },
            ),
            Property::always(
                "newcomers starve no scheduler",
                |model: &Newcomers, budget: &Budget| budget.refused[0] <= model.tolerated(),
            ),
            Property::always(
                "newcomers starve no sweep",
                |model: &Newcomers, budget: &Budget| budget.refused[1] <= model.tolerated(),
            ),
            Property::always("no tick loses all its races", |_, budget: &Budget| {
                !budget.gave_up
            }),
            Property::always(
                "a note stays until a tick after it leaves nothing behind",
                |_, budget: &Budget| budget.control.backlog >= budget.unanswered,
            ),
            Property::always(
                "nothing is noted where a tick left nothing behind",
                |model: &Newcomers, budget: &Budget| {
                    model.ticks > 1
                        || budget.ticks == 0
                        || !budget.runs.is_empty()
                        || budget.backlog > 0
                        || budget.control.backlog.is_none()
                },
            ),
            Property::sometimes("a newcomer is sent at once", |_, budget: &Budget| budget.opened),
            Property::sometimes("a backlog is noted", |_, budget: &Budget| {
                budget.control.backlog.is_some()
            }),
            Property::sometimes("a tick loses two races", |_, budget: &Budget| {
                budget.runs.iter().any(|run| run.at == At::NoteBetween)
            }),
            Property::sometimes("a note is taken off", |_, budget: &Budget| {
                budget.runs.iter().any(|run| run.at == At::TakeOff)
            }),
        ]
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = match self.at {
            At::Read => "reads the control item",
            At::Swap => "writes its grant",
            At::NoteBetween => "has lost two races, and notes a backlog",
            At::Note => "notes a backlog",
            At::TakeOff => "takes the note off",
        };
        let (asker, window, wanted) = (self.asker, self.window, self.wanted);
        write!(f, "{asker:?} for {wanted} in window {window}: {does}")
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newcomer(0) => write!(f, "an event comes"),
            Self::Newcomer(ahead) => write!(f, "an event comes to an ingest whose clock is {ahead} ahead"),
            Self::Tick => write!(f, "a tick begins"),
            Self::Sweep(wanted) => write!(f, "a sweep begins with {wanted} stale rows"),
            Self::Step(run) => write!(f, "{run}"),
            Self::NextWindow => write!(f, "the next window begins"),
        }
    }
}
