//! Bodies that are too large, broken, or no notifications.

use std::io::{Read, Write};
use std::net::TcpStream;

use daybook_schema::{Status, Subject};
use serde_json::json;

use crate::gate::Gate;
use crate::machine::{PATIENCE, Up, counts, ledger, rows, until_none_open};
use crate::notices::{notification, record, upload};

/// The longest body that is taken.
const MOST: usize = 1024 * 1024;

/// Writes that, as far as the other side lets it, and reads what it answers until it closes the connection or says no more.
fn exchange(url: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut answer = Vec::new();
    std::thread::scope(|scope| {
        // Whoever does not want the rest of a body may close the connection.
        scope.spawn(move || writer.write_all(request));
        let _ = stream.read_to_end(&mut answer);
    });
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request for /events that is the last on its connection.
fn head(more: &str) -> String {
    format!("POST /events HTTP/1.1\r\nhost: daybook\r\nconnection: close\r\n{more}\r\n\r\n")
}

/// That body in chunks of 64 KB.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(64 * 1024) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// The notification of one upload, so long.
fn padded(key: &str, number: u64, length: usize) -> String {
    let mut body = notification(vec![record(key, number)]);
    body["padding"] = "".into();
    let padding = length - body.to_string().len();
    body["padding"] = "x".repeat(padding).into();
    assert_eq!(body.to_string().len(), length);
    body.to_string()
}

#[tokio::test]
async fn a_body_of_10_mb_is_refused_however_it_comes_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let url = up.url().await;
    let large = vec![b' '; 10 * 1024 * 1024];
    let with_length = [
        head(&format!("content-length: {}", large.len())).into_bytes(),
        large.clone(),
    ]
    .concat();
    let in_chunks = [head("transfer-encoding: chunked").into_bytes(), chunked(&large)].concat();
    for request in [&with_length, &in_chunks] {
        let answer = exchange(&url, request);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("nothing was recorded"), "{answer}");
    }
    // Who asks first need not send it.
    let asks = head(&format!(
        "content-length: {}\r\nexpect: 100-continue",
        large.len()
    ));
    let answer = exchange(&url, asks.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // A length that is no number, or two of them, is no request at all.
    for lengths in [
        "content-length: -1",
        "content-length: 1\r\ncontent-length: 2",
        "content-length: 1e3",
    ] {
        let answer = exchange(&url, head(lengths).as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths}: {answer}");
    }
    let peak = up.peak_memory();
    assert!(peak < 300 << 20, "{peak}");
    assert_eq!(up.record(padded("largest", 1, MOST)).await, 1);
    assert_eq!(up.post(padded("too large", 2, MOST + 1)).await.status, 413);
    assert_eq!(up.record(upload("next", 3)).await, 1);
    until_none_open(&ledger(folder.path())).await;
    assert_eq!(up.drained().await["recorded"], 2);
}

#[tokio::test]
async fn a_body_in_chunks_is_taken_as_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let body = padded("key", 1, 300_000);
    let request = [
        head("transfer-encoding: chunked").into_bytes(),
        chunked(body.as_bytes()),
    ]
    .concat();
    let answer = exchange(&up.url().await, &request);
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(r#""recorded":1"#),
        "{answer}"
    );
    assert_eq!(up.drained().await["recorded"], 1);
}

#[tokio::test]
async fn what_is_no_json_is_refused_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let whole = upload("key", 1).into_bytes();
    let mut latin1 = whole.clone();
    latin1[20] = 0xe9;
    let mut bodies: Vec<Vec<u8>> = vec![
        b"hello".to_vec(),
        b"{".to_vec(),
        b"{} {}".to_vec(),
        b"{'Records': []}".to_vec(),
        b"Records[0].s3.object.key=a".to_vec(),
        b"<xml/>".to_vec(),
        b"\0".to_vec(),
        // The beginning of a gzip file, and half of a UTF-16 character.
        b"\x1f\x8b\x08\0\0\0\0\0".to_vec(),
        b"\xff\xfe{\0}".to_vec(),
        latin1,
        [whole.as_slice(), b"\n", &whole].concat(),
    ];
    // A notification that was cut off anywhere.
    bodies.extend((1..whole.len()).step_by(97).map(|end| whole[..end].to_vec()));
    for body in bodies {
        let text = String::from_utf8_lossy(&body).into_owned();
        let answer = up.post(body).await;
        assert_eq!(answer.status, 400, "{text:?}: {answer:?}");
        assert!(
            answer.json()["error"]
                .as_str()
                .unwrap()
                .contains("nothing was recorded"),
            "{answer:?}"
        );
    }
    assert_eq!(counts(&ledger(folder.path())).await, [0; 3]);
    let report = up.drained().await;
    assert_eq!(
        (&report["recorded"], &report["unreadable"]),
        (&0.into(), &0.into())
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_as_if_it_had_never_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let url = up.url().await;
    let whole = upload("key", 1);
    let half = &whole[..whole.len() / 2];
    let requests = [
        format!("{}{half}", head(&format!("content-length: {}", whole.len()))),
        format!(
            "{}{:x}\r\n{half}",
            head("transfer-encoding: chunked"),
            whole.len()
        ),
        format!(
            "{}{:x}\r\n{whole}\r\n",
            head("transfer-encoding: chunked"),
            whole.len()
        ),
    ];
    for request in requests {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    assert_eq!(counts(&ledger(folder.path())).await, [0; 3]);
    assert_eq!(up.drained().await["recorded"], 0);
}

#[tokio::test]
async fn json_that_is_no_notification_is_kept_for_a_person_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "false"]).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = [
        r#"{"hello": "world"}"#.to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "1e999".to_owned(),
        r#""a text""#.to_owned(),
        r#"{"Records": "many"}"#.to_owned(),
        r#"{"Records": [{"eventSource": "minio:s3"}]}"#.to_owned(),
        r#"{"Records": [{"s3": {"object": {"key": "\ud800"}}}]}"#.to_owned(),
        deep,
    ];
    for body in &bodies {
        let start: String = body.chars().take(80).collect();
        for _ in 0..2 {
            let answer = up.post(body.clone()).await;
            let said = answer.json();
            assert_eq!(
                (answer.status, &said["unreadable"]),
                (200, &1.into()),
                "{start}: {said}"
            );
            assert!(said["note"].as_str().unwrap().contains("PARKED"), "{said}");
        }
    }
    let rows = rows(&ledger(folder.path())).await;
    assert_eq!(rows.len(), bodies.len(), "one row each");
    // Of a list, the part that nobody understands is kept, without the spaces around it.
    let packed = |text: &str| text.replace(' ', "");
    let is_part = |payload: &str| bodies.iter().any(|body| packed(body).contains(&packed(payload)));
    for row in &rows {
        let Subject::Raw { payload, .. } = &row.subject else {
            panic!("an event")
        };
        assert!(is_part(payload) && row.last_error.is_some(), "{}", row.id);
        assert_eq!(row.status, Status::Parked);
    }
    let report = up.drained().await;
    assert_eq!(
        (&report["unreadable"], &report["worker"]["received"]),
        (&bodies.len().into(), &0.into())
    );
}

