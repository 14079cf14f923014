//! A function's binary in an execution environment.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use daybook_ledger::Clock;
use serde_json::Value;

use super::{Answer, RuntimeApi, Told};

/// A function that says nothing for so long after its deadline hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// An execution environment: one process, warm from its first invocation on.
pub struct Environment {
    api: RuntimeApi,
    process: Child,
    stdout: Option<JoinHandle<String>>,
    invocations: u32,
}

impl Environment {
    /// Starts that binary with these variables and no others than Lambda's own.
    pub fn start(binary: &str, variables: &[(&str, String)]) -> Self {
        let api = RuntimeApi::start();
        let mut process = command(binary, variables, &api.address()).spawn().unwrap();
        let mut stdout = process.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Self {
            api,
            process,
            stdout: Some(stdout),
            invocations: 0,
        }
    }

    /// Invokes the function, with 30 seconds until Lambda would end it. Invocations have the ids `request-1`, `request-2` …
    pub fn invoke(&mut self, event: &Value) -> Answer {
        self.invoke_within(event, Duration::from_secs(30))
    }

    /// The same with so much time. An answer that comes later than Lambda would have waited for it is a failed test.
    pub fn invoke_within(&mut self, event: &Value, timeout: Duration) -> Answer {
        self.invocations += 1;
        let id = format!("request-{}", self.invocations);
        let clock = Clock::system();
        let deadline = clock.now().plus(timeout);
        self.api.invoke(&id, event, deadline.unix_millis());
        let Some(answer) = self.api.answer(&id, timeout + PATIENCE) else {
            let _ = self.process.kill();
            panic!("no answer; the function said: {}", self.said());
        };
        assert!(clock.now() < deadline, "Lambda would have killed it: {answer:?}");
        answer
    }

    /// Ends the process as Lambda does, without a word; what it said.
    pub fn end(mut self) -> Told {
        self.process.kill().unwrap();
        Told::of(&self.said())
    }

    fn said(&mut self) -> String {
        self.stdout.take().unwrap().join().unwrap()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How a function ends that cannot start: its exit code, and what it said.
pub fn fails_to_start(binary: &str, variables: &[(&str, String)]) -> (i32, Told) {
    let ended = command(binary, variables, "127.0.0.1:1").output().unwrap();
    assert!(
        ended.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let said = Told::of(&String::from_utf8(ended.stdout).unwrap());
    (ended.status.code().unwrap(), said)
}

fn command(binary: &str, variables: &[(&str, String)], api: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .env("AWS_LAMBDA_FUNCTION_NAME", "it")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "very-secret")
        .env("AWS_SESSION_TOKEN", "very-secret-token")
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
