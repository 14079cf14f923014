use std::time::Duration;

use daybook_ledger::Clock;
use daybook_schema::Status;
use daybook_tests::lambda::{Environment, FaultyAws, batch, failures, trace_of};
use daybook_tests::notifications::{Upload, uploads};
use serde_json::{Value, json};

use crate::{INGEST, NOWHERE};

/// No notification, and too large to be kept in a row (400 KB).
fn poison() -> String {
    json!({"what": "x".repeat(500_000)}).to_string()
}

fn one() -> Value {
    batch([("m", Upload::new("a.json", 1, "e").notification())])
}

#[test]
fn events_are_recorded_and_exactly_the_poison_comes_again() {
    let world = FaultyAws::start();
    let mut function = Environment::start(INGEST, &world.variables(&[]));
    let event = batch([
        ("good", Upload::new("a.json", 1, "e").notification()),
        ("poison", poison()),
        ("unreadable", "hello".to_owned()),
        ("bridge", Upload::new("b.json", 2, "e").event_bridge()),
    ]);
    let answer = function.invoke(&event);
    assert_eq!(failures(answer.response()), ["poison"]);
    let rows = world.rows();
    let in_status = |status| rows.iter().filter(|row| row.status == status).count();
    assert_eq!((in_status(Status::Pending), in_status(Status::Parked)), (2, 1));
    let traces: Vec<_> = rows.iter().filter_map(|row| row.trace.clone()).collect();
    assert!(traces.contains(&trace_of("good")), "{traces:?}");

    let told = function.end();
    let metric = |name| told.metric("request-1", name);
    assert_eq!(metric("EventsRecorded"), Some(2.0));
    assert_eq!(metric("PayloadsUnreadable"), Some(1.0));
    assert_eq!(metric("MessagesReturned"), Some(1.0));
    assert_eq!((metric("EventsDuplicate"), metric("Failures")), (None, None));
    assert!(metric("OldestReturnedSeconds").is_some());
    let warning = &told.saying("an event is not in the ledger")[0];
    assert_eq!(warning["requestId"], "request-1");
    assert_eq!(warning["xrayTraceId"], trace_of("request-1"));
    assert_eq!(warning["sqs.message_id"], "poison");
    assert_eq!(warning["trace.link"], trace_of("poison"));
    assert_eq!(
        (&warning["level"], &warning["function"]),
        (&json!("WARN"), &json!("ingest"))
    );
}

/// SQS's own age of the oldest message leaves out what was received three times: during an outage that is all of them.
#[test]
fn the_age_of_the_oldest_message_that_comes_again_is_told_by_function() {
    let world = FaultyAws::start();
    let mut function = Environment::start(INGEST, &world.variables(&[]));
    let now = Clock::system().now().unix_millis();
    let ago = |hours: i64| json!((now - hours * 3_600_000).to_string());
    // The oldest is recorded; of those that come again, one does not say when it was sent.
    let mut event = batch([
        ("oldest", Upload::new("a.json", 1, "e").notification()),
        ("old", poison()),
        ("new", poison()),
        ("timeless", poison()),
    ]);
    for (n, sent) in [ago(9), ago(3), ago(1), json!("soon")].into_iter().enumerate() {
        event["Records"][n]["attributes"]["SentTimestamp"] = sent;
    }
    let answer = function.invoke(&event);
    assert_eq!(failures(answer.response()), ["old", "new", "timeless"]);
    function.invoke(&one());
    // Cut off, with everything to come again.
    world.hang_after("BatchExecuteStatement", 0);
    function.invoke_within(&event, Duration::from_secs(4));
    let told = function.end();
    for dimensions in [&["Stack"] as &[&str], &["Stack", "Function"]] {
        let age = |request| told.metric_by(dimensions, request, "OldestReturnedSeconds");
        let hours = age("request-1").unwrap() / 3600.0;
        assert!((3.0..3.1).contains(&hours), "{hours}");
        assert_eq!(age("request-2"), None, "nothing came again");
        let hours = age("request-3").unwrap() / 3600.0;
        assert!(hours >= 3.0, "{hours}");
    }
}

