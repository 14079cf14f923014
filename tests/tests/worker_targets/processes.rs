//! No process outlives its run: neither orphans nor zombies.

use std::path::Path;
use std::time::Duration;

use daybook_manager::worker::{CommandTarget, Target, TargetAnswer};
use tokio::time::{Instant, sleep, timeout};

use crate::command::script;
use crate::{input, run_of};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a process of that group runs, or is a zombie of ours. Orphaned zombies are init's to reap, not ours.
fn group_exists(group: u32) -> bool {
    let (group, us) = (group.to_string(), std::process::id().to_string());
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // pid (name) state ppid pgrp …; the name may have anything in it.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_whitespace().take(3).collect();
        matches!(fields[..], [state, parent, of] if of == group && (state != "Z" || parent == us))
    })
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A script that writes its group's number first.
fn grouped(folder: &Path, text: &str) -> CommandTarget {
    let file = folder.join("group");
    // Renamed, so that a reader sees all of it.
    let head = format!("echo $$ > {0}.new; mv {0}.new {0}", file.display());
    script(&format!("{head}; {text}")).with_kill_grace(Duration::from_millis(500))
}

async fn group_in(folder: &Path) -> u32 {
    let file = folder.join("group");
    until("the command starts", || file.exists()).await;
    std::fs::read_to_string(&file).unwrap().trim().parse().unwrap()
}

/// Starts the script, asks it to stop once it is ready, and gives the time that it took to end.
async fn stopped(
    folder: &Path,
    target: &CommandTarget,
    is_ready: impl Fn() -> bool,
) -> (TargetAnswer, Duration) {
    let (run, stopper) = run_of(input("k"));
    let asking = async {
        group_in(folder).await;
        until("the command is ready", &is_ready).await;
        stopper.stop();
        Instant::now()
    };
    let (answer, asked) = timeout(PATIENCE, async { futures::join!(target.run(run), asking) })
        .await
        .unwrap();
    let group = group_in(folder).await;
    let took = asked.elapsed();
    // SIGKILL was sent before the run answered; the kernel may take a moment to deliver it.
    until("the group is gone", || !group_exists(group)).await;
    (answer, took)
}

#[tokio::test]
async fn a_stopped_command_gets_sigterm_and_time_to_clean_up() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, clean) = (folder.path().join("ready"), folder.path().join("clean"));
    let text = format!(
        "trap 'touch {}; exit 3' TERM; touch {}; while :; do sleep 0.05; done",
        clean.display(),
        ready.display()
    );
    let target = grouped(folder.path(), &text).with_kill_grace(PATIENCE);
    let (_, took) = stopped(folder.path(), &target, || ready.exists()).await;
    assert!(clean.exists());
    assert!(took < PATIENCE / 2, "nobody waits for the whole grace: {took:?}");
}

#[tokio::test]
async fn a_command_that_ignores_sigterm_is_killed_with_all_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let text = format!(
        "trap '' TERM; (trap '' TERM; sleep 1000) & (sh -c 'sleep 1000' | cat) & touch {}; sleep 1000; wait",
        ready.display()
    );
    let target = grouped(folder.path(), &text);
    let (_, took) = stopped(folder.path(), &target, || ready.exists()).await;
    assert!(
        took >= Duration::from_millis(500),
        "SIGKILL came before its time: {took:?}"
    );
}

#[tokio::test]
async fn a_child_that_cleans_up_after_its_shell_has_died_gets_the_grace_too() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, clean) = (folder.path().join("ready"), folder.path().join("clean"));
    // The shell dies of SIGTERM at once; its child, which has the pipes, takes a little longer.
    let child = format!(
        "trap 'sleep 0.3; touch {}; exit' TERM; touch {}; while :; do sleep 0.05; done",
        clean.display(),
        ready.display()
    );
    let target =
        grouped(folder.path(), &format!("sh -c \"{child}\"; echo unreachable")).with_kill_grace(PATIENCE);
    stopped(folder.path(), &target, || ready.exists()).await;
    assert!(clean.exists());
}

#[tokio::test]
async fn dropping_a_run_kills_the_whole_group_and_leaves_no_zombie() {
    let folder = tempfile::tempdir().unwrap();
    let target = grouped(folder.path(), "trap '' TERM; sleep 1000 & sleep 1000");
    let (run, _stopper) = run_of(input("k"));
    let group = {
        let running = target.run(run);
        tokio::select! {
            answer = running => panic!("{answer:?}"),
            group = group_in(folder.path()) => group,
        }
    };
    until("the group is gone", || !group_exists(group)).await;
}

#[tokio::test]
async fn what_a_command_leaves_running_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let target = grouped(
        folder.path(),
        "sleep 1000 & sleep 1000 >/dev/null 2>&1 & echo done >&2; exit 4",
    );
    let (run, _stopper) = run_of(input("k"));
    let answer = timeout(PATIENCE, target.run(run)).await.unwrap();
    let failed = TargetAnswer::Failed {
        why: "exit status 4: done".into(),
    };
    assert_eq!(answer, failed);
    let group = group_in(folder.path()).await;
    until("the group is gone", || !group_exists(group)).await;
}

#[tokio::test]
async fn a_process_that_left_the_group_with_the_pipes_open_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let escaped = folder.path().join("escaped");
    let text = format!(
        "setsid sh -c 'echo $$ > {0}; exec sleep 60' & while [ ! -s {0} ]; do sleep 0.02; done; exit 0",
        escaped.display()
    );
    let (run, _stopper) = run_of(input("k"));
    let answer = timeout(PATIENCE, grouped(folder.path(), &text).run(run))
        .await
        .unwrap();
    assert_eq!(answer, TargetAnswer::Success);
    let pid = std::fs::read_to_string(&escaped).unwrap();
    std::process::Command::new("kill")
        .arg(pid.trim())
        .status()
        .unwrap();
}

#[tokio::test]
async fn a_command_that_closes_its_pipes_is_still_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let text = format!("exec <&- >&- 2>&-; sleep 0.3; touch {}", done.display());
    let (run, _stopper) = run_of(input("k"));
    assert_eq!(script(&text).run(run).await, TargetAnswer::Success);
    assert!(done.exists());
}

#[tokio::test]
async fn a_hundred_commands_leave_no_zombie() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("echo $$ > {}/$DAYBOOK_KEY", folder.path().display());
    let target = script(&text);
    for chunk in 0..10 {
        let (runs, _stoppers): (Vec<_>, Vec<_>) =
            (0..10).map(|n| run_of(input(&format!("{chunk}-{n}")))).unzip();
        let runs: Vec<_> = runs.into_iter().map(|run| target.run(run)).collect();
        let answers = futures::future::join_all(runs).await;
        assert!(
            answers.iter().all(|answer| *answer == TargetAnswer::Success),
            "{answers:?}"
        );
    }
    let groups: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(groups.len(), 100);
    for entry in groups {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let group = text.trim().parse().unwrap();
        until("the group is gone", || !group_exists(group)).await;
    }
}
