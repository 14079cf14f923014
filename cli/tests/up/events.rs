//! General events: CloudEvents in HTTP's three modes.

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::machine::{Answer, Up, Web, ledger, rows, until_none_open};

fn view(n: u64) -> Value {
    json!({
        "specversion": "1.0", "id": format!("A234-{n}"), "source": "https://shop.example/web", "type": "com.example.page-view",
        "subject": "user/도", "partitionkey": "user-42", "datacontenttype": "application/json", "data": {"n": n, "price": 1.5},
    })
}

async fn post(up: &mut Up, headers: &[(&str, &str)], body: String) -> Answer {
    let mut request = Request::post(format!("{}/events", up.url().await));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    Web::new().answer(request).await
}

async fn structured(up: &mut Up, event: &Value) -> Answer {
    let headers = [("content-type", "application/cloudevents+json; charset=UTF-8")];
    post(up, &headers, event.to_string()).await
}

async fn batch(up: &mut Up, events: &[Value]) -> Answer {
    let headers = [("content-type", "application/cloudevents-batch+json")];
    post(up, &headers, json!(events).to_string()).await
}

async fn binary(up: &mut Up, n: u64) -> Answer {
    let id = format!("A234-{n}");
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id.as_str()),
        ("ce-source", "https://shop.example/web"),
        ("ce-type", "com.example.page-view"),
        ("ce-subject", "user/%EB%8F%84"),
        ("ce-partitionkey", "user-42"),
        ("content-type", "application/json"),
    ];
    post(up, &headers, format!("{{\"n\": {n}, \"price\": 1.5}}")).await
}

#[tokio::test]
async fn an_event_that_comes_in_all_three_modes_is_one_event() {
    let folder = tempfile::tempdir().unwrap();
    let (data, gate) = (folder.path().join("data"), Gate::new(folder.path()));
    let mut up = Up::start(&data, &gate.options(&[])).await;
    assert_eq!(structured(&mut up, &view(1)).await.json()["recorded"], 1);
    assert_eq!(binary(&mut up, 1).await.json()["already_there"], 1);
    let both = batch(&mut up, &[view(1), view(2)]).await.json();
    assert_eq!(
        (&both["recorded"], &both["already_there"]),
        (&1.into(), &1.into())
    );
    let nothing = batch(&mut up, &[]).await;
    assert_eq!((nothing.status, &nothing.json()["unreadable"]), (200, &0.into()));
    let ledger = ledger(&data);
    for row in rows(&ledger).await {
        let event = row.event().unwrap();
        assert_eq!(
            (event.subject(), event.partition_key()),
            (Some("user/도"), Some("user-42"))
        );
    }
    gate.open();
    until_none_open(&ledger).await;
    for answer in [structured(&mut up, &view(1)).await, binary(&mut up, 2).await] {
        assert_eq!(answer.json()["done_before"], 1, "{answer:?}");
    }
    assert_eq!(up.drained().await["worker"]["completed"], 2);
}

#[tokio::test]
async fn a_command_is_given_the_event_and_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let told = folder.path().join("told");
    let script = r#"cat > "$0"; env | grep -E '^DAYBOOK_(CE_|BUCKET|KEY)' | sort > "$0.env""#;
    let exec = ["--exec", "/bin/sh", "-c", script, told.to_str().unwrap()];
    let mut up = Up::start(&data, &exec).await;
    assert_eq!(binary(&mut up, 7).await.json()["recorded"], 1);
    until_none_open(&ledger(&data)).await;
    let input: Value = serde_json::from_str(&std::fs::read_to_string(&told).unwrap()).unwrap();
    assert_eq!(input["attempt"], 1);
    assert_eq!(input["cloud_event"], view(7));
    let environment = std::fs::read_to_string(told.with_extension("env")).unwrap();
    assert_eq!(
        environment.lines().collect::<Vec<_>>(),
        [
            "DAYBOOK_CE_ID=A234-7",
            "DAYBOOK_CE_PARTITIONKEY=user-42",
            "DAYBOOK_CE_SOURCE=https://shop.example/web",
            "DAYBOOK_CE_SUBJECT=user/도",
            "DAYBOOK_CE_TYPE=com.example.page-view",
        ]
    );
    up.drained().await;
}

#[tokio::test]
async fn what_is_no_event_is_refused_or_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let event = [("ce-specversion", "1.0"), ("ce-source", "/s"), ("ce-type", "t")];
    let with = |more: &[(&'static str, &'static str)]| [&event[..], more].concat();
    for more in [
        with(&[("ce-id", "%ff")]),
        with(&[("ce-id", "1"), ("ce-subject", "a"), ("ce-subject", "b")]),
        with(&[("ce-id", "1"), ("content-type", "application/json")]),
    ] {
        let answer = post(&mut up, &more, "{\"cut\":".to_owned()).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains("nothing was recorded"), "{answer:?}");
    }
    assert!(rows(&ledger(folder.path())).await.is_empty());
    // No id; and one that is longer than a row and a target take.
    let kept = post(&mut up, &with(&[]), String::new()).await.json();
    assert_eq!(kept["unreadable"], 1, "{kept}");
    let mut large = view(1);
    large["data"] = "x".repeat(250_000).into();
    assert_eq!(structured(&mut up, &large).await.json()["unreadable"], 1);
    large["data"] = "x".repeat(450_000).into();
    let beyond = structured(&mut up, &large).await;
    assert_eq!(beyond.status, 422, "{beyond:?}");
    assert!(beyond.body.contains("does not fit into the ledger"), "{beyond:?}");
    let why: Vec<String> = rows(&ledger(folder.path()))
        .await
        .into_iter()
        .filter_map(|row| row.last_error)
        .collect();
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(why.iter().any(|why| why == "id is missing"), "{why:?}");
    assert!(
        why.iter().any(|why| why.contains("may have 200000 bytes")),
        "{why:?}"
    );
}

#[tokio::test]
async fn over_the_backlog_senders_of_events_are_told_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, gate) = (folder.path().join("data"), Gate::new(folder.path()));
    let options = gate.options(&["--max-backlog", "3", "--admission", "reject"]);
    let mut up = Up::start(&data, &options).await;
    let mut accepted = 0;
    let refused = loop {
        let answer = binary(&mut up, accepted).await;
        if answer.status != 200 {
            break answer;
        }
        accepted += 1;
        assert!(accepted <= 3, "more than may wait");
    };
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1")),
        "{refused:?}"
    );
    gate.open();
    until_none_open(&ledger(&data)).await;
    assert_eq!(up.drained().await["worker"]["completed"], accepted);
}
