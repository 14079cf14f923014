//! How fast `daybook audit` goes through a bucket of a million objects, how many requests that takes, and how much memory: of the
//! binary alone, because the S3 and the DynamoDB that it asks live in a process of their own, on loopback.
//!
//!     cargo build --release
//!     cargo run --release -p daybook-tests --example audit_million -- target/release/daybook [OBJECTS]
//!
//! Of ten objects one is open; of a thousand one is missing; the others are done. docs/audit.md says what was found.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking"
)]

mod serve;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the two stand-ins are called for by their own binary.
const SERVE: &str = "serve";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().expect("the daybook binary");
    let objects: u64 = arguments
        .next()
        .map_or(1_000_000, |objects| objects.parse().unwrap());
    if binary == SERVE {
        serve::serve(objects);
        return;
    }
    let began = Instant::now();
    let stand_ins = StandIns::start(objects);
    println!(
        "{objects} objects, {} of them open, {} missing; planted in {:.0?}",
        objects / 10,
        objects / 1000,
        began.elapsed()
    );
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (report, checkpoint) = (file("report.csv"), file("checkpoint"));
    let with_files = ["--report", report.as_str(), "--checkpoint", &checkpoint];
    for (name, more) in [
        ("audit", &[][..]),
        ("audit --report --checkpoint", &with_files[..]),
    ] {
        print(name, &stand_ins.audit(&binary, more), objects);
    }
    let size = |name: &str| std::fs::metadata(name).unwrap().len() / 1024;
    println!("report {} KB, checkpoint {} KB", size(&report), size(&checkpoint));
}

fn print(name: &str, (json, peak, elapsed): &(Value, u64, Duration), objects: u64) {
    for (class, expected) in [
        ("objects", objects),
        ("open", objects / 10),
        ("missing", objects / 1000),
    ] {
        assert_eq!(json[class], expected, "{class}");
    }
    let seconds = json["seconds"].as_f64().unwrap();
    println!(
        "{name}: {:.1} s in all, listing {seconds:.1} s, {:.0} objects/s, {:.1} requests per thousand objects, {:.0} read units, \
         peak memory {:.0} MB",
        elapsed.as_secs_f64(),
        objects as f64 / elapsed.as_secs_f64(),
        json["requests"]["per_thousand_objects"].as_f64().unwrap(),
        json["requests"]["read_units"].as_f64().unwrap(),
        *peak as f64 / 1024.0,
    );
}

/// The process with S3 and DynamoDB; it ends with this one's pipe.
struct StandIns {
    child: Child,
    s3: String,
    dynamodb: String,
}

impl StandIns {
    fn start(objects: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([SERVE, &objects.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("the stand-ins are there").unwrap();
        let (s3, dynamodb) = (line(), line());
        Self { child, s3, dynamodb }
    }

    /// The JSON of an audit, the most memory that its process had (KB), and how long it took.
    fn audit(&self, binary: &str, more: &[&str]) -> (Value, u64, Duration) {
        let began = Instant::now();
        let mut child = Command::new(binary)
            .args([
                "audit",
                "s3://data",
                "--ledger-table",
                "ledger",
                "--receipts-table",
                "receipts",
            ])
            .args(["--depth", "2", "--output", "json"])
            .args(more)
            .env_clear()
            .env("AWS_ENDPOINT_URL", &self.dynamodb)
            .env("AWS_ENDPOINT_URL_S3", &self.s3)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let reading = std::thread::spawn(move || serde_json::from_reader(&mut stdout).unwrap());
        let mut peak = 0;
        let code = loop {
            peak = peak.max(high_water(child.id()));
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(code, Some(3), "something is missing");
        (reading.join().unwrap(), peak, began.elapsed())
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The most resident memory that a process ever had, in KB, as Linux counts it.
fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
