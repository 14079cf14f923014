//! What deploy/examples/express.yaml tells the completion queue is what the completer understands.

use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_manager::{Completed, Completer, Delivered, Executions, Settled};
use daybook_schema::{ExecutionInput, Row, Status};
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use daybook_tests::template::read;
use serde_json::{Value, json};

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:quick";

/// What Step Functions puts into `Parameters`: paths into the context object and the state's input, and one function.
fn filled(parameters: &Value, context: &Value, input: &Value) -> Value {
    let at = |path: &str| -> Value {
        let (root, path) = match path.strip_prefix("$$.") {
            Some(path) => (context, path),
            None => (input, path.strip_prefix("$.").unwrap()),
        };
        path.split('.')
            .fold(root.clone(), |value, name| value[name].clone())
    };
    let value = |path: &str| {
        let argument = path.strip_prefix("States.JsonToString(");
        match argument.and_then(|path| path.strip_suffix(')')) {
            Some(path) => at(path).to_string().into(),
            None => at(path),
        }
    };
    let entries = parameters.as_object().unwrap().iter();
    entries
        .map(|(name, template)| match (name.strip_suffix(".$"), template) {
            (Some(name), path) => (name.to_owned(), value(path.as_str().unwrap())),
            (None, Value::Object(_)) => (name.clone(), filled(template, context, input)),
            (None, constant) => (name.clone(), constant.clone()),
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The body that a state of the example sends for the row's attempt.
fn told(state: &str, row: &Row) -> String {
    let example = read("deploy/examples/express.yaml");
    let definition = &example["Resources"]["StateMachine"]["Properties"]["Definition"];
    let body = &definition["States"][state]["Parameters"]["MessageBody"];
    let input = ExecutionInput::new(row.event().unwrap(), row.attempt);
    let context = json!({
        "Execution": {
            "Id": format!("arn:aws:states:us-east-1:123456789012:express:quick:{}:4f0d", input.name()),
            "Name": input.name().to_string(),
            "Input": serde_json::from_str::<Value>(&input.to_json()).unwrap(),
        },
        "StateMachine": {"Id": MACHINE},
    });
    let failure = json!({"failure": {"Error": "States.Timeout", "Cause": "too slow"}});
    filled(body, &context, &failure).to_string()
}

async fn completed(stage: &Stage, body: String) -> Vec<Completed> {
    let completer = Completer::new(
        stage.ledger.clone(),
        Executions::new(stage.sfn.clone(), MACHINE),
        RetryPolicy::default(),
    );
    let message = Delivered {
        message_id: "m".into(),
        body,
        receive_count: 1,
        trace: None,
    };
    completer.handle(&[message], stage.deadline()).await
}

async fn stage_with_claimed() -> (Stage, Row) {
    let stage = Stage::usual().await;
    let row = row_in(Status::Claimed, &Upload::new("a b/é.json", 0, "e"), stage.now());
    stage.put_rows(std::slice::from_ref(&row));
    stage.pass(Duration::from_secs(1)).await;
    (stage, row)
}

#[tokio::test(start_paused = true)]
async fn an_express_execution_that_succeeds_completes_its_row() {
    let (stage, row) = stage_with_claimed().await;
    let outcome = completed(&stage, told("TellSuccess", &row)).await;
    assert_eq!(outcome, [Completed::Settled(Settled::Completed)]);
    assert_eq!(stage.ledger.get(row.id).await.unwrap(), None);
    let object = row.event().unwrap().object_id();
    assert!(stage.ledger.receipts([object]).await.contains_key(&object));
}

#[tokio::test(start_paused = true)]
async fn an_express_execution_that_fails_fails_its_attempt_and_says_why() {
    let (stage, row) = stage_with_claimed().await;
    let outcome = completed(&stage, told("TellFailure", &row)).await;
    assert!(
        matches!(outcome[..], [Completed::Settled(Settled::Failed(_))]),
        "{outcome:?}"
    );
    let row = stage.ledger.get(row.id).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Pending);
    let error = row.last_error.unwrap();
    assert!(
        error.contains("States.Timeout") && error.contains("too slow"),
        "{error}"
    );
}

#[test]
fn what_the_function_answers_goes_no_further_and_what_states_all_does_not_catch_is_caught_by_name() {
    let example = read("deploy/examples/express.yaml");
    let states = &example["Resources"]["StateMachine"]["Properties"]["Definition"]["States"];
    let process = &states["Process"];
    assert_eq!(process["ResultSelector"], json!({"StatusCode.$": "$.StatusCode"}));
    let caught: Vec<&Value> = process["Catch"]
        .as_array()
        .unwrap()
        .iter()
        .map(|catch| &catch["ErrorEquals"])
        .collect();
    assert_eq!(
        caught,
        [&json!(["States.DataLimitExceeded"]), &json!(["States.ALL"])]
    );
    for catch in process["Catch"].as_array().unwrap() {
        assert_eq!(catch["Next"], "TellFailure");
    }
}
