//! What the port says to those who do not speak AWS JSON, and how it stops.

use std::time::Duration;

use daybook_local::{LocalAws, QueueAttributes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

async fn exchange(address: std::net::SocketAddr, request: String) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("read");
    response
}

fn request(method: &str, target: Option<&str>, body: &str) -> String {
    let target = target
        .map(|target| format!("X-Amz-Target: {target}\r\n"))
        .unwrap_or_default();
    let length = body.len();
    format!(
        "{method} / HTTP/1.1\r\nHost: local\r\nConnection: close\r\n{target}Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn refusals_are_aws_json_and_a_long_poll_does_not_hold_the_shutdown() {
    let aws = LocalAws::builder().build().expect("it starts");
    let url = aws
        .sqs()
        .create_queue("q", QueueAttributes::default())
        .expect("created");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = aws.serve(listener, async {
        let _ = stopped.await;
    });
    let client = async {
        for (asked, status, says) in [
            (request("GET", None, ""), "405", "it takes POST, not GET"),
            (
                request("POST", None, "Action=SendMessage"),
                "400",
                "X-Amz-Target is missing",
            ),
            (
                request("POST", Some("Foo.Bar"), "{}"),
                "400",
                "UnknownOperationException",
            ),
            (
                request("POST", Some("AmazonSQS.SendMessage"), "{}"),
                "400",
                "MissingRequiredParameterException",
            ),
            (
                request("POST", Some("AmazonSQS.SendMessage"), "nonsense"),
                "400",
                "SerializationException",
            ),
        ] {
            let response = exchange(address, asked).await;
            assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
            assert!(
                response.contains(says) && response.contains("x-amzn-requestid"),
                "{response}"
            );
        }
        let poll = format!(r#"{{"QueueUrl":"{url}","WaitTimeSeconds":20}}"#);
        let polling = exchange(address, request("POST", Some("AmazonSQS.ReceiveMessage"), &poll));
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stop.send(()).expect("it serves");
        };
        let (response, ()) = tokio::join!(polling, stopping);
        assert!(response.starts_with("HTTP/1.1 503"), "{response}");
    };
    let both = async { tokio::join!(serving, client) };
    let (served, ()) = tokio::time::timeout(Duration::from_secs(10), both)
        .await
        .expect("in time");
    served.expect("it served");
}
