//! Failures that systems which do this job had in public, each as a small test that fails where Daybook has the same fault.
//! Each test names its source; docs/reliability.md lists them.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "incidents/counters.rs"]
mod counters;
#[path = "incidents/failed_files.rs"]
mod failed_files;
#[path = "incidents/listings.rs"]
mod listings;
#[path = "incidents/locks.rs"]
mod locks;
#[path = "incidents/outages.rs"]
mod outages;
#[path = "incidents/repeated_runs.rs"]
mod repeated_runs;
#[path = "incidents/schedulers.rs"]
mod schedulers;

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_local::ExecutionStatus;
use daybook_manager::Dispatch;
use daybook_schema::Status;
use daybook_tests::{Stage, StageOptions};

const MINUTE: Duration = Duration::from_secs(60);

/// A stage with these settings of dispatch.
async fn stage_with(dispatch: Dispatch) -> Stage {
    let options = StageOptions {
        dispatch,
        ..StageOptions::default()
    };
    Stage::new(options).await
}

/// All functions once, as their crons and queues would run them; executions succeed.
async fn one_minute(stage: &Stage) {
    stage.schedule().await;
    stage.invoke_all().await;
    stage.succeed_running();
    stage.complete_all().await;
    stage.sweep().await;
    stage.pass(MINUTE).await;
}

/// Lets the functions run until the ledger is empty; nobody does anything by hand.
async fn drain(stage: &Stage, within: Duration) {
    let until = stage.now().plus(within);
    while stage.now() < until {
        one_minute(stage).await;
        if stage.rows().await.is_empty() {
            return;
        }
    }
    panic!("still open after {within:?}: {:?}", stage.rows().await);
}

/// How many rows are claimed: what the cap counts.
async fn claimed(stage: &Stage) -> usize {
    stage.rows_in(Status::Claimed).await as usize
}

/// How many executions run.
fn running(stage: &Stage) -> usize {
    let all = stage.aws.executions().all();
    all.iter()
        .filter(|execution| execution.status == ExecutionStatus::Running)
        .count()
}

/// Of how many events there were executions.
fn events_run(stage: &Stage) -> usize {
    let names = stage.execution_names();
    let ids: BTreeSet<&str> = names
        .iter()
        .filter_map(|name| name.rsplit_once('-').map(|(id, _)| id))
        .collect();
    ids.len()
}
