//! A page whose answer takes a while: what is asked, and how far the look is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;

use crate::look::{Counter, Look, Rendered};
use crate::pages::{Frame, render};
use crate::state;
use crate::text::{count, shown};

/// How often a page is told how far the look is.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// What is known before the answer.
pub struct Asking {
    /// The page's name.
    pub title: &'static str,
    /// What is asked, as it was typed.
    pub asked: String,
}

#[derive(Template)]
#[template(path = "looking.html")]
struct Looking {
    frame: Frame,
    asked: String,
    id: String,
    says: String,
}

/// What `make` finds out, or, where that takes longer than a moment, a page that says so and follows by itself. `query` tells looks of that
/// page apart.
pub async fn page<F: Future<Output = Rendered> + Send + 'static>(
    state: &Arc<state::State>,
    asking: Asking,
    query: &str,
    make: impl FnOnce(Counter) -> F,
) -> Response {
    let Asking { title, asked } = asking;
    let patience = (state.settings.patience, state.settings.stop.clone());
    match state.looks.ask(&format!("{title}?{query}"), patience, make).await {
        Ok(answer) => answer.into_response(),
        Err(look) => render(&Looking {
            frame: Frame::of(title, state.snapshots.name(), &state.settings),
            asked: shown(&asked),
            says: words(&look),
            id: look.id.clone(),
        }),
    }
}

fn words(look: &Look) -> String {
    match look.rows() {
        0 => "Looking.".to_owned(),
        rows => format!("Looking through the open rows: {} so far.", count(rows, true)),
    }
}

/// How far a look is, until it ends, the tab is closed or the process ends.
pub async fn progress(State(state): State<Arc<state::State>>, Path(id): Path<String>) -> Response {
    let look = state.looks.get(&id);
    Sse::new(said(look, state.settings.stop.clone()))
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn over() -> Result<Event, Infallible> {
    Ok(Event::default().event("over").data("over"))
}

/// Of a look that is not there, it says at once that it is over: the page begins it again.
fn said(
    look: Option<Arc<Look>>,
    stop: tokio::sync::watch::Receiver<bool>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let begin = (Some(look), stop, Duration::ZERO);
    futures::stream::unfold(begin, async |(look, mut stop, pause)| {
        let Some(look) = look? else {
            return Some((over(), (None, stop, pause)));
        };
        look.wait(TOLD_EVERY);
        let is_over = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return None,
            _ = look.answered() => true,
            () = tokio::time::sleep(pause) => false,
        };
        Some(match is_over {
            true => (over(), (None, stop, pause)),
            false => {
                let words = words(&look);
                (
                    Ok(Event::default().data(words)),
                    (Some(Some(look)), stop, TOLD_EVERY),
                )
            }
        })
    })
}
