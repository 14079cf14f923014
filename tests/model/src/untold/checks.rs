//! What can happen next with an Express state machine, and what must hold.

use std::fmt;

use stateright::{Model, Property};

use super::{Act, At, End, Express, Invoker, Line, MOST_UNTOLD, Row};
use crate::world::Status;

/// So many rounds of scheduler, sweep and one invoker are enough for the row to end: each attempt has a first start, those that are
/// counted, and the delivery that fails it.
const ROUNDS: usize = 16;

impl Express {
    /// Whether it ends when nothing more goes wrong but that every execution ends so.
    fn drains(&self, line: &Line, end: End) -> bool {
        let mut line = line.clone();
        for _ in 0..ROUNDS {
            if line.row.is_none_or(|row| row.status == Status::Parked) {
                return true;
            }
            line.sends = u8::MAX;
            while let Some(message) = line.messages.first().copied() {
                self.act(&mut line, Act::Receive(message));
                while let Some(invoker) = line.invokers.first().copied() {
                    if !self.act(&mut line, Act::Step(invoker)) {
                        self.end_all(&mut line, end);
                    }
                }
            }
            self.end_all(&mut line, end);
            while let Some((attempt, ok)) = line.reports.first().copied() {
                self.act(&mut line, Act::Settle(attempt, ok));
            }
            for act in [Act::Due, Act::Sweep, Act::Dispatch] {
                self.act(&mut line, act);
            }
        }
        false
    }

    fn end_all(&self, line: &mut Line, end: End) {
        while let Some(run) = line.runs.first().copied() {
            self.act(line, Act::Ends(run, end));
        }
    }

    fn act(&self, line: &mut Line, act: Act) -> bool {
        let next = self.after(line, act);
        let happens = next.is_some();
        if let Some(next) = next {
            *line = next;
        }
        happens
    }
}

/// Nothing is in mid-step, runs, or is to be told: every other line leads to such a one.
fn is_at_rest(line: &Line) -> bool {
    line.invokers.is_empty() && line.runs.is_empty() && line.reports.is_empty()
}

impl Model for Express {
    type State = Line;
    type Action = Act;

    fn init_states(&self) -> Vec<Line> {
        let row = Row {
            status: Status::Pending,
            due: true,
            attempt: 0,
            deliveries: 0,
            deaths: 0,
        };
        vec![Line {
            row: Some(row),
            messages: Vec::new(),
            invokers: Vec::new(),
            runs: Vec::new(),
            reports: Vec::new(),
            sends: self.sends,
            copies: self.copies,
            ended: 0,
            succeeded: false,
            honest: true,
            wasted: false,
        }]
    }

    fn actions(&self, line: &Line, acts: &mut Vec<Act>) {
        acts.extend([Act::Dispatch, Act::Sweep, Act::Due]);
        let mut messages = line.messages.clone();
        messages.dedup();
        for message in messages {
            acts.extend([Act::Receive(message), Act::Lose(message), Act::Double(message)]);
        }
        let mut invokers = line.invokers.clone();
        invokers.dedup();
        for invoker in invokers {
            acts.extend([Act::Step(invoker), Act::Unanswered(invoker), Act::Dies(invoker)]);
        }
        let mut runs = line.runs.clone();
        runs.dedup();
        for run in runs {
            acts.extend([End::Untold, End::Success, End::Failure].map(|end| Act::Ends(run, end)));
        }
        let mut reports = line.reports.clone();
        reports.dedup();
        acts.extend(reports.into_iter().map(|(attempt, ok)| Act::Settle(attempt, ok)));
    }

    fn next_state(&self, line: &Line, act: Act) -> Option<Line> {
        let goes_on = line.honest && !line.wasted;
        self.after(line, act).filter(|next| goes_on && next != line)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the event is never lost", |_, line: &Line| {
                line.row.is_some() || line.succeeded
            }),
            Property::always(
                "an attempt is failed untold only after so many of its executions ended",
                |_, line: &Line| line.honest,
            ),
            Property::always("a first delivery costs no write", |_, line: &Line| !line.wasted),
            Property::always(
                "it ends although every execution dies untold",
                |model: &Express, line: &Line| !is_at_rest(line) || model.drains(line, End::Untold),
            ),
            Property::always(
                "it ends when executions succeed",
                |model: &Express, line: &Line| !is_at_rest(line) || model.drains(line, End::Success),
            ),
            Property::sometimes("an event is completed", |_, line: &Line| line.row.is_none()),
            Property::sometimes("an attempt is failed untold", |_, line: &Line| {
                let deadly = line.row.is_some_and(|row| row.deaths >= MOST_UNTOLD);
                deadly && line.invokers.iter().any(|invoker| invoker.at == At::Fail)
            }),
            Property::sometimes(
                "three deliveries are lost and nothing is counted",
                |_, line: &Line| line.row.is_some_and(|row| row.deliveries > 3 && row.deaths == 0),
            ),
        ]
    }
}

impl fmt::Display for Invoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (attempt, delivery) = (self.message.attempt, self.message.delivery);
        let does = match self.at {
            At::Look => "reads the row",
            At::Start { .. } => "starts an execution",
            At::Count => "counts the start",
            At::Fail => "fails the attempt",
        };
        write!(
            f,
            "the invoker with attempt {attempt}, delivery {delivery}: {does}"
        )
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dispatch => write!(f, "the scheduler claims the row and sends its message"),
            Self::Sweep => write!(f, "the sweep sends once more"),
            Self::Due => write!(f, "due_at passes"),
            Self::Receive(message) => write!(f, "an invoker receives {message:?}"),
            Self::Lose(message) => write!(f, "the queue loses {message:?}"),
            Self::Double(message) => write!(f, "the queue has {message:?} twice"),
            Self::Step(invoker) => write!(f, "{invoker}"),
            Self::Unanswered(invoker) => write!(f, "{invoker} (the answer is lost)"),
            Self::Dies(invoker) => write!(f, "{invoker}: dies before it"),
            Self::Ends(run, end) => write!(f, "an execution of attempt {} ends: {end:?}", run.attempt),
            Self::Settle(attempt, ok) => write!(f, "complete settles attempt {attempt}, success: {ok}"),
        }
    }
}
