//! What deploy/examples/standard-batch.yaml gives is what the completer understands, and its history is long enough for a full batch.

use daybook_manager::{Batching, Dispatch};
use daybook_schema::{EventId, MOST_OF_A_BATCH, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::template::{Evaluated, read};
use daybook_tests::{Stage, StageOptions};
use serde_json::{Map, Value, json};

/// Step Functions fails an execution at its 25,000th event ("Avoid reaching the history quota", Step Functions Developer Guide);
/// what else it does needs a few.
const MOST_EVENTS: u64 = 24_000;

/// What one try leaves: scheduled, started, failed to submit, and what goes before a retry.
const EVENTS_PER_TRY: u64 = 5;

/// What one event leaves besides: its iteration's start and end, and the two states' entries and exits.
const EVENTS_PER_ITEM: u64 = 6;

fn events_state() -> Value {
    let example = read("deploy/examples/standard-batch.yaml");
    let definition = &example["Resources"]["StateMachine"]["Properties"]["Definition"];
    assert_eq!(definition["StartAt"], "Events");
    definition["States"]["Events"].clone()
}

/// The value at a path of these forms: `$`, `$.name`, `$[?(@.name == true)]`.
fn at(path: &str, input: &Value) -> Value {
    let filter = path
        .strip_prefix("$[?(@.")
        .and_then(|path| path.strip_suffix(" == true)]"));
    match (path, filter) {
        ("$", _) => input.clone(),
        (_, Some(name)) => {
            let items = input.as_array().unwrap().iter();
            items.filter(|item| item[name] == true).cloned().collect()
        }
        (path, None) => input[path.strip_prefix("$.").unwrap()].clone(),
    }
}

/// What Step Functions makes of `Parameters` or `ResultSelector`.
fn filled(template: &Value, input: &Value) -> Value {
    let entries = template.as_object().unwrap().iter();
    let entries = entries.map(|(name, value)| match name.strip_suffix(".$") {
        Some(name) => (name.to_owned(), at(value.as_str().unwrap(), input)),
        None => (name.clone(), value.clone()),
    });
    entries.collect::<Map<_, _>>().into()
}

/// The output of the example for that input, where the task fails for these events.
fn output(input: &str, failing: &[EventId]) -> String {
    let state = events_state();
    let input: Value = serde_json::from_str(input).unwrap();
    let items = at(state["ItemsPath"].as_str().unwrap(), &input);
    let states = &state["ItemProcessor"]["States"];
    let process = &states["Process"];
    let one = |item: &Value| {
        let id: EventId = item["id"].as_str().unwrap().parse().unwrap();
        if !failing.contains(&id) {
            return filled(
                &process["ResultSelector"],
                &json!({"StatusCode": 200, "Payload": {}}),
            );
        }
        let catch = &process["Catch"][1];
        assert_eq!(catch["ErrorEquals"], json!(["States.ALL"]));
        assert_eq!(catch["ResultPath"], "$.failure");
        let mut caught = item.clone();
        caught["failure"] = json!({"Error": "Error", "Cause": "no"});
        filled(&states[catch["Next"].as_str().unwrap()]["Parameters"], &caught)
    };
    let results: Value = items.as_array().unwrap().iter().map(one).collect();
    filled(&state["ResultSelector"], &results).to_string()
}

async fn stage(size: u32) -> Stage {
    let stage = Stage::new(StageOptions {
        dispatch: Dispatch {
            per_window: 1000,
            batching: Batching::of(size, std::time::Duration::ZERO).unwrap(),
            ..Dispatch::default()
        },
        ..StageOptions::default()
    })
    .await;
    stage.record(&uploads(size as usize)).await;
    stage.schedule().await;
    stage.invoke_all().await;
    stage
}

/// The example runs, and the completer is told.
async fn run(stage: &Stage, failing: &[EventId]) {
    let [execution] = &stage.aws.executions().all()[..] else {
        panic!("one execution");
    };
    let output = output(&execution.input, failing);
    let succeeded = daybook_local::Outcome::Succeeded { output };
    stage.aws.executions().close(&execution.arn, succeeded).unwrap();
    stage.complete_all().await;
}

#[tokio::test(start_paused = true)]
async fn the_events_whose_tasks_fail_have_failed_and_the_others_are_done() {
    let stage = stage(5).await;
    let ids: Vec<EventId> = stage.rows().await.keys().copied().collect();
    run(&stage, &ids[1..3]).await;
    let rows = stage.rows().await;
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), ids[1..3]);
    for row in rows.values() {
        assert_eq!((row.status, row.attempt.0, row.alone), (Status::Pending, 1, true));
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_task_fails_all_are_done() {
    let stage = stage(3).await;
    run(&stage, &[]).await;
    assert!(stage.rows().await.is_empty());
}

#[test]
fn a_full_batch_that_waits_for_capacity_does_not_reach_the_end_of_its_history() {
    let process = &events_state()["ItemProcessor"]["States"]["Process"];
    let retries: u64 = process["Retry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|retrier| retrier["MaxAttempts"].as_u64().unwrap())
        .sum();
    let events = u64::from(MOST_OF_A_BATCH) * ((retries + 1) * EVENTS_PER_TRY + EVENTS_PER_ITEM);
    assert!(events < MOST_EVENTS, "{events}");
}

/// States.ALL does not catch all.
#[test]
fn whatever_fails_for_one_event_is_caught_for_that_event() {
    let process = &events_state()["ItemProcessor"]["States"]["Process"];
    let caught = process["Catch"].as_array().unwrap().iter();
    let caught: Vec<&Value> = caught
        .inspect(|catch| assert_eq!(catch["Next"], "Failed"))
        .map(|catch| &catch["ErrorEquals"][0])
        .collect();
    assert_eq!(caught, ["States.DataLimitExceeded", "States.ALL"]);
}

#[test]
fn a_window_for_company_without_batches_is_refused() {
    let template = read("deploy/template.yaml");
    let refusals = |size, window| {
        let parameters = [
            ("StateMachineArn", crate::MACHINE),
            ("BatchSize", size),
            ("BatchWindow", window),
        ];
        Evaluated::new(&template, &parameters, &[]).refusals().len()
    };
    assert_eq!(refusals("1", "0"), 0);
    assert_eq!(refusals("2", "0"), 0);
    assert_eq!(refusals("100", "5m"), 0);
    assert_eq!(refusals("1", "5m"), 1);
}
