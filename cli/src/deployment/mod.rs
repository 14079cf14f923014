//! The deployment that a command is about: a folder of this machine, or tables and queues on AWS.

pub mod activity;
pub mod arguments;
pub mod audits;
pub mod aws;
pub mod completions;
pub mod door;
pub mod embedded;
pub mod failures;
pub mod folder;
pub mod health;
pub mod local;
pub mod lock;
pub mod people;
pub mod preflight;
pub mod s3;
pub mod stack;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daybook_inspect::activity::Activity;
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::failure::Failure;
use daybook_inspect::aws::trouble::Trouble;
use daybook_inspect::parts::{LocalFolder, Parts};
use daybook_inspect::rate::Rate;
use daybook_ledger::{Cause, Clock, Ledger, LedgerError, Random, ReceiptSettings, RetryPolicy, TableName};
use daybook_manager::{Dispatch, DispatchQueue, Executions};
use daybook_schema::SourceName;
use daybook_schema::notification::{KeyEncoding, Reading};

use crate::args::values;
use crate::aws::clients::Aws;
use crate::deployment::arguments::missing;
pub use crate::deployment::arguments::{AwsArguments, Chosen, DeploymentArguments, MachineArguments};
use crate::deployment::aws::AwsDeployment;
use crate::deployment::local::Access;
pub use crate::deployment::stack::{COMPLETION_QUEUE, INTAKE_QUEUE, LEDGER_TABLE, Outputs, RECEIPTS_TABLE};
use crate::ui::error::UserError;

/// A deployment, opened.
pub struct Deployment {
    /// The ledger.
    pub ledger: Ledger,
    /// The dispatch queue, where one can be asked.
    pub queue: Option<DispatchQueue>,
    /// The executions, where there is a state machine.
    pub executions: Option<Executions>,
    /// Where it is.
    pub location: Location,
}

/// Where a deployment is.
pub enum Location {
    /// A folder of this machine.
    Local {
        /// The folder.
        dir: PathBuf,
        /// How its ledger is reached.
        access: Access,
        /// How its pipeline is set.
        settings: folder::Settings,
        /// What its `daybook up` did lately, as far as it is written.
        activity: Option<Box<Activity>>,
        /// What that says is wrong with itself, if it runs, answers and says so.
        trouble: Option<String>,
    },
    /// AWS, or what stands in for it.
    Aws {
        /// Clients.
        aws: Box<Aws>,
        /// What the stack says, if one is given.
        outputs: Box<Outputs>,
        /// What to call it.
        name: String,
    },
}

impl AwsArguments {
    /// Finds the parts, and asks the stack if one is given.
    ///
    /// # Errors
    /// When the ledger is not named, AWS is not configured, or the stack does not answer as it should.
    pub async fn open(&self, machine: Option<&MachineArguments>) -> anyhow::Result<AwsDeployment> {
        if self.stack.is_none() && self.ledger_table.is_none() {
            return Err(missing("the ledger table", "ledger-table").into());
        }
        let mut aws = Aws::from_environment().await?;
        let outputs = match &self.stack {
            Some(stack) => Outputs::of(&aws, stack).await?,
            None => Outputs::default(),
        };
        let ledger_table = match &self.ledger_table {
            Some(name) => Some(name.clone()),
            None => outputs.read(stack::LEDGER_TABLE, str::parse::<TableName>)?,
        };
        let ledger_table = ledger_table.ok_or_else(|| missing("the ledger table", "ledger-table"))?;
        let receipts_table = match &self.receipts_table {
            Some(name) => Some(name.clone()),
            None => outputs.read(stack::RECEIPTS_TABLE, str::parse::<TableName>)?,
        };
        let queue_url = match &self.dispatch_queue_url {
            Some(url) => Some(url.clone()),
            None => outputs.read(stack::DISPATCH_QUEUE, values::queue_url)?,
        };
        let given_machine = machine.and_then(|machine| machine.state_machine_arn.clone());
        let state_machine_arn = match (machine, given_machine) {
            (Some(_), None) => outputs.read(stack::STATE_MACHINE, values::state_machine_arn)?,
            (_, given) => given,
        };
        let other_target = match state_machine_arn {
            Some(_) => None,
            None => outputs.other_target()?,
        };
        if let Some(stack) = &self.stack {
            let machine_is_given = machine.is_some_and(|machine| machine.state_machine_arn.is_some());
            let by_flag = [
                (AwsResource::Ledger, self.ledger_table.is_some()),
                (AwsResource::Receipts, self.receipts_table.is_some()),
                (AwsResource::Queue, self.dispatch_queue_url.is_some()),
                (AwsResource::Intake, false),
                (AwsResource::StateMachine, machine_is_given),
            ];
            let by_stack = by_flag.into_iter().filter(|(_, given)| !given);
            aws.named_by_stack(stack, by_stack.map(|(thing, _)| thing).collect());
        }
        let keep = self.receipts_keep;
        let receipts = receipts_table
            .filter(|_| !keep.is_zero())
            .map(|table| ReceiptSettings { table, keep });
        let name = match &self.stack {
            Some(stack) => format!("stack {stack} in region {}", aws.region()),
            None => format!("table {ledger_table} in region {}", aws.region()),
        };
        Ok(AwsDeployment {
            ledger: Ledger::new(
                aws.dynamodb(),
                ledger_table,
                receipts,
                Clock::system(),
                Random::from_os(),
            ),
            queue_url,
            state_machine_arn,
            other_target,
            outputs,
            name,
            aws,
        })
    }

