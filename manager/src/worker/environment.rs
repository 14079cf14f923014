//! The object event as environment variables.

use daybook_schema::ExecutionInput;

/// The variables of one run. Those without a value must not be set: what an event does not have must not be inherited from the
/// worker's own environment.
pub(super) type Variables = Vec<(&'static str, Option<String>)>;

/// The variables of one run.
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
