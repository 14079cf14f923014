//! The steps of a row: each applies when its condition holds, is refused otherwise, and says truthfully what came of it.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "steps/answers.rs"]
mod answers;
#[path = "steps/batches.rs"]
mod batches;
#[path = "steps/conditions.rs"]
mod conditions;
#[path = "steps/control.rs"]
mod control;
#[path = "steps/in_batches.rs"]
mod in_batches;
#[path = "steps/many.rs"]
mod many;
#[path = "steps/matching.rs"]
mod matching;
#[path = "steps/newer.rs"]
mod newer;
#[path = "steps/notes.rs"]
mod notes;
#[path = "steps/people.rs"]
mod people;
#[path = "steps/settle.rs"]
mod settle;
#[path = "steps/together.rs"]
mod together;

use daybook_schema::{ExecutionName, Row};

fn name_of(row: &Row) -> ExecutionName {
    ExecutionName {
        id: row.id,
        attempt: row.attempt,
    }
}
