//! Killed at any moment, it loses nothing that it acknowledged.
//!
//! The seed is printed. What chance decides comes again with it; what the machine decides may differ. Longer, and again:
//!
//! ```console
//! $ DAYBOOK_KILLS=200 DAYBOOK_SEED=7 cargo test -p daybook-cli --test up killed_again -- --nocapture
//! ```

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use daybook_schema::ObjectEvent;
use futures::future::join_all;
use http::Request;
use http_body_util::Full;
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::machine::{PATIENCE, Up, Web, counts, ledger, until, until_none_open};
use crate::notices::{events, notification, record, upload};
use crate::stand_in::{daybook, run};

const EVENTS: u64 = 1000;
const SENDERS: usize = 8;

/// One line per run in a file per event, written at once, so that a line is whole or not there. Some take a little longer.
const WORK: &str =
    r#"case $DAYBOOK_KEY in *3) sleep 0.05;; esac; printf '%s\n' "$DAYBOOK_KEY" >> "$1/$DAYBOOK_ID""#;

/// The same for each event of a batch.
const WORK_OF_BATCHES: &str = r#"
while IFS= read -r line; do
  id=${line#*\"id\":\"}; id=${id%%\"*}; key=${line#*\"key\":\"}; key=${key%%\"*}
  case $key in *3) sleep 0.05;; esac
  printf '%s\n' "$key" >> "$1/$id"
done
"#;

/// What a sender has to deliver, and what it has delivered.
struct Outbox {
    /// What waits to be sent.
    waiting: RefCell<VecDeque<String>>,
    /// How many may have been sent by now: so each life of the process gets its part.
    released: watch::Sender<usize>,
    /// Where to.
    url: watch::Sender<String>,
    taken: Cell<usize>,
    acknowledged: Cell<usize>,
}

impl Outbox {
    /// Sends until nothing waits, each body until it is acknowledged.
    async fn send(&self, web: &Web) {
        let mut released = self.released.subscribe();
        loop {
            released
                .wait_for(|released| self.taken.get() < *released)
                .await
                .unwrap();
            let Some(body) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            self.taken.set(self.taken.get() + 1);
            self.deliver(web, &body).await;
            self.acknowledged.set(self.acknowledged.get() + 1);
        }
    }

