//! The three identity headers as they arrived, and how any header may be shown.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

/// The identity headers of one request.
pub(super) struct Received<'a> {
    pub(super) identity: Option<&'a str>,
    pub(super) access_token: Option<&'a str>,
    pub(super) data: Option<&'a str>,
}

impl<'a> Received<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let one = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self { identity: one(IDENTITY), access_token: one(ACCESS_TOKEN), data: one(DATA) }
    }

    pub(super) fn anything(&self) -> bool {
        self.identity.is_some() || self.data.is_some()
    }
}

/// A header, as far as a page may show it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct ShownHeader {
    pub(super) name: String,
    pub(super) value: String,
}

pub(super) fn shown(headers: &HeaderMap) -> Vec<ShownHeader> {
    headers.iter().map(|(name, value)| ShownHeader { name: name.to_string(), value: shown_value(name, value) }).collect()
}

/// A page is copied, photographed and pasted into tickets: nothing on it may open a session.
fn shown_value(name: &HeaderName, value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    match name.as_str() {
        "cookie" => text.split(';').map(shown_cookie).collect::<Vec<_>>().join("; "),
        // Of a Basic password even the ends would be too much.
        "authorization" | "proxy-authorization" => {
            let (scheme, credentials) = text.split_once(' ').unwrap_or(("", &text));
            format!("{scheme} … ({} characters)", credentials.chars().count())
        }
        ACCESS_TOKEN | DATA => shortened(&text),
        _ if text.chars().count() > LONGEST => format!("{}…", text.chars().take(LONGEST).collect::<String>()),
        _ => text.into_owned(),
    }
}

fn shown_cookie(pair: &str) -> String {
    let (name, value) = pair.trim().split_once('=').unwrap_or((pair.trim(), ""));
    format!("{name}=… ({} characters)", value.chars().count())
}

/// The first and the last 12 characters; of anything short, only its length.
pub(super) fn shortened(token: &str) -> String {
    let characters: Vec<char> = token.chars().collect();
    if characters.len() < 4 * SHOWN_END {
        return format!("… ({} characters)", characters.len());
    }
    let (first, last) = (&characters[..SHOWN_END], &characters[characters.len() - SHOWN_END..]);
    format!("{}…{} ({} characters)", first.iter().collect::<String>(), last.iter().collect::<String>(), characters.len())
}

pub(super) const IDENTITY: &str = "x-amzn-oidc-identity";
pub(super) const ACCESS_TOKEN: &str = "x-amzn-oidc-accesstoken";
pub(super) const DATA: &str = "x-amzn-oidc-data";

const SHOWN_END: usize = 12;
const LONGEST: usize = 300;

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{shortened, shown};

    #[test]
    fn a_token_keeps_its_ends_only() {
        let token = format!("{}{}{}", "a".repeat(12), "SECRET".repeat(10), "z".repeat(12));
        assert_eq!(shortened(&token), "aaaaaaaaaaaa…zzzzzzzzzzzz (84 characters)");
        assert_eq!(shortened("short"), "… (5 characters)");
        assert_eq!(shortened(&"é".repeat(100)).chars().filter(|&c| c == 'é').count(), 24);
    }

    #[test]
    fn no_header_gives_a_secret_away() {
        let secret = "SECRET".repeat(20);
        for (name, value) in [
            ("cookie", format!("a={secret}; b=SECRET; SECRETless")),
            ("authorization", format!("Bearer {secret}")),
            ("x-amzn-oidc-accesstoken", format!("start-of-it-{secret}-end-of-it--")),
        ] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap())]);
            let shown = &shown(&headers)[0].value;
            assert!(!shown.contains("SECRETS") && !shown.contains("=SECRET"), "{shown}");
        }
    }
}
