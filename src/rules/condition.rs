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
    /// Whether this holds for every request for which `other` holds. Says no where it cannot tell.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let all = |wide: &[Wildcard], narrow: &[Wildcard]| narrow.iter().all(|narrow| wide.iter().any(|wide| wide.covers(narrow)));
        match (self, other) {
            (Self::HostHeader(wide), Self::HostHeader(narrow)) | (Self::PathPattern(wide), Self::PathPattern(narrow)) => all(wide, narrow),
            (Self::HttpRequestMethod(wide), Self::HttpRequestMethod(narrow)) => narrow.iter().all(|method| wide.contains(method)),
            (Self::HostHeader(_) | Self::PathPattern(_) | Self::HttpRequestMethod(_), _) => false,
        }
    }

    /// `path` is the reading of the path that is being tried.
    pub(super) fn holds(&self, request: &RequestView<'_>, path: &str) -> bool {
        match self {
            Self::HostHeader(hosts) => hosts.iter().any(|host| host.matches(request.authority.host())),
            Self::PathPattern(paths) => paths.iter().any(|pattern| pattern.matches(path)),
            Self::HttpRequestMethod(methods) => methods.iter().any(|method| method == request.method.as_str()),
        }
    }
}
