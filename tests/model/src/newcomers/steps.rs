//! What each act does; `None` where it cannot happen.

use super::{Act, At, Budget, INGEST_TRIES, LOST_BEFORE_NOTE, NewcomerDefect, Newcomers, Run};
use crate::budget::{Asker, Control, Request, decide};
use crate::world::take_one;

impl Newcomers {
    /// More than that is as much as that.
    fn most(&self) -> u8 {
        self.per_window + 1
    }

    /// So many lost races, and a tick gives up: two before its note, one to an ingest that had read before it, one to the sweep, and
    /// as many as there may be other ticks meanwhile. 16 in the ledger.
    fn tick_tries(&self) -> u8 {
        let others = u8::try_from(self.ticks).unwrap_or(u8::MAX).saturating_sub(1) * self.windows;
        LOST_BEFORE_NOTE + 2 + u8::from(self.sweeps) + others
    }

    /// What there is after that.
    pub(super) fn after(&self, budget: &Budget, act: Act) -> Option<Budget> {
        let mut next = budget.clone();
        match act {
            Act::Newcomer(ahead) => {
                (next.running(Asker::Ingest) < self.ingests && ahead <= self.ahead).then_some(())?;
                next.begin(Asker::Ingest, next.clock + ahead, 1);
            }
            Act::Tick => {
                let begun = next.ticks as usize + next.running(Asker::Scheduler);
                (next.clock.is_multiple_of(self.every) && begun < self.ticks).then_some(())?;
                next.begin(Asker::Scheduler, next.clock, next.backlog);
            }
            Act::Sweep(wanted) => {
                let may = self.sweeps && !next.swept && next.running(Asker::Sweep) == 0;
                may.then_some(())?;
                next.begin(Asker::Sweep, next.clock, wanted);
            }
            Act::Step(run) => {
                take_one(&mut next.runs, &run).then_some(())?;
                self.go_on(&mut next, run);
            }
            Act::NextWindow => {
                let came = next.ticks > 0 || !next.clock.is_multiple_of(self.every);
                let swept = next.swept || !self.sweeps;
                (came && swept && next.clock + 1 < self.windows).then_some(())?;
                next.clock += 1;
                for (refused, fared) in next.refused.iter_mut().zip(&mut next.fared) {
                    *refused = match fared.take() {
                        Some(true) => 0,
                        Some(false) => *refused + 1,
                        None => *refused,
                    };
                }
                (next.ticks, next.swept) = (0, false);
            }
        }
        while let Some(run) = next.runs.pop_if(|_| !self.apart) {
            self.go_on(&mut next, run);
        }
        next.runs.sort_unstable();
        Some(next)
    }

    fn go_on(&self, budget: &mut Budget, run: Run) {
        match self.step(budget, run) {
            (run, true) => budget.runs.push(run),
            (run, false) => budget.ended(&run),
        }
    }

    /// The next step of a run, which is out of the list meanwhile, and whether there is another one.
    fn step(&self, budget: &mut Budget, run: Run) -> (Run, bool) {
        // When it is written, and not which window it is for: a late tick would make a newer note an older one.
        let time = match self.has(NewcomerDefect::NoteOfItsWindow) {
            true => run.window,
            false => budget.clock,
        };
        match run.at {
            At::Read => self.read(budget, run),
            At::Swap => self.swap(budget, run),
            At::NoteBetween | At::Note => {
                budget.control.backlog = Some(time);
                budget.unanswered = Some(budget.clock);
                for other in &mut budget.runs {
                    (other.unchanged, other.answers) = (false, false);
                }
                let goes_on = run.at == At::NoteBetween;
                let run = Run {
                    at: At::Read,
                    note: Some(time),
                    unchanged: true,
                    answers: true,
                    noted: true,
                    ..run
                };
                (run, goes_on)
            }
            At::TakeOff => {
                if run.unchanged || self.has(NewcomerDefect::NoteTakenOffUnseen) {
                    budget.control.backlog = None;
                    budget.runs.iter_mut().for_each(|other| other.unchanged = false);
                }
                (run, false)
            }
        }
    }

    fn decided(&self, budget: &Budget, run: &Run) -> Option<(Control, u8)> {
        let request = Request {
            window: run.window,
            per_window: self.per_window,
            wanted: run.wanted,
            asker: run.asker,
            now: run.window.max(budget.clock),
        };
        // What it read of the note counts, and not what the note is by now; the rest is as it was read.
        let control = Control {
            backlog: run.note,
            ..budget.control
        };
        let (next, granted) = decide(&control, &request, self.flaw())?;
        let backlog = budget.control.backlog;
        Some((Control { backlog, ..next }, granted))
    }