#[test]
fn a_warm_process_keeps_nothing_of_the_invocation_before() {
    let world = FaultyAws::start();
    let mut function = Environment::start(INGEST, &world.variables(&[]));
    for _ in 0..2 {
        let answer = function.invoke(&one());
        assert_eq!(failures(answer.response()), [""; 0]);
    }
    let answer = function.invoke(&json!({}));
    assert!(answer.error().starts_with("InvalidEvent: "));
    let answer = function.invoke(&one());
    assert_eq!(failures(answer.response()), [""; 0]);
    assert_eq!(world.rows().len(), 1);

    let told = function.end();
    let metrics = |request| {
        ["EventsRecorded", "EventsDuplicate", "Failures"]
            .map(|name| told.metric(request, name).unwrap_or(0.0))
    };
    assert_eq!(metrics("request-1"), [1.0, 0.0, 0.0]);
    assert_eq!(metrics("request-2"), [0.0, 1.0, 0.0]);
    assert_eq!(metrics("request-3"), [0.0, 0.0, 1.0]);
    assert_eq!(metrics("request-4"), [0.0, 1.0, 0.0]);
    assert_eq!(
        told.metric_by(&["Stack", "Function"], "request-3", "Failures"),
        Some(1.0)
    );
    // A row and its entry in the index.
    assert_eq!(told.metric("request-1", "WriteUnits"), Some(2.0));
    let by_function = told.metric_by(&["Stack", "Function"], "request-1", "WriteUnits");
    assert_eq!(by_function, Some(2.0));
    for request in ["request-1", "request-2", "request-3", "request-4"] {
        assert_eq!(told.log_of(request).len(), 1, "{:?}", told.log_of(request));
    }
}

#[test]
fn what_is_no_batch_of_a_queue_is_an_error_and_never_a_silent_success() {
    let world = FaultyAws::start();
    let mut function = Environment::start(INGEST, &world.variables(&[]));
    let mut with = |event: Value| function.invoke(&event).error();
    let message = json!({"messageId": "m", "body": "{}", "eventSource": "aws:sqs"});
    let without = |field: &str| {
        let mut message = message.clone();
        message.as_object_mut().unwrap().remove(field);
        json!({"Records": [message]})
    };
    for (event, why) in [
        (Value::Null, "it has no list of Records"),
        (json!([]), "it has no list of Records"),
        (json!("Records"), "it has no list of Records"),
        (
            json!({"time": "2026-11-21T01:02:00Z"}),
            "it has no list of Records",
        ),
        (json!({"Records": "none"}), "it has no list of Records"),
        (json!({"Records": []}), "the batch has no Records"),
        (json!({"Records": [1]}), "the event is no batch of an SQS queue"),
        (without("messageId"), "message 1 of the batch has no messageId"),
        (without("body"), "message 1 of the batch has no body"),
        (
            json!({"Records": [Upload::new("a.json", 1, "e").record()]}),
            "the event's Records are not messages of an SQS queue",
        ),
    ] {
        let error = with(event.clone());
        assert!(
            error.starts_with("InvalidEvent: ") && error.contains(why),
            "{event}: {error}"
        );
    }
    assert!(world.rows().is_empty());
    // What Lambda may add one day does no harm.
    let mut event = one();
    event["Records"][0]["novelty"] = json!({"a": [1]});
    event["novelty"] = json!(true);
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    assert_eq!(world.rows().len(), 1);
}

