//! Why a bearer token does not pass.

use crate::authentication::ProviderClientError;
use crate::provider::{CallError, IntrospectionError};
use crate::secret::EntropyError;
use crate::tokens::VerifyError;

/// Names a claim, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    #[error("the request names more than one token")]
    Ambiguous,
    #[error("{0}")]
    Form(VerifyError),
    #[error("{0}")]
    Signature(VerifyError),
    #[error("typ is not that of an access token")]
    Type,
    #[error("the token is for another use (an ID token, a logout token, a token that is bound to a key of its holder)")]
    OtherUse,
    #[error("the claim {0} is missing")]
    Missing(String),
    #[error("the claim {0} has another form")]
    Format(String),
    #[error("the claim {0} is not what the rule asks for")]
    Value(String),
    #[error("the token is past its exp (the clocks differ, or it is old)")]
    Expired,
    #[error("nbf or iat of the token is in the future (the clocks differ)")]
    NotYet,
    #[error("the token lacks a scope that the rule asks for")]
    Scope,
    #[error("the provider says that the token is not active")]
    Inactive,
    #[error("the provider's metadata: {0}")]
    Metadata(ProviderClientError),
    #[error("the key set: {0}")]
    Keys(ProviderClientError),
    #[error("the provider has no introspection endpoint")]
    NoIntrospectionEndpoint,
    #[error("the introspection endpoint: {0}")]
    IntrospectionCall(CallError),
    #[error(transparent)]
    Introspection(IntrospectionError),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl BearerError {
    pub(super) fn from_verification(error: VerifyError) -> Self {
        match error {
            VerifyError::UnknownKey | VerifyError::Signature => Self::Signature(error),
            VerifyError::TooLong | VerifyError::Form | VerifyError::Critical | VerifyError::Algorithm | VerifyError::Payload => {
                Self::Form(error)
            }
        }
    }
}
