//! A small HTTP server that says what a test tells it to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with a request.
#[derive(Clone)]
pub enum Reply {
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Sends the first bytes, then the others again and again, for as long as they are read.
    Endless(Vec<u8>, Vec<u8>),
    /// Never answers.
    Silence,
}

/// A response with that status line and those header lines.
pub fn reply(status: &str, headers: &[&str], body: &str) -> Reply {
    let mut text = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    Reply::Raw(format!("{text}\r\n{body}").into_bytes())
}

/// What it does with a request of that text.
type Decision = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

pub struct Endpoint {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Endpoint {
    pub async fn new(reply: Reply) -> Self {
        Self::answering(move |_| reply.clone()).await
    }

    /// One that reads a request before it decides.
    pub async fn answering(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let reply: Decision = Arc::new(reply);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let sent: Arc<AtomicUsize> = Arc::default();
        let (seen, count) = (requests.clone(), sent.clone());
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, reply.clone(), seen.clone(), count.clone()));
            }
        });
        Self {
            url,
            requests,
            sent,
            server,
        }
    }

    /// The requests so far: head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many bytes of an endless reply were sent.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut connection: TcpStream,
    reply: Decision,
    seen: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicUsize>,
) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !is_whole(&request) {
        match connection.read(&mut chunk).await {
            Ok(read @ 1..) => request.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let reply = reply(&request);
    seen.lock().unwrap().push(request);
    match reply {
        Reply::Raw(bytes) => {
            let _ = connection.write_all(&bytes).await;
            let _ = connection.shutdown().await;
        }
        Reply::Endless(head, bytes) => {
            let _ = connection.write_all(&head).await;
            while connection.write_all(&bytes).await.is_ok() {
                sent.fetch_add(bytes.len(), Ordering::Relaxed);
            }
        }
        Reply::Silence => std::future::pending().await,
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse::<usize>().unwrap());
    request.len() >= head.len() + 4 + length
}
