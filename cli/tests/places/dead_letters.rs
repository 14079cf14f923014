//! Dead-letter queues of a stack in the console: their messages are moved back by SQS, once, at a person's word.

use daybook_tests::privileges::queue_arn;
use serde_json::json;

use crate::console::World;
use crate::stand_in::runtime;

const LETTERS: &str = "intake-letters";

fn queue_url(name: &str) -> String {
    format!("https://sqs.us-east-1.amazonaws.com/000000000000/{name}")
}

/// So many messages of the intake queue that were received too often.
fn bury(world: &World, n: usize) {
    let (sqs, intake) = (world.aws.aws.sqs(), queue_url("intake"));
    for _ in 0..n {
        sqs.send(&intake, "{}").unwrap();
    }
    let receive = json!({"QueueUrl": intake, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0}).to_string();
    while sqs.depth(&queue_url(LETTERS)).unwrap().visible < n {
        let received = world
            .aws
            .aws
            .handle("AmazonSQS.ReceiveMessage", receive.as_bytes());
        assert_eq!(runtime().block_on(received).status, 200);
    }
}

#[test]
fn dead_letters_are_moved_back_as_the_command_line_does() {
    let world = World::new();
    bury(&world, 30);
    let arn = queue_arn(LETTERS);
    let waiting = || {
        let sqs = world.aws.aws.sqs();
        sqs.depth(&queue_url(LETTERS)).unwrap().visible
    };
    let console = world.console("prod", &[]);
    let operations = console.get("/operations");
    assert!(
        operations.contains("<strong>intake</strong>: about 30 messages"),
        "{operations}"
    );
    assert!(
        operations.contains("<strong>completion</strong>: no messages"),
        "{operations}"
    );
    let (_, link) = operations.split_once("href=\"/redrive-queue?").unwrap();
    let there = format!("/redrive-queue?{}", link.split('"').next().unwrap());
    let page = console.get(&there);
    assert!(page.contains("It holds about 30 messages."), "{page}");
    assert!(page.contains(&format!("daybook redrive-queue {arn}")), "{page}");

    let queue = ("queue", arn.as_str());
    let by_kim = [("why", "the role is fixed"), ("by", "kim")];
    let begin = |fields: &[(&str, &str)]| console.post("/redrive-queue", fields).status;
    assert_eq!(begin(&[queue]), 400, "a reason is needed");
    assert_eq!(begin(&[queue, by_kim[0], ("per_second", "501")]), 400);
    let other = queue_arn("target");
    assert_eq!(
        begin(&[("queue", &other), by_kim[0]]),
        404,
        "it is none of the stack's"
    );
    assert_eq!(waiting(), 30);
    assert_eq!(begin(&[queue, by_kim[0], by_kim[1], ("per_second", "1")]), 303);
    let page = console.get(&there);
    assert!(
        page.contains("SQS is moving them back") && page.contains("data-reload"),
        "{page}"
    );
    assert_eq!(begin(&[queue, by_kim[0]]), 409, "one task at a time");
    // Whoever looks from elsewhere sees the same task, and it goes on without the console that began it.
    let page = world.console("prod", &[]).get(&there);
    assert!(page.contains("SQS is moving them back"), "{page}");
    assert_eq!(console.post("/stop-queue", &[queue]).status, 303);
    let page = console.get(&there);
    assert!(
        page.contains(": cancelled, ") && !page.contains("data-reload"),
        "{page}"
    );
    assert_eq!(console.post("/stop-queue", &[queue]).status, 409);
    assert!(waiting() > 0, "what was not moved is left");

    assert_eq!(begin(&[queue, by_kim[0], by_kim[1]]), 303);
    let page = console.get(&there);
    assert!(
        page.contains("It holds no messages.") && page.contains(": completed, "),
        "{page}"
    );
    assert_eq!(begin(&[queue, by_kim[0]]), 409, "it is empty");
    assert_eq!(
        world.aws.aws.sqs().depth(&queue_url("intake")).unwrap().visible,
        30
    );
    let operations = console.get("/operations");
    for did in [
        format!("redrive-queue {arn} --per-second 1"),
        format!("redrive-queue {arn} --cancel"),
        "the role is fixed".to_owned(),
    ] {
        assert!(operations.contains(&did), "{did}: {operations}");
    }
}

#[test]
fn a_move_whose_answer_is_lost_is_found_and_not_begun_twice() {
    let world = World::new();
    bury(&world, 60);
    let console = world.console("prod", &[]);
    world.proxy.lose("StartMessageMoveTask");
    let arn = queue_arn(LETTERS);
    let fields = [("queue", arn.as_str()), ("why", "x"), ("per_second", "1")];
    let answer = console.post("/redrive-queue", &fields);
    assert_eq!(answer.status, 303, "{answer:?}");
    let page = console.get(&answer.location.unwrap());
    assert!(page.contains("SQS is moving them back"), "{page}");
}
