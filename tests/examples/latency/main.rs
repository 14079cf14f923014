//! How long ingest, dispatch and completion of many rows wait for AWS when every request takes 5 ms, beside one request at a time.
//!
//!     cargo run -p daybook-tests --example latency [ROWS]
//!
//! The clock is virtual: a debug build prints the same as any other, on any machine. docs/throughput.md says what was found.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use daybook_tests::latency::{self, Measured};

/// So many rows are enough for what is done one at a time, which takes the same time for each.
const SAMPLE: usize = 300;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rows: usize = std::env::args()
        .nth(1)
        .map_or(10_000, |rows| rows.parse().unwrap());
    // The stage wants a clock that only it moves.
    tokio::time::pause();
    println!(
        "| | rows | requests | took | rows/s | one at a time | times as fast | bound | times the bound |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut calls = Vec::new();
    for measured in [
        latency::ingest(rows, SAMPLE).await,
        latency::ingest_immediately(rows, SAMPLE).await,
        latency::dispatch(rows, SAMPLE).await,
        latency::dispatch_in_batches(rows, SAMPLE).await,
        latency::complete(rows, SAMPLE).await,
    ] {
        println!("{}", line(&measured));
        for one in &measured.requests {
            calls.push(format!(
                "| {} | {} | {} | {} | {} |",
                measured.name, one.operation, one.count, one.peak, one.limit
            ));
        }
    }
    println!("\n| | API call | requests | at once, seen | at once, allowed |\n|---|---|---|---|---|");
    println!("{}", calls.join("\n"));
}

fn line(measured: &Measured) -> String {
    format!(
        "| {} | {} | {} | {} ms | {:.0} | {}: {:.1} s | {:.0} | {:.0} ms | {:.2} |",
        measured.name,
        measured.rows,
        measured.count(),
        measured.elapsed.as_millis(),
        measured.rate(),
        measured.one_by_one,
        measured.sequential().as_secs_f64(),
        measured.gain(),
        measured.bound().as_secs_f64() * 1e3,
        measured.over_bound(),
    )
}
