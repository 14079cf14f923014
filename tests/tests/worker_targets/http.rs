//! What an endpoint is sent, and what its answers mean.

use std::time::Duration;

use daybook_ledger::Clock;
use daybook_manager::worker::{HttpTarget, InvalidTarget, Target, TargetAnswer};
use daybook_schema::ExecutionInput;
use tokio::time::timeout;

use crate::endpoint::{Endpoint, Reply, reply};
use crate::{input, run_of};

const PATIENCE: Duration = Duration::from_secs(30);

/// 2026-11-21T00:00:00Z, for dates in headers.
fn clock() -> Clock {
    Clock::new(|| "2026-11-21T00:00:00.000Z".parse().unwrap())
}

async fn answer(reply: Reply) -> TargetAnswer {
    let endpoint = Endpoint::new(reply).await;
    let target = HttpTarget::new(&endpoint.url, clock()).unwrap();
    let (run, _stopper) = run_of(input("k"));
    timeout(PATIENCE, target.run(run)).await.unwrap()
}

fn failed(answer: TargetAnswer) -> String {
    match answer {
        TargetAnswer::Failed { why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_is_posted_as_json_with_the_headers_that_were_asked_for() {
    let endpoint = Endpoint::new(reply("200 OK", &[], "")).await;
    let target = HttpTarget::new(&endpoint.url, clock())
        .unwrap()
        .with_header("Authorization", "Bearer sesame")
        .unwrap();
    assert!(!format!("{target:?}").contains("sesame"));
    let input = input("보고서/\u{1}\"; DROP TABLE \0x");
    let (mut run, _stopper) = run_of(input.clone());
    run.trace = Some("Root=1-5759e988-bd862e3fe1be46a994272793".into());
    assert_eq!(target.run(run).await, TargetAnswer::Success);
    let request = endpoint.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /hook?x=1 HTTP/1.1"));
    let headers: Vec<&str> = lines.collect();
    for header in [
        "content-type: application/json",
        "authorization: Bearer sesame",
        "x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793",
    ] {
        assert!(headers.contains(&header), "{headers:?}");
    }
    assert_eq!(body, input.to_json());
    assert_eq!(serde_json::from_str::<ExecutionInput>(body).unwrap(), input);
}

#[tokio::test]
async fn every_status_has_one_meaning() {
    for status in [
        "200 OK",
        "201 Created",
        "202 Accepted",
        "204 No Content",
        "299 Fine",
    ] {
        let body = if status.starts_with("204") { "" } else { "whatever" };
        assert_eq!(
            answer(reply(status, &[], body)).await,
            TargetAnswer::Success,
            "{status}"
        );
    }
    let failures = [
        (
            "301 Moved Permanently",
            "301 Moved Permanently (redirects are not followed): no",
        ),
        ("400 Bad Request", "400 Bad Request: no"),
        ("401 Unauthorized", "401 Unauthorized: no"),
        ("404 Not Found", "404 Not Found: no"),
        ("429 Too Many Requests", "429 Too Many Requests: no"),
        ("500 Internal Server Error", "500 Internal Server Error: no"),
    ];
    for (status, why) in failures {
        let headers = ["location: http://127.0.0.1:1/"];
        assert_eq!(failed(answer(reply(status, &headers, " no\n")).await), why);
    }
    // Retry-After is heard of these two alone.
    let retry = ["retry-after: 5"];
    assert!(failed(answer(reply("500 Internal Server Error", &retry, "")).await).starts_with("500"));
}

#[tokio::test]
async fn later_is_after_the_seconds_or_at_the_date_that_the_server_says() {
    let day = Duration::from_secs(86_400);
    let cases = [
        ("retry-after: 120", Some(Duration::from_secs(120))),
        ("Retry-After: 0", Some(Duration::ZERO)),
        (
            "retry-after: Sat, 21 Nov 2026 00:10:00 GMT",
            Some(Duration::from_secs(600)),
        ),
        ("retry-after: Fri, 20 Nov 2026 00:10:00 GMT", Some(Duration::ZERO)),
        ("retry-after: 999999999999", Some(day)),
        ("retry-after: soon", None),
    ];
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        for (header, after) in cases {
            let later = TargetAnswer::Later {
                after,
                why: format!("{status}: busy"),
            };
            assert_eq!(answer(reply(status, &[header], "busy")).await, later, "{header}");
        }
    }
}

fn put_off(answer: TargetAnswer) -> (u64, String) {
    match answer {
        TargetAnswer::Later {
            after: Some(after),
            why,
        } => (after.as_secs(), why),
        other => panic!("{other:?}"),
    }
}

const UNREACHABLE: [&str; 3] = [
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
];

#[tokio::test]
async fn what_a_gateway_answers_for_a_target_that_it_cannot_reach_is_later() {
    for status in UNREACHABLE {
        let (after, why) = put_off(answer(reply(status, &[], " upstream\n")).await);
        assert_eq!((after, why), (5, format!("{status}: upstream")));
    }
}

#[tokio::test]
async fn what_only_a_gateway_answers_while_the_target_answers_others_uses_attempts() {
    // Of a proxy whose target dies of one object.
    let replies = |key: &str| match key.contains("poison") {
        true => reply("502 Bad Gateway", &[], "upstream"),
        false => reply("200 OK", &[], ""),
    };
    let endpoint = Endpoint::answering(replies).await;
    let target = HttpTarget::new(&endpoint.url, clock()).unwrap();
    let run = async |key: &str| {
        let (run, _stopper) = run_of(input(key));
        timeout(PATIENCE, target.run(run)).await.unwrap()
    };
    assert_eq!(run("fine").await, TargetAnswer::Success);
    put_off(run("poison").await);
    put_off(run("poison").await);
    assert_eq!(run("fine").await, TargetAnswer::Success);
    assert_eq!(failed(run("poison").await), "502 Bad Gateway: upstream");
}

#[tokio::test]
async fn a_host_that_is_unknown_or_has_no_such_certificate_or_takes_no_connection_is_later() {
    let quick = |url: &str| {
        let target = HttpTarget::new(url, clock()).unwrap();
        target.with_connect_timeout(Duration::from_millis(500))
    };
    // At once, or not at all where the resolver itself does not answer.
    let none = quick("http://no-such-host.invalid/");
    let (run, _stopper) = run_of(input("k"));
    put_off(timeout(PATIENCE, none.run(run)).await.unwrap());
    let plain = Endpoint::new(reply("200 OK", &[], "")).await;
    let tls = HttpTarget::new(&plain.url.replace("http:", "https:"), clock()).unwrap();
    let (run, _stopper) = run_of(input("k"));
    put_off(timeout(PATIENCE, tls.run(run)).await.unwrap());
    // Nobody shakes hands.
    let silent = Endpoint::new(Reply::Silence).await;
    let tls = quick(&silent.url.replace("http:", "https:"));
    let (run, _stopper) = run_of(input("k"));
    let (_, why) = put_off(timeout(PATIENCE, tls.run(run)).await.unwrap());
    assert_eq!(why, "no connection within 0.5 s");
    // A listener whose queue of connections is full leaves the next one unanswered.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        held.push(stream);
    }
    let full = quick(&format!("http://{address}/"));
    let (run, _stopper) = run_of(input("k"));
    let (_, why) = put_off(timeout(PATIENCE, full.run(run)).await.unwrap());
    assert_eq!(why, "no connection within 0.5 s");
}

#[tokio::test]
async fn of_a_failures_body_the_beginning_is_kept_as_one_line() {
    let body = format!("<html>\r\n\t<b>\u{1b}[31mbad</b>\n{}", "é".repeat(100_000));
    let why = failed(answer(reply("500 Internal Server Error", &[], &body)).await);
    assert!(
        why.starts_with("500 Internal Server Error: <html> <b>[31mbad</b> éé"),
        "{why}"
    );
    assert!(why.chars().count() < 256, "it fits a row's last error");
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_it() {
    let head = b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let endpoint = Endpoint::new(Reply::Endless(head, b"5\r\nabcde\r\n".repeat(1000))).await;
    let target = HttpTarget::new(&endpoint.url, clock()).unwrap();
    let (run, _stopper) = run_of(input("k"));
    let why = failed(timeout(PATIENCE, target.run(run)).await.unwrap());
    assert!(why.starts_with("500 Internal Server Error: abcdeabcde"), "{why}");
    // What was sent and not read waits in buffers of the kernel.
    let megabytes = endpoint.sent() / (1024 * 1024);
    assert!(megabytes < 32, "{megabytes} MB");
}

#[tokio::test]
async fn no_server_is_later_and_a_closed_connection_and_nonsense_are_clear_failures() {
    let url = Endpoint::new(Reply::Silence).await.url.clone();
    // Dropped: nobody listens there now.
    tokio::task::yield_now().await;
    let target = HttpTarget::new(&url, clock()).unwrap();
    let mut why = String::new();
    // The listener is closed by the runtime, soon.
    for _ in 0..100 {
        let (run, _stopper) = run_of(input("k"));
        match timeout(Duration::from_millis(500), target.run(run)).await {
            Ok(TargetAnswer::Later { why: refused, .. }) => why = refused,
            Ok(other) => why = failed(other),
            Err(_) => continue,
        }
        if why.contains("refused") {
            break;
        }
    }
    assert!(why.to_lowercase().contains("connection refused"), "{why}");
    let why = failed(answer(Reply::Raw(Vec::new())).await);
    assert!(why.contains("closed") || why.contains("incomplete"), "{why}");
    let why = failed(answer(Reply::Raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec())).await);
    assert!(why.contains("HTTP"), "{why}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_when_the_run_is_to_stop() {
    let endpoint = Endpoint::new(Reply::Silence).await;
    let target = HttpTarget::new(&endpoint.url, clock()).unwrap();
    let (run, stopper) = run_of(input("k"));
    let asking = async {
        while endpoint.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stopper.stop();
    };
    let (answer, ()) = timeout(PATIENCE, async { futures::join!(target.run(run), asking) })
        .await
        .unwrap();
    assert_eq!(failed(answer), "stopped");
}

#[tokio::test]
async fn many_events_share_connections_and_each_arrives_once() {
    let endpoint = Endpoint::new(reply("200 OK", &[], "ok")).await;
    let target = HttpTarget::new(&endpoint.url, clock()).unwrap();
    let (_stopper, stop) = daybook_manager::worker::Stop::pair();
    let runs: Vec<_> = (0..100)
        .map(|n| {
            let (mut run, _) = run_of(input(&format!("k{n}")));
            run.stop = stop.clone();
            target.run(run)
        })
        .collect();
    let answers = futures::future::join_all(runs).await;
    assert!(
        answers.iter().all(|answer| *answer == TargetAnswer::Success),
        "{answers:?}"
    );
    assert_eq!(endpoint.requests().len(), 100);
}

#[test]
fn urls_that_cannot_work_are_refused_and_a_secret_in_one_is_not_repeated() {
    for url in [
        "",
        "hook",
        "/hook",
        "ftp://host/",
        "http://",
        "localhost:80",
        "http:///x",
        "unix:/x",
    ] {
        let refused = HttpTarget::new(url, clock());
        assert!(matches!(refused, Err(InvalidTarget::Url)), "{url:?}: {refused:?}");
    }
    let refused = HttpTarget::new("http://user:sesame@host/", clock()).unwrap_err();
    assert!(matches!(refused, InvalidTarget::Credentials));
    assert!(!refused.to_string().contains("sesame"));
    let target = HttpTarget::new("http://host/hook?token=sesame", clock()).unwrap();
    assert_eq!(format!("{target:?}"), "HttpTarget(host/hook)");
    for (name, value) in [("", "x"), ("a b", "x"), ("x", "a\nb")] {
        assert!(matches!(
            target.clone().with_header(name, value),
            Err(InvalidTarget::Header(_))
        ));
    }
}
