//! What can happen next with batches, and what must hold.

use stateright::{Model, Property};

use super::invoke::{done, failed};
use super::{Act, Batches, Claimed, Line, Process, Set, each, has, only};
use crate::world::Status;

/// So many rounds of everything are enough for all rows to end.
const ROUNDS: usize = 24;

impl Batches {
    fn all(&self) -> Set {
        (1 << self.events) - 1
    }

    fn with(&self, line: &Line, status: Status) -> Set {
        let of = |event: &u8| line.row(*event).is_some_and(|row| row.status == status);
        each(self.all()).filter(of).map(only).sum()
    }

    /// Whether everything ends when nothing more goes wrong and no status event ever comes; or, if executions run on and on, whether
    /// every row is named by one that runs.
    fn drains(&self, line: &Line, runs_on: bool) -> bool {
        line.working() > 0
            || [true, false]
                .into_iter()
                .all(|lost| self.drains_after(line, runs_on, lost))
    }

    fn drains_after(&self, line: &Line, runs_on: bool, lost: bool) -> bool {
        let mut line = line.clone();
        (line.faults, line.person) = (0, 0);
        line.statuses.clear();
        line.processes.clear();
        if lost {
            line.messages.clear();
        }
        for _ in 0..ROUNDS {
            line.sends = u8::MAX;
            let ended = |event: u8| {
                line.row(event).is_none_or(|row| {
                    let runs = line.execution(self.name(event, &row));
                    let is_run = runs.is_some_and(|one| one.end.is_none() && has(one.input.events, event));
                    row.status == Status::Parked || runs_on && row.status == Status::Claimed && is_run
                })
            };
            if each(self.all()).all(ended) {
                return true;
            }
            self.round(&mut line, runs_on);
        }
        false
    }

    fn round(&self, line: &mut Line, runs_on: bool) {
        while let Some(message) = line.messages.first().copied() {
            self.act(line, Act::Receive(message));
            while let Some(process) = line.processes.first().copied() {
                self.act(line, Act::Step(process));
            }
        }
        for one in line.executions.clone() {
            if one.end.is_none() && !runs_on {
                let end = self.ends(one.input.events)[0];
                self.act(line, Act::Ends(one, end));
            }
        }
        let mut stale = self.with(line, Status::Claimed);
        for event in each(stale) {
            if let Some(seen) = self.after(line, Act::SeenRunning(event)) {
                *line = seen;
                stale &= !only(event);
            }
        }
        // Those of one name together.
        for rows in (1..=self.all()).rev() {
            if rows & !stale == 0
                && let Some(sent) = self.after(line, Act::Redeliver(rows))
            {
                *line = sent;
                stale &= !rows;
            }
        }
        // All in one batch, as far as they go.
        line.calls = line.calls.min(self.calls.saturating_sub(1));
        let rows = self.with(line, Status::Pending);
        if rows != 0 {
            let most = Self {
                calls: u8::MAX,
                ..*self
            };
            line.calls = line
                .executions
                .iter()
                .map(|one| one.name.batch())
                .max()
                .unwrap_or_default()
                .max(line.calls);
            let bears = line
                .rows
                .iter()
                .flatten()
                .map(|row| row.batch)
                .max()
                .unwrap_or_default();
            line.calls = line.calls.max(bears);
            most.act(line, Act::Claim(rows, None, true));
        }
        while let Some(
            process @ Process::Schedule {
                batch, rows, alone, ..
            },
        ) = line.processes.first().copied()
        {
            let (name, _) = self.groups(batch, rows, alone)[0];
            self.act(line, Act::Send(process, name));
        }
    }

    fn act(&self, line: &mut Line, act: Act) {
        if let Some(next) = self.after(line, act) {
            *line = next;
        }
    }

    /// Every attempt that is behind a row failed, or a person called it that.
    fn is_honest(&self, line: &Line, event: u8) -> bool {
        let Some(row) = line.row(event) else { return true };
        let place = usize::from(event);
        let behind = row.attempt - u8::from(row.status == Status::Claimed);
        let had = |attempt: u8| {
            line.executions.iter().any(|one| {
                let of = (one.input.attempts[place], one.input.lives[place]);
                failed(*one, event) && of == (attempt, line.lives[place])
            })
        };
        let invalid = row.status == Status::Parked && self.invalid == Some(event);
        has(line.judged, event) || invalid || (1..=behind).all(had)
    }
}

impl Model for Batches {
    type State = Line;
    type Action = Act;

