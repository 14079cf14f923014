//! What a function may do, by its role in deploy/template.yaml, against what it was seen to do on the wire.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::template::{self, Evaluated};

/// An IAM action, and the ARN of what it is done to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Such as `dynamodb:PartiQLUpdate`.
    pub action: String,
    /// Such as `arn:aws:dynamodb:us-east-1:000000000000:table/ledger`.
    pub resource: String,
}

impl Call {
    /// That action on that resource.
    pub fn new(action: &str, resource: impl Into<String>) -> Self {
        Self {
            action: action.to_owned(),
            resource: resource.into(),
        }
    }

    /// The calls that a request to DynamoDB, SQS or Step Functions makes, by its `X-Amz-Target` ("Actions, resources, and
    /// condition keys", Service Authorization Reference).
    pub fn of_request(target: &str, body: &Value) -> Vec<Self> {
        let (service, operation) = target.split_once('.').unwrap();
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        match service {
            "DynamoDB_20120810" => of_dynamodb(operation, body),
            "AmazonSQS" => {
                let queue = [text("QueueUrl"), text("QueueName")].concat();
                let queue = queue.rsplit('/').next().unwrap_or_default();
                // A batch needs the permission of the single request.
                let operation = operation.trim_end_matches("Batch");
                vec![Self::new(&format!("sqs:{operation}"), queue_arn(queue))]
            }
            "AWSStepFunctions" => {
                let resource = [text("stateMachineArn"), text("executionArn")].concat();
                vec![Self::new(&format!("states:{operation}"), resource)]
            }
            other => panic!("{other} is no service of Daybook's"),
        }
    }

    /// The call that a request to S3 makes.
    pub fn of_s3(operation: &str, bucket: &str, of_version: bool) -> Self {
        let bucket = format!("arn:aws:s3:::{bucket}");
        let object = format!("{bucket}/key");
        match operation {
            "ListObjectsV2" => Self::new("s3:ListBucket", bucket),
            "ListObjectVersions" => Self::new("s3:ListBucketVersions", bucket),
            "GetBucketVersioning" => Self::new("s3:GetBucketVersioning", bucket),
            "GetObject" | "HeadObject" if of_version => Self::new("s3:GetObjectVersion", object),
            "GetObject" | "HeadObject" => Self::new("s3:GetObject", object),
            "PutObject" => Self::new("s3:PutObject", object),
            // What this S3 does not know; no function has a role for it.
            other => Self::new(&format!("s3:{other}"), bucket),
        }
    }
}

fn of_dynamodb(operation: &str, body: &Value) -> Vec<Call> {
    let table = |name: &str| format!("arn:aws:dynamodb:us-east-1:000000000000:table/{name}");
    match operation {
        "BatchExecuteStatement" => {
            let statements = body["Statements"].as_array().unwrap().iter();
            let call = |statement: &Value| {
                let text = statement["Statement"].as_str().unwrap();
                let verb = text.split(' ').next().unwrap().to_lowercase();
                let verb = verb[..1].to_uppercase() + &verb[1..];
                let name = text.split('"').nth(1).unwrap();
                Call::new(&format!("dynamodb:PartiQL{verb}"), table(name))
            };
            statements.map(call).collect()
        }
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().unwrap().keys();
            tables
                .map(|name| Call::new("dynamodb:BatchGetItem", table(name)))
                .collect()
        }
        operation => {
            let mut resource = table(body["TableName"].as_str().unwrap());
            if let Some(index) = body["IndexName"].as_str() {
                resource += &format!("/index/{index}");
            }
            vec![Call::new(&format!("dynamodb:{operation}"), resource)]
        }
    }
}

/// The ARN of a queue of the embedded AWS.
pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

/// What no wire of a function's shows: its log, and what Lambda does in its name.
pub fn behind_the_scenes(function: &str, source_queue: Option<&str>) -> BTreeSet<Call> {
    let log = format!("arn:aws:logs:us-east-1:000000000000:log-group:{function}:log-stream:it");
    let mut calls = BTreeSet::from([
        Call::new("logs:CreateLogStream", &log),
        Call::new("logs:PutLogEvents", &log),
    ]);
    // "Lambda execution role permissions" for SQS event sources, Lambda Developer Guide.
    for action in ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"] {
        if let Some(queue) = source_queue {
            calls.insert(Call::new(&format!("sqs:{action}"), queue_arn(queue)));
        }
    }
    calls
}

/// What a policy allows: an action on what matches a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The action.
    pub action: String,
    /// An ARN, in which `*` stands for anything.
    pub resource: String,
}