    /// The same for a command that cannot do without the dispatch queue.
    ///
    /// # Errors
    /// As [`AwsArguments::open`], and when the queue is not named.
    pub async fn open_with_queue(
        &self,
        machine: Option<&MachineArguments>,
    ) -> anyhow::Result<(AwsDeployment, String)> {
        let not_given = || missing("the dispatch queue", "dispatch-queue-url");
        // Before AWS is asked for anything: this can be known without it.
        if self.stack.is_none() && self.ledger_table.is_some() && self.dispatch_queue_url.is_none() {
            return Err(not_given().into());
        }
        let deployment = self.open(machine).await?;
        match (deployment.queue_url.clone(), &self.stack) {
            (Some(queue_url), _) => Ok((deployment, queue_url)),
            (None, Some(stack)) => Err(stack::without(stack, stack::DISPATCH_QUEUE)
                .hint("--dispatch-queue-url (DAYBOOK_DISPATCH_QUEUE_URL) names the queue without a stack")
                .into()),
            (None, None) => Err(not_given().into()),
        }
    }
}

impl DeploymentArguments {
    /// Opens it for that verb.
    ///
    /// # Errors
    /// When there is no ledger in the folder, another process keeps it, AWS is not configured, or the stack does not answer as it
    /// should.
    pub async fn open(&self, verb: &str) -> anyhow::Result<Deployment> {
        let dir = match &self.chosen {
            Chosen::Local(dir) => dir,
            Chosen::Usual(dir) => {
                eprintln!(
                    "note: folder {}, as nothing names a deployment (--local, --stack or --ledger-table does)",
                    dir.display()
                );
                dir
            }
            Chosen::Aws => return Ok(self.aws.open(Some(&self.machine)).await?.into()),
        };
        let opened = local::open(dir, verb).await?;
        let up = opened.access.up();
        let trouble = match up {
            Some(up) => health::trouble(up).await,
            None => None,
        };
        let activity = activity::read(dir).map(|activity| {
            let still_writes = trouble.is_none() && up.is_some_and(|up| up.pid == activity.pid);
            Box::new(activity.as_read(still_writes, opened.ledger.clock().now()))
        });
        Ok(Deployment {
            ledger: opened.ledger,
            queue: None,
            executions: None,
            location: Location::Local {
                dir: dir.clone(),
                access: opened.access,
                settings: opened.settings,
                activity,
                trouble,
            },
        })
    }
}

impl Deployment {
    /// Its parts, as far as they can be asked.
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            ledger: &self.ledger,
            queue: self.queue.as_ref(),
            executions: self.executions.as_ref(),
            source: self.source(),
            folder: match &self.location {
                Location::Local {
                    dir,
                    access,
                    activity,
                    trouble,
                    ..
                } => Some(LocalFolder {
                    path: dir,
                    running: access.up(),
                    activity: activity.as_deref(),
                    trouble: trouble.as_deref(),
                }),
                Location::Aws { .. } => None,
            },
        }
    }

    /// The folder that it is in; `None` on AWS.
    pub fn dir(&self) -> Option<&Path> {
        match &self.location {
            Location::Local { dir, .. } => Some(dir),
            Location::Aws { .. } => None,
        }
    }

    /// How many messages its intake queue holds; `None` where no stack names it.
    pub async fn intake_messages(&self) -> Option<Result<u64, Cause>> {
        let Location::Aws { aws, outputs, .. } = &self.location else {
            return None;
        };
        let url = outputs.queue(None, INTAKE_QUEUE).ok()??;
        let depth = aws.intake_queue(&url).depth().await;
        Some(depth.map(|depth| depth.messages).map_err(Cause::from))
    }

    /// Whether it is a folder of this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.location, Location::Local { .. })
    }

    /// Where its events come from, as far as the deployment says it: a folder does.
    pub fn source(&self) -> SourceName {
        match &self.location {
            Location::Local { settings, .. } => settings.source.clone(),
            Location::Aws { .. } => SourceName::default(),
        }
    }

    /// How its notifications are read, unless told otherwise, as far as the deployment says it: a folder does.
    pub fn reading(&self, source: Option<SourceName>, keys: Option<KeyEncoding>) -> Reading {
        let usual = match &self.location {
            Location::Local { settings, .. } => settings.keys,
            Location::Aws { .. } => KeyEncoding::default(),
        };
        Reading {
            source: source.unwrap_or_else(|| self.source()),
            keys: keys.unwrap_or(usual),
        }
    }

    /// N and its window, as far as the deployment says it: a folder does.
    pub fn rate(&self) -> Rate {
        match &self.location {
            Location::Local { settings, .. } => Rate {
                per_window: settings.per_window,
                window: settings.window_millis.map(Duration::from_millis),
            },
            Location::Aws { .. } => Rate::default(),
        }
    }

    /// After how many failed attempts its events are parked, as far as the deployment says it: a folder does.
    pub fn max_attempts(&self) -> u32 {
        match &self.location {
            Location::Local { settings, .. } => settings.max_attempts,
            Location::Aws { .. } => Dispatch::default().max_attempts,
        }
    }

    /// How long its failed attempts wait, as far as the deployment says it: a folder does.
    pub fn retry(&self) -> RetryPolicy {
        let usual = RetryPolicy::default();
        match &self.location {
            Location::Local { settings, .. } => {
                settings
                    .backoff_millis
                    .map_or(usual, |(first, longest)| RetryPolicy {
                        first_delay: Duration::from_millis(first),
                        longest_delay: Duration::from_millis(longest),
                    })
            }
            Location::Aws { .. } => usual,
        }
    }
}

