//! The token requests: of a login (RFC 6749 §4.1.3, RFC 7636 §4.5), and of a refresh (§6).

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

/// Asks for new tokens (RFC 6749 §6, OIDC Core §12.1). The scope stays that of the login.
pub fn refresh(
    provider: &Provider,
    metadata: &ProviderMetadata,
    refresh_token: &str,
    moment: Moment<'_>,
) -> Result<ProviderCall, EntropyError> {
    let form = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh_token.to_owned())];
    ClientAuthentication::call(provider, metadata, (Endpoint::Token, &metadata.token_endpoint), form, moment)
}
