//! A command and all processes that it starts, as one process group that ends as a whole.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};

/// Signals of ended children may be merged; nobody waits longer than this for one that was.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A process group of its own. Dropped, all of it is killed at once, and the runtime reaps its leader.
///
/// The leader is not reaped before the group was killed: until then no other process can get its number, so no signal can
/// reach a stranger.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    reaped: bool,
    ended_children: unix::Signal,
    // After `drop` has run: the runtime takes care of a child that nobody waited for.
    child: Child,
}

impl Group {
    /// Starts the command as the leader of a new group.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        // Before the start, so that the end of even the quickest command is heard.
        let ended_children = unix::signal(SignalKind::child())?;
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let leader = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .ok_or_else(|| io::Error::other("the command has no process id"))?;
        Ok(Self {
            leader,
            reaped: false,
            ended_children,
            child,
        })
    }

    /// The command's ends of its pipes.
    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until the command itself has ended, and leaves it unreaped.
    pub(super) async fn leader_ended(&mut self) {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(self.leader), look) {
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Ok(Some(_)) | Err(_) => return,
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, self.ended_children.recv()).await;
        }
    }

    /// Asks every process of the group to end.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills what is left of the group, and reaps its leader: no process of the group runs afterwards.
    ///
    /// # Errors
    /// When the leader's status cannot be had.
    pub(super) async fn end(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        let status = self.child.wait().await?;
        self.reaped = true;
        Ok(status)
    }

    fn signal(&self, signal: Signal) {
        if !self.reaped {
            // It fails only when there is nobody left to signal, or nobody that we may signal.
            let _ = kill_process_group(self.leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
