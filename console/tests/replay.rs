//! An object that is done is processed once more at a person's word: once, whatever is sent twice.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

mod world;

use axum::http::{StatusCode, header};
use daybook_inspect::operate::log::Log;
use daybook_ledger::Person;
use daybook_schema::{Origin, Outcome, Row, Status};
use world::{HOSTILE, World, get, park, post};

/// An object's key with a line break, which a browser would send as another one.
const KEY: &str = "in/<b>line\nbreak</b>.json";

async fn rows(world: &World) -> Vec<Row> {
    let mut pages = world.stage.ledger.open_rows();
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        rows.extend(page.into_iter().flatten());
    }
    rows
}

/// All that is open is done.
async fn complete(world: &World) {
    let worker = Person {
        by: "a worker",
        why: None,
    };
    let (ledger, deadline) = (&world.stage.ledger, world.stage.deadline());
    let closed = ledger
        .close_rows(&rows(world).await, Outcome::Succeeded, worker, deadline)
        .await;
    assert!(closed.iter().all(Result::is_ok), "{closed:?}");
}

fn object(key: &str) -> String {
    let uri: String = form_urlencoded::byte_serialize(format!("s3://data/{key}").as_bytes()).collect();
    format!("/object?q={uri}")
}

/// The text between those two, as a browser reads it.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(begin)?;
    rest.split(end).next()
}

fn unescaped(text: &str) -> String {
    text.replace("&#38;", "&").replace("&amp;", "&")
}

/// Where the page of that object leads to for a replay, if it does.
async fn link(world: &World, key: &str) -> Option<String> {
    let (status, _, page) = world.ask(get(&object(key))).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    between(&page, "href=\"/replay?", "\"").map(|query| format!("/replay?{}", unescaped(query)))
}

/// The form on that page, filled in.
async fn form(world: &World, link: &str) -> String {
    let (status, _, page) = world.ask(get(link)).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(
        page.contains("daybook replay ") && page.contains(" --nonce "),
        "{page}"
    );
    assert!(page.contains("As its receipt says"), "{page}");
    assert!(!page.contains("<b>") && !page.contains("<script>"), "{page}");
    let hidden = |name: &str| {
        let value = between(&page, &format!("name=\"{name}\" value=\""), "\"");
        unescaped(value.unwrap_or_else(|| panic!("no {name}: {page}")))
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("of", hidden("of").as_str()),
        ("nonce", &hidden("nonce")),
        ("why", "<b>it was half</b>"),
        ("by", "kim"),
    ]);
    form.finish()
}

fn own(body: &str) -> world::Asked {
    post("/replay", body).with("sec-fetch-site", "same-origin")
}

#[tokio::test]
async fn an_object_that_is_done_is_replayed_once_with_who_and_why() {
    let world = World::new().await;
    park(&world.stage, KEY).await;
    assert_eq!(link(&world, KEY).await, None, "it is open");
    complete(&world).await;
    let link = link(&world, KEY).await.unwrap();
    let form = form(&world, &link).await;
    assert!(
        rows(&world).await.is_empty(),
        "nothing is changed before it is asked for"
    );
    let no_reason = form.replace("why=", "no=");
    assert_eq!(world.ask(own(&no_reason)).await.0, StatusCode::BAD_REQUEST);
    assert!(rows(&world).await.is_empty());

    let (status, headers, page) = world.ask(own(&form)).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{page}");
    let there = headers[header::LOCATION].to_str().unwrap().to_owned();
    let (status, again, _) = world.ask(own(&form)).await;
    assert_eq!(
        (status, again[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, there.as_str()),
        "sent twice it is one event"
    );
    let open = rows(&world).await;
    assert_eq!(open.len(), 1);
    let event = open[0].event().unwrap();
    assert_eq!((event.key.as_str(), open[0].status), (KEY, Status::Pending));
    assert!(matches!(event.origin, Origin::Replay { .. }), "{event:?}");
    assert_eq!(there, format!("/object?q={}", event.id));
    let note = open[0].note.as_deref().unwrap();
    assert!(note.contains("replayed by kim: <b>it was half</b>"), "{note}");
    let (_, _, page) = world.ask(get(&there)).await;
    assert!(
        page.contains("Open event") && page.contains("replayed by kim"),
        "{page}"
    );

    let kept = world.log.read().unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(
        kept[0].what.starts_with("replay 's3://data/in/<b>line"),
        "{kept:?}"
    );
    assert_eq!(
        (kept[0].by.as_str(), kept[0].why.as_deref()),
        ("kim", Some("<b>it was half</b>"))
    );
    let (_, _, operations) = world.ask(get("/operations")).await;
    assert!(operations.contains("recorded as event"), "{operations}");
    // Once it is done, the same form does nothing more.
    complete(&world).await;
    let (status, _, page) = world.ask(own(&form)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{page}");
    assert!(rows(&world).await.is_empty());
}

#[tokio::test]
async fn hostile_keys_are_replayed_as_they_are() {
    let world = World::hostile().await;
    complete(&world).await;
    for key in HOSTILE {
        let link = link(&world, key)
            .await
            .unwrap_or_else(|| panic!("{key:?} is done"));
        let form = form(&world, &link).await;
        assert_eq!(world.ask(own(&form)).await.0, StatusCode::SEE_OTHER, "{key:?}");
    }
    let mut replayed: Vec<String> = rows(&world)
        .await
        .iter()
        .map(|row| row.event().unwrap().key.to_string())
        .collect();
    replayed.sort();
    let mut expected = HOSTILE.map(str::to_owned);
    expected.sort();
    assert_eq!(replayed, expected);
}
