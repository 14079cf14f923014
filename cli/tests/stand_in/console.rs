//! A `daybook console` of its own on a free port, and what a browser asks it.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// The console, until it is killed or dropped.
pub struct Console {
    child: Child,
    address: String,
    /// What it says when it starts.
    pub said: Value,
}

/// What it answers.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

impl Console {
    /// Waits until it listens.
    pub fn start(command: &mut Command) -> Self {
        let command = command.args(["--listen", "127.0.0.1:0", "--output", "json"]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = serde_json::Deserializer::from_reader(stdout).into_iter::<Value>();
        let said = said.next().expect("it says where it listens").unwrap();
        let url = said["url"].as_str().unwrap();
        Self {
            address: url.strip_prefix("http://").unwrap().to_owned(),
            child,
            said,
        }
    }

    /// A page, which must be there, with its answer: a look that takes longer than a moment says when it is over.
    pub fn get(&self, path: &str) -> String {
        loop {
            let answer = self.ask("GET", path, "");
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let Some((_, look)) = answer.body.split_once("data-look=\"") else {
                return answer.body;
            };
            self.ask("GET", look.split('"').next().unwrap(), "");
        }
    }

    /// The same as JSON.
    pub fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }

    /// A form of one of its pages, as a browser sends it.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")));
        self.ask("POST", path, &fields.collect::<Vec<_>>().join("&"))
    }

    /// A form that begins something: where its page is.
    pub fn begin(&self, fields: &[(&str, &str)]) -> String {
        let answer = self.post("/act", fields);
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.location.unwrap()
    }

    /// That page, once what it is about has ended.
    pub fn ended(&self, path: &str) -> String {
        for _ in 0..6000 {
            let page = self.get(path);
            if !page.contains("data-reload") {
                return page;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{path} does not end");
    }

    fn ask(&self, method: &str, path: &str, form: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            self.address,
            form.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let location = head.lines().find_map(|line| line.strip_prefix("location: "));
        Answer {
            status,
            location: location.map(str::to_owned),
            body: body.to_owned(),
        }
    }

    /// By SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
