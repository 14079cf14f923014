//! What goes wrong, and how often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::Scenario;
use crate::stage::Stage;
use crate::wire::{Fault, Request};

/// A class of faults.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// What it is called.
    pub name: &'static str,
    /// How often it happens, per thousand occasions.
    pub per_mille: u32,
    /// What happens.
    pub what: &'static str,
}

const fn class(name: &'static str, per_mille: u32, what: &'static str) -> Class {
    Class {
        name,
        per_mille,
        what,
    }
}

/// All classes of faults, those at the wire first. Rates: a bad day, not the end of the world; each seed takes a quarter of it, all
/// of it, or twice as much, for each class by itself.
pub const CLASSES: [Class; 45] = [
    class("not_sent", 10, "the connection breaks before a request leaves"),
    class("answer_lost", 15, "a request is done, and its answer never comes"),
    class("throttled", 15, "a request is refused for now"),
    class("server_error", 8, "500, and not done"),
    class("server_error_after", 8, "500, and done"),
    class("slow", 10, "an answer takes up to 4.5 seconds"),
    class("hang", 3, "a request is neither done nor answered"),
    class("hang_after", 3, "a request is done, and hangs"),
    class("dies_before", 4, "the process dies before a request leaves"),
    class("dies_after", 4, "the process dies after a request is done"),
    class(
        "stale",
        100,
        "a query of the index shows rows as they were, up to 10 minutes ago",
    ),
    class(
        "partial",
        60,
        "entries of a batch are refused, statements throttled",
    ),
    class("partial_error", 20, "statements of a batch fail inside, not done"),
    class(
        "partial_after",
        20,
        "statements or entries of a batch fail inside, done",
    ),
    class("unprocessed", 250, "a BatchGetItem leaves keys unprocessed"),
    class(
        "brownout",
        500,
        "a service, or one of its operations, hardly answers, for up to 20 minutes",
    ),
    class(
        "ledger_outage",
        200,
        "DynamoDB refuses everything, or hangs, for 1 to 5 hours",
    ),
    class("s3_error", 100, "S3 answers the audit 500 or 503, or not at all"),
    class("killed", 40, "a function is killed at some instant"),
    class("outage", 20, "a function does not run, for up to 3 hours"),
    class(
        "clock_skew",
        1000,
        "a function's clock is off, by up to 90 seconds",
    ),
    class(
        "late_tick",
        120,
        "a tick comes up to 3 hours late, for its own window",
    ),
    class("notification_twice", 200, "S3 tells twice"),
    class("notification_late", 100, "S3 tells up to 3 hours late"),
    class("notification_lost", 60, "S3 never tells"),
    class("message_lost", 40, "a dispatch message vanishes"),
    class("message_twice", 40, "a dispatch message arrives twice"),
    class(
        "message_late",
        30,
        "a dispatch message arrives up to 5 hours late, past its lease",
    ),
    class("queue_purged", 10, "the dispatch queue is purged"),
    class("status_event_lost", 150, "an execution's end is never told"),
    class("status_event_twice", 100, "an execution's end is told twice"),
    class(
        "status_event_late",
        200,
        "an execution's end is told up to 6 hours late",
    ),
    class("status_event_old", 30, "the end of an old attempt is told again"),
    class(
        "instant_execution",
        40,
        "an execution ends before its start is answered",
    ),
    class("long_execution", 60, "an execution runs longer than the lease"),
    class(
        "hung_execution",
        20,
        "an execution hangs until somebody aborts it, hours later",
    ),
    class(
        "invalid_input",
        500,
        "an object is such that Step Functions calls every input invalid that names it",
    ),
    class(
        "untold_execution",
        150,
        "an Express execution dies, and tells nobody",
    ),
    class("worker_dies", 300, "a worker dies in the middle of what it does"),
    class("receipt_early", 15, "a receipt is gone before its time"),
    class(
        "receipt_late",
        300,
        "a receipt outlives its time by up to two days",
    ),
    class("old_row", 100, "a row is one that the previous version wrote"),
    class(
        "newer_row",
        25,
        "a row is a newer release's, which is back hours later",
    ),
    class(
        "stranger_rows",
        300,
        "rows of a newer release stand before all others, until those are at rest",
    ),
    class(
        "restore",
        80,
        "the ledger is restored to what it was up to 4 hours earlier",
    ),
];

