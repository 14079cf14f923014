//! What is simulated, as a value: a seed, a span, how much happens, and which faults may happen.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_manager::{Batching, Dispatch, Start};

use super::faults::CLASSES;
use crate::s3::Versioning;
use crate::stage::{Queues, StageOptions, StageTarget};
use crate::template;

/// N of the simulated pipeline: small, so that bursts make a backlog.
pub const PER_WINDOW: u32 = 8;

/// Its window.
pub const WINDOW: Duration = Duration::from_secs(90 * 60);

/// The wait after the first failed attempt; it doubles up to an hour, which four attempts do not reach.
pub(super) const FIRST_DELAY: Duration = Duration::from_secs(7 * 60);

/// How far a function's clock may be off, in either direction.
pub(super) const SKEW: Duration = Duration::from_secs(90);

/// The audit leaves alone what is younger.
pub(super) const GRACE: Duration = Duration::from_secs(15 * 60);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is simulated. Everything that is not a field derives from the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Decides everything that is random.
    pub seed: u64,
    /// Uploads and deletions, all in all.
    pub uploads: usize,
    /// For how long there are faults, and uploads.
    pub span: Duration,
    /// The fault classes that may happen; see [`CLASSES`].
    pub faults: BTreeSet<&'static str>,
    /// Whether to keep a line per request and per thing that happens in the world.
    pub keep_lines: bool,
    /// Whether dynoxide has the tables, instead of the embedded engine.
    pub dynoxide: bool,
}

impl Scenario {
    /// The usual day with that seed, or every fortieth time the usual week; all faults on.
    pub fn new(seed: u64) -> Self {
        let days = if seed % 40 == 39 { 7 } else { 1 };
        Self {
            seed,
            uploads: if days == 7 { 60 } else { 24 },
            span: DAY * days,
            faults: CLASSES.iter().map(|class| class.name).collect(),
            keep_lines: false,
            dynoxide: false,
        }
    }

    /// The same without faults.
    pub fn calm(seed: u64) -> Self {
        Self {
            faults: BTreeSet::new(),
            ..Self::new(seed)
        }
    }

    /// The run of that number among many: every tenth is without faults.
    pub fn numbered(number: u64) -> Self {
        match number % 10 {
            9 => Self::calm(number),
            _ => Self::new(number),
        }
    }

    /// Whether a class of faults may happen.
    pub fn has(&self, class: &str) -> bool {
        self.faults.contains(class)
    }

    /// The command that replays it, with a trace.
    pub fn command(&self) -> String {
        let usual = Self::new(self.seed);
        let mut command = format!(
            "cargo run -p daybook-tests --example simulate -- --seed {} --trace",
            self.seed
        );
        if self.uploads != usual.uploads {
            command += &format!(" --uploads {}", self.uploads);
        }
        if self.span != usual.span {
            command += &format!(" --hours {}", self.span.as_secs() / 3600);
        }
        if self.faults != usual.faults {
            let names: Vec<&str> = self.faults.iter().copied().collect();
            let names = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(",")
            };
            command += &format!(" --faults {names}");
        }
        if self.dynoxide {
            command += " --dynoxide";
        }
        command
    }

    /// Every eighth day has workers instead of Step Functions.
    pub fn has_workers(&self) -> bool {
        self.seed % 8 == 3
    }

    /// Every sixteenth day has an Express state machine.
    pub fn has_express(&self) -> bool {
        self.seed % 16 == 7
    }

    /// On three days of eleven general events come between the uploads. They are drawn from a stream of their own: on the other days
    /// nothing is different.
    pub fn has_general_events(&self) -> bool {
        matches!(self.seed % 11, 2 | 5 | 8)
    }

    /// Whether a general event may be sent again at any time: without a receipt it is recorded and sent once more, as is documented,
    /// and on a day without faults nothing may be sent twice.
    pub(super) fn knows_done_events(&self) -> bool {
        let is_kept = self.has_receipts() && self.receipts_keep() > self.span * 2;
        is_kept || !self.faults.is_empty()
    }

    /// On every ninth day a person cancels what runs.
    pub(super) fn has_canceller(&self) -> bool {
        self.seed % 9 == 4
    }

    /// Every third day has a cap below what is uploaded in a burst.
    pub(super) fn cap(&self) -> Option<u32> {
        (self.seed % 3 == 2).then_some(4)
    }

    /// On four days of seven newcomers are dispatched at once, where there is no cap.
    pub fn start(&self) -> Start {
        match self.seed % 7 < 4 && self.cap().is_none() {
            true => Start::Immediate,
            false => Start::Scheduled,
        }
    }

    /// On one day of five up to three events share an execution, where there is a Standard state machine.
    pub fn batching(&self) -> Option<Batching> {
        let window = match self.seed % 10 {
            1 => Duration::from_secs(40 * 60),
            _ => Duration::ZERO,
        };
        let is_batched = self.seed % 5 == 1 && !self.has_workers() && !self.has_express();
        is_batched.then_some(Batching { size: 3, window })
    }

    pub(super) fn versioning(&self) -> Versioning {
        match self.seed % 5 {
            2 => Versioning::Enabled,
            _ => Versioning::Never,
        }
    }

    /// Every sixteenth day has no receipts, and so no audit.
    pub(super) fn has_receipts(&self) -> bool {
        self.seed % 16 != 5
    }

    /// How long receipts are kept: every seventh day half a day, of a week two days, so that some expire; else two weeks.
    pub(super) fn receipts_keep(&self) -> Duration {
        match (self.seed % 40, self.seed % 7) {
            (39, _) => DAY * 2,
            (_, 4) => DAY / 2,
            _ => DAY * 14,
        }
    }

    /// Every third day messages become dead letters wherever they may: after four receives, where the template allows far more.
    pub(super) fn gives_up_early(&self) -> bool {
        self.seed % 3 == 1
    }

    /// The queues of the template.
    fn queues(&self) -> Queues {
        match self.gives_up_early() {
            true => template::queues().received_at_most(4),
            false => template::queues(),
        }
    }

    pub(super) fn options(&self) -> StageOptions {
        StageOptions {
            seed: self.seed,
            dispatch: Dispatch {
                per_window: PER_WINDOW,
                window: WINDOW,
                max_in_flight: self.cap(),
                lease: Duration::from_secs(80 * 60),
                max_attempts: 4,
                retry: RetryPolicy {
                    first_delay: FIRST_DELAY,
                    longest_delay: Duration::from_secs(3600),
                },
                start: self.start(),
                batching: self.batching(),
            },
            express: self.has_express(),
            target: StageTarget::StateMachine,
            fifo: self.seed % 4 == 1,
            receipts: self.has_receipts().then(|| self.receipts_keep()),
            queues: self.queues(),
            dynoxide: self.dynoxide,
        }
    }
}
