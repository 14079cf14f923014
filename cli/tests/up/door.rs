//! Who may come in, and what is asked at the door.

use base64::prelude::{BASE64_STANDARD, Engine};
use std::path::Path;

use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use serde_json::Value;

use crate::machine::{Answer, Up, command, counts, ledger};
use crate::notices::upload;

const TOKEN: &str = "a-token-that-nobody-guesses";

/// A request with those headers.
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

async fn post_events(up: &mut Up, headers: &[(&str, &str)]) -> Answer {
    ask(up, Method::POST, "/events", headers, &upload("key", 1)).await
}

/// What an AWS client with that access key id sends.
async fn list_tables(up: &mut Up, access_key: &str) -> Answer {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/20261120/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host;x-amz-target, Signature=00"
    );
    let headers = [
        ("x-amz-target", "DynamoDB_20120810.ListTables"),
        ("authorization", &authorization),
    ];
    ask(up, Method::POST, "/", &headers, "{}").await
}

async fn with_token(dir: &Path, options: &[&str]) -> Up {
    let mut command = command(dir, options);
    command.env("DAYBOOK_TOKEN", TOKEN);
    let mut up = Up::spawn(command);
    up.url().await;
    up
}

#[tokio::test]
async fn questions_whether_anybody_is_there_are_answered_and_recorded_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    for (method, path, body) in [
        (Method::GET, "/health", ""),
        (Method::HEAD, "/health", ""),
        (Method::HEAD, "/events", ""),
        (Method::POST, "/events", ""),
        (Method::POST, "/events", "{}"),
        (Method::POST, "/events", " \n{}\r\n"),
    ] {
        let answer = ask(&mut up, method.clone(), path, &[], body).await;
        assert_eq!(answer.status, 200, "{method} {path} {body:?}: {answer:?}");
        assert_eq!(answer.body.is_empty(), method == Method::HEAD, "{answer:?}");
    }
    let health = ask(&mut up, Method::GET, "/health", &[], "").await;
    assert_eq!(health.json()["status"], "ok");
    assert_eq!(counts(&ledger(folder.path())).await, [0; 3]);
    let report = up.drained().await;
    assert_eq!(
        [&report["recorded"], &report["known"], &report["unreadable"]],
        [0; 3]
    );
}

#[tokio::test]
async fn what_is_not_here_is_404_and_what_is_not_done_here_is_405_and_says_what_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    for path in [
        "/",
        "/event",
        "/events/",
        "/events/1",
        "/health/x",
        "//events",
        "/%2e%2e/events",
    ] {
        let answer = ask(&mut up, Method::POST, path, &[], &upload("key", 1)).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert!(
            answer.json()["error"].as_str().unwrap().contains("/events"),
            "{answer:?}"
        );
    }
    for (method, path, allowed) in [
        (Method::GET, "/events", "POST, HEAD"),
        (Method::PUT, "/events", "POST, HEAD"),
        (Method::DELETE, "/events", "POST, HEAD"),
        (Method::OPTIONS, "/events", "POST, HEAD"),
        (Method::POST, "/health", "GET, HEAD"),
        (Method::PATCH, "/health", "GET, HEAD"),
    ] {
        let answer = ask(&mut up, method.clone(), path, &[], "").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allowed)),
            "{method} {path}"
        );
    }
    assert_eq!(up.drained().await["recorded"], 0);
}

#[tokio::test]
async fn a_web_page_that_somebody_looks_at_can_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    for origin in ["https://evil.example", "null", "http://localhost", ""] {
        let headers = [("origin", origin), ("content-type", "text/plain")];
        let aws = [
            ("origin", origin),
            ("x-amz-target", "DynamoDB_20120810.ListTables"),
        ];
        for answer in [
            post_events(&mut up, &headers).await,
            ask(&mut up, Method::OPTIONS, "/events", &headers, "").await,
            ask(&mut up, Method::GET, "/health", &headers, "").await,
            ask(&mut up, Method::POST, "/", &aws, "{}").await,
        ] {
            assert_eq!(answer.status, 403, "{answer:?}");
            let cors = |headers: &HeaderMap| {
                headers
                    .keys()
                    .any(|name| name.as_str().starts_with("access-control"))
            };
            assert!(!cors(&answer.headers), "{answer:?}");
        }
    }
    assert_eq!(up.drained().await["recorded"], 0);
}

#[tokio::test]
async fn only_who_knows_the_token_may_send_and_it_is_told_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = with_token(folder.path(), &["-vv"]).await;
    let longer = format!("Bearer {TOKEN}x");
    let shorter = format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]);
    let upper = format!("Bearer {}", TOKEN.to_uppercase());
    let wrong = [
        longer.as_str(),
        &shorter,
        &upper,
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        TOKEN,
        "",
    ];
    for authorization in wrong {
        let answer = post_events(&mut up, &[("authorization", authorization)]).await;
        assert_eq!(answer.status, 401, "{authorization}: {answer:?}");
        let challenge = "Bearer, Basic realm=\"daybook\"";
        assert_eq!(answer.header("www-authenticate"), Some(challenge));
        assert!(!answer.body.contains(TOKEN), "{answer:?}");
    }
    assert_eq!(post_events(&mut up, &[]).await.status, 401);
    for access_key in ["AKIDEXAMPLE", "", &TOKEN[1..]] {
        let answer = list_tables(&mut up, access_key).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.json()["__type"], "UnrecognizedClientException");
    }
    assert_eq!(ask(&mut up, Method::GET, "/health", &[], "").await.status, 200);
    assert_eq!(counts(&ledger(folder.path())).await, [0; 3]);

    let right = format!("Bearer {TOKEN}");
    let answer = post_events(&mut up, &[("authorization", &right)]).await;
    assert_eq!((answer.status, &answer.json()["recorded"]), (200, &1.into()));
    // The scheme's name is in any case (RFC 9110, 11.1).
    let answer = post_events(&mut up, &[("authorization", &right.replace("Bearer", "bearer"))]).await;
    assert_eq!((answer.status, &answer.json()["already_there"]), (200, &1.into()));
    // As from http://daybook:TOKEN@host.
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("daybook:{TOKEN}")));
    let answer = post_events(&mut up, &[("authorization", &basic)]).await;
    assert_eq!((answer.status, &answer.json()["already_there"]), (200, &1.into()));
    let answer = list_tables(&mut up, TOKEN).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = up.stderr();
    assert!(!said.contains(TOKEN), "{said}");
    up.drained().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()));
    }
}

#[tokio::test]
async fn on_loopback_aws_clients_are_answered_without_a_token_if_none_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let answer = list_tables(&mut up, "AKIDEXAMPLE").await;
    let tables: &Value = &answer.json()["TableNames"];
    assert_eq!(
        tables.as_array().unwrap(),
        &["daybook-ledger", "daybook-receipts"]
    );
    up.drained().await;
}

#[tokio::test]
async fn where_other_machines_can_reach_it_the_token_is_asked_for_and_aws_clients_are_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = with_token(folder.path(), &["--listen", "0.0.0.0:0"]).await;
    let url = up.url().await;
    assert!(url.starts_with("http://0.0.0.0:"), "{url}");
    assert_eq!(post_events(&mut up, &[]).await.status, 401);
    let right = format!("Bearer {TOKEN}");
    let answer = post_events(&mut up, &[("authorization", &right)]).await;
    assert_eq!((answer.status, &answer.json()["recorded"]), (200, &1.into()));
    let answer = list_tables(&mut up, TOKEN).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(!answer.body.contains("TableNames"), "{answer:?}");
    up.drained().await;
}
