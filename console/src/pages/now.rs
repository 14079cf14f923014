//! Now: are we keeping up, is anything stuck.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use daybook_inspect::wording::time;
use daybook_schema::Timestamp;
use futures::Stream;
use serde::Deserialize;

use crate::look::Rendered;
use crate::pages::health::HealthView;
use crate::pages::looking::{self, Asking};
use crate::pages::windows::{Chart, Windows};
use crate::pages::{Frame, json as as_json, not_answered, unavailable, written};
use crate::snapshot::{Health, Snapshot};
use crate::state;
use crate::text::{self, When};

/// What `daybook status --output json` says, as far as the page shows it.
#[derive(Deserialize)]
struct Status {
    pending: Standing,
    claimed: Standing,
    parked: Standing,
    limit: Limit,
    drain: Option<Drain>,
    lately: Option<Lately>,
    dispatch: Option<Dispatch>,
    windows: Option<Windows>,
    local: Option<Local>,
    queue_depth: Option<u64>,
    failures: Vec<String>,
}

#[derive(Deserialize)]
struct Standing {
    rows: Option<u64>,
    exact: Option<bool>,
    first: Option<First>,
    due: Option<u64>,
    due_exact: Option<bool>,
    lease_over: Option<u64>,
    lease_over_exact: Option<bool>,
    undelivered: Option<u64>,
}

#[derive(Deserialize)]
struct First {
    recorded_at: Option<Timestamp>,
    due_at: Timestamp,
    id: String,
}

#[derive(Deserialize)]
struct Limit {
    says: String,
}

#[derive(Deserialize)]
struct Drain {
    seconds: f64,
    by_budget: bool,
    exact: bool,
}

#[derive(Deserialize)]
struct Lately {
    minute: Ends,
    hour: Ends,
    day: Ends,
}

#[derive(Deserialize)]
struct Ends {
    done: u64,
    failed: u64,
    put_off: u64,
    exact: bool,
}

#[derive(Deserialize)]
struct Dispatch {
    per_window: Option<u32>,
    per_window_note: Option<String>,
    window: Option<Window>,
    paused: Option<Paused>,
}

#[derive(Deserialize)]
struct Window {
    seconds: f64,
    granted: u32,
}

#[derive(Deserialize)]
struct Paused {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    by: String,
    why: String,
}

#[derive(Deserialize)]
struct Local {
    running: bool,
    has_target: Option<bool>,
}

/// A status on the page.
struct Card {
    word: &'static str,
    meaning: &'static str,
    count: String,
    /// The row that comes first: its id, and since when it waits.
    first: Option<(String, When)>,
    note: Option<String>,
    /// Its part of the bar, of 1,000.
    x: u64,
    width: u64,
}

/// What ended in a stretch of time.
struct Stretch {
    word: &'static str,
    done: String,
    failed: String,
    put_off: String,
}

/// A sentence on top of the page.
pub struct Banner {
    /// `bad`, `warn` or `good`.
    pub tone: &'static str,
    pub says: String,
}

/// The part of the page that follows the ledger.
#[derive(Template)]
#[template(path = "now_live.html")]
struct Live {
    at: When,
    banners: Vec<Banner>,
    cards: Vec<Card>,
    limit: String,
    drain: String,
    dispatch: String,
    chart: Option<Chart>,
    stretches: Vec<Stretch>,
    queue: Option<String>,
    health: HealthView,
}

#[derive(Template)]
#[template(path = "now.html")]
struct Now {
    frame: Frame,
    live: Live,
}

pub async fn page(State(state): State<Arc<state::State>>) -> Response {
    let asking = Asking {
        title: "Now",
        asked: String::new(),
    };
    looking::page(&state, asking, "", |_| look(state.clone())).await
}

async fn look(state: Arc<state::State>) -> Rendered {
    let looks = (state.snapshots.status(), state.snapshots.health_at_hand());
    let (snapshot, health) = futures::join!(looks.0, looks.1);
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(why) => return not_answered(&state.settings, &why),
    };
    match Live::of(&snapshot, health.as_deref()) {
        Ok(live) => written(&Now {
            frame: Frame::of("Now", &snapshot.name, &state.settings),
            live,
        }),
        Err(why) => not_answered(&state.settings, &why),
    }
}