    fn init_states(&self) -> Vec<Line> {
        let row = |event: usize| (event < usize::from(self.events)).then(|| self.new_row());
        vec![Line {
            rows: [row(0), row(1), row(2)],
            messages: Vec::new(),
            executions: Vec::new(),
            statuses: Vec::new(),
            processes: Vec::new(),
            calls: 0,
            sends: self.sends,
            faults: self.faults,
            person: self.person,
            lives: [1; 3],
            judged: 0,
            broken: None,
        }]
    }

    fn actions(&self, line: &Line, acts: &mut Vec<Act>) {
        let pending = self.with(line, Status::Pending);
        for rows in (1..=self.all()).filter(|rows| rows & !pending == 0) {
            acts.push(Act::Claim(rows, None, true));
            for event in each(if self.troubles { rows } else { 0 }) {
                acts.push(Act::Claim(rows, Some((event, Claimed::Unknown)), true));
                acts.push(Act::Claim(rows, Some((event, Claimed::Late)), true));
            }
            if self.mixed && rows.count_ones() == 1 {
                acts.push(Act::Claim(rows, None, false));
            }
        }
        let stale = self.with(line, Status::Claimed);
        acts.extend(
            (1..=self.all())
                .filter(|rows| rows & !stale == 0)
                .map(Act::Redeliver),
        );
        for event in each(self.all()) {
            acts.extend([Act::SeenRunning(event), Act::Again(event)]);
            acts.extend([
                Act::Release(event),
                Act::Fail(event),
                Act::Remove(event),
                Act::Redrive(event),
            ]);
        }
        let mut messages = line.messages.clone();
        messages.dedup();
        for message in messages {
            acts.extend([Act::Receive(message), Act::Double(message)]);
        }
        acts.extend(line.statuses.iter().copied().map(Act::Told));
        let mut processes = line.processes.clone();
        processes.dedup();
        for process in processes {
            match process {
                Process::Schedule {
                    batch, rows, alone, ..
                } => {
                    let refused = if self.troubles { rows.events } else { 0 };
                    acts.extend(each(refused).map(|event| Act::Surplus(process, event)));
                    let groups = self.groups(batch, rows, alone);
                    acts.extend(groups.into_iter().map(|(name, _)| Act::Send(process, name)));
                }
                Process::Late { .. } => acts.push(Act::Arrives(process)),
                Process::Invoke(..) | Process::Complete(..) => {
                    acts.extend([Act::Step(process), Act::Dies(process)]);
                    if self.troubles || self.lists {
                        acts.push(Act::Blind(process));
                    }
                }
            }
        }
        for one in line.executions.iter().filter(|one| one.end.is_none()) {
            acts.extend(
                self.ends(one.input.events)
                    .into_iter()
                    .map(|end| Act::Ends(*one, end)),
            );
        }
    }

    fn next_state(&self, line: &Line, act: Act) -> Option<Line> {
        let goes_on = line.broken.is_none();
        self.after(line, act).filter(|next| goes_on && next != line)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no event is lost", |model: &Batches, line: &Line| {
                each(model.all()).all(|event| {
                    line.row(event).is_some()
                        || has(line.judged, event)
                        || line.executions.iter().any(|one| done(*one, event))
                })
            }),
            Property::always("every step is one that may be", |_, line: &Line| {
                line.broken.is_none()
            }),
            Property::always("attempts are honest", |model: &Batches, line: &Line| {
                each(model.all()).all(|event| model.is_honest(line, event))
            }),
            Property::always(
                "everything drains when faults stop",
                |model: &Batches, line: &Line| model.drains(line, false),
            ),
            Property::always(
                "no row waits for an execution that does not name it",
                |model: &Batches, line: &Line| model.drains(line, true),
            ),
            Property::sometimes("an event is completed", |_, line: &Line| {
                line.rows[0].is_none() && line.judged == 0
            }),
            Property::sometimes("a row is parked", |_, line: &Line| {
                line.rows.iter().flatten().any(|row| row.status == Status::Parked)
            }),
            Property::sometimes("an execution names two events", |_, line: &Line| {
                line.executions
                    .iter()
                    .any(|one| one.input.events.count_ones() > 1)
            }),
            Property::sometimes("a row is alone", |_, line: &Line| {
                line.rows.iter().flatten().any(|row| row.alone)
            }),
            Property::sometimes(
                "a name is taken by an input that names nobody",
                |_, line: &Line| line.executions.iter().any(|one| one.input.events == 0),
            ),
        ]
    }
}
