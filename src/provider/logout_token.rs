//! Logout tokens: every rule of OpenID Connect Back-Channel Logout 1.0 §2.4 and §2.6 that is not the signature.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::id_token::audience;
use super::{Issuers, LEEWAY, has_come, is_over, seconds, subject};
use crate::clock::UnixTime;
use crate::tokens::Verified;

/// What the gateway expects of one.
#[derive(Debug, Clone, Copy)]
pub struct LogoutTokenExpectations<'a> {
    pub issuers: &'a Issuers,
    /// As the provider's metadata names it.
    pub issuer: &'a str,
    pub client_id: &'a str,
    /// `typ` of the token's header.
    pub token_type: Option<&'a str>,
    pub now: UnixTime,
}

/// What a good one says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutToken {
    pub issuer: Arc<str>,
    /// `jti`.
    pub id: String,
    pub issued_at: UnixTime,
    pub whom: LoggedOut,
}

/// Whose sessions end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoggedOut {
    /// All of a person's.
    Subject(String),
    /// One session at the provider, by its `sid`; and whose it is, where the token says that too.
    Session { sid: String, subject: Option<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogoutTokenError {
    #[error("typ is not that of a logout token")]
    Type,
    #[error("iss is not the issuer")]
    Issuer,
    #[error("aud is not this client alone")]
    Audience,
    #[error("iat is missing or in the future (the clocks differ by more than {LEEWAY} s)")]
    IssuedAt,
    #[error("iat is more than {} s ago", OLDEST.as_secs())]
    Old,
    #[error("exp is past, or no time")]
    Expired,
    #[error("jti is missing, empty or too long")]
    Id,
    #[error("events does not hold the event of a back-channel logout")]
    Events,
    #[error("there is a nonce: this may be an ID token")]
    Nonce,
    #[error("there is neither sub nor sid")]
    Nobody,
    #[error("sub is not a subject")]
    Subject,
    #[error("sid is not a session's")]
    Session,
}

impl LogoutToken {
    /// Judges claims whose signature is proven.
    pub fn judge(token: &Verified<Map<String, Value>>, expected: &LogoutTokenExpectations<'_>) -> Result<Self, LogoutTokenError> {
        let claims = token.claims();
        check_type(expected.token_type)?;
        let key_issuer = token.key_issuer().map(|issuer| &**issuer);
        let issuer = expected.issuers.of_token(expected.issuer, claims, key_issuer).ok_or(LogoutTokenError::Issuer)?;
        // As of an ID token (§2.6 rule 4): another audience could have passed it on.
        audience(claims, expected.client_id).map_err(|_| LogoutTokenError::Audience)?;
        let issued_at = check_times(claims, expected.now)?;
        let id = claims.get("jti").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= MAX_ID);
        let id = id.ok_or(LogoutTokenError::Id)?.to_owned();
        let event = claims.get("events").and_then(Value::as_object).and_then(|events| events.get(EVENT));
        if !event.is_some_and(Value::is_object) {
            return Err(LogoutTokenError::Events);
        }
        // What a browser has carried must not sign people out elsewhere (§4.1).
        if claims.contains_key("nonce") {
            return Err(LogoutTokenError::Nonce);
        }
        Ok(Self { issuer, id, issued_at, whom: LoggedOut::of(claims)? })
    }

    /// Until when sessions have to have begun to be ended: before the token was made, by clocks that differ; never after it has come,
    /// so that whoever has signed in again meanwhile stays.
    #[must_use]
    pub fn ends_until(&self, now: UnixTime) -> UnixTime {
        now.min(self.issued_at.plus(Duration::from_secs(LEEWAY)))
    }
}

impl LoggedOut {
    fn of(claims: &Map<String, Value>) -> Result<Self, LogoutTokenError> {
        let of_whom = match (claims.contains_key("sub"), subject(claims)) {
            (true, None) => return Err(LogoutTokenError::Subject),
            (_, found) => found.map(str::to_owned),
        };
        match (claims.get("sid"), of_whom) {
            (Some(sid), subject) => {
                let sid = sid.as_str().filter(|sid| !sid.is_empty() && sid.len() <= MAX_ID).ok_or(LogoutTokenError::Session)?;
                Ok(Self::Session { sid: sid.to_owned(), subject })
            }
            (None, Some(subject)) => Ok(Self::Subject(subject)),
            (None, None) => Err(LogoutTokenError::Nobody),
        }
    }

    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Subject(subject) => Some(subject),
            Self::Session { subject, .. } => subject.as_deref(),
        }
    }
}

/// `logout+jwt` is recommended, and Glewlwyd says `JWT`. A token that says that it is something else is (RFC 8725 §3.11).
fn check_type(named: Option<&str>) -> Result<(), LogoutTokenError> {
    let Some(named) = named.map(str::to_ascii_lowercase) else { return Ok(()) };
    let name = named.strip_prefix("application/").unwrap_or(&named);
    if matches!(name, "logout+jwt" | "jwt") { Ok(()) } else { Err(LogoutTokenError::Type) }
}

/// Not every provider sends `exp`; what bounds the time of a replay is `iat`.
fn check_times(claims: &Map<String, Value>, now: UnixTime) -> Result<UnixTime, LogoutTokenError> {
    let issued_at = seconds(claims, "iat").filter(|_| has_come(claims, "iat", now)).ok_or(LogoutTokenError::IssuedAt)?;
    if is_over(issued_at.saturating_add(OLDEST.as_secs()), now) {
        return Err(LogoutTokenError::Old);
    }
    if claims.contains_key("exp") && seconds(claims, "exp").is_none_or(|expires| is_over(expires, now)) {
        return Err(LogoutTokenError::Expired);
    }
    if has_come(claims, "nbf", now) { Ok(UnixTime(issued_at)) } else { Err(LogoutTokenError::IssuedAt) }
}

/// The specification recommends two minutes; a provider that tries again after a failure has some more.
const OLDEST: Duration = Duration::from_secs(10 * 60);
/// How long a `jti` has to be remembered so that no token works twice.
pub const LOGOUT_TOKEN_LIFETIME: Duration = Duration::from_secs(OLDEST.as_secs() + 3 * LEEWAY);
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const MAX_ID: usize = 255;
