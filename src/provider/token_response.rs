//! The token response (RFC 6749 §5, OIDC Core §3.1.3.3), judged before anything in it is used.

use std::time::Duration;

use serde_json::Value;

use super::ProviderAnswer;
use crate::message::json;
use crate::secret::Secret;

/// The tokens of a login.
#[derive(Debug)]
pub struct TokenResponse {
    pub access_token: Secret<String>,
    /// Always there after a login; a refresh may bring none (OIDC Core §12.2).
    pub id_token: Option<Secret<String>>,
    /// A new one replaces the former; without one the former stays (RFC 6749 §6).
    pub refresh_token: Option<Secret<String>>,
    /// Of the access token.
    pub expires_in: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The code was unknown, spent, or another client's.
    #[error("the token endpoint answered invalid_grant")]
    InvalidGrant,
    #[error("the token endpoint answered {status} ({error})")]
    Refused { status: u16, error: String },
    #[error("the token response is not a JSON object with distinct members")]
    Form,
    #[error("the token response lacks {0}, or has it in another type")]
    Member(&'static str),
}

impl TokenResponse {
    pub fn parse(answer: &ProviderAnswer) -> Result<Self, TokenError> {
        let body = json::object(&answer.body);
        if !answer.is_success() {
            let code = body.ok().and_then(|body| body.get("error").and_then(Value::as_str).map(str::to_owned));
            return Err(match code.as_deref() {
                Some("invalid_grant") => TokenError::InvalidGrant,
                code => TokenError::Refused { status: answer.status, error: printable(code.unwrap_or("no OAuth error")) },
            });
        }
        let body = body.ok().filter(|_| answer.is_json()).ok_or(TokenError::Form)?;
        if let Some(error) = body.get("error") {
            return Err(TokenError::Refused { status: answer.status, error: printable(error.as_str().unwrap_or("error")) });
        }
        let text = |name: &'static str| {
            body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned).ok_or(TokenError::Member(name))
        };
        // Lower case in every provider that we tried; RFC 6749 §5.1 makes it case-insensitive.
        if !text("token_type")?.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Member("token_type"));
        }
        let access_token = text("access_token")?;
        // It is passed on as a header's value (RFC 6750 §2.1).
        if !access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Member("access_token"));
        }
        let optional = |name: &'static str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => text(name).map(|text| Some(Secret::new(text))),
        };
        Ok(Self {
            access_token: Secret::new(access_token),
            id_token: optional("id_token")?,
            refresh_token: optional("refresh_token")?,
            expires_in: lifetime(body.get("expires_in")),
        })
    }
}

/// A number of seconds, which some send as a text. What is no such thing tells nothing, and is no reason to sign nobody in
/// (threat I06); what is absurd is cut.
fn lifetime(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds.min(LONGEST)).ok()).flatten()
}

/// A year.
const LONGEST: f64 = 365.0 * 86_400.0;

/// An error code as RFC 6749 §5.2 has it; anything else is a stranger's text and stays out of the log.
pub(super) fn printable(code: &str) -> String {
    let sound =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit());
    if sound { code.to_owned() } else { "unprintable".to_owned() }
}
