//! Opens the deployment for the console: AWS once, a folder for as long as somebody looks.

use std::sync::{Arc, Weak};

use daybook_console::{Deployment, Source};
use daybook_inspect::aws::s3::S3;
use daybook_inspect::parts::Parts;
use daybook_inspect::rate::Rate;
use daybook_ledger::RetryPolicy;
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::Mutex;

use crate::deployment::s3::S3Arguments;
use crate::deployment::{self, DeploymentArguments, INTAKE_QUEUE, Location};

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
        let opened = Arc::new(Opened {
            deployment: self.arguments.open("console").await?,
            s3: self.s3.clone(),
            flags: self.arguments.flags(),
        });
        kept.shared = Arc::downgrade(&opened);
        if !opened.deployment.is_local() {
            kept.aws = Some(opened.clone());
        }
        Ok(opened)
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

    fn flags(&self) -> String {
        self.flags.clone()
    }
}
