//! S3: uploads, overwrites, deletions, and notifications of them; at least once, unordered, seconds to hours late, in every
//! form, with one record or several.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Cast;
use crate::s3::Versioning;
use crate::simulation::world::{BUCKET, S3Event};
use crate::stage::EPOCH_SECONDS;

/// A payload in the intake queue that is no notification.
pub(crate) const GARBAGE: &str = "{\"Records\": \"not a list\"";

/// One thing that happens to a key.
struct Planned {
    at: u64,
    key: String,
    /// None is a deletion.
    content: Option<String>,
    /// Which of the key's versions is deleted, where there are versions; of every third deletion none: it makes a delete marker.
    pick: usize,
    /// Whether its record waits for the next one, to be told together.
    held: bool,
}

/// Bursts of uploads: some keys once, some again with the same or other content, A→B→A too; some deleted.
fn plan(cast: &Cast) -> Vec<Planned> {
    let scenario = &cast.scenario;
    let mut rng = cast.chaos.stream("s3");
    let span = scenario.span.as_secs() * 9 / 10;
    // In one seed of four a burst is three windows' worth.
    let per_burst = [4, 8, 12, 24][rng.usize(0..4)];
    let bursts: Vec<u64> = (0..scenario.uploads.div_ceil(per_burst))
        .map(|_| rng.u64(10..span))
        .collect();
    let mut times: Vec<u64> = (0..scenario.uploads)
        .map(|_| bursts[rng.usize(0..bursts.len())] + rng.u64(0..600))
        .collect();
    times.sort_unstable();
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut planned = Vec::new();
    for at in times {
        let key = format!(
            "devices/{:02} ü+%/reading.json",
            rng.usize(0..(scenario.uploads * 2 / 3).max(1))
        );
        // Two uploads of a key within a second cannot be told apart in a listing.
        let at = last.get(&key).map_or(at, |before| at.max(before + 3));
        let deletes = last.contains_key(&key) && rng.u8(0..8) == 0;
        last.insert(key.clone(), at);
        planned.push(Planned {
            at,
            key,
            content: (!deletes).then(|| ["A", "B", "C"][rng.usize(0..3)].to_owned()),
            pick: rng.usize(0..100),
            held: rng.u8(0..4) == 0,
        });
    }
    planned.sort_by_key(|one| one.at);
    let next: Vec<u64> = planned.iter().skip(1).map(|one| one.at).collect();
    for (one, next) in planned.iter_mut().zip(next.into_iter().map(Some).chain([None])) {
        // Not hours late: that is a fault of its own.
        one.held &= next.is_some_and(|next| next <= one.at + 60);
    }
    planned
}

pub(super) async fn uploads(cast: Cast) {
    let mut rng = cast.chaos.stream("s3 sequencers");
    let mut deliveries = JoinSet::new();
    let mut held: Vec<S3Event> = Vec::new();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut sequencer = 0x0062_E99A_88DC_0000_u64;
    for planned in plan(&cast) {
        let begun = EPOCH_SECONDS * 1000;
        let now = u64::try_from(cast.now() - begun).unwrap();
        tokio::time::sleep(Duration::from_millis((planned.at * 1000).saturating_sub(now))).await;
        sequencer += 1 + rng.u64(0..50);
        let Some(event) = happen(&cast, &planned, &mut versions, sequencer) else {
            continue;
        };
        let told = event.told;
        cast.line(|| format!("S3: {event:?}"));
        cast.world.lock().events.push(event.clone());
        if told {
            held.push(event);
        }
        if held.is_empty() || (planned.held && held.len() < 4) {
            continue;
        }
        let events = std::mem::take(&mut held);
        let copies = 1 + usize::from(cast.chaos.strikes("notification_twice"));
        for _ in 0..copies {
            deliveries.spawn(tell(cast.clone(), events.clone()));
        }
        while deliveries.try_join_next().is_some() {}
    }
    if !held.is_empty() {
        deliveries.spawn(tell(cast.clone(), held));
    }
    while deliveries.join_next().await.is_some() {}
}

/// Does it in S3; what S3 says of it.
fn happen(
    cast: &Cast,
    planned: &Planned,
    versions: &mut BTreeMap<String, Vec<String>>,
    sequencer: u64,
) -> Option<S3Event> {
    let key = &planned.key;
    let is_versioned = cast.scenario.versioning() == Versioning::Enabled;
    let marks = planned.content.is_none() && is_versioned && planned.pick.is_multiple_of(3);
    let of_key = versions.entry(key.clone()).or_default();
    let (version, etag) = match &planned.content {
        Some(content) => {
            let version = cast.s3.put(BUCKET, key, content);
            of_key.extend(version.id.clone());
            (version.id, version.etag)
        }
        None if marks => {
            let marker = cast.s3.delete(BUCKET, key);
            of_key.extend(marker.clone());
            (marker, None)
        }
        None if is_versioned => {
            if of_key.is_empty() {
                return None;
            }
            let version = of_key.remove(planned.pick % of_key.len());
            cast.s3.delete_version(BUCKET, key, Some(&version));
            (Some(version), None)
        }
        None => {
            cast.s3.delete(BUCKET, key);
            (None, None)
        }
    };
    let lost = cast.scenario.has_receipts() && cast.chaos.strikes("notification_lost");
    Some(S3Event {
        key: key.clone(),
        removed: planned.content.is_none(),
        marker: marks,
        etag,
        version,
        sequencer: format!("{sequencer:016X}"),
        at_millis: cast.now(),
        told: !lost,
    })
}

/// One delivery of a notification, in one form or the other.
async fn tell(cast: Cast, events: Vec<S3Event>) {
    cast.world.lock().on_their_way += 1;
    let mut rng = cast
        .chaos
        .stream(&format!("notification {}", events[0].sequencer));
    let seconds = match cast.chaos.strikes("notification_late") {
        true => cast.chaos.below("notification_late", 3 * 3600),
        false => rng.u64(0..5),
    };
    tokio::time::sleep(Duration::from_millis(seconds * 1000 + rng.u64(0..1000))).await;
    let records: Vec<Value> = events.iter().map(S3Event::record).collect();
    let notification = json!({"Records": records}).to_string();
    let body = match rng.u8(0..3) {
        0 if events.len() == 1 => events[0].event_bridge(),
        1 => json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:1:t",
            "Message": notification, "Timestamp": "2026-11-21T00:00:00.000Z"})
        .to_string(),
        _ => notification,
    };
    cast.stage.aws.sqs().send(&cast.stage.intake, &body).unwrap();
    let mut world = cast.world.lock();
    world.on_their_way -= 1;
    for event in events {
        world.arrived.entry(event.sequencer).or_default().push(cast.now());
    }
}

/// What nobody can read must be kept, too.
pub(super) async fn garbage(cast: Cast) {
    tokio::time::sleep(cast.scenario.span / 3).await;
    let stage = &cast.stage;
    stage.aws.sqs().send(&stage.intake, GARBAGE).unwrap();
}
