//! `GET /metrics`: for programs that know the token, and for no browser.

use http::{Method, Request};
use http_body_util::Full;

use crate::machine::{Answer, Up, command};
use crate::notices::upload;

const TOKEN: &str = "a-token-that-nobody-guesses";

async fn ask(up: &mut Up, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", up.url().await));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::from(body.to_owned())).unwrap();
    up.client.answer(request).await
}

#[tokio::test]
async fn what_came_in_is_counted_and_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let answer = ask(&mut up, Method::POST, "/events", &[], &upload("key", 1)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = ask(&mut up, Method::GET, "/metrics", &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let form = answer.header("content-type").unwrap();
    assert!(form.starts_with("text/plain; version=0.0.4"), "{form}");
    for line in [
        "# TYPE daybook_events_recorded_total counter",
        "daybook_events_recorded_total 1",
        "daybook_open_events{status=\"pending\"} 1",
        "daybook_open_events{status=\"parked\"} 0",
        "daybook_status_failures 0",
    ] {
        assert!(
            answer.body.lines().any(|found| found == line),
            "{line}: {}",
            answer.body
        );
    }
    let page = [("sec-fetch-site", "same-origin")];
    assert_eq!(ask(&mut up, Method::GET, "/metrics", &page, "").await.status, 403);
    let page = [("origin", "http://localhost")];
    assert_eq!(ask(&mut up, Method::GET, "/metrics", &page, "").await.status, 403);
    let answer = ask(&mut up, Method::POST, "/metrics", &[], "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn where_there_is_a_token_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path(), &[]);
    command.env("DAYBOOK_TOKEN", TOKEN);
    let mut up = Up::spawn(command);
    for given in ["", "Bearer another-token"] {
        let answer = ask(&mut up, Method::GET, "/metrics", &[("authorization", given)], "").await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(!answer.body.contains("daybook_open_events"), "{answer:?}");
    }
    let right = format!("Bearer {TOKEN}");
    let answer = ask(&mut up, Method::GET, "/metrics", &[("authorization", &right)], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("daybook_open_events"), "{answer:?}");
}
