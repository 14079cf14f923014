//! How a run ends that could not do everything.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::aws::clients::{Aws, Thing};
use crate::deployment::Place;
use crate::ui::error::Advised;

/// How a run ended: an error that lists the failures, if there are any.
///
/// # Errors
/// When there are failures.
pub fn end(run: &str, failures: &[String], aws: &Aws, thing: Thing) -> anyhow::Result<ExitCode> {
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
    let advice = aws.advice(thing, first);
    Err(Advised::new(what)
        .because(anyhow::anyhow!(failures.join("\n  caused by: ")))
        .hint_if_any(advice)
        .into())
}

/// How a look at a deployment ended: an error that lists what could not be found out, if there is anything. What could be is
/// on stdout.
///
/// # Errors
/// When there are failures.
pub fn incomplete(failures: &[String], place: &Place) -> anyhow::Result<ExitCode> {
    let Some(first) = failures.first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let advice = place.advice(Thing::of(first), first);
    Err(
        Advised::new("not everything could be found out; what is missing is called unknown")
            .because(anyhow::anyhow!(failures.join("\n  caused by: ")))
            .hint_if_any(advice)
            .into(),
    )
}

/// Why shards of a status could not be read, each cause once: all shards of a table tend to fail alike.
pub fn shard_failures(failures: Vec<String>) -> Vec<String> {
    let mut causes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for failure in failures {
        let (shard, cause) = failure.split_once(": ").unwrap_or(("", &failure));
        causes.entry(cause.to_owned()).or_default().push(shard.to_owned());
    }
    let told = causes.into_iter().map(|(cause, shards)| match shards.as_slice() {
        [shard] => format!("Query {shard}: {cause}"),
        [first, ..] => format!("Query {first} and {} more shards: {cause}", shards.len() - 1),
        [] => cause,
    });
    told.collect()
}
