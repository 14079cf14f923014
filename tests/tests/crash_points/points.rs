//! Where a run can die: every request on every wire, counted, and the death itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use daybook_tests::S3;
use tokio::sync::Notify;

/// Who makes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    Ingest,
    Schedule,
    Invoke,
    Complete,
    Sweep,
    Audit,
    Repair,
    Person,
    Worker,
    Recover,
}

/// On which side of a request a run dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The request never leaves.
    Before,
    /// It is done, and nobody is left to read the answer.
    After,
}

pub const SIDES: [Side; 2] = [Side::Before, Side::After];

/// Where to die: at the how-manieth counted request of the story, and then at the how-manieth of the same function's next run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub first: Option<(usize, Side)>,
    pub again: Option<(usize, Side)>,
}

/// A request, as a place to die at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub function: Function,
    pub operation: String,
    /// The how-manieth run of the story made it.
    pub run: usize,
}

impl Point {
    /// Whether the world is the same after it.
    pub fn only_reads(&self) -> bool {
        matches!(
            self.operation.as_str(),
            "GetItem"
                | "Query"
                | "Scan"
                | "BatchGetItem"
                | "ListExecutions"
                | "DescribeExecution"
                | "GetQueueAttributes"
                | "GetBucketVersioning"
                | "ListObjectsV2"
                | "HeadObject"
        )
    }
}

/// What becomes of a request.
pub enum Fate {
    Lives,
    Dies(Side),
}

#[derive(Default)]
struct State {
    plan: Plan,
    /// Whose requests are counted.
    watched: BTreeSet<Function>,
    /// Whose run is under way.
    running: Option<Function>,
    runs: usize,
    /// Whether this run is counted.
    is_counted: bool,
    /// All counted requests so far.
    seen: Vec<Point>,
    /// Since its death a run can do nothing any more.
    is_dead: bool,
    /// The deaths so far.
    deaths: Vec<Point>,
    /// Whose next run is the repeat.
    to_repeat: Option<Function>,
    is_repeat: bool,
    /// The requests of the repeat.
    in_repeat: Vec<Point>,
}

/// Counts the requests of a story and kills runs. Clones are one.
#[derive(Clone)]
pub struct Points {
    state: Arc<Mutex<State>>,
    death: Arc<Notify>,
}

/// What came to light.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    pub seen: Vec<Point>,
    pub deaths: Vec<Point>,
    pub in_repeat: Vec<Point>,
}

impl Points {
    pub fn new(plan: Plan) -> Self {
        let state = State {
            plan,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            death: Arc::default(),
        }
    }

    /// From now on the requests of these functions are counted, and of no others.
    pub fn watch(&self, functions: &[Function]) {
        self.state.lock().unwrap().watched = functions.iter().copied().collect();
    }

    /// One run of a function; `None` when it died. Whatever was under way dies with it.
    pub async fn run<T>(&self, function: Function, run: impl Future<Output = T>) -> Option<T> {
        {
            let mut state = self.state.lock().unwrap();
            assert!(state.running.is_none(), "{function:?} begins within another run");
            state.running = Some(function);
            state.runs += 1;
            state.is_counted = state.watched.contains(&function);
            state.is_repeat = state.to_repeat.take_if(|repeat| *repeat == function).is_some();
        }
        // A moment later: what was asked is done by then. A dead run asks no more.
        let death = async {
            self.death.notified().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let outcome = tokio::select! {
            biased;
            outcome = run => Some(outcome),
            () = death => None,
        };
        let mut state = self.state.lock().unwrap();
        // What comes to its end in its last moment asked nothing any more: it is dead all the same.
        let outcome = outcome.filter(|_| !state.is_dead);
        if outcome.is_none() && !state.is_repeat {
            state.to_repeat = Some(function);
        }
        state.running = None;
        state.is_dead = false;
        state.is_repeat = false;
        outcome
    }

    /// Every request asks.
    pub fn meet(&self, operation: &str) -> Fate {
        let mut state = self.state.lock().unwrap();
        let Some(function) = state.running else {
            return Fate::Lives;
        };
        if state.is_dead {
            return Fate::Dies(Side::Before);
        }
        let point = Point {
            function,
            operation: operation.to_owned(),
            run: state.runs,
        };
        let mut side = None;
        if state.is_repeat {
            let here = state.in_repeat.len();
            side = state.plan.again.filter(|(at, _)| *at == here);
            state.in_repeat.push(point.clone());
        }
        if state.is_counted {
            let here = state.seen.len();
            side = side.or(state.plan.first.filter(|(at, _)| *at == here));
            state.seen.push(point.clone());
        }
        let Some((_, side)) = side else {
            return Fate::Lives;
        };
        state.is_dead = true;
        state.deaths.push(point);
        self.death.notify_one();
        Fate::Dies(side)
    }

    pub fn counted(&self) -> Counted {
        let state = self.state.lock().unwrap();
        Counted {
            seen: state.seen.clone(),
            deaths: state.deaths.clone(),
            in_repeat: state.in_repeat.clone(),
        }
    }
}

/// The places to die at of one run after which the world differs: before its first request, and after each that writes.
pub fn different(requests: &[Point]) -> Vec<(usize, Side)> {
    let begins = |position: usize| position == 0 || requests[position - 1].run != requests[position].run;
    let mut places = Vec::new();
    for (position, request) in requests.iter().enumerate() {
        if begins(position) {
            places.push((position, Side::Before));
        }
        if !request.only_reads() {
            places.push((position, Side::After));
        }
    }
    places
}

/// The way to S3, on which runs die as on the other wires.
#[derive(Clone)]
struct Gate {
    s3: S3,
    points: Points,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

/// The client of that S3, its requests counted.
pub fn gated(s3: &S3, points: &Points) -> aws_sdk_s3::Client {
    let gate = Gate {
        s3: s3.clone(),
        points: points.clone(),
    };
    let config = s3.client().config().to_builder().http_client(gate).build();
    aws_sdk_s3::Client::from_conf(config)
}

impl HttpClient for Gate {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Gate {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = match request.method() {
            "HEAD" => "HeadObject",
            _ if request.uri().contains("versioning") => "GetBucketVersioning",
            _ => "ListObjectsV2",
        };
        match self.points.meet(operation) {
            Fate::Lives => self.s3.call(request),
            Fate::Dies(Side::Before) => HttpConnectorFuture::new(std::future::pending()),
            Fate::Dies(Side::After) => {
                let answer = self.s3.call(request);
                HttpConnectorFuture::new(async move {
                    let _ = answer.await;
                    std::future::pending().await
                })
            }
        }
    }
}
