//! The token request (RFC 6749 §4.1.3, RFC 7636 §4.5).

use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::{CodeVerifier, Endpoint, Provider, ProviderCall, ProviderMetadata};
use crate::secret::Secret;

/// Exchanges a code. The `redirect_uri` is the one of the authorization request, to the letter.
#[must_use]
pub fn code_exchange(
    provider: &Provider,
    metadata: &ProviderMetadata,
    code: &str,
    redirect_uri: &str,
    verifier: &CodeVerifier,
) -> ProviderCall {
    let mut headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ];
    let mut form = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", code.to_owned()),
        ("redirect_uri", redirect_uri.to_owned()),
        ("code_verifier", verifier.0.clone()),
    ];
    provider.client_authentication.apply(&provider.client_id, &mut headers, &mut form);
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    ProviderCall { endpoint: Endpoint::Token, url: metadata.token_endpoint.clone(), headers, form: Some(Secret::new(form)) }
}
