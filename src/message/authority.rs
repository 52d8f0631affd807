//! Host and port of a request (RFC 9110 §7.2), canonical: lower case, no trailing dot, no user info.

use std::net::Ipv6Addr;

use super::{Malformed, Scheme};

/// `host` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    text: String,
    host_end: usize,
    port: Option<u16>,
}

impl Authority {
    /// Refuses what could name two hosts: user info, lists, bytes outside of a name.
    pub fn parse(raw: &[u8]) -> Result<Self, Malformed> {
        let raw = std::str::from_utf8(raw).map_err(|_| Malformed::Authority)?;
        let (host, port) = split_port(raw)?;
        let mut text = if host.starts_with('[') { address(host)? } else { name(host)? };
        let host_end = text.len();
        if let Some(port) = port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        Ok(Self { text, host_end, port })
    }

    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[..self.host_end]
    }

    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `scheme://host[:port]` as a browser writes it: a default port is left out.
    #[must_use]
    pub fn origin(&self, scheme: Scheme) -> String {
        let shown = if self.port == Some(scheme.default_port()) { self.host() } else { self.as_str() };
        format!("{}://{shown}", scheme.as_str())
    }
}

fn split_port(raw: &str) -> Result<(&str, Option<u16>), Malformed> {
    let after_bracket = memchr::memrchr(b']', raw.as_bytes()).map_or(0, |at| at + 1);
    match memchr::memchr(b':', &raw.as_bytes()[after_bracket..]) {
        None => Ok((raw, None)),
        Some(at) => {
            let (host, port) = (&raw[..after_bracket + at], &raw[after_bracket + at + 1..]);
            if port.is_empty() || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Malformed::Authority);
            }
            Ok((host, Some(port.parse().map_err(|_| Malformed::Authority)?)))
        }
    }
}

fn address(host: &str) -> Result<String, Malformed> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or(Malformed::Authority)?;
    let address: Ipv6Addr = inner.parse().map_err(|_| Malformed::Authority)?;
    Ok(format!("[{address}]"))
}

fn name(host: &str) -> Result<String, Malformed> {
    let host = host.strip_suffix('.').unwrap_or(host);
    // No label is empty.
    let mut before = b'.';
    let sound = host.len() <= 253
        && host.bytes().all(|byte| {
            let is_empty = byte == b'.' && before == b'.';
            before = byte;
            !is_empty && (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        })
        && before != b'.';
    if sound { Ok(host.to_ascii_lowercase()) } else { Err(Malformed::Authority) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_trailing_dot_and_port_are_canonical() {
        for (raw, shown) in [
            ("App.Example.COM", "app.example.com"),
            ("app.example.com.", "app.example.com"),
            ("app.example.com.:8443", "app.example.com:8443"),
            ("[0:0::1]:80", "[::1]:80"),
            ("127.0.0.1:080", "127.0.0.1:80"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Authority::parse(raw.as_bytes()).unwrap().as_str(), shown);
        }
    }

    #[test]
    fn what_could_name_two_hosts_is_refused() {
        for raw in [
            "",
            ".",
            "a..b",
            "a..",
            "a...:80",
            "user@host",
            "a,b",
            "a b",
            "a\0b",
            "host:",
            "host:99999",
            "host:-1",
            "[::1",
            "[x]",
            "ü.de",
            "a/b",
            "a:1:2",
        ] {
            assert_eq!(Authority::parse(raw.as_bytes()), Err(Malformed::Authority), "{raw:?}");
        }
    }
}
