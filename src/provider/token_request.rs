//! The token request (RFC 6749 §4.1.3, RFC 7636 §4.5).

use super::{ClientAuthentication, CodeVerifier, Endpoint, Moment, Provider, ProviderCall, ProviderMetadata};
use crate::secret::EntropyError;

/// Exchanges a code. The `redirect_uri` is the one of the authorization request, to the letter.
pub fn code_exchange(
    provider: &Provider,
    metadata: &ProviderMetadata,
    code: &str,
    redirect_uri: &str,
    verifier: &CodeVerifier,
    moment: Moment<'_>,
) -> Result<ProviderCall, EntropyError> {
    let form = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", code.to_owned()),
        ("redirect_uri", redirect_uri.to_owned()),
        ("code_verifier", verifier.0.clone()),
    ];
    ClientAuthentication::call(provider, metadata, (Endpoint::Token, &metadata.token_endpoint), form, moment)
}
