//! Who may see and end sessions: whoever has the token, or, where there is none, programs on this machine.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Admin;
use crate::secret::Secret;

/// By `admin.token`, and by where the address is.
#[derive(Debug)]
pub enum Access {
    Token(Secret<String>),
    Loopback,
    /// The address can be reached from elsewhere, and there is no token.
    Nobody,
}

impl Access {
    /// A token that is configured is asked for on loopback too.
    #[must_use]
    pub fn new(address: IpAddr, token: Option<Secret<String>>) -> Self {
        match token {
            Some(token) => Self::Token(token),
            None if address.is_loopback() => Self::Loopback,
            None => Self::Nobody,
        }
    }

    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        match self {
            Self::Token(token) if has_token(headers, token) => None,
            Self::Token(_) => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"vestibule\"")];
                Some((StatusCode::UNAUTHORIZED, challenge, Json(json!({"error": "unauthorized"}))).into_response())
            }
            Self::Loopback if is_of_this_machine(headers) => None,
            Self::Loopback | Self::Nobody => Some((StatusCode::FORBIDDEN, Json(json!({"error": "forbidden"}))).into_response()),
        }
    }
}

/// Stands before `/sessions`.
pub(super) async fn check(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let mut response = match admin.access.refusal(request.headers()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    for (name, value) in [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn has_token(headers: &HeaderMap, token: &Secret<String>) -> bool {
    let Some((scheme, given)) = once(headers, &header::AUTHORIZATION).and_then(|value| value.split_once(' ')) else { return false };
    scheme.eq_ignore_ascii_case("bearer") && verify_slices_are_equal(given.trim().as_bytes(), token.expose().as_bytes()).is_ok()
}

/// A browser on this machine carries other people's requests here. A name that an attacker's DNS leads to loopback stands in `Host`
/// (DNS rebinding); what a page of another origin sends says so.
fn is_of_this_machine(headers: &HeaderMap) -> bool {
    let is_local = once(headers, &header::HOST).is_some_and(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    });
    let site = headers.get("sec-fetch-site").map(header::HeaderValue::as_bytes);
    is_local && !headers.contains_key(header::ORIGIN) && matches!(site, None | Some(b"none" | b"same-origin"))
}

fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let local = |host: &str| is_of_this_machine(&HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]));
        for host in ["localhost", "LOCALHOST:9901", "127.0.0.1", "127.0.0.1:9901", "127.9.9.9:1", "[::1]", "[::1]:9901"] {
            assert!(local(host), "{host}");
        }
        for host in ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test:9901", "10.0.0.1", "[::2]:9901", "", "localhost@evil.test"] {
            assert!(!local(host), "{host}");
        }
        assert!(!is_of_this_machine(&HeaderMap::new()), "no Host");
    }
}
