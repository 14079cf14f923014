//! The web console: what `daybook status`, `list`, `why` and `errors` say, as pages, and what people do with a deployment there.
//!
//! [`router`] is the whole of it. It is handed a [`Source`], which opens the deployment, and [`Settings`]. Pages work without script;
//! with script, what is shown of the ledger's state follows it. The ledger is asked once per process and interval, however many tabs
//! are open ([`snapshot`]).
//!
//! **Texts of strangers** reach a page only through askama's escaping, after
//! [`escaped`](daybook_inspect::wording::escape::escaped) has made visible what would be hidden or turn text round.

mod ask;
mod assets;
mod guard;
mod look;
pub mod metrics;
mod pages;
mod running;
pub mod settings;
pub mod snapshot;
pub mod source;
mod state;
mod task;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub use crate::settings::Settings;
use crate::snapshot::Snapshots;
pub use crate::source::{Deployment, Source};
use crate::state::State;

/// All routes, guarded. With `read_only` there is no route that writes.
pub fn router(source: Arc<dyn Source>, settings: Settings) -> Router {
    let snapshots = Snapshots::new(source, settings.poll);
    router_on(Arc::new(snapshots), settings)
}

/// The same on snapshots that others use, too: all of them together ask the ledger once.
pub fn router_on(snapshots: Arc<Snapshots>, settings: Settings) -> Router {
    let read_only = settings.read_only;
    let has_token = settings.access.is_some();
    let state = Arc::new(State::new(snapshots, settings));
    let mut router = Router::new()
        .route("/", get(pages::now::page))
        .route("/live", get(pages::now::live))
        .route("/looks/{id}", get(pages::looking::progress))
        .route("/rows", get(pages::rows::page))
        .route("/object", get(pages::object::page))
        .route("/errors", get(pages::errors::page))
        .route("/audit", get(pages::audit::page))
        .route("/operations", get(pages::operations::page))
        .route("/operations/{id}", get(pages::operation::page))
        .route("/status.json", get(pages::now::json))
        .route("/rows.json", get(pages::rows::json))
        .route("/object.json", get(pages::object::json))
        .route("/errors.json", get(pages::errors::json))
        .route("/audit.json", get(pages::audit::json))
        .route("/audit.csv", get(pages::audit::csv))
        .route("/doctor.json", get(pages::health::json))
        .route("/metrics", get(metrics::page))
        .route("/assets/console.css", get(assets::css))
        .route("/assets/console.js", get(assets::script))
        .route("/assets/icon.svg", get(assets::icon));
    if has_token {
        router = router.route("/login", get(pages::login::page).post(pages::login::exchange));
    }
    if !read_only {
        router = router
            .route("/act", get(pages::act::page).post(pages::act::begin))
            .route("/stop", post(pages::operation::stop))
            .route("/pause", post(pages::operations::pause))
            .route("/resume", post(pages::operations::resume))
            .route("/per-window", post(pages::operations::per_window))
            .route("/replay", get(pages::replay::page).post(pages::replay::begin))
            .route(
                "/redrive-queue",
                get(pages::dead_letters::page).post(pages::dead_letters::begin),
            )
            .route("/stop-queue", post(pages::dead_letters::stop));
    }
    router
        .fallback(pages::nowhere)
        .layer(from_fn_with_state(state.clone(), guard::check))
        .with_state(state)
}
