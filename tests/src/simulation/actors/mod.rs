//! Who acts: S3, the overlapping functions, the executions, people, and misfortune.

mod audits;
mod general;
mod machine;
mod misfortune;
mod movers;
mod people;
mod releases;
mod s3;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_ledger::{Clock, Ledger, Random, ReceiptSettings, Window};
use daybook_schema::Timestamp;
use tokio::task::JoinSet;

use super::faults::Chaos;
use super::scenario::{SKEW, Scenario};
use super::shadow::Shadows;
use super::world::{BUCKET, SharedHistory};
use crate::s3::S3;
use crate::stage::Stage;
use crate::wire::Process;

pub(crate) use self::releases::is_newer;
pub(crate) use self::s3::GARBAGE;

/// What all actors share. Clones are one.
#[derive(Clone)]
pub(crate) struct Cast {
    pub(crate) stage: Stage,
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) chaos: Chaos,
    pub(crate) world: SharedHistory,
    pub(crate) shadows: Shadows,
    pub(crate) s3: S3,
    processes: Arc<AtomicU64>,
    drawn: Arc<AtomicU64>,
}

impl Cast {
    pub(crate) fn new(
        stage: &Stage,
        scenario: &Scenario,
        chaos: &Chaos,
        world: &SharedHistory,
        shadows: &Shadows,
    ) -> Self {
        let s3 = S3::new(stage.clock.clone());
        s3.create_bucket(BUCKET, scenario.versioning());
        Self {
            stage: stage.clone(),
            scenario: Arc::new(scenario.clone()),
            chaos: chaos.clone(),
            world: world.clone(),
            shadows: shadows.clone(),
            s3,
            processes: Arc::default(),
            drawn: Arc::default(),
        }
    }

    /// Starts everybody. Dropping or aborting the set stops them.
    pub(crate) async fn start(&self) -> JoinSet<()> {
        self.install().await;
        let mut actors = JoinSet::new();
        self.chaos.strike_the_wire(&self.stage);
        if !self.scenario.has_workers() {
            machine::set(self);
        }
        actors.spawn(s3::uploads(self.clone()));
        actors.spawn(s3::garbage(self.clone()));
        if self.scenario.has_general_events() {
            actors.spawn(general::events(self.clone()));
        }
        movers::start(self, &mut actors);
        actors.spawn(misfortune::messages(self.clone()));
        actors.spawn(misfortune::brownouts(self.clone()));
        actors.spawn(misfortune::ledger_outages(self.clone()));
        actors.spawn(misfortune::items(self.clone()));
        actors.spawn(misfortune::restore(self.clone()));
        actors.spawn(releases::newer_rows(self.clone()));
        actors.spawn(releases::strangers(self.clone()));
        actors.spawn(people::dead_letters(self.clone()));
        actors.spawn(people::operator(self.clone()));
        if self.scenario.has_canceller() {
            actors.spawn(people::canceller(self.clone()));
        }
        if self.scenario.has_receipts() {
            actors.spawn(misfortune::expiry(self.clone()));
            actors.spawn(audits::audits(self.clone()));
        }
        actors
    }

    /// The first grant installs the ledger, and the audit looks at nothing that is older.
    async fn install(&self) {
        let control = self.stage.ledger.control().await.unwrap();
        let window = self.stage.window();
        let request = daybook_ledger::GrantRequest {
            window,
            per_window: self.stage.options.dispatch.per_window,
            wanted: 1,
            asker: daybook_ledger::Asker::Scheduler,
        };
        self.stage.ledger.grant(&request, control).await.unwrap();
        // The first second of a ledger is not told from the one before it.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// The time, in milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.stage.now().unix_millis()
    }

    pub(crate) fn line(&self, text: impl FnOnce() -> String) {
        self.world.lock().line(self.now(), text);
    }

    /// The stage as that function sees it: by a clock of its own.
    pub(crate) fn as_seen_by(&self, function: &str, lane: u64) -> Stage {
        if !self.chaos.strikes("clock_skew") {
            return self.stage.clone();
        }
        let mut rng = self.chaos.stream(&format!("clock of {function} {lane}"));
        let skew = SKEW.as_millis() as i64;
        let offset = rng.i64(-skew..=skew);
        let base = self.stage.clock.clone();
        let clock =
            Clock::new(move || Timestamp::from_unix_millis(base.now().unix_millis() + offset).unwrap());
        let receipts = self.stage.options.receipts.map(|keep| ReceiptSettings {
            table: "receipts".parse().unwrap(),
            keep,
        });
        // Whoever is asked for twice must not draw the same tokens twice.
        let nth = self.drawn.fetch_add(1, Ordering::Relaxed);
        let random = Random::from_seed(rng.u64(..) ^ nth.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let ledger = Ledger::new(
            self.stage.dynamodb.clone(),
            "ledger".parse().unwrap(),
            receipts,
            clock.clone(),
            random,
        );
        Stage {
            clock,
            ledger,
            ..self.stage.clone()
        }
    }

    /// A process: it runs to its end, dies at a request, or is killed at some instant.
    pub(crate) async fn process<T>(
        &self,
        name: &'static str,
        window: Option<Window>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        let window = window.map(|window| window.start.unix_millis());
        let run = Process::new(name, number, window).run(work);
        let done = match self.chaos.strikes("killed") {
            true => {
                let most = if self.chaos.below("killed", 4) == 0 {
                    20_000
                } else {
                    150
                };
                let life = Duration::from_millis(self.chaos.below("killed", most));
                tokio::time::timeout(life, run).await.ok().flatten()
            }
            false => run.await,
        };
        if done.is_none() {
            self.line(|| format!("{name}#{number} died"));
        }
        done
    }
}
