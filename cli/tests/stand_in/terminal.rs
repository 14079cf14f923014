//! The binary on a terminal of its own, and somebody who answers it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Runs it on a terminal and gives that answer when it asks: exit code, and what the terminal showed.
pub fn on_a_terminal(command: Command, answer: &str) -> (i32, String) {
    let (code, shown, answered) = watched(command, None, answer);
    assert!(answered, "it asks");
    (code, shown)
}

/// Runs it on a terminal of 80 columns, on which it asks nothing: what the terminal showed.
pub fn shown_on_a_terminal(command: Command) -> String {
    watched(command, Some("80"), "").1
}

fn watched(mut command: Command, columns: Option<&str>, answer: &str) -> (i32, String, bool) {
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let name = ptsname(&user, Vec::new()).unwrap();
    let terminal = rustix::fs::open(
        name.as_c_str(),
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .unwrap();
    let stdio = || Stdio::from(terminal.try_clone().unwrap());
    if let Some(columns) = columns {
        let sized = Command::new("stty")
            .args(["cols", columns, "rows", "24"])
            .stdin(stdio())
            .status();
        assert!(sized.unwrap().success());
    }
    command.stdin(stdio()).stdout(stdio()).stderr(stdio());
    let mut child = command.spawn().unwrap();
    drop(command);
    drop::<OwnedFd>(terminal);
    let mut user = File::from(user);
    let mut shown = Vec::new();
    let mut answered = false;
    let mut buffer = [0; 4096];
    // Reading fails when nobody has the terminal open any more.
    while let Ok(n @ 1..) = user.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..n]);
        if !answered && String::from_utf8_lossy(&shown).contains("[y/N] ") {
            user.write_all(answer.as_bytes()).unwrap();
            answered = true;
        }
    }
    let code = child.wait().unwrap().code().unwrap();
    (code, String::from_utf8_lossy(&shown).into_owned(), answered)
}
