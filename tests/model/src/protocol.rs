//! What can happen next, as stateright wants to know it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use stateright::{Model, Property};

use crate::bounds::{FAR_AHEAD, Rules, Verb};
use crate::budget::{Asker, Control, Request, decide};
use crate::checks;
use crate::defects::Defect;
use crate::rows;
use crate::steps::{How, end, step, success};
use crate::world::{
    Asked, Backlog, CancelAt, DispatchAt, Event, Execution, IngestAt, InvokeAt, Memory, Message, Process,
    Progress, Row, SettleAt, Status, StatusEvent, View, World, take_one,
};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// S3 has a new object, and says so.
    Upload(Event),
    /// S3, or the intake queue, says it again.
    NotifyAgain(Event),
    /// A process reads what it needs, and stands before its first request.
    Begin(Process),
    /// The same, for one whose clocks are far ahead.
    BeginFarAhead(Process),
    /// A process takes a step.
    Step(Process, How),
    /// A process is not heard of any more.
    Die(Process),
    /// A row's `due_at` passes.
    Due(Event),
    /// The schedule's next window begins.
    NextWindow,
    /// A sweep finds nothing stale: nothing is owed to it any more.
    NothingOwed,
    /// A tick finds nothing due: it takes the note of a backlog off.
    NothingDue,
    /// An execution ends, well or not, and its status event comes that often.
    End(Execution, bool, u8),
    /// A newer release writes a row, and this one is back.
    Newer(Event),
    /// The newer release is there again, and done with the row.
    Back(Event),
    /// The queue loses a message.
    Lose(Message),
    /// The queue delivers a message twice.
    Double(Message),
    /// A receipt expires.
    Expire(u8),
    /// A person does something.
    Person(Verb, Event),
}

/// The protocol within bounds, and its memory of states that are known to drain.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The rules.
    pub rules: Rules,
    pub(crate) drained: Arc<Mutex<HashSet<u64>>>,
}

