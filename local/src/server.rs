//! The embedded AWS on one loopback port, told apart by `X-Amz-Target`.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::answer::Answer;
use crate::local_aws::LocalAws;

impl LocalAws {
    /// The same as an HTTP service, for a server of your own; any path does. It checks no credentials: let only loopback
    /// reach it. Once `closing` is true, long polls that wait are answered with 503, so that the server can end.
    pub fn router(&self, closing: tokio::sync::watch::Receiver<bool>) -> axum::Router {
        router(self.clone(), closing)
    }

    /// Serves the same on `listener` (bind it to 127.0.0.1) until `shutdown` resolves; then finishes the
    /// requests that run, cuts waiting long polls short, and returns.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: tokio::net::TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        serve(self.clone(), listener, shutdown).await
    }
}

/// The largest request that any of the three services takes is DynamoDB's 16 MB.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

struct Service {
    aws: LocalAws,
    closing: watch::Receiver<bool>,
}

pub(crate) async fn serve(
    aws: LocalAws,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (close, closing) = watch::channel(false);
    axum::serve(listener, router(aws, closing))
        .with_graceful_shutdown(async move {
            shutdown.await;
            // Fails only when no request can be waiting any more.
            let _ = close.send(true);
        })
        .await
}

/// Every path answers: the operation is in the header. Once `closing` is true, waiting long polls are cut short.
pub(crate) fn router(aws: LocalAws, closing: watch::Receiver<bool>) -> Router {
    Router::new()
        .fallback(answer)
        .with_state(Arc::new(Service { aws, closing }))
}

async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        let message = format!(
            "This is an AWS JSON endpoint: it takes POST, not {}",
            parts.method
        );
        let error = Answer::error(
            405,
            "com.amazon.coral.service#UnknownOperationException",
            &message,
        );
        return response(
            service
                .aws
                .identified(error.with_header("allow", "POST".to_owned())),
        );
    }
    let Some(target) = parts
        .headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
    else {
        let message = "The header X-Amz-Target is missing. This endpoint speaks AWS JSON; a client that sends \
                       the older AWS query protocol to SQS has to be upgraded";
        let error_type = "com.amazon.coral.service#MissingAuthenticationTokenException";
        return response(service.aws.identified(Answer::error(400, error_type, message)));
    };
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        let message = format!("The request did not arrive whole, or is longer than {MAX_BODY_BYTES} bytes");
        let error_type = "com.amazon.coral.service#RequestEntityTooLargeException";
        return response(service.aws.identified(Answer::error(413, error_type, &message)));
    };
    let base_url = base_url(&parts.headers);
    let answering = service.aws.handle_at(target, &body, base_url.as_deref());
    if !target.ends_with(".ReceiveMessage") {
        return response(answering.await);
    }
    // A long poll would hold the shutdown for up to 20 seconds. It has taken nothing while it waits, so
    // dropping it loses nothing; any other request is always finished.
    let mut closing = service.closing.clone();
    tokio::select! {
        biased;
        answer = answering => response(answer),
        _ = closing.wait_for(|closing| *closing) => {
            let error_type = "com.amazon.coral.service#ServiceUnavailableException";
            let error = Answer::error(503, error_type, "The embedded AWS is shutting down");
            response(service.aws.identified(error))
        }
    }
}

/// Queue URLs are given as the client reached us, for the clients that use them as the address.
fn base_url(headers: &HeaderMap) -> Option<String> {
    headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .map(|host| format!("http://{host}"))
}

fn response(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(answer.content_type),
    );
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}
