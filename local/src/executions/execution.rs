//! An execution: what it runs, is given and ends with, and how a checker sees it.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

/// What an execution runs.
pub trait Target: Send + Sync {
    /// Does the work. The future is dropped when the execution is stopped; a panic fails the execution.
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome>;
}

/// What a [`Target`] is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedExecution {
    /// The execution's ARN.
    pub arn: String,
    /// Its state machine's ARN.
    pub state_machine_arn: String,
    /// Its name.
    pub name: String,
    /// Its input, JSON as the caller gave it.
    pub input: String,
    /// When it was started.
    pub started_at: DateTime<Utc>,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are DescribeExecution's")]
pub enum Outcome {
    /// It did what it should.
    Succeeded { output: String },
    /// It reported an error.
    Failed { error: String, cause: String },
    /// It took longer than its definition allows.
    TimedOut { error: String, cause: String },
    /// Somebody stopped it.
    Aborted {
        error: Option<String>,
        cause: Option<String>,
    },
}

impl Outcome {
    /// The status that it leaves the execution in.
    pub fn status(&self) -> ExecutionStatus {
        match self {
            Self::Succeeded { .. } => ExecutionStatus::Succeeded,
            Self::Failed { .. } => ExecutionStatus::Failed,
            Self::TimedOut { .. } => ExecutionStatus::TimedOut,
            Self::Aborted { .. } => ExecutionStatus::Aborted,
        }
    }

    pub(super) fn error_and_cause(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Succeeded { .. } => (None, None),
            Self::Failed { error, cause } | Self::TimedOut { error, cause } => (Some(error), Some(cause)),
            Self::Aborted { error, cause } => (error.as_deref(), cause.as_deref()),
        }
    }
}

/// An execution's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are AWS's own")]
pub enum ExecutionStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl ExecutionStatus {
    /// As it is on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// An execution as a checker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionView {
    /// Its ARN.
    pub arn: String,
    /// Its state machine's ARN.
    pub state_machine_arn: String,
    /// Its name.
    pub name: String,
    /// Its input.
    pub input: String,
    /// Its status.
    pub status: ExecutionStatus,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub stopped_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// How often its target was run: 1, or 0 where there is none.
    pub runs: u32,
}
