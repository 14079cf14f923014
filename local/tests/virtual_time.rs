//! What takes minutes, days or months on AWS, under a clock that jumps.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use daybook_local::{Clock, ExecutionStatus, LocalAws, Outcome, QueueAttributes, StartedExecution, Target};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep};

/// Tokio's paused time as a wall clock.
fn virtual_clock() -> Clock {
    let origin = Instant::now();
    let epoch = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).expect("a date");
    Arc::new(move || epoch + origin.elapsed())
}

fn aws(seed: u64) -> LocalAws {
    LocalAws::builder()
        .clock(virtual_clock())
        .seed(seed)
        .build()
        .expect("it starts")
}

async fn call(aws: &LocalAws, target: &str, request: Value) -> Result<Value, String> {
    let answer = aws.handle(target, request.to_string().as_bytes()).await;
    match answer.error_code {
        Some(code) => Err(code),
        None => Ok(serde_json::from_slice(&answer.body).expect("JSON")),
    }
}

async fn sqs(aws: &LocalAws, operation: &str, request: Value) -> Result<Value, String> {
    call(aws, &format!("AmazonSQS.{operation}"), request).await
}

async fn states(aws: &LocalAws, operation: &str, request: Value) -> Result<Value, String> {
    call(aws, &format!("AWSStepFunctions.{operation}"), request).await
}

fn queue(aws: &LocalAws, name: &str) -> String {
    let fifo = name.ends_with(".fifo");
    aws.sqs()
        .create_queue(
            name,
            QueueAttributes {
                fifo,
                ..QueueAttributes::default()
            },
        )
        .expect("created")
}

async fn receive(aws: &LocalAws, url: &str, wait: u32) -> Vec<Value> {
    let request = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": wait});
    let received = sqs(aws, "ReceiveMessage", request).await.expect("received");
    received["Messages"].as_array().cloned().unwrap_or_default()
}

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(start_paused = true)]
async fn a_message_is_kept_for_its_retention_and_no_longer() {
    let aws = aws(1);
    let url = queue(&aws, "q");
    aws.sqs().send(&url, "a").expect("sent");
    advance(4 * DAY - Duration::from_secs(1)).await;
    assert_eq!(aws.sqs().depth(&url).expect("is there").visible, 1);
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        aws.sqs().depth(&url).expect("is there"),
        daybook_local::Depth::default()
    );
}

