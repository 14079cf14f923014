//! A folder's DynamoDB as a process beside `daybook up` has it: each request goes to whoever has the folder, and is answered in this
//! process while nobody has it. So it outlives any number of starts and kills.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use daybook_local::LocalAws;
use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::machine::{LOOK_AGAIN, PATIENCE, Web};

/// Answers for a folder, whoever has it.
#[derive(Clone)]
pub struct Beside {
    dir: Arc<PathBuf>,
    web: Web,
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Beside({})", self.dir.display())
    }
}

/// The lock file of a folder.
pub fn lock_file(dir: &Path) -> PathBuf {
    dir.join("up.lock")
}

/// What the process that has the folder says of itself.
pub fn said(dir: &Path) -> Option<Value> {
    serde_json::from_str(&std::fs::read_to_string(lock_file(dir)).ok()?).ok()
}

/// Takes the folder, as a verb does, if nobody has it.
pub fn take(dir: &Path) -> Option<File> {
    std::fs::create_dir_all(dir).unwrap();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(lock_file(dir))
        .unwrap();
    match file.try_lock() {
        Ok(()) => {
            let says = format!(r#"{{"pid":{},"verb":"test"}}"#, std::process::id());
            std::fs::write(lock_file(dir), says).unwrap();
            Some(file)
        }
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => panic!("{error}"),
    }
}

impl Beside {
    /// That folder.
    pub fn of(dir: &Path) -> SharedHttpClient {
        SharedHttpClient::new(Self {
            dir: Arc::new(dir.to_owned()),
            web: Web::new(),
        })
    }

    /// `None` while whoever has the folder does not answer.
    async fn ask(&self, target: &str, body: &[u8]) -> Option<(u16, String)> {
        if let Some(_lock) = take(&self.dir) {
            let aws = LocalAws::builder().data_dir(&*self.dir).build().unwrap();
            let answer = aws.handle(target, body).await;
            return Some((answer.status, String::from_utf8(answer.body).unwrap()));
        }
        let said = said(&self.dir)?;
        let door = said.get("door")?;
        let request = Request::post(door["url"].as_str().unwrap().replace("0.0.0.0", "127.0.0.1"))
            .header("x-amz-target", target)
            .header("x-daybook-credential", door["credential"].as_str().unwrap())
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        let answer = self.web.ask(request).await.ok()?;
        (answer.status != 401).then_some((answer.status, answer.body))
    }
}

impl HttpClient for Beside {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Beside {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let beside = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap();
            let body = request.body().bytes().unwrap();
            let begun = Instant::now();
            let (status, body) = loop {
                match beside.ask(target, body).await {
                    Some(answer) => break answer,
                    None => sleep(LOOK_AGAIN).await,
                }
                assert!(begun.elapsed() < PATIENCE, "whoever has the folder answers");
            };
            let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            response
                .headers_mut()
                .insert("content-type", "application/x-amz-json-1.0");
            Ok(response)
        })
    }
}
