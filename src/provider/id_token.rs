//! ID token validation: every rule of OIDC Core §3.1.3.7 that is not the signature, and RFC 8725.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Issuers, LEEWAY, has_come, is_of_domain, is_over, personal, seconds, subject};
use crate::clock::UnixTime;
use crate::tokens::Verified;

/// What this login expects.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenExpectations<'a> {
    pub issuers: &'a Issuers,
    /// As the provider's metadata names it.
    pub issuer: &'a str,
    pub client_id: &'a str,
    /// Empty: any.
    pub hosted_domains: &'a [String],
    pub nonce: ExpectedNonce<'a>,
    pub access_token: &'a str,
    /// `typ` of the token's header.
    pub token_type: Option<&'a str>,
    pub now: UnixTime,
}

/// `nonce` of a login.
#[derive(Debug, Clone, Copy)]
pub enum ExpectedNonce<'a> {
    /// At the login itself.
    Exactly(&'a str),
    /// At a refresh: of the login where there is one, and there need not be one (OIDC Core §12.2).
    IfPresent(&'a NonceHash),
}

/// What a session keeps of it: enough to know it again.
pub type NonceHash = [u8; 16];

/// The beginning of its SHA-256.
#[must_use]
pub fn nonce_hash(nonce: &str) -> NonceHash {
    let mut hash = [0; 16];
    hash.copy_from_slice(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, nonce.as_bytes()).as_ref()[..16]);
    hash
}

impl ExpectedNonce<'_> {
    fn is_met_by(self, claims: &Map<String, Value>) -> bool {
        let equal = |one: &[u8], other: &[u8]| aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok();
        match (self, claims.get("nonce").map(Value::as_str)) {
            (Self::Exactly(expected), found) => equal(found.flatten().unwrap_or_default().as_bytes(), expected.as_bytes()),
            (Self::IfPresent(_), None) => true,
            (Self::IfPresent(expected), Some(found)) => found.is_some_and(|found| equal(&nonce_hash(found), expected)),
        }
    }
}

/// What a good one says.
#[derive(Debug)]
pub struct IdTokenClaims {
    pub issuer: Arc<str>,
    /// Of the person.
    pub claims: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    #[error("typ is not that of an ID token")]
    Type,
    #[error("iss is not the issuer")]
    Issuer,
    #[error("tid is not one of allowed_tenants")]
    Tenant,
    #[error("hd is not one of hosted_domains")]
    HostedDomain,
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
pub fn verify_claims(token: Verified<Map<String, Value>>, expected: &IdTokenExpectations<'_>) -> Result<IdTokenClaims, IdTokenError> {
    let (algorithm, key_issuer) = (token.algorithm(), token.key_issuer().cloned());
    let mut claims = token.into_claims();
    if expected.token_type.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT")) {
        return Err(IdTokenError::Type);
    }
    // A logout token has `events` (Back-Channel Logout §2.4); Cognito's access tokens say `token_use: access`.
    if claims.contains_key("events") || claims.get("token_use").is_some_and(|token_use| token_use != "id") {
        return Err(IdTokenError::OtherUse);
    }
    let issuer = match expected.issuers.of_token(expected.issuer, &claims, key_issuer.as_deref()) {
        Some(issuer) => issuer,
        None if expected.issuers.is_of_another_tenant(expected.issuer, &claims) => return Err(IdTokenError::Tenant),
        None => return Err(IdTokenError::Issuer),
    };
    audience(&claims, expected.client_id)?;
    subject(&claims).ok_or(IdTokenError::Subject)?;
    times(&claims, expected.now)?;
    if !expected.nonce.is_met_by(&claims) {
        return Err(IdTokenError::Nonce);
    }
    if let Some(hash) = claims.get("at_hash") {
        let digest = aws_lc_rs::digest::digest(algorithm.hash(), expected.access_token.as_bytes());
        let half = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2]);
        if hash.as_str() != Some(&half) {
            return Err(IdTokenError::AccessTokenHash);
        }
    }
    if !is_of_domain(&claims, expected.hosted_domains) {
        return Err(IdTokenError::HostedDomain);
    }
    personal(&mut claims);
    Ok(IdTokenClaims { issuer, claims })
}

pub(super) fn audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), IdTokenError> {
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

fn times(claims: &Map<String, Value>, now: UnixTime) -> Result<(), IdTokenError> {
    if seconds(claims, "exp").is_none_or(|expires| is_over(expires, now)) {
        return Err(IdTokenError::Expired);
    }
    if !claims.contains_key("iat") || !has_come(claims, "iat", now) {
        return Err(IdTokenError::IssuedAt);
    }
    if has_come(claims, "nbf", now) { Ok(()) } else { Err(IdTokenError::NotBefore) }
}
