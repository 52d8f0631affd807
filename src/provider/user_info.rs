//! The UserInfo endpoint (OIDC Core §5.3), and how its claims join those of the ID token.

use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION};
use serde_json::{Map, Value};

use super::{Endpoint, ProviderAnswer, ProviderCall};
use crate::message::json;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserInfoError {
    #[error("the UserInfo endpoint answered {0}")]
    Refused(u16),
    #[error("the UserInfo response is not a JSON object with distinct members")]
    Form,
    #[error("the UserInfo response is about somebody else")]
    Subject,
}

/// GET with the access token as a bearer token (RFC 6750 §2.1). The token is visible ASCII, so a header holds it.
#[must_use]
pub fn user_info_call(endpoint: &str, access_token: &str) -> ProviderCall {
    let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
    headers.extend(HeaderValue::from_str(&format!("Bearer {access_token}")).ok().map(|mut value| {
        value.set_sensitive(true);
        (AUTHORIZATION, value)
    }));
    ProviderCall { endpoint: Endpoint::UserInfo, url: endpoint.to_owned(), headers, form: None, is_refresh: false }
}

/// The claims of a response whose `sub` is the ID token's: anything else may be a substituted token (§5.3.2).
pub fn user_info_claims(answer: &ProviderAnswer, subject: &str) -> Result<Map<String, Value>, UserInfoError> {
    if !answer.is_success() {
        return Err(UserInfoError::Refused(answer.status));
    }
    let claims = json::object(&answer.body).ok().filter(|_| answer.is_json()).ok_or(UserInfoError::Form)?;
    if claims.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(UserInfoError::Subject);
    }
    Ok(claims)
}

/// User info wins. An improvement on ALB, which drops the ID token and with it `cognito:groups`.
pub fn merge(id_token: &mut Map<String, Value>, user_info: Map<String, Value>) {
    for (name, value) in user_info {
        if !OF_THE_ID_TOKEN.contains(&name.as_str()) {
            id_token.insert(name, value);
        }
    }
}

/// `iss`, `aud` and `exp` of a user-info document are not the person's. How and when somebody signed in is a fact of this login, which
/// only the ID token proves: a person may be able to edit what user info says of them, and would raise themselves to any `acr`. So
/// is `sid`, by which the provider ends sessions.
const OF_THE_ID_TOKEN: [&str; 9] = ["iss", "aud", "exp", "iat", "nonce", "acr", "amr", "auth_time", "sid"];
