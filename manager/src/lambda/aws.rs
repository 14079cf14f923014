//! Clients for Lambda: quick to build, because they look for nothing outside the environment.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use aws_types::region::Region;
use daybook_ledger::{Clock, Ledger, Random, client_timeouts};

use super::settings::{LedgerArguments, variable};
use crate::arguments::check_endpoint_variables;

/// A connection that rested so long is not used again. Lambda freezes a process between invocations; what the other side
/// closed meanwhile would be noticed by the next request, and a send that gets no answer leaves its events to their leases.
const REST: Duration = Duration::from_secs(15);

/// A service that functions call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// SQS.
    Sqs,
    /// Step Functions.
    StepFunctions,
    /// Lambda.
    Lambda,
    /// S3.
    S3,
}

impl Service {
    /// The variable that names an endpoint of its own ("Service-specific endpoints", AWS SDKs and Tools Reference Guide).
    fn endpoint_variable(self) -> &'static str {
        match self {
            Self::DynamoDb => "AWS_ENDPOINT_URL_DYNAMODB",
            Self::Sqs => "AWS_ENDPOINT_URL_SQS",
            Self::StepFunctions => "AWS_ENDPOINT_URL_SFN",
            Self::Lambda => "AWS_ENDPOINT_URL_LAMBDA",
            Self::S3 => "AWS_ENDPOINT_URL_S3",
        }
    }
}

/// AWS as Lambda's environment describes it: region, the role's credentials, and endpoints where other than AWS answers.
/// Profiles, files and metadata servers are not looked for, as Lambda has none.
#[derive(Clone, Debug)]
pub struct Aws {
    region: Region,
    credentials: Credentials,
    http: SharedHttpClient,
}

impl Aws {
    /// Reads the environment. All clients share the connections.
    ///
    /// # Errors
    /// Names the variable that is missing, or the endpoint that is no URL.
    pub fn from_environment() -> Result<Self, String> {
        check_endpoint_variables()?;
        let needed = |name: &str| variable(name).ok_or_else(|| format!("{name} is not set"));
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let credentials = Credentials::new(
            needed("AWS_ACCESS_KEY_ID")?,
            needed("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let http = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .pool_idle_timeout(REST)
            .build_https();
        Ok(Self {
            region: Region::new(region.ok_or("AWS_REGION is not set")?),
            credentials,
            http,
        })
    }

    /// The ledger that they name.
    ///
    /// # Errors
    /// As [`LedgerArguments::receipts`].
    pub fn ledger(&self, arguments: &LedgerArguments, clock: &Clock) -> Result<Ledger, String> {
        Ok(Ledger::new(
            aws_sdk_dynamodb::Client::new(&self.config(Service::DynamoDb)),
            arguments.ledger_table.clone(),
            arguments.receipts()?,
            clock.clone(),
            Random::from_os(),
        ))
    }

    /// The configuration of a client of that service: `Client::new(&aws.config(Service::Sqs))`.
    pub fn config(&self, service: Service) -> SdkConfig {
        let endpoint = variable(service.endpoint_variable()).or_else(|| variable("AWS_ENDPOINT_URL"));
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .credentials_provider(SharedCredentialsProvider::new(self.credentials.clone()))
            .http_client(self.http.clone())
            .timeout_config(client_timeouts());
        config.set_endpoint_url(endpoint);
        config.build()
    }
}
