//! deploy/template.yaml: what no linter knows. The linters are in tests/deploy.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use daybook_schema::tables::{LEDGER, RECEIPTS, TableDefinition};
use daybook_tests::template::{Evaluated, of_type, read};
use serde_json::{Value, json};

mod template {
    mod alarms;
    mod batch;
    mod capacity;
    mod cloudwatch;
    mod express;
    mod functions;
    mod queues;
}

const TEMPLATES: [&str; 5] = [
    "deploy/template.yaml",
    "deploy/examples/standard-lambda.yaml",
    "deploy/examples/standard-glue.yaml",
    "deploy/examples/standard-batch.yaml",
    "deploy/examples/express.yaml",
];

/// A target, which every stack has.
const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:work";

fn template() -> Value {
    read(TEMPLATES[0])
}

fn property<'a>(template: &'a Value, resource: &str, name: &str) -> &'a Value {
    &template["Resources"][resource]["Properties"][name]
}

#[test]
fn the_tables_are_those_of_the_schema() {
    let template = template();
    let tables: [(&str, TableDefinition); 2] = [("LedgerTable", LEDGER), ("ReceiptsTable", RECEIPTS)];
    assert_eq!(of_type(&template, "AWS::DynamoDB::Table").count(), tables.len());
    for (name, definition) in tables {
        let mut wanted = definition.create_table("x");
        wanted.as_object_mut().unwrap().remove("TableName");
        wanted["PointInTimeRecoverySpecification"] = json!({"PointInTimeRecoveryEnabled": true});
        wanted["SSESpecification"] = json!({"SSEEnabled": true});
        wanted["DeletionProtectionEnabled"] = json!({"Fn::If": ["ProtectsTables", true, false]});
        if let Some(ttl) = definition.enable_ttl("x") {
            wanted["TimeToLiveSpecification"] = ttl["TimeToLiveSpecification"].clone();
        }
        assert_eq!(template["Resources"][name]["Properties"], wanted, "{name}");
    }
    assert_eq!(template["Parameters"]["DeletionProtection"]["Default"], "true");
}

#[test]
fn what_is_nowhere_else_stays_when_the_stack_goes() {
    let template = template();
    let stays = |resource: &Value| {
        let policy = resource["DeletionPolicy"].as_str().unwrap_or("Delete");
        let replaced = resource["UpdateReplacePolicy"].as_str().unwrap_or("Delete");
        assert_eq!(
            policy.starts_with("Retain"),
            replaced == "Retain",
            "{policy} and {replaced}"
        );
        policy.starts_with("Retain")
    };
    let resources = template["Resources"].as_object().unwrap();
    let kept: Vec<&String> = resources
        .iter()
        .filter(|(_, resource)| stays(resource))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        kept,
        [
            "IntakeDeadLetters",
            "IntakeDeadLettersPolicy",
            "IntakeQueue",
            "IntakeQueuePolicy",
            "LedgerTable",
            "ObjectsBucket",
            "ReceiptsTable",
            "ReportsBucket",
        ]
    );
    // A table whose deletion is protected cannot be deleted by the rollback of a stack that failed to be created.
    for table in ["LedgerTable", "ReceiptsTable"] {
        assert_eq!(resources[table]["DeletionPolicy"], "Retain", "{table}");
    }
}

/// A fixed name would make two stacks collide, and a kept table stand in the way of the next stack.
#[test]
fn nothing_has_a_name_of_its_own() {
    let names = [
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::SQS::Queue", "QueueName"),
        ("AWS::Serverless::Function", "FunctionName"),
        ("AWS::Serverless::StateMachine", "Name"),
        ("AWS::IAM::Role", "RoleName"),
        ("AWS::S3::Bucket", "BucketName"),
        ("AWS::Logs::LogGroup", "LogGroupName"),
        ("AWS::Events::Rule", "Name"),
        ("AWS::Scheduler::Schedule", "Name"),
        ("AWS::Scheduler::ScheduleGroup", "Name"),
        ("AWS::CloudWatch::Alarm", "AlarmName"),
        ("AWS::CloudWatch::Dashboard", "DashboardName"),
    ];
    // These have no name that one could give.
    let nameless = [
        "AWS::SQS::QueuePolicy",
        "AWS::S3::BucketPolicy",
        "AWS::Lambda::EventSourceMapping",
    ];
    for path in TEMPLATES {
        for (id, resource) in read(path)["Resources"].as_object().unwrap() {
            let of = resource["Type"].as_str().unwrap();
            match names.iter().find(|(named, _)| *named == of) {
                // Its ARN must be known before it exists: deploy/README.md, "Express state machines".
                Some((_, name)) if path.ends_with("express.yaml") && id == "StateMachine" => {
                    assert_eq!(resource["Properties"][name], json!({"Ref": "StateMachineName"}));
                }
                Some((_, name)) => assert_eq!(resource["Properties"][name], Value::Null, "{path}: {id}"),
                None => assert!(nameless.contains(&of), "{path}: is {of} of {id} named?"),
            }
        }
    }
}

