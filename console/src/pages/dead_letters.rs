//! Dead-letter queues: how many messages wait, moving them back, and how far SQS is with that.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use daybook_inspect::checks::role::Role;
use daybook_inspect::operate::dead_letters::{
    self, DeadLetters, MOST_PER_SECOND, MoveTask, MoveTasks, is_under_way,
};
use daybook_ledger::Cause;
use daybook_schema::Timestamp;
use futures::future::join_all;

use crate::pages::operator::Operator;
use crate::pages::{Frame, field, fields, render, trouble};
use crate::source::Deployment;
use crate::state;
use crate::text::{When, count, query, shown};

/// A queue's dead letters, on the page Operations.
pub struct LettersView {
    /// The queue.
    pub role: &'static str,
    /// How many wait, or why it is not known.
    pub says: String,
    pub is_known: bool,
    /// The query of the page where they are moved back, of a queue that is known.
    pub page: Option<String>,
}

/// What a page about a dead-letter queue needs.
struct Found {
    deployment: Arc<dyn Deployment>,
    role: Role,
    letters: DeadLetters,
    tasks: MoveTasks,
}

/// What SQS says of a move task.
struct TaskView {
    status: String,
    begun: Option<When>,
    moved: u64,
    to_move: u64,
    words: String,
    failure: Option<String>,
}

#[derive(Template)]
#[template(path = "redrive_queue.html")]
struct RedriveQueue {
    frame: Frame,
    role: &'static str,
    arn: String,
    waiting: String,
    any: bool,
    under_way: bool,
    task: Option<TaskView>,
    page: String,
    most: i32,
    by: String,
}

/// About so many messages.
fn about(waiting: u64) -> String {
    match waiting {
        0 => "no messages".to_owned(),
        1 => "about 1 message".to_owned(),
        n => format!("about {} messages", count(n, true)),
    }
}

fn page_of(arn: &str) -> String {
    query(&[("queue", arn)])
}

/// A queue, and its dead-letter queue if it has one.
type OfQueue = (Role, Result<Option<DeadLetters>, Cause>);

/// Each queue of the deployment.
async fn letters(deployment: &dyn Deployment) -> Result<Vec<OfQueue>, String> {
    let Some(queues) = deployment.queues()? else {
        return Ok(Vec::new());
    };
    let sqs = &queues.sqs;
    let asked = queues.urls.iter().map(|(role, url)| async move {
        let letters = dead_letters::of_queue(sqs, url).await;
        (*role, letters)
    });
    Ok(join_all(asked).await)
}

/// The dead-letter queues of a deployment; none of a folder.
pub async fn overview(deployment: &dyn Deployment) -> Vec<LettersView> {
    let found = match letters(deployment).await {
        Ok(found) => found,
        Err(why) => {
            return vec![LettersView {
                role: "any",
                says: shown(&why),
                is_known: false,
                page: None,
            }];
        }
    };
    let view = |(role, letters): OfQueue| LettersView {
        role: role.name(),
        is_known: letters.is_ok(),
        page: letters
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .map(|letters| page_of(&letters.arn)),
        says: match letters {
            Ok(Some(letters)) => about(letters.waiting),
            Ok(None) => "it has no dead-letter queue".to_owned(),
            Err(cause) => shown(&cause.to_string()),
        },
    };
    found.into_iter().map(view).collect()
}

/// Why a page cannot be shown, or nothing is done.
type Refusal = (StatusCode, String);

fn unavailable(why: impl ToString) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, why.to_string())
}

/// The dead-letter queue with that ARN, if it is one of the deployment's.
async fn find(state: &state::State, arn: &str) -> Result<Found, Refusal> {
    let deployment = state.open().await.map_err(unavailable)?;
    let mut failed = None;
    for (role, letters) in letters(&*deployment).await.map_err(unavailable)? {
        match letters {
            Ok(Some(letters)) if letters.arn == arn => {
                let queues = deployment.queues().map_err(unavailable)?;
                let queues = queues.ok_or_else(|| unavailable("the queue cannot be asked any more"))?;
                return Ok(Found {
                    tasks: MoveTasks::of(queues.sqs, arn),
                    role,
                    letters,
                    deployment,
                });
            }
            Ok(_) => {}
            Err(cause) => failed = Some(cause),
        }
    }
    Err(match failed {
        Some(cause) => unavailable(format_args!("not all queues could be looked at: {cause}")),
        None => (
            StatusCode::NOT_FOUND,
            "no queue of this deployment has such a dead-letter queue".to_owned(),
        ),
    })
}

impl TaskView {
    fn of(task: &MoveTask, tasks: &MoveTasks, now: Timestamp) -> Self {
        let moved = dead_letters::count(task.approximate_number_of_messages_moved());
        let to_move = task.approximate_number_of_messages_to_move();
        let to_move = to_move.map_or(moved, dead_letters::count).max(moved);
        let begun = Timestamp::from_unix_millis(task.started_timestamp());
        Self {
            status: shown(&task.status().unwrap_or("unknown").to_lowercase()),
            begun: begun.map(|begun| When::of(begun, now)),
            words: format!("{} of about {} moved", count(moved, true), count(to_move, true)),
            moved,
            to_move: to_move.max(1),
            failure: tasks.failure(task).map(|failure| shown(&failure.to_string())),
        }
    }
}