impl Grant {
    fn allows(&self, call: &Call) -> bool {
        assert!(
            !self.action.contains('*'),
            "{self:?}: actions are named one by one"
        );
        self.action == call.action && matches(&self.resource, &call.resource)
    }
}

/// Whether a text matches a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((begin, rest)) => text.strip_prefix(begin).is_some_and(|text| {
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| matches(rest, &text[at..]))
        }),
    }
}

/// The template with the names that the embedded AWS has in tests; these parameters in the place of the defaults.
pub fn deployed(parameters: &[(&str, &str)]) -> Evaluated {
    let table = |name| format!("arn:aws:dynamodb:us-east-1:000000000000:table/{name}");
    let log = |name| format!("arn:aws:logs:us-east-1:000000000000:log-group:{name}:*");
    let mut attributes = vec![
        ("LedgerTable.Arn", table("ledger")),
        ("ReceiptsTable.Arn", table("receipts")),
        ("IntakeQueue.Arn", queue_arn("intake")),
        ("DispatchQueue.Arn", queue_arn("dispatch")),
        ("CompletionQueue.Arn", queue_arn("completion")),
        ("ReportsBucket.Arn", "arn:aws:s3:::reports".to_owned()),
    ];
    for name in FUNCTIONS {
        let attribute: &'static str = match name {
            "Ingest" => "IngestLogs.Arn",
            "Schedule" => "ScheduleLogs.Arn",
            "Invoke" => "InvokeLogs.Arn",
            "Complete" => "CompleteLogs.Arn",
            "Reconcile" => "ReconcileLogs.Arn",
            _ => "AuditLogs.Arn",
        };
        attributes.push((attribute, log(name)));
    }
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:work";
    let mut all = vec![
        ("StateMachineArn", machine),
        ("Audit", "s3://data/in/"),
        ("AuditBucketArns", "arn:aws:s3:::data"),
    ];
    all.extend(parameters);
    Evaluated::new(&template::read("deploy/template.yaml"), &all, &attributes)
}

/// The functions, as the template's logical ids begin.
pub const FUNCTIONS: [&str; 6] = ["Ingest", "Schedule", "Invoke", "Complete", "Reconcile", "Audit"];

/// What the role of that function allows.
pub fn grants(deployed: &Evaluated, function: &str) -> Vec<Grant> {
    let role = deployed.properties(&format!("{function}Role"));
    assert!(
        role.get("ManagedPolicyArns").is_none(),
        "a managed policy allows more than is used"
    );
    let policies = role["Policies"].as_array().unwrap().iter();
    policies
        .flat_map(|policy| statements(&policy["PolicyDocument"]))
        .collect()
}

/// What a policy's statements allow.
pub fn statements(policy: &Value) -> Vec<Grant> {
    let mut grants = Vec::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow", "{statement}");
        for action in one_or_many(&statement["Action"]) {
            for resource in one_or_many(&statement["Resource"]) {
                let action = action.clone();
                grants.push(Grant { action, resource });
            }
        }
    }
    grants
}

