//! An S3 that gives the same answer to every request, and keeps the addresses of the requests.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use daybook_tests::s3::client_config;

/// Its answer. Clones are one S3.
#[derive(Clone, Debug)]
pub(super) struct CannedS3 {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl CannedS3 {
    pub(super) fn new(status: u16, headers: &[(&'static str, &'static str)], body: Vec<u8>) -> Self {
        Self {
            status,
            headers: headers.to_owned(),
            body,
            asked: Arc::default(),
        }
    }

    /// The addresses that were asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn client(&self) -> Client {
        let config = client_config(self.clone())
            .timeout_config(TimeoutConfig::disabled())
            .retry_config(RetryConfig::disabled())
            .build();
        Client::from_conf(config)
    }
}

impl HttpClient for CannedS3 {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for CannedS3 {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.asked.lock().unwrap().push(request.uri().to_owned());
        let body = SdkBody::from(self.body.clone());
        let mut response = HttpResponse::new(self.status.try_into().unwrap(), body);
        for (name, value) in &self.headers {
            response.headers_mut().insert(*name, *value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}
