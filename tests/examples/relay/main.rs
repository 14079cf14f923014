//! How long the relay waits for SQS with many messages when every request takes 5 ms, beside one message at a time.
//!
//!     cargo run -p daybook-tests --example relay [MESSAGES]
//!
//! The clock is virtual: a debug build prints the same as any other, on any machine. docs/relay.md says what was found.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use daybook_tests::relay_ratio::measure;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let messages: usize = std::env::args()
        .nth(1)
        .map_or(10_000, |messages| messages.parse().unwrap());
    // The stage wants a clock that only it moves.
    tokio::time::pause();
    let ratio = measure(messages).await;
    println!(
        "{messages} messages, {} ms a request",
        ratio.latency().as_millis()
    );
    for (way, (took, requests)) in [
        ("relay", ratio.relay),
        ("one message at a time", ratio.one_by_one),
    ] {
        println!("{way}: {:.2} s, {requests} requests", took.as_secs_f64());
    }
    println!("{:.0} times as fast", ratio.times());
}