fn one_or_many(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

/// What is wrong with grants: a call that none of them allows, and one of them that no call needs.
pub fn differences(grants: &[Grant], calls: &BTreeSet<Call>) -> Vec<String> {
    let denied = calls
        .iter()
        .filter(|call| !grants.iter().any(|grant| grant.allows(call)));
    let lacks = denied.map(|call| format!("lacks {} on {}", call.action, call.resource));
    let idle = grants
        .iter()
        .filter(|grant| !calls.iter().any(|call| grant.allows(call)));
    let idle = idle.map(|grant| {
        format!(
            "grants {} on {}, which nothing uses",
            grant.action, grant.resource
        )
    });
    lacks.chain(idle).collect()
}

/// Holds grants to calls, and shows that this fails with any of them taken out.
pub fn assert_exact(granted: &[Grant], calls: &BTreeSet<Call>, whose: &str) {
    assert_eq!(differences(granted, calls), [""; 0], "{whose}");
    for position in 0..granted.len() {
        let mut fewer = granted.to_vec();
        let one = fewer.remove(position);
        assert_ne!(differences(&fewer, calls), [""; 0], "{whose} without {one:?}");
    }
}

/// Holds a function's role to what it does, and shows that this fails with any action taken out of the role, and with one more in it.
pub fn assert_least(function: &str, source_queue: Option<&str>, seen: &BTreeSet<Call>) {
    assert_least_with(&[], function, source_queue, seen);
}

/// The same of a stack with these parameters.
pub fn assert_least_with(
    parameters: &[(&str, &str)],
    function: &str,
    source_queue: Option<&str>,
    seen: &BTreeSet<Call>,
) {
    let mut calls = behind_the_scenes(function, source_queue);
    calls.extend(seen.iter().cloned());
    let deployed = |more: &[(&str, &str)]| deployed(&[parameters, more].concat());
    let granted = grants(&deployed(&[]), function);
    assert_exact(&granted, &calls, &format!("the role of {function}"));
    for (action, resource) in [
        (
            "dynamodb:DeleteTable",
            "arn:aws:dynamodb:us-east-1:000000000000:table/ledger",
        ),
        (
            "dynamodb:PartiQLSelect",
            "arn:aws:dynamodb:us-east-1:000000000000:table/ledger",
        ),
        ("sqs:PurgeQueue", "*"),
        ("states:StopExecution", "*"),
        ("s3:DeleteObject", "arn:aws:s3:::data/*"),
    ] {
        let mut more = granted.clone();
        more.push(Grant {
            action: action.to_owned(),
            resource: resource.to_owned(),
        });
        assert_eq!(differences(&more, &calls).len(), 1, "with {action}");
    }
    with_traces(&deployed, function, &calls);
    with_a_key_of_ones_own(&deployed, function, source_queue, &calls);
    with_restored_tables(&deployed, function, &calls);
}

/// The template as it is deployed with more parameters.
type Deployed<'a> = dyn Fn(&[(&str, &str)]) -> Evaluated + 'a;

/// Lambda sends traces in the function's name, where it makes any.
fn with_traces(deployed: &Deployed<'_>, function: &str, calls: &BTreeSet<Call>) {
    let traces = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"].map(|action| Call::new(action, "*"));
    let calls = calls.iter().cloned().chain(traces).collect();
    let granted = grants(&deployed(&[("Tracing", "Active")]), function);
    assert_eq!(
        differences(&granted, &calls),
        [""; 0],
        "the role of {function}, with traces"
    );
}

/// Queues with a customer's key: who sends needs GenerateDataKey and Decrypt, and whom a queue invokes Decrypt ("Key management",
/// Amazon SQS Developer Guide). Nothing else is granted.
fn with_a_key_of_ones_own(
    deployed: &Deployed<'_>,
    function: &str,
    source_queue: Option<&str>,
    calls: &BTreeSet<Call>,
) {
    let key = "arn:aws:kms:us-east-1:000000000000:key/0b8f7a52-9c5e-4a06-8d6c-0d6f1a3e9a11";
    let mut calls = calls.clone();
    let sends = calls.iter().any(|call| call.action == "sqs:SendMessage");
    if sends {
        calls.insert(Call::new("kms:GenerateDataKey", key));
    }
    if sends || source_queue.is_some() {
        calls.insert(Call::new("kms:Decrypt", key));
    }
    let deployed = deployed(&[("QueueKeyArn", key)]);
    let granted = grants(&deployed, function);
    // The key is for what SQS does in the function's name, not for the function itself.
    let role = deployed.properties(&format!("{function}Role"));
    for policy in role["Policies"].as_array().unwrap() {
        let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap().iter();
        for statement in statements.filter(|one| one["Resource"] == key) {
            let via = &statement["Condition"]["StringEquals"]["kms:ViaService"];
            assert_eq!(via, "sqs.us-east-1.amazonaws.com", "{statement}");
        }
    }
    assert_eq!(
        differences(&granted, &calls),
        [""; 0],
        "the role of {function}, with a key"
    );
}

/// With tables that were restored from a backup the role is about these.
fn with_restored_tables(deployed: &Deployed<'_>, function: &str, calls: &BTreeSet<Call>) {
    let table = |name| format!("arn:aws:dynamodb:us-east-1:000000000000:table/{name}");
    let moved = |call: &Call| Call {
        action: call.action.clone(),
        resource: call
            .resource
            .replace("table/ledger", "table/restored-ledger")
            .replace("table/receipts", "table/restored-receipts"),
    };
    let calls = calls.iter().map(moved).collect();
    let (ledger, receipts) = (table("restored-ledger"), table("restored-receipts"));
    let restored = [
        ("ExistingLedgerArn", &*ledger),
        ("ExistingReceiptsArn", &*receipts),
    ];
    let granted = grants(&deployed(&restored), function);
    assert_eq!(
        differences(&granted, &calls),
        [""; 0],
        "the role of {function}, with restored tables"
    );
}
