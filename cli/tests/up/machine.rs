//! The real binary on a folder: started, asked over its port, stopped, killed, and its ledger read beside it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use daybook_ledger::{Clock, Ledger, Random, ReceiptSettings};
use daybook_schema::{Row, Status};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::folder::Beside;
use crate::stand_in::daybook;

/// Far longer than anything takes here, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at what is waited for.
pub const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Waits until that is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(LOOK_AGAIN).await;
    }
}

/// What a pipe has said so far, and whether it is read no further.
#[derive(Clone, Default)]
struct Heard(Arc<(Mutex<String>, AtomicBool)>);

impl Heard {
    /// Listens to its end.
    fn listen(pipe: impl Read + Send + 'static) -> Self {
        let heard = Self::default();
        let said = heard.clone();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            let (text, is_closed) = &*said.0;
            while !is_closed.load(Relaxed) && pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        heard
    }

    fn text(&self) -> String {
        self.0.0.lock().unwrap().clone()
    }
}

/// A running `daybook up`; killed when it is dropped.
pub struct Up {
    child: Child,
    stdout: Heard,
    stderr: Heard,
    /// For requests to it.
    pub client: Web,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All of its stdout.
    pub stdout: String,
    /// All of its stderr.
    pub stderr: String,
}

/// `daybook up` on that folder and a free port, unless the options say otherwise.
pub fn command(dir: &Path, options: &[&str]) -> Command {
    let mut command = daybook(&["up", "--data-dir"]);
    command
        .arg(dir)
        .args(options)
        .env("DAYBOOK_LISTEN", "127.0.0.1:0")
        .env("DAYBOOK_OUTPUT", "json")
        .env("PATH", "/usr/bin:/bin");
    command
}

impl Up {
    /// Starts it, and does not wait for anything.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdout: Heard::listen(child.stdout.take().unwrap()),
            stderr: Heard::listen(child.stderr.take().unwrap()),
            child,
            client: Web::new(),
        }
    }

    /// Starts it on that folder; it listens when this returns.
    pub async fn start(dir: &Path, options: &[&str]) -> Self {
        let mut up = Self::spawn(command(dir, options));
        up.url().await;
        up
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Closes its stderr after the next line, as a terminal does that goes away.
    pub fn close_stderr(&self) {
        self.stderr.0.1.store(true, Relaxed);
    }

    /// What it has said on stdout.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Where it listens, once it does.
    pub async fn url(&mut self) -> String {
        let begin = "daybook up: listening on ";
        self.until_said(begin).await;
        let said = self.stderr();
        let (_, after) = said.split_once(begin).unwrap();
        // In a JSON log a quote ends it.
        let url = after.split(['\n', '"']).next().unwrap();
        url.to_owned()
    }

    /// Waits until it has said that on stderr.
    pub async fn until_said(&mut self, what: &str) {
        until(what, async || {
            if self.stderr().contains(what) {
                return true;
            }
            let ended = self.child.try_wait().unwrap();
            // Its last words may still be on their way.
            assert!(ended.is_none(), "ended with {ended:?}: {}", self.stderr());
            false
        })
        .await;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it, as a power cut would; it is gone when this returns.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let mut status = None;
        until("it ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        // The pipes end with the process, if no command has them; none has.
        until("its pipes are read to their ends", async || {
            [&self.stdout, &self.stderr]
                .iter()
                .all(|heard| Arc::strong_count(&heard.0) == 1)
        })
        .await;
        Ended {
            code: status.unwrap().code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Ends it as an orchestrator does; its report, which must be there.
    pub async fn drained(self) -> Value {
        self.signal(Signal::TERM);
        self.report().await
    }

    /// The report of its good end, which must come.
    pub async fn report(self) -> Value {
        let ended = self.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let report = ended.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(report).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }

    /// POSTs a body to /events.
    pub async fn post(&mut self, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(format!("{}/events", self.url().await));
        self.client
            .answer(request.body(Full::new(body.into())).unwrap())
            .await
    }

    /// POSTs a notification that must be recorded; how many of its events are new.
    pub async fn record(&mut self, body: impl Into<Bytes>) -> u64 {
        let answer = self.post(body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["recorded"].as_u64().unwrap()
    }

    /// The most memory that it has ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes * 1024
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP client that keeps its connections.
#[derive(Clone)]
pub struct Web(Client<HttpConnector, Full<Bytes>>);

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Web {
    /// With no connections yet.
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
    }

    /// Asks, and must be answered.
    pub async fn answer(&self, request: Request<Full<Bytes>>) -> Answer {
        self.ask(request).await.unwrap()
    }

    /// Asks.
    ///
    /// # Errors
    /// When the answer does not come whole, or not in time.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let asked = async {
            let response: Response<_> = self
                .0
                .request(request)
                .await
                .map_err(|error| format!("{error:?}"))?;
            let (parts, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| format!("{error:?}"))?
                .to_bytes();
            Ok(Answer {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: String::from_utf8(body.to_vec()).unwrap(),
            })
        };
        timeout(PATIENCE, asked)
            .await
            .map_err(|_| "no answer in time".to_owned())?
    }
}

/// The ledger of a folder, as another process has it.
pub fn ledger(dir: &Path) -> Ledger {
    ledger_at(dir, Clock::system())
}

/// The same, as a process with that clock has it.
pub fn ledger_at(dir: &Path, clock: Clock) -> Ledger {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://folder.invalid")
        .credentials_provider(Credentials::new("a", "b", None, None, "test"))
        .http_client(Beside::of(dir))
        .build();
    let receipts = ReceiptSettings {
        table: "daybook-receipts".parse().unwrap(),
        keep: Duration::from_secs(14 * 24 * 3600),
    };
    Ledger::new(
        aws_sdk_dynamodb::Client::from_conf(config),
        "daybook-ledger".parse().unwrap(),
        Some(receipts),
        clock,
        Random::from_os(),
    )
}

/// All open rows.
pub async fn rows(ledger: &Ledger) -> Vec<Row> {
    let mut open = ledger.open_rows();
    let mut rows = Vec::new();
    while let Some(page) = open.next().await.unwrap() {
        rows.extend(page.into_iter().map(Result::unwrap));
    }
    rows
}

/// How many open rows there are of each status: PENDING, CLAIMED, PARKED. From the rows themselves: a row that moves from one
/// status to another between two counts of the index could be in neither.
pub async fn counts(ledger: &Ledger) -> [u64; 3] {
    let rows = rows(ledger).await;
    let count = |status| rows.iter().filter(|row| row.status == status).count() as u64;
    [Status::Pending, Status::Claimed, Status::Parked].map(count)
}

/// Waits until no row is open.
pub async fn until_none_open(ledger: &Ledger) {
    until("no row is open", async || counts(ledger).await == [0; 3]).await;
}
