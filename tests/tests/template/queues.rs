//! The queues: what they keep, for how long, and how often.

use daybook_tests::template::{of_type, read};
use serde_json::{Value, json};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn seconds(template: &Value, queue: &str, name: &str) -> u64 {
    template["Resources"][queue]["Properties"][name].as_u64().unwrap()
}

/// For how long a queue gives a message again before it is a dead letter, if it is received as soon as it can be seen.
fn lasts(template: &Value, queue: &str) -> u64 {
    let redrive = &template["Resources"][queue]["Properties"]["RedrivePolicy"];
    redrive["maxReceiveCount"].as_u64().unwrap() * seconds(template, queue, "VisibilityTimeout")
}

/// While the ledger is down, Lambda goes on receiving, and each time counts. DynamoDB was away for hours, in a whole region.
#[test]
fn an_outage_of_days_makes_no_dead_letters_of_notifications() {
    let template = read("deploy/template.yaml");
    let redrive = &template["Resources"]["IntakeQueue"]["Properties"]["RedrivePolicy"];
    assert_eq!(redrive["maxReceiveCount"], 1000, "the most that SQS allows");
    assert!(lasts(&template, "IntakeQueue") > 4 * DAY);
    // The others have their rows, and these their leases.
    assert!(lasts(&template, "DispatchQueue") >= HOUR);
    assert!(lasts(&template, "CompletionQueue") >= 10 * HOUR);
}

/// The age of a message counts from its first send, in the dead letters too.
#[test]
fn the_last_dead_letter_of_the_intake_leaves_days_to_send_it_back() {
    let template = read("deploy/template.yaml");
    for (id, _) in of_type(&template, "AWS::SQS::Queue").filter(|(id, _)| id.ends_with("DeadLetters")) {
        assert_eq!(
            seconds(&template, id, "MessageRetentionPeriod"),
            14 * DAY,
            "{id}: the longest there is"
        );
    }
    let kept = seconds(&template, "IntakeQueue", "MessageRetentionPeriod");
    assert!(kept + 4 * DAY <= 14 * DAY, "{kept}");
    // And what is received a thousand times becomes a dead letter before it is deleted.
    assert!(lasts(&template, "IntakeQueue") + 4 * DAY < kept);
    for queue in ["DispatchQueue", "CompletionQueue"] {
        assert_eq!(
            seconds(&template, queue, "MessageRetentionPeriod"),
            14 * DAY,
            "{queue}"
        );
    }
}

#[test]
fn queues_are_encrypted_and_closed_and_have_dead_letters() {
    let template = read("deploy/template.yaml");
    let mut live = Vec::new();
    for (id, queue) in of_type(&template, "AWS::SQS::Queue") {
        let properties = &queue["Properties"];
        assert_eq!(
            properties["SqsManagedSseEnabled"],
            json!({"Fn::If": ["HasQueueKey", {"Ref": "AWS::NoValue"}, true]}),
            "{id}"
        );
        assert_eq!(
            properties["KmsMasterKeyId"],
            json!({"Fn::If": ["HasQueueKey", {"Ref": "QueueKeyArn"}, {"Ref": "AWS::NoValue"}]}),
            "{id}"
        );
        let policy =
            &template["Resources"][format!("{id}Policy")]["Properties"]["PolicyDocument"]["Statement"][0];
        assert_eq!(policy["Effect"], "Deny", "{id}");
        assert_eq!(policy["Principal"], "*", "{id}");
        assert_eq!(policy["Resource"], json!({"Fn::GetAtt": [id, "Arn"]}), "{id}");
        assert_eq!(
            policy["Condition"],
            json!({"Bool": {"aws:SecureTransport": "false"}}),
            "{id}"
        );
        if id.ends_with("DeadLetters") {
            assert!(properties["RedrivePolicy"].is_null(), "{id}");
            continue;
        }
        let letters = id.replace("Queue", "DeadLetters");
        let redrive = &properties["RedrivePolicy"];
        assert_eq!(
            redrive["deadLetterTargetArn"],
            json!({"Fn::GetAtt": [letters, "Arn"]})
        );
        assert_eq!(
            properties["RedriveAllowPolicy"],
            json!({"redrivePermission": "denyAll"}),
            "{id}"
        );
        live.push(id);
    }
    assert_eq!(live, ["CompletionQueue", "DispatchQueue", "IntakeQueue"]);
}
