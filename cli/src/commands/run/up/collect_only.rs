//! What `daybook up` does with events where there is no target: it prints them.

use std::io::Write;

use daybook_ledger::Recorded;
use daybook_manager::{Ingested, Payload};
use daybook_schema::notification::Reading;
use daybook_schema::{Attempt, ExecutionInput};

use crate::ui::output::Output;

/// Prints what would run, where there is no target.
pub struct Printer {
    reading: Reading,
    output: Output,
}

impl Printer {
    /// For events that are read that way.
    pub fn new(reading: Reading, output: Output) -> Self {
        Self { reading, output }
    }

    /// Prints the events of a payload that are new.
    pub fn print(&self, payload: &Payload, ingested: &Ingested) {
        let events = self
            .reading
            .read(&payload.body, payload.message_id.as_deref())
            .events;
        for (event, outcome) in events.into_iter().zip(&ingested.rows) {
            if *outcome != Recorded::Recorded {
                continue;
            }
            let words = format!(
                "would run for {}  ({}, {})",
                event.to_string().escape_debug(),
                event.event_name.escape_debug(),
                event.id
            );
            let line = match self.output {
                Output::Table => words,
                Output::Json => ExecutionInput::new(&event, Attempt(1)).to_json(),
            };
            // Whoever reads it may have gone; the event is in the ledger all the same.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}
