//! How a run ends that could not do everything.

use std::collections::BTreeMap;
use std::process::ExitCode;

use daybook_ledger::{Cause, DueRows};
use daybook_schema::StatusShard;

use crate::aws::clients::{Aws, AwsResource};
use crate::aws::failure;
use crate::aws::failure::Failure;
use crate::deployment::Place;
use crate::ui::error::UserError;

/// How a run ended: an error that lists the failures, if there are any.
///
/// # Errors
/// When there are failures.
pub fn end(run: &str, failures: &[Cause], aws: &Aws, about: AwsResource) -> anyhow::Result<ExitCode> {
    let Some(first) = failures.first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let what = match failures {
        [_] => format!("{run} could not do all of its work"),
        _ => format!(
            "{run} could not do all of its work, for {} reasons",
            failures.len()
        ),
    };
    let advice = aws.advice(about, first);
    Err(UserError::new(what)
        .because(failure::listed(failures))
        .hint_if_any(advice)
        .into())
}

/// How a look at a deployment ended: an error that lists what could not be found out, if there is anything. What could be is
/// on stdout.
///
/// # Errors
/// When there are failures.
pub fn incomplete(failures: &[Failure], place: &Place) -> anyhow::Result<ExitCode> {
    let Some(first) = failures.first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let advice = place.advice(first);
    Err(
        UserError::new("not everything could be determined; what is missing is shown as unknown")
            .because(failure::listed(failures))
            .hint_if_any(advice)
            .into(),
    )
}

/// Why shards of a status could not be read, each cause once: all shards of a table tend to fail alike.
pub fn shard_failures(due: &DueRows<'_>) -> Vec<Failure> {
    let mut causes: BTreeMap<Cause, Vec<StatusShard>> = BTreeMap::new();
    let mut versions = Vec::new();
    for (shard, cause) in due.shard_failures() {
        match shard {
            Some(shard) => causes.entry(cause).or_default().push(shard),
            None => versions.push(cause),
        }
    }
    let of_shards = causes.into_iter().map(|(cause, shards)| match shards.as_slice() {
        [shard] => cause.of(format_args!("Query {shard}")),
        [first, ..] => cause.of(format_args!("Query {first} and {} more shards", shards.len() - 1)),
        [] => cause,
    });
    of_shards.chain(versions).map(Failure::of_ledger).collect()
}
