//! However many tabs follow the ledger, it is asked as if there were one.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt;
use world::{World, get};

/// Far longer than ten looks of the streams, and than one at findings and audits.
const FOR: Duration = Duration::from_secs(690);

/// Streams that begin `apart` from each other: requests to the ledger, looks at it, and events that each of them got.
async fn follow(tabs: u32, apart: Duration) -> (u64, usize, Vec<usize>) {
    let world = World::new().await;
    let before = (world.stage.wire.requests(), world.opened.load(Ordering::Relaxed));
    let tab = async |number: u32| {
        tokio::time::sleep(apart * number).await;
        let mut body = world.open(get("/live")).await;
        let mut events = 0;
        let read = async {
            while let Some(frame) = body.frame().await {
                let data = frame.unwrap().into_data().unwrap();
                events += usize::from(data.starts_with(b"data:"));
            }
        };
        // It goes on until the tab is closed.
        tokio::time::timeout(FOR - apart * number, read)
            .await
            .unwrap_err();
        events
    };
    let events = futures::future::join_all((0..tabs).map(tab)).await;
    let opened = world.opened.load(Ordering::Relaxed) - before.1;
    (world.stage.wire.requests() - before.0, opened, events)
}

#[tokio::test(start_paused = true)]
async fn fifty_streams_ask_the_ledger_as_often_as_one() {
    let (of_one, looks, events) = follow(1, Duration::ZERO).await;
    assert!(events[0] >= 9, "{events:?}");
    assert!(of_one > 0 && looks >= events[0], "{of_one} {looks}");
    let (of_fifty, looks_of_fifty, events_of_fifty) = follow(50, Duration::ZERO).await;
    assert_eq!((of_fifty, looks_of_fifty), (of_one, looks));
    assert_eq!(events_of_fifty, [events[0]; 50]);
    // Nor do tabs that begin one after the other make it more.
    let (apart, looks_apart, _) = follow(50, Duration::from_secs(1)).await;
    assert!(looks_apart <= looks && apart <= of_one, "{looks_apart} {apart}");
}
