//! The same S3 on a loopback port, for processes of their own.

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Asked, S3, answers};

impl S3 {
    /// Serves it until the future is dropped; connections that are open then end with the runtime.
    pub async fn serve(&self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let s3 = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| s3.respond(request));
                // A client that goes away is its own affair.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> std::io::Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let header = |name| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let asked = Asked::new(parts.method.as_str(), path);
        let asked = asked.on_condition(header("if-match"), header("if-none-match"));
        // An error here breaks the connection.
        let answer = self.answer(&asked, &body).await;
        let answer = answer.map_err(std::io::Error::other)?;
        let mut response = Response::builder()
            .status(answer.status)
            .header("date", answers::http_date(self.clock.now()));
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        Ok(response.body(Full::from(answer.body)).unwrap())
    }
}
