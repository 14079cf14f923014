//! `daybook init`: tables and queues without CloudFormation.

pub mod make;
pub mod part;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use clap::error::ErrorKind;
use daybook_inspect::aws::answer::{Answer, Refusal};
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::queues as aws_queues;
use daybook_inspect::checks::finding;
use daybook_inspect::checks::finding::{Item, Level};
use daybook_inspect::checks::queues::Use;
use daybook_inspect::checks::role::Role;
use daybook_inspect::checks::{observe, queues, tables};
use daybook_ledger::{Cause, Clock, TableName};
use daybook_schema::tables::{LEDGER, RECEIPTS};
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::clients::Aws;
use crate::commands::setup::init::part::What;
use crate::commands::setup::watermark;
use crate::ui::confirm::ConfirmArguments;
use crate::ui::error::UserError;
use crate::ui::escape;
use crate::ui::output;
use crate::ui::output::Output;

/// Create tables and queues without CloudFormation
///
/// Creates what is missing, after showing it and prompting for confirmation: the ledger with its index, the
/// receipts with their expiry, and three standard queues with dead-letter queues; on-demand and encrypted,
/// with point-in-time recovery for the ledger and deletion protection for both tables, where the service
/// supports that. What exists is never changed; where it differs, the difference is reported. Safe to repeat.
/// Prints the variables that name the parts, as a shell takes them.
#[derive(Args, Debug)]
pub struct InitArguments {
    /// Prefix of all names: NAME-ledger and so on
    ///
    /// NAME-ledger, NAME-receipts, NAME-intake, NAME-dispatch, NAME-completion, and NAME-…-dead
    #[arg(long, value_name = "NAME", value_parser = prefix, help_heading = "Names")]
    #[arg(required_unless_present_all = ["ledger_table", "receipts_table", "intake_queue", "dispatch_queue"])]
    prefix: Option<String>,

    /// Name of the ledger table instead
    ///
    /// DAYBOOK_LEDGER_TABLE names an existing one and is not read here
    #[arg(long, value_name = "NAME", help_heading = "Names")]
    ledger_table: Option<TableName>,

    /// Name of the receipts table instead
    #[arg(long, value_name = "NAME", help_heading = "Names")]
    receipts_table: Option<TableName>,

    /// Name of the intake queue instead
    ///
    /// It takes S3's notifications
    #[arg(long, value_name = "NAME", value_parser = queue, help_heading = "Names")]
    intake_queue: Option<String>,

    /// Name of the dispatch queue instead
    ///
    /// It holds claimed events
    #[arg(long, value_name = "NAME", value_parser = queue, help_heading = "Names")]
    dispatch_queue: Option<String>,

    /// Name of the completion queue instead
    ///
    /// It takes execution status events
    #[arg(long, value_name = "NAME", value_parser = queue, help_heading = "Names")]
    completion_queue: Option<String>,

    /// Workers process events: no completion queue
    ///
    /// Not a state machine, function or queue
    #[arg(long, conflicts_with = "completion_queue", help_heading = "Names")]
    workers: bool,

    #[command(flatten)]
    confirm: ConfirmArguments,
}

/// A table or a queue, and whether it is there.
struct Part {
    what: What,
    name: String,
    /// What checks found, where it is there.
    found: Option<Vec<Item>>,
}

