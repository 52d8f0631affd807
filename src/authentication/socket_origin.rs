//! Where a WebSocket may be opened from (threat W03). No preflight asks before a handshake and no same-origin policy guards what
//! comes back: a page of another site that a browser sends our cookie for could read and write as the person (cross-site WebSocket
//! hijacking). `SameSite=Lax` keeps other sites out, but not other origins of the same site.

use http::HeaderMap;
use http::header::{ORIGIN, UPGRADE};

use crate::message::Authority;

/// Origins beside the listener's own hosts.
#[derive(Debug, Clone, Default)]
pub struct AllowedOrigins {
    /// `*`: what an ALB does.
    any: bool,
    origins: Vec<String>,
}

impl AllowedOrigins {
    /// `*`, or `https://host` with or without a port.
    #[must_use]
    pub fn add(&mut self, origin: &str) -> bool {
        if origin == "*" {
            self.any = true;
            return true;
        }
        let normal = split(origin).map(|(scheme, authority)| normal(scheme, &authority));
        let is_origin = normal.is_some();
        self.origins.extend(normal);
        is_origin
    }

    /// Whether the request may be forwarded with a session. `is_own` knows the hosts of the listener. A program that is no browser
    /// sends no `Origin`, and no browser sends cookies for one.
    #[must_use]
    pub fn permit(&self, headers: &HeaderMap, is_own: impl Fn(&str) -> bool) -> bool {
        let is_socket = headers
            .get_all(UPGRADE)
            .iter()
            .any(|value| value.as_bytes().split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"websocket")));
        let mut origins = headers.get_all(ORIGIN).iter();
        let (true, false, Some(origin)) = (is_socket, self.any, origins.next()) else { return true };
        if origins.next().is_some() {
            return false;
        }
        let Some((scheme, authority)) = origin.to_str().ok().and_then(split) else { return false };
        // Over plain HTTP anybody on the way could have written the page. A port is no boundary for cookies.
        (scheme == "https" && is_own(authority.host())) || self.origins.contains(&normal(scheme, &authority))
    }
}

fn split(origin: &str) -> Option<(&str, Authority)> {
    let (scheme, authority) = origin.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    Some((scheme, Authority::parse(authority.as_bytes()).ok()?))
}

fn normal(scheme: &str, authority: &Authority) -> String {
    let default = if scheme == "https" { 443 } else { 80 };
    format!("{scheme}://{}:{}", authority.host(), authority.port().unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(allowed: &[&str], lines: &[(&'static str, &str)]) -> bool {
        let mut origins = AllowedOrigins::default();
        assert!(allowed.iter().all(|origin| origins.add(origin)));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        origins.permit(&headers, |host| host == "app.test")
    }

    #[test]
    fn a_socket_opens_from_its_own_hosts_and_from_those_that_are_named() {
        for (allowed, origin, expected) in [
            (&[][..], "https://app.test", true),
            (&[], "https://APP.test:8443", true),
            (&[], "http://app.test", false),
            (&[], "https://evil.test", false),
            (&[], "https://app.test.evil.test", false),
            (&[], "https://evil.test/app.test", false),
            (&[], "null", false),
            (&[], "", false),
            (&["https://www.test"], "https://www.test:443", true),
            (&["https://www.test"], "https://www.test:444", false),
            (&["https://www.test"], "http://www.test", false),
            (&["*"], "https://evil.test", true),
            (&["*"], "null", true),
        ] {
            assert_eq!(permits(allowed, &[("upgrade", "WebSocket"), ("origin", origin)]), expected, "{allowed:?} {origin}");
        }
        assert!(permits(&[], &[("upgrade", "websocket")]), "a program without Origin");
        assert!(permits(&[], &[("origin", "https://evil.test")]), "no socket: CORS is the application's");
        assert!(!permits(&[], &[("upgrade", "a, websocket"), ("origin", "https://app.test"), ("origin", "https://evil.test")]));
    }

    #[test]
    fn what_is_no_origin_is_not_allowed_by_mistake() {
        for origin in ["", "www.test", "https://", "ftp://www.test", "https://www.test/", "https://*.test", "null"] {
            assert!(!AllowedOrigins::default().add(origin), "{origin}");
        }
    }
}
