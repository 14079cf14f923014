//! A console on the stage's ledger.
#![allow(dead_code, reason = "each test executable uses a part of it")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use daybook_console::settings::{Access, LOOPBACK_HOSTS};
use daybook_console::{Deployment, Settings, Source, router};
use daybook_inspect::audits::{KeptAudit, KeptAudits};
use daybook_inspect::aws::s3::S3;
use daybook_inspect::operate::log::{self, Entry, Log};
use daybook_inspect::parts::Parts;
use daybook_inspect::rate::Rate;
use daybook_ledger::{Ledger, NewRow, Person, Recorded, RetryPolicy};
use daybook_schema::{SourceName, Status, notification};
use daybook_tests::stage::Stage;
use futures::future::{BoxFuture, FutureExt, ready};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// Keys that would do something, if they were more than texts.
pub const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "gpj.\u{202e}exe.txt",
    "100%25/'quotes'\"&amp;",
    "../../etc/passwd?versionId=<b>",
    "\u{200b}line\nbreak\u{7}\u{1b}[31m",
    "{{ frame.name }}{% raw %}",
];

/// Pages of tests wait for their answers.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct World {
    pub stage: Stage,
    pub opened: Arc<AtomicUsize>,
    pub log: Arc<Lines>,
    pub gate: Arc<Gate>,
    router: Router,
    _stop: watch::Sender<bool>,
}

/// A log in memory, which outlives a console.
#[derive(Default)]
pub struct Lines(Mutex<String>);

impl Log for Lines {
    fn write(&self, entry: &Entry) -> io::Result<()> {
        *self.0.lock().unwrap() += &(serde_json::to_string(entry)? + "\n");
        Ok(())
    }

    fn read(&self) -> io::Result<Vec<Entry>> {
        Ok(log::read(&self.0.lock().unwrap()))
    }
}

#[derive(Clone)]
struct Opener {
    ledger: Ledger,
    log: Arc<Lines>,
    has_log: bool,
    opened: Arc<AtomicUsize>,
    kept: Vec<KeptAudit>,
    gate: Arc<Gate>,
}

/// Where looks wait to be let through.
pub struct Gate {
    pub open: Semaphore,
    /// Those that have not been let through, and were given up.
    pub given_up: AtomicUsize,
}

impl Gate {
    fn new(open: bool) -> Arc<Self> {
        Arc::new(Self {
            open: Semaphore::new(if open { Semaphore::MAX_PERMITS } else { 0 }),
            given_up: AtomicUsize::new(0),
        })
    }

    async fn pass(&self) {
        let mut waiting = GivenUp(Some(self));
        let _ = self.open.acquire().await;
        waiting.0 = None;
    }
}

struct GivenUp<'a>(Option<&'a Gate>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(gate) = self.0 {
            gate.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Source for Opener {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Deployment>, String>> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let opened = self.clone();
        async {
            opened.gate.pass().await;
            Ok(Arc::new(opened) as Arc<dyn Deployment>)
        }
        .boxed()
    }
}

impl Deployment for Opener {
    fn parts(&self) -> Parts<'_> {
        Parts {
            ledger: &self.ledger,
            queue: None,
            executions: None,
            source: SourceName::default(),
            folder: None,
        }
    }

    fn name(&self) -> String {
        "a folder".to_owned()
    }

    fn rate(&self) -> Rate {
        Rate::default()
    }

    fn max_attempts(&self) -> u32 {
        5
    }

    fn retry(&self) -> RetryPolicy {
        RetryPolicy::default()
    }

    fn s3(&self) -> Result<S3, String> {
        Err("S3 is not asked".to_owned())
    }

    fn audits(&self) -> BoxFuture<'_, Result<KeptAudits, String>> {
        let audits = self.kept.iter().map(|kept| kept.brief.clone()).collect();
        let place = Some("data/audits".to_owned());
        ready(Ok(KeptAudits {
            place,
            audits: Some(audits),
        }))
        .boxed()
    }

    fn audit(&self, id: String) -> BoxFuture<'_, Result<Option<KeptAudit>, String>> {
        let kept = self.kept.iter().find(|kept| kept.brief.id == id).cloned();
        ready(Ok(kept)).boxed()
    }

    fn log(&self) -> Option<Arc<dyn Log>> {
        self.has_log.then(|| self.log.clone() as Arc<dyn Log>)
    }

    fn flags(&self) -> String {
        "--local data".to_owned()
    }
}

impl World {
    pub async fn new() -> Self {
        Self::of(Stage::usual().await, None, false)
    }

    pub async fn read_only() -> Self {
        Self::of(Stage::usual().await, None, true)
    }

    pub async fn with_token(token: &str) -> Self {
        let access = Access {
            token: token.to_owned(),
            session: "5e55".repeat(16),
        };
        Self::of(Stage::usual().await, Some(access), false)
    }

    /// With a parked row for each hostile key, whose error has the key in it.
    pub async fn hostile() -> Self {
        let stage = Stage::usual().await;
        for key in HOSTILE {
            park(&stage, key).await;
        }
        Self::of(stage, None, false)
    }

    fn of(stage: Stage, access: Option<Access>, read_only: bool) -> Self {
        Self::keeping(stage, access, read_only, (Vec::new(), true))
    }

    /// Where these audits are kept.
    pub async fn with_audits(kept: Vec<KeptAudit>) -> Self {
        Self::keeping(Stage::usual().await, None, true, (kept, true))
    }

    /// As on AWS: what people do is kept nowhere but in rows and receipts.
    pub async fn without_log() -> Self {
        Self::keeping(Stage::usual().await, None, false, (Vec::new(), false))
    }

