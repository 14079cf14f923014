//! A page is painted before its answer is there; equal looks are one, and a look that is left is stopped.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use http_body_util::BodyExt;
use world::{World, get};

/// Pages whose answers take a look at the ledger, and what each says when it has it.
const PAGES: [(&str, &str); 5] = [
    ("/", "1</a>"),
    ("/rows?prefix=in/", "s3://data/in/slow.json"),
    ("/object?q=s3://data/in/slow.json", "Open event"),
    ("/errors", "1 parked"),
    (
        "/act?verb=redrive&error=no+such+column",
        "<strong>1</strong> parked event.",
    ),
];

/// The stream that says how far the look is.
fn stream(page: &str) -> String {
    let (_, rest) = page.split_once("data-look=\"").expect("it is under way");
    rest.split('"').next().unwrap().to_owned()
}

/// What the stream says, event by event, to its end.
async fn follow(world: &World, page: &str) -> String {
    let body = world.open(get(&stream(page))).await;
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// In virtual time: every look that was asked for has begun.
async fn begun() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn every_page_is_painted_before_its_answer_and_shows_it_when_it_is_there() {
    let world = World::slow().await;
    let mut painted = Vec::new();
    for (route, answer) in PAGES {
        let (status, _, page) = world.ask(get(route)).await;
        assert_eq!(status, StatusCode::OK, "{route}");
        assert!(!page.contains(answer), "{route}: {page}");
        assert!(
            page.contains("<noscript><meta http-equiv=\"refresh\" content=\"1\">"),
            "{route}"
        );
        painted.push(page);
    }
    assert!(painted[1].contains("--prefix in/") && painted[2].contains("s3://data/in/slow.json"));
    world.gate.open.add_permits(100);
    for ((route, answer), page) in PAGES.into_iter().zip(painted) {
        let says = follow(&world, &page).await;
        assert!(says.ends_with("event: over\ndata: over\n\n"), "{route}: {says}");
        let (status, _, page) = world.ask(get(route)).await;
        assert_eq!(status, StatusCode::OK, "{route}");
        assert!(
            page.contains(answer) && !page.contains("data-look"),
            "{route}: {page}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_tabs_share_a_look_and_it_is_stopped_when_they_are_closed() {
    let world = World::slow().await;
    let (route, _) = PAGES[2];
    let tabs = (0..50).map(|_| world.ask(get(route)));
    let pages = futures::future::join_all(tabs).await;
    begun().await;
    assert_eq!(world.opened.load(Ordering::Relaxed), 1);
    // As long as one tab is open, it goes on.
    let watched = async {
        let mut body = world.open(get(&stream(&pages[0].2))).await;
        while body.frame().await.is_some() {}
    };
    tokio::time::timeout(Duration::from_secs(600), watched)
        .await
        .unwrap_err();
    assert_eq!(world.gate.given_up.load(Ordering::Relaxed), 0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.gate.given_up.load(Ordering::Relaxed), 1);
    // Whoever comes then begins it again; a stream of the one that was left leads there.
    assert!(follow(&world, &pages[0].2).await.starts_with("event: over"));
    world.ask(get(route)).await;
    begun().await;
    assert_eq!(world.opened.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_its_page_alone_and_what_is_changed_makes_it_old() {
    let world = World::slow().await;
    let (route, _) = PAGES[2];
    let (_, _, page) = world.ask(get(route)).await;
    world.gate.open.add_permits(100);
    follow(&world, &page).await;
    let looks = || world.opened.load(Ordering::Relaxed);
    assert!(!world.ask(get(route)).await.2.contains("data-look"));
    assert_eq!(looks(), 1, "the answer is the look's that the page was told of");
    let pause = world::post("/pause", "why=x").with("sec-fetch-site", "same-origin");
    assert_eq!(world.ask(pause).await.0, StatusCode::SEE_OTHER);
    let (_, _, page) = world.ask(get(route)).await;
    assert!(page.contains("data-look"), "what was kept is from before");
    follow(&world, &page).await;
    let before = looks();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.ask(get(route)).await.2.contains("data-look"));
    begun().await;
    assert_eq!(looks(), before + 1, "nor is it kept for long");
}
