//! Executions as they are found, and what their inputs say of a row.

use daybook_ledger::Lookup;
use daybook_manager::{Described, Executions};
use daybook_schema::{BatchInput, ExecutionInput, ExecutionName, Row, RunName};

/// An execution that was asked for, and for which row.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub name: RunName,
    /// What Step Functions says of it.
    pub lookup: Lookup<Described>,
    /// What its input says of the row.
    pub named: Named,
}

/// Whether an execution's input names a row at its attempt. One that does not name it neither settles nor renews it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It does, with so many events in all.
    Yes {
        /// This one included.
        events: usize,
    },
    /// It does not.
    No,
    /// Not known: there is no such execution, or its input cannot be read.
    Unknown,
}

impl Run {
    /// The execution of that row's attempt, by the name that the row has for it.
    pub async fn of(row: &Row, executions: &Executions) -> Self {
        let name = row.run_name();
        let lookup = executions.describe(name).await;
        let wanted = ExecutionName {
            id: row.id,
            attempt: row.attempt,
        };
        let named = match (name, &lookup) {
            // The name itself says it.
            (RunName::Single(_), Lookup::Found(_)) => Named::Yes { events: 1 },
            (RunName::Batch(_), Lookup::Found(_)) => match events(name, &lookup) {
                Some(events) if events.iter().any(|event| event.name() == wanted) => {
                    Named::Yes { events: events.len() }
                }
                Some(_) => Named::No,
                None => Named::Unknown,
            },
            (_, Lookup::Absent | Lookup::Unknown(_)) => Named::Unknown,
        };
        Self { name, lookup, named }
    }

    /// Whether it was found and it is not known what it was given.
    pub fn is_unread(&self) -> bool {
        self.named == Named::Unknown && matches!(self.lookup, Lookup::Found(_))
    }
}

/// What the execution of a batch was given; `None` where that is not known, or it is no batch's.
pub fn events(name: RunName, lookup: &Lookup<Described>) -> Option<Vec<ExecutionInput>> {
    let (RunName::Batch(name), Lookup::Found(described)) = (name, lookup) else {
        return None;
    };
    BatchInput::named_by(described.input.as_deref()?, name.batch)
}