    fn keeping(
        stage: Stage,
        access: Option<Access>,
        read_only: bool,
        (kept, has_log): (Vec<KeptAudit>, bool),
    ) -> Self {
        Self::behind(
            (Gate::new(true), PATIENCE),
            stage,
            access,
            read_only,
            (kept, has_log),
        )
    }

    /// Whose looks are let through later, and whose pages do not wait for them.
    pub async fn slow() -> Self {
        let stage = Stage::usual().await;
        park(&stage, "in/slow.json").await;
        Self::behind(
            (Gate::new(false), Duration::ZERO),
            stage,
            None,
            false,
            (Vec::new(), true),
        )
    }

    fn behind(
        (gate, patience): (Arc<Gate>, Duration),
        stage: Stage,
        access: Option<Access>,
        read_only: bool,
        (kept, has_log): (Vec<KeptAudit>, bool),
    ) -> Self {
        let (opened, log) = (Arc::default(), Arc::default());
        let source = Opener {
            ledger: stage.ledger.clone(),
            log: Arc::clone(&log),
            has_log,
            opened: Arc::clone(&opened),
            kept,
            gate: Arc::clone(&gate),
        };
        let (router, stop) = console(source, access, read_only, patience);
        Self {
            stage,
            opened,
            log,
            gate,
            router,
            _stop: stop,
        }
    }

    /// As after a kill: another console, which knows what the rows and the log say.
    pub fn restart(&mut self) {
        let source = Opener {
            ledger: self.stage.ledger.clone(),
            log: self.log.clone(),
            has_log: true,
            opened: self.opened.clone(),
            kept: Vec::new(),
            gate: Gate::new(true),
        };
        let (router, stop) = console(source, None, false, PATIENCE);
        self.router = router;
        // What ran before is told nothing: it is as if it were gone.
        std::mem::forget(std::mem::replace(&mut self._stop, stop));
    }

    pub fn parts(&self) -> Parts<'_> {
        Parts {
            ledger: &self.stage.ledger,
            queue: None,
            executions: None,
            source: SourceName::default(),
            folder: None,
        }
    }

    /// The answer; of a stream its head.
    pub async fn ask(&self, asked: Asked) -> (StatusCode, HeaderMap, String) {
        let is_stream = asked.route == "/live" || asked.route.starts_with("/looks/");
        let response = self.router.clone().oneshot(asked.request()).await.unwrap();
        let (parts, body) = response.into_parts();
        if is_stream && parts.status == StatusCode::OK {
            return (parts.status, parts.headers, String::new());
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            String::from_utf8(bytes.to_vec()).unwrap(),
        )
    }

    /// The body as it comes.
    pub async fn open(&self, asked: Asked) -> Body {
        let response = self.router.clone().oneshot(asked.request()).await.unwrap();
        response.into_body()
    }

    pub async fn ask_but_stream(&self, asked: Asked) -> (StatusCode, HeaderMap, String) {
        self.ask(asked).await
    }
}

fn console(
    source: Opener,
    access: Option<Access>,
    read_only: bool,
    patience: Duration,
) -> (Router, watch::Sender<bool>) {
    let (say_stop, stop) = watch::channel(false);
    let settings = Settings {
        hosts: LOOPBACK_HOSTS.map(str::to_owned).into(),
        access,
        read_only,
        poll: Duration::from_secs(60),
        patience,
        by: "tester".to_owned(),
        stop,
    };
    (router(Arc::new(source), settings), say_stop)
}

/// Records an event and parks it, with an error of its own.
pub async fn park(stage: &Stage, key: &str) {
    let body = serde_json::json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-11-20T10:15:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "data"},
            "object": {"key": form_urlencoded::byte_serialize(key.as_bytes()).collect::<String>(), "sequencer": "0A"}},
    }]})
    .to_string();
    let event = notification::read(&body, &SourceName::default()).events.remove(0);
    let row = NewRow::Event {
        event,
        max_attempts: 1,
        trace: None,
        caveat: None,
        at_once: false,
    };
    let ledger = &stage.ledger;
    assert_eq!(
        ledger.record(vec![row], stage.deadline()).await,
        [Recorded::Recorded]
    );
    let (window, deadline) = (stage.window(), stage.deadline());
    stage.scheduler().run(window, deadline).await.unwrap();
    let mut claimed = Vec::new();
    let mut rows = ledger.open_rows();
    while let Some(page) = rows.next().await.unwrap() {
        claimed.extend(
            page.into_iter()
                .flatten()
                .filter(|row| row.status == Status::Claimed),
        );
    }
    let why = format!("no such column in {key}");
    let person = Person {
        by: "tester",
        why: Some(&why),
    };
    let failed = ledger
        .fail_rows(&claimed, person, &RetryPolicy::default(), stage.deadline())
        .await;
    assert!(failed.iter().all(Result::is_ok), "{failed:?}");
}

/// A request.
#[derive(Clone)]
pub struct Asked {
    method: Method,
    route: String,
    headers: HeaderMap,
    body: String,
}

pub fn get(route: &str) -> Asked {
    let asked = Asked {
        method: Method::GET,
        route: route.to_owned(),
        headers: HeaderMap::new(),
        body: String::new(),
    };
    asked.with("host", "localhost:9481")
}

pub fn post(route: &str, body: &str) -> Asked {
    Asked {
        body: body.to_owned(),
        ..get(route).by(Method::POST)
    }
}

impl Asked {
    pub fn by(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    fn request(self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.route.parse().unwrap();
        *request.headers_mut() = self.headers;
        request
    }
}