impl From<AwsDeployment> for Deployment {
    fn from(found: AwsDeployment) -> Self {
        let queue = found.queue_url.map(|url| found.aws.dispatch_queue(&url));
        let executions = found
            .state_machine_arn
            .map(|arn| Executions::new(found.aws.step_functions(), arn));
        Self {
            ledger: found.ledger,
            queue,
            executions,
            location: Location::Aws {
                aws: Box::new(found.aws),
                outputs: Box::new(found.outputs),
                name: found.name,
            },
        }
    }
}

impl Location {
    /// Whether it is a folder whose `daybook up` has no target.
    pub fn only_collects(&self) -> bool {
        match self {
            Self::Aws { .. } => false,
            Self::Local { access, .. } => access.up().is_some_and(|up| up.workers.is_none()),
        }
    }

    /// Whether it is a folder whose `daybook up` does not run.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Aws { .. } => false,
            Self::Local { access, .. } => access.up().is_none(),
        }
    }

    /// Says on stderr that what was recorded or put back waits, where no process runs the folder's pipeline.
    pub fn note_that_nothing_runs(&self) {
        if let Self::Local {
            dir,
            access: Access::Alone { .. },
            ..
        } = self
        {
            eprintln!(
                "note: no `daybook up` runs on {}: the events wait there until one does",
                dir.display()
            );
        }
        if self.only_collects() {
            eprintln!("note: the `daybook up` of {self} has no target: the events wait there until one has");
        }
    }

    /// What to do about a failed request, if anything is known to help.
    pub fn advice(&self, failure: &Failure) -> Option<String> {
        if Trouble::of(&failure.cause) == Trouble::Unreadable {
            return Some(
                "was it written by a newer release of Daybook? That one reads it; this one leaves it alone"
                    .to_owned(),
            );
        }
        if let Some(ended) = self.ended() {
            return Some(format!("{ended}: the same command again is safe"));
        }
        match self {
            Self::Aws { aws, .. } => aws.advice(failure.about, &failure.cause),
            Self::Local {
                access: Access::Through { up, .. },
                ..
            } => Some(format!(
                "process {}, the `daybook up` of this folder, answers for the ledger at {}: its log says more",
                up.pid, up.url
            )),
            Self::Local { dir, .. } => Some(format!(
                "is {} on a local disk that is not full, and may this user read and write it?",
                dir.display()
            )),
        }
    }

    /// The same for a verb that knows best how it is done again.
    pub fn advice_or(&self, failure: &Failure, again: String) -> String {
        match self.ended() {
            Some(ended) => format!("{ended}: {again}"),
            None => self.advice(failure).unwrap_or(again),
        }
    }

    /// That the `daybook up` through which it was reached has ended since, if it has.
    pub fn ended(&self) -> Option<String> {
        match self {
            Self::Aws { .. } => None,
            Self::Local { dir, access, .. } => access.ended(dir),
        }
    }

    /// Says on stderr that not all could be found out because that process has ended, if it has.
    pub fn note_an_end(&self) {
        if let Some(ended) = self.ended() {
            eprintln!("note: {ended}: give the command again");
        }
    }

    /// The ledger did not answer.
    pub fn ledger_failure(&self, error: LedgerError) -> UserError {
        let advice = self.advice(&Failure::of_ledger(&error));
        let what = match self {
            Self::Aws { .. } => "the ledger table cannot be used".to_owned(),
            Self::Local { dir, .. } => format!("the ledger in {} cannot be used", dir.display()),
        };
        UserError::new(what).because(error).hint_if_any(advice)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { dir, .. } => write!(f, "folder {}", dir.display()),
            Self::Aws { name, .. } => f.write_str(name),
        }
    }
}
