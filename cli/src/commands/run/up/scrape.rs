//! Who may scrape `GET /metrics`: programs, and no browser.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};

use crate::commands::run::up::refusal::Refusal;

/// Refuses what a browser sends, even of a page that reaches this port by a name of its own (DNS rebinding): its request has no Origin
/// and is not cross-site, but names that host. With a token the host may have any name, for no page knows the token.
///
/// # Errors
/// Why it is refused.
pub(super) fn check(headers: &HeaderMap, has_token: bool) -> Result<(), Refusal> {
    let mut names = headers.keys();
    if names.any(|name| name.as_str().starts_with("sec-fetch-")) {
        let error =
            "metrics are for programs: a browser asks the console, which `daybook up` names when it starts";
        return Err(Refusal::new(StatusCode::FORBIDDEN, error));
    }
    match has_token || is_this_machine(headers) {
        true => Ok(()),
        false => Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "without a token, metrics are served under localhost and loopback addresses only",
        )),
    }
}

fn is_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host().trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn status(given: &[(&str, &str)], has_token: bool) -> Option<u16> {
        let header = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = given.iter().map(header).collect();
        check(&headers, has_token)
            .err()
            .map(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn a_program_of_this_machine_may_scrape_and_a_page_under_another_name_may_not() {
        for host in [
            "localhost:9480",
            "LocalHost",
            "127.0.0.1:9480",
            "127.0.0.2",
            "[::1]:9480",
        ] {
            assert_eq!(status(&[("host", host)], false), None, "{host}");
        }
        for host in [
            "evil.example:9480",
            "localhost.evil.example",
            "127.0.0.1.nip.io:9480",
            "192.0.2.7",
            "",
        ] {
            assert_eq!(status(&[("host", host)], false), Some(421), "{host}");
            assert_eq!(status(&[("host", host)], true), None, "{host}");
        }
        assert_eq!(status(&[], false), Some(421));
        for has_token in [false, true] {
            let browser = [("host", "localhost:9480"), ("sec-fetch-site", "none")];
            assert_eq!(status(&browser, has_token), Some(403));
        }
    }
}
