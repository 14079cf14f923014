//! Bodies that are compressed, or not in UTF-8.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use http_body_util::Full;

use crate::machine::{Answer, Up, counts, ledger};
use crate::notices::upload;

/// The longest body that is taken.
const MOST: usize = 1024 * 1024;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

async fn post(up: &mut Up, encoding: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = Request::post(format!("{}/events", up.url().await));
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    up.client.answer(request.body(Full::from(body)).unwrap()).await
}

#[tokio::test]
async fn one_event_in_every_encoding_is_one_event() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let text = upload("사진/🚀 \u{feff}.jpg", 1);
    let marked = format!("\u{feff}{text}");
    let cases = [
        (None, marked.clone().into_bytes()),
        (None, utf16(&text, u16::to_le_bytes)),
        (None, utf16(&text, u16::to_be_bytes)),
        (None, utf16(&marked, u16::to_le_bytes)),
        (None, utf16(&marked, u16::to_be_bytes)),
        (None, gzip(text.as_bytes())),
        (Some("gzip"), gzip(text.as_bytes())),
        (Some("X-GZIP"), gzip(marked.as_bytes())),
        (Some("identity"), text.clone().into_bytes()),
        (Some(" identity, gzip"), gzip(text.as_bytes())),
        // A proxy unpacked it.
        (Some("gzip"), text.clone().into_bytes()),
        (Some("gzip"), gzip(&utf16(&text, u16::to_le_bytes))),
    ];
    let answer = post(&mut up, None, text.into_bytes()).await;
    assert_eq!((answer.status, &answer.json()["recorded"]), (200, &1.into()));
    for (number, (encoding, body)) in cases.into_iter().enumerate() {
        let answer = post(&mut up, encoding, body).await;
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
        assert_eq!(answer.json()["already_there"], 1, "{number}: {answer:?}");
    }
    for probe in [
        b"".to_vec(),
        b"{}".to_vec(),
        gzip(b""),
        gzip(b"{}"),
        b"\xef\xbb\xbf{}".to_vec(),
    ] {
        let answer = post(&mut up, Some("gzip"), probe).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(counts(&ledger(folder.path())).await, [1, 0, 0]);
    assert_eq!(up.drained().await["recorded"], 1);
}

#[tokio::test]
async fn other_encodings_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let text = upload("key", 1).into_bytes();
    for (encoding, body, named) in [
        (Some("br"), text.clone(), "br"),
        (Some("zstd"), text.clone(), "zstd"),
        (Some("deflate"), text.clone(), "deflate"),
        (Some("gzip, br"), gzip(&text), "br"),
        (Some("gzip, gzip"), gzip(&gzip(&text)), "gzip, gzip"),
        (None, b"\x28\xb5\x2f\xfd\x04\0".to_vec(), "zstd"),
        (None, b"PK\x03\x04\x14\0\0\0".to_vec(), "zip"),
        (None, b"BZh91AY&SY".to_vec(), "bzip2"),
        (Some("gzip"), gzip(&gzip(&text)), "twice"),
        (
            None,
            utf16(
                &String::from_utf8(utf16("{}", u16::to_le_bytes)).unwrap(),
                u16::to_le_bytes,
            ),
            "UTF-32",
        ),
    ] {
        let answer = post(&mut up, encoding, body).await;
        assert_eq!(answer.status, 415, "{named}: {answer:?}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(
            error.contains(named) && error.contains("nothing was recorded"),
            "{error}"
        );
        assert_eq!(answer.headers["accept-encoding"], "gzip");
    }
    let long = "x".repeat(20_000);
    let answer = post(&mut up, Some(&long), text.clone()).await;
    assert!(answer.status == 415 && answer.body.len() < 400, "{answer:?}");
    let mut damaged = gzip(&text);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let whole = gzip(&text);
    for body in [
        damaged,
        whole[..whole.len() - 4].to_vec(),
        gzip(b"hello"),
        gzip(b"\xff"),
    ] {
        let answer = post(&mut up, Some("gzip"), body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains("nothing was recorded"), "{answer:?}");
    }
    assert_eq!(counts(&ledger(folder.path())).await, [0; 3]);
    assert_eq!(up.drained().await["recorded"], 0);
}

#[tokio::test]
async fn what_is_small_on_the_wire_and_huge_unpacked_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    up.url().await;
    let before = up.peak_memory();
    // 2 MB, 400 MB, and these once more inside.
    let large = gzip(&vec![b' '; 2 << 20]);
    let huge = large.repeat(200);
    let bombs = [large, huge.clone(), gzip(&huge)];
    assert!(
        bombs.iter().all(|bomb| bomb.len() < MOST),
        "they are taken for their lengths"
    );
    for (bomb, status) in bombs.into_iter().zip([413, 413, 415]) {
        let answer = post(&mut up, Some("gzip"), bomb).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains("nothing was recorded"), "{answer:?}");
    }
    let grown = up.peak_memory() - before;
    assert!(grown < 32 << 20, "{grown}");
    // What fits is taken to the last byte, and not one more.
    let fits = |length: usize| {
        let text = upload("largest", 2);
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    for (length, status) in [(MOST, 200), (MOST + 1, 413)] {
        let answer = post(&mut up, Some("gzip"), gzip(fits(length).as_bytes())).await;
        assert_eq!(answer.status, status, "{length}: {answer:?}");
    }
    assert_eq!(up.drained().await["recorded"], 1);
}
