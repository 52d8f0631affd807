//! What a listener sets on answers, ready to be sent.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONTENT_SECURITY_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};

use crate::message::Scheme;

/// Headers of a listener. Most have none.
#[derive(Debug, Clone)]
pub struct ResponseHeaders {
    set: Vec<(HeaderName, HeaderValue)>,
    strict_transport_security: Option<HeaderValue>,
    /// Whether targets may say what they are made of.
    pub keeps_server: bool,
}

impl ResponseHeaders {
    #[must_use]
    pub fn new(headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>, keeps_server: bool) -> Self {
        let mut made = Self { set: Vec::new(), strict_transport_security: None, keeps_server };
        for (name, value) in headers {
            if name == STRICT_TRANSPORT_SECURITY {
                made.strict_transport_security = Some(value);
            } else {
                made.set.push((name, value));
            }
        }
        made
    }

    /// For what a target or the operator says: each in place of whatever stands there under its name.
    pub fn for_content(&self, scheme: Scheme) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.set.iter().map(|(name, value)| (name, value)).chain(self.for_own(scheme))
    }

    /// For the gateway's own pages. They have a policy of their own, which another one would weaken, and belong to no other origin.
    /// Browsers ignore what is said of TLS without TLS (RFC 6797 §7.2).
    pub fn for_own(&self, scheme: Scheme) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let value = self.strict_transport_security.as_ref().filter(|_| scheme == Scheme::Https);
        value.map(|value| (&STRICT_TRANSPORT_SECURITY, value)).into_iter()
    }
}

/// A header that a listener may set: its key, which is ALB's, what its value has to be, and what one looks like.
pub struct ResponseHeader {
    pub key: &'static str,
    pub name: HeaderName,
    pub example: &'static str,
    is_sound: fn(&str) -> bool,
}

impl ResponseHeader {
    /// `None`: a browser would misread it, or read something else than its author.
    #[must_use]
    pub fn value(&self, text: &str) -> Option<HeaderValue> {
        let is_plain = text.len() <= MAX_BYTES && text.trim() == text && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        HeaderValue::from_str(text).ok().filter(|_| is_plain && (self.is_sound)(text))
    }
}

const fn header(key: &'static str, name: HeaderName, is_sound: fn(&str) -> bool, example: &'static str) -> ResponseHeader {
    ResponseHeader { key, name, example, is_sound }
}

/// All that there are.
pub static RESPONSE_HEADERS: [ResponseHeader; 10] = [
    header("strict_transport_security", STRICT_TRANSPORT_SECURITY, is_transport_security, "max-age=31536000; includeSubDomains"),
    header("access_control_allow_origin", ACCESS_CONTROL_ALLOW_ORIGIN, is_origin, "* or https://www.example.com"),
    header("access_control_allow_methods", ACCESS_CONTROL_ALLOW_METHODS, is_methods, "GET, POST"),
    header("access_control_allow_headers", ACCESS_CONTROL_ALLOW_HEADERS, is_names, "Content-Type, X-Request-Id"),
    header("access_control_allow_credentials", ACCESS_CONTROL_ALLOW_CREDENTIALS, |text| text == "true", "true, or leave the key out"),
    header("access_control_expose_headers", ACCESS_CONTROL_EXPOSE_HEADERS, is_names, "Content-Type, X-Request-Id"),
    header("access_control_max_age", ACCESS_CONTROL_MAX_AGE, is_seconds, "whole seconds, such as 600"),
    header("content_security_policy", CONTENT_SECURITY_POLICY, is_policy, "default-src 'self'"),
    header("x_content_type_options", X_CONTENT_TYPE_OPTIONS, |text| text.eq_ignore_ascii_case("nosniff"), "nosniff"),
    header("x_frame_options", X_FRAME_OPTIONS, is_frame_option, "DENY or SAMEORIGIN"),
];