/// Runs it.
///
/// # Errors
/// When AWS is not configured or refuses, when what is there cannot be used, or the answer is no.
pub async fn run(arguments: InitArguments, output: Output) -> anyhow::Result<ExitCode> {
    let named = arguments.names()?;
    let aws = Aws::from_environment().await?;
    let location = format!("region {}", aws.region());
    let mut parts = Vec::new();
    for (what, name) in named {
        let found = look(&aws, what, &name, arguments.workers).await?;
        parts.push(Part { what, name, found });
    }
    eprint!("{}", plan(&parts, &location));
    if let Some(unfit) = parts.iter().find(|part| part.is_unfit()) {
        return Err(UserError::new(format!(
            "nothing was created: the {} {} exists and cannot be used as it is",
            unfit.what.words(),
            unfit.name
        ))
        .hint("fix it as described above, or choose another name")
        .into());
    }
    let missing: Vec<&Part> = parts.iter().filter(|part| part.found.is_none()).collect();
    let mut left_out = Vec::new();
    if !missing.is_empty() {
        arguments.confirm.ask("Make this?")?;
        left_out = make_all(&aws, &missing).await?;
    }
    let environment = environment(&aws, &parts).await?;
    for left in &left_out {
        eprintln!("note: {left}");
    }
    let names = |is_new: bool| -> Vec<&str> {
        let of = parts.iter().filter(|part| part.found.is_none() == is_new);
        of.map(|part| part.name.as_str()).collect()
    };
    let json = InitOutput {
        location: &location,
        made: names(true),
        kept: names(false),
        differs: parts.iter().flat_map(Part::differences).collect(),
        left_out: &left_out,
        environment: environment.iter().cloned().collect(),
    };
    let text = || {
        let lines = environment
            .iter()
            .map(|(name, value)| format!("export {name}={value}\n"));
        lines.collect::<String>()
    };
    output::print_either(output, text, &json)?;
    eprintln!(
        "next: set these where Daybook runs, and send a bucket's notifications to the intake queue with `daybook attach s3://BUCKET`"
    );
    if !arguments.workers {
        eprintln!(
            "      name the target, too: DAYBOOK_STATE_MACHINE_ARN, DAYBOOK_TARGET_FUNCTION_ARN, or DAYBOOK_TARGET_QUEUE_URL with \
             DAYBOOK_TARGET_COMPLETION; docs/targets.md has what each role must be allowed"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What was made, and what was there.
#[derive(Serialize, JsonSchema)]
pub struct InitOutput<'a> {
    /// The account and region.
    #[serde(rename = "where")]
    location: &'a str,
    /// Tables and queues that are new.
    made: Vec<&'a str>,
    /// Tables and queues that were there, and were not changed.
    kept: Vec<&'a str>,
    /// What of them differs from what Daybook would have made.
    differs: Vec<DeviationOutput<'a>>,
    /// Settings that the endpoint does not know, and that were left out.
    left_out: &'a [String],
    /// What to set where Daybook runs.
    environment: BTreeMap<String, String>,
}

/// A table or queue that was there in another form.
#[derive(Serialize, JsonSchema)]
struct DeviationOutput<'a> {
    /// The table or queue.
    name: &'a str,
    /// How bad it is.
    level: Level,
    /// In words.
    finding: &'a str,
    /// What to do about it.
    remedy: &'a str,
}

/// Makes what is missing; what the service did not take, in words.
async fn make_all(aws: &Aws, missing: &[&Part]) -> Result<Vec<String>, UserError> {
    let mut left_out = Vec::new();
    for part in missing {
        eprintln!("making {} {}", part.what.words(), part.name);
        let made = match part.what {
            What::Table(definition) => make::table(aws, definition, &part.name).await,
            What::Queue(role) => make::queue(aws, role, &part.name).await.map(|()| Vec::new()),
        };
        left_out.extend(made.map_err(|cause| refused(aws, part, &cause))?);
        if let What::Table(definition) = part.what
            && definition.role == LEDGER.role
        {
            left_out.extend(watermark::begin(aws, &part.name).await.err());
        }
    }
    Ok(left_out)
}

/// The variables that name the parts, and their values.
async fn environment(aws: &Aws, parts: &[Part]) -> Result<Vec<(String, String)>, UserError> {
    let mut environment = Vec::new();
    for part in parts {
        let variable = part.what.role().to_uppercase();
        environment.push(match part.what {
            What::Table(_) => (format!("DAYBOOK_{variable}_TABLE"), part.name.clone()),
            What::Queue(_) => {
                let url = make::url(aws, &part.name)
                    .await
                    .map_err(|cause| refused(aws, part, &cause))?;
                (format!("DAYBOOK_{variable}_QUEUE_URL"), url)
            }
        });
    }
    Ok(environment)
}

impl InitArguments {
    fn names(&self) -> Result<Vec<(What, String)>, clap::Error> {
        let name = |given: Option<String>, what: What| match (given, &self.prefix) {
            (Some(name), _) => Ok((what, name)),
            (None, Some(prefix)) => Ok((what, format!("{prefix}-{}", what.role()))),
            (None, None) => Err(clap::Error::raw(
                ErrorKind::MissingRequiredArgument,
                format!(
                    "the name of the {} is not given: --prefix names them all\n",
                    what.words()
                ),
            )),
        };
        let table = |table: &Option<TableName>| table.as_ref().map(ToString::to_string);
        let mut names = vec![
            name(table(&self.ledger_table), What::Table(&LEDGER))?,
            name(table(&self.receipts_table), What::Table(&RECEIPTS))?,
            name(self.intake_queue.clone(), What::Queue(Role::Intake))?,
            name(self.dispatch_queue.clone(), What::Queue(Role::Dispatch))?,
        ];
        if !self.workers && (self.completion_queue.is_some() || self.prefix.is_some()) {
            names.push(name(
                self.completion_queue.clone(),
                What::Queue(Role::Completion),
            )?);
        }
        Ok(names)
    }
}

impl Part {
    /// Whether it is there in a form that cannot be used. Other problems (dead letters, retention) are told and kept.
    fn is_unfit(&self) -> bool {
        let found = self.found.iter().flatten();
        found
            .into_iter()
            .any(|item| item.level == Level::Problem && item.check.is_of_form())
    }

    fn differences(&self) -> Vec<DeviationOutput<'_>> {
        let mut differences = Vec::new();
        for item in self.found.iter().flatten() {
            if matches!(item.level, Level::Problem | Level::Warning) {
                differences.push(DeviationOutput {
                    name: &self.name,
                    level: item.level,
                    finding: &item.finding,
                    remedy: &item.remedy,
                });
            }
        }
        differences
    }
}

