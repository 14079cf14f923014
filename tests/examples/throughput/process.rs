//! `daybook up` as a process, and what it costs.

use std::cell::Cell;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::Connection;

const PATIENCE: Duration = Duration::from_secs(120);

pub struct Up {
    child: Child,
    log: PathBuf,
    address: SocketAddr,
    /// How many requests were made here to the embedded AWS, to see how far it is.
    looks: Cell<u64>,
}

/// What a process says of itself when it ends.
pub struct Spent {
    /// User and system time, of its ended commands too.
    pub processor: Duration,
    /// Flushes of the ledger's log that requests waited for.
    pub flushes: u64,
    /// Requests to the embedded AWS, without those that were made here.
    pub requests: u64,
}

impl Up {
    pub fn start(binary: &str, folder: &Path, workers: &str, target: &[String]) -> Self {
        let log = folder.join("log");
        let child = Command::new(binary)
            .args([
                "up",
                "--listen",
                "127.0.0.1:0",
                "--per-window",
                "1000000",
                "--workers",
                workers,
            ])
            .arg("--data-dir")
            .arg(folder.join("data"))
            .args(target)
            .env("RUST_LOG", "warn,daybook::commands::run::up=info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .expect("daybook starts");
        // Ended with this value, also when it does not start as it should.
        let mut up = Self {
            child,
            log,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            looks: Cell::new(0),
        };
        let began = Instant::now();
        up.address = loop {
            let said = std::fs::read_to_string(&up.log).unwrap();
            let url = said
                .lines()
                .find_map(|line| line.strip_prefix("daybook up: listening on http://"));
            if let Some(address) = url.filter(|_| said.contains("drains.")) {
                break address.parse().unwrap();
            }
            assert!(began.elapsed() < PATIENCE, "it does not start: {said}");
            std::thread::sleep(Duration::from_millis(10));
        };
        up
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the ledger has its control item and nothing else.
    pub fn wait_until_nothing_is_open(&self) {
        let mut connection = Connection::open(self.address);
        let began = Instant::now();
        loop {
            let two = r#"{"TableName":"daybook-ledger","Limit":2,"ProjectionExpression":"id"}"#;
            let answer = self.dynamodb(&mut connection, "Scan", two);
            if answer["Count"].as_u64().unwrap() < 2 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "rows stay open");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many receipts there are.
    pub fn receipts(&self) -> u32 {
        let mut connection = Connection::open(self.address);
        let mut request = serde_json::json!({"TableName": "daybook-receipts", "Select": "COUNT"});
        let mut found = 0;
        loop {
            let answer = self.dynamodb(&mut connection, "Scan", &request.to_string());
            found += answer["Count"].as_u64().unwrap();
            if answer["LastEvaluatedKey"].is_null() {
                return u32::try_from(found).unwrap();
            }
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"].clone();
        }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap_or_default();
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        written.map_or(0, |written| written.parse().unwrap())
    }

    /// Drains it; what it spent.
    pub fn stop(&mut self) -> Spent {
        let processor = self.processor();
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        assert!(self.child.wait().unwrap().success(), "it drains and ends");
        let said = std::fs::read_to_string(&self.log).unwrap();
        Spent {
            processor,
            flushes: number_after(&said, "flushes="),
            requests: number_after(&said, "requests=") - self.looks.get(),
        }
    }

    fn dynamodb(&self, connection: &mut Connection, operation: &str, request: &str) -> serde_json::Value {
        self.looks.set(self.looks.get() + 1);
        let headers = format!("X-Amz-Target: DynamoDB_20120810.{operation}\r\n");
        serde_json::from_str(&connection.post("/", &headers, request)).unwrap()
    }

    /// User and system time, of its ended commands too, in ticks of 10 ms (proc(5)).
    fn processor(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks: u64 = after_name
            .split(' ')
            .skip(11)
            .take(4)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number_after(said: &str, name: &str) -> u64 {
    let (_, rest) = said.rsplit_once(name).expect("it says how many there were");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}