/// DynamoDB, as requests name it.
pub(crate) const DYNAMODB: &str = "DynamoDB_20120810";

/// The source of everything that goes wrong. Clones are one. Each class has a stream of chance of its own, so that a class
/// that is switched off changes as little as possible of the others.
#[derive(Clone)]
pub(crate) struct Chaos(Arc<Mutex<State>>, Arc<Notify>);

struct State {
    seed: u64,
    on: bool,
    faults: BTreeSet<&'static str>,
    streams: BTreeMap<&'static str, (fastrand::Rng, u32)>,
    brownout: Option<Brownout>,
    ledger_outage: Option<Fault>,
    /// Whether there is an object that makes inputs invalid.
    has_invalid: bool,
    /// Names of executions whose input was refused.
    refused: BTreeSet<String>,
    counts: BTreeMap<&'static str, u64>,
}

/// What hardly answers: a service, or one operation of it, which has a limit of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brownout {
    pub(crate) service: &'static str,
    pub(crate) operation: Option<&'static str>,
}

impl Chaos {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let rate = |class: &Class| {
            let mut rng = stream(scenario.seed, class.name);
            let rate = match rng.u8(0..4) {
                0 => class.per_mille.div_ceil(4),
                1 | 2 => class.per_mille,
                _ => class.per_mille * 2,
            };
            (class.name, (rng, rate))
        };
        let streams: BTreeMap<_, _> = CLASSES.iter().map(rate).collect();
        // Once for all: an input that was taken before is not invalid later.
        let (mut rng, per_mille) = streams["invalid_input"].clone();
        Self(
            Arc::new(Mutex::new(State {
                has_invalid: scenario.has("invalid_input") && rng.u32(0..1000) < per_mille,
                refused: BTreeSet::new(),
                seed: scenario.seed,
                on: true,
                faults: scenario.faults.clone(),
                streams,
                brownout: None,
                ledger_outage: None,
                counts: BTreeMap::new(),
            })),
            Arc::default(),
        )
    }

    /// Ready when the answer to statements is on hold, so that somebody else may change the rows before they are repeated.
    pub(crate) async fn statements_hang(&self) {
        self.1.notified().await;
    }

    /// Chance that is no fault, for an actor of that name.
    pub(crate) fn stream(&self, actor: &str) -> fastrand::Rng {
        stream(self.0.lock().unwrap().seed, actor)
    }

    /// Whether a fault of that class happens now; counts it.
    pub(crate) fn strikes(&self, class: &'static str) -> bool {
        self.0.lock().unwrap().strikes(class)
    }

    /// A number below `bound`, out of the stream of that class.
    pub(crate) fn below(&self, class: &'static str, bound: u64) -> u64 {
        self.0.lock().unwrap().below(class, bound)
    }

    /// Whether faults may happen still.
    pub(crate) fn is_on(&self) -> bool {
        self.0.lock().unwrap().on
    }

    /// From now on most of those requests fail; with `None` no service is worse than the others.
    pub(crate) fn brown_out(&self, brownout: Option<Brownout>) {
        self.0.lock().unwrap().brownout = brownout;
    }

    /// From now on every request to DynamoDB meets that fault; with `None` it is back.
    pub(crate) fn take_the_ledger_out(&self, fault: Option<Fault>) {
        self.0.lock().unwrap().ledger_outage = fault;
    }

    /// Lets the wire fail from now on.
    pub(crate) fn strike_the_wire(&self, stage: &Stage) {
        let chaos = self.clone();
        stage.wire.inject(move |request| {
            let fault = chaos.0.lock().unwrap().fault(request);
            if fault == Fault::HangAfter && request.operation == "BatchExecuteStatement" {
                chaos.1.notify_waiters();
            }
            fault
        });
    }

    /// The world is well from now on; an input that was refused is as invalid as before.
    pub(crate) fn stop(&self, stage: &Stage) {
        self.0.lock().unwrap().on = false;
        stage.wire.heal();
        let chaos = self.clone();
        stage
            .wire
            .inject(move |request| chaos.0.lock().unwrap().refusal(request).unwrap_or(Fault::None));
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap().counts.clone()
    }
}

