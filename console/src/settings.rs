//! How a console is set.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

/// How a console is set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The names, without ports, that requests may be addressed to: any other is refused, so that no web page reaches the console by a
    /// name of its own (DNS rebinding).
    pub hosts: BTreeSet<String>,
    /// What opens the console; `None` on a loopback address.
    pub access: Option<Access>,
    /// Whether nothing can be changed: then no route that writes exists.
    pub read_only: bool,
    /// How old what is known of the ledger may be before it is asked again.
    pub poll: Duration,
    /// How long a page waits for its answer before it says how far the look is.
    pub patience: Duration,
    /// Who acts, unless a person says another name.
    pub by: String,
    /// True when the process ends: streams end then.
    pub stop: watch::Receiver<bool>,
}

/// A token, and what a browser gets for it. Neither shows itself to anybody.
#[derive(Clone)]
pub struct Access {
    /// What a person gives.
    pub token: String,
    /// The cookie's value for that: random, and new with each process.
    pub session: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access(…)")
    }
}

/// How long a page waits for its answer where nobody says otherwise: with that, it is painted within 100 ms.
pub const PATIENCE: Duration = Duration::from_millis(60);

/// The names of this machine that a browser on it uses.
pub const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
