//! What `daybook audit` can be asked for.
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use daybook_reconciler::audit::{AuditSettings, Keys, ManifestPlace, Repair, Scope, Versions};
use daybook_schema::{SourceName, Timestamp};

use crate::args::values;
use crate::commands::audit::checkpoint::Terms;
use crate::commands::audit::findings::Form;
use crate::deployment::s3::{S3Arguments, S3Place};
use crate::deployment::{Chosen, Deployment, DeploymentArguments, Location};
use crate::ui::confirm::ConfirmArguments;

/// Compare a bucket with the ledger: done, open, never seen
///
/// Reads the open rows, then lists the bucket, then reads the receipt of each object (of each version, if it
/// has versions), in memory that does not grow with the bucket. It changes nothing unless --repair or
/// --backfill is given. With --inventory it reads an S3 Inventory instead of listing, and covers what was
/// last modified before that was made.
///
/// Exit code 0: nothing is missing, or everything missing was recorded. 3: something is missing and is not in
/// the ledger. 1: the audit failed, or something could not be determined. 130: interrupted.
#[derive(Args, Debug)]
pub struct AuditArguments {
    /// What to audit: s3://bucket, or s3://bucket/prefix for the keys with that prefix
    #[arg(value_name = "S3-URI")]
    what: Keys,

    #[command(flatten)]
    pub which: Which,

    #[command(flatten)]
    pub mending: Mending,

    #[command(flatten)]
    pub files: Files,

    #[command(flatten)]
    pub s3: S3Arguments,

    #[command(flatten)]
    pub deployment: DeploymentArguments,

    /// SQS queue that notifications arrive on: what may still wait there is not reported as missing; the
    /// stack's by default
    #[arg(long, value_name = "URL", value_parser = values::queue_url, help_heading = "Deployment")]
    #[arg(env = "DAYBOOK_INTAKE_QUEUE_URL", hide_env_values = true)]
    pub intake_queue_url: Option<String>,
}

/// Which objects, and how they are judged.
#[derive(Args, Debug)]
#[command(next_help_heading = "Objects")]
pub struct Which {
    /// Name of the S3, as given to ingest [default: that of the folder's `daybook up`; aws on AWS]
    #[arg(long, value_name = "NAME", env = "DAYBOOK_SOURCE", hide_env_values = true)]
    source: Option<SourceName>,

    /// Only objects last modified at this time or later, such as 2026-11-21 (UTC) or 2026-11-21T01:02:00Z
    #[arg(long, value_name = "TIME", value_parser = values::instant_or_day)]
    pub since: Option<Timestamp>,

    /// Only objects last modified before this time
    #[arg(long, value_name = "TIME", value_parser = values::instant_or_day)]
    pub until: Option<Timestamp>,

    /// Objects younger than this are too new to be judged: their notifications may be on their way
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = values::time)]
    pub grace: Duration,

    /// Stop after this many objects; with --checkpoint the next run resumes there
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>(1, u64::MAX))]
    limit: Option<u64>,

    /// Read this S3 Inventory of the bucket (CSV or Parquet) instead of listing it: its manifest.json, as
    /// s3://bucket/key in the same S3, or as a file that was copied together with the others
    #[arg(long, value_name = "MANIFEST", value_parser = manifest)]
    inventory: Option<ManifestPlace>,

    /// Whether each version is an object of its own: ask the bucket, all, or never
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    versions: WhichVersions,

    /// How many levels of the key the final counts break down; 0 is by day only
    #[arg(long, value_name = "N", default_value_t = 1)]
    depth: usize,
}

/// What is done about what was found.
#[derive(Args, Debug)]
#[command(next_help_heading = "Repair")]
pub struct Mending {
    /// Record missing objects, after checking each a second time, so that they are processed like all others
    #[arg(long)]
    pub repair: bool,

    /// Record objects from before the watermark, too, which is when the ledger was made or the bucket attached;
    /// prompts once their number is known
    #[arg(long, conflicts_with = "limit")]
    pub backfill: bool,

    /// After how many failed attempts a recorded event is parked for a person; at least 1 [default: as the
    /// folder's `daybook up` has it; 5 on AWS]
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    pub max_attempts: Option<u32>,

    /// Record without checking the intake queue: what still waits there is recorded, and processed, twice
    #[arg(long)]
    pub skip_intake_check: bool,

    #[command(flatten)]
    pub confirm: ConfirmArguments,
}

impl Mending {
    /// Whether anything is to be recorded.
    pub fn records(&self) -> bool {
        self.repair || self.backfill
    }
}