    async fn deliver(&self, web: &Web, body: &str) {
        loop {
            let url = self.url.borrow().clone();
            let request = Request::post(format!("{url}/events")).body(Full::from(body.to_owned()));
            match web.ask(request.unwrap()).await {
                Ok(answer) if answer.status == 200 => {
                    let json = answer.json();
                    let safe: u64 = ["recorded", "already_there", "done_before"]
                        .iter()
                        .map(|name| json[name].as_u64().unwrap())
                        .sum();
                    assert_eq!(safe, events(body).len() as u64, "{answer:?}");
                    return;
                }
                Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                Err(_) => {}
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// 1,000 events in bodies of one or several, some of the bodies twice, in any order.
fn bodies(rng: &mut fastrand::Rng) -> Vec<String> {
    let mut records: VecDeque<Value> = (0..EVENTS)
        .map(|n| record(&format!("device {n}/reading+{n}"), n))
        .collect();
    let mut bodies = Vec::new();
    while !records.is_empty() {
        let most = if rng.u8(..10) == 0 { 6 } else { 1 };
        let together = records.drain(..most.min(records.len())).collect();
        bodies.push(notification(together).to_string());
    }
    for _ in 0..100 {
        bodies.push(bodies[rng.usize(..bodies.len())].clone());
    }
    rng.shuffle(&mut bodies);
    bodies
}

/// How many times each event's command has run, by the file that it wrote.
fn results(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let lines = std::fs::read_to_string(entry.path()).unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, lines.lines().map(str::to_owned).collect())
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

fn count_results(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// A number that the environment sets.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What it was doing when it was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Starting,
    Recovering,
    Recording,
    Running,
    Draining,
}

/// Each of them once; after that, chance decides.
const PHASES: [Phase; 5] = [
    Phase::Running,
    Phase::Recovering,
    Phase::Recording,
    Phase::Draining,
    Phase::Starting,
];

/// Starts it and kills it in that phase, at a moment that chance decides.
async fn life(phase: Phase, start: impl Fn() -> Up, outbox: &Outbox, home: &Path, rng: &mut fastrand::Rng) {
    let mut up = start();
    // Asked anew each time: answers of the life before may still be on their way to a sender.
    let released = *outbox.released.borrow();
    let unacknowledged = || released.saturating_sub(outbox.acknowledged.get());
    match phase {
        Phase::Starting => sleep(Duration::from_micros(rng.u64(..60_000))).await,
        Phase::Recovering => {
            // It says who it is just before it recovers.
            let said = format!("\"pid\":{},", up.pid());
            let lock = home.join("data/up.lock");
            until("it has taken the folder", async || {
                std::fs::read_to_string(&lock).is_ok_and(|text| text.contains(&said))
            })
            .await;
            sleep(Duration::from_micros(rng.u64(..10_000))).await;
        }
        Phase::Recording => {
            outbox.url.send_replace(up.url().await);
            let goal = released - rng.usize(..=unacknowledged());
            until("bodies are acknowledged", async || {
                outbox.acknowledged.get() >= goal
            })
            .await;
        }
        Phase::Running | Phase::Draining => {
            outbox.url.send_replace(up.url().await);
            let folder = home.join("results");
            let goal = count_results(&folder) + rng.usize(1..=unacknowledged().max(1));
            until("commands have run", async || {
                count_results(&folder) >= goal || unacknowledged() == 0
            })
            .await;
        }
    }
    if let Phase::Draining = phase {
        up.signal(Signal::TERM);
        sleep(Duration::from_micros(rng.u64(..50_000))).await;
    }
    up.kill();
}

#[tokio::test]
async fn killed_while_it_makes_its_folder_it_starts_there_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let options = ["--exec", "true"];
    drop(Up::start(&folder.path().join("whole"), &options).await);
    let start = began.elapsed();
    for n in 0..10u32 {
        let data = folder.path().join(n.to_string());
        let mut up = Up::spawn(crate::machine::command(&data, &options));
        // All along the time that a start takes here and now.
        sleep(start * n / 10).await;
        up.kill();
        let mut up = Up::start(&data, &options).await;
        assert_eq!(up.record(upload("key", 1)).await, 1);
        until_none_open(&ledger(&data)).await;
        up.drained().await;
    }
}

#[tokio::test]
async fn a_ledger_whose_making_was_cut_off_is_made_to_its_end() {
    let data = tempfile::tempdir().unwrap();
    // As a start leaves it that dies before it has made its tables.
    drop(
        daybook_local::LocalAws::builder()
            .data_dir(data.path())
            .build()
            .unwrap(),
    );
    let mut up = Up::start(data.path(), &["--exec", "true"]).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until_none_open(&ledger(data.path())).await;
    up.drained().await;
}

/// As `daybook status` says it.
fn nothing_is_open(data: &Path) {
    let mut status = daybook(&["status", "--output", "json", "--local"]);
    let (code, stdout, stderr) = run(status.arg(data));
    assert_eq!(code, 0, "{stderr}");
    let said: Value = serde_json::from_str(&stdout).unwrap();
    for status in ["pending", "claimed", "parked"] {
        let rows = &said[status];
        assert_eq!(
            (&rows["rows"], &rows["exact"]),
            (&0.into(), &true.into()),
            "{said}"
        );
    }
}

#[tokio::test]
async fn killed_again_and_again_it_runs_every_event_that_it_acknowledged() {
    killed_again_and_again(&[], WORK).await;
}

#[tokio::test]
async fn killed_again_and_again_in_batches_it_runs_every_event_that_it_acknowledged() {
    killed_again_and_again(&["--batch-size", "20"], WORK_OF_BATCHES).await;
}

async fn killed_again_and_again(more: &[&str], script: &str) {
    let seed = number("DAYBOOK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let kills = number("DAYBOOK_KILLS").unwrap_or(20);
    println!("DAYBOOK_SEED={seed} DAYBOOK_KILLS={kills}");
    let began = Instant::now();
    let mut rng = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let (data, work) = (folder.path().join("data"), folder.path().join("results"));
    std::fs::create_dir(&work).unwrap();
    let start = || {
        let exec = ["--exec", "/bin/sh", "-c", script, "sh", work.to_str().unwrap()];
        let options = [&["--workers", "4"], more, &exec].concat();
        Up::spawn(crate::machine::command(&data, &options))
    };

    let bodies = bodies(&mut rng);
    let expected: BTreeMap<String, ObjectEvent> = bodies
        .iter()
        .flat_map(|body| events(body))
        .map(|event| (event.id.to_string(), event))
        .collect();
    assert_eq!(expected.len() as u64, EVENTS);
    let total = bodies.len();
    let outbox = Outbox {
        waiting: RefCell::new(bodies.into()),
        released: watch::Sender::new(0),
        url: watch::Sender::new("http://127.0.0.1:9".to_owned()),
        taken: Cell::new(0),
        acknowledged: Cell::new(0),
    };
    let mut phases = BTreeMap::new();
    let killing = async {
        for round in 0..kills {
            let part = usize::try_from(round + 1).unwrap() * total / usize::try_from(kills).unwrap();
            outbox.released.send_replace(part);
            let nth = usize::try_from(round).unwrap();
            let phase = *PHASES.get(nth).unwrap_or(&PHASES[rng.usize(..PHASES.len())]);
            *phases.entry(phase).or_insert(0) += 1;
            life(phase, start, &outbox, folder.path(), &mut rng).await;
        }
        // One more than there are bodies: it lets senders find that nothing waits.
        outbox.released.send_replace(total + SENDERS);
        let mut up = start();
        outbox.url.send_replace(up.url().await);
        up
    };
    let web = Web::new();
    let senders = join_all((0..SENDERS).map(|_| outbox.send(&web)));
    let patience = PATIENCE * 2 * u32::try_from(kills.div_ceil(20)).unwrap();
    let (up, _) = tokio::time::timeout(patience, async { futures::join!(killing, senders) })
        .await
        .unwrap();

    let ledger = ledger(&data);
    until("all have run", async || {
        let [pending, claimed, parked] = counts(&ledger).await;
        assert_eq!(parked, 0);
        pending + claimed == 0
    })
    .await;
    nothing_is_open(&data);
    up.signal(Signal::TERM);
    let report = up.report().await;
    assert_eq!(report["left"], "none open", "{report}");
    nothing_is_open(&data);

    let ran = results(&work);
    assert_eq!(ran.len(), expected.len());
    for (id, event) in &expected {
        let key = event.key.to_string();
        assert!(ran[id].iter().all(|line| *line == key), "{key}: {:?}", ran[id]);
    }
    let receipts = ledger
        .receipts(expected.values().map(ObjectEvent::object_id))
        .await;
    for event in expected.values() {
        assert!(receipts[&event.object_id()].covers(event), "{event:?}");
    }
    let again = ran.values().filter(|lines| lines.len() > 1).count();
    let took = began.elapsed().as_secs_f64();
    println!(
        "{EVENTS} events {more:?}, killed {kills} times ({phases:?}): {again} ran more than once; {took:.1} s"
    );
}
