//! Says which executions of cancelled events may go on, and what to do.

use daybook_inspect::operate::still_running::StillRunning;

use crate::ui::escape;

/// How many executions are told one by one.
const TOLD: usize = 5;

/// Says on stderr what may go on, and what to do.
pub fn tell(still: &StillRunning) {
    for (arn, cause) in still.executions.iter().take(TOLD) {
        eprintln!(
            "note: an execution may still run: {}; `aws stepfunctions stop-execution --execution-arn {arn}` stops it, with the \
             permission states:StopExecution",
            escape::escaped(cause.words())
        );
    }
    if let Some(more) = still.executions.len().checked_sub(TOLD + 1) {
        eprintln!("note: and {} more executions may still run", more + 1);
    }
    if still.in_batches > 0 {
        eprintln!(
            "note: {} of them were in batches, whose executions go on: an event that succeeds there is done",
            still.in_batches
        );
    }
}
