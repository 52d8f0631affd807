//! The `Authorization` header of a request (RFC 9110 §11.6.2, RFC 6750 §2.1). A token in the query or in a form is never read: it would
//! stand in logs and histories (RFC 9700 §4.3.2).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::tokens::MAX_TOKEN_BYTES;

/// What a request says about who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    Nothing,
    /// Another scheme: not ours to judge.
    Other,
    Bearer(&'a str),
    /// The scheme is `Bearer`, and what follows is no token.
    Malformed,
    /// Several: two programs would believe two people (threat H06).
    Ambiguous,
}

#[must_use]
pub fn credentials(headers: &HeaderMap) -> Credentials<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Credentials::Nothing };
    if values.next().is_some() {
        return Credentials::Ambiguous;
    }
    let value = value.as_bytes();
    let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Credentials::Other;
    }
    let token = value[scheme.len()..].trim_ascii();
    let is_token = !token.is_empty() && token.len() <= MAX_TOKEN_BYTES && token.iter().all(|byte| is_token68(*byte));
    match std::str::from_utf8(token) {
        Ok(token) if is_token => Credentials::Bearer(token),
        _ => Credentials::Malformed,
    }
}

/// `b64token` of RFC 6750 §2.1: no comma, no quote, no second word. A table, because every octet of every token is looked up.
fn is_token68(byte: u8) -> bool {
    const TOKEN68: [bool; 256] = {
        let mut table = [false; 256];
        let letters = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~+/=";
        let mut at = 0;
        while at < letters.len() {
            table[letters[at] as usize] = true;
            at += 1;
        }
        table
    };
    TOKEN68[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        format!("{:?}", credentials(&headers))
    }

    #[test]
    fn one_token_in_one_header_and_nothing_else_is_a_bearer_token() {
        assert_eq!(of(&["Bearer a.b.c"]), "Bearer(\"a.b.c\")");
        assert_eq!(of(&["bEARER  a-_~+/=="]), "Bearer(\"a-_~+/==\")");
        assert_eq!(of(&[]), "Nothing");
        assert_eq!(of(&["Basic YTpi"]), "Other");
        assert_eq!(of(&["BearerX a.b.c"]), "Other");
        for malformed in ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer \"a\"", "Bearer a\tb", "Bearer token=a"] {
            let expected = if malformed == "Bearer token=a" { "Bearer(\"token=a\")" } else { "Malformed" };
            assert_eq!(of(&[malformed]), expected, "{malformed}");
        }
        assert_eq!(of(&["Bearer a", "Bearer a"]), "Ambiguous");
        assert_eq!(of(&["Basic YTpi", "Bearer a"]), "Ambiguous");
    }
}