    fn read(&self, budget: &mut Budget, run: Run) -> (Run, bool) {
        // A tick keeps the note that it found before it looked for due rows.
        let kept = match run.asker {
            Asker::Scheduler => !self.has(NewcomerDefect::NoteReadAfterRows),
            _ => self.has(NewcomerDefect::NoteReadOnce) && run.lost > 0,
        };
        let run = Run {
            fresh: true,
            note: if kept { run.note } else { budget.control.backlog },
            unchanged: run.unchanged || !kept,
            ..run
        };
        let asks = run.asker == Asker::Sweep || run.wanted > 0;
        match self.decided(budget, &run).filter(|_| asks) {
            None => self.granted(budget, run, 0),
            Some(_) => (Run { at: At::Swap, ..run }, true),
        }
    }

    fn swap(&self, budget: &mut Budget, run: Run) -> (Run, bool) {
        let decided = self.decided(budget, &run).filter(|_| run.fresh);
        let Some((control, granted)) = decided else {
            return self.lost(budget, run);
        };
        budget.control = control;
        budget.forget();
        for other in &mut budget.runs {
            other.fresh = false;
        }
        let window = usize::from(run.window);
        if budget.granted.len() <= window {
            budget.granted.resize(window + 1, 0);
        }
        budget.granted[window] += granted;
        if granted > 0 && run.asker != Asker::Ingest {
            budget.fared[usize::from(run.asker == Asker::Sweep)] = Some(true);
        }
        self.granted(budget, run, granted)
    }

    /// Somebody was faster.
    fn lost(&self, budget: &mut Budget, run: Run) -> (Run, bool) {
        let run = Run {
            lost: run.lost + 1,
            at: At::Read,
            ..run
        };
        match run.asker {
            Asker::Ingest if run.lost >= INGEST_TRIES => self.granted(budget, run, 0),
            Asker::Scheduler if run.lost >= self.tick_tries() => {
                // Where another tick has found nothing due since, and taken its note off, it was for nothing anyway.
                budget.gave_up = run.unchanged;
                (run, false)
            }
            Asker::Scheduler if run.lost >= LOST_BEFORE_NOTE && !run.noted => {
                let late = self.has(NewcomerDefect::NoteAfterGrant) || self.has(NewcomerDefect::NoNote);
                let at = if late { At::Read } else { At::NoteBetween };
                (Run { at, ..run }, true)
            }
            _ => (run, true),
        }
    }

    /// It knows what it is granted.
    fn granted(&self, budget: &mut Budget, run: Run, granted: u8) -> (Run, bool) {
        let run = Run { granted, ..run };
        match run.asker {
            Asker::Ingest => {
                budget.opened |= granted > 0;
                // Or it is recorded as PENDING.
                budget.backlog = (budget.backlog + 1 - granted).min(self.most());
                (run, false)
            }
            Asker::Sweep => (run, false),
            Asker::Scheduler => {
                // Another tick may have claimed the same rows.
                budget.backlog = budget.backlog.saturating_sub(granted);
                if granted >= run.wanted && run.answers {
                    budget.unanswered = None;
                }
                let at = self.note(&run);
                let goes_on = at.is_some();
                let at = at.unwrap_or(run.at);
                (Run { at, ..run }, goes_on)
            }
        }
    }

    /// What a tick still has to write when it knows what it is granted.
    fn note(&self, run: &Run) -> Option<At> {
        use NewcomerDefect as D;
        let leaves = run.granted < run.wanted;
        let keeps = self.has(D::NoNote)
            || self.has(D::NoteNotRenewed) && run.note.is_some()
            || self.has(D::RefusedWithoutNote) && run.granted == 0;
        match (leaves, run.note) {
            (true, _) if keeps || run.noted => None,
            (true, _) => Some(At::Note),
            (false, Some(_)) if !self.has(D::NoteStays) => Some(At::TakeOff),
            (false, _) => None,
        }
    }
}

impl Budget {
    pub(super) fn running(&self, asker: Asker) -> usize {
        self.runs.iter().filter(|run| run.asker == asker).count()
    }

    fn begin(&mut self, asker: Asker, window: u8, wanted: u8) {
        self.runs.push(Run {
            asker,
            window,
            at: At::Read,
            fresh: false,
            note: self.control.backlog,
            unchanged: true,
            answers: true,
            lost: 0,
            noted: false,
            wanted,
            granted: 0,
        });
    }

    /// What was granted in windows that nobody is granted anything of any more is nobody's concern.
    fn forget(&mut self) {
        let newest = usize::from(self.control.window.unwrap_or_default());
        for granted in self.granted.iter_mut().take(newest.saturating_sub(1)) {
            *granted = 0;
        }
    }

    /// A run has taken its last step.
    fn ended(&mut self, run: &Run) {
        let kind = match run.asker {
            Asker::Scheduler => 0,
            Asker::Sweep => 1,
            Asker::Ingest => return,
        };
        // One that ends late says nothing of this window.
        if run.window != self.clock {
            return;
        }
        self.ticks += u8::from(run.asker == Asker::Scheduler);
        self.swept |= run.asker == Asker::Sweep;
        let fared = self.fared[kind].get_or_insert(run.wanted == 0);
        *fared |= run.wanted == 0;
    }
}
