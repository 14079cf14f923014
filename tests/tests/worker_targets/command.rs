//! What a command is given, and what its end means.

use std::path::Path;
use std::time::Duration;

use daybook_manager::worker::{CommandTarget, Run, Target, TargetAnswer};
use daybook_schema::{ExecutionInput, ObjectKey};

use crate::{input, run_of};

/// `sh -c` with a script of the test's own; the object is never part of it.
pub fn script(text: &str) -> CommandTarget {
    CommandTarget::new("sh", ["-c", text])
}

pub async fn answer(target: &CommandTarget, input: ExecutionInput) -> TargetAnswer {
    let (run, _stopper) = run_of(input);
    target.run(run).await
}

fn failed(answer: TargetAnswer) -> String {
    match answer {
        TargetAnswer::Failed { why } => why,
        other => panic!("{other:?}"),
    }
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[tokio::test]
async fn exit_statuses_and_signals_mean_success_later_or_failure() {
    assert_eq!(answer(&script("exit 0"), input("k")).await, TargetAnswer::Success);
    let later = TargetAnswer::Later {
        after: None,
        why: "exit status 75: try again".into(),
    };
    assert_eq!(
        answer(&script("echo try again >&2; exit 75"), input("k")).await,
        later
    );
    let cases = [
        ("exit 1", "exit status 1"),
        ("echo oops >&2; exit 7", "exit status 7: oops"),
        ("echo only stdout; exit 7", "exit status 7: only stdout"),
        (
            "echo not this; echo 'two\nlines' >&2; exit 7",
            "exit status 7: two\nlines",
        ),
        (
            "echo last words >&2; kill -9 $$",
            "killed by signal 9: last words",
        ),
        ("kill -TERM $$", "killed by signal 15"),
    ];
    for (text, why) in cases {
        assert_eq!(failed(answer(&script(text), input("k")).await), why, "{text}");
    }
}

#[tokio::test]
async fn the_object_is_in_the_environment_and_what_it_does_not_have_is_not_inherited() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("env");
    let target = CommandTarget::new("sh", ["-c", "env > \"$0\"", out.to_str().unwrap()]);
    let mut input = input("dir/a b.json");
    input.version_id = None;
    input.size = Some(1024);
    let (mut run, _stopper) = run_of(input.clone());
    run.trace = Some("Root=1-5759e988-bd862e3fe1be46a994272793".into());
    assert_eq!(target.run(run).await, TargetAnswer::Success);
    let env = read(folder.path(), "env");
    let mut seen: Vec<&str> = env
        .lines()
        .filter(|line| line.starts_with("DAYBOOK_") || line.starts_with("_X_AMZN"))
        .collect();
    seen.sort_unstable();
    let mut expected = vec![
        "DAYBOOK_ATTEMPT=1".to_owned(),
        "DAYBOOK_BUCKET=data".to_owned(),
        "DAYBOOK_ETAG=e".to_owned(),
        "DAYBOOK_EVENT=ObjectCreated:Put".to_owned(),
        format!("DAYBOOK_EVENT_TIME={}", input.event_time.unwrap()),
        format!("DAYBOOK_ID={}", input.id),
        "DAYBOOK_KEY=dir/a b.json".to_owned(),
        "DAYBOOK_KIND=created".to_owned(),
        "DAYBOOK_REGION=us-east-1".to_owned(),
        format!("DAYBOOK_SEQUENCER={}", input.sequencer.unwrap().as_str()),
        "DAYBOOK_SIZE=1024".to_owned(),
        "DAYBOOK_SOURCE=aws".to_owned(),
        "_X_AMZN_TRACE_ID=Root=1-5759e988-bd862e3fe1be46a994272793".to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn a_worker_with_such_variables_of_its_own_does_not_pass_them_on() {
    // This process's environment is its other tests' too: the test above runs in one of its own.
    let test = "command::the_object_is_in_the_environment_and_what_it_does_not_have_is_not_inherited";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("DAYBOOK_VERSION_ID", "another object's")
        .env("DAYBOOK_KEY", "another object's")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn hostile_keys_reach_the_command_as_data_in_the_environment_and_on_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("owned");
    let keys = [
        format!(
            "$(touch {0}); `touch {0}` | touch {0} && touch {0} #",
            marker.display()
        ),
        format!("'; touch {}; '\"", marker.display()),
        "a\nb\r\n\tc\u{1b}[31m".to_owned(),
        "-rf /".to_owned(),
        "=x".to_owned(),
        "DAYBOOK_KEY=x".to_owned(),
        "%s %n $HOME ~ * ? [a] {b} \\".to_owned(),
        "보고서/🚀/\u{ffff}\u{202e}".to_owned(),
        "k".repeat(1024),
    ];
    for key in keys {
        let (by_env, by_stdin) = (folder.path().join("env"), folder.path().join("stdin"));
        let text = "printf %s \"$DAYBOOK_KEY\" > \"$1\"; cat > \"$2\"";
        let arguments = [
            "-c",
            text,
            "sh",
            by_env.to_str().unwrap(),
            by_stdin.to_str().unwrap(),
        ];
        let target = CommandTarget::new("sh", arguments);
        let input = input(&key);
        assert_eq!(answer(&target, input.clone()).await, TargetAnswer::Success);
        assert_eq!(read(folder.path(), "env"), key);
        assert_eq!(read(folder.path(), "stdin"), input.to_json());
        let parsed: ExecutionInput = serde_json::from_str(&read(folder.path(), "stdin")).unwrap();
        assert_eq!(parsed, input);
    }
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_value_with_a_nul_is_refused_by_name_and_nothing_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("ran");
    let target = script(&format!("touch {}", marker.display()));
    let mut nul_key = input("k");
    nul_key.key = ObjectKey::try_from("a\0b".to_owned()).unwrap();
    let why = failed(answer(&target, nul_key).await);
    assert!(why.starts_with("DAYBOOK_KEY would have a NUL"), "{why}");
    let mut nul_etag = input("k");
    nul_etag.etag = Some("\0".into());
    assert!(failed(answer(&target, nul_etag).await).starts_with("DAYBOOK_ETAG"));
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_command_that_is_missing_or_cannot_be_executed_is_later_until_it_can() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("work");
    let target = CommandTarget::new(&program, ["x"]);
    let later = async |target: &CommandTarget| match answer(target, input("k")).await {
        TargetAnswer::Later { after, why } => {
            assert_eq!(after, Some(Duration::from_secs(5)), "{why}");
            why
        }
        other => panic!("{other:?}"),
    };
    let name = program.display();
    let why = later(&target).await;
    assert!(
        why.starts_with(&format!("{name} could not be started: No such file")),
        "{why}"
    );
    assert!(target.check().is_err());
    // A script whose interpreter is missing says the same.
    std::fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    let why = later(&target).await;
    assert!(
        why.starts_with(&format!("{name} could not be started: Permission denied")),
        "{why}"
    );
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let why = later(&target).await;
    assert!(
        why.starts_with(&format!("{name} could not be started: No such file")),
        "{why}"
    );
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    assert_eq!(answer(&target, input("k")).await, TargetAnswer::Success);
    assert!(target.check().is_ok());
    let folder = CommandTarget::new("/", [] as [&str; 0]);
    let why = later(&folder).await;
    assert!(why.starts_with("/ could not be started: "), "{why}");
    let nul = CommandTarget::new("sh", ["a\0b"]);
    let why = failed(answer(&nul, input("k")).await);
    assert!(why.starts_with("sh could not be started: "), "{why}");
}

#[tokio::test]
async fn a_value_that_is_too_long_for_an_environment_is_a_clear_failure() {
    let mut long = input("k");
    long.etag = Some("e".repeat(4 * 1024 * 1024));
    let why = failed(answer(&script("exit 0"), long).await);
    assert!(why.starts_with("sh could not be started: "), "{why}");
}

#[tokio::test]
async fn a_big_stdin_is_read_whole_or_not_at_all_as_the_command_likes() {
    // Several times what a pipe holds, in fields of which each fits the environment.
    let mut big = input(&"\u{1}".repeat(1024));
    for field in [&mut big.version_id, &mut big.etag, &mut big.region] {
        *field = Some("v".repeat(100_000));
    }
    let json = big.to_json();
    assert!(json.len() > 300_000);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("stdin");
    let reads = CommandTarget::new("sh", ["-c", "cat > \"$0\"", out.to_str().unwrap()]);
    assert_eq!(answer(&reads, big.clone()).await, TargetAnswer::Success);
    assert_eq!(read(folder.path(), "stdin"), json);
    for ignores in ["exit 0", "exec 0<&-; sleep 0.1", "head -c 10 >/dev/null"] {
        assert_eq!(
            answer(&script(ignores), big.clone()).await,
            TargetAnswer::Success,
            "{ignores}"
        );
    }
}

#[tokio::test]
async fn output_of_any_size_is_drained_and_only_its_end_is_kept() {
    let text =
        "head -c 20000000 /dev/zero; head -c 3000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 3";
    let why = failed(answer(&script(text), input("k")).await);
    assert!(
        why.starts_with("exit status 3: xxx") && why.ends_with("xxxthe end"),
        "{why}"
    );
    assert!(why.len() < 2100, "{}", why.len());
}

#[tokio::test]
async fn many_commands_at_once_each_get_their_own_object() {
    let folder = tempfile::tempdir().unwrap();
    let text = "cd \"$0\" && printf %s \"$DAYBOOK_ATTEMPT\" > \"$DAYBOOK_KEY\"";
    let target = CommandTarget::new("sh", ["-c", text, folder.path().to_str().unwrap()]);
    let runs: Vec<_> = (0..40)
        .map(|n| {
            let mut input = input(&format!("k{n}"));
            input.attempt = daybook_schema::Attempt(n);
            answer(&target, input)
        })
        .collect();
    let answers = futures::future::join_all(runs).await;
    assert!(
        answers.iter().all(|answer| *answer == TargetAnswer::Success),
        "{answers:?}"
    );
    for n in 0..40 {
        assert_eq!(read(folder.path(), &format!("k{n}")), n.to_string());
    }
}

#[test]
fn a_run_can_be_moved_between_threads() {
    fn is_send<T: Send>(_: T) {}
    let target = script("exit 0");
    let (run, _stopper): (Run, _) = run_of(input("k"));
    is_send(target.run(run));
}