/// RFC 6797 §6.1: `max-age` once, then perhaps `includeSubDomains` and `preload`.
fn is_transport_security(text: &str) -> bool {
    let mut ages = 0;
    let sound = text.split(';').map(str::trim).all(|directive| {
        let (name, value) =
            directive.split_once('=').map_or((directive, None), |(name, value)| (name.trim_end(), Some(value.trim_start())));
        match (name.to_ascii_lowercase().as_str(), value) {
            ("max-age", Some(age)) => {
                ages += 1;
                is_seconds(age)
            }
            ("includesubdomains" | "preload", None) => true,
            _ => false,
        }
    });
    sound && ages == 1
}

fn is_origin(text: &str) -> bool {
    let is_itself = |url: url::Url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
    // A star within a host stands for nothing.
    text == "*" || (!text.contains('*') && url::Url::parse(text).is_ok_and(is_itself))
}

fn is_methods(text: &str) -> bool {
    is_list(text, |word| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-'))
}

fn is_names(text: &str) -> bool {
    is_list(text, |word| word.parse::<HeaderName>().is_ok())
}

/// Words with commas between them. `*` is a word too: it does not stand for `Authorization` (Fetch, "CORS-unsafe request-header names").
fn is_list(text: &str, is_sound: impl Fn(&str) -> bool) -> bool {
    text.split(',').map(str::trim).all(|word| word == "*" || (!word.is_empty() && is_sound(word)))
}

fn is_seconds(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Each directive has a name; a comma would begin another policy (CSP 3, "parse a serialized CSP list").
fn is_policy(text: &str) -> bool {
    let mut directives = text.split(';').map(str::trim).filter(|directive| !directive.is_empty()).peekable();
    let has_name = |directive: &str| {
        let name = directive.split(' ').next().unwrap_or_default();
        name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
    };
    directives.peek().is_some() && directives.all(has_name) && !text.contains(',')
}

fn is_frame_option(text: &str) -> bool {
    ["DENY", "SAMEORIGIN"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// AWS names no limit. All headers of an answer together may have 32 KiB on an ALB.
const MAX_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_browsers_understand() {
        let takes = |key: &str, text: &str| RESPONSE_HEADERS.iter().find(|header| header.key == key).unwrap().value(text).is_some();
        for (key, good, bad) in [
            (
                "strict_transport_security",
                &["max-age=31536000", "max-age=0; includeSubDomains; preload", "includeSubDomains;max-age = 5"][..],
                &["", "31536000", "max-age", "max-age=1; max-age=2", "max-age=1; report", "max-age=-1", "max-age=1\r\nx: y"][..],
            ),
            (
                "access_control_allow_origin",
                &["*", "https://www.example.com", "http://localhost:3000"],
                &["www.example.com", "https://www.example.com/", "https://a.example, https://b.example", "null", "https://*.example.com"],
            ),
            ("access_control_allow_methods", &["GET", "GET,PUT, DELETE", "*"], &["get", "GET,", "GET PUT"]),
            ("access_control_allow_headers", &["*", "*, Authorization", "X-A,X-B"], &["X A", "X-A,,X-B", "X-A:"]),
            ("access_control_allow_credentials", &["true"], &["false", "True", "*"]),
            ("access_control_max_age", &["0", "600"], &["10m", "-1", "1.5", "99999999999"]),
            (
                "content_security_policy",
                &["default-src 'self'", "upgrade-insecure-requests;", "img-src *; script-src 'self' https://cdn.example"],
                &["", ";", "default-src 'self', script-src *", "'self'", "default-src \u{e9}"],
            ),
            ("x_content_type_options", &["nosniff"], &["sniff"]),
            ("x_frame_options", &["DENY", "sameorigin"], &["ALLOW-FROM https://example.com", "DENY, SAMEORIGIN"]),
        ] {
            good.iter().for_each(|text| assert!(takes(key, text), "{key}: {text:?}"));
            bad.iter().for_each(|text| assert!(!takes(key, text), "{key}: {text:?}"));
        }
        assert!(!takes("content_security_policy", &format!("img-src {}", "a".repeat(MAX_BYTES))));
    }
}
