//! `daybook up` as a process, and what it costs.

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
            .env("RUST_LOG", "warn,daybook::up=info")
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
            let answer = dynamodb(&mut connection, "Scan", two);
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
            let answer = dynamodb(&mut connection, "Scan", &request.to_string());
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

    /// Drains it; its processor time and its flushes of the log, if it says them.
    pub fn stop(&mut self) -> (Duration, Option<u64>) {
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
        let flushes = said.rsplit_once("flushes=").map(|(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        });
        (processor, flushes)
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

fn dynamodb(connection: &mut Connection, operation: &str, request: &str) -> serde_json::Value {
    let headers = format!("X-Amz-Target: DynamoDB_20120810.{operation}\r\n");
    serde_json::from_str(&connection.post("/", &headers, request)).unwrap()
}
