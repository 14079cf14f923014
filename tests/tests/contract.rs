//! The contract: what AWS does, as cases that any implementation of its three services can be held to.
//!
//! `cargo test` holds the embedded AWS to it, in process and over its port. `tests/emulators` holds ministack and
//! moto to it. With `DAYBOOK_CONTRACT_ENDPOINT` and `DAYBOOK_CONTRACT_IMPLEMENTATION` set, any other endpoint is held
//! to it; AWS is the judge, and `docs/emulators.md` has the results.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "contract/dynamodb.rs"]
mod dynamodb;
#[path = "contract/executions.rs"]
mod executions;
#[path = "contract/expectations.rs"]
mod expectations;
#[path = "contract/queue.rs"]
mod queue;
#[path = "contract/services.rs"]
mod services;
#[path = "contract/sqs_fifo.rs"]
mod sqs_fifo;
#[path = "contract/sqs_messages.rs"]
mod sqs_messages;
#[path = "contract/sqs_queues.rs"]
mod sqs_queues;
#[path = "contract/suite.rs"]
mod suite;
#[path = "contract/table.rs"]
mod table;

use std::sync::Arc;

use daybook_local::{LocalAws, system_clock};
use daybook_tests::dynoxide::Dynoxide;
use services::Services;
use suite::{CASES, Verdict, run_all};

fn assert_all_agree(verdicts: &[Verdict]) {
    let differ = verdicts.iter().filter_map(|verdict| {
        verdict
            .difference
            .as_ref()
            .map(|difference| format!("{}: {difference}", verdict.case))
    });
    let differ: Vec<String> = differ.collect();
    assert_eq!(verdicts.len(), CASES.len());
    assert!(
        differ.is_empty(),
        "the embedded AWS differs from AWS:\n{}",
        differ.join("\n")
    );
}

#[tokio::test]
async fn the_embedded_aws_holds_the_contract_in_memory_and_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    for local in [
        LocalAws::builder(),
        LocalAws::builder().data_dir(directory.path()),
    ] {
        let local = local.build().expect("it starts");
        assert_all_agree(&run_all(&Services::in_process(local)).await);
    }
}

#[tokio::test]
async fn dynoxide_in_its_place_holds_the_contract_too() {
    let dynoxide = Arc::new(Dynoxide::new(system_clock()));
    let local = LocalAws::builder().dynamodb(dynoxide).build().expect("it starts");
    assert_all_agree(&run_all(&Services::in_process(local)).await);
}

#[tokio::test]
async fn the_embedded_aws_holds_the_contract_over_its_port_and_on_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let local = LocalAws::builder()
        .data_dir(directory.path())
        .build()
        .expect("it starts");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = local.serve(listener, async {
        let _ = stopped.await;
    });
    let services = Services::at(&endpoint, Some(local.clone()));
    let (served, verdicts) = tokio::join!(serving, async move {
        let verdicts = run_all(&services).await;
        let _ = stop.send(());
        verdicts
    });
    served.expect("it served");
    assert_all_agree(&verdicts);
}

/// Runs only when an endpoint is named; see `tests/emulators`.
#[tokio::test]
async fn the_named_endpoint_differs_only_as_recorded() {
    let Ok(endpoint) = std::env::var("DAYBOOK_CONTRACT_ENDPOINT") else {
        return;
    };
    let implementation =
        std::env::var("DAYBOOK_CONTRACT_IMPLEMENTATION").unwrap_or_else(|_| "aws".to_owned());
    // A case that differs panics in a task of its own; its words are in the table below.
    std::panic::set_hook(Box::new(|_| {}));
    let verdicts = run_all(&Services::at(&endpoint, None)).await;
    let _ = std::panic::take_hook();
    let mut surprises = 0;
    println!("| case | {implementation} | |\n|---|---|---|");
    for verdict in &verdicts {
        let known = expectations::expected(&implementation, verdict.case);
        let case = verdict.case;
        match (&verdict.difference, known) {
            (None, None) => println!("| {case} | agrees | |"),
            (Some(_), Some(known)) => {
                println!("| {case} | differs | {}: [AWS]({}) |", known.what, known.page)
            }
            (Some(said), None) => {
                surprises += 1;
                println!(
                    "| {case} | DIFFERS, UNEXPECTED | {} |",
                    said.replace(['\n', '|'], " ")
                );
            }
            (None, Some(known)) => {
                surprises += 1;
                println!("| {case} | AGREES, UNEXPECTED | recorded: {} |", known.what);
            }
        }
    }
    assert_eq!(
        surprises, 0,
        "cases that went otherwise than recorded in contract/expectations.rs"
    );
}
