//! The relay as a program, between two queues of an AWS of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stand_in;

use std::process::{Command, Stdio};
use std::time::Duration;

use daybook_local::QueueAttributes;
use serde_json::Value;
use stand_in::{StandIn, daybook_at, run};

struct Queues {
    aws: StandIn,
    from: String,
    to: String,
    lock: tempfile::TempDir,
}

impl Queues {
    fn with(messages: usize) -> Self {
        let aws = StandIn::start();
        let create = |name: &str| {
            let url = aws
                .aws
                .sqs()
                .create_queue(name, QueueAttributes::default())
                .unwrap();
            let path = url.splitn(4, '/').nth(3).unwrap().to_owned();
            (url, format!("{}/{path}", aws.endpoint))
        };
        let (inside, from) = create("arrivals");
        for n in 0..messages {
            aws.aws.sqs().send(&inside, &format!("message {n}")).unwrap();
        }
        let (_, to) = create("work");
        Self {
            aws,
            from,
            to,
            lock: tempfile::tempdir().unwrap(),
        }
    }

    fn relay(&self, more: &[&str]) -> Command {
        let lock = self.lock.path().join("lock");
        let mut arguments = vec!["relay", "--from", &self.from, "--to", &self.to];
        arguments.extend(["--lock", lock.to_str().unwrap(), "--output", "json"]);
        arguments.extend(more);
        daybook_at(&self.aws.endpoint, &arguments)
    }

    fn delivered(&self) -> usize {
        let url = self
            .aws
            .aws
            .sqs()
            .create_queue("work", QueueAttributes::default())
            .unwrap();
        self.aws.aws.sqs().depth(&url).unwrap().visible
    }
}

#[test]
fn three_runs_take_115_messages_50_at_a_time() {
    let queues = Queues::with(115);
    let mut sent = Vec::new();
    for _ in 0..3 {
        let (code, stdout, stderr) = run(&mut queues.relay(&["--per-window", "50"]));
        assert_eq!(code, 0, "{stderr}");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(report["runs"], 1);
        sent.push(report["sent"].as_u64().unwrap());
    }
    assert_eq!(sent, [50, 50, 15]);
    assert_eq!(queues.delivered(), 115);
}

#[test]
fn with_every_it_runs_until_it_is_asked_to_end() {
    let queues = Queues::with(35);
    let mut command = queues.relay(&["--per-window", "10", "--every", "200ms"]);
    let relay = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if queues.delivered() == 35 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let killed = Command::new("kill").arg(relay.id().to_string()).status().unwrap();
    assert!(killed.success());
    let ended = relay.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report["sent"], 35);
    assert!(report["runs"].as_u64().unwrap() >= 4, "{report}");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_taken() {
    let queues = Queues::with(1);
    let relay = |from: &str, to: &str| {
        let (code, stdout, stderr) = run(&mut daybook_at(
            &queues.aws.endpoint,
            &["relay", "--from", from, "--to", to],
        ));
        assert_eq!(stdout, "");
        (code, stderr)
    };
    let (code, stderr) = relay(&queues.from, &queues.from);
    assert!(
        code == 2 && stderr.contains("the queue that messages are taken from"),
        "{code} {stderr}"
    );
    let missing = queues.to.replace("work", "nowhere");
    let (code, stderr) = relay(&queues.from, &missing);
    assert!(
        code == 1 && stderr.contains(&format!("there is no queue {missing}")),
        "{code} {stderr}"
    );
    assert_eq!(queues.delivered(), 0);
}

#[test]
fn a_second_relay_of_a_queue_is_refused_while_the_first_runs() {
    let queues = Queues::with(0);
    let mut first = queues.relay(&["--every", "1h"]);
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lock = queues.lock.path().join("lock");
    let holder = first.id().to_string();
    while std::fs::read_to_string(&lock).unwrap_or_default().trim() != holder {
        assert!(first.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, _, stderr) = run(&mut queues.relay(&[]));
    assert!(
        code == 1 && stderr.contains("another relay takes messages from"),
        "{code} {stderr}"
    );
    first.kill().unwrap();
    first.wait().unwrap();
    let (code, _, stderr) = run(&mut queues.relay(&[]));
    assert_eq!(code, 0, "{stderr}");
}
