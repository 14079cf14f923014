//! Many rows wait for AWS as little as the limits on requests at once allow.
#![allow(missing_docs)]

use daybook_tests::latency::{self, Measured};

/// Large enough that what cannot overlap, such as asking for the budget, is a small part.
const ROWS: usize = 4000;

/// How many rows are done one at a time, for comparison: each takes the same time.
const SAMPLE: usize = 50;

fn assert_fast(measured: &Measured) {
    assert!(measured.gain() >= 50.0, "{measured:#?}");
    assert!(measured.over_bound() <= 1.2, "{measured:#?}");
    for one in &measured.requests {
        assert_eq!(one.peak, one.limit, "the code has another limit: {measured:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dispatch_waits_at_most_a_fifth_longer_than_its_limits_ask_for() {
    assert_fast(&latency::dispatch(ROWS, SAMPLE).await);
    assert_fast(&latency::dispatch_in_batches(ROWS, SAMPLE).await);
}

#[tokio::test(start_paused = true)]
async fn ingest_and_completion_wait_at_most_a_fifth_longer_than_their_limits_ask_for() {
    assert_fast(&latency::ingest(ROWS, SAMPLE).await);
    assert_fast(&latency::ingest_immediately(ROWS, SAMPLE).await);
    assert_fast(&latency::complete(ROWS, SAMPLE).await);
}
