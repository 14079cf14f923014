//! What goes wrong, and how often.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::stage::Stage;
use crate::wire::{Fault, Request};

/// The source of everything that goes wrong. Clones share one stream of chance.
#[derive(Clone)]
pub(crate) struct Chaos(Arc<Mutex<State>>);

struct State {
    rng: fastrand::Rng,
    on: bool,
    brownout: Option<&'static str>,
    counts: BTreeMap<&'static str, u64>,
}

impl Chaos {
    pub(crate) fn new(seed: u64, on: bool) -> Self {
        let rng = fastrand::Rng::with_seed(seed ^ 0xc4a0_5000);
        Self(Arc::new(Mutex::new(State {
            rng,
            on,
            brownout: None,
            counts: BTreeMap::new(),
        })))
    }

    /// Whether `what`, which happens to so many in a thousand, happens now; counts it.
    pub(crate) fn strikes(&self, what: &'static str, per_mille: u32) -> bool {
        let mut state = self.0.lock().unwrap();
        let strikes = state.rng.u32(0..1000) < per_mille && state.on;
        if strikes {
            *state.counts.entry(what).or_default() += 1;
        }
        strikes
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap().rng.u64(0..bound)
    }

    /// From now on most requests to that service fail; with `None` no service is worse than the others.
    pub(crate) fn brown_out(&self, service: Option<&'static str>) {
        self.0.lock().unwrap().brownout = service;
    }

    /// Lets the wire fail from now on.
    pub(crate) fn strike_the_wire(&self, stage: &Stage) {
        let chaos = self.clone();
        stage.wire.inject(move |request| chaos.fault(request));
    }

    /// The world is well from now on.
    pub(crate) fn stop(&self, stage: &Stage) {
        self.0.lock().unwrap().on = false;
        stage.wire.heal();
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap().counts.clone()
    }

    /// A request's fate. Rates per thousand: a bad day, not the end of the world.
    fn fault(&self, request: &Request) -> Fault {
        let mut state = self.0.lock().unwrap();
        if !state.on {
            return Fault::None;
        }
        if state.brownout == Some(request.service.as_str()) {
            return match state.rng.u32(0..10) {
                0..4 => Fault::Throttled,
                4..7 => Fault::NotSent,
                7..9 => Fault::AnswerLost,
                _ => Fault::None,
            };
        }
        let is_index_read = request.operation == "Query";
        let batch = match request.operation.as_str() {
            "SendMessageBatch" => request.body["Entries"].as_array().map_or(0, Vec::len),
            "BatchExecuteStatement" => request.body["Statements"].as_array().map_or(0, Vec::len),
            _ => 0,
        };
        match state.rng.u32(0..1000) {
            0..12 => Fault::NotSent,
            12..30 => Fault::AnswerLost,
            30..48 => Fault::Throttled,
            48..51 => Fault::Hang,
            51..54 => Fault::HangAfter,
            54..154 if is_index_read => Fault::Stale,
            54..124 if batch > 0 => Fault::Partial((0..batch).filter(|_| state.rng.bool()).collect()),
            _ => Fault::None,
        }
    }
}
