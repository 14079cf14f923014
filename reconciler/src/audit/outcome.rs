//! What repairs came to, and what an audit came to with them: one decision for the function and for the command line.

use serde::{Deserialize, Serialize};

use super::classify::Class;
use super::completeness::Tally;

/// Which objects may be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Those that are missing.
    Missing,
    /// Those before the watermark, of which nothing was promised: a backfill.
    BeforeWatermark,
}

/// What came of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "repaired")]
pub enum Repaired {
    /// It is in the ledger, written now.
    Recorded,
    /// It was in the ledger: by an earlier repair, or its notification arrived meanwhile.
    AlreadyThere,
    /// A receipt says that it is processed.
    Covered,
    /// A receipt says that a person took it out.
    Removed,
    /// It was overwritten since it was listed; the next audit sees what is there then.
    Changed,
    /// It is not in the bucket any more.
    Gone,
    /// Its notification may still wait in the intake.
    MayWait,
    /// It is not in the ledger for certain; repair it again.
    NotSafe {
        /// Why.
        cause: String,
    },
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepairCounts {
    /// In the ledger, written now.
    pub recorded: u64,
    /// In the ledger before.
    pub already_there: u64,
    /// Processed.
    pub covered: u64,
    /// Taken out by a person.
    pub removed: u64,
    /// Overwritten since.
    pub changed: u64,
    /// Gone since.
    pub gone: u64,
    /// Perhaps waiting in the intake.
    pub may_wait: u64,
    /// Not in the ledger for certain.
    pub not_safe: u64,
}

impl Repaired {
    /// What an object that is not recorded comes to, by what it is on the second look.
    ///
    /// A repair may run twice, because a process died before it could write down that it was done: what it then finds in the
    /// ledger counts as recorded before.
    pub(super) fn of_class(class: Class, repair: Repair) -> Self {
        let not_safe = |cause: &str| Self::NotSafe { cause: cause.into() };
        match class {
            Class::Open(_) => Self::AlreadyThere,
            Class::Done => Self::Covered,
            Class::Removed => Self::Removed,
            Class::Changed => Self::Changed,
            Class::MayWait => Self::MayWait,
            Class::Unknown { cause } => Self::NotSafe {
                cause: cause.to_string(),
            },
            Class::TooNew => not_safe("on a second look it is too new to be judged"),
            Class::BeforeWatermark { .. } if repair == Repair::Missing => {
                not_safe("on a second look it is from before the watermark, which only a backfill records")
            }
            Class::Missing | Class::BeforeWatermark { .. } => {
                not_safe("on a second look it is missing, which only a repair records")
            }
        }
    }
}

impl RepairCounts {
    /// Counts one outcome.
    pub fn count(&mut self, outcome: &Repaired) {
        *match outcome {
            Repaired::Recorded => &mut self.recorded,
            Repaired::AlreadyThere => &mut self.already_there,
            Repaired::Covered => &mut self.covered,
            Repaired::Removed => &mut self.removed,
            Repaired::Changed => &mut self.changed,
            Repaired::Gone => &mut self.gone,
            Repaired::MayWait => &mut self.may_wait,
            Repaired::NotSafe { .. } => &mut self.not_safe,
        } += 1;
    }

    /// Objects that are in the ledger, processed, or taken out by a person.
    pub fn accounted_for(&self) -> u64 {
        self.recorded + self.already_there + self.covered + self.removed
    }

    /// Objects that are no longer missing: accounted for, overwritten or gone. Of the last two the next audit says more.
    pub fn settled(&self) -> u64 {
        self.accounted_for() + self.changed + self.gone
    }
}

/// What an audit came to, its repairs included.
#[derive(Clone, Copy, Debug)]
pub struct AuditOutcome<'a> {
    /// Objects by class, as they were first judged.
    pub tally: &'a Tally,
    /// Entries of the listing that could not be read.
    pub unreadable: u64,
    /// What repairs came to; none if none were wanted.
    pub repair: Option<RepairCounts>,
    /// What a backfill came to; none if none was wanted.
    pub backfill: Option<RepairCounts>,
    /// Whether all there is was judged, and all that was to be repaired was looked at again.
    pub is_finished: bool,
}

/// An audit in one word, by what a person must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is missing, or all of it was recorded.
    Accounted,
    /// Something could not be found out.
    Undetermined,
    /// Something is missing and not in the ledger for certain.
    Missing,
}

impl AuditOutcome<'_> {
    /// Missing objects that are not known to be in the ledger, and do not wait in the intake.
    pub fn missing_left(&self) -> u64 {
        let settled = self.repair.map_or(0, |counts| counts.settled() + counts.may_wait);
        self.tally.missing.saturating_sub(settled)
    }

    /// Objects whose notifications may still wait in the intake: neither missing for certain nor complete.
    pub fn may_wait(&self) -> u64 {
        let repairs = [self.repair, self.backfill].into_iter().flatten();
        self.tally.may_wait + repairs.map(|counts| counts.may_wait).sum::<u64>()
    }

    /// Whether it is finished and every object is done, taken out by a person, or in the ledger.
    pub fn is_complete(&self) -> bool {
        let repairs = [self.repair, self.backfill].into_iter().flatten();
        let repaired: u64 = repairs.map(|counts| counts.accounted_for()).sum();
        let accounted = self.tally.done + self.tally.removed + self.tally.open + repaired;
        self.is_finished && self.unreadable == 0 && accounted == self.tally.objects
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let not_backfilled = self.backfill.map_or(0, |counts| counts.not_safe);
        match self.missing_left() {
            0 if self.tally.unknown + self.may_wait() + self.unreadable + not_backfilled == 0 => {
                Verdict::Accounted
            }
            0 => Verdict::Undetermined,
            _ => Verdict::Missing,
        }
    }
}

impl Verdict {
    /// The exit code of the command line.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Accounted => 0,
            Self::Undetermined => 1,
            Self::Missing => 3,
        }
    }
}
