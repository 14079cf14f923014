//! The event as environment variables.

use daybook_schema::{BatchId, CloudEvent, ExecutionInput};

/// The file in which a command lists the events of its batch that failed.
pub(super) const FAILURES: &str = "DAYBOOK_FAILURES";

/// The variables of one run. Those without a value must not be set: what an event does not have must not be inherited from the
/// worker's own environment.
pub(super) type Variables = Vec<(&'static str, Option<String>)>;

/// The variables that describe one event: none of them is set for a batch, whose events are on stdin.
const OF_ONE_EVENT: [&str; 18] = [
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
    "DAYBOOK_CE_ID",
    "DAYBOOK_CE_SOURCE",
    "DAYBOOK_CE_TYPE",
    "DAYBOOK_CE_SUBJECT",
    "DAYBOOK_CE_PARTITIONKEY",
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
    let general = input.general.as_deref();
    let of_object = |value: &dyn ToString| general.is_none().then(|| value.to_string());
    let of_general = |value: fn(&CloudEvent) -> Option<&str>| general.and_then(value).map(str::to_owned);
    let variables: Variables = vec![
        ("DAYBOOK_ID", Some(input.id.to_string())),
        ("DAYBOOK_ATTEMPT", Some(input.attempt.to_string())),
        ("DAYBOOK_SOURCE", Some(input.source.to_string())),
        ("DAYBOOK_BUCKET", of_object(&input.bucket)),
        ("DAYBOOK_KEY", of_object(&input.key)),
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
        ("DAYBOOK_CE_ID", of_general(|event| Some(&event.id))),
        ("DAYBOOK_CE_SOURCE", of_general(|event| Some(&event.source))),
        ("DAYBOOK_CE_TYPE", of_general(|event| Some(&event.event_type))),
        ("DAYBOOK_CE_SUBJECT", of_general(|event| event.subject.as_deref())),
        ("DAYBOOK_CE_PARTITIONKEY", of_general(CloudEvent::partition_key)),
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
            "{name} would have a NUL character in it, which no environment variable can hold; an HTTP target can take such events"
        )),
    }
}

#[cfg(test)]
mod tests {
    use daybook_schema::Attempt;
    use daybook_tests::notifications::Upload;

    use super::*;

    #[test]
    fn a_general_event_has_no_object_and_an_object_event_no_cloud_event() {
        let event = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"view","subject":"user/42"}"#;
        let read = daybook_schema::notification::read(event, &Default::default());
        let general = of(&ExecutionInput::new(&read.events[0], Attempt(1)), None).unwrap();
        let object = of(
            &ExecutionInput::new(&Upload::new("k", 1, "e").event(), Attempt(1)),
            None,
        )
        .unwrap();
        let value = |variables: &Variables, name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.unwrap().1.clone()
        };
        assert_eq!(value(&general, "DAYBOOK_CE_SUBJECT").as_deref(), Some("user/42"));
        assert_eq!(value(&general, "DAYBOOK_CE_SOURCE").as_deref(), Some("/shop"));
        assert_eq!(value(&object, "DAYBOOK_KEY").as_deref(), Some("k"));
        for name in ["DAYBOOK_BUCKET", "DAYBOOK_KEY"] {
            assert_eq!(value(&general, name), None, "{name}");
        }
        for (name, value) in object.iter().filter(|(name, _)| name.starts_with("DAYBOOK_CE_")) {
            assert_eq!(value, &None, "{name}");
        }
    }

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
