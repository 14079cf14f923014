//! A bucket on a loopback port, and a folder with a ledger that knows some of its objects.

use std::process::Command;

use daybook_ledger::Clock;
use daybook_schema::identity::EventBasis;
use daybook_schema::{Attempt, ObjectEvent, Outcome, Receipt, Row, Status, Timestamp};
use daybook_tests::S3;
use daybook_tests::s3::{Version, Versioning};
use serde_json::Value;

use crate::stand_in::rows::{self, Fixtures, at};
use crate::stand_in::{daybook, run};

/// The ledger was installed at noon.
pub const INSTALLED: &str = "2020-01-01T12:00:00Z";
pub const BEFORE: &str = "2020-01-01T11:00:00Z";
pub const AFTER: &str = "2020-01-02T10:00:00Z";
pub const TOO_NEW: &str = "2999-01-01T00:00:00Z";

pub const BUCKET: &str = "data";

/// That many minutes ago: what is older than an intake queue's retention cannot wait there.
pub fn ago(minutes: i64) -> String {
    let millis = Clock::system().now().unix_millis() - minutes * 60_000;
    Timestamp::from_unix_millis(millis).unwrap().to_string()
}

/// What a spreadsheet, a terminal and a CSV reader would each stumble over.
pub const HOSTILE: &str = "in/=1+2,\"x\";\u{1b}[31m\nnew\u{202e}line.csv";

/// An S3 on a port of its own, until it is dropped.
pub struct Served {
    pub s3: S3,
    pub endpoint: String,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    pub fn start(versioning: Versioning) -> Self {
        Self::on(Clock::system(), versioning)
    }

    pub fn on(clock: Clock, versioning: Versioning) -> Self {
        let s3 = S3::new(clock);
        s3.create_bucket(BUCKET, versioning);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let served = s3.clone();
        runtime.spawn(async move { served.serve(listener).await });
        Self {
            s3,
            endpoint,
            _runtime: runtime,
        }
    }

    pub fn put(&self, key: &str, content: &str, at: &str) -> Version {
        self.s3.put_at(BUCKET, key, content, at.parse().unwrap())
    }

    /// The binary, with this S3 and credentials for it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = daybook(&[&["audit"], arguments].concat());
        command
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_ENDPOINT_URL_S3", &self.endpoint);
        command
    }
}

/// Its event, as its notification would have told it.
pub fn event(key: &str, n: u32, version: &Version) -> ObjectEvent {
    let mut event = rows::event(key, n);
    event.etag = version.etag.clone();
    event.version_id = version.id.clone();
    event.event_time = Some(version.last_modified);
    event.size = Some(version.size);
    let sequencer = event.sequencer.clone().unwrap();
    event.id = event.object_parts().event_id(EventBasis::Sequencer {
        sequencer: &sequencer,
        etag: event.etag.as_deref(),
    });
    event
}

pub fn row(event: ObjectEvent) -> Row {
    Row::recorded(event, 5, None, at(AFTER))
}

fn removed(event: &ObjectEvent) -> Receipt {
    let (by, why) = ("ops@host".to_owned(), Some("a test file".to_owned()));
    let keep = std::time::Duration::from_secs(200 * 365 * 24 * 3600);
    Receipt::new(event, Attempt(1), Outcome::Removed, by, why, at(AFTER), keep)
}