impl State {
    fn strikes(&mut self, class: &'static str) -> bool {
        if !self.on || !self.faults.contains(class) {
            return false;
        }
        let (rng, rate) = self.streams.get_mut(class).expect("a class of the table");
        let strikes = rng.u32(0..1000) < *rate;
        if strikes {
            *self.counts.entry(class).or_default() += 1;
        }
        strikes
    }

    fn below(&mut self, class: &'static str, bound: u64) -> u64 {
        let (rng, _) = self.streams.get_mut(class).expect("a class of the table");
        rng.u64(0..bound)
    }

    /// Whether the target refuses that request's input: what it has refused once it refuses for good, whenever a copy of the message comes.
    fn refusal(&mut self, request: &Request) -> Option<Fault> {
        let name = names_the_invalid(request).filter(|_| self.has_invalid)?;
        if !self.on && !self.refused.contains(name) {
            return None;
        }
        self.refused.insert(name.to_owned());
        *self.counts.entry("invalid_input").or_default() += 1;
        Some(Fault::InvalidInput)
    }

    /// A request's fate. The wire itself counts these.
    fn fault(&mut self, request: &Request) -> Fault {
        if let Some(fault) = &self.ledger_outage
            && request.service == DYNAMODB
        {
            return fault.clone();
        }
        // Before a brownout, whose requests are done now and then: an input that is taken once is not invalid later.
        if let Some(refused) = self.refusal(request) {
            return refused;
        }
        let is_browned_out = self.brownout.is_some_and(|brownout| {
            brownout.service == request.service
                && brownout
                    .operation
                    .is_none_or(|operation| operation == request.operation)
        });
        if is_browned_out {
            return match self.below("brownout", 10) {
                0..4 => Fault::Throttled,
                4..7 => Fault::NotSent,
                7..9 => Fault::AnswerLost,
                _ => Fault::None,
            };
        }
        let batch = request.batch_size();
        let keys = match request.operation.as_str() {
            "BatchGetItem" => request.keys(),
            _ => 0,
        };
        let is_statements = request.operation == "BatchExecuteStatement";
        for class in &CLASSES[..15] {
            let name = class.name;
            let is_possible = match name {
                "stale" => request.operation == "Query",
                "partial" | "partial_after" => batch > 0,
                "partial_error" => is_statements,
                "unprocessed" => keys > 0,
                "dies_before" | "dies_after" => request.process.is_some(),
                _ => true,
            };
            if !is_possible || !self.strikes(name) {
                continue;
            }
            *self.counts.entry(name).or_default() -= 1;
            let some = |state: &mut Self, of: usize| -> Vec<usize> {
                (0..of).filter(|_| state.below(name, 2) == 0).collect()
            };
            return match name {
                "not_sent" => Fault::NotSent,
                "answer_lost" => Fault::AnswerLost,
                "throttled" => Fault::Throttled,
                "server_error" => Fault::ServerError,
                "server_error_after" => Fault::ServerErrorAfter,
                "slow" => Fault::Slow(Duration::from_millis(500 + self.below(name, 4000))),
                "hang" => Fault::Hang,
                "hang_after" => Fault::HangAfter,
                "dies_before" => Fault::DiesBefore,
                "dies_after" => Fault::DiesAfter,
                "stale" => Fault::Stale,
                "partial" => Fault::Partial(some(self, batch)),
                "partial_error" => Fault::PartialError(some(self, batch)),
                "partial_after" => Fault::PartialAfter(some(self, batch)),
                _ => Fault::Unprocessed(some(self, keys)),
            };
        }
        Fault::None
    }
}

/// The execution's name, if its input is of those that may be invalid.
fn names_the_invalid(request: &Request) -> Option<&str> {
    let input = request.body["input"].as_str()?;
    let name = request.body["name"].as_str()?;
    Some(name).filter(|_| request.operation == "StartExecution" && input.contains("/05 "))
}

/// A stream of chance by seed and name.
fn stream(seed: u64, name: &str) -> fastrand::Rng {
    let start = seed ^ 0xc4a0_5000_0000_0000;
    let mixed = name.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    fastrand::Rng::with_seed(mixed)
}
