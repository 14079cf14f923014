//! The state machine, and what EventBridge tells of its executions.

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::Clock;
use daybook_local::{Outcome, Sqs, StartedExecution, Target};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::Cast;
use crate::simulation::checker::events;
use crate::simulation::faults::Chaos;
use crate::simulation::world::SharedHistory;

/// What becomes of an execution follows from the seed and its name, not from when it is started.
/// Executions own it, so that it must not own them.
struct Machine {
    chaos: Chaos,
    /// Of an Express state machine: its executions tell of their ends themselves.
    express: Option<Reports>,
}

/// The way that the ends of executions take to the completion queue.
#[derive(Clone)]
struct Reports {
    chaos: Chaos,
    world: SharedHistory,
    clock: Clock,
    sqs: Sqs,
    url: String,
    /// Whether executions may die untold: those for some keys always do then, and their rows must end parked.
    deadly: bool,
}

pub(super) fn set(cast: &Cast) {
    let executions = cast.stage.aws.executions();
    let reports = Reports {
        chaos: cast.chaos.clone(),
        world: cast.world.clone(),
        clock: cast.stage.clock.clone(),
        sqs: cast.stage.aws.sqs().clone(),
        url: cast.stage.completion.clone(),
        deadly: cast.scenario.has("untold_execution"),
    };
    let machine = Machine {
        chaos: cast.chaos.clone(),
        express: cast.scenario.has_express().then(|| reports.clone()),
    };
    executions.set_target(&cast.stage.state_machine, Arc::new(machine));
    executions.set_status_sink(Arc::new(move |event: Value| {
        let is_end = event["detail"]["status"] != json!("RUNNING");
        reports.line(&event);
        if is_end && !reports.chaos.strikes("status_event_lost") {
            reports.send(event);
        }
    }));
}

impl Target for Machine {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome> {
        let chaos = &self.chaos;
        let mut rng = chaos.stream(&format!("execution {}", execution.name));
        let input: Value = serde_json::from_str(&execution.input).unwrap();
        // One key is poison: it fails every time, and must end parked.
        let is_poison = events(&input).iter().any(|event| {
            let is_seven = event["key"].as_str().is_some_and(|key| key.contains("/07 "));
            is_seven && event["kind"] == json!("created")
        });
        let output = output_of(&input, &mut rng);
        let express = self.express.clone();
        let hangs = express.is_none() && chaos.strikes("hung_execution");
        let millis = if express.is_some() {
            1000 + rng.u64(0..240_000)
        } else if hangs {
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
            if let Some(express) = &express
                && express.dies(&input)
            {
                return untold();
            }
            let (error, cause) = ("Work.Failed".to_owned(), "the simulation says so".to_owned());
            let outcome = match rng.u32(0..100) {
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
                _ => Outcome::Succeeded { output },
            };
            if let Some(express) = express {
                express.tell(&execution, &input, &outcome);
            }
            outcome
        })
    }
}

/// Of a batch it may list events that failed, or make no sense.
fn output_of(input: &Value, rng: &mut fastrand::Rng) -> String {
    let Some(events) = input["events"].as_array() else {
        return "{}".to_owned();
    };
    if rng.u8(0..20) == 0 && !events.is_empty() {
        return json!({"batchItemFailures": "some of them"}).to_string();
    }
    let failed = events.iter().filter(|_| rng.u8(0..8) == 0);
    let failed: Vec<Value> = failed
        .map(|event| json!({"itemIdentifier": event["id"]}))
        .collect();
    json!({ "batchItemFailures": failed }).to_string()
}

/// What nobody is told of.
fn untold() -> Outcome {
    Outcome::Failed {
        error: "States.DataLimitExceeded".into(),
        cause: "the simulation says so".into(),
    }
}

impl Reports {
    fn line(&self, event: &Value) {
        let (name, status) = (&event["detail"]["name"], &event["detail"]["status"]);
        let now = self.clock.now().unix_millis();
        self.world
            .lock()
            .line(now, || format!("execution {name} is {status}"));
    }

    /// An end comes once or twice, soon or late. Whether it came soon.
    fn send(&self, event: Value) -> bool {
        self.world.lock().told_ends.push(event.clone());
        let copies = 1 + usize::from(self.chaos.strikes("status_event_twice"));
        let mut is_soon = false;
        for _ in 0..copies {
            let is_late = self.chaos.strikes("status_event_late");
            is_soon |= !is_late;
            let most = if is_late { 6 * 3_600_000 } else { 2000 };
            let delay = Duration::from_millis(self.chaos.below("status_event_late", most));
            let (sqs, url, body) = (self.sqs.clone(), self.url.clone(), event.to_string());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                sqs.send(&url, &body).unwrap();
            });
        }
        is_soon
    }

    /// Whether an Express execution dies and tells nobody.
    fn dies(&self, input: &Value) -> bool {
        let is_deadly = self.deadly
            && input["key"].as_str().is_some_and(|key| key.contains("/06 "))
            && input["kind"] == json!("created");
        let dies = self.chaos.strikes("untold_execution") || is_deadly;
        if dies {
            let mut world = self.world.lock();
            *world.untold.entry(attempt_of(input)).or_default() += 1;
            world.count("executions that ended untold");
        }
        dies
    }

    /// The last step of an Express execution.
    fn tell(&self, execution: &StartedExecution, input: &Value, outcome: &Outcome) {
        let event = json!({
            "source": "daybook.express",
            "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": execution.arn, "stateMachineArn": execution.state_machine_arn,
                "name": execution.name, "input": execution.input, "status": outcome.status().as_str(),
            },
        });
        self.line(&event);
        if !self.send(event) {
            *self.world.lock().unheard.entry(attempt_of(input)).or_default() += 1;
        }
    }
}

/// The row and the attempt that an execution was started for.
fn attempt_of(input: &Value) -> (String, u64) {
    let id = input["id"].as_str().unwrap_or_default().to_owned();
    (id, input["attempt"].as_u64().unwrap_or(0))
}
