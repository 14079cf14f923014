//! What a check found.

use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::answer::Refusal;
use crate::aws::trouble::Trouble;
use crate::checks::check::Check;

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item {
    /// What was looked at.
    #[schemars(with = "String")]
    pub check: Check,
    /// How it stands.
    pub level: Level,
    /// In words.
    pub finding: String,
    /// What to do about it; empty where there is nothing to do.
    pub remedy: String,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Events can be lost, stand still, or be misread.
    Problem,
    /// It works, and costs more or protects less than it should.
    Warning,
    /// Not known.
    Unknown,
    /// As it should be.
    Ok,
}

impl Level {
    /// All of them, the worst first.
    pub const ALL: [Self; 4] = [Self::Problem, Self::Warning, Self::Unknown, Self::Ok];

    /// For programs, and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
        }
    }
}

impl Item {
    fn new(check: &Check, level: Level, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check: check.clone(),
            level,
            finding: finding.into(),
            remedy: remedy.into(),
        }
    }

    /// As it should be.
    pub fn ok(check: &Check, finding: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, finding, "")
    }

    /// Works, and should be better.
    pub fn warning(check: &Check, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, Level::Warning, finding, remedy)
    }

    /// Does not work.
    pub fn problem(check: &Check, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, Level::Problem, finding, remedy)
    }

    /// Not known.
    pub fn unknown(check: &Check, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, Level::Unknown, finding, remedy)
    }
}

impl Item {
    /// That check could not be made.
    pub fn refused(check: &Check, refusal: &Refusal) -> Self {
        Self::unknown(check, refusal.cause.words(), remedy(refusal))
    }
}

/// What to do about a service that says nothing.
pub fn remedy(refusal: &Refusal) -> String {
    let action = refusal.action;
    match Trouble::of(&refusal.cause) {
        Trouble::Denied => format!("grant these credentials {action}, or have someone run this who has it"),
        Trouble::NotServed => format!("nothing: this endpoint does not support {action}"),
        Trouble::Unreachable => "is the service up and reachable from here?".to_owned(),
        _ => format!("see the message; {action} is needed"),
    }
}
