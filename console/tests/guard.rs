//! Every route: what a stranger's page, another host, a missing token and a read-only console get.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

mod world;

use axum::http::{Method, StatusCode, header};
use world::{World, get, post};

const LOOKS: [&str; 16] = [
    "/",
    "/live",
    "/looks/none",
    "/rows",
    "/object",
    "/errors",
    "/audit",
    "/operations",
    "/status.json",
    "/rows.json",
    "/errors.json",
    "/doctor.json",
    "/metrics",
    "/assets/console.css",
    "/assets/console.js",
    "/assets/icon.svg",
];
/// Each route that writes, a body that it takes, and how it answers its own page.
const WRITES: [(&str, &str, StatusCode); 8] = [
    ("/pause", "why=x", StatusCode::SEE_OTHER),
    ("/resume", "why=x", StatusCode::SEE_OTHER),
    ("/per-window", "why=x", StatusCode::SEE_OTHER),
    ("/act", "why=x&verb=redrive", StatusCode::SEE_OTHER),
    ("/stop", "id=x", StatusCode::NOT_FOUND),
    (
        "/replay",
        "why=x&nonce=once&of=object%3Ds3%253A%252F%252Fdata%252Fa",
        StatusCode::SEE_OTHER,
    ),
    // A folder has no queue.
    ("/redrive-queue", "why=x&queue=arn", StatusCode::NOT_FOUND),
    ("/stop-queue", "queue=arn", StatusCode::NOT_FOUND),
];

/// What asks before it writes.
const ASKS: [&str; 3] = [
    "/act?verb=redrive",
    "/replay?object=s3%3A%2F%2Fdata%2Fa",
    "/redrive-queue?queue=arn",
];

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_on_any_route() {
    let world = World::new().await;
    for (route, body, answer) in WRITES {
        let own = post(route, body);
        let refused = [
            ("neither header", own.clone()),
            ("another site", own.clone().with("sec-fetch-site", "cross-site")),
            (
                "another host of the site",
                own.clone().with("sec-fetch-site", "same-site"),
            ),
            ("no page", own.clone().with("sec-fetch-site", "none")),
            (
                "another origin",
                own.clone().with("origin", "http://evil.example"),
            ),
            (
                "another port",
                own.clone().with("origin", "http://localhost:9999"),
            ),
            ("no origin", own.clone().with("origin", "null")),
            (
                "an origin that is not the site's",
                own.clone()
                    .with("sec-fetch-site", "same-origin")
                    .with("origin", "http://evil.example"),
            ),
        ];
        for (what, request) in refused {
            assert_eq!(
                world.ask(request).await.0,
                StatusCode::FORBIDDEN,
                "{route}: {what}"
            );
        }
        let by_origin = own.clone().with("origin", "http://localhost:9481");
        assert_eq!(world.ask(by_origin).await.0, answer, "{route}");
        let by_site = own.with("sec-fetch-site", "same-origin");
        assert_eq!(world.ask(by_site).await.0, answer, "{route}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_the_consoles_is_refused_on_every_route() {
    let world = World::new().await;
    for route in LOOKS {
        for host in [
            "evil.example",
            "localhost.evil.example:9481",
            "127.0.0.1.nip.io",
            "",
            "evil.example:localhost",
        ] {
            let (status, headers, _) = world.ask(get(route).with("host", host)).await;
            assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{route} {host}");
            assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
        }
        assert_eq!(
            world.ask(get(route).without("host")).await.0,
            StatusCode::BAD_REQUEST
        );
    }
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:9481",
        "[::1]:9481",
        "[::1]",
    ] {
        let status = world.ask(get("/assets/console.css").with("host", host)).await.0;
        assert_eq!(status, StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn every_answer_bears_the_policy_and_nothing_unsafe() {
    let world = World::new().await;
    for route in LOOKS {
        let (status, headers, _) = world.ask(get(route)).await;
        assert_eq!(status, StatusCode::OK, "{route}");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::REFERRER_POLICY], "same-origin");
    }
}

#[tokio::test]
async fn a_read_only_console_has_no_route_that_writes() {
    let world = World::read_only().await;
    for (route, body, _) in WRITES {
        let own = post(route, body).with("sec-fetch-site", "same-origin");
        assert_eq!(world.ask(own).await.0, StatusCode::NOT_FOUND, "{route}");
    }
    for route in ASKS {
        assert_eq!(world.ask(get(route)).await.0, StatusCode::NOT_FOUND, "{route}");
    }
    for route in LOOKS {
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::POST] {
            let request = get(route).by(method).with("sec-fetch-site", "same-origin");
            assert_eq!(
                world.ask(request).await.0,
                StatusCode::METHOD_NOT_ALLOWED,
                "{route}"
            );
        }
        let (_, _, page) = world.ask_but_stream(get(route)).await;
        assert!(
            ["method=\"post\"", "/act", "/replay", "/redrive-queue"]
                .iter()
                .all(|way| !page.contains(way)),
            "{route}"
        );
    }
}

#[tokio::test]
async fn without_the_token_nothing_is_shown_and_it_is_exchanged_for_a_cookie_once() {
    let world = World::with_token("a-long-token").await;
    for route in LOOKS.into_iter().filter(|route| !route.starts_with("/assets/")) {
        let (status, _, page) = world.ask_but_stream(get(route)).await;
        assert!(
            matches!(status, StatusCode::SEE_OTHER | StatusCode::UNAUTHORIZED),
            "{route}"
        );
        assert!(!page.contains("a folder"), "{route}");
        let wrong = get(route).with("cookie", "daybook-console=a-long-token");
        assert_ne!(
            world.ask(wrong).await.0,
            StatusCode::OK,
            "the token is no cookie: {route}"
        );
    }
    for (route, body, _) in WRITES {
        let own = post(route, body).with("sec-fetch-site", "same-origin");
        assert_eq!(world.ask(own).await.0, StatusCode::UNAUTHORIZED, "{route}");
    }
    let login = |token: &str| post("/login", &format!("token={token}")).with("sec-fetch-site", "same-origin");
    assert_eq!(world.ask(login("guess")).await.0, StatusCode::UNAUTHORIZED);
    let elsewhere = post("/login", "token=a-long-token").with("sec-fetch-site", "cross-site");
    assert_eq!(world.ask(elsewhere).await.0, StatusCode::FORBIDDEN);
    let (status, headers, _) = world.ask(login("a-long-token")).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let cookie = headers[header::SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains("a-long-token"));
    let cookie = cookie.split(';').next().unwrap();
    let known = get("/").with("cookie", &format!("other=1; {cookie}"));
    assert_eq!(world.ask(known).await.0, StatusCode::OK);
    let program = get("/metrics").with("authorization", "Bearer a-long-token");
    assert_eq!(world.ask(program).await.0, StatusCode::OK);
}
