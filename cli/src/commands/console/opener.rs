//! Opens the deployment for the console: AWS once, a folder for as long as somebody looks.

use std::sync::{Arc, Weak};

use daybook_console::source::Queues;
use daybook_console::{Deployment, Source};
use daybook_inspect::audits::{KeptAudit, KeptAudits};
use daybook_inspect::aws::reports::Reports;
use daybook_inspect::aws::s3::S3;
use daybook_inspect::checks::deployment as checks;
use daybook_inspect::checks::deployment::OnAws;
use daybook_inspect::checks::finding::Item;
use daybook_inspect::checks::flow::Configured;
use daybook_inspect::checks::role::Role;
use daybook_inspect::operate::log::Log;
use daybook_inspect::parts::Parts;
use daybook_inspect::rate::Rate;
use daybook_ledger::{RetryPolicy, TableName};
use daybook_schema::BucketName;
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::Mutex;

use crate::args::values;
use crate::aws::clients::Aws;
use crate::deployment::audits::off_the_loop;
use crate::deployment::people::PeopleLog;
use crate::deployment::s3::S3Arguments;
use crate::deployment::stack::{DISPATCH_QUEUE, REPORTS_BUCKET, STATE_MACHINE};
use crate::deployment::{
    self, AwsArguments, COMPLETION_QUEUE, DeploymentArguments, INTAKE_QUEUE, LEDGER_TABLE, Location, Outputs,
    RECEIPTS_TABLE, audits,
};
use crate::ui::error::UserError;

/// Opens it.
pub struct Opener {
    arguments: DeploymentArguments,
    s3: S3Arguments,
    kept: Mutex<Kept>,
}

/// What is open.
#[derive(Default)]
struct Kept {
    /// What others look at now: a folder is open once in a process.
    shared: Weak<Opened>,
    /// A deployment on AWS stays open.
    aws: Option<Arc<Opened>>,
}

struct Opened {
    deployment: deployment::Deployment,
    s3: S3Arguments,
    given: AwsArguments,
    state_machine_arn: Option<String>,
    flags: String,
}

impl Opener {
    /// Nothing is open yet.
    pub fn new(arguments: DeploymentArguments, s3: S3Arguments) -> Self {
        Self {
            arguments,
            s3,
            kept: Mutex::default(),
        }
    }

    async fn opened(&self) -> anyhow::Result<Arc<Opened>> {
        let mut kept = self.kept.lock().await;
        // The `daybook up` through which a folder was reached may have ended.
        if let Some(opened) = kept.shared.upgrade()
            && opened.deployment.location.ended().is_none()
        {
            return Ok(opened);
        }
        let deployment = self.arguments.open("console").await?;
        let by_stack = match &deployment.location {
            Location::Aws { outputs, .. } => outputs.read(STATE_MACHINE, values::state_machine_arn)?,
            Location::Local { .. } => None,
        };
        let opened = Arc::new(Opened {
            deployment,
            s3: self.s3.clone(),
            given: self.arguments.aws.clone(),
            state_machine_arn: self.arguments.machine.state_machine_arn.clone().or(by_stack),
            flags: self.arguments.flags(),
        });
        kept.shared = Arc::downgrade(&opened);
        if !opened.deployment.is_local() {
            kept.aws = Some(opened.clone());
        }
        Ok(opened)
    }
}

impl Opened {
    /// The reports of the stack's audit function, if the stack names their bucket.
    fn reports(&self) -> Result<Option<Reports>, String> {
        let Location::Aws { aws, outputs, .. } = &self.deployment.location else {
            return Ok(None);
        };
        let bucket = outputs.read(REPORTS_BUCKET, str::parse::<BucketName>);
        let bucket = bucket.map_err(|error| format!("{error:#}"))?;
        Ok(bucket.map(|bucket| Reports::new(self.s3.at(aws).client, bucket.to_string())))
    }

    /// The parts as the arguments or the stack name them.
    fn on_aws<'a>(&'a self, aws: &'a Aws, outputs: &Outputs) -> Result<OnAws<'a>, UserError> {
        let table = |given: Option<&TableName>, output| -> Result<_, UserError> {
            let name = match given {
                Some(name) => Some(name.clone()),
                None => outputs.read(output, str::parse::<TableName>)?,
            };
            Ok(name.map(|name| name.to_string()))
        };
        let given = &self.given;
        let receipts = table(given.receipts_table.as_ref(), RECEIPTS_TABLE)?;
        Ok(OnAws {
            ledger: &self.deployment.ledger,
            dynamodb: aws.dynamodb(),
            sqs: aws.queues(),
            sfn: aws.step_functions(),
            lambda: aws.lambda(),
            s3: S3::new(self.s3.at(aws).client),
            region: aws.region(),
            ledger_table: table(given.ledger_table.as_ref(), LEDGER_TABLE)?,
            receipts_table: receipts.filter(|_| !given.receipts_keep.is_zero()),
            intake_url: outputs.queue(None, INTAKE_QUEUE)?,
            dispatch_url: outputs.queue(given.dispatch_queue_url.as_ref(), DISPATCH_QUEUE)?,
            completion_url: outputs.queue(None, COMPLETION_QUEUE)?,
            state_machine_arn: self.state_machine_arn.as_deref(),
            other_target: match self.state_machine_arn {
                Some(_) => None,
                None => outputs.other_target()?,
            },
            buckets: &[],
        })
    }
}