#[test]
fn every_output_that_the_command_line_reads_is_there() {
    let template = template();
    let source = include_str!("../../cli/src/deployment/stack.rs");
    let names: Vec<&str> = source
        .lines()
        .filter(|line| line.starts_with("pub const ") && line.contains(": &str = "))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert!(
        names.contains(&"LedgerTableName") && names.len() >= 6,
        "{names:?}"
    );
    for name in names {
        let output = &template["Outputs"][name];
        assert!(!output["Value"].is_null(), "{name}");
        // A target is one of three.
        let is_of_target = [
            "StateMachineArn",
            "TargetFunctionArn",
            "TargetQueueUrl",
            "TargetCompletion",
        ]
        .contains(&name);
        assert_eq!(output["Condition"].is_null(), !is_of_target, "{name}");
    }
}

#[test]
fn exactly_one_target_is_asked_for_and_a_queue_says_when_its_events_are_done() {
    let template = template();
    let function = "arn:aws:lambda:us-east-1:123456789012:function:work";
    let queue = "https://sqs.us-east-1.amazonaws.com/123456789012/work";
    let refusals = |machine, function, queue, completion| {
        let parameters = [
            ("StateMachineArn", machine),
            ("TargetFunctionArn", function),
            ("TargetQueueUrl", queue),
            ("TargetCompletion", completion),
        ];
        Evaluated::new(&template, &parameters, &[]).refusals().len()
    };
    assert_eq!(refusals(MACHINE, "", "", ""), 0);
    assert_eq!(refusals("", function, "", ""), 0);
    assert_eq!(refusals("", "", queue, "sent"), 0);
    assert_eq!(refusals("", "", queue, "reported"), 0);
    assert_eq!(refusals("", "", "", ""), 1);
    assert_eq!(refusals(MACHINE, function, "", ""), 1);
    assert_eq!(refusals("", function, queue, "sent"), 1);
    assert_eq!(refusals("", "", queue, ""), 1);
    assert_eq!(refusals(MACHINE, "", "", "sent"), 1);
}

/// The queue that a mapping reads, by its logical id.
fn queue_of(mapping: &Value) -> &str {
    mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][0]
        .as_str()
        .unwrap()
}

#[test]
fn a_message_stays_hidden_for_six_timeouts_and_the_window() {
    let template = template();
    let mut queues = Vec::new();
    for (id, mapping) in of_type(&template, "AWS::Lambda::EventSourceMapping") {
        let queue = queue_of(mapping);
        let function = mapping["Properties"]["FunctionName"]["Ref"].as_str().unwrap();
        let visibility = property(&template, queue, "VisibilityTimeout").as_u64().unwrap();
        let timeout = property(&template, function, "Timeout").as_u64().unwrap();
        // Where the way of dispatch decides it, the longer one.
        let window = &mapping["Properties"]["MaximumBatchingWindowInSeconds"];
        let window = window["Fn::If"].as_array().map_or(window, |either| &either[2]);
        let window = window.as_u64().unwrap();
        assert!(
            visibility >= 6 * timeout + window,
            "{id}: {visibility} s for {timeout} s and {window} s"
        );
        queues.push(queue);
    }
    queues.sort_unstable();
    assert_eq!(queues, ["CompletionQueue", "DispatchQueue", "IntakeQueue"]);
}

#[test]
fn mappings_return_single_messages_and_filter_nothing() {
    let template = template();
    for (id, mapping) in of_type(&template, "AWS::Lambda::EventSourceMapping") {
        let properties = &mapping["Properties"];
        assert_eq!(
            properties["FunctionResponseTypes"],
            json!(["ReportBatchItemFailures"]),
            "{id}"
        );
        // What a filter keeps out Lambda deletes.
        assert!(properties["FilterCriteria"].is_null(), "{id}");
        let concurrency = properties["ScalingConfig"]["MaximumConcurrency"]["Ref"]
            .as_str()
            .unwrap();
        let parameter = &template["Parameters"][concurrency];
        assert_eq!(
            (&parameter["MinValue"], &parameter["MaxValue"]),
            (&json!(2), &json!(1000))
        );
        assert_eq!(
            properties["Enabled"],
            json!({"Fn::If": ["IsRunning", true, false]}),
            "{id}"
        );
    }
    for (id, function) in of_type(&template, "AWS::Serverless::Function") {
        let properties = function["Properties"].as_object().unwrap();
        for reserved in [
            "ReservedConcurrentExecutions",
            "ProvisionedConcurrencyConfig",
            "Policies",
            "Events",
        ] {
            assert!(!properties.contains_key(reserved), "{id} has {reserved}");
        }
    }
}

