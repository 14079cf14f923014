//! How a run ends that could not do everything.

use std::process::ExitCode;

use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::failure::Failure;
use daybook_ledger::Cause;

use crate::aws::clients::Aws;
use crate::deployment::Location;
use crate::ui::error;
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
        .because(error::listed(failures))
        .hint_if_any(advice)
        .into())
}

/// How a look at a deployment ended: an error that lists what could not be found out, if there is anything. What could be is
/// on stdout.
///
/// # Errors
/// When there are failures.
pub fn incomplete(failures: &[Failure], location: &Location) -> anyhow::Result<ExitCode> {
    let Some(first) = failures.first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let advice = location.advice(first);
    Err(
        UserError::new("not everything could be determined; what is missing is shown as unknown")
            .because(error::listed(failures))
            .hint_if_any(advice)
            .into(),
    )
}
