//! Keeps pages of web sites out of a server that trusts its own host.
//!
//! In: the `Host` and `Origin` headers of a request. Out: leave to go on, or a problem. A browser
//! on this host would send a strange page's requests to a loopback server: through a name that the
//! page's owner points at us (DNS rebinding: `Host` is the strange name), or directly (then
//! `Origin` is). Programs send no `Origin`.

use crate::problem::Trouble;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};

/// The address a guarded server listens on; none on a unix socket, which no page can reach.
#[derive(Clone, Copy)]
pub(crate) struct Guarded(pub(crate) Option<SocketAddr>);

/// Lets a request through, or answers it.
pub(crate) async fn guard(
    State(Guarded(listening)): State<Guarded>,
    request: Request,
    next: Next,
) -> Response {
    let verdict = listening.map_or(Ok(()), |address| {
        let text = |name| {
            request
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap_or("?"))
        };
        judge(address, text(header::HOST), text(header::ORIGIN))
    });
    match verdict {
        Ok(()) => next.run(request).await,
        Err(detail) => Trouble::foreign(detail).into_response(),
    }
}

/// Whether a request with these headers may reach a server at this address.
fn judge(listening: SocketAddr, host: Option<&str>, origin: Option<&str>) -> Result<(), String> {
    let ours = |authority: &str| {
        let name = host_of(authority);
        name == "localhost"
            || name
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback() || ip == listening.ip())
    };
    // A server that was told to reach beyond its host cannot know all of its names.
    if !listening.ip().is_loopback() {
        return Ok(());
    }
    match (host, origin) {
        (Some(host), _) if !ours(host) => Err(format!("\"{host}\" is not a name of this server")),
        (_, Some(origin)) if !origin.strip_prefix("http://").is_some_and(ours) => {
            Err(format!("a page of \"{origin}\" may not use this server"))
        }
        _ => Ok(()),
    }
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_of(authority: &str) -> &str {
    match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((v6, _)) => v6,
        None => authority
            .split_once(':')
            .map_or(authority, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_host_are_served() {
        let check = |listening: &str, host: Option<&str>, origin: Option<&str>, expect: bool| {
            let address = listening.parse().unwrap();
            assert_eq!(
                judge(address, host, origin).is_ok(),
                expect,
                "{host:?} {origin:?}"
            );
        };
        let here = "127.0.0.1:8000";
        check(here, None, None, true);
        check(here, Some("127.0.0.1:8000"), None, true);
        check(here, Some("localhost:8000"), None, true);
        check(here, Some("[::1]:8000"), None, true);
        check(here, Some("strange.example:8000"), None, false);
        check(here, Some("localhost.strange.example"), None, false);
        check(
            here,
            Some("localhost:8000"),
            Some("http://localhost:8000"),
            true,
        );
        check(
            here,
            Some("localhost:8000"),
            Some("http://strange.example"),
            false,
        );
        check(here, Some("localhost:8000"), Some("null"), false);
        check("10.1.2.3:8000", Some("tier0.lab.example"), None, true);
    }
}
