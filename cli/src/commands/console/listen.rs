//! Where a console listens, and who may come in.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use anyhow::Context;
use daybook_console::settings::{Access, LOOPBACK_HOSTS};
use tokio::net::TcpListener;

use crate::args::listen::Token;
use crate::args::operator;
use crate::deployment::lock::Credential;

/// Listens there.
///
/// # Errors
/// When the address cannot be had.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// The names that a console there is reached by: those of the loopback address, the address itself, this machine's name where others
/// may come, and those that are given.
pub fn hosts(address: SocketAddr, given: &[String]) -> BTreeSet<String> {
    let mut hosts: BTreeSet<String> = LOOPBACK_HOSTS.map(str::to_owned).into();
    if !address.ip().is_loopback() {
        hosts.insert(operator::host());
    }
    if !address.ip().is_unspecified() {
        hosts.insert(match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        });
    }
    hosts.extend(given.iter().cloned());
    hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect()
}

/// What opens it, where a token is set.
///
/// # Errors
/// When the system gives no random bytes.
pub fn access(token: Option<&Token>) -> anyhow::Result<Option<Access>> {
    let Some(token) = token else { return Ok(None) };
    let session = Credential::draw().context("the system gives no random bytes")?;
    Ok(Some(Access {
        token: token.secret().to_owned(),
        session: session.secret().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_reached_by_its_own_names_only() {
        let of = |address: &str| hosts(address.parse().unwrap(), &["Daybook.Example".to_owned()]);
        assert!(of("127.0.0.1:9481").contains("localhost"));
        assert!(of("127.0.0.1:9481").contains("daybook.example"));
        assert!(of("[::1]:9481").contains("[::1]"));
        assert!(of("192.0.2.7:9481").contains("192.0.2.7"));
        assert!(!of("0.0.0.0:9481").contains("0.0.0.0"));
    }
}
