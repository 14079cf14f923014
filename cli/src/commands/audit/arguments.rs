//! What `daybook audit` can be asked for.
use std::io::ErrorKind as ErrorKindOfIo;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use daybook_reconciler::audit::{AuditSettings, Keys, ManifestPlace, Repair, Scope, Versions};
use daybook_schema::{SourceName, Timestamp};

use crate::args::values;
use crate::commands::audit::checkpoint::Terms;
use crate::commands::audit::findings::Form;
use crate::commands::audit::{checkpoint, findings};
use crate::deployment::s3::{S3Arguments, S3Place};
use crate::deployment::{Chosen, Deployment, DeploymentArguments, Location};
use crate::ui::confirm::ConfirmArguments;
use crate::ui::error::UserError;

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
    /// s3://bucket, or s3://bucket/prefix for keys with that prefix
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
    /// Name of the S3, as given to ingest
    ///
    /// By default that of the folder's `daybook up`, and aws on AWS
    #[arg(long, value_name = "NAME", env = "DAYBOOK_SOURCE", hide_env_values = true)]
    source: Option<SourceName>,

    /// Only objects modified from then on: 2026-11-21
    ///
    /// The last modification counts; a day is in UTC, and a time is as 2026-11-21T01:02:00Z
    #[arg(long, value_name = "TIME", value_parser = values::instant_or_day)]
    pub since: Option<Timestamp>,

    /// Only objects modified before that
    #[arg(long, value_name = "TIME", value_parser = values::instant_or_day)]
    pub until: Option<Timestamp>,

    /// Judge no object younger than this
    ///
    /// Its notification may still be on its way
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = values::time)]
    pub grace: Duration,

    /// Stop after this many objects
    ///
    /// With --checkpoint the next run resumes there
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>(1, u64::MAX))]
    limit: Option<u64>,

    /// Read this S3 Inventory instead of listing
    ///
    /// MANIFEST is its manifest.json, of CSV or Parquet: s3://bucket/key in the same S3, or a file that was
    /// copied together with the others
    #[arg(long, value_name = "MANIFEST", value_parser = manifest)]
    inventory: Option<ManifestPlace>,

    /// Versions listed: ask, all or never
    ///
    /// With ask, the bucket says: all, unless it never had versioning. All uses ListObjectVersions, never
    /// ListObjectsV2
    #[arg(
        long,
        value_name = "WHICH",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    versions: WhichVersions,

    /// Levels of the key in the final counts
    ///
    /// 0 is by day only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::whole::<usize>(0, u64::MAX))]
    depth: usize,
}

/// What is done about what was found.
#[derive(Args, Debug)]
#[command(next_help_heading = "Repair")]
pub struct Mending {
    /// Record missing objects, so that they are processed
    ///
    /// Each is checked a second time before
    #[arg(long)]
    pub repair: bool,

    /// Record objects from before the watermark, too
    ///
    /// The watermark is when the ledger was made or the bucket attached; prompts once their number is known
    #[arg(long, conflicts_with = "limit")]
    pub backfill: bool,

    /// Failed attempts until an event is parked
    ///
    /// Then it waits for a person; at least 1. By default as the folder's `daybook up` has it, and 5 on AWS
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    pub max_attempts: Option<u32>,

    /// Do not check the intake queue before recording
    ///
    /// What still waits there is recorded, and processed, twice
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
    /// Write findings to this file, one per object
    ///
    /// It has everything that is not done, and the outcome of repairs
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Form of the report
    ///
    /// It is csv if the file's name ends so, and jsonl otherwise
    #[arg(long, value_enum, value_name = "FORM", requires = "report")]
    format: Option<Form>,

    /// Report finished objects, too
    #[arg(long, requires = "report")]
    all: bool,

    /// Save progress in this file, and resume from it
    ///
    /// It is saved after every thousand objects; a run resumes if it exists and is unfinished
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,

    /// Number of objects, to estimate the time
    ///
    /// CloudWatch's NumberOfObjects has it
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>(0, u64::MAX))]
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

    /// What can be refused before anything is asked for.
    ///
    /// # Errors
    /// A usage error of clap's, or that a file cannot be written.
    pub fn check(&self) -> anyhow::Result<()> {
        self.check_intake()?;
        if let (Some(since), Some(until)) = (self.which.since, self.which.until)
            && since >= until
        {
            let why = format!("{since} is not before --until, {until}: no object would be audited");
            return Err(values::usage_of("since", &why).into());
        }
        Ok(self.files.check()?)
    }

    /// Before AWS is asked for anything: without a stack nothing else can name the intake.
    fn check_intake(&self) -> Result<(), clap::Error> {
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
    /// Whether each has a folder; the first page is written only after the bucket was asked for it.
    fn check(&self) -> Result<(), UserError> {
        if let Some(path) = &self.report {
            check_folder(path).map_err(|error| findings::cannot_write(&path.display().to_string(), error))?;
        }
        if let Some(path) = &self.checkpoint {
            check_folder(path).map_err(|error| checkpoint::cannot_write(path, error))?;
        }
        Ok(())
    }

    pub fn form(&self, path: &std::path::Path) -> Form {
        let is_csv = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let by_name = if is_csv { Form::Csv } else { Form::Jsonl };
        self.format.unwrap_or(by_name)
    }
}

fn check_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if !std::fs::metadata(folder.unwrap_or(Path::new(".")))?.is_dir() {
        return Err(ErrorKindOfIo::NotADirectory.into());
    }
    match file.is_dir() {
        true => Err(ErrorKindOfIo::IsADirectory.into()),
        false => Ok(()),
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
