//! SIGTERM and Ctrl-C: the first asks to drain, the second to end at once.

use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Ends at the first SIGTERM or Ctrl-C after this call: they are heard from the call on, not from the first poll.
pub fn requested() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        // Without signals nobody can ask; then only SIGKILL ends this process, which loses nothing.
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Returns at the second SIGTERM or Ctrl-C from now on.
pub async fn impatience() {
    requested().await;
    requested().await;
}

/// From now on a write beyond a file-size limit (`ulimit -f`) fails as on a full disk. By default its signal ends the process
/// without a word.
pub fn survive_file_size_limits() {
    if let Err(error) = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())) {
        tracing::debug!(%error, "a file-size limit would end this process");
    }
}