impl Protocol {
    /// A model of those rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            drained: Arc::default(),
        }
    }

    /// Nothing has happened yet.
    pub fn start(&self) -> World {
        let uploads = self.rules.bounds.uploads;
        let objects = uploads.iter().map(|upload| usize::from(upload.object) + 1).max();
        let objects = objects.unwrap_or_default();
        World {
            rows: vec![None; uploads.len()],
            control: Control::default(),
            receipts: vec![None; objects],
            clock: 0,
            uploaded: 0,
            intake: vec![0; uploads.len()],
            received: vec![0; uploads.len()],
            queue: Vec::new(),
            statuses: Vec::new(),
            executions: Vec::new(),
            processes: Vec::new(),
            faults: self.rules.bounds.faults,
            operator: self.rules.bounds.operator.1,
            memory: vec![Memory::default(); uploads.len()],
            sent: vec![0; usize::from(self.rules.bounds.windows)],
            expired: vec![false; objects],
            asked: [Asked::default(); 2],
            broken: None,
        }
    }

    fn events(&self) -> impl Iterator<Item = Event> + use<> {
        0..u8::try_from(self.rules.bounds.uploads.len()).unwrap_or(u8::MAX)
    }

    /// A scheduler's run of that window for a row that the index shows; `fresh` when it is as shown.
    pub fn schedule(&self, world: &World, window: u8, event: Event, fresh: bool) -> Process {
        let others = |other: Event| other != event && world.row(other).is_some_and(is_due);
        let seen = match self.rules.bounds.immediate {
            None => Backlog::default(),
            Some(_) => Backlog {
                note: world.control.backlog,
                behind: self.events().any(others),
            },
        };
        Process::Schedule {
            window,
            event,
            view: View { fresh, mine: false },
            seen,
            at: DispatchAt::Grant(self.rules.seen(world.control)),
        }
    }

    /// A sweep's look at a row whose lease is over.
    pub fn sweep(&self, world: &World, event: Event) -> Option<Process> {
        let row = world.row(event)?;
        let stale = row.status == Status::Claimed && (row.due || self.rules.has(Defect::SweepWithoutLease));
        let stale = stale && self.is_taken_up(&row);
        stale.then_some(Process::Sweep {
            window: world.clock,
            event,
            view: View {
                fresh: true,
                mine: false,
            },
            attempt: row.attempt,
            at: DispatchAt::Plan,
        })
    }

    /// Whether scheduler and sweep take up a row that they find, as far as they can read its version.
    pub fn is_taken_up(&self, row: &Row) -> bool {
        rows::is_known(*row) || self.rules.has(Defect::NewerNotPassedOver)
    }

    /// The invoker with a message: only a repeated delivery is worth a read.
    pub fn invoke(&self, message: Message) -> Process {
        let at = match message.first {
            true => InvokeAt::Start,
            false => InvokeAt::Look,
        };
        Process::Invoke { message, at }
    }

    /// Complete with a status event.
    pub fn complete(&self, status: StatusEvent) -> Process {
        let at = if status.ok {
            success(&self.rules)
        } else {
            SettleAt::Read
        };
        Process::Complete { status, at }
    }

    /// What a sweep that finds nothing writes.
    fn nothing_owed(&self, world: &World) -> Option<Control> {
        let request = Request {
            window: world.clock,
            per_window: self.rules.bounds.per_window,
            wanted: 0,
            asker: Asker::Sweep,
            now: world.clock,
        };
        let (next, _) = decide(&world.control, &request, self.rules.flaw())?;
        (world.control.owed > 0).then_some(next)
    }

    fn begin(&self, world: &World, actions: &mut Vec<Action>) {
        let bounds = &self.rules.bounds;
        let mut running = [0; 5];
        for process in &world.processes {
            match process {
                Process::Ingest { .. } => running[0] += 1,
                Process::Schedule { .. } => running[1] += 1,
                Process::Sweep { .. } => running[2] += 1,
                Process::Invoke { .. } => running[3] += 1,
                Process::Complete { .. } => running[4] += 1,
                Process::Remove { .. } | Process::Cancel { .. } => {}
            }
        }
        let room =
            |role: usize| running[role] < bounds.overlap[role] && world.processes.len() < bounds.at_once;
        for event in self.events() {
            if room(0) && world.intake[usize::from(event)] > 0 {
                self.ingests(world, event, actions);
            }
            let Some(row) = world.row(event) else { continue };
            let pending = row.status == Status::Pending;
            if room(1) && !world.control.paused {
                // A version that cannot be read is taken for this release's own.
                if pending && row.due && (bounds.troubles || self.is_taken_up(&row)) {
                    actions.push(Action::Begin(self.schedule(world, world.clock, event, true)));
                    if bounds.far_ahead && world.faults > 0 {
                        let far = self.schedule(world, FAR_AHEAD, event, true);
                        actions.push(Action::BeginFarAhead(far));
                    }
                } else if bounds.stale_index {
                    // The index still shows it as it was.
                    actions.push(Action::Begin(self.schedule(world, world.clock, event, false)));
                }
            }
            if room(2) {
                actions.extend(self.sweep(world, event).map(Action::Begin));
            }
        }
        if room(3) {
            let mut messages = world.queue.clone();
            messages.dedup();
            messages
                .into_iter()
                .for_each(|message| self.steps(self.invoke(message), actions));
        }
        if room(4) {
            let mut statuses = world.statuses.clone();
            statuses.dedup();
            statuses
                .into_iter()
                .for_each(|status| self.steps(self.complete(status), actions));
        }
        // One request for all stale rows: it leaves nothing owed only when there are none.
        let stale = self.events().any(|event| self.sweep(world, event).is_some());
        if !stale && self.nothing_owed(world).is_some() {
            actions.push(Action::NothingOwed);
        }
        actions.push(Action::NothingDue);
    }

    /// What a process may do next. One that has nothing to read before its first request begins with it.
    fn steps(&self, process: Process, actions: &mut Vec<Action>) {
        actions.push(Action::Step(process, How::Answered));
        if matches!(
            process,
            Process::Sweep {
                at: DispatchAt::Plan,
                ..
            }
        ) {
            actions.push(Action::Step(process, How::Waits));
        }
        let is_stop = matches!(
            process,
            Process::Cancel {
                at: CancelAt::Stop,
                ..
            }
        );
        if self.rules.bounds.troubles {
            actions.push(Action::Step(process, How::AnswerLost));
        }
        // These credentials may not be allowed to stop executions.
        if self.rules.bounds.troubles || is_stop {
            actions.push(Action::Step(process, How::Refused));
        }
    }

    fn faults(&self, world: &World, actions: &mut Vec<Action>) {
        if world.faults == 0 {
            return;
        }
        for event in self.events().take(usize::from(world.uploaded)) {
            if world.intake[usize::from(event)] == 0 {
                actions.push(Action::NotifyAgain(event));
            }
        }
        if self.rules.bounds.releases {
            let known = |event: &Event| world.row(*event).is_some_and(rows::is_known);
            actions.extend(self.events().filter(known).map(Action::Newer));
        }
        let mut messages = world.queue.clone();
        messages.dedup();
        actions.extend(messages.into_iter().map(Action::Double));
        let stored = world
            .receipts
            .iter()
            .zip(0..)
            .filter(|(receipt, _)| receipt.is_some());
        actions.extend(stored.map(|(_, object)| Action::Expire(object)));
    }

    fn notify(&self, world: &mut World, event: Event) {
        world.intake[usize::from(event)] += 1;
        world.memory(event).ungranted += u8::from(self.rules.bounds.immediate.is_some());
    }

    /// What the world is after that.
    pub fn after(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Step(process, how) => return step(&self.rules, world, process, how),
            Action::Upload(event) => {
                next.uploaded += 1;
                self.notify(&mut next, event);
            }
            Action::NotifyAgain(event) => {
                next.faults -= 1;
                self.notify(&mut next, event);
            }
            Action::Begin(process) => {
                if let Process::Ingest {
                    event,
                    at: IngestAt::Grant,
                    ..
                } = process
                {
                    let event = usize::from(event);
                    next.received[event] = (next.received[event] + 1).min(next.intake[event]);
                }
                next.processes.push(process);
            }
            Action::BeginFarAhead(process) => {
                next.faults -= 1;
                next.processes.push(process);
            }
            Action::Die(process) => drop(take_one(&mut next.processes, &process)),
            Action::Due(event) => {
                next.rows[usize::from(event)].as_mut()?.due = true;
            }
            Action::NextWindow => next.clock += 1,
            Action::NothingOwed => {
                let control = self.nothing_owed(world)?;
                next.control = control;
                next.asked[1].refused = None;
            }
            Action::NothingDue => {
                let due = self.events().filter_map(|event| world.row(event)).any(is_due);
                (!due).then(|| next.control.backlog.take())??;
            }
            Action::End(execution, ok, events) => {
                next.faults -= u8::from(events > 1);
                end(&mut next, execution, ok, events);
            }
            Action::Newer(event) => {
                next.faults -= 1;
                next.rows[usize::from(event)].as_mut()?.newer = true;
            }
            Action::Back(event) => next.rows[usize::from(event)].as_mut()?.newer = false,
            Action::Lose(message) => drop(take_one(&mut next.queue, &message)),
            Action::Double(message) => {
                next.faults -= 1;
                next.queue.push(message);
            }
            Action::Expire(object) => {
                next.faults -= 1;
                next.receipts[usize::from(object)] = None;
                next.expired[usize::from(object)] = true;
            }
            Action::Person(verb, event) => self.person(&mut next, verb, event)?,
        }
        next.sort();
        Some(next)
    }
}

