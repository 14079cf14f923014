//! The outcomes of repairs, and of an audit with them: one decision for the function and for the command line.

use serde::{Deserialize, Serialize};

use super::classify::Class;
use super::completeness::Tally;
use super::entry::ListedObject;
use super::report::Finding;

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
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
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
    fn is_not_safe(&self) -> bool {
        matches!(self, Self::NotSafe { .. })
    }

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

impl Repair {
    /// Whether an object of that class may be recorded.
    pub(super) fn covers(self, class: &Class) -> bool {
        matches!(
            (self, class),
            (Self::Missing, Class::Missing) | (Self::BeforeWatermark, Class::BeforeWatermark { .. })
        )
    }
}

/// The repairs of one audit: what another process needs to resume them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repairs {
    /// The outcomes so far; none if no repair was wanted.
    #[serde(rename = "repair")]
    pub counts: Option<RepairCounts>,
    /// Objects to be recorded that were not looked at again.
    pub pending: Vec<ListedObject>,
}

impl Repairs {
    /// Objects that are looked at again together, because each time all open rows are read.
    pub const CHUNK: usize = 10_000;

    /// Whether enough is pending to be repaired before more is listed.
    pub fn is_chunk(&self) -> bool {
        self.pending.len() >= Self::CHUNK
    }

    /// Adds the findings that may be recorded.
    pub(super) fn add(&mut self, findings: &[Finding], repair: Repair) {
        let objects = findings.iter().filter_map(|finding| match finding {
            Finding::Object { object, class } if repair.covers(class) => Some(object.clone()),
            _ => None,
        });
        self.pending.extend(objects);
    }

    /// Takes the first objects off, whose outcomes these are, counts them, and gives them back. Cut off by its deadline, a repair
    /// leaves pending what is not recorded for certain: there was no time to find out.
    pub(super) fn settle(
        &mut self,
        repaired: Vec<(ListedObject, Repaired)>,
        is_cut: bool,
    ) -> Vec<(ListedObject, Repaired)> {
        let taken = repaired.len();
        let is_left = |(_, outcome): &(ListedObject, Repaired)| is_cut && outcome.is_not_safe();
        let (left, settled): (Vec<_>, Vec<_>) = repaired.into_iter().partition(is_left);
        self.pending
            .splice(..taken, left.into_iter().map(|(object, _)| object));
        let counts = self.counts.get_or_insert_default();
        for (_, outcome) in &settled {
            counts.count(outcome);
        }
        settled
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
    /// Open rows whose objects are not in the bucket.
    pub gone: u64,
    /// Entries of the listing that could not be read.
    pub unreadable: u64,
    /// What repairs came to; none if none were wanted.
    pub repair: Option<RepairCounts>,
    /// What a backfill came to; none if none was wanted.
    pub backfill: Option<RepairCounts>,
    /// Whether all there is was judged, and all that was to be repaired was looked at again.
    pub is_finished: bool,
}

/// The counts of an audit as both report them: in JSON the fields of the tally stand beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct AuditCounts {
    /// Whether the audit is finished and every object accounted for.
    pub complete: bool,
    /// Objects by class, as they were first judged.
    #[serde(flatten)]
    pub tally: Tally,
    /// Open rows whose objects are not in the bucket.
    pub gone: u64,
    /// Entries of the listing that could not be read.
    pub unreadable: u64,
    /// Missing and not known to be in the ledger.
    pub missing_left: u64,
    /// The outcomes of repairs; none if none were wanted.
    pub repair: Option<RepairCounts>,
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

    /// All counts.
    pub fn counts(&self) -> AuditCounts {
        AuditCounts {
            complete: self.is_complete(),
            tally: *self.tally,
            gone: self.gone,
            unreadable: self.unreadable,
            missing_left: self.missing_left(),
            repair: self.repair,
        }
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

#[cfg(test)]
mod tests {
    use super::super::classify::Watermark;
    use super::*;

    fn object(key: &str) -> ListedObject {
        ListedObject {
            key: key.parse().unwrap(),
            version_id: None,
            etag: None,
            size: Some(1),
            last_modified: "2026-11-20T23:59:59Z".parse().unwrap(),
            is_latest: true,
        }
    }

    fn keys(objects: &[ListedObject]) -> Vec<&str> {
        objects.iter().map(|object| object.key.as_str()).collect()
    }

    #[test]
    fn only_what_a_repair_covers_becomes_pending() {
        let reason = Watermark::BeforeInstallation;
        let classes = [
            ("a", Class::Missing),
            ("b", Class::BeforeWatermark { reason }),
            ("c", Class::MayWait),
            ("d", Class::Done),
        ];
        let finding = |(key, class)| Finding::Object {
            object: object(key),
            class,
        };
        let findings = classes.map(finding);
        for (repair, expected) in [(Repair::Missing, "a"), (Repair::BeforeWatermark, "b")] {
            let mut repairs = Repairs::default();
            repairs.add(&findings, repair);
            assert_eq!(keys(&repairs.pending), [expected]);
        }
    }

    #[test]
    fn a_repair_that_was_cut_off_leaves_pending_what_is_not_recorded_for_certain() {
        let not_safe = || Repaired::NotSafe { cause: "no".into() };
        for (is_cut, pending, not_safe_ones) in [(true, vec!["b", "c"], 0), (false, vec!["c"], 1)] {
            let mut repairs = Repairs {
                counts: None,
                pending: ["a", "b", "c"].map(object).into(),
            };
            let repaired = vec![(object("a"), Repaired::Recorded), (object("b"), not_safe())];
            let settled = repairs.settle(repaired, is_cut);
            assert_eq!(keys(&repairs.pending), pending, "{is_cut}");
            assert_eq!(settled.len() as u64, 1 + not_safe_ones, "{is_cut}");
            let counts = repairs.counts.unwrap();
            assert_eq!((counts.recorded, counts.not_safe), (1, not_safe_ones), "{is_cut}");
        }
    }
}
