//! What happens to queues, tables and services by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::Cast;
use super::releases::is_newer;
use crate::simulation::checker::scan;
use crate::simulation::faults::{Brownout, DYNAMODB};
use crate::simulation::world::Restore;
use crate::wire::Fault;

/// Messages vanish from the dispatch queue, arrive twice, or hours late; once in a while the whole queue is gone. The end of an old
/// attempt is told again.
pub(super) async fn messages(cast: Cast) {
    let mut rng = cast.chaos.stream("misfortune");
    let chaos = &cast.chaos;
    let (sqs, url) = (cast.stage.aws.sqs(), &cast.stage.dispatch_queue);
    // A copy is not copied again, or a queue that nobody reads for hours would fill without bounds.
    let mut doubled = BTreeSet::new();
    while chaos.is_on() {
        tokio::time::sleep(Duration::from_secs(20 + rng.u64(0..60))).await;
        if sqs.depth(url).unwrap().visible > 0 {
            if chaos.strikes("queue_purged") {
                let purged = sqs.purge(url).unwrap();
                cast.line(|| format!("the dispatch queue is purged: {purged:?}"));
            }
            sqs.lose(url, |_| chaos.strikes("message_lost"));
            sqs.duplicate(url, |message| {
                !doubled.contains(&message.id)
                    && chaos.strikes("message_twice")
                    && doubled.insert(message.id.clone())
            });
            if !cast.scenario.options().fifo {
                delay_messages(&cast);
            }
        }
        let old_end = {
            let world = cast.world.lock();
            let ends = &world.told_ends;
            (!ends.is_empty()).then(|| ends[rng.usize(0..ends.len())].clone())
        };
        // An occasion every quarter of an hour or so.
        if let Some(end) = old_end.filter(|_| rng.u8(0..20) == 0)
            && chaos.strikes("status_event_old")
        {
            sqs.send(&cast.stage.completion, &end.to_string()).unwrap();
        }
    }
}

fn delay_messages(cast: &Cast) {
    let (sqs, url) = (cast.stage.aws.sqs().clone(), cast.stage.dispatch_queue.clone());
    let mut delayed = Vec::new();
    sqs.lose(&url, |message| {
        let strikes = cast.chaos.strikes("message_late");
        if strikes {
            delayed.push(message.body.clone());
        }
        strikes
    });
    for body in delayed {
        let late = Duration::from_secs(cast.chaos.below("message_late", 5 * 3600));
        let (sqs, url) = (sqs.clone(), url.clone());
        tokio::spawn(async move {
            tokio::time::sleep(late).await;
            sqs.send(&url, &body).unwrap();
        });
    }
}

/// Now and then a whole service hardly answers, for minutes: what retries cannot bridge.
pub(super) async fn brownouts(cast: Cast) {
    let mut rng = cast.chaos.stream("brownouts");
    loop {
        tokio::time::sleep(Duration::from_secs(rng.u64(0..6 * 3600))).await;
        let (service, operation) = match rng.u8(0..5) {
            0 => ("AmazonSQS", None),
            1 => ("AWSStepFunctions", None),
            2 => ("AWSStepFunctions", Some("DescribeExecution")),
            _ => (DYNAMODB, None),
        };
        let brownout = Brownout { service, operation };
        if cast.chaos.strikes("brownout") {
            cast.line(|| format!("hardly answers: {brownout:?}"));
            cast.chaos.brown_out(Some(brownout));
            tokio::time::sleep(Duration::from_secs(60 + rng.u64(0..20 * 60))).await;
            cast.chaos.brown_out(None);
        }
    }
}

