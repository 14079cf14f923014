use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use axum::routing::get;
use daybook_local::{LocalAws, QueueAttributes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::commands::run::up::connections::*;

/// Far longer than anything takes here, and shorter than the limits that a test does not set.
const PATIENCE: Duration = Duration::from_secs(60);

/// A limit that ends what is waited for.
const SHORT: Duration = Duration::from_millis(300);

/// More than the kernel keeps for a connection whose other side does not read.
const LARGE: usize = 64 << 20;

/// Limits that end nothing within a test.
fn generous() -> Limits {
    let long = Duration::from_secs(3600);
    Limits {
        connections: 64,
        per_address: 64,
        head: long,
        body: long,
        answer: long,
        drain: SHORT,
    }
}

/// A server with those limits; it ends with the test.
async fn serving(limits: Limits) -> SocketAddr {
    let router = Router::new()
        .route("/small", get(async || "small"))
        .route("/large", get(async || "x".repeat(LARGE)));
    serving_at(router, limits).await
}

async fn serving_at(router: Router, limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (never, stop) = watch::channel(false);
        serve(listener, router, limits, stop).await;
        drop(never);
    });
    (Ipv4Addr::LOCALHOST, port).into()
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: daybook\r\n\r\n")
}

/// A connection from 127.0.0.`last`.
async fn connect(server: SocketAddr, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    socket.connect(server).await.unwrap()
}

/// Asks and reads the answer; whether there was one.
async fn is_answered(connection: &mut TcpStream) -> bool {
    let mut answer = Vec::new();
    let exchange = async {
        connection.write_all(request("/small").as_bytes()).await?;
        while !answer.ends_with(b"\r\n\r\nsmall") && connection.read_buf(&mut answer).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(PATIENCE, exchange).await.expect("in time");
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 200 OK\r\n"),
        "{answer}"
    );
    !answer.is_empty()
}

/// Waits until the server has closed the connection.
async fn until_closed(connection: &mut TcpStream) {
    let mut bytes = vec![0; 1 << 16];
    let reading = async { while connection.read(&mut bytes).await.is_ok_and(|n| n > 0) {} };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("it is closed in time");
}

#[tokio::test]
async fn connections_that_never_read_their_answers_lose_their_places() {
    let limits = Limits {
        connections: 4,
        answer: SHORT,
        ..generous()
    };
    let server = serving(limits).await;
    let mut silent = Vec::new();
    for n in 0..4 {
        let mut connection = connect(server, 1).await;
        let asked = match n % 2 {
            0 => request("/large"),
            // Very many at once, each with a small answer: written until the server takes no more of them.
            _ => request("/small").repeat(1_000_000),
        };
        let _ = tokio::time::timeout(SHORT / 2, connection.write_all(asked.as_bytes())).await;
        silent.push(connection);
    }
    assert!(is_answered(&mut connect(server, 1).await).await);
}

#[tokio::test]
async fn connections_on_which_nothing_is_asked_lose_their_places() {
    let limits = Limits {
        connections: 2,
        head: SHORT,
        ..generous()
    };
    let server = serving(limits).await;
    let (mut dumb, mut polite) = (connect(server, 1).await, connect(server, 1).await);
    assert!(is_answered(&mut polite).await);
    assert!(is_answered(&mut connect(server, 1).await).await);
    until_closed(&mut dumb).await;
    until_closed(&mut polite).await;
}

#[tokio::test]
async fn an_address_has_its_share_of_the_places_and_no_more() {
    let limits = Limits {
        connections: 4,
        per_address: 3,
        ..generous()
    };
    let server = serving(limits).await;
    let mut greedy = Vec::new();
    for _ in 0..3 {
        let mut connection = connect(server, 2).await;
        assert!(is_answered(&mut connection).await);
        greedy.push(connection);
    }
    for _ in 0..10 {
        assert!(!is_answered(&mut connect(server, 2).await).await, "one too many");
    }
    let mut other = connect(server, 3).await;
    assert!(is_answered(&mut other).await, "there is a place for others");
    drop(greedy.pop());
    // That it has gone is noticed in a moment.
    let started = Instant::now();
    while !is_answered(&mut connect(server, 2).await).await {
        assert!(started.elapsed() < PATIENCE, "the place is free again");
    }
    assert!(is_answered(&mut greedy[0]).await, "whoever has a place keeps it");
}

#[tokio::test]
async fn a_long_poll_outlasts_every_limit() {
    let aws = LocalAws::builder().build().unwrap();
    let queue = aws.sqs().create_queue("q", QueueAttributes::default()).unwrap();
    let (_never, stop) = watch::channel(false);
    let limits = Limits {
        head: SHORT,
        body: SHORT,
        answer: SHORT,
        ..generous()
    };
    let server = serving_at(aws.router(stop), limits).await;
    let mut connection = connect(server, 1).await;
    let body = format!(r#"{{"QueueUrl":"{queue}","WaitTimeSeconds":2}}"#);
    let request = format!(
        "POST / HTTP/1.1\r\nhost: daybook\r\nconnection: close\r\nx-amz-target: AmazonSQS.ReceiveMessage\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let started = Instant::now();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(started.elapsed() >= 3 * SHORT, "it waited");
}

#[tokio::test]
async fn a_slow_reader_has_all_of_a_large_answer() {
    let limits = Limits {
        answer: PATIENCE,
        ..generous()
    };
    let server = serving(limits).await;
    let reading = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(server).unwrap();
        stream.write_all(request("/large").as_bytes()).unwrap();
        let (mut bytes, mut read) = (vec![0; 4 << 20], 0);
        while read < LARGE {
            std::thread::sleep(Duration::from_millis(5));
            match stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
        read
    });
    assert!(reading.await.unwrap() >= LARGE);
}

#[test]
fn one_machine_is_one_address() {
    let holder = |text: &str| one_holder(text.parse().unwrap()).to_string();
    assert_eq!(holder("192.0.2.7"), "192.0.2.7");
    assert_eq!(holder("::ffff:192.0.2.7"), "192.0.2.7");
    assert_eq!(holder("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_ne!(holder("2001:db8:1:2::1"), holder("2001:db8:1:3::1"));
    assert_eq!(holder("::1"), "::");
}

#[test]
fn only_this_machine_has_a_loopback_address_or_ours() {
    let of = |theirs: &str, ours: &str| {
        let address = |text: &str| text.parse::<IpAddr>().unwrap().to_canonical();
        Ends {
            theirs: address(theirs),
            ours: address(ours),
        }
        .are_one_machine()
    };
    for (theirs, ours, one) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.9.9.9", "127.0.0.1", true),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true),
        ("::1", "::1", true),
        ("192.0.2.7", "192.0.2.7", true),
        ("::ffff:192.0.2.7", "192.0.2.7", true),
        ("2001:db8::7", "2001:db8::7", true),
        ("192.0.2.8", "192.0.2.7", false),
        ("::ffff:192.0.2.8", "192.0.2.7", false),
        ("2001:db8::8", "2001:db8::7", false),
        ("10.0.0.1", "127.0.0.1", false),
    ] {
        assert_eq!(of(theirs, ours), one, "{theirs} at {ours}");
    }
}
