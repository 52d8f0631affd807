//! The `redirect` action with ALB's placeholders.

use super::Reply;
use crate::message::{RequestView, Scheme};

/// Five components, each a text with `#{protocol}`, `#{host}`, `#{port}`, `#{path}` (without its slash) and `#{query}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    pub protocol: String,
    pub host: String,
    pub port: String,
    pub path: String,
    pub query: String,
    /// 301 or 302.
    pub status: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    #[error("a redirect changes at least one of protocol, host, port and path: this one leads to itself")]
    Loop,
    #[error("the protocol of a redirect is HTTP, HTTPS or #{{protocol}}")]
    Protocol,
    #[error("the path of a redirect begins with a slash")]
    Path,
    #[error("the port of a redirect is a number from 1 to 65535 or #{{port}}")]
    Port,
}

impl Redirect {
    /// What is not given stays as it was asked for.
    #[must_use]
    pub fn new(
        protocol: Option<String>,
        host: Option<String>,
        port: Option<String>,
        path: Option<String>,
        query: Option<String>,
        status: u16,
    ) -> Self {
        let or = |given: Option<String>, placeholder: &str| given.unwrap_or_else(|| placeholder.to_owned());
        Self {
            protocol: or(protocol, "#{protocol}"),
            host: or(host, "#{host}"),
            port: or(port, "#{port}"),
            path: or(path, "/#{path}"),
            query: or(query, "#{query}"),
            status,
        }
    }

    /// The one that changes nothing.
    #[must_use]
    pub fn to_itself(status: u16) -> Self {
        Self::new(None, None, None, None, None, status)
    }

    /// Refuses what an ALB refuses.
    pub fn check(&self) -> Result<(), RedirectError> {
        if !matches!(self.protocol.to_ascii_lowercase().as_str(), "http" | "https" | "#{protocol}") {
            return Err(RedirectError::Protocol);
        }
        if !self.path.starts_with('/') {
            return Err(RedirectError::Path);
        }
        if self.port != "#{port}" && self.port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(RedirectError::Port);
        }
        if *self == Self::to_itself(self.status) { Err(RedirectError::Loop) } else { Ok(()) }
    }

    /// Always an absolute URL, so that a path of `//elsewhere` stays a path.
    #[must_use]
    pub fn reply(&self, request: &RequestView<'_>) -> Reply {
        let port_text = request.port.to_string();
        let fill = |template: &str| {
            template
                .replace("#{protocol}", request.scheme.as_str())
                .replace("#{host}", request.authority.host())
                .replace("#{port}", &port_text)
                .replace("#{path}", &request.target.path()[1..])
                .replace("#{query}", request.target.query().unwrap_or_default())
        };
        let scheme = if fill(&self.protocol).eq_ignore_ascii_case("https") { Scheme::Https } else { Scheme::Http };
        let port = fill(&self.port);
        let mut location = format!("{}://{}", scheme.as_str(), fill(&self.host));
        if port != scheme.default_port().to_string() {
            location.push(':');
            location.push_str(&port);
        }
        location.push_str(&fill(&self.path));
        let query = fill(&self.query);
        if !query.is_empty() {
            location.push('?');
            location.push_str(&query);
        }
        Reply::redirect(self.status, &location)
    }
}
