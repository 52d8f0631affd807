//! Pushed authorization requests (RFC 9126): the parameters go to the provider directly, and the browser carries a reference.

use serde_json::Value;

use super::token_response::printable;
use super::{AuthorizationRequest, ClientAuthentication, Endpoint, Moment, Provider, ProviderAnswer, ProviderCall, ProviderMetadata};
use crate::message::json;
use crate::secret::EntropyError;

/// Whether requests are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PushedRequests {
    /// Where the provider offers it; where it fails and is not required, the browser carries the request after all.
    #[default]
    Auto,
    Always,
    /// Unless the provider requires it.
    Never,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushedError {
    #[error("the provider offers no endpoint for pushed authorization requests")]
    NoEndpoint,
    #[error("the endpoint for pushed authorization requests answered {status} ({error})")]
    Refused { status: u16, error: String },
    #[error("the answer to a pushed authorization request has no usable request_uri")]
    Form,
}

/// The request as a form (§2.1).
pub fn pushed_authorization_call(
    provider: &Provider,
    metadata: &ProviderMetadata,
    request: &AuthorizationRequest<'_>,
    endpoint: &str,
    moment: Moment<'_>,
) -> Result<ProviderCall, EntropyError> {
    let form = request.parameters().map(|(name, value)| (name, value.to_owned())).collect();
    ClientAuthentication::call(provider, metadata, (Endpoint::PushedAuthorization, endpoint), form, moment)
}

/// The reference (§2.2): `request_uri`.
pub fn pushed_authorization_reference(answer: &ProviderAnswer) -> Result<String, PushedError> {
    let body = json::object(&answer.body);
    if !answer.is_success() {
        let error = body.ok().and_then(|body| body.get("error").and_then(Value::as_str).map(printable));
        return Err(PushedError::Refused { status: answer.status, error: error.unwrap_or_else(|| "no OAuth error".to_owned()) });
    }
    let body = body.ok().filter(|_| answer.is_json()).ok_or(PushedError::Form)?;
    let sound = |uri: &&str| !uri.is_empty() && uri.len() <= 1024 && uri.bytes().all(|byte| byte.is_ascii_graphic());
    body.get("request_uri").and_then(Value::as_str).filter(sound).map(str::to_owned).ok_or(PushedError::Form)
}