/// Now and then DynamoDB is gone for hours, as it was in us-east-1 in October 2025: its name is not found, it refuses everything, or
/// it takes connections and says nothing. It begins when notifications wait that must be recorded.
pub(super) async fn ledger_outages(cast: Cast) {
    const OUT: &str = "ledger_outage";
    let mut rng = cast.chaos.stream("ledger outages");
    loop {
        tokio::time::sleep(Duration::from_secs(rng.u64(0..12 * 3600))).await;
        while cast.stage.aws.sqs().depth(&cast.stage.intake).unwrap().visible == 0 {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        if cast.chaos.strikes(OUT) {
            let faults = [Fault::NotSent, Fault::ServerError, Fault::Throttled, Fault::Hang];
            let fault = faults[cast.chaos.below(OUT, 4) as usize].clone();
            let seconds = 3600 + cast.chaos.below(OUT, 4 * 3600);
            cast.line(|| format!("DynamoDB is out for {seconds} s: {fault:?}"));
            cast.chaos.take_the_ledger_out(Some(fault));
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            cast.chaos.take_the_ledger_out(None);
        }
    }
}

/// Receipts that are gone before their time, and rows that the previous version wrote.
pub(super) async fn items(cast: Cast) {
    let mut rng = cast.chaos.stream("items");
    let wants_receipts = cast.scenario.has("receipt_early");
    let wants_rows = cast.scenario.has("old_row");
    while (wants_receipts || wants_rows) && cast.chaos.is_on() {
        tokio::time::sleep(Duration::from_secs(1800 + rng.u64(0..3600))).await;
        for receipt in scan(&cast.stage, "receipts").await {
            if cast.chaos.strikes("receipt_early") {
                let key = remove_receipt(&cast, &receipt).await;
                cast.world.lock().receipts_removed.insert(key);
            }
        }
        for row in scan(&cast.stage, "ledger").await {
            let is_new = row["status"]["S"] == json!("PENDING") && row["attempt"]["N"] == json!("0");
            // Version 1 knew no general events.
            let is_of_object = row.get("cloud_event").is_none();
            if is_new && is_of_object && !is_newer(&row) && cast.chaos.strikes("old_row") {
                // Version 1 had no version, and did not say how many attempts there are.
                let request = json!({"TableName": "ledger", "Key": {"id": row["id"]},
                    "UpdateExpression": "REMOVE v, max_attempts, deliveries"});
                past_the_wire(&cast, "UpdateItem", &request).await;
                cast.line(|| format!("row {} is of version 1", row["id"]["S"]));
            }
        }
    }
}

/// DynamoDB's TTL: it removes what has expired, some time later, and sometimes days later.
pub(super) async fn expiry(cast: Cast) {
    let mut rng = cast.chaos.stream("expiry");
    let mut stays: BTreeMap<String, i64> = BTreeMap::new();
    if cast.scenario.receipts_keep() > cast.scenario.span * 2 {
        return;
    }
    loop {
        tokio::time::sleep(Duration::from_secs(rng.u64(300..3600))).await;
        let now = cast.now();
        for receipt in scan(&cast.stage, "receipts").await {
            let expires_at = receipt["expires_at"]["N"].as_str().and_then(|n| n.parse().ok());
            let expires_at: i64 = expires_at.expect("a receipt says when it expires");
            let id = receipt["id"]["S"].as_str().unwrap_or_default().to_owned();
            if expires_at * 1000 > now {
                continue;
            }
            let until = *stays.entry(id.clone()).or_insert_with(|| {
                let late = cast.chaos.strikes("receipt_late");
                let seconds = if late {
                    cast.chaos.below("receipt_late", 48 * 3600)
                } else {
                    0
                };
                now + seconds as i64 * 1000
            });
            if until <= now {
                stays.remove(&id);
                let key = remove_receipt(&cast, &receipt).await;
                let mut world = cast.world.lock();
                world.count("receipts expired");
                world.receipts_expired.entry(key).or_insert(now);
            }
        }
    }
}

/// Takes a receipt away; the key that it was about.
async fn remove_receipt(cast: &Cast, receipt: &Value) -> String {
    let id = receipt["id"]["S"].as_str().unwrap_or_default();
    let key = receipt["key"]["S"].as_str().unwrap_or_default().to_owned();
    let request = json!({"TableName": "receipts", "Key": {"id": {"S": id}}});
    past_the_wire(cast, "DeleteItem", &request).await;
    cast.shadows.receipt_removed(id);
    cast.line(|| format!("the receipt of {key:?} is gone"));
    key
}

/// In one seed of some the ledger becomes what it was hours before, the control item included; receipts, queues and executions
/// stay.
pub(super) async fn restore(cast: Cast) {
    let mut rng = cast.chaos.stream("restore");
    if !cast.chaos.strikes("restore") {
        return;
    }
    let seconds = cast.scenario.span.as_secs();
    tokio::time::sleep(Duration::from_secs(rng.u64(seconds / 10..seconds * 8 / 10))).await;
    let (then, to) = (scan(&cast.stage, "ledger").await, cast.now());
    let later = Duration::from_secs(rng.u64(600..4 * 3600));
    tokio::time::sleep(later).await;
    let ids = |items: &[Value]| -> std::collections::BTreeSet<String> {
        let id = |item: &Value| item["id"]["S"].as_str().unwrap_or_default().to_owned();
        items.iter().map(id).collect()
    };
    let now = scan(&cast.stage, "ledger").await;
    for item in &now {
        let request = json!({"TableName": "ledger", "Key": {"id": item["id"]}});
        past_the_wire(&cast, "DeleteItem", &request).await;
    }
    cast.stage.aws.import("ledger", then.clone()).await.unwrap();
    let restore = Restore {
        to,
        at: cast.now(),
        taken: ids(&now).difference(&ids(&then)).cloned().collect(),
    };
    let mut world = cast.world.lock();
    world.strangers.retain(|id, _| ids(&then).contains(id));
    let own = |item: &&Value| {
        !world
            .strangers
            .contains_key(item["id"]["S"].as_str().unwrap_or_default())
    };
    let then: Vec<Value> = then.iter().filter(own).cloned().collect();
    cast.shadows.restored(&then, &restore);
    cast.shadows.lock().newer.extend(world.strangers.keys().cloned());
    drop(world);
    cast.line(|| format!("the ledger is restored: {restore:?}"));
    cast.world.lock().restores.push(restore);
}

/// A request that nothing can happen to. In memory it is done at once.
pub(super) async fn past_the_wire(cast: &Cast, operation: &str, request: &Value) {
    let target = format!("DynamoDB_20120810.{operation}");
    let answer = cast
        .stage
        .aws
        .handle(&target, request.to_string().as_bytes())
        .await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}
