//! Token introspection (RFC 7662).

use serde_json::{Map, Value};

use super::{ClientAuthentication, Endpoint, Moment, Provider, ProviderAnswer, ProviderCall, ProviderMetadata};
use crate::message::json;
use crate::secret::EntropyError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionError {
    #[error("the introspection endpoint answered {0}")]
    Refused(u16),
    #[error("the introspection response is not a JSON object with distinct members and a boolean \"active\"")]
    Form,
}

/// Asks about an access token, as the client that the provider knows.
pub fn introspection_call(
    provider: &Provider,
    metadata: &ProviderMetadata,
    endpoint: &str,
    token: &str,
    moment: Moment<'_>,
) -> Result<ProviderCall, EntropyError> {
    let form = vec![("token", token.to_owned()), ("token_type_hint", "access_token".to_owned())];
    ClientAuthentication::call(provider, metadata, (Endpoint::Introspection, endpoint), form, moment)
}

/// What the answer says of an active token; `None` of any other.
pub fn introspection_claims(answer: &ProviderAnswer) -> Result<Option<Map<String, Value>>, IntrospectionError> {
    if !answer.is_success() {
        return Err(IntrospectionError::Refused(answer.status));
    }
    let mut body = json::object(&answer.body).ok().filter(|_| answer.is_json()).ok_or(IntrospectionError::Form)?;
    match body.remove("active") {
        // A token that wants more than to be held is none that we can judge (RFC 9449 §6.2).
        Some(Value::Bool(true)) => match body.remove("token_type") {
            Some(Value::String(kind)) if !kind.eq_ignore_ascii_case("bearer") && !kind.eq_ignore_ascii_case("access_token") => Ok(None),
            _ => Ok(Some(body)),
        },
        Some(Value::Bool(false)) => Ok(None),
        _ => Err(IntrospectionError::Form),
    }
}
