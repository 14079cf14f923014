//! Who may ask for what: the host that a request is addressed to, the page that it comes from, and the token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest, Sha256};

use crate::settings::{Access, Settings};
use crate::state;

/// The cookie that a token is exchanged for.
pub const COOKIE: &str = "daybook-console";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer bears. A referrer goes to the console itself only; without one a browser would send `Origin: null`.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Refuses what may not be, and gives every answer its headers.
pub async fn check(State(state): State<Arc<state::State>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&state.settings, &request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers
            .entry(name)
            .or_insert_with(|| HeaderValue::from_static(value));
    }
    response
}

fn refusal(settings: &Settings, request: &Request) -> Option<Response> {
    let headers = request.headers();
    let refused = |status: StatusCode, why: &'static str| Some((status, format!("{why}\n")).into_response());
    let Some(host) = one(headers, &header::HOST) else {
        return refused(StatusCode::BAD_REQUEST, "one Host header is needed");
    };
    if !settings.hosts.contains(&name_of(host).to_ascii_lowercase()) {
        return refused(
            StatusCode::MISDIRECTED_REQUEST,
            "this console is not served under that name; --host of `daybook console` allows one",
        );
    }
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_look && !is_own_page(headers, host) {
        return refused(
            StatusCode::FORBIDDEN,
            "only the console's own pages may change anything: this request came from elsewhere, or does not say where from",
        );
    }
    let path = request.uri().path();
    match &settings.access {
        Some(access) if !is_open(path) && !is_known(access, headers) => match is_look && path != "/metrics" {
            true => Some(Redirect::to("/login").into_response()),
            false => refused(StatusCode::UNAUTHORIZED, "the token is needed"),
        },
        _ => None,
    }
}

/// What is shown before the token is.
fn is_open(path: &str) -> bool {
    path == "/login" || path.starts_with("/assets/")
}

/// Whether a request that writes was sent by a page of the console itself, as the browser says.
fn is_own_page(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.contains_key(SEC_FETCH_SITE);
    let origin = headers.contains_key(header::ORIGIN);
    let is_own_site = one(headers, &SEC_FETCH_SITE) == Some("same-origin");
    let is_own_origin = one(headers, &header::ORIGIN)
        .and_then(|origin| origin.split_once("://"))
        .is_some_and(|(scheme, authority)| {
            matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host)
        });
    (site || origin) && (!site || is_own_site) && (!origin || is_own_origin)
}

/// Whether a request bears the cookie, or the token itself, as programs do.
fn is_known(access: &Access, headers: &HeaderMap) -> bool {
    let bearer = one(headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let session = cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value));
    bearer.is_some_and(|given| same(given, &access.token))
        || session.is_some_and(|given| same(given, &access.session))
}

/// Whether they are the same. How long it takes says nothing about where they differ.
pub fn same(given: &str, secret: &str) -> bool {
    let pairs = Sha256::digest(given).into_iter().zip(Sha256::digest(secret));
    pairs.fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// A header that is given once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}