#[tokio::test(start_paused = true)]
async fn a_deduplication_id_is_forgotten_after_five_minutes() {
    let aws = aws(1);
    let url = queue(&aws, "q.fifo");
    let send = || {
        let request = json!({"QueueUrl": url, "MessageBody": "a", "MessageGroupId": "g",
                             "MessageDeduplicationId": "d"});
        sqs(&aws, "SendMessage", request)
    };
    send().await.expect("sent");
    advance(Duration::from_secs(299)).await;
    send().await.expect("taken, and dropped");
    assert_eq!(aws.sqs().depth(&url).expect("is there").visible, 1);
    advance(Duration::from_secs(1)).await;
    send().await.expect("sent");
    assert_eq!(aws.sqs().depth(&url).expect("is there").visible, 2);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_when_a_hidden_message_is_on_offer_again() {
    let aws = aws(1);
    let url = queue(&aws, "q");
    aws.sqs().send(&url, "a").expect("sent");
    let request = json!({"QueueUrl": url, "VisibilityTimeout": 7});
    sqs(&aws, "ReceiveMessage", request).await.expect("received");
    let start = Instant::now();
    assert_eq!(receive(&aws, &url, 20).await.len(), 1);
    assert_eq!(start.elapsed().as_secs(), 7);
    let start = Instant::now();
    assert_eq!(receive(&aws, &url, 20).await.len(), 0);
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_visibility_timeout_cannot_be_stretched_beyond_12_hours_of_its_receive() {
    let aws = aws(1);
    let url = queue(&aws, "q");
    aws.sqs().send(&url, "a").expect("sent");
    let handle = receive(&aws, &url, 0).await[0]["ReceiptHandle"].clone();
    let change = |seconds: u32| {
        let request = json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": seconds});
        sqs(&aws, "ChangeMessageVisibility", request)
    };
    change(43_200).await.expect("12 hours from the receive");
    advance(Duration::from_secs(3_600)).await;
    change(39_600).await.expect("11 more");
    assert_eq!(
        change(39_601).await,
        Err("InvalidParameterValueException".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_queues_name_rests_for_a_minute() {
    let aws = aws(1);
    let url = queue(&aws, "q");
    sqs(&aws, "DeleteQueue", json!({"QueueUrl": url}))
        .await
        .expect("deleted");
    let create = || sqs(&aws, "CreateQueue", json!({"QueueName": "q"}));
    assert_eq!(create().await, Err("QueueDeletedRecently".to_owned()));
    advance(Duration::from_secs(60)).await;
    create().await.expect("created");
}

#[tokio::test(start_paused = true)]
async fn a_move_task_keeps_its_pace_and_can_be_cancelled() {
    let aws = aws(1);
    let dead = queue(&aws, "dead");
    let redrive = daybook_local::RedrivePolicy {
        dead_letter_arn: aws.sqs().arn("dead"),
        max_receive_count: 1,
    };
    let attributes = QueueAttributes {
        redrive: Some(redrive),
        ..QueueAttributes::default()
    };
    let source = aws.sqs().create_queue("source", attributes).expect("created");
    for number in 0..25 {
        aws.sqs().send(&dead, &number.to_string()).expect("sent");
    }
    let arn = aws.sqs().arn("dead");
    let start = json!({"SourceArn": arn, "DestinationArn": aws.sqs().arn("source"),
                       "MaxNumberOfMessagesPerSecond": 10});
    let started = sqs(&aws, "StartMessageMoveTask", start.clone())
        .await
        .expect("started");
    assert_eq!(
        sqs(&aws, "StartMessageMoveTask", start).await,
        Err("UnsupportedOperation".to_owned())
    );
    advance(Duration::from_secs(1)).await;
    assert_eq!(aws.sqs().depth(&source).expect("is there").visible, 20);
    let cancel = json!({"TaskHandle": started["TaskHandle"]});
    let cancelled = sqs(&aws, "CancelMessageMoveTask", cancel)
        .await
        .expect("cancelled");
    assert_eq!(cancelled["ApproximateNumberOfMessagesMoved"], 20);
    advance(Duration::from_secs(60)).await;
    assert_eq!(aws.sqs().depth(&dead).expect("is there").visible, 5);
    let list = sqs(&aws, "ListMessageMoveTasks", json!({"SourceArn": arn}))
        .await
        .expect("listed");
    assert_eq!(list["Results"][0]["Status"], "CANCELLED");
}

#[tokio::test(start_paused = true)]
async fn a_purge_says_what_was_lost() {
    let aws = aws(1);
    let url = queue(&aws, "q");
    for body in ["a", "b", "c"] {
        aws.sqs().send(&url, body).expect("sent");
    }
    sqs(&aws, "ReceiveMessage", json!({"QueueUrl": url}))
        .await
        .expect("received");
    assert_eq!(aws.sqs().duplicate(&url, |message| message.body == "c"), 1);
    assert_eq!(aws.sqs().lose(&url, |message| message.body == "b"), 1);
    let purged = aws.sqs().purge(&url).expect("purged");
    assert_eq!((purged.never_received, purged.received), (2, 1));
    assert_eq!(
        aws.sqs().depth(&url).expect("is there"),
        daybook_local::Depth::default()
    );
}

#[tokio::test(start_paused = true)]
async fn an_execution_name_is_free_again_after_90_days() {
    let aws = aws(1);
    let machine = aws.executions().create_state_machine("m");
    let start = || {
        let request = json!({"stateMachineArn": machine, "name": "n", "input": "{}"});
        states(&aws, "StartExecution", request)
    };
    let first = start().await.expect("started");
    let arn = first["executionArn"].as_str().expect("an ARN").to_owned();
    advance(Duration::from_secs(10)).await;
    aws.executions()
        .close(
            &arn,
            Outcome::Succeeded {
                output: "{}".to_owned(),
            },
        )
        .expect("closed");
    advance(90 * DAY - Duration::from_secs(1)).await;
    assert_eq!(start().await, Err("ExecutionAlreadyExists".to_owned()));
    advance(Duration::from_secs(1)).await;
    let forgotten = states(&aws, "DescribeExecution", json!({"executionArn": arn})).await;
    assert_eq!(forgotten, Err("ExecutionDoesNotExist".to_owned()));
    start().await.expect("started again");
    assert_eq!(aws.executions().all().len(), 2, "checkers still see both");
}

/// Works for a minute; counts how often it came to the end.
struct Minute(Arc<std::sync::atomic::AtomicU32>);

impl Target for Minute {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome> {
        let ended = self.0.clone();
        Box::pin(async move {
            sleep(Duration::from_secs(60)).await;
            ended.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            assert!(execution.input != "\"panic\"", "as asked");
            Outcome::Succeeded {
                output: execution.input,
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn every_status_comes_as_an_event_and_terminal_ones_reach_the_queue() {
    let aws = aws(1);
    let machine = aws.executions().create_state_machine("m");
    let ended = Arc::default();
    aws.executions()
        .set_target(&machine, Arc::new(Minute(Arc::clone(&ended))));
    let url = queue(&aws, "status");
    aws.executions().status_events_to_queue(&url);
    let mut arns = Vec::new();
    for (name, input) in [
        ("ok", "1"),
        ("panics", "\"panic\""),
        ("stopped", "2"),
        ("slow", "3"),
    ] {
        let request = json!({"stateMachineArn": machine, "name": name, "input": input});
        let started = states(&aws, "StartExecution", request).await.expect("started");
        arns.push(started["executionArn"].as_str().expect("an ARN").to_owned());
    }
    states(
        &aws,
        "StopExecution",
        json!({"executionArn": arns[2], "error": "E"}),
    )
    .await
    .expect("stopped");
    let late = Outcome::TimedOut {
        error: "States.Timeout".to_owned(),
        cause: String::new(),
    };
    aws.executions().close(&arns[3], late).expect("closed");
    sleep(Duration::from_secs(61)).await;
    let statuses: Vec<_> = aws
        .executions()
        .all()
        .iter()
        .map(|view| (view.status, view.runs))
        .collect();
    let expected = [
        (ExecutionStatus::Succeeded, 1),
        (ExecutionStatus::Failed, 1),
        (ExecutionStatus::Aborted, 1),
        (ExecutionStatus::TimedOut, 1),
    ];
    assert_eq!(statuses, expected);
    assert_eq!(
        ended.load(std::sync::atomic::Ordering::SeqCst),
        2,
        "a stopped target does not run on"
    );
    let mut told: Vec<String> = Vec::new();
    for message in receive(&aws, &url, 0).await {
        let event: Value = serde_json::from_str(message["Body"].as_str().expect("a body")).expect("JSON");
        assert_eq!(event["detail-type"], "Step Functions Execution Status Change");
        assert_eq!(event["source"], "aws.states");
        assert_eq!(event["resources"][0], event["detail"]["executionArn"]);
        assert!(event["detail"]["stopDate"].as_i64() >= event["detail"]["startDate"].as_i64());
        told.push(event["detail"]["status"].as_str().expect("a status").to_owned());
    }
    assert_eq!(told, ["ABORTED", "TIMED_OUT", "SUCCEEDED", "FAILED"]);
}

#[tokio::test(start_paused = true)]
async fn a_running_event_has_no_stop_date() {
    let aws = aws(1);
    let events = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    aws.executions().set_status_sink(Arc::new(move |event| {
        sink.lock().expect("not poisoned").push(event)
    }));
    let machine = aws.executions().create_state_machine("m");
    let request = json!({"stateMachineArn": machine, "name": "n", "input": "{\"a\":1}"});
    states(&aws, "StartExecution", request.clone())
        .await
        .expect("started");
    states(&aws, "StartExecution", request).await.expect("the same");
    let events = events.lock().expect("not poisoned");
    assert_eq!(events.len(), 1, "the second start is no change of status");
    let detail = &events[0]["detail"];
    assert_eq!(
        (&detail["status"], &detail["stopDate"]),
        (&json!("RUNNING"), &Value::Null)
    );
    assert_eq!(detail["startDate"], json!(1_800_000_000_000_i64));
    assert_eq!(
        (&detail["input"], &detail["output"]),
        (&json!("{\"a\":1}"), &Value::Null)
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_embedded_aws_stops_what_runs() {
    let ended: Arc<std::sync::atomic::AtomicU32> = Arc::default();
    let aws = aws(1);
    let machine = aws.executions().create_state_machine("m");
    aws.executions()
        .set_target(&machine, Arc::new(Minute(Arc::clone(&ended))));
    states(&aws, "StartExecution", json!({"stateMachineArn": machine}))
        .await
        .expect("started");
    sleep(Duration::from_secs(1)).await;
    drop(aws);
    sleep(Duration::from_secs(120)).await;
    assert_eq!(ended.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_ids() {
    let story = |seed| async move {
        let aws = aws(seed);
        let url = queue(&aws, "q");
        let machine = aws.executions().create_state_machine("m");
        aws.sqs().send(&url, "a").expect("sent");
        let started = states(&aws, "StartExecution", json!({"stateMachineArn": machine})).await;
        (receive(&aws, &url, 0).await, started)
    };
    assert_eq!(story(7).await, story(7).await);
    assert_ne!(story(7).await, story(8).await);
}
