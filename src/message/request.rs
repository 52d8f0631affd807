//! The one form of a request that rules, authentication and headers see.

use std::net::IpAddr;

use http::{HeaderMap, Method};

use super::{Authority, RequestKind, RequestTarget, Scheme, kind};

/// A request after normalisation. Nothing in here is what the client wrote unless it is harmless.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    pub method: &'a Method,
    /// As the visitor's browser sees it: a trusted proxy's `X-Forwarded-Proto` counts.
    pub scheme: Scheme,
    /// The port that the browser has connected to.
    pub port: u16,
    pub authority: &'a Authority,
    pub target: &'a RequestTarget,
    pub headers: &'a HeaderMap,
    /// The visitor's address: the peer, or what a trusted proxy says.
    pub client: IpAddr,
    pub request_id: &'a str,
}

impl RequestView<'_> {
    /// `https://host[:port]`, the only origin that this request may be sent back to.
    #[must_use]
    pub fn origin(&self) -> String {
        self.authority.origin(self.scheme)
    }

    /// The same URL over TLS, on the default port where the request's own was that of plain HTTP.
    #[must_use]
    pub fn https_url(&self) -> String {
        let shown =
            if self.authority.port() == Some(Scheme::Http.default_port()) { self.authority.host() } else { self.authority.as_str() };
        format!("https://{shown}{}", self.target.as_str())
    }

    #[must_use]
    pub fn kind(&self) -> RequestKind {
        kind(self.method, self.headers)
    }

    /// Whether a page of this very origin has sent it, as far as a browser says so. What another site has it send does not pass, nor what
    /// does not say where it is from (CSRF).
    #[must_use]
    pub fn is_from_own_page(&self) -> bool {
        let says_same = self.header("sec-fetch-site").map(|site| site == "same-origin");
        if self.headers.contains_key("origin") {
            return self.header("origin") == Some(self.origin().as_str()) && says_same != Some(false);
        }
        says_same == Some(true)
    }

    /// The text of a header that is there exactly once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}
