//! The ledger of a folder that another process has: its requests go to that process's port, as an AWS client's do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use daybook_ledger::{CauseKind, client_timeouts, describe};

use crate::deployment::lock::{Credential, Door};

/// The header that bears the credential.
pub const HEADER: &str = "x-daybook-credential";

/// What the port answers with to a credential that is not its own, as AWS to one that it does not know.
pub const UNKNOWN_CREDENTIAL: &str = "UnrecognizedClientException";

/// Connections that are idle for as long are closed here, before the port does.
const IDLE: Duration = Duration::from_secs(5);

/// A client of the DynamoDB behind that door.
///
/// # Errors
/// When its URL is none that a port has.
pub fn client(door: &Door) -> anyhow::Result<aws_sdk_dynamodb::Client> {
    // No proxies of the environment: the credential stays on this machine.
    let http_client = aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(IDLE)
        .build_http();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{}", from_here(&door.url)?))
        .credentials_provider(Credentials::new("folder", "folder", None, None, "folder"))
        .http_client(SharedHttpClient::new(Bearing {
            inner: http_client,
            credential: door.credential.clone(),
        }))
        .timeout_config(client_timeouts())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Ok(aws_sdk_dynamodb::Client::from_conf(config))
}

/// Finds out whether the process that the lock file names is the one that answers there: the port of one that has ended may be
/// another's, whose ledger is not this folder's.
///
/// # Errors
/// When nothing answers, or something else.
pub async fn answers(client: &aws_sdk_dynamodb::Client, table: &str) -> anyhow::Result<()> {
    let once = aws_sdk_dynamodb::Config::builder().retry_config(RetryConfig::disabled());
    let asked = client.describe_table().table_name(table).customize();
    let Err(error) = asked.config_override(once).send().await else {
        return Ok(());
    };
    let cause = describe(&error);
    match cause.kind() {
        // A ledger in trouble is for the verb to report.
        CauseKind::Service {
            code: Some(_),
            status: 500..,
        } => Ok(()),
        _ => Err(anyhow!("{cause}")),
    }
}

/// Where the port is reached from this machine. One that listens on all addresses is reached by loopback.
///
/// # Errors
/// When the URL is not `http://` with an address and a port.
pub fn from_here(url: &str) -> anyhow::Result<SocketAddr> {
    let address = url
        .strip_prefix("http://")
        .context("its URL is not one of http://")?;
    let mut address: SocketAddr = address.parse().context("its URL has no address and port")?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

/// An HTTP client that puts the credential into each request, below all that logs requests.
#[derive(Clone, Debug)]
struct Bearing<T> {
    inner: T,
    credential: Credential,
}

impl HttpClient for Bearing<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Bearing {
            inner: self.inner.http_connector(settings, components),
            credential: self.credential.clone(),
        })
    }
}

impl HttpConnector for Bearing<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        request
            .headers_mut()
            .insert(HEADER, self.credential.secret().to_owned());
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_reached_by_an_address_of_this_machine() {
        for (listens, reached) in [
            ("http://127.0.0.1:9480", "127.0.0.1:9480"),
            ("http://127.0.0.2:1", "127.0.0.2:1"),
            ("http://0.0.0.0:9480", "127.0.0.1:9480"),
            ("http://[::]:9480", "[::1]:9480"),
            ("http://[::1]:9480", "[::1]:9480"),
            ("http://192.0.2.7:9480", "192.0.2.7:9480"),
            ("http://[2001:db8::7]:80", "[2001:db8::7]:80"),
        ] {
            assert_eq!(from_here(listens).unwrap().to_string(), reached);
        }
        for nonsense in [
            "",
            "127.0.0.1:9480",
            "https://127.0.0.1:9480",
            "http://example.com:80",
            "http://127.0.0.1",
        ] {
            assert!(from_here(nonsense).is_err(), "{nonsense}");
        }
    }
}
