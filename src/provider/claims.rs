//! Claims that every JWT of a provider may have, read in one way (RFC 7519 §4.1, OIDC Core §2).

use serde_json::{Map, Value};

use crate::clock::UnixTime;

/// How far clocks may differ, in seconds.
pub const LEEWAY: u64 = 60;

/// `sub`: at most 255 characters (OIDC Core §2), none that a header or a log could change or hide, no white space around it that
/// somebody would trim into another's name.
#[must_use]
pub fn subject(claims: &Map<String, Value>) -> Option<&str> {
    let sound = |subject: &&str| {
        !subject.is_empty() && subject.len() <= 255 && !subject.chars().any(char::is_control) && subject.trim() == *subject
    };
    claims.get("sub").and_then(Value::as_str).filter(sound)
}

/// A NumericDate, whole seconds; `None` when it is absent, negative or no number. A huge one saturates.
#[must_use]
pub fn seconds(claims: &Map<String, Value>, name: &str) -> Option<u64> {
    let number = claims.get(name)?.as_number()?;
    number.as_u64().or_else(|| {
        let value = number.as_f64().filter(|value| *value >= 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates, and it is not negative")]
        Some(value as u64)
    })
}

/// Whether a time is over, with the leeway.
#[must_use]
pub fn is_over(expires: u64, now: UnixTime) -> bool {
    expires.saturating_add(LEEWAY) <= now.0
}

/// Whether a claim, where it is there, holds a time that has come, with the leeway.
#[must_use]
pub fn has_come(claims: &Map<String, Value>, name: &str, now: UnixTime) -> bool {
    !claims.contains_key(name) || seconds(claims, name).is_some_and(|from| from <= now.0.saturating_add(LEEWAY))
}

/// Google's `hd`: the organisation that an account belongs to. The request parameter of that name is only a hint for the page, so
/// the claim is what counts; an account of no organisation has none.
#[must_use]
pub fn is_of_domain(claims: &Map<String, Value>, domains: &[String]) -> bool {
    let found = claims.get("hd").and_then(Value::as_str);
    domains.is_empty() || found.is_some_and(|found| domains.iter().any(|domain| domain.eq_ignore_ascii_case(found)))
}

/// Leaves what tells of the person: claims about the token itself go.
pub fn personal(claims: &mut Map<String, Value>) {
    claims.retain(|name, _| !OF_THE_TOKEN.contains(&name.as_str()));
}

const OF_THE_TOKEN: [&str; 15] = [
    "iss",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "jti",
    "token_use",
    "event_id",
    "origin_jti",
    "rt_hash",
];
