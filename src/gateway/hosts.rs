//! The names that a listener serves. Any other Host gets 421, so that no redirect and no `redirect_uri` is ever made of a
//! stranger's Host header (threats F21, R08).

use crate::message::Authority;
use crate::rules::{Case, Wildcard, WildcardError};

/// Names and patterns, in lower case, without ports.
#[derive(Debug, Clone, Default)]
pub struct HostNames {
    exact: Vec<String>,
    patterns: Vec<Wildcard>,
}

impl HostNames {
    /// `*` and `?` as in a `host_header` condition.
    pub fn add(&mut self, name: &str) -> Result<(), WildcardError> {
        if name.contains(['*', '?']) {
            self.patterns.push(Wildcard::new(name, Case::LowerCased)?);
        } else {
            self.exact.push(name.trim_end_matches('.').to_ascii_lowercase());
        }
        Ok(())
    }

    /// Whether something can be among the names of a listener: a host without a port, perhaps with wildcards, and not all of them.
    #[must_use]
    pub fn may_have(name: &str) -> bool {
        let example = name.replace(['*', '?'], "a");
        name != "*" && Authority::parse(example.as_bytes()).is_ok_and(|authority| authority.port().is_none())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    pub fn extend(&mut self, other: &Self) {
        self.exact.extend_from_slice(&other.exact);
        self.patterns.extend_from_slice(&other.patterns);
    }

    /// `host` is canonical (`Authority`).
    #[must_use]
    pub fn serve(&self, host: &str) -> bool {
        self.exact.iter().any(|name| name == host) || self.patterns.iter().any(|pattern| pattern.matches(host))
    }
}
