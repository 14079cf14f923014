//! Where to listen, and the secret of those who may come.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// A secret that senders share with us. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The secret.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_fit = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b',';
        match text.len() >= 8 && text.bytes().all(is_fit) {
            true => Ok(Self(text.to_owned())),
            false => Err(
                "a token has 8 or more visible ASCII characters and no space, slash or comma, such as `openssl rand -hex 32` gives"
                    .into(),
            ),
        }
    }
}

/// An address to listen on.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| "HOST:PORT is needed, such as 127.0.0.1:9480 or [::1]:9480".to_owned())
}