/// What `daybook status --output json` says.
pub async fn json(State(state): State<Arc<state::State>>) -> Response {
    match state.snapshots.status().await {
        Ok(snapshot) => as_json(&snapshot.status),
        Err(why) => unavailable(&state.settings, &why),
    }
}

/// The live part, again whenever it changes, until the tab is closed or the process ends.
pub async fn live(State(state): State<Arc<state::State>>) -> Response {
    Sse::new(changes(state))
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn changes(state: Arc<state::State>) -> impl Stream<Item = Result<Event, Infallible>> {
    let stop = state.settings.stop.clone();
    futures::stream::unfold((state, stop, String::new()), async |(state, mut stop, shown)| {
        loop {
            let stopped = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => true,
                () = tokio::time::sleep(state.settings.poll.max(Duration::from_millis(50))) => false,
            };
            if stopped {
                return None;
            }
            let html = live_part(&state).await;
            match html {
                Ok(html) if html != shown => {
                    return Some((Ok(Event::default().data(&html)), (state, stop, html)));
                }
                Ok(_) => {}
                // The tab says that what it shows is old.
                Err(_) => {
                    return Some((
                        Ok(Event::default().event("lost").data("lost")),
                        (state, stop, shown),
                    ));
                }
            }
        }
    })
}

async fn live_part(state: &state::State) -> Result<String, String> {
    let snapshot = state.snapshots.status().await?;
    let health = state.snapshots.health().await.ok();
    let live = Live::of(&snapshot, health.as_deref())?;
    live.render().map_err(|error| error.to_string())
}

impl Live {
    fn of(snapshot: &Snapshot, health: Option<&Health>) -> Result<Self, String> {
        let status = Status::deserialize(&snapshot.status).map_err(|error| error.to_string())?;
        let now = snapshot.at;
        let health = HealthView::of(health, now);
        Ok(Self {
            at: When::of(now, now),
            banners: banners(&status, &health, now),
            cards: cards(&status, now),
            limit: text::shown(&status.limit.says),
            drain: status
                .drain
                .as_ref()
                .map_or_else(|| "not known".to_owned(), drain_words),
            dispatch: dispatch_words(
                status.dispatch.as_ref(),
                status.windows.as_ref().and_then(Windows::per_window),
            ),
            chart: status.windows.as_ref().map(Windows::chart),
            stretches: status.lately.as_ref().map(stretches).unwrap_or_default(),
            queue: status.queue_depth.map(|depth| text::count(depth, true)),
            health,
        })
    }
}

fn banners(status: &Status, health: &HealthView, now: Timestamp) -> Vec<Banner> {
    let mut banners = Vec::new();
    let mut say = |tone, says: String| {
        banners.push(Banner {
            tone,
            says: text::shown(&says),
        });
    };
    if let Some(paused) = status
        .dispatch
        .as_ref()
        .and_then(|dispatch| dispatch.paused.as_ref())
    {
        say("warn", pause_words(paused, now));
    }
    match &status.local {
        Some(Local { running: false, .. }) => {
            say(
                "warn",
                "No daybook up runs on this folder: events wait until one does.".to_owned(),
            );
        }
        Some(Local {
            has_target: Some(false),
            ..
        }) => say(
            "warn",
            "daybook up runs without a target: it records events and sends none.".to_owned(),
        ),
        _ => {}
    }
    for failure in &status.failures {
        say("bad", format!("Not known: {failure}"));
    }
    banners.extend(health.alarms().map(|says| Banner { tone: "bad", says }));
    banners
}

fn pause_words(paused: &Paused, now: Timestamp) -> String {
    let by = Some(&paused.by).filter(|by| !by.is_empty());
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    let since = paused.since.map(|at| format!(", {}", time::relative(at, now)));
    let until = paused.until.map_or_else(
        || ", until it is resumed".to_owned(),
        |until| format!(", until {until}"),
    );
    let why = Some(&paused.why).filter(|why| !why.is_empty());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("Dispatch is paused{by}{}{until}{why}", since.unwrap_or_default())
}

