//! `daybook pause`, `daybook resume` and `daybook set`: dispatch as a whole, while it runs.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::error::ErrorKind;
use daybook_inspect::wording::dispatch;
use daybook_inspect::wording::dispatch::{DispatchOutput, per_window_words};
use daybook_ledger::{Clock, Control, LedgerError, Person};
use daybook_schema::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::operator::ByArguments;
use crate::args::{operator, values};
use crate::deployment::people;
use crate::deployment::{Deployment, DeploymentArguments};
use crate::ui::escape;
use crate::ui::output;
use crate::ui::output::Line;
use crate::ui::output::Output;

/// Stop dispatch until it is resumed, or until a given time
///
/// Events are still recorded, what was already sent runs and completes, and no attempts are used. A pause in
/// force is replaced. The ledger keeps who, why and until when; `daybook status` shows it.
#[derive(Args, Debug)]
pub struct PauseArguments {
    /// How long, or until when: 2h, 2026-12-01, or a time
    ///
    /// A time is RFC 3339, such as 2026-12-01T06:00:00Z; a day begins in UTC. Dispatch resumes by itself
    /// then, and by default only by `daybook resume`
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Until>,

    /// Why, kept in the ledger
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    why: Option<String>,

    #[command(flatten)]
    by: ByArguments,

    #[command(flatten)]
    deployment: DeploymentArguments,
}

/// Resume dispatch after a pause
///
/// Events that became due meanwhile are sent within N per window, oldest first. If dispatch is not paused,
/// nothing changes.
#[derive(Args, Debug)]
pub struct ResumeArguments {
    /// Why, kept in the log of a folder; on AWS it is kept nowhere
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    why: Option<String>,

    #[command(flatten)]
    by: ByArguments,

    #[command(flatten)]
    deployment: DeploymentArguments,
}

/// Set N, the number of events per window, while it runs
///
/// It applies from the next run of each scheduler and sweep of the deployment, and overrides their
/// configuration. What was granted in the current window counts. The ledger keeps who and why; `daybook
/// status` shows it.
#[derive(Args, Debug)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("n").required(true).args(["per_window", "per_window_as_configured"]))]
pub struct SetArguments {
    /// N from now on, at least 1
    ///
    /// `daybook pause` stops dispatch
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    per_window: Option<u32>,

    /// Return to N as it is configured
    ///
    /// As schedulers and sweeps have it
    #[arg(long)]
    per_window_as_configured: bool,

    /// Why, kept in the ledger
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    why: Option<String>,

    #[command(flatten)]
    by: ByArguments,

    #[command(flatten)]
    deployment: DeploymentArguments,
}

/// When a pause ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    At(Timestamp),
    After(Duration),
}

fn until(text: &str) -> Result<Until, String> {
    if values::time(text).is_ok_and(|length| length.is_zero()) {
        return Err("a pause of no length ends as it begins; give one such as 30m or 2h".to_owned());
    }
    let length = || values::time(text).ok();
    values::instant_or_day(text.trim())
        .ok()
        .map(Until::At)
        .or_else(|| length().map(Until::After))
        .ok_or_else(|| {
            "a length of time such as 30m or 2h, a day such as 2026-12-01 (in UTC), or an RFC 3339 time such as \
             2026-12-01T06:00:00Z, is needed"
                .to_owned()
        })
}

impl Until {
    fn from(self, now: Timestamp) -> Result<Timestamp, clap::Error> {
        let at = match self {
            Self::At(at) => at,
            Self::After(length) => now.plus(length),
        };
        match at > now {
            true => Ok(at),
            false => Err(clap::Error::raw(
                ErrorKind::ValueValidation,
                format!("--until: {at} has passed; a time to come is needed\n"),
            )),
        }
    }
}