/// Whether a tick finds it.
fn is_due(row: Row) -> bool {
    row.status == Status::Pending && row.due
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let bounds = &self.rules.bounds;
        if world.broken.is_some() {
            return;
        }
        if usize::from(world.uploaded) < bounds.uploads.len() {
            actions.push(Action::Upload(world.uploaded));
        }
        self.begin(world, actions);
        let mut processes = world.processes.clone();
        processes.dedup();
        for process in processes {
            self.steps(process, actions);
            if bounds.troubles {
                actions.push(Action::Die(process));
            }
        }
        for event in self.events() {
            if world
                .row(event)
                .is_some_and(|row| !row.due && row.status != Status::Parked)
            {
                actions.push(Action::Due(event));
            }
        }
        if world.clock + 1 < bounds.windows {
            actions.push(Action::NextWindow);
        }
        for &execution in world
            .executions
            .iter()
            .filter(|one| one.progress == Progress::Running)
        {
            let outcomes: &[bool] = if bounds.failures { &[true, false] } else { &[true] };
            for &ok in outcomes {
                actions.push(Action::End(execution, ok, 1));
                if bounds.troubles {
                    actions.push(Action::End(execution, ok, 0));
                }
                if world.faults > 0 {
                    actions.push(Action::End(execution, ok, 2));
                }
            }
        }
        if bounds.troubles {
            let mut messages = world.queue.clone();
            messages.dedup();
            actions.extend(messages.into_iter().map(Action::Lose));
        }
        let newer = |event: &Event| world.row(*event).is_some_and(|row| !rows::is_known(row));
        actions.extend(self.events().filter(newer).map(Action::Back));
        self.faults(world, actions);
        self.persons(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.after(world, action).filter(|next| next != world)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world
            .memory
            .iter()
            .all(|memory| memory.lives <= self.rules.bounds.lives)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        checks::properties()
    }
}
