//! Ingest: from a notification to a row, and with immediate dispatch to a message at once.

use crate::bounds::Rules;
use crate::budget::Asker;
use crate::defects::Defect;
use crate::dispatch::{grant, put_on_queue};
use crate::protocol::{Action, Protocol};
use crate::receipts::is_covered;
use crate::rows;
use crate::steps::{How, Next};
use crate::world::{Broken, Event, IngestAt, Process, Row, View, World};

impl Protocol {
    /// Where a process for a notification begins. Unread receipts count as absent. One that was received before asks for no grant;
    /// nor does one that begins late.
    pub fn ingest(&self, world: &World, event: Event, read: bool, asks: bool) -> Process {
        let covered = read && is_covered(&self.rules, world, event);
        let at = match (covered, self.rules.has(Defect::AcknowledgeBeforeRecord)) {
            (true, _) => IngestAt::Covered,
            (false, true) => IngestAt::AcknowledgeFirst,
            (false, false) if asks && self.asks(world, event) => IngestAt::Grant,
            (false, false) => IngestAt::Insert { claimed: false },
        };
        Process::Ingest {
            event,
            window: 0,
            view: View::default(),
            at,
        }
    }

    fn asks(&self, world: &World, event: Event) -> bool {
        let event = usize::from(event);
        let is_new = world.received[event] < world.intake[event];
        self.rules.bounds.immediate.is_some() && (is_new || self.rules.has(Defect::ReceivedBeforeAsks))
    }

    /// The ways in which ingest may begin with a notification of that event.
    pub(crate) fn ingests(&self, world: &World, event: Event, actions: &mut Vec<Action>) {
        let bounds = &self.rules.bounds;
        let mut begin = |process| {
            if !actions.contains(&Action::Begin(process)) {
                actions.push(Action::Begin(process));
            }
        };
        for asks in [true, false] {
            let process = self.ingest(world, event, true, asks);
            match (process, bounds.immediate) {
                (
                    Process::Ingest {
                        view,
                        at: IngestAt::Grant,
                        ..
                    },
                    Some(ahead),
                ) => (0..=ahead).for_each(|ahead| {
                    begin(Process::Ingest {
                        event,
                        // Of its own clock.
                        window: world.clock + ahead,
                        view,
                        at: IngestAt::Grant,
                    });
                }),
                _ => begin(process),
            }
        }
        if bounds.troubles && is_covered(&self.rules, world, event) {
            begin(self.ingest(world, event, false, false));
        }
    }
}

fn acknowledge(world: &mut World, event: Event) {
    let copies = &mut world.intake[usize::from(event)];
    *copies = copies.saturating_sub(1);
    let received = &mut world.received[usize::from(event)];
    *received = received.saturating_sub(1);
    world.memory(event).acknowledged = true;
}

/// Ingest's next step.
pub(crate) fn ingest(rules: &Rules, world: &mut World, process: Process, how: How) -> Next {
    let Process::Ingest {
        event,
        window,
        view,
        at,
    } = process
    else {
        return None;
    };
    let next = |view, at| {
        Some(Some(Process::Ingest {
            event,
            window,
            view,
            at,
        }))
    };
    let then = |at| next(view, at);
    match (at, how) {
        // A grant that is lost twice to others, or whose answer is lost, is none.
        (IngestAt::Grant, How::Refused) => then(IngestAt::Insert { claimed: false }),
        (IngestAt::Grant, How::Answered | How::AnswerLost) => {
            let before = world.control;
            let granted = grant(rules, world, (window, Asker::Ingest), rules.seen(before), how)?;
            if world.control != before {
                note_grant(world, event);
            }
            then(IngestAt::Insert {
                claimed: granted || rules.has(Defect::ClaimedWithoutGrant),
            })
        }
        (IngestAt::Insert { claimed }, How::Answered | How::AnswerLost) => {
            let is_recorded = record(rules, world, event, claimed);
            match (how, claimed, is_recorded) {
                (How::AnswerLost, ..) => Some(None),
                (_, true, true) => next(
                    View {
                        fresh: true,
                        mine: true,
                    },
                    IngestAt::Send,
                ),
                (_, true, false) if rules.has(Defect::AlreadyThereIsSent) => then(IngestAt::Send),
                (_, true, false) if rules.has(Defect::GrantGivenBack) => then(IngestAt::GiveBack),
                // Record, then acknowledge.
                (_, true, false) => then(IngestAt::Acknowledge),
                (_, false, _) => {
                    if !rules.has(Defect::AcknowledgeBeforeRecord) {
                        acknowledge(world, event);
                    }
                    Some(None)
                }
            }
        }
        (IngestAt::Insert { .. }, How::Refused) if rules.has(Defect::IgnoredFailure) => {
            acknowledge(world, event);
            Some(None)
        }
        (IngestAt::Send, How::Refused) => then(IngestAt::Release),
        (IngestAt::Send, How::Answered | How::AnswerLost) => {
            let is_ours = |row: &Row| view.mine || row.queued > 0;
            put_on_queue(world, window, (event, 1), is_ours);
            then(match how {
                How::AnswerLost if rules.has(Defect::UnknownIsReleased) => IngestAt::Release,
                _ => IngestAt::Acknowledge,
            })
        }
        (IngestAt::Release, How::Answered | How::Refused) => {
            let row = world.row(event).filter(|_| how == How::Answered);
            if let Some(released) = row.and_then(|row| rows::release(row, view)) {
                world.write(event, Some(released), false);
            }
            then(IngestAt::Acknowledge)
        }
        (IngestAt::GiveBack, How::Answered | How::AnswerLost) => {
            world.control.granted = world.control.granted.saturating_sub(1);
            // An ADD has no condition: it is repeated.
            then(match how {
                How::AnswerLost => IngestAt::GiveBack,
                _ => IngestAt::Acknowledge,
            })
        }
        (IngestAt::Covered | IngestAt::Acknowledge, How::Answered) => {
            acknowledge(world, event);
            Some(None)
        }
        (IngestAt::AcknowledgeFirst, How::Answered) => {
            acknowledge(world, event);
            then(IngestAt::Insert { claimed: false })
        }
        _ => None,
    }
}

/// The conditional insert; whether there was no row.
fn record(rules: &Rules, world: &mut World, event: Event, claimed: bool) -> bool {
    let life = world.memory(event).lives + 1;
    let recorded = rows::record(world.row(event), life, rules.bounds.max_attempts, claimed);
    if recorded.is_some() {
        world.write(event, recorded, true);
        world.memory(event).lives = life;
    }
    recorded.is_some()
}

/// One grant for each copy of a notification, however often it is received.
fn note_grant(world: &mut World, event: Event) {
    let memory = world.memory(event);
    match memory.ungranted.checked_sub(1) {
        Some(left) => memory.ungranted = left,
        None => world.note(Broken::GrantedAgain),
    }
}
