//! The values of the identity headers of one person, made once and used until the signature is about to end.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_encode_byte;
use serde_json::Value;

use super::Signer;
use crate::authorization::Permit;
use crate::clock::UnixTime;

/// A claim that is also sent as a plain header.
#[derive(Debug, Clone)]
pub struct ClaimHeader {
    pub name: HeaderName,
    pub claim: String,
}

/// Header names and values, ready to be set.
#[derive(Debug)]
pub struct IdentityHeaders {
    pub headers: Vec<(HeaderName, HeaderValue)>,
    reuse_until: UnixTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("x-amzn-oidc-data cannot be signed")]
    Signature,
    #[error("the access token cannot be a header's value")]
    AccessToken,
}

impl IdentityHeaders {
    /// Only who holds a permit can write them.
    pub fn of(permit: Permit<'_>, signer: &Signer, claims: &[ClaimHeader], access_token: bool, now: UnixTime) -> Result<Self, HeaderError> {
        let identity = permit.identity();
        let expires_at = now.plus(VALIDITY);
        let data = signer.sign(&identity.claims, &identity.issuer, &identity.client_id, expires_at.0).ok_or(HeaderError::Signature)?;
        let mut headers = Vec::with_capacity(3 + claims.len());
        headers.push((IDENTITY, text(&identity.subject)));
        if access_token {
            let value = HeaderValue::from_str(identity.access_token.expose()).map_err(|_| HeaderError::AccessToken)?;
            headers.push((ACCESS_TOKEN, value));
        }
        headers.push((DATA, HeaderValue::from_str(&data).map_err(|_| HeaderError::Signature)?));
        for header in claims {
            headers.extend(identity.claims.get(&header.claim).and_then(claim_text).map(|value| (header.name.clone(), text(&value))));
        }
        Ok(Self { headers, reuse_until: now.plus(VALIDITY - RENEWED_BEFORE_END) })
    }

    /// Whether they may still be sent.
    #[must_use]
    pub fn are_fresh(&self, now: UnixTime) -> bool {
        now < self.reuse_until
    }
}

/// Text as it is, lists joined with commas, numbers and truth values as JSON writes them; objects are not sent.
fn claim_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) => Some(items.iter().filter_map(claim_text).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Object(_) => None,
    }
}

/// Visible ASCII as it is, everything else percent-encoded as UTF-8: no line break, no trimmed space, no look-alike that a
/// target would normalise. A `%` that would read as an escape is encoded too, so that two people never share a text
/// (threats H12–H14).
fn text(value: &str) -> HeaderValue {
    let bytes = value.as_bytes();
    let mut out = String::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        let reads_as_escape = *byte == b'%' && bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if byte.is_ascii_graphic() && !reads_as_escape {
            out.push(char::from(*byte));
        } else {
            out.push_str(percent_encode_byte(*byte));
        }
    }
    HeaderValue::try_from(out).unwrap_or_else(|_| HeaderValue::from_static(""))
}

const IDENTITY: HeaderName = HeaderName::from_static("x-amzn-oidc-identity");
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-amzn-oidc-accesstoken");
const DATA: HeaderName = HeaderName::from_static("x-amzn-oidc-data");
/// As long as ALB's.
const VALIDITY: Duration = Duration::from_secs(120);
const RENEWED_BEFORE_END: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_visible_ascii_and_never_shared() {
        for (value, sent) in [
            ("alice@example.com", "alice@example.com"),
            ("admin ", "admin%20"),
            ("admin%20", "admin%2520"),
            ("100%", "100%"),
            ("a\r\nX-Admin: 1", "a%0D%0AX-Admin:%201"),
            ("\u{85}admin\u{a0}", "%C2%85admin%C2%A0"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(text(value), sent);
        }
    }

    #[test]
    fn claims_become_text() {
        assert_eq!(claim_text(&json!(["staff", "a,b", 1])).unwrap(), "staff,a,b,1");
        assert_eq!(claim_text(&json!(true)).unwrap(), "true");
        assert_eq!(claim_text(&json!({"a": 1})), None);
    }
}
