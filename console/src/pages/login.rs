//! The token is given once, and exchanged for a cookie that no script can read and no other site can send.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::guard;
use crate::pages::{Frame, field, fields, render};
use crate::state;

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    refused: bool,
}

fn form(state: &state::State, refused: bool) -> Response {
    render(&Login {
        frame: Frame::of("Sign in", "Daybook", &state.settings),
        refused,
    })
}

pub async fn page(State(state): State<Arc<state::State>>) -> Response {
    form(&state, false)
}

pub async fn exchange(State(state): State<Arc<state::State>>, body: String) -> Response {
    let fields = fields(&body);
    let given = field(&fields, "token").unwrap_or_default();
    match &state.settings.access {
        Some(access) if guard::same(given.trim(), &access.token) => {
            let cookie = format!(
                "{}={}; Path=/; HttpOnly; SameSite=Strict",
                guard::COOKIE,
                access.session
            );
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        _ => (StatusCode::UNAUTHORIZED, form(&state, true)).into_response(),
    }
}
