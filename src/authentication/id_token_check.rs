//! An ID token against the provider's keys and against what is expected of it: at a login, and at a refresh.

use super::{Authenticate, Authentication, ProviderClientError};
use crate::clock::UnixTime;
use crate::provider::{ExpectedNonce, IdTokenClaims, IdTokenError, IdTokenExpectations, ProviderMetadata, verify_claims};
use crate::tokens::{Compact, VerifyError};

#[derive(Debug, thiserror::Error)]
pub enum IdTokenFailure {
    #[error("the key set: {0}")]
    Keys(ProviderClientError),
    #[error("the ID token: {0}")]
    Signature(#[from] VerifyError),
    #[error("the ID token: {0}")]
    Claims(#[from] IdTokenError),
}

impl Authentication {
    pub(super) async fn check_id_token(
        &self,
        authenticate: &Authenticate,
        metadata: &ProviderMetadata,
        (id_token, access_token): (&str, &str),
        nonce: ExpectedNonce<'_>,
        now: UnixTime,
    ) -> Result<IdTokenClaims, IdTokenFailure> {
        let token = Compact::parse(id_token)?;
        let keys = authenticate.client.keys().await.map_err(IdTokenFailure::Keys)?;
        let verified = match self.verifier.verify(&token, &keys) {
            Err(VerifyError::UnknownKey) => {
                let keys = authenticate.client.newer_keys(&keys).await.map_err(IdTokenFailure::Keys)?;
                self.verifier.verify(&token, &keys)?
            }
            other => other?,
        };
        let expected = IdTokenExpectations {
            issuers: &authenticate.provider.issuers,
            issuer: &metadata.issuer,
            client_id: &authenticate.provider.client_id,
            hosted_domains: &authenticate.provider.hosted_domains,
            nonce,
            access_token,
            token_type: token.token_type.as_deref(),
            now,
        };
        Ok(verify_claims(verified, &expected)?)
    }
}