impl Source for Opener {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Deployment>, String>> {
        async {
            match self.opened().await {
                Ok(opened) => Ok(opened as Arc<dyn Deployment>),
                Err(error) => Err(format!("{error:#}")),
            }
        }
        .boxed()
    }
}

impl Deployment for Opened {
    fn parts(&self) -> Parts<'_> {
        self.deployment.parts()
    }

    fn name(&self) -> String {
        self.deployment.location.to_string()
    }

    fn rate(&self) -> Rate {
        self.deployment.rate()
    }

    fn max_attempts(&self) -> u32 {
        self.deployment.max_attempts()
    }

    fn retry(&self) -> RetryPolicy {
        self.deployment.retry()
    }

    fn s3(&self) -> Result<S3, String> {
        match &self.deployment.location {
            Location::Aws { aws, .. } => Ok(S3::new(self.s3.at(aws).client)),
            Location::Local { .. } => {
                Err("S3 is not asked: `daybook why` with --s3-endpoint asks it".to_owned())
            }
        }
    }

    fn intake(&self) -> Option<(aws_sdk_sqs::Client, String)> {
        match &self.deployment.location {
            Location::Aws { aws, outputs, .. } => {
                let url = outputs.queue(None, INTAKE_QUEUE).ok()??;
                Some((aws.queues(), url))
            }
            Location::Local { .. } => None,
        }
    }

    fn queues(&self) -> Result<Option<Queues>, String> {
        let Location::Aws { aws, outputs, .. } = &self.deployment.location else {
            return Ok(None);
        };
        let named = [
            (Role::Intake, outputs.queue(None, INTAKE_QUEUE)),
            (
                Role::Dispatch,
                outputs.queue(self.given.dispatch_queue_url.as_ref(), DISPATCH_QUEUE),
            ),
            (Role::Completion, outputs.queue(None, COMPLETION_QUEUE)),
        ];
        let mut urls = Vec::new();
        for (role, url) in named {
            let url = url.map_err(|error| format!("{error:#}"))?;
            urls.extend(url.map(|url| (role, url)));
        }
        Ok(Some(Queues {
            sqs: aws.queues(),
            urls,
        }))
    }

    fn findings(&self) -> BoxFuture<'_, Result<Vec<Item>, String>> {
        let deployment = &self.deployment;
        async move {
            match &deployment.location {
                Location::Local { .. } => {
                    Ok(
                        checks::without_writes(&deployment.parts(), deployment.rate(), Configured::default())
                            .await,
                    )
                }
                Location::Aws { aws, outputs, .. } => {
                    let parts = self.on_aws(aws, outputs).map_err(|error| format!("{error:#}"))?;
                    Ok(checks::on_aws(&parts, Configured::default()).await)
                }
            }
        }
        .boxed()
    }

    fn audits(&self) -> BoxFuture<'_, Result<KeptAudits, String>> {
        async move {
            match (&self.deployment.location, self.reports()?) {
                (Location::Local { dir, .. }, _) => {
                    let dir = dir.clone();
                    off_the_loop(move || audits::list_or_why(&dir)).await
                }
                (Location::Aws { .. }, None) => Ok(KeptAudits::default()),
                (Location::Aws { .. }, Some(reports)) => Ok(KeptAudits {
                    place: Some(reports.place()),
                    audits: Some(reports.list().await?),
                }),
            }
        }
        .boxed()
    }

    fn audit(&self, id: String) -> BoxFuture<'_, Result<Option<KeptAudit>, String>> {
        async move {
            match (&self.deployment.location, self.reports()?) {
                (Location::Local { dir, .. }, _) => {
                    let dir = dir.clone();
                    off_the_loop(move || audits::read_or_why(&dir, &id)).await
                }
                (Location::Aws { .. }, None) => Ok(None),
                (Location::Aws { .. }, Some(reports)) => reports.read(&id).await,
            }
        }
        .boxed()
    }

    fn log(&self) -> Option<Arc<dyn Log>> {
        let log = self.deployment.dir().map(PeopleLog::of)?;
        Some(Arc::new(log))
    }

    fn flags(&self) -> String {
        self.flags.clone()
    }
}