#[test]
fn while_the_ledger_is_down_throttled_missing_or_forbidden_everything_comes_again() {
    let world = FaultyAws::start();
    let missing = FaultyAws::without_tables();
    let throttled = FaultyAws::start();
    throttled.throttle("BatchExecuteStatement");
    let denied = FaultyAws::start();
    denied.deny("BatchExecuteStatement");
    let down = [("AWS_ENDPOINT_URL_DYNAMODB", NOWHERE)];
    for (world, more, why) in [
        (&world, &down[..], "no connection"),
        (&throttled, &[], "Rate exceeded"),
        (&missing, &[], "ResourceNotFound"),
        (&denied, &[], "not authorized"),
    ] {
        let mut function = Environment::start(INGEST, &world.variables(more));
        let answer = function.invoke_within(&one(), Duration::from_secs(8));
        assert_eq!(failures(answer.response()), ["m"], "{why}");
        let told = function.end();
        let warnings = told.saying("an event is not in the ledger");
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0]["outcome"].as_str().unwrap().contains(why),
            "{warnings:?}"
        );
        assert_eq!(told.metric("request-1", "MessagesReturned"), Some(1.0));
    }
    assert!(world.rows().is_empty());
}

#[test]
fn at_the_deadline_what_is_recorded_is_acknowledged_and_nothing_else() {
    let world = FaultyAws::start();
    world.hang_after("BatchExecuteStatement", 1);
    let mut function = Environment::start(INGEST, &world.variables(&[]));
    let messages: Vec<(String, String)> = uploads(30)
        .iter()
        .map(|upload| (upload.key.clone(), upload.notification()))
        .collect();
    let event = batch(messages.iter().map(|(id, body)| (id.as_str(), body.clone())));
    let answer = function.invoke_within(&event, Duration::from_secs(6));
    let returned = failures(answer.response());
    let recorded: Vec<String> = world
        .rows()
        .iter()
        .map(|row| row.event().unwrap().key.as_str().to_owned())
        .collect();
    // Two batches are on their way at once, of 25 and 5; either may be the one that is answered.
    assert!(matches!((recorded.len(), returned.len()), (25, 5) | (5, 25)));
    assert!(returned.iter().all(|id| !recorded.iter().any(|key| key == id)));
    let told = function.end();
    let told = ["EventsRecorded", "MessagesReturned"].map(|name| told.metric("request-1", name));
    assert_eq!(
        told,
        [recorded.len(), returned.len()].map(|count| Some(count as f64))
    );
}

#[test]
fn a_hostile_key_stays_inside_its_line() {
    let world = FaultyAws::start();
    let mut function = Environment::start(INGEST, &world.variables(&[("AWS_LAMBDA_LOG_LEVEL", "TRACE")]));
    let key = "a\n{\"level\":\"ERROR\",\"message\":\"forged\"}\u{1b}[2J\"\\\u{202e}\0";
    let event = batch([
        ("m", Upload::new(key, 1, "e").notification()),
        ("n", format!("{{\"forged\": \"{}\"", "\\n".repeat(9))),
    ]);
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    let told = function.end();
    assert!(told.log().iter().all(|line| line["message"] != "forged"));
    let links: Vec<_> = told
        .saying("a message was handled")
        .iter()
        .map(|line| line["trace.link"].clone())
        .collect();
    assert_eq!(links, [trace_of("m"), trace_of("n")]);
}

#[test]
fn newcomers_are_sent_at_once_as_far_as_n_goes() {
    let world = FaultyAws::start();
    let variables = world.variables(&[("DAYBOOK_DISPATCH", "immediate"), ("DAYBOOK_PER_WINDOW", "3")]);
    let mut function = Environment::start(INGEST, &variables);
    let notifications = uploads(5).into_iter().map(|upload| upload.notification());
    let answer = function.invoke(&batch(notifications.map(|body| ("it", body))));
    assert_eq!(failures(answer.response()), [""; 0]);
    let rows = world.rows();
    let in_status = |status| rows.iter().filter(|row| row.status == status).count();
    assert_eq!((in_status(Status::Pending), in_status(Status::Claimed)), (2, 3));
    let told = function.end();
    let metric = |name| told.metric("request-1", name);
    assert_eq!(metric("EventsRecorded"), Some(5.0));
    assert_eq!(
        (metric("EventsClaimed"), metric("EventsSent")),
        (Some(3.0), Some(3.0))
    );
}
