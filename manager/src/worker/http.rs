//! An HTTP endpoint as the target: one POST per event or batch.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daybook_ledger::{Clock, chain};
use daybook_schema::{EventId, ItemFailures};
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::outage::Outage;
use super::retry_after;
use super::target::{Run, RunInput, Target, TargetAnswer};
use super::target_log::{RunOutput, TargetLog};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections are closed before servers do it (Node.js after 5 seconds): a POST on a connection that is just being closed
/// cannot be told from one that failed half done.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// How much of an answer's body is read, in bytes, and how long.
const BODY_BYTES: usize = 4096;

/// How much of the answer to a batch is read, in bytes: it may name each of a hundred events, and say something of it.
const LIST_BYTES: usize = 256 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of it is told, in characters: with the status it fits a row's last error.
const BODY_TOLD: usize = 200;

/// What is answered for a target that cannot be reached, by a gateway in front of it or by itself.
const GATEWAY: [StatusCode; 3] = [
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

const TRACE: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// POSTs each event as JSON (the form of an execution's input) to a URL.
///
/// 2xx is success, whatever the body says. 429 and 503 with a `Retry-After` are "later": after that many seconds or at that date,
/// a day at most. A target that cannot be reached is "later", too: no connection, no TLS, an unknown host, a 502, 503 or 504. The wait is as
/// long as that has lasted, from 5 seconds to 10 minutes. A 502, 503 or 504 is a failure where the target has answered others since it was
/// last answered for one of these events. Anything else is a failure with the status and the beginning of the body; redirects are not
/// followed, and no proxy is asked. The worker's timeout bounds the whole run, 10 seconds the connection
/// ([`HttpTarget::with_connect_timeout`]). HTTP/1.1, TLS with the system's certificates. The X-Ray header goes along as `X-Amzn-Trace-Id`.
///
/// A batch is one POST of `{"batch":"<id>","events":[…]}`, the events in the same form, sorted by id. The body of a 2xx may then say
/// which of them have failed: `{"batchItemFailures":[{"itemIdentifier":"<event id>"}]}`. One that does not arrive whole within 5
/// seconds and 256 KB, or makes no sense there, or names an event that was not given, fails all of them.
#[derive(Clone)]
pub struct HttpTarget {
    uri: Uri,
    headers: HeaderMap,
    connect_timeout: Duration,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    clock: Clock,
    log: Option<Arc<TargetLog>>,
    outage: Outage,
}

impl fmt::Debug for HttpTarget {
    /// Without headers and query: they may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(f, "HttpTarget({authority}{})", self.uri.path())
    }
}

/// A URL or header that no request can be made with.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTarget {
    /// It is no absolute http or https URL.
    #[error("the target must be an http:// or https:// URL with a host")]
    Url,
    /// It has a user and password, which would not be sent.
    #[error("the target's URL must not have a user name or password; give an Authorization header instead")]
    Credentials,
    /// It is no header.
    #[error("{0:?} is no header that can be sent")]
    Header(String),
    /// The system's certificates cannot be read.
    #[error("the system's certificates cannot be read")]
    Certificates(#[source] std::io::Error),
}

