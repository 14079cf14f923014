//! The pages, one file each.

pub mod act;
pub mod audit;
pub mod dead_letters;
pub mod errors;
pub mod health;
pub mod login;
pub mod looking;
pub mod now;
pub mod object;
pub mod operation;
pub mod operations;
pub mod operator;
pub mod replay;
pub mod rows;
pub mod windows;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::look::Rendered;
use crate::settings::Settings;
use crate::text;

/// Colours that tell deployments apart.
const HUES: u8 = 6;

/// What every page has around it.
pub struct Frame {
    /// The page's name.
    pub title: String,
    /// The deployment.
    pub name: String,
    /// Its colour, by its name.
    pub hue: u8,
    pub read_only: bool,
}

impl Frame {
    pub fn of(title: &str, name: &str, settings: &Settings) -> Self {
        let first = Sha256::digest(name).first().copied().unwrap_or_default();
        Self {
            title: title.to_owned(),
            name: text::shown(name),
            hue: first % HUES,
            read_only: settings.read_only,
        }
    }
}

/// What kept a page from being shown.
#[derive(Template)]
#[template(path = "trouble.html")]
struct Trouble {
    frame: Frame,
    why: String,
}

/// A page that says what is wrong, and what to do.
pub fn trouble(settings: &Settings, status: StatusCode, why: &str) -> Response {
    written_trouble(settings, status, why).into_response()
}

fn written_trouble(settings: &Settings, status: StatusCode, why: &str) -> Rendered {
    let page = Trouble {
        frame: Frame::of("Trouble", "Daybook", settings),
        why: text::shown(why),
    };
    Rendered {
        status,
        ..written(&page)
    }
}

/// The deployment cannot be asked.
pub fn unavailable(settings: &Settings, why: &str) -> Response {
    not_answered(settings, why).into_response()
}

/// The same for a page that is waited for.
pub fn not_answered(settings: &Settings, why: &str) -> Rendered {
    written_trouble(settings, StatusCode::SERVICE_UNAVAILABLE, why)
}

/// A page as HTML.
pub fn render(page: &impl Template) -> Response {
    written(page).into_response()
}

/// A page, written.
pub fn written(page: &impl Template) -> Rendered {
    match page.render() {
        Ok(html) => Rendered {
            status: StatusCode::OK,
            html: html.into(),
        },
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            Rendered {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                html: "the page cannot be written\n".into(),
            }
        }
    }
}

/// What the command line says with `--output json`.
pub fn json(output: &impl Serialize) -> Response {
    match serde_json::to_string(output) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// There is no such page.
pub async fn nowhere() -> Response {
    (StatusCode::NOT_FOUND, "no such page\n").into_response()
}

/// The fields of a form or a query, in their order.
pub fn fields(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// A field that is given and not empty.
pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut of_name = fields.iter().filter(|(given, _)| given == name);
    let value = of_name.next().map(|(_, value)| value.as_str());
    value.filter(|value| !value.trim().is_empty())
}
