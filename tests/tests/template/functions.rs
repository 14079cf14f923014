//! What each function is told by its environment.

use std::collections::BTreeMap;

use daybook_tests::template::of_type;
use serde_json::{Value, json};

use crate::template;

#[test]
fn every_function_has_the_settings_that_are_its_own() {
    let template = template();
    let of_all = ["LEDGER_TABLE", "RECEIPTS_KEEP", "RECEIPTS_TABLE", "STACK"];
    let names = |value: &Value| -> Vec<String> {
        let variables = value["Environment"]["Variables"].as_object().unwrap();
        variables.keys().cloned().collect()
    };
    let prefixed = |names: &[&str]| -> Vec<String> {
        let mut names: Vec<String> = names.iter().map(|name| format!("DAYBOOK_{name}")).collect();
        names.sort();
        names
    };
    assert_eq!(names(&template["Globals"]["Function"]), prefixed(&of_all));
    let own: BTreeMap<&str, &[&str]> = BTreeMap::from([
        (
            "IngestFunction",
            &[
                "SOURCE",
                "KEY_ENCODING",
                "MAX_ATTEMPTS",
                "DISPATCH",
                "DISPATCH_QUEUE_URL",
                "PER_WINDOW",
                "EVERY",
                "LEASE",
                "BATCH_SIZE",
                "BATCH_WINDOW",
            ] as &[&str],
        ),
        (
            "ScheduleFunction",
            &[
                "DISPATCH_QUEUE_URL",
                "PER_WINDOW",
                "EVERY",
                "LEASE",
                "DISPATCH",
                "MAX_IN_FLIGHT",
                "BATCH_SIZE",
                "BATCH_WINDOW",
            ],
        ),
        (
            "InvokeFunction",
            &[
                "STATE_MACHINE_ARN",
                "TARGET_FUNCTION_ARN",
                "TARGET_QUEUE_URL",
                "TARGET_COMPLETION",
                "LEASE",
                "BACKOFF",
                "BACKOFF_LIMIT",
                "STARTS_PER_SECOND",
            ],
        ),
        (
            "CompleteFunction",
            &[
                "STATE_MACHINE_ARN",
                "TARGET_FUNCTION_ARN",
                "TARGET_QUEUE_URL",
                "TARGET_COMPLETION",
                "BACKOFF",
                "BACKOFF_LIMIT",
            ],
        ),
        (
            "ReconcileFunction",
            &[
                "DISPATCH_QUEUE_URL",
                "STATE_MACHINE_ARN",
                "TARGET_FUNCTION_ARN",
                "TARGET_QUEUE_URL",
                "TARGET_COMPLETION",
                "PER_WINDOW",
                "EVERY",
                "LEASE",
                "BACKOFF",
                "BACKOFF_LIMIT",
            ],
        ),
        (
            "AuditFunction",
            &[
                "SOURCE",
                "MAX_ATTEMPTS",
                "AUDIT",
                "AUDIT_EVERY",
                "AUDIT_REPAIR",
                "AUDIT_GRACE",
                "INTAKE_QUEUE_URL",
                "REPORTS_BUCKET",
            ],
        ),
    ]);
    let functions: Vec<_> = of_type(&template, "AWS::Serverless::Function").collect();
    assert_eq!(functions.len(), own.len());
    for (id, function) in functions {
        let properties = &function["Properties"];
        assert_eq!(names(properties), prefixed(own[id]), "{id}");
        let role = id.replace("Function", "Role");
        assert_eq!(properties["Role"], json!({"Fn::GetAtt": [role, "Arn"]}), "{id}");
        let logs = id.replace("Function", "Logs");
        assert_eq!(
            properties["LoggingConfig"]["LogGroup"],
            json!({"Ref": logs}),
            "{id}"
        );
        let program = id.replace("Function", "").to_lowercase();
        assert_eq!(
            properties["CodeUri"],
            format!("../target/lambda/daybook-{program}/"),
            "{id}"
        );
    }
}

/// A variable with a parameter of its own is called as the parameter is.
#[test]
fn a_variable_has_the_value_of_the_parameter_of_its_name() {
    let template = template();
    let mut all: Vec<(String, Value)> = Vec::new();
    let functions =
        of_type(&template, "AWS::Serverless::Function").map(|(_, function)| &function["Properties"]);
    for holder in functions.chain([&template["Globals"]["Function"]]) {
        let variables = holder["Environment"]["Variables"].as_object().unwrap();
        all.extend(
            variables
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    let of_resources = [
        "LedgerTable",
        "ReceiptsTable",
        "Stack",
        "DispatchQueueUrl",
        "IntakeQueueUrl",
        "ReportsBucket",
    ];
    for (name, value) in all {
        let words = name.trim_start_matches("DAYBOOK_").split('_');
        let parameter: String = words
            .map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase()))
            .collect();
        match (parameter.as_str(), &template["Parameters"][&parameter]) {
            ("MaxInFlight", _) => {
                let set =
                    json!({"Fn::If": ["HasMaxInFlight", {"Ref": "MaxInFlight"}, {"Ref": "AWS::NoValue"}]});
                assert_eq!(value, set);
            }
            (_, Value::Null) => assert!(of_resources.contains(&parameter.as_str()), "{name}"),
            _ => assert_eq!(value, json!({"Ref": parameter}), "{name}"),
        }
    }
}
