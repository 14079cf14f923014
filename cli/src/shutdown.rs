//! SIGTERM and Ctrl-C: the first asks to drain, the second to end at once.

use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Returns at the first SIGTERM or Ctrl-C from now on.
pub async fn requested() {
    // Without signals nobody can ask; then only SIGKILL ends this process, which loses nothing.
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Returns at the second SIGTERM or Ctrl-C from now on.
pub async fn impatience() {
    requested().await;
    requested().await;
}
