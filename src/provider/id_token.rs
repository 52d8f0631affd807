//! ID token validation: every rule of OIDC Core §3.1.3.7 that is not the signature, and RFC 8725.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::clock::UnixTime;
use crate::tokens::Verified;

/// What this login expects.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenExpectations<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub access_token: &'a str,
    /// `typ` of the token's header.
    pub token_type: Option<&'a str>,
    pub now: UnixTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    #[error("typ is not that of an ID token")]
    Type,
    #[error("iss is not the issuer")]
    Issuer,
    #[error("aud is not this client alone")]
    Audience,
    #[error("azp is not this client")]
    AuthorizedParty,
    #[error("sub is missing, empty, too long or unprintable")]
    Subject,
    #[error("exp is missing or past (the clocks differ by more than {LEEWAY} s, or the token is old)")]
    Expired,
    #[error("iat is missing or in the future (the clocks differ by more than {LEEWAY} s)")]
    IssuedAt,
    #[error("nbf is in the future (the clocks differ by more than {LEEWAY} s)")]
    NotBefore,
    #[error("nonce is not that of this login")]
    Nonce,
    #[error("at_hash is not that of the access token")]
    AccessTokenHash,
    #[error("the token is an access token or a logout token")]
    OtherUse,
}

/// Judges claims whose signature is proven, and leaves those that tell of the person.
pub fn verify_claims(token: Verified<Map<String, Value>>, expected: &IdTokenExpectations<'_>) -> Result<Map<String, Value>, IdTokenError> {
    let algorithm = token.algorithm();
    let mut claims = token.into_claims();
    if expected.token_type.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return Err(IdTokenError::Type);
    }
    // A logout token has `events` (Back-Channel Logout §2.4); Cognito's access tokens say `token_use: access`.
    if claims.contains_key("events") || claims.get("token_use").is_some_and(|token_use| token_use != "id") {
        return Err(IdTokenError::OtherUse);
    }
    if text(&claims, "iss") != Some(expected.issuer) {
        return Err(IdTokenError::Issuer);
    }
    audience(&claims, expected.client_id)?;
    subject(&claims)?;
    times(&claims, expected.now)?;
    let nonce = text(&claims, "nonce").unwrap_or_default();
    aws_lc_rs::constant_time::verify_slices_are_equal(nonce.as_bytes(), expected.nonce.as_bytes()).map_err(|_| IdTokenError::Nonce)?;
    if let Some(hash) = claims.get("at_hash") {
        let digest = aws_lc_rs::digest::digest(algorithm.hash(), expected.access_token.as_bytes());
        let half = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2]);
        if hash.as_str() != Some(&half) {
            return Err(IdTokenError::AccessTokenHash);
        }
    }
    claims.retain(|name, _| !PROTOCOL_CLAIMS.contains(&name.as_str()));
    Ok(claims)
}

fn audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), IdTokenError> {
    // An audience beside us is one that we do not trust (§3.1.3.7 rule 3): the token could have been made for it.
    let alone = match claims.get("aud") {
        Some(Value::String(audience)) => audience == client_id,
        Some(Value::Array(audiences)) => !audiences.is_empty() && audiences.iter().all(|audience| audience == client_id),
        _ => false,
    };
    if !alone {
        return Err(IdTokenError::Audience);
    }
    if claims.get("azp").is_some_and(|azp| azp != client_id) {
        return Err(IdTokenError::AuthorizedParty);
    }
    Ok(())
}

/// At most 255 characters (OIDC Core §2), none that a header or a log could change or hide, no white space around it that
/// somebody would trim into another's name.
fn subject(claims: &Map<String, Value>) -> Result<(), IdTokenError> {
    let sound = text(claims, "sub").is_some_and(|subject| {
        !subject.is_empty() && subject.len() <= 255 && !subject.chars().any(char::is_control) && subject.trim() == subject
    });
    if sound { Ok(()) } else { Err(IdTokenError::Subject) }
}

fn times(claims: &Map<String, Value>, now: UnixTime) -> Result<(), IdTokenError> {
    let now = now.0;
    let expires = seconds(claims, "exp").ok_or(IdTokenError::Expired)?;
    if expires.saturating_add(LEEWAY) <= now {
        return Err(IdTokenError::Expired);
    }
    if seconds(claims, "iat").ok_or(IdTokenError::IssuedAt)? > now.saturating_add(LEEWAY) {
        return Err(IdTokenError::IssuedAt);
    }
    if claims.contains_key("nbf") && seconds(claims, "nbf").is_none_or(|from| from > now.saturating_add(LEEWAY)) {
        return Err(IdTokenError::NotBefore);
    }
    Ok(())
}

/// A NumericDate, whole seconds; `None` when it is absent, negative or no number. A huge one saturates.
fn seconds(claims: &Map<String, Value>, name: &str) -> Option<u64> {
    let number = claims.get(name)?.as_number()?;
    number.as_u64().or_else(|| {
        let value = number.as_f64().filter(|value| *value >= 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates, and it is not negative")]
        Some(value as u64)
    })
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 60;

/// Claims about the token, not about the person.
const PROTOCOL_CLAIMS: [&str; 15] = [
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
