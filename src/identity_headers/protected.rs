//! Headers that only the gateway may say, in every spelling in which a program behind could take them for ours.

use http::{HeaderMap, HeaderName};

/// Names that are taken out of every request, whatever its rule (ALBeast; CVE-2025-64484; CVE-2026-39858).
#[derive(Debug, Clone, Default)]
pub struct ProtectedHeaders {
    claims: Vec<String>,
}

impl ProtectedHeaders {
    /// `claims` are the names of `identity_headers.claims`.
    pub fn new<'a>(claims: impl IntoIterator<Item = &'a str>) -> Self {
        Self { claims: claims.into_iter().map(|name| name.bytes().map(fold).map(char::from).collect()).collect() }
    }

    /// `-`, `_` and `.` are the same here, as in the environment of CGI, WSGI and Rack.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let name = name.as_bytes();
        PREFIXES.iter().any(|prefix| name.len() > prefix.len() && is_folded(&name[..prefix.len()], prefix.as_bytes()))
            || NAMES.iter().any(|known| is_folded(name, known.as_bytes()))
            || self.claims.iter().any(|known| is_folded(name, known.as_bytes()))
    }

    /// What has to go, for headers and trailers alike.
    #[must_use]
    pub fn found_in(&self, headers: &HeaderMap) -> Vec<HeaderName> {
        headers.keys().filter(|name| self.covers(name.as_str())).cloned().collect()
    }
}

/// Whether a name is `known` but for case and separators. `known` is in lower case with hyphens.
fn is_folded(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len() && name.iter().zip(known).all(|(byte, known)| fold(*byte) == *known)
}

fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    }
}

/// `x-forwarded-*` is judged before and set anew. The others tell an application of another URL or address than the one that
/// the rules saw (CVE-2026-40575, CVE-2026-35051).
const PREFIXES: [&str; 5] = ["x-amzn-oidc-", "x-amzn-mtls-", "x-amzn-tls-", "x-forwarded-", "x-original-"];
/// `proxy` is httpoxy, CVE-2016-5385.
const NAMES: [&str; 6] = ["forwarded", "x-real-ip", "x-rewrite-url", "x-amzn-trace-id", "proxy", "proxy-connection"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_covered_and_nothing_else() {
        let protected = ProtectedHeaders::new(["X-Auth-Email", "Remote-User"]);
        for name in [
            "x-amzn-oidc-identity",
            "X-Amzn-Oidc-Data",
            "x_amzn_oidc_identity",
            "X-AMZN_oidc-data",
            "x.amzn.oidc.accesstoken",
            "x-amzn-oidc-anything",
            "X-Auth_Email",
            "remote_user",
            "X_Forwarded_User",
            "x-forwarded-for",
            "Forwarded",
            "x-original-url",
            "x-amzn-mtls-clientcert",
            "Proxy",
            "X_Real_IP",
        ] {
            assert!(protected.covers(name), "{name}");
        }
        for name in ["accept", "x-request-id", "x-auth-emails", "x-amz-date", "user-agent", "authorization", "prefer", "from"] {
            assert!(!protected.covers(name), "{name}");
        }
    }
}