/// What is there under that name; `None` is nothing.
async fn look(aws: &Aws, what: What, name: &str, workers: bool) -> anyhow::Result<Option<Vec<Item>>> {
    let cannot = |refusal: Refusal| {
        UserError::new(format!(
            "it could not be determined whether the {} {name} exists",
            what.words()
        ))
        .because(anyhow::anyhow!("{}", refusal.cause))
        .hint(finding::remedy(&refusal))
    };
    match what {
        What::Table(definition) => {
            let seen = observe::table(&aws.dynamodb(), name, &Clock::system()).await;
            match &seen.table {
                Answer::Absent => Ok(None),
                Answer::Unknown(refusal) => Err(cannot(refusal.clone()).into()),
                Answer::Known(_) => Ok(Some(tables::checks(&seen, definition))),
            }
        }
        What::Queue(role) => match aws_queues::url_by_name(&aws.queues(), name).await {
            Answer::Absent => Ok(None),
            Answer::Unknown(refusal) => Err(cannot(refusal).into()),
            Answer::Known(url) => {
                let seen = observe::queue(&aws.queues(), role, Some(url)).await;
                let used = Use {
                    by_workers: workers,
                    lease: daybook_manager::Dispatch::default().lease,
                };
                Ok(Some(queues::checks(&seen, used)))
            }
        },
    }
}

fn plan(parts: &[Part], location: &str) -> String {
    let mut text = format!("In {location}:\n");
    for part in parts {
        let (what, name) = (part.what.words(), &part.name);
        match &part.found {
            None => {
                let with = make::words(part.what);
                text.push_str(&format!("  make  {what} {name}: {with}\n"));
            }
            Some(items) => {
                text.push_str(&format!("  keep  {what} {name}\n"));
                for item in items.iter().filter(|item| item.level != Level::Ok) {
                    text.push_str(&format!(
                        "        {}: {}\n",
                        item.level.word(),
                        escape::escaped(&item.finding)
                    ));
                    if !item.remedy.is_empty() {
                        text.push_str(&format!("        → {}\n", escape::escaped(&item.remedy)));
                    }
                }
            }
        }
    }
    text
}

fn refused(aws: &Aws, part: &Part, cause: &Cause) -> UserError {
    let resource = match part.what {
        What::Table(_) => AwsResource::Ledger,
        What::Queue(_) => AwsResource::Queue,
    };
    UserError::new(format!(
        "the {} {} cannot be created",
        part.what.words(),
        part.name
    ))
    .because(anyhow::anyhow!("{cause}"))
    .hint_if_any(aws.advice(resource, cause).or_else(|| {
        Some(
            "what was created before it is kept: run the same command again when the cause is fixed"
                .to_owned(),
        )
    }))
}

/// A name that queues' and tables' names can begin with.
fn prefix(text: &str) -> Result<String, String> {
    // The longest name is made of it and "-completion-dead".
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match !text.is_empty() && text.len() <= 60 && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("1 to 60 letters, digits, hyphens and underscores are needed".to_owned()),
    }
}

/// A standard queue's name ("CreateQueue", SQS API Reference), with room for `-dead`.
fn queue(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match !text.is_empty() && text.len() <= 75 && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => {
            Err("1 to 75 letters, digits, hyphens and underscores are needed: a name, not a URL".to_owned())
        }
    }
}
