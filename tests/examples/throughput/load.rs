//! Both ends: who sends the events, and who is called for each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::Feed;

/// Posts all events over so many connections, each of which sends when it has its answer; how long the answers took.
pub fn post(address: SocketAddr, feed: &Feed) -> Vec<Duration> {
    let next = AtomicU32::new(feed.first);
    let end = feed.first + feed.events;
    let send = || {
        let mut connection = Connection::open(address);
        let mut times = Vec::new();
        loop {
            let first = next.fetch_add(feed.per_post, Ordering::Relaxed);
            if first >= end {
                return times;
            }
            let records: Vec<String> = (first..(first + feed.per_post).min(end)).map(record).collect();
            let body = format!(r#"{{"Records":[{}]}}"#, records.join(","));
            let began = Instant::now();
            let answer = connection.post("/events", "", &body);
            times.push(began.elapsed());
            let recorded = format!(r#""recorded":{}"#, records.len());
            assert!(answer.contains(&recorded), "{answer}");
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..feed.connections).map(|_| scope.spawn(send)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// Posts all events, so many a second, one per POST; when each POST began.
pub fn post_paced(address: SocketAddr, feed: &Feed, per_second: u32) -> Vec<Instant> {
    let next = AtomicU32::new(0);
    let begin = Instant::now();
    let send = || {
        let mut connection = Connection::open(address);
        let mut times = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= feed.events {
                return times;
            }
            let due = begin + Duration::from_secs(number.into()) / per_second;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            times.push((number, Instant::now()));
            let body = format!(r#"{{"Records":[{}]}}"#, record(number));
            let answer = connection.post("/events", "", &body);
            assert!(answer.contains(r#""recorded":1"#), "{answer}");
        }
    };
    let mut began: Vec<(u32, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..feed.connections).map(|_| scope.spawn(send)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    began.sort();
    began.into_iter().map(|(_, at)| at).collect()
}

/// A record as S3 sends it, with all that it sends.
fn record(number: u32) -> String {
    format!(
        r#"{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-central-1","eventTime":"2026-11-20T10:15:00.123Z","eventName":"ObjectCreated:Put","userIdentity":{{"principalId":"AWS:AIDAEXAMPLE"}},"requestParameters":{{"sourceIPAddress":"192.0.2.7"}},"responseElements":{{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"uploads","bucket":{{"name":"device-uploads","ownerIdentity":{{"principalId":"A3NL1KOZZKExample"}},"arn":"arn:aws:s3:::device-uploads"}},"object":{{"key":"device-{device:04}/2026/11/20/{number:08}.jpg","size":629648,"eTag":"{number:032x}","sequencer":"0068B5C2F4{number:08X}"}}}}}}"#,
        device = number % 1000
    )
}

/// A connection that stays.
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self {
            stream: BufReader::new(stream),
            host: address.to_string(),
        }
    }

    /// The body of the answer, which must be 200; `headers` are whole lines.
    pub fn post(&mut self, path: &str, headers: &str, body: &str) -> String {
        let (host, length) = (&self.host, body.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (head, body) = read_message(&mut self.stream).expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}{body}");
        body
    }
}

/// When the target was called for each event, by its number.
pub type Calls = Arc<Mutex<BTreeMap<u32, Instant>>>;

/// An HTTP server that notes the event of every POST and answers at once with 200 and nothing, and answers a GET with how many POSTs there
/// were; its URL. It ends with this process.
pub fn serve_nothing(calls: Calls) -> String {
    static POSTS: AtomicU32 = AtomicU32::new(0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let calls = calls.clone();
            thread::spawn(move || {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut stream = BufReader::new(stream);
                while let Some((head, body)) = read_message(&mut stream) {
                    let at = Instant::now();
                    let said = match head.starts_with("GET") {
                        true => POSTS.load(Ordering::Relaxed).to_string(),
                        false => {
                            POSTS.fetch_add(1, Ordering::Relaxed);
                            String::new()
                        }
                    };
                    calls
                        .lock()
                        .unwrap()
                        .extend(number_of(&body).map(|number| (number, at)));
                    let length = said.len();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{said}");
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}

/// The number of the event that a call is for: the last part of its key.
fn number_of(body: &str) -> Option<u32> {
    let (before, _) = body.split_once(".jpg")?;
    before.get(before.len() - 8..)?.parse().ok()
}

/// The head and the body of a request or an answer, if one comes.
fn read_message(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let start = head.len();
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head[start..].trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}
