//! What pages show is what the command line's JSON says, and texts of strangers are texts.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use daybook_inspect::errors::errors;
use daybook_inspect::rate::Rate;
use daybook_inspect::status::observe::gather;
use daybook_ledger::{Asker, Grant, GrantRequest, Window};
use serde_json::Value;
use world::{HOSTILE, World, get, post};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn hostile_keys_and_errors_are_shown_as_texts() {
    let world = World::hostile().await;
    for route in [
        "/",
        "/rows",
        "/errors",
        "/operations",
        "/rows?prefix=%3Cscript%3E&error=%22%3E%3Cscript%3E",
    ] {
        let (status, _, page) = world.ask(get(route)).await;
        assert_eq!(status, StatusCode::OK, "{route}");
        assert!(!page.contains("<script>"), "{route}");
        assert!(!page.contains("<img"), "{route}");
        assert!(
            !page.contains('\u{202e}'),
            "{route}: what turns text round is made visible"
        );
    }
    let (_, _, rows) = world.ask(get("/rows")).await;
    assert!(rows.contains("script"), "{rows}");
    for key in HOSTILE {
        let uri = form_urlencoded::byte_serialize(format!("s3://data/{key}").as_bytes()).collect::<String>();
        let (status, _, page) = world.ask(get(&format!("/object?q={uri}"))).await;
        assert_eq!(status, StatusCode::OK, "{key:?}");
        assert!(page.contains("Open event"), "{key:?} is found");
        assert!(!page.contains("<script>"), "{key:?}");
    }
}

#[tokio::test]
async fn the_json_is_the_command_lines_and_the_pages_show_it() {
    let world = World::hostile().await;
    let ledger = &world.stage.ledger;
    let (_, _, status) = world.ask(get("/status.json")).await;
    let status = json(&status);
    let found = gather(&world.parts(), Some(250), Rate::default(), Rate::default()).await;
    let expected = serde_json::to_value(found.output("a folder".to_owned(), None, &[])).unwrap();
    assert_eq!(status, expected);
    assert_eq!(status["parked"]["rows"], HOSTILE.len());
    let (_, _, now) = world.ask(get("/")).await;
    assert!(now.contains(&format!("<a href=\"/rows?status=parked\">{}</a>", HOSTILE.len())));

    let (_, _, rows) = world.ask(get("/rows.json?status=parked")).await;
    let (_, _, page) = world.ask(get("/rows?status=parked")).await;
    let rows = json(&rows);
    assert_eq!(rows["rows"].as_array().unwrap().len(), HOSTILE.len());
    for row in rows["rows"].as_array().unwrap() {
        assert!(page.contains(row["id"].as_str().unwrap()));
    }

    let (_, _, causes) = world.ask(get("/errors.json")).await;
    let causes = json(&causes);
    assert_eq!(
        causes,
        serde_json::to_value(errors(ledger, |_| {}).await).unwrap()
    );
    let (_, _, page) = world.ask(get("/errors")).await;
    assert_eq!(
        page.matches("class=\"panel group\"").count(),
        causes["groups"].as_array().unwrap().len()
    );

    let id = rows["rows"][0]["id"].as_str().unwrap();
    let (_, _, why) = world.ask(get(&format!("/object.json?q={id}"))).await;
    let why = json(&why);
    assert_eq!((&why["situation"], &why["event"]), (&"parked".into(), &id.into()));
    let (_, _, page) = world.ask(get(&format!("/object?q={id}"))).await;
    assert!(page.contains("<span class=\"tag\">parked</span>"));
}

#[tokio::test]
async fn fifty_tabs_are_one_look_at_the_ledger() {
    let world = World::new().await;
    let before = world.opened.load(Ordering::Relaxed);
    let tabs = (0..50).map(|_| world.ask(get("/")));
    for (status, _, _) in futures::future::join_all(tabs).await {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(world.opened.load(Ordering::Relaxed) - before, 1);
}

#[tokio::test]
async fn pause_needs_a_reason_and_is_shown_with_it() {
    let world = World::new().await;
    let own = |route, body| post(route, body).with("sec-fetch-site", "same-origin");
    assert_eq!(
        world.ask(own("/pause", "by=kim")).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        world.ask(own("/pause", "why=x&for=soon")).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        world.ask(own("/per-window", "why=x&n=0")).await.0,
        StatusCode::BAD_REQUEST
    );
    let control = world.stage.ledger.control().await.unwrap();
    assert!(control.pause(world.stage.ledger.clock().now()).is_none() && control.per_window.is_none());

    let paused = own("/pause", "by=kim&why=%3Cb%3Erelease+2%3C%2Fb%3E");
    assert_eq!(world.ask(paused).await.0, StatusCode::SEE_OTHER);
    let (_, _, page) = world.ask(get("/")).await;
    assert!(page.contains("Dispatch is paused by kim"), "{page}");
    assert!(page.contains("&#60;b&#62;release 2"), "{page}");
    assert_eq!(
        world.ask(own("/resume", "why=done")).await.0,
        StatusCode::SEE_OTHER
    );
    assert!(!world.ask(get("/")).await.2.contains("Dispatch is paused"));
    assert_eq!(
        world.ask(own("/per-window", "why=x&n=7")).await.0,
        StatusCode::SEE_OTHER
    );
    assert_eq!(world.stage.ledger.control().await.unwrap().per_window, Some(7));
}

#[tokio::test]
async fn metrics_count_by_status() {
    let world = World::hostile().await;
    let (_, headers, text) = world.ask(get("/metrics")).await;
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    assert!(
        text.contains(&format!(
            "daybook_open_events{{status=\"parked\"}} {}\n",
            HOSTILE.len()
        )),
        "{text}"
    );
    assert!(text.contains("daybook_dispatch_paused 0\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test]
async fn what_was_granted_in_the_last_windows_is_drawn_and_said_as_a_table() {
    let mut world = World::new().await;
    let (_, _, now) = world.ask(get("/")).await;
    assert!(!now.contains("<figure"), "{now}");
    let ledger = world.stage.ledger.clone();
    let request = GrantRequest {
        window: Window::at(world.stage.now(), Duration::from_secs(24 * 3600)),
        per_window: 50,
        wanted: 7,
        asker: Asker::Scheduler,
    };
    let seen = ledger.control().await.unwrap();
    assert_eq!(ledger.grant(&request, seen).await.unwrap(), Grant::Granted(7));
    world.restart();
    let (_, _, status) = world.ask(get("/status.json")).await;
    let status = json(&status);
    assert_eq!(status["windows"]["granted"], serde_json::json!([7]), "{status}");
    let (_, _, now) = world.ask(get("/")).await;
    assert!(
        now.contains("7 granted in the newest window of 1 day; N is not known here"),
        "{now}"
    );
    assert!(now.contains("<td>1</td><td>7</td>"), "{now}");
    assert!(!now.contains("style="), "{now}");
}