/// Pauses.
///
/// # Errors
/// When the deployment cannot be found, or its control item not be written.
pub async fn pause(arguments: PauseArguments, output: Output) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    let until = arguments.until.map(|until| until.from(now)).transpose()?;
    let by = arguments.by.name();
    let why = arguments.why.unwrap_or_default();
    let deployment = arguments.deployment.open("pause").await?;
    let what = until.map_or_else(|| "pause".to_owned(), |until| format!("pause until {until}"));
    let who = (by.as_str(), Some(why.as_str()).filter(|why| !why.is_empty()));
    change(&deployment, output, (what.as_str(), who), async || {
        deployment.ledger.pause(until, &by, &why).await
    })
    .await
}

/// Resumes.
///
/// # Errors
/// As [`pause`].
pub async fn resume(arguments: ResumeArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open("resume").await?;
    let by = arguments.by.name();
    let who = (by.as_str(), arguments.why.as_deref());
    change(&deployment, output, ("resume", who), async || {
        deployment.ledger.resume().await
    })
    .await
}

/// Sets N.
///
/// # Errors
/// As [`pause`].
pub async fn set(arguments: SetArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open("set").await?;
    let (n, by) = (arguments.per_window, arguments.by.name());
    let person = Person {
        by: &by,
        why: arguments.why.as_deref(),
    };
    let what = n.map_or_else(
        || "set N as configured".to_owned(),
        |n| format!("set {n} per window"),
    );
    change(
        &deployment,
        output,
        (what.as_str(), (person.by, person.why)),
        async || deployment.ledger.set_per_window(n, person).await,
    )
    .await
}

/// Where dispatch stood before, and stands now.
#[derive(Serialize, JsonSchema)]
pub struct ChangeOutput {
    /// The deployment.
    #[serde(rename = "where")]
    location: String,
    /// As it was.
    before: DispatchOutput,
    /// As it is.
    after: DispatchOutput,
}

/// Changes the control item, and says what it was before and is now.
async fn change(
    deployment: &Deployment,
    output: Output,
    (what, who): (&str, (&str, Option<&str>)),
    write: impl AsyncFnOnce() -> Result<(), LedgerError>,
) -> anyhow::Result<ExitCode> {
    let ledger = &deployment.ledger;
    let failed = |error| deployment.location.ledger_failure(error);
    let before = ledger.control().await.map_err(failed)?;
    write().await.map_err(failed)?;
    people::keep(deployment.dir(), ledger.clock().now(), what, who);
    let after = ledger.control().await.map_err(failed)?;
    let now = ledger.clock().now();
    let words = |control: &Control| {
        let pause = match control.pause(now) {
            Some(pause) => format!("is paused {}", escape::escaped(&dispatch::paused(&pause))),
            None => "is not paused".to_owned(),
        };
        format!(
            "dispatch {pause}; {}",
            escape::escaped(&per_window_words(control))
        )
    };
    let lines: Vec<Line> = vec![
        ("where", deployment.location.to_string(), ""),
        ("before", words(&before), ""),
        ("now", words(&after), ""),
    ];
    let json = ChangeOutput {
        location: deployment.location.to_string(),
        before: DispatchOutput::of(&before, now),
        after: DispatchOutput::of(&after, now),
    };
    output::print(output, &lines, &json)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_after_a_while_or_at_a_time_to_come() {
        let now: Timestamp = "2026-11-21T01:00:00.000Z".parse().unwrap();
        let ends = |text: &str| until(text).unwrap().from(now);
        assert_eq!(ends("2h").unwrap().to_string(), "2026-11-21T03:00:00.000Z");
        assert_eq!(
            ends("2026-11-21T02:00:00+00:00").unwrap().to_string(),
            "2026-11-21T02:00:00.000Z"
        );
        assert!(ends("2026-11-21T01:00:00Z").is_err());
        // A day is the instant at which it begins.
        assert_eq!(
            ends("2026-11-22").unwrap().to_string(),
            "2026-11-22T00:00:00.000Z"
        );
        assert!(ends("2026-11-21").is_err());
        assert_ne!(
            until("0s"),
            until("soon"),
            "they are refused for different reasons"
        );
        for bad in ["", "0", "tomorrow", "-1h", "2h ago"] {
            assert!(until(bad).is_err(), "{bad}");
        }
    }
}