/// How many wait, how far the newest task is, and what moves them back.
pub async fn page(State(state): State<Arc<state::State>>, RawQuery(query): RawQuery) -> Response {
    match look(&state, &fields(&query.unwrap_or_default())).await {
        Ok(page) => render(&page),
        Err((status, why)) => trouble(&state.settings, status, &why),
    }
}

async fn look(state: &state::State, fields: &[(String, String)]) -> Result<RedriveQueue, Refusal> {
    let found = find(state, field(fields, "queue").unwrap_or_default()).await?;
    let newest = found.tasks.newest().await.map_err(unavailable)?;
    let now = found.deployment.parts().ledger.clock().now();
    Ok(RedriveQueue {
        frame: Frame::of("Dead letters", &found.deployment.name(), &state.settings),
        role: found.role.name(),
        arn: shown(&found.letters.arn),
        waiting: about(found.letters.waiting),
        any: found.letters.waiting > 0,
        under_way: newest.as_ref().is_some_and(is_under_way),
        task: newest.map(|task| TaskView::of(&task, &found.tasks, now)),
        page: page_of(&found.letters.arn),
        most: MOST_PER_SECOND,
        by: state.settings.by.clone(),
    })
}

/// Leads to the queue's page, which says how far it is, or says why not. Where SQS gave no answer, nobody knows that nothing was changed.
fn answer(state: &state::State, done: Result<String, Refusal>) -> Response {
    match done {
        Ok(arn) => Redirect::to(&format!("/redrive-queue?{}", page_of(&arn))).into_response(),
        Err((status, why)) => trouble(&state.settings, status, &why),
    }
}

/// Starts a task. SQS runs it: it goes on without this process.
pub async fn begin(State(state): State<Arc<state::State>>, body: String) -> Response {
    let begun = begin_task(&state, &fields(&body)).await;
    answer(&state, begun)
}

async fn begin_task(state: &state::State, fields: &[(String, String)]) -> Result<String, Refusal> {
    let invalid = |why: String| (StatusCode::BAD_REQUEST, why);
    let per_second = field(fields, "per_second").map(|text| text.trim().parse::<i32>().ok());
    let is_possible = |n: &Option<i32>| n.is_some_and(|n| (1..=MOST_PER_SECOND).contains(&n));
    if per_second.as_ref().is_some_and(|n| !is_possible(n)) {
        return Err(invalid(format!(
            "nothing was changed: 1 to {MOST_PER_SECOND} messages per second are possible"
        )));
    }
    let operator = Operator::read(fields, &state.settings).map_err(invalid)?;
    let found = find(state, field(fields, "queue").unwrap_or_default()).await?;
    let (arn, waiting) = (found.letters.arn, found.letters.waiting);
    let newest = found.tasks.newest().await.map_err(unavailable)?;
    if newest.as_ref().is_some_and(is_under_way) {
        let why = format!("nothing was changed: SQS is moving the messages of {arn} already");
        return Err((StatusCode::CONFLICT, why));
    }
    if waiting == 0 {
        return Err((
            StatusCode::CONFLICT,
            format!("nothing was changed: {arn} is empty"),
        ));
    }
    let per_second = per_second.flatten();
    found.tasks.start(None, per_second).await.map_err(unavailable)?;
    let limit = per_second.map(|n| format!(" --per-second {n}"));
    let what = format!("redrive-queue {arn}{}", limit.unwrap_or_default());
    let how = format!("SQS moves them: {} when it began", about(waiting));
    let person = (operator.by.as_str(), Some(operator.why.as_str()));
    state.keep(&*found.deployment, &what, person, &how);
    state.forget().await;
    Ok(arn)
}

/// Cancels the task that runs; what is moved stays moved.
pub async fn stop(State(state): State<Arc<state::State>>, body: String) -> Response {
    let stopped = stop_task(&state, &fields(&body)).await;
    answer(&state, stopped)
}

async fn stop_task(state: &state::State, fields: &[(String, String)]) -> Result<String, Refusal> {
    let found = find(state, field(fields, "queue").unwrap_or_default()).await?;
    let arn = found.letters.arn;
    let newest = found.tasks.newest().await.map_err(unavailable)?;
    let Some(task) = newest.filter(|task| task.status() == Some("RUNNING")) else {
        let why = format!("nothing was changed: SQS moves no messages of {arn} now");
        return Err((StatusCode::CONFLICT, why));
    };
    found.tasks.cancel(&task).await.map_err(unavailable)?;
    let what = format!("redrive-queue {arn} --cancel");
    let person = (state.settings.by.as_str(), None);
    state.keep(&*found.deployment, &what, person, "done");
    Ok(arn)
}
