//! Can whoever sent this follow a redirect to a sign-in page? (W3C Fetch Metadata)

use http::header::{ACCEPT, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};

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

/// Whether a person has sent a form from a page whose place the answer takes. A page's script gets its answer itself, a frame cannot
/// show ours, and what is encoded or expected otherwise no form is.
#[must_use]
pub fn sends_form(method: &Method, headers: &HeaderMap) -> bool {
    let is_one_of = |name: &str, values: &[&str]| {
        let mut found = headers.get_all(name).iter();
        match (found.next().map(|value| value.to_str().unwrap_or_default()), found.next()) {
            (None, _) => true,
            (Some(value), None) => values.iter().any(|known| value.eq_ignore_ascii_case(known)),
            (Some(_), Some(_)) => false,
        }
    };
    *method == Method::POST
        && shows_page(headers)
        && is_one_of("sec-fetch-dest", &["document"])
        && is_one_of("expect", &["100-continue"])
        && ["upgrade", "content-encoding"].iter().all(|name| !headers.contains_key(*name))
        && form_type(headers).is_some()
}

/// The media type of a form (HTML, form submission), with its parameters.
fn form_type(headers: &HeaderMap) -> Option<&HeaderValue> {
    const TYPES: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next().filter(|value| value.len() <= MAX_TYPE_BYTES && values.next().is_none())?;
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known.as_bytes())).then_some(value)
}

/// Whether the client is one of gRPC (its protocol over HTTP/2, "Requests"): it reads neither pages nor JSON.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = kind.get(..GRPC.len()).filter(|start| start.eq_ignore_ascii_case(GRPC)).map(|_| &kind[GRPC.len()..]);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

const GRPC: &[u8] = b"application/grpc";
/// A boundary has at most 70 characters (RFC 2046 §5.1.1).
const MAX_TYPE_BYTES: usize = 256;

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

    #[test]
    fn a_form_is_what_a_person_sends_from_a_page() {
        let form = |lines: &[(&'static str, &'static str)]| {
            let usual = [("sec-fetch-mode", "navigate"), ("content-type", "multipart/form-data; boundary=x")];
            let given = |name: &str| lines.iter().any(|(other, _)| *other == name);
            let mut headers = HeaderMap::new();
            for (name, value) in usual.iter().filter(|(name, _)| !given(name)).chain(lines) {
                headers.append(*name, HeaderValue::from_static(value));
            }
            sends_form(&Method::POST, &headers)
        };
        assert!(form(&[]) && form(&[("sec-fetch-dest", "document"), ("expect", "100-continue")]));
        assert!(form(&[("content-type", "Text/Plain")]) && form(&[("content-type", "application/x-www-form-urlencoded;charset=UTF-8")]));
        for other in [
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "iframe"),
            ("content-type", "application/json"),
            ("content-type", "text/plain, text/html"),
            ("content-type", ""),
            ("content-encoding", "gzip"),
            ("expect", "more"),
            ("upgrade", "websocket"),
        ] {
            assert!(!form(&[other]), "{other:?}");
        }
        assert!(!form(&[("content-type", "text/plain"), ("content-type", "text/plain")]), "two of them");
        assert!(!sends_form(&Method::PUT, &HeaderMap::new()));
    }
}
