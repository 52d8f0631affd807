//! Can whoever sent this follow a redirect to a sign-in page? (W3C Fetch Metadata)

use http::header::{ACCEPT, UPGRADE};
use http::{HeaderMap, Method};

/// What kind of answer the sender can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A browser that shows a page: HTML, and redirects.
    Navigation,
    /// A program that follows redirects and wants no page, as curl: redirects, JSON.
    Simple,
    /// A script, an image, a form's POST, a WebSocket: a redirect to another origin would be lost or worse.
    Fixed,
}

impl RequestKind {
    #[must_use]
    pub fn follows_redirects(self) -> bool {
        !matches!(self, Self::Fixed)
    }
}

/// Judges by `Sec-Fetch-*` where a browser sends them, else by `X-Requested-With` and `Accept`.
#[must_use]
pub fn kind(method: &Method, headers: &HeaderMap) -> RequestKind {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let reads = *method == Method::GET || *method == Method::HEAD;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let wants_page = accept.contains("text/html") || accept.contains("application/xhtml+xml");
    match text("sec-fetch-mode") {
        Some("navigate") if reads => RequestKind::Navigation,
        Some(_) => RequestKind::Fixed,
        None if !reads || headers.contains_key(UPGRADE) || headers.contains_key("x-requested-with") => RequestKind::Fixed,
        None if wants_page => RequestKind::Navigation,
        None if accept.contains("*/*") => RequestKind::Simple,
        None => RequestKind::Fixed,
    }
}

/// A page, not JSON, is wanted: also for the POST of a form, which cannot be redirected.
#[must_use]
pub fn shows_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => !headers.contains_key("x-requested-with") && text("accept").is_some_and(|accept| accept.contains("text/html")),
    }
}

/// Whether the client is one of gRPC (its protocol over HTTP/2, "Requests"): it reads neither pages nor JSON.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let rest = kind.get(..GRPC.len()).filter(|start| start.eq_ignore_ascii_case(GRPC)).map(|_| &kind[GRPC.len()..]);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

const GRPC: &[u8] = b"application/grpc";

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: &Method, lines: &[(&'static str, &'static str)]) -> RequestKind {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        kind(method, &headers)
    }

    #[test]
    fn only_what_can_follow_a_redirect_gets_one() {
        assert_eq!(judged(&Method::GET, &[("sec-fetch-mode", "navigate"), ("accept", "text/html")]), RequestKind::Navigation);
        assert_eq!(judged(&Method::GET, &[("accept", "text/html,*/*")]), RequestKind::Navigation);
        assert_eq!(judged(&Method::GET, &[("accept", "*/*")]), RequestKind::Simple);
        assert_eq!(judged(&Method::GET, &[]), RequestKind::Simple);
        assert_eq!(judged(&Method::GET, &[("sec-fetch-mode", "cors"), ("accept", "*/*")]), RequestKind::Fixed);
        assert_eq!(judged(&Method::GET, &[("sec-fetch-mode", "no-cors")]), RequestKind::Fixed);
        assert_eq!(judged(&Method::GET, &[("x-requested-with", "XMLHttpRequest"), ("accept", "text/html")]), RequestKind::Fixed);
        assert_eq!(judged(&Method::GET, &[("accept", "application/json")]), RequestKind::Fixed);
        assert_eq!(judged(&Method::POST, &[("sec-fetch-mode", "navigate")]), RequestKind::Fixed);
        assert_eq!(judged(&Method::GET, &[("upgrade", "websocket")]), RequestKind::Fixed);
    }
}
