//! The same requests to the embedded DynamoDB and to dynoxide, in memory: what they answer is the same, or a difference that is listed.
//!
//! `DAYBOOK_WITNESS_REQUESTS` is how many requests there are (20,000), `DAYBOOK_WITNESS_SEED` where they begin (0).

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

#[path = "witness/compare.rs"]
mod compare;
#[path = "witness/draw.rs"]
mod draw;
#[path = "witness/expressions.rs"]
mod expressions;
#[path = "witness/known.rs"]
mod known;
#[path = "witness/pages.rs"]
mod pages;
#[path = "witness/reads.rs"]
mod reads;
#[path = "witness/seen.rs"]
mod seen;
#[path = "witness/statements.rs"]
mod statements;
#[path = "witness/tables.rs"]
mod tables;
#[path = "witness/writes.rs"]
mod writes;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use chrono::DateTime;
use daybook_local::{Answer, Clock, LocalAws};
use daybook_tests::dynoxide::Dynoxide;
use serde_json::Value as Json;

use compare::differ;
use draw::Draw;
use pages::Pages;
use seen::Seen;

/// Requests to one pair of engines: what they hold goes apart where a listed difference is.
const REQUESTS_PER_PAIR: usize = 400;

/// Both, with nothing in them.
struct Pair {
    ours: LocalAws,
    theirs: LocalAws,
}

/// One request, as it goes over the wire.
struct Request {
    operation: &'static str,
    body: Json,
}

impl Request {
    fn only_reads(&self) -> bool {
        matches!(
            self.operation,
            "GetItem"
                | "Query"
                | "Scan"
                | "BatchGetItem"
                | "TransactGetItems"
                | "DescribeTable"
                | "ListTables"
        )
    }
}

impl Pair {
    fn new(seed: u64) -> Self {
        let clock: Clock = Arc::new(|| DateTime::from_timestamp(1_800_000_000, 0).expect("a time"));
        let builder = || LocalAws::builder().seed(seed).clock(clock.clone());
        let dynoxide = Arc::new(Dynoxide::new(clock.clone()));
        Self {
            ours: builder().build().unwrap(),
            theirs: builder().dynamodb(dynoxide).build().unwrap(),
        }
    }

    async fn answers(&self, request: &Request) -> (Seen, Seen) {
        let body = request.body.to_string().into_bytes();
        (
            answer(&self.ours, request.operation, &body).await,
            answer(&self.theirs, request.operation, &body).await,
        )
    }

    /// What all pages and segments have together, where nobody says in which order items come.
    async fn whole(&self, request: &Request) -> (Seen, Seen) {
        let mut whole = [Seen::default(), Seen::default()];
        for (aws, whole) in [&self.ours, &self.theirs].into_iter().zip(&mut whole) {
            let mut pages = Pages::default();
            for start in pages::starts(&request.body) {
                let mut next = Some(start);
                while let Some(body) = next {
                    let answer = answer(aws, request.operation, body.to_string().as_bytes()).await;
                    next = pages.add(&body, answer);
                }
            }
            *whole = pages.seen();
        }
        let [ours, theirs] = whole;
        (ours, theirs)
    }
}

async fn answer(aws: &LocalAws, operation: &str, body: &[u8]) -> Seen {
    seen(aws.handle(&format!("DynamoDB_20120810.{operation}"), body).await)
}

fn seen(answer: Answer) -> Seen {
    Seen {
        status: answer.status,
        code: answer.error_code.clone(),
        body: serde_json::from_slice(&answer.body).unwrap(),
    }
}

/// What was found to be different: how often, and the first time in full.
#[derive(Default)]
struct Found(BTreeMap<String, (usize, String)>);

impl Found {
    fn add(&mut self, class: String, example: impl FnOnce() -> String) {
        self.0.entry(class).or_insert_with(|| (0, example())).0 += 1;
    }
}

/// Makes requests to one pair, until one is answered so that what they hold may differ.
async fn compare_pair(
    seed: u64,
    requests: usize,
    found: &mut Found,
    answered: &mut BTreeMap<String, usize>,
) -> usize {
    let pair = Pair::new(seed);
    let mut draw = Draw::new(seed);
    for nth in 0..requests {
        let request = draw.request(nth);
        let (ours, theirs) = match pages::is_without_order(&request) {
            true => pair.whole(&request).await,
            false => pair.answers(&request).await,
        };
        *answered
            .entry(format!("{} {}", request.operation, theirs.outcome()))
            .or_default() += 1;
        let Some(difference) = differ(&request, &ours, &theirs) else {
            continue;
        };
        if known::reason(&request, &ours, &theirs).is_none() {
            found.add(format!("{} {difference}", request.operation), || {
                let mut example = String::new();
                writeln!(example, "seed {seed}, request {nth}\n{}", request.body).unwrap();
                writeln!(
                    example,
                    "ours   {} {}\ntheirs {} {}",
                    ours.status, ours.body, theirs.status, theirs.body
                )
                .unwrap();
                example
            });
        }
        // What the two hold is still the same where neither wrote.
        if !request.only_reads() && (ours.code.is_none() || theirs.code.is_none()) {
            return nth + 1;
        }
    }
    requests
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(number) => number
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {number}")),
        Err(_) => otherwise,
    }
}

#[tokio::test]
async fn the_engine_and_dynoxide_answer_alike() {
    let requests = usize::try_from(number_from("DAYBOOK_WITNESS_REQUESTS", 20_000)).unwrap();
    let mut seed = number_from("DAYBOOK_WITNESS_SEED", 0);
    let (mut found, mut answered) = (Found::default(), BTreeMap::new());
    let mut made = 0;
    while made < requests {
        made += compare_pair(
            seed,
            REQUESTS_PER_PAIR.min(requests - made),
            &mut found,
            &mut answered,
        )
        .await;
        seed += 1;
    }
    for (what, times) in &answered {
        println!("{times:7} {what}");
    }
    let mut all = String::new();
    for (class, (times, example)) in &found.0 {
        writeln!(all, "\n{times} times: {class}\n{example}").unwrap();
    }
    assert!(
        found.0.is_empty(),
        "{} differences that are not listed:{all}",
        found.0.len()
    );
}
