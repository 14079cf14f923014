//! The stylesheet, the script and the icon: files of our own, small enough to be read.

use axum::http::header;
use axum::response::IntoResponse;

const CSS: &str = include_str!("../assets/console.css");
const SCRIPT: &str = include_str!("../assets/console.js");
const ICON: &str = include_str!("../assets/icon.svg");

/// They change with the release only, and are asked for once in a while.
const KEEP: &str = "max-age=300";

pub async fn css() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, KEEP),
    ];
    (headers, CSS)
}

pub async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, KEEP),
    ];
    (headers, SCRIPT)
}

pub async fn icon() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, KEEP),
    ];
    (headers, ICON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_weighs_no_more_than_64_kilobytes() {
        let weight = CSS.len() + SCRIPT.len() + ICON.len();
        assert!(weight <= 64 * 1024, "{weight} bytes");
    }
}
