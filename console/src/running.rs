//! Carries out what was asked for, and says how far it is. It runs as a task of its own: a tab that is closed ends nothing.

use std::sync::Arc;

use daybook_inspect::operate::action::Action;
use daybook_inspect::operate::apply::{Doing, Tally, Told};
use daybook_inspect::operate::driver::drive;
use daybook_inspect::operate::log::{Entry, Recorder, end_words};
use daybook_inspect::operate::selected::Selected;
use daybook_ledger::{Ledger, Person};

use crate::ask::{Ask, Which};
use crate::source::Deployment;
use crate::state::State;
use crate::task::{Order, Task};

/// Begins it; `None` where too many actions run.
pub fn begin(
    state: &Arc<State>,
    deployment: Arc<dyn Deployment>,
    ask: Ask,
    order: Order,
) -> Option<Arc<Task>> {
    let clock = deployment.parts().ledger.clock().clone();
    let task = state.tasks.begin(order, clock)?;
    let (state, begun) = (state.clone(), task.clone());
    let running = async move {
        run(&task, &*deployment, &ask, &state).await;
        let ended = task.clock.now();
        task.tell(|progress| progress.ended = Some(ended));
        state.forget().await;
    };
    #[allow(
        clippy::disallowed_methods,
        reason = "an action goes on when the request that began it has ended"
    )]
    drop(tokio::spawn(running));
    Some(begun)
}

async fn run(task: &Task, deployment: &dyn Deployment, ask: &Ask, state: &State) {
    let ledger = deployment.parts().ledger;
    let action = task.order.action;
    task.tell(|progress| {
        progress.outcomes = vec![0; action.outcomes().len()];
        progress.says = "looking for the rows".to_owned();
    });
    let selected = match select(task, ledger, ask).await {
        Ok(selected) => selected,
        Err(why) => {
            task.tell(|progress| {
                progress.says =
                    format!("nothing was changed: the ledger could not be read to its end: {why}");
            });
            return;
        }
    };
    let mut tally = Tally::new(action, &selected);
    let n = selected.rows.len();
    task.tell(|progress| {
        progress.selected = Some(n + tally.unreadable());
        progress.count(&tally);
        progress.says = "changing the rows".to_owned();
    });
    let doing = Doing {
        ledger,
        executions: deployment.parts().executions.filter(|_| action == Action::Cancel),
        action,
        person: Person {
            by: &task.order.by,
            why: Some(&task.order.why),
        },
    };
    let log = deployment.log();
    let mut recorder = log
        .as_deref()
        .map(|log| Recorder::begin(log, entry(task, ask), n));
    let stop = task.stopped(state.settings.stop.clone());
    let end = std::future::pending::<()>();
    let told = &mut |told: Told<'_>| {
        hear(task, &told);
        if let Some(recorder) = &mut recorder {
            recorder.hear(&told, task.clock.now());
        }
    };
    let trial = drive(doing, &selected.rows, ask.canary, &mut tally, (stop, end), told).await;
    let how = end_words(&tally, trial.as_ref());
    if let Some(error) = recorder.and_then(|recorder| recorder.end(&tally, task.clock.now(), &how)) {
        tracing::warn!(%error, "the log of what people did cannot be written");
    }
    task.tell(|progress| {
        progress.count(&tally);
        progress.notes = tally.still_running.notes();
        if let Some(trial) = &trial {
            progress.try_out(trial);
        }
        progress.says = how;
    });
}

/// As the log keeps it, under the task's own id.
fn entry(task: &Task, ask: &Ask) -> Entry {
    let who = (task.order.by.as_str(), Some(task.order.why.as_str()));
    Entry {
        id: task.id.clone(),
        in_console: true,
        ..Entry::begin(task.begun, std::process::id(), &ask.what(), who)
    }
}

/// Those that were shown are taken as they were shown: what has changed since is left alone, and counted.
async fn select(task: &Task, ledger: &Ledger, ask: &Ask) -> Result<Selected, String> {
    if let Which::Seen(seen) = &ask.which {
        return Ok(Selected::of(seen.clone()));
    }
    let reading = |read: usize, _: usize| task.tell(|progress| progress.read = read);
    let selected = Selected::read(ledger, &ask.selection(None), &ask.statuses(), &reading).await;
    selected.map_err(|failure| failure.to_string())
}

fn hear(task: &Task, told: &Told<'_>) {
    task.tell(|progress| match told {
        Told::Stopping => progress.says = "stopping: requests in flight are finished first".to_owned(),
        Told::Changed(_, tally) => progress.count(tally),
        Told::CanariesSent(n) => {
            progress.says = format!("waiting for the outcome of {n} canaries");
        }
        Told::GoesOn(n) => {
            progress.says = format!("the canaries succeeded; redriving the other {n}");
        }
    });
}
