//! What verbs say in JSON is what the console's twins say, of one folder.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use daybook_tests::s3::Versioning;
use serde_json::Value;

use crate::stand_in::rows::normal_json;
use crate::stand_in::{daybook, run};
use crate::world::{Folder, every_class};

/// A `daybook console` of the folder, until it is dropped.
struct Console {
    process: Child,
    address: String,
}

impl Console {
    fn start(dir: &str) -> Self {
        let mut command = daybook(&[
            "console",
            "--listen",
            "127.0.0.1:0",
            "--output",
            "json",
            "--local",
            dir,
        ]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        // One JSON document, over as many lines as it takes.
        let said: Value = loop {
            assert_ne!(lines.read_line(&mut text).unwrap(), 0, "{text}");
            if let Ok(said) = serde_json::from_str(&text) {
                break said;
            }
        };
        let address = said["url"]
            .as_str()
            .unwrap()
            .trim_start_matches("http://")
            .to_owned();
        Self { process, address }
    }

    /// The body of that page, whose status is 200, with its answer: a look that takes longer than a moment says when it is over.
    fn get(&self, path: &str) -> String {
        let mut body = self.once(path);
        while let Some((_, look)) = body.split_once("data-look=\"") {
            self.once(look.split('"').next().unwrap());
            body = self.once(path);
        }
        body
    }

    fn once(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        body.to_owned()
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn said(command: &mut Command) -> Value {
    let (_, stdout, stderr) = run(command);
    serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout} {stderr}"))
}

fn verb(folder: &Folder, arguments: &[&str]) -> Value {
    let more = ["--local", &folder.file(""), "--output", "json"];
    said(&mut daybook(&[arguments, &more].concat()))
}

#[test]
fn the_consoles_twins_say_what_the_verbs_say() {
    let (served, folder) = every_class(Versioning::Never);
    let (_, audit) = folder.json(&served, &["s3://data"]);
    let rows = verb(&folder, &["list", "--status", "parked"]);
    let parked = rows["rows"][0]["id"].as_str().unwrap().to_owned();
    let verbs = [
        (verb(&folder, &["status"]), "/status.json".to_owned()),
        (rows, "/rows.json?status=parked".to_owned()),
        (
            verb(&folder, &["list", "--prefix", "s3://data/in/"]),
            "/rows.json?prefix=s3://data/in/".to_owned(),
        ),
        (verb(&folder, &["errors"]), "/errors.json".to_owned()),
        (
            verb(&folder, &["why", &parked, "--no-s3"]),
            format!("/object.json?q={parked}"),
        ),
    ];
    let console = Console::start(&folder.file(""));
    for (of_verb, path) in verbs {
        // Lengths of time and instants of today differ between two looks.
        assert_eq!(normal_json(of_verb), normal_json(console.json(&path)), "{path}");
    }
    let kept = console.json("/audit.json");
    assert_eq!(kept["report"], audit);
    assert_eq!(kept["missing"].as_array().unwrap().len(), 2);
    let page = console.get("/audit");
    assert!(page.contains("2 of 8 objects are missing"), "{page}");
    assert!(page.contains("s3://data/out/missing.json"), "{page}");
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'), "{page}");
    let csv = console.get("/audit.csv");
    assert_eq!(
        csv.lines().count(),
        1 + audit["statement"].as_array().unwrap().len()
    );
    // And they are on Now.
    console.json("/doctor.json");
    let now = console.get("/");
    assert!(now.contains("2 of 8 objects are missing"), "{now}");
    assert!(now.contains("No daybook up runs on this folder"), "{now}");
}
