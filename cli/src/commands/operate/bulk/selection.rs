//! Which rows: named ones, or all that a filter lets through.

use clap::Args;
use clap::error::ErrorKind;
use daybook_inspect::object_ref::Wanted;
use daybook_inspect::operate::selected::{Selected, Selection};
use daybook_schema::Status;

use crate::args::filter::Filter;
use crate::commands::operate::bulk::progress::Progress;
use crate::deployment::Deployment;
use crate::ui::error::UserError;
use crate::ui::escape;

/// How many named events that are not selected are told one by one.
const TOLD: usize = 5;

/// Which events. Something must be said: no command changes all events because nothing was said.
#[derive(Args, Debug)]
#[command(next_help_heading = "Rows")]
pub struct SelectionArguments {
    /// Event ids, or s3://bucket/key for its open events
    ///
    /// ?versionId=… after a key names one version. Exit code 1 if the verb applies to none
    #[arg(value_name = "ID|S3-URI", conflicts_with_all = ["prefix", "error", "older_than", "all"])]
    named: Vec<Wanted>,

    #[command(flatten)]
    filter: Filter,

    /// All events that the command applies to
    #[arg(long, conflicts_with_all = ["prefix", "error", "older_than"])]
    all: bool,
}

impl SelectionArguments {
    /// Something must be said.
    ///
    /// # Errors
    /// A usage error of clap's, when nothing is.
    pub fn check(&self, by_status: bool) -> Result<(), clap::Error> {
        let is_said = by_status || self.all || !self.named.is_empty() || !self.filter.is_empty();
        if is_said {
            return Ok(());
        }
        Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "no events are selected; select them with one of these:\n  \
             ID or s3://bucket/key …             single events, or the open events of objects\n  \
             --prefix, --error, --older-than …   all that these let through\n  \
             --all                               all of them\n\n  \
             hint: --dry-run shows how many that would be, and a few of them\n",
        ))
    }

    /// Whether single events are named, or objects.
    pub fn names_events(&self) -> bool {
        !self.named.is_empty()
    }

    /// Reads what is selected, of rows in these statuses.
    ///
    /// # Errors
    /// When not all of the ledger that matters could be read: nobody could say how many there are.
    pub async fn select(
        &self,
        deployment: &Deployment,
        statuses: &[Status],
        progress: &Progress,
    ) -> Result<Selected, UserError> {
        let selection = Selection {
            named: self.named.clone(),
            filter: self.filter.plain(),
            most: None,
        };
        let reading = |read, selected| progress.reading(read, selected);
        let read = Selected::read(&deployment.ledger, &selection, statuses, &reading).await;
        progress.clear();
        match read {
            Ok(selected) => Ok(selected),
            Err(failure) => {
                let advice = deployment.location.advice(&failure);
                Err(
                    UserError::new("nothing was changed: the ledger could not be read to its end")
                        .because(anyhow::anyhow!("{failure}"))
                        .hint_if_any(advice),
                )
            }
        }
    }
}

/// Says on stderr what was named and is not selected.
pub fn tell_passed_over(selected: &Selected) {
    for what in selected.passed_over.iter().take(TOLD) {
        eprintln!("note: {}", escape::escaped(what));
    }
    if let Some(more) = selected.passed_over.len().checked_sub(TOLD + 1) {
        eprintln!("note: and {} more are passed over", more + 1);
    }
}
