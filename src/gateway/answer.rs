//! Every answer that the gateway gives itself, whole.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::Visitor;
use super::pages::Page;
use crate::message::is_grpc;

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    /// On the wire it is 200 with `grpc-status`; `status` is for the log.
    pub is_grpc: bool,
    /// The operator's content, as a target's would be: the listener's headers are set on all of it.
    pub is_content: bool,
}

impl Reply {
    /// Not to be stored, not to be sniffed, telling nobody where it came from.
    fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        Self { status, headers, body: body.into(), is_grpc: false, is_content: false }
    }

    /// A location that cannot be a header's value becomes `/`.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        let location = HeaderValue::from_str(location).unwrap_or_else(|_| HeaderValue::from_static("/"));
        Self::new(status, "text/plain; charset=utf-8", Bytes::new()).with(LOCATION, location)
    }

    #[must_use]
    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string()).with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING))
    }

    /// For a client of gRPC: `Trailers-Only`, which is 200 (its protocol over HTTP/2, "Responses"). With any other status libraries
    /// drop the message, and some the code.
    #[must_use]
    fn grpc(status: u16, situation: &str, request_id: &str) -> Self {
        let message = HeaderValue::try_from(format!("{situation} (request {request_id})"));
        let reply = Self { is_grpc: true, ..Self::new(status, "application/grpc", Bytes::new()) };
        reply
            .with(HeaderName::from_static("grpc-status"), HeaderValue::from(grpc_status(status)))
            .with(HeaderName::from_static("grpc-message"), message.unwrap_or_else(|_| HeaderValue::from_static("")))
    }

    /// JSON, or what a client of gRPC reads in its place.
    #[must_use]
    pub(super) fn for_program(visitor: Visitor<'_>, status: u16, situation: &str, more: &[(&str, &str)]) -> Self {
        if is_grpc(visitor.headers) {
            return Self::grpc(status, situation, visitor.request_id);
        }
        let mut value = json!({"error": situation, "request_id": visitor.request_id});
        for (name, text) in more {
            value[*name] = (*text).into();
        }
        Self::json(status, &value)
    }

    /// Pages of its own origin may show it in a frame, and no others.
    #[must_use]
    pub(super) fn framed_by_own_pages(mut self) -> Self {
        for (_, value) in self.headers.iter_mut().filter(|(name, _)| *name == CONTENT_SECURITY_POLICY) {
            *value = HeaderValue::from_static(OWN_FRAMES);
        }
        self
    }

    /// With the policy that fits the page.
    pub(super) fn page(status: u16, page: Page) -> Self {
        let policy = HeaderValue::try_from(page.policy).unwrap_or_else(|_| HeaderValue::from_static(NOTHING));
        let mut reply = Self::new(status, "text/html; charset=utf-8", page.html).with(CONTENT_SECURITY_POLICY, policy);
        if page.has_form {
            // Browsers say `Origin: null` for the form of a page that tells nobody where it came from (Fetch, "append a request `Origin`").
            reply.headers[3].1 = HeaderValue::from_static("same-origin");
        }
        reply
    }

    /// A page without content for a frame on pages of these origins, which stand with spaces between them.
    pub(super) fn embedded(origins: &str) -> Self {
        let policy = format!("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors {origins}");
        let policy = HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static(NOTHING));
        Self::new(200, "text/html; charset=utf-8", "<!doctype html><title>Sign-out</title>").with(CONTENT_SECURITY_POLICY, policy)
    }

    /// Public keys: these may be stored for a while.
    #[must_use]
    pub fn public(content_type: &'static str, body: String) -> Self {
        let mut reply = Self::new(200, content_type, body).with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING));
        reply.headers[1].1 = HeaderValue::from_static("public, max-age=300");
        reply
    }

    /// For a program that takes it as it is.
    #[must_use]
    pub(super) fn octets(body: String) -> Self {
        Self::new(200, "application/octet-stream", body)
    }

    #[must_use]
    pub fn fixed(fixed: &super::FixedResponse) -> Self {
        let headers = vec![(CONTENT_TYPE, fixed.content_type.clone())];
        Self { status: fixed.status, headers, body: fixed.body.clone(), is_grpc: false, is_content: true }
    }

    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[must_use]
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = String>) -> Self {
        self.headers.extend(cookies.into_iter().filter_map(|cookie| Some((SET_COOKIE, HeaderValue::try_from(cookie).ok()?))));
        self
    }
}

/// gRPC's own table for what an HTTP intermediary answers, and `UNAVAILABLE` for an identity provider that is down.
fn grpc_status(status: u16) -> u16 {
    match status {
        400 | 405 | 414 | 431 | 500 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 | 561 => 14,
        _ => 2,
    }
}

const OWN_FRAMES: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