impl HttpTarget {
    /// That URL; the clock tells how far off a `Retry-After` date is.
    ///
    /// # Errors
    /// When it is no absolute http or https URL, has credentials in it, or the system has no certificates for https.
    pub fn new(url: &str, clock: Clock) -> Result<Self, InvalidTarget> {
        let uri: Uri = url.parse().map_err(|_| InvalidTarget::Url)?;
        let authority = uri.authority().ok_or(InvalidTarget::Url)?;
        if authority.host().is_empty() {
            return Err(InvalidTarget::Url);
        }
        if authority.as_str().contains('@') {
            return Err(InvalidTarget::Credentials);
        }
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(InvalidTarget::Url),
        };
        Ok(Self {
            client: client(is_https)?,
            connect_timeout: CONNECT_TIMEOUT,
            uri,
            headers: HeaderMap::new(),
            clock,
            log: None,
            outage: Outage::default(),
        })
    }

    /// The same, and of each answer the status and up to 4 KB of the body are kept there, 256 KB of a batch's.
    pub fn with_log(self, log: Option<Arc<TargetLog>>) -> Self {
        Self { log, ..self }
    }

    /// The same with that long for a connection, from the look-up of the host to the end of TLS's handshake. It must be shorter than the
    /// worker's timeout: a run that is stopped by that one has failed, whether it reached the target or not.
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// The same with one more header in each request, such as `Authorization`.
    ///
    /// # Errors
    /// When name or value cannot be sent; the error does not show the value.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, InvalidTarget> {
        let invalid = || InvalidTarget::Header(name.to_owned());
        let header: HeaderName = name.parse().map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        self.headers.append(header, value);
        Ok(self)
    }

    async fn post(&self, mut run: Run) -> TargetAnswer {
        let mut request = match self.request(&run) {
            Ok(request) => request,
            Err(error) => return TargetAnswer::Failed { why: chain(&error) },
        };
        let ids = run.input.ids();
        let is_batch = matches!(run.input, RunInput::Batch(_));
        let kept = self.log.as_ref().and_then(|log| log.begin(&run.input));
        let connected = capture_connection(&mut request);
        let unanswered = |why: String| {
            if let Some(kept) = &kept {
                kept.line(format_args!("{why}"));
            }
            why
        };
        let exchange = async {
            match self.client.request(request).await {
                Ok(response) => self.answer(response, ids, is_batch, kept.as_ref()).await,
                Err(error) if error.is_connect() => self.outage.unreachable(unanswered(chain(&error))),
                Err(error) => TargetAnswer::Failed {
                    why: unanswered(chain(&error)),
                },
            }
        };
        tokio::select! {
            biased;
            answer = exchange => answer,
            // Dropping the request closes its connection.
            () = run.stop.requested() => TargetAnswer::Failed { why: unanswered("stopped".into()) },
            () = no_connection(connected, self.connect_timeout) => {
                let seconds = self.connect_timeout.as_secs_f64();
                self.outage.unreachable(unanswered(format!("no connection within {seconds} s")))
            }
        }
    }

    fn request(&self, run: &Run) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .body(Full::new(Bytes::from(run.input.to_json())))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("daybook/", env!("CARGO_PKG_VERSION"))),
        );
        let trace = run
            .trace
            .as_deref()
            .and_then(|trace| HeaderValue::from_str(trace).ok());
        if let Some(trace) = trace {
            headers.insert(TRACE, trace);
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        Ok(request)
    }

    /// What an answer says of those events.
    async fn answer(
        &self,
        response: Response<Incoming>,
        ids: BTreeSet<EventId>,
        is_batch: bool,
        kept: Option<&RunOutput>,
    ) -> TargetAnswer {
        let status = response.status();
        if let Some(kept) = kept {
            kept.line(format_args!("{status}"));
        }
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let is_gateways = GATEWAY.contains(&status) && retry_after.is_none();
        if !is_gateways {
            self.outage.over(&ids);
        }
        if is_batch && status.is_success() {
            return of_batch(response.into_body(), &ids, kept).await;
        }
        // Read for its beginning, and for the connection to serve again.
        let body = beginning(response.into_body(), kept).await;
        if status.is_success() {
            return TargetAnswer::Success;
        }
        let mut why = status.to_string();
        if status.is_redirection() {
            why.push_str(" (redirects are not followed)");
        }
        if !body.is_empty() {
            why = format!("{why}: {body}");
        }
        if is_gateways {
            return self.outage.behind_gateway(ids, why);
        }
        let may_be_later = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        match retry_after.filter(|_| may_be_later) {
            // A time that cannot be read still says "later".
            Some(header) => TargetAnswer::Later {
                after: header
                    .to_str()
                    .ok()
                    .and_then(|header| retry_after::parse(header, self.clock.now())),
                why,
            },
            None => TargetAnswer::Failed { why },
        }
    }
}

impl Target for HttpTarget {
    fn run(&self, run: Run) -> BoxFuture<'_, TargetAnswer> {
        Box::pin(self.post(run))
    }
}

/// Returns when there is no connection after that time, and never if there is one. The connector's own limit would leave out the look-up of
/// the host, for which a resolver may take minutes.
async fn no_connection(mut connected: CaptureConnection, patience: Duration) {
    let connecting = connected.wait_for_connection_metadata();
    if tokio::time::timeout(patience, connecting).await.is_ok() {
        std::future::pending().await
    }
}

fn client(is_https: bool) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, InvalidTarget> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = match is_https {
        true => HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(InvalidTarget::Certificates)?,
        // A machine without certificates can still speak plain HTTP.
        false => {
            let roots = rustls::RootCertStore::empty();
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| InvalidTarget::Certificates(std::io::Error::other(error)))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(config)
        }
    };
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build(connector))
}

/// What the body of a success says of a batch's events. One that was not read whole may name any of them.
async fn of_batch(body: Incoming, named: &BTreeSet<EventId>, kept: Option<&RunOutput>) -> TargetAnswer {
    let (bytes, is_whole) = read(body, LIST_BYTES, kept).await;
    if !is_whole {
        let why = format!(
            "the answer to a batch could not be read whole within {} s and {LIST_BYTES} bytes",
            BODY_TIMEOUT.as_secs()
        );
        return TargetAnswer::Failed { why };
    }
    match ItemFailures::read(&String::from_utf8_lossy(&bytes), named) {
        ItemFailures::Listed(failed) if failed.is_empty() => TargetAnswer::Success,
        ItemFailures::Listed(failed) => TargetAnswer::Listed {
            failed,
            why: "named in batchItemFailures".into(),
        },
        ItemFailures::Malformed(why) => TargetAnswer::Failed { why },
    }
}

/// The beginning of a body as one line, without what could confuse a terminal. What comes after 4 KB or 5 seconds is not read.
async fn beginning(body: Incoming, kept: Option<&RunOutput>) -> String {
    let (bytes, _) = read(body, BODY_BYTES, kept).await;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(BODY_TOLD).collect()
}

/// So many bytes of a body and a few more, as far as they come within 5 seconds; and whether that is all of it.
async fn read(mut body: Incoming, most: usize, kept: Option<&RunOutput>) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() < most {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        bytes.extend_from_slice(&data[..data.len().min(most)]);
                    }
                }
                Some(Err(_)) => return false,
                None => return true,
            }
        }
        false
    };
    let is_whole = tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(false);
    if let Some(kept) = kept.filter(|_| !bytes.is_empty()) {
        kept.write(&bytes);
        kept.write(b"\n");
    }
    (bytes, is_whole)
}
