//! The object event as environment variables.

use daybook_schema::{BatchId, ExecutionInput};

/// The file in which a command lists the events of its batch that failed.
pub(super) const FAILURES: &str = "DAYBOOK_FAILURES";

/// The variables of one run. Those without a value must not be set: what an event does not have must not be inherited from the
/// worker's own environment.
pub(super) type Variables = Vec<(&'static str, Option<String>)>;

/// The variables that describe one event: none of them is set for a batch, whose events are on stdin.
const OF_ONE_EVENT: [&str; 13] = [
    "DAYBOOK_ID",
    "DAYBOOK_ATTEMPT",
    "DAYBOOK_SOURCE",
    "DAYBOOK_BUCKET",
    "DAYBOOK_KEY",
    "DAYBOOK_VERSION_ID",
    "DAYBOOK_KIND",
    "DAYBOOK_ETAG",
    "DAYBOOK_SIZE",
    "DAYBOOK_SEQUENCER",
    "DAYBOOK_EVENT",
    "DAYBOOK_EVENT_TIME",
    "DAYBOOK_REGION",
];

/// The variables of a batch's run, but for [`FAILURES`].
pub(super) fn of_batch(batch: BatchId, trace: Option<&str>) -> Variables {
    let unset = OF_ONE_EVENT.into_iter().chain(["DAYBOOK_TOKEN"]);
    let set = [
        ("DAYBOOK_BATCH", Some(batch.to_string())),
        ("_X_AMZN_TRACE_ID", trace.map(str::to_owned)),
    ];
    unset.map(|name| (name, None)).chain(set).collect()
}

/// The variables of the run of one event.
///
/// # Errors
/// Names the variable whose value has a NUL in it: no environment can hold one. Leaving it out, or cutting it, would give a
/// script no key or another key to work on, so there is no run at all.
pub(super) fn of(input: &ExecutionInput, trace: Option<&str>) -> Result<Variables, String> {
    let variables: Variables = vec![
        ("DAYBOOK_ID", Some(input.id.to_string())),
        ("DAYBOOK_ATTEMPT", Some(input.attempt.to_string())),
        ("DAYBOOK_SOURCE", Some(input.source.to_string())),
        ("DAYBOOK_BUCKET", Some(input.bucket.to_string())),
        ("DAYBOOK_KEY", Some(input.key.to_string())),
        ("DAYBOOK_VERSION_ID", input.version_id.clone()),
        ("DAYBOOK_KIND", Some(input.kind.to_string())),
        ("DAYBOOK_ETAG", input.etag.clone()),
        ("DAYBOOK_SIZE", input.size.map(|size| size.to_string())),
        (
            "DAYBOOK_SEQUENCER",
            input
                .sequencer
                .as_ref()
                .map(|sequencer| sequencer.as_str().to_owned()),
        ),
        ("DAYBOOK_EVENT", Some(input.event_name.clone())),
        ("DAYBOOK_EVENT_TIME", input.event_time.map(|at| at.to_string())),
        ("DAYBOOK_REGION", input.region.clone()),
        ("_X_AMZN_TRACE_ID", trace.map(str::to_owned)),
        ("DAYBOOK_BATCH", None),
        (FAILURES, None),
        // What senders of events must know is nothing that a command needs.
        ("DAYBOOK_TOKEN", None),
    ];
    let has_nul = |value: &Option<String>| value.as_ref().is_some_and(|value| value.contains('\0'));
    match variables.iter().find(|(_, value)| has_nul(value)) {
        None => Ok(variables),
        Some((name, _)) => Err(format!(
            "{name} would have a NUL character in it, which no environment variable can hold; an HTTP target can take such objects"
        )),
    }
}

#[cfg(test)]
mod tests {
    use daybook_schema::Attempt;
    use daybook_tests::notifications::Upload;

    use super::*;

    #[test]
    fn a_batch_has_no_variable_of_a_single_event_and_inherits_none() {
        let input = ExecutionInput::new(&Upload::new("k", 1, "e").event(), Attempt(1));
        let single = of(&input, None).unwrap();
        let batch = of_batch("00000000000000000000000000000001".parse().unwrap(), Some("trace"));
        for (name, _) in &single {
            let expected = match *name {
                "DAYBOOK_BATCH" => Some("00000000000000000000000000000001"),
                "_X_AMZN_TRACE_ID" => Some("trace"),
                FAILURES => continue,
                _ => None,
            };
            let found = batch.iter().find(|(of_batch, _)| of_batch == name);
            assert_eq!(found.map(|(_, value)| value.as_deref()), Some(expected), "{name}");
        }
    }
}
