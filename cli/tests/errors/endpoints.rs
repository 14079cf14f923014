//! Where requests go, and what is said of answers that are none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::stand_in::{StandIn, daybook_at, run};
use super::{QUEUE, closed_port, failure, schedule};

/// Answers everything with that body, as long as the process lives; and the request lines that came.
fn answers(status: &'static str, body: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 16 * 1024];
            let length = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]);
            seen.lock()
                .unwrap()
                .push(request.lines().next().unwrap_or_default().to_owned());
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/xml\r\nconnection: close");
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    (endpoint, lines)
}

/// An audit with that S3; what it says on stderr.
fn audit_at(aws: &StandIn, s3_endpoint: &str, more: &[&str]) -> (i32, String) {
    let mut arguments = vec!["s3://data", "--s3-endpoint", s3_endpoint];
    arguments.extend(more);
    let (code, _, stderr) = run(&mut aws.daybook("audit", &arguments));
    (code, stderr)
}

#[test]
fn an_s3_answer_that_cannot_be_parsed_is_called_that() {
    const ODD: &str = "<?xml version=\"1.0\"?><ListBucketResult><Name>data</Name><IsTruncated>false</IsTruncated><Contents>\
        <Key>a</Key><LastModified>yesterday at noon</LastModified><ETag>\"e\"</ETag><Size>1</Size></Contents></ListBucketResult>";
    let aws = StandIn::start();
    for body in [ODD, "<html>Welcome to the console</html>"] {
        let (endpoint, _) = answers("200 OK", body);
        let (code, said) = audit_at(&aws, &endpoint, &["--versions", "never"]);
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains("ListObjectsV2 on bucket data: the answer could not be parsed: "),
            "{said}"
        );
        assert!(
            said.contains("answered, but not in the form of S3's API"),
            "{said}"
        );
        assert!(!said.contains("is S3 up"), "{said}");
    }
    let (endpoint, _) = answers("200 OK", ODD);
    let (_, said) = audit_at(&aws, &endpoint, &["--versions", "never"]);
    assert!(said.contains("LastModified"), "{said}");
}

#[test]
fn an_endpoint_keeps_its_path() {
    let aws = StandIn::start();
    for path in ["/gateway/s3", "/gateway/s3/", "/s3"] {
        let (endpoint, lines) = answers("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>");
        let (code, said) = audit_at(&aws, &format!("{endpoint}{path}"), &[]);
        assert_eq!(code, 1, "{said}");
        let expected = format!("GET {}/data", path.trim_end_matches('/'));
        let lines = lines.lock().unwrap();
        assert!(!lines.is_empty());
        assert!(lines.iter().all(|line| line.starts_with(&expected)), "{lines:?}");
    }
    let (endpoint, lines) = answers("400 Bad Request", "{}");
    let mut command = daybook_at(&endpoint, &schedule("ledger", QUEUE));
    command.env("AWS_ENDPOINT_URL_SQS", format!("{endpoint}/gateway/sqs"));
    failure(1, &mut command);
    let lines = lines.lock().unwrap();
    assert!(!lines.is_empty());
    assert!(
        lines.iter().all(|line| line.starts_with("POST /gateway/sqs")),
        "{lines:?}"
    );
}

#[test]
fn an_endpoint_that_is_no_url_is_named_with_its_variable_and_without_the_request() {
    let aws = StandIn::start();
    let of_sdk = ["", "_DYNAMODB", "_SQS", "_SFN", "_CLOUDFORMATION"];
    for (name, value) in of_sdk
        .iter()
        .flat_map(|service| ["localhost:9324", "127.0.0.1", "ftp://host"].map(|value| (service, value)))
    {
        let variable = format!("AWS_ENDPOINT_URL{name}");
        let mut command = aws.daybook("schedule", &[]);
        let said = failure(1, command.env(&variable, value));
        let expected = format!("{variable} is {value:?}: a URL is needed, such as http://127.0.0.1:9000");
        assert!(said.contains(&expected), "{said}");
        for secret in ["Request {", "AKIDEXAMPLE", "authorization"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    let mut command = aws.daybook("audit", &["s3://data"]);
    let said = failure(2, command.env("AWS_ENDPOINT_URL_S3", "localhost:9000"));
    assert!(
        said.contains("'localhost:9000' for '--s3-endpoint <URL>': a URL is needed"),
        "{said}"
    );
    assert!(
        said.contains("hint: the value comes from the environment variable AWS_ENDPOINT_URL_S3"),
        "{said}"
    );
}

#[test]
fn no_password_of_an_endpoint_is_printed() {
    let aws = StandIn::start();
    let url = "http://kim:hunter2@127.0.0.1:9000";
    let said = failure(1, aws.daybook("schedule", &[]).env("AWS_ENDPOINT_URL", url));
    assert!(
        said.contains("AWS_ENDPOINT_URL is \"http://…@127.0.0.1:9000\""),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
    let said = failure(2, &mut aws.daybook("audit", &["s3://data", "--s3-endpoint", url]));
    assert!(
        said.contains("a URL without user name and password is needed"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_service_that_does_not_answer_is_named_by_its_own_variable() {
    let aws = StandIn::start();
    let closed = closed_port();
    let mut command = aws.daybook("schedule", &[]);
    let said = failure(1, command.env("AWS_ENDPOINT_URL_SQS", &closed));
    let hint = format!("hint: the endpoint is {closed}, as AWS_ENDPOINT_URL_SQS says");
    assert!(said.contains(&hint), "{said}");
}