#[tokio::test]
async fn of_a_notification_what_is_readable_is_run_and_the_rest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let body = notification(vec![
        record("a", 1),
        json!({"eventSource": "minio:s3"}),
        record("b", 2),
    ]);
    let answer = up.post(body.to_string()).await;
    let said = answer.json();
    assert_eq!(
        (answer.status, &said["recorded"], &said["unreadable"]),
        (200, &2.into(), &1.into()),
        "{said}"
    );
    let ledger = ledger(folder.path());
    crate::machine::until("two are done", async || counts(&ledger).await == [0, 0, 1]).await;
    assert_eq!(up.drained().await["worker"]["completed"], 2);
}

#[tokio::test]
async fn a_megabyte_of_parts_that_nobody_can_read_is_kept_in_a_handful_of_rows_and_its_event_runs() {
    let folder = tempfile::tempdir().unwrap();
    // The event is open until both bodies are in: one that ends while a notification of it is read may be recorded again.
    let gate = Gate::new(folder.path());
    let data = folder.path().join("data");
    let mut up = Up::start(&data, &gate.options(&[])).await;
    let numbers: Vec<String> = (0..149_000).map(|n| n.to_string()).collect();
    let body = format!("{{\"Records\":[{},{}]}}", numbers.join(","), record("a", 1));
    assert!(body.len() > 900_000 && body.len() <= MOST, "{}", body.len());
    let before = up.peak_memory();
    for (recorded, already_there) in [(1, 0), (0, 1)] {
        let answer = up.post(body.clone()).await;
        let said = answer.json();
        assert_eq!(answer.status, 200, "{said}");
        assert_eq!(
            (&said["recorded"], &said["already_there"]),
            (&recorded.into(), &already_there.into())
        );
        assert!(said["unreadable"].as_u64().unwrap() <= 5, "{said}");
    }
    let more = (up.peak_memory() - before) >> 20;
    println!("{more} MB more");
    assert!(more < 100, "{more} MB more");
    gate.open();
    let ledger = ledger(&data);
    crate::machine::until("it has run", async || counts(&ledger).await[..2] == [0, 0]).await;
    let kept: Vec<String> = rows(&ledger)
        .await
        .into_iter()
        .map(|row| match row.subject {
            Subject::Raw { payload, .. } => payload,
            Subject::Event(event) => panic!("{event:?}"),
        })
        .collect();
    assert!(kept.len() <= 5, "{}", kept.len());
    let count = |payload: &String| {
        serde_json::from_str::<serde_json::Value>(payload).unwrap()["Records"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(kept.iter().map(count).sum::<usize>(), 149_000);
    assert_eq!(up.drained().await["worker"]["completed"], 1);
}

#[tokio::test]
async fn an_event_that_no_row_can_hold_is_refused_and_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    // One that ends while it is sent again may be recorded again.
    let gate = Gate::new(folder.path());
    let data = folder.path().join("data");
    let mut up = Up::start(&data, &gate.options(&[])).await;
    let mut huge = record("huge", 0);
    huge["s3"]["object"]["key"] = "k".repeat(600_000).into();
    let alone = notification(vec![huge.clone()]).to_string();
    let among_others = notification(vec![record("a", 1), huge, record("b", 2)]).to_string();
    up.url().await;
    let posts = (0..20).map(|n| {
        let (alone, among_others, web) = (alone.clone(), among_others.clone(), up.client.clone());
        let url = up
            .stderr()
            .lines()
            .next()
            .unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .to_owned();
        async move {
            let (body, expected) = match n % 4 {
                0 => (alone, 422),
                1 => (among_others, 422),
                _ => (upload(&format!("good {n}"), 10 + n), 200),
            };
            let request = http::Request::post(format!("{url}/events")).body(http_body_util::Full::from(body));
            let answer = web.answer(request.unwrap()).await;
            assert_eq!(answer.status, expected, "{answer:?}");
            if n % 4 == 1 {
                assert!(answer.body.contains("2 of 3 are recorded"), "{answer:?}");
            }
        }
    });
    futures::future::join_all(posts.collect::<Vec<_>>()).await;
    gate.open();
    until_none_open(&ledger(&data)).await;
    assert_eq!(up.drained().await["worker"]["completed"], 10 + 2);
}
