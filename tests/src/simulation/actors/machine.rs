//! The state machine, and what EventBridge tells of its executions.

use std::sync::Arc;
use std::time::Duration;

use daybook_local::{Outcome, StartedExecution, Target};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::Cast;
use crate::simulation::faults::Chaos;

/// What becomes of an execution follows from the seed and its name, not from when it is started.
/// Executions own it, so that it must not own them.
struct Machine {
    chaos: Chaos,
}

pub(super) fn set(cast: &Cast) {
    let executions = cast.stage.aws.executions();
    let machine = Machine {
        chaos: cast.chaos.clone(),
    };
    executions.set_target(&cast.stage.state_machine, Arc::new(machine));
    status_events(cast);
}

impl Target for Machine {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome> {
        let chaos = &self.chaos;
        let mut rng = chaos.stream(&format!("execution {}", execution.name));
        let input: Value = serde_json::from_str(&execution.input).unwrap();
        // One key is poison: it fails every time, and must end parked.
        let is_poison = input["key"].as_str().is_some_and(|key| key.contains("/07 "))
            && input["kind"] == json!("created");
        let hangs = chaos.strikes("hung_execution");
        let millis = if hangs {
            2 * 3_600_000 + rng.u64(0..8 * 3_600_000)
        } else if chaos.strikes("instant_execution") {
            0
        } else if chaos.strikes("long_execution") {
            4_500_000 + rng.u64(0..5_400_000)
        } else {
            1000 + rng.u64(0..240_000)
        };
        Box::pin(async move {
            if millis > 0 {
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            let (error, cause) = ("Work.Failed".to_owned(), "the simulation says so".to_owned());
            match rng.u32(0..100) {
                _ if hangs => Outcome::Aborted {
                    error: Some("Operator.Aborted".into()),
                    cause: Some("it hung".into()),
                },
                _ if is_poison => Outcome::Failed { error, cause },
                0..10 => Outcome::Failed { error, cause },
                10..14 => Outcome::TimedOut { error, cause },
                14..18 => Outcome::Aborted {
                    error: Some(error),
                    cause: Some(cause),
                },
                _ => Outcome::Succeeded { output: "{}".into() },
            }
        })
    }
}

/// EventBridge delivers status events never, once or twice, soon or late.
fn status_events(cast: &Cast) {
    let executions = cast.stage.aws.executions();
    let (chaos, world, clock) = (cast.chaos.clone(), cast.world.clone(), cast.stage.clock.clone());
    let (sqs, url) = (cast.stage.aws.sqs().clone(), cast.stage.completion.clone());
    executions.set_status_sink(Arc::new(move |event: Value| {
        let detail = &event["detail"];
        let (name, status) = (detail["name"].clone(), detail["status"].clone());
        let now = clock.now().unix_millis();
        world.lock().line(now, || format!("execution {name} is {status}"));
        if detail["status"] == json!("RUNNING") || chaos.strikes("status_event_lost") {
            return;
        }
        world.lock().told_ends.push(event.clone());
        let copies = 1 + usize::from(chaos.strikes("status_event_twice"));
        for _ in 0..copies {
            let most = match chaos.strikes("status_event_late") {
                true => 6 * 3_600_000,
                false => 2000,
            };
            let delay = Duration::from_millis(chaos.below("status_event_late", most));
            let (sqs, url, body) = (sqs.clone(), url.clone(), event.to_string());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                sqs.send(&url, &body).unwrap();
            });
        }
    }));
}
