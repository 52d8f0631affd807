//! What a rule asks of a request. The values of one condition are alternatives.

use std::fmt;

use ipnet::IpNet;
use regex::Regex;

use super::Wildcard;
use crate::message::RequestView;

/// One condition of a rule (ALB: Condition types for listener rules).
#[derive(Debug, Clone)]
pub enum Condition {
    /// Case-insensitive, without the port.
    HostHeader(Vec<Wildcard>),
    /// The same by regular expression, over the host in lower case.
    HostRegex(Vec<Regex>),
    /// Case-sensitive, without the query.
    PathPattern(Vec<Wildcard>),
    /// The same by regular expression; not anchored unless it says so.
    PathRegex(Vec<Regex>),
    /// Exact and case-sensitive.
    HttpRequestMethod(Vec<String>),
    /// Any of the values of any header of that name, without regard to case.
    HttpHeader { name: http::HeaderName, values: Vec<Wildcard>, regexes: Vec<Regex> },
    /// Key and value as they stand in the query, without regard to case; without a key, any value.
    QueryString(Vec<QueryPair>),
    /// The visitor's address: the peer's, or what a trusted proxy says of it.
    SourceIp(Vec<IpNet>),
}

/// One alternative of a `query_string` condition.
#[derive(Debug, Clone)]
pub struct QueryPair {
    pub key: Option<Wildcard>,
    pub value: Wildcard,
}

impl Condition {
    /// Whether this holds for every request for which `other` holds. Says no where it cannot tell.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let all = |wide: &[Wildcard], narrow: &[Wildcard]| narrow.iter().all(|narrow| wide.iter().any(|wide| wide.covers(narrow)));
        match (self, other) {
            (Self::HostHeader(wide), Self::HostHeader(narrow)) | (Self::PathPattern(wide), Self::PathPattern(narrow)) => all(wide, narrow),
            (Self::HttpRequestMethod(wide), Self::HttpRequestMethod(narrow)) => narrow.iter().all(|method| wide.contains(method)),
            (Self::SourceIp(wide), Self::SourceIp(narrow)) => narrow.iter().all(|narrow| wide.iter().any(|wide| wide.contains(narrow))),
            (
                Self::HttpHeader { name: wide_name, values: wide, regexes: _ },
                Self::HttpHeader { name: narrow_name, values: narrow, regexes: narrow_regexes },
            ) => wide_name == narrow_name && narrow_regexes.is_empty() && all(wide, narrow),
            (
                Self::HostHeader(_)
                | Self::HostRegex(_)
                | Self::PathPattern(_)
                | Self::PathRegex(_)
                | Self::HttpRequestMethod(_)
                | Self::HttpHeader { .. }
                | Self::QueryString(_)
                | Self::SourceIp(_),
                _,
            ) => false,
        }
    }

    /// `path` is the reading of the path that is being tried.
    pub(super) fn holds(&self, request: &RequestView<'_>, path: &str) -> bool {
        match self {
            Self::HostHeader(hosts) => hosts.iter().any(|host| host.matches(request.authority.host())),
            Self::HostRegex(hosts) => hosts.iter().any(|host| host.is_match(request.authority.host())),
            Self::PathPattern(paths) => paths.iter().any(|pattern| pattern.matches(path)),
            Self::PathRegex(paths) => paths.iter().any(|pattern| pattern.is_match(path)),
            Self::HttpRequestMethod(methods) => methods.iter().any(|method| method == request.method.as_str()),
            Self::HttpHeader { name, values, regexes } => request.headers.get_all(name).iter().any(|found| {
                // Bytes above 0x7F are no match for a pattern of visible ASCII.
                found.to_str().is_ok_and(|found| {
                    let lower = found.to_ascii_lowercase();
                    values.iter().any(|value| value.matches(&lower)) || regexes.iter().any(|regex| regex.is_match(found))
                })
            }),
            Self::QueryString(pairs) => request.target.query().is_some_and(|query| {
                let query = query.to_ascii_lowercase();
                query.split('&').any(|pair| pairs.iter().any(|wanted| wanted.matches(pair)))
            }),
            Self::SourceIp(networks) => networks.iter().any(|network| network.contains(&request.client)),
        }
    }
}

/// As in the configuration file.
impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: Vec<&str>| format!("{items:?}");
        let patterns = |values: &[Wildcard]| list(values.iter().map(Wildcard::source).collect());
        let regexes = |values: &[Regex]| list(values.iter().map(Regex::as_str).collect());
        match self {
            Self::HostHeader(hosts) => write!(formatter, "host_header: {}", patterns(hosts)),
            Self::HostRegex(hosts) => write!(formatter, "host_regex: {}", regexes(hosts)),
            Self::PathPattern(paths) => write!(formatter, "path_pattern: {}", patterns(paths)),
            Self::PathRegex(paths) => write!(formatter, "path_regex: {}", regexes(paths)),
            Self::HttpRequestMethod(methods) => write!(formatter, "http_request_method: {methods:?}"),
            Self::HttpHeader { name, values, regexes: expressions } => {
                write!(formatter, "http_header: {name} {}", patterns(values))?;
                if expressions.is_empty() { Ok(()) } else { write!(formatter, " {}", regexes(expressions)) }
            }
            Self::QueryString(pairs) => {
                let text = |pair: &QueryPair| match &pair.key {
                    Some(key) => format!("{}={}", key.source(), pair.value.source()),
                    None => pair.value.source().to_owned(),
                };
                write!(formatter, "query_string: {:?}", pairs.iter().map(text).collect::<Vec<_>>())
            }
            Self::SourceIp(networks) => write!(formatter, "source_ip: {:?}", networks.iter().map(ToString::to_string).collect::<Vec<_>>()),
        }
    }
}

impl QueryPair {
    fn matches(&self, pair: &str) -> bool {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match &self.key {
            Some(wanted) => wanted.matches(key) && self.value.matches(value),
            // A bare word is a value to ALB, whether or not something stands in front of it.
            None => self.value.matches(if pair.contains('=') { value } else { key }),
        }
    }
}