fn cards(status: &Status, now: Timestamp) -> Vec<Card> {
    let standings = [
        ("pending", "wait for their turn", &status.pending),
        ("claimed", "are on their way", &status.claimed),
        ("parked", "wait for a person", &status.parked),
    ];
    let total: u64 = standings
        .iter()
        .filter_map(|(_, _, standing)| standing.rows)
        .sum();
    let mut x = 0;
    let card = |(word, meaning, standing): (&'static str, &'static str, &Standing)| {
        let rows = standing.rows.unwrap_or_default();
        // What is there is seen, however little it is.
        let width = rows
            .saturating_mul(1000)
            .checked_div(total)
            .unwrap_or(0)
            .max(u64::from(rows > 0) * 4);
        let card = Card {
            word,
            meaning,
            count: standing.rows.map_or_else(
                || "unknown".to_owned(),
                |rows| text::count(rows, standing.exact.unwrap_or(false)),
            ),
            first: standing.first.as_ref().map(|first| {
                let since = first.recorded_at.unwrap_or(first.due_at);
                (first.id.clone(), When::of(since, now))
            }),
            note: note(standing),
            x,
            width,
        };
        x += width;
        card
    };
    standings.into_iter().map(card).collect()
}

fn note(standing: &Standing) -> Option<String> {
    let due = standing.due.filter(|due| *due > 0);
    let due = due.map(|due| format!("{} due", text::count(due, standing.due_exact.unwrap_or(false))));
    let over = standing.lease_over.filter(|over| *over > 0);
    let over = over.map(|over| {
        let over = text::count(over, standing.lease_over_exact.unwrap_or(false));
        format!("{over} with their leases over")
    });
    let undelivered = standing.undelivered.filter(|n| *n > 0);
    let undelivered =
        undelivered.map(|n| format!("{} sent often and taken by nothing", text::count(n, true)));
    let notes: Vec<String> = [due, over, undelivered].into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join(", "))
}

fn drain_words(drain: &Drain) -> String {
    let length = Duration::try_from_secs_f64(drain.seconds.ceil()).unwrap_or(Duration::MAX);
    match (length.is_zero(), drain.by_budget, drain.exact) {
        (true, _, _) => "nothing waits".to_owned(),
        (_, true, _) => format!("at least {}", time::span(length)),
        (_, false, true) => format!("about {}, as the last runs went", time::span(length)),
        (_, false, false) => format!("more than {}, as the last runs went", time::span(length)),
    }
}

fn dispatch_words(dispatch: Option<&Dispatch>, in_force: Option<u32>) -> String {
    let Some(dispatch) = dispatch else {
        return "not known".to_owned();
    };
    let n = match (dispatch.per_window, &dispatch.per_window_note) {
        (Some(n), Some(note)) => format!(
            "N is {}, as set while running ({note})",
            text::count(n.into(), true)
        ),
        (Some(n), None) => format!("N is {}, as set while running", text::count(n.into(), true)),
        (None, _) => {
            let n = in_force.map(|n| format!(": {}", text::count(n.into(), true)));
            format!("N is as the scheduler is configured{}", n.unwrap_or_default())
        }
    };
    let window = dispatch.window.as_ref().map(|window| {
        let length = Duration::try_from_secs_f64(window.seconds).unwrap_or_default();
        format!(
            "; {} granted in the newest window of {}",
            text::count(window.granted.into(), true),
            time::span(length)
        )
    });
    text::shown(&(n + &window.unwrap_or_default()))
}

fn stretches(lately: &Lately) -> Vec<Stretch> {
    let stretches = [
        ("minute", &lately.minute),
        ("hour", &lately.hour),
        ("day", &lately.day),
    ];
    let stretch = |(word, ends): (&'static str, &Ends)| Stretch {
        word,
        done: text::count(ends.done, ends.exact),
        failed: text::count(ends.failed, ends.exact),
        put_off: text::count(ends.put_off, ends.exact),
    };
    stretches.into_iter().map(stretch).collect()
}