/// What is written while it runs.
#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub struct Files {
    /// Write findings to this file, object by object: everything that is not done, and the outcome of repairs
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Format of the report; csv if its name ends so, jsonl otherwise
    #[arg(long, value_enum, value_name = "FORM", requires = "report")]
    format: Option<Form>,

    /// Report finished objects, too
    #[arg(long, requires = "report")]
    all: bool,

    /// Save progress to this file after every thousand objects, and resume from it if it exists and is
    /// unfinished
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,

    /// Number of objects, to estimate how long it takes (CloudWatch's NumberOfObjects)
    #[arg(long, value_name = "N")]
    pub expect: Option<u64>,
}

/// Whether versions are listed, as a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WhichVersions {
    /// As GetBucketVersioning says: all, unless the bucket never had versioning
    #[default]
    Ask,
    /// All, by ListObjectVersions
    All,
    /// Only the current object of each key, by ListObjectsV2: for a bucket that never had versioning
    Never,
}

impl AuditArguments {
    pub fn settings(&self, deployment: &Deployment) -> AuditSettings {
        let scope = Scope {
            source: self.which.source.clone().unwrap_or_else(|| deployment.source()),
            bucket: self.what.bucket.clone(),
            prefix: self.what.prefix.clone(),
        };
        AuditSettings {
            versions: match self.which.versions {
                WhichVersions::Ask => Versions::Ask,
                WhichVersions::All => Versions::All,
                WhichVersions::Never => Versions::Never,
            },
            inventory: self.which.inventory.clone(),
            grace: self.which.grace,
            since: self.which.since,
            until: self.which.until,
            limit: self.which.limit,
            depth: self.which.depth,
            tells_done: self.files.all,
            ..AuditSettings::new(scope)
        }
    }

    /// What must be the same when a checkpoint is resumed.
    pub fn terms(&self, location: &Location, s3: &S3Place, scope: &Scope) -> Terms {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Terms {
            deployment: match location {
                Location::Local { dir, .. } => format!("folder {}", absolute(dir).display()),
                Location::Aws { .. } => location.to_string(),
            },
            s3: s3.to_string(),
            source: scope.source.clone(),
            bucket: scope.bucket.clone(),
            prefix: scope.prefix.clone(),
            since: self.which.since,
            until: self.which.until,
            inventory: self.which.inventory.as_ref().map(|place| match place {
                ManifestPlace::S3 { .. } => place.to_string(),
                ManifestPlace::File(path) => absolute(path).display().to_string(),
            }),
            versions: format!("{:?}", self.which.versions).to_lowercase(),
            depth: self.which.depth,
            repair: self.mending.repair,
            report: self.files.report.as_ref().map(absolute),
            format: self.files.report.as_deref().map(|path| self.files.form(path)),
            all: self.files.all,
        }
    }

    /// Before AWS is asked for anything: without a stack nothing else can name the intake.
    pub fn check_intake(&self) -> Result<(), clap::Error> {
        let is_aws = self.deployment.chosen == Chosen::Aws;
        let is_known = self.deployment.aws.stack.is_some() || self.intake_queue_url.is_some();
        match is_aws && !is_known && self.mending.records() && !self.mending.skip_intake_check {
            true => Err(intake_not_given()),
            false => Ok(()),
        }
    }

    /// What `--repair` records.
    pub fn repair(&self) -> Option<Repair> {
        self.mending.repair.then_some(Repair::Missing)
    }
}

impl Files {
    pub fn form(&self, path: &std::path::Path) -> Form {
        let is_csv = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let by_name = if is_csv { Form::Csv } else { Form::Jsonl };
        self.format.unwrap_or(by_name)
    }
}

/// Where a manifest.json is.
fn manifest(text: &str) -> Result<ManifestPlace, String> {
    let Some(rest) = text.strip_prefix("s3://") else {
        return match text.contains("://") {
            true => Err("s3://bucket/key of a manifest.json, or a file, is needed".to_owned()),
            false => Ok(ManifestPlace::File(text.into())),
        };
    };
    match rest.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() && !key.ends_with('/') => {
            Ok(ManifestPlace::S3 {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            })
        }
        _ => Err("s3://bucket/key of a manifest.json is needed".to_owned()),
    }
}

/// Nothing is recorded that may still wait, and nobody said where.
pub fn intake_not_given() -> clap::Error {
    clap::Error::raw(
        ErrorKind::MissingRequiredArgument,
        "the intake queue is not given, and what still waits there must not be recorded a second time\n\n  \
         hint: name it with --intake-queue-url (DAYBOOK_INTAKE_QUEUE_URL), or the stack whose outputs name it with --stack \
         (DAYBOOK_STACK); --skip-intake-check records without looking\n",
    )
}
