//! What a rule asks of a request. The values of one condition are alternatives.

use super::Wildcard;
use crate::message::RequestView;

/// One condition of a rule.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Case-insensitive, without the port.
    HostHeader(Vec<Wildcard>),
    /// Case-sensitive, without the query.
    PathPattern(Vec<Wildcard>),
    /// Exact and case-sensitive.
    HttpRequestMethod(Vec<String>),
}

impl Condition {
    /// `path` is the reading of the path that is being tried.
    pub(super) fn holds(&self, request: &RequestView<'_>, path: &str) -> bool {
        match self {
            Self::HostHeader(hosts) => hosts.iter().any(|host| host.matches(request.authority.host())),
            Self::PathPattern(paths) => paths.iter().any(|pattern| pattern.matches(path)),
            Self::HttpRequestMethod(methods) => methods.iter().any(|method| method == request.method.as_str()),
        }
    }
}