#[test]
fn schedules_give_their_time_and_are_tried_again_until_the_next_tick() {
    let template = template();
    let mut intervals = BTreeMap::new();
    for (id, schedule) in of_type(&template, "AWS::Scheduler::Schedule") {
        let properties = &schedule["Properties"];
        let target = &properties["Target"];
        let minutes = properties["ScheduleExpression"].as_str().unwrap();
        let minutes = minutes.trim_start_matches("rate(").split(' ').next().unwrap();
        let interval = minutes.parse::<u64>().unwrap() * 60;
        // 185 attempts are the most that there are, and 60 s the least age.
        assert_eq!(
            target["RetryPolicy"],
            json!({"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": interval}),
            "{id}"
        );
        assert_eq!(
            target["Input"], r#"{"time": "<aws.scheduler.scheduled-time>"}"#,
            "{id}"
        );
        assert_eq!(properties["FlexibleTimeWindow"], json!({"Mode": "OFF"}), "{id}");
        assert_eq!(properties["GroupName"], json!({"Ref": "Ticks"}), "{id}");
        let function = target["Arn"]["Fn::GetAtt"][0].as_str().unwrap();
        // Scheduler invokes asynchronously. A throttled invocation Lambda repeats for as long as this; a run that failed the next tick.
        assert_eq!(
            property(&template, function, "EventInvokeConfig"),
            &json!({"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": interval}),
            "{function}"
        );
        intervals.insert(function, interval);
    }
    // Every minute, however long the window is: a tick that is lost must not take the N of a day with it.
    let wanted = BTreeMap::from([
        ("AuditFunction", 900),
        ("ReconcileFunction", 300),
        ("ScheduleFunction", 60),
    ]);
    assert_eq!(intervals, wanted);
    // Two rounds of the audit at the same time would be of no use.
    assert!(property(&template, "AuditFunction", "Timeout").as_u64().unwrap() < 15 * 60);
}

#[test]
fn the_schedulers_role_trusts_its_own_group_only() {
    let role = template()["Resources"]["SchedulerRole"]["Properties"].clone();
    let statement = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(
        statement["Condition"],
        json!({"StringEquals": {
            "aws:SourceAccount": {"Ref": "AWS::AccountId"},
            "aws:SourceArn": {"Fn::GetAtt": ["Ticks", "Arn"]},
        }})
    );
}

#[test]
fn an_audit_without_receipts_is_refused() {
    let template = template();
    let refusals = |receipts, audit, buckets| {
        let parameters = [
            ("StateMachineArn", MACHINE),
            ("ReceiptsKeep", receipts),
            ("Audit", audit),
            ("AuditBucketArns", buckets),
        ];
        Evaluated::new(&template, &parameters, &[]).refusals().len()
    };
    let (data, arn) = ("s3://data", "arn:aws:s3:::data");
    assert_eq!(refusals("14d", data, arn), 0);
    assert_eq!(refusals("36h", data, arn), 0);
    assert_eq!(refusals("0", "", ""), 0);
    assert_eq!(refusals("14d", "", ""), 0);
    assert_eq!(refusals("0", data, arn), 1);
    assert_eq!(refusals("14d", data, ""), 1);
    assert_eq!(refusals("14d", "", arn), 1);
}

#[test]
fn the_rule_passes_ends_of_this_state_machine_only() {
    let template = template();
    let rule = &template["Resources"]["ExecutionEndsRule"]["Properties"];
    assert_eq!(
        rule["EventPattern"],
        json!({
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {
                "stateMachineArn": [{"Ref": "StateMachineArn"}],
                "status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"],
            },
        })
    );
    assert_eq!(
        rule["Targets"][0]["Arn"],
        json!({"Fn::GetAtt": ["CompletionQueue", "Arn"]})
    );
}

/// Who may send to a queue, by its policy: service and condition.
fn senders(template: &Value, queue: &str) -> Vec<(Value, Value)> {
    let policy = property(template, &format!("{queue}Policy"), "PolicyDocument");
    let statements = policy["Statement"].as_array().unwrap().iter();
    let statements = statements.map(|one| one["Fn::If"].get(1).unwrap_or(one));
    statements
        .filter(|one| one["Effect"] == "Allow")
        .map(|one| {
            assert_eq!(one["Action"], "sqs:SendMessage", "{queue}");
            (one["Principal"]["Service"].clone(), one["Condition"].clone())
        })
        .collect()
}

#[test]
fn queues_take_messages_of_their_own_senders_only() {
    let template = template();
    let rule = |name: &str| {
        (
            json!("events.amazonaws.com"),
            json!({"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [name, "Arn"]}}}),
        )
    };
    let intake = senders(&template, "IntakeQueue");
    assert_eq!(intake[0].0, "s3.amazonaws.com");
    for part in ["ArnLike", "StringEquals"] {
        assert!(!intake[0].1[part].is_null(), "{part}");
    }
    assert_eq!(intake[1..], [rule("ObjectEventsRule")]);
    assert_eq!(
        senders(&template, "IntakeDeadLetters"),
        [rule("ObjectEventsRule")]
    );
    assert_eq!(senders(&template, "CompletionQueue"), [rule("ExecutionEndsRule")]);
    assert_eq!(
        senders(&template, "CompletionDeadLetters"),
        [rule("ExecutionEndsRule")]
    );
    for queue in ["DispatchQueue", "DispatchDeadLetters"] {
        assert_eq!(senders(&template, queue), [], "{queue}");
    }
    // S3 sends a test message at once.
    assert_eq!(
        template["Resources"]["ObjectsBucket"]["DependsOn"],
        "IntakeQueuePolicy"
    );
}