/// A folder as `daybook up` leaves it, with receipts that are kept for so many days.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn with(receipts_days: u64, fill: impl AsyncFnOnce(Fixtures<'_>)) -> Self {
        let home = tempfile::tempdir().unwrap();
        rows::folder(home.path(), fill);
        let settings = serde_json::json!({
            "source": "aws", "max_attempts": 5, "receipts_keep_seconds": receipts_days * 24 * 3600,
        });
        std::fs::write(home.path().join("settings.json"), settings.to_string()).unwrap();
        Self(home)
    }

    /// With nothing in it but when it was installed.
    pub fn empty() -> Self {
        Self::with(36_500, async |fixtures: Fixtures<'_>| {
            fixtures.install(INSTALLED).await
        })
    }

    pub fn file(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Code, stdout, stderr of an audit with that S3.
    pub fn audit(&self, served: &Served, arguments: &[&str]) -> (i32, String, String) {
        let told = run(&mut self.command(served, arguments));
        let here = self.0.path().to_str().unwrap();
        let plain = |text: &str| {
            rows::normal(text)
                .replace(here, "DIR")
                .replace(&served.endpoint, "S3")
        };
        (told.0, plain(&told.1), plain(&told.2))
    }

    pub fn command(&self, served: &Served, arguments: &[&str]) -> Command {
        served.command(&[&["--local", self.0.path().to_str().unwrap()], arguments].concat())
    }

    /// Code and JSON.
    pub fn json(&self, served: &Served, arguments: &[&str]) -> (i32, Value) {
        let (code, stdout, stderr) =
            run(&mut self.command(served, &[arguments, &["--output", "json"]].concat()));
        let json = serde_json::from_str(&stdout);
        (code, json.unwrap_or_else(|_| panic!("{code} {stdout} {stderr}")))
    }

    /// The keys and event names of open rows.
    pub fn open(&self) -> Vec<(String, String)> {
        let list = [
            "list",
            "--output",
            "json",
            "--local",
            self.0.path().to_str().unwrap(),
        ];
        let (code, stdout, stderr) = run(&mut daybook(&list));
        assert_eq!(code, 0, "{stderr}");
        let json: Value = serde_json::from_str(&stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = json["rows"].as_array().unwrap().iter();
        let mut rows: Vec<_> = rows
            .map(|row| (text(&row["key"]), text(&row["event_name"])))
            .collect();
        rows.sort();
        rows
    }
}

/// A bucket with one object of every class (two of them missing), and the folder to audit it with.
pub fn every_class(versioning: Versioning) -> (Served, Folder) {
    let served = Served::start(versioning);
    let done = event("in/done.json", 1, &served.put("in/done.json", "done", AFTER));
    let open = event("in/open.json", 2, &served.put("in/open.json", "open", AFTER));
    let parked = event(
        "in/parked.json",
        3,
        &served.put("in/parked.json", "parked", AFTER),
    );
    let taken_out = event(
        "in/removed.json",
        4,
        &served.put("in/removed.json", "removed", AFTER),
    );
    served.put(HOSTILE, "never told of", AFTER);
    served.put("out/missing.json", "never told of either", "2020-01-03T10:00:00Z");
    served.put("old.json", "from before", BEFORE);
    served.put("new/too-new.json", "just now", TOO_NEW);
    let deleted = served.put("in/deleted.json", "deleted", AFTER);
    let gone = event("in/deleted.json", 5, &deleted);
    served
        .s3
        .delete_version(BUCKET, "in/deleted.json", deleted.id.as_deref());
    let folder = Folder::with(36_500, async |fixtures: Fixtures<'_>| {
        fixtures.install(INSTALLED).await;
        fixtures.put_receipt(&done).await;
        fixtures.put_this_receipt(&removed(&taken_out)).await;
        fixtures.put_row(&row(open)).await;
        fixtures.put_row(&row(gone)).await;
        let parked = Row {
            status: Status::Parked,
            attempt: Attempt(5),
            deliveries: 1,
            last_error: Some("exit status 7: a\u{1b}[0m,\"b\"\nsecond line".to_owned()),
            ..row(parked)
        };
        fixtures.put_row(&parked).await;
    });
    (served, folder)
}

/// Whether two instants are the same second; for what S3 tells.
pub fn is(text: &Value, instant: &str) -> bool {
    let parsed: Timestamp = text.as_str().unwrap().parse().unwrap();
    parsed == at(instant)
}
