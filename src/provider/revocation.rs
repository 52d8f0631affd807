//! Token revocation (RFC 7009).

use super::{ClientAuthentication, Endpoint, LogoutStyle, Moment, Provider, ProviderCall, ProviderMetadata};
use crate::secret::EntropyError;

/// `token_type_hint` (§2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTypeHint {
    AccessToken,
    RefreshToken,
}

impl TokenTypeHint {
    fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// Cognito answers `unsupported_token_type` to anything but a refresh token, and ends the access tokens that came of it.
    #[must_use]
    pub fn is_revoked_by(self, provider: &Provider) -> bool {
        self == Self::RefreshToken || provider.logout != LogoutStyle::Cognito
    }
}

/// Says that a token is done with, as the client that it was issued to.
pub fn revocation_call(
    provider: &Provider,
    metadata: &ProviderMetadata,
    endpoint: &str,
    (hint, token): (TokenTypeHint, &str),
    moment: Moment<'_>,
) -> Result<ProviderCall, EntropyError> {
    let form = vec![("token", token.to_owned()), ("token_type_hint", hint.name().to_owned())];
    ClientAuthentication::call(provider, metadata, (Endpoint::Revocation, endpoint), form, moment)
}
