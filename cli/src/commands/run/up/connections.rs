//! Connections to the port: how many there may be, in all and from one address, and how long each may keep us waiting.
//!
//! Nothing has been asked of whoever connects: the token is in the request. So a connection has its place for as long as it does
//! its part in time, and no longer.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tower::ServiceExt;

/// The head of a request, in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Of these, those of one address (of one /64 network of IPv6); more are closed at once.
    pub per_address: usize,
    /// How long a request's head may take, and an idle connection may stay.
    pub head: Duration,
    /// How long a request's body may take.
    pub body: Duration,
    /// How long a client may take to make room for an answer, or for the rest of one.
    pub answer: Duration,
    /// How long the requests that run may take when the server ends.
    pub drain: Duration,
}

impl Default for Limits {
    /// Half of the places are for others, whoever one address is: many senders may come through one proxy.
    fn default() -> Self {
        Self {
            connections: 4096,
            per_address: 2048,
            head: Duration::from_secs(15),
            body: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// Between two lines of the log that say that connections cannot be accepted.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// A connection's two ends.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    theirs: IpAddr,
    ours: IpAddr,
}

impl Ends {
    fn of(stream: &TcpStream) -> Option<Self> {
        Some(Self {
            theirs: stream.peer_addr().ok()?.ip().to_canonical(),
            ours: stream.local_addr().ok()?.ip().to_canonical(),
        })
    }

    /// Whether both are on this machine: no other can have a loopback address, or ours.
    pub fn are_one_machine(&self) -> bool {
        self.theirs.is_loopback() || self.theirs == self.ours
    }
}

/// Serves until `stop` is true; then finishes the requests that run.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let places = Places::new(&limits);
    let graceful = GracefulShutdown::new();
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = open.join_next(), if !open.is_empty() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        let ends = Ends::of(&stream);
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(MAX_HEAD);
        let stream = TokioIo::new(Impatient::new(stream, limits.answer));
        let service =
            TowerToHyperService::new(router.clone().map_request(move |mut request: Request<Incoming>| {
                if let Some(ends) = ends {
                    request.extensions_mut().insert(ends);
                }
                request
            }));
        let connection = graceful.watch(builder.serve_connection(stream, service));
        open.spawn(async move {
            // A sender that breaks off, or is too slow, ends its own connection only.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests that did not end in time are cut off; their senders have no answer");
    }
    open.shutdown().await;
}

/// The next connection and its place. A failure concerns one connection, or passes.
async fn accept(listener: &TcpListener, places: &Places) -> Option<(TcpStream, Place)> {
    let permit = places.all.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let share = places.shares.take(peer.ip())?;
            // Answers are small, and nobody should wait for more of them.
            let _ = stream.set_nodelay(true);
            Some((
                stream,
                Place {
                    _permit: permit,
                    _share: share,
                },
            ))
        }
        Err(error) => {
            if places.is_to_be_told() {
                tracing::warn!(%error, "connections cannot be accepted: senders wait until one can (told once a minute at most)");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// The places of all connections.
struct Places {
    all: Arc<Semaphore>,
    shares: Shares,
    /// When it was last told that none can be accepted.
    told: Mutex<Option<Instant>>,
}

/// One connection's place, until it is dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

impl Places {
    fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections)),
            shares: Shares {
                most: limits.per_address,
                taken: Arc::default(),
            },
            told: Mutex::new(None),
        }
    }

    /// Whether that a connection cannot be accepted is to be told again: where descriptors are short, ten a second cannot.
    fn is_to_be_told(&self) -> bool {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|told| now.duration_since(told) >= TELL_AGAIN);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

/// How many places each address has that has any.
#[derive(Clone)]
struct Shares {
    most: usize,
    taken: Arc<Mutex<BTreeMap<IpAddr, Taken>>>,
}

#[derive(Default)]
struct Taken {
    places: usize,
    /// Whether it was said that the address wants more than its share.
    told: bool,
}

/// One place of an address's share, until it is dropped.
struct Share {
    shares: Shares,
    address: IpAddr,
}

impl Shares {
    /// One more place for that address; `None` when it has its share.
    fn take(&self, address: IpAddr) -> Option<Share> {
        let address = one_holder(address);
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = all.entry(address).or_default();
        if taken.places >= self.most {
            if !std::mem::replace(&mut taken.told, true) {
                tracing::warn!(%address, most = self.most, "an address has as many connections as one may have; more of it are closed");
            }
            return None;
        }
        taken.places += 1;
        Some(Share {
            shares: self.clone(),
            address,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = all.get_mut(&self.address) {
            taken.places -= 1;
            if taken.places == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// The address that stands for whoever has this one: a machine has all of its /64 network in IPv6, and an IPv4 address may come in
/// IPv6's form.
fn one_holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// A stream that fails when the other side leaves no room for what is written to it.
struct Impatient<S> {
    stream: S,
    patience: Duration,
    /// Runs from when something had to wait until all of it is written: reading a byte now and then does not start it again.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            waiting: None,
        }
    }

    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        wanted: usize,
    ) -> Poll<io::Result<usize>> {
        let done = match &written {
            Poll::Ready(Ok(count)) => *count >= wanted,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if done {
            self.waiting = None;
            return written;
        }
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if written.is_pending() && waiting.as_mut().poll(context).is_ready() {
            let error = "the client does not take its answer";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, error)));
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        let wanted = parts.iter().map(|part| part.len()).sum();
        self.judge(context, written, wanted)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
